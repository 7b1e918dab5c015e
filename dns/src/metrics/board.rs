//! Where all threads' counters hang, and what sums them up when somebody asks.
//!
//! What never happens here: nothing on the path of a query, but for the first after the table changed.

use super::counters::{BUCKETS, Count, Counted, Limited, Sheet};
use super::tables::{Known, Labels, OfTable, Sums, VERDICTS};
use crate::cookie::Status;
use crate::query::{Rcode, Transport};
use crate::rtype::RType;
use prometheus::core::{Collector, Desc};
use prometheus::proto;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use steering::Table;

/// A metric: its name, what it counts, its labels.
struct Kind(&'static str, &'static str, &'static [&'static str]);

const QUERIES: Kind = Kind(
    "rhumb_dns_queries_total",
    "Packets that came in.",
    &["transport"],
);
const TYPES: Kind = Kind(
    "rhumb_dns_query_types_total",
    "Queries by the type that they ask for; rare ones: other.",
    &["type"],
);
const RESPONSES: Kind = Kind(
    "rhumb_dns_responses_total",
    "Responses by code.",
    &["rcode"],
);
const STEERED: Kind = Kind(
    "rhumb_dns_steered_total",
    "Decisions by chosen region and verdict.",
    &["region", "verdict"],
);
const SERVICES: Kind = Kind(
    "rhumb_dns_service_queries_total",
    "Decisions by service; beyond the first 1,000 services: other.",
    &["service"],
);
const ZONES: Kind = Kind(
    "rhumb_dns_zone_queries_total",
    "Queries by the zone of their name; beyond the first 1,000 zones: other.",
    &["zone"],
);
const TRUNCATED: Kind = Kind(
    "rhumb_dns_truncated_total",
    "Responses cut to their question, TC set.",
    &[],
);
const MALFORMED: Kind = Kind(
    "rhumb_dns_malformed_total",
    "Packets that are no well-formed query.",
    &[],
);
const DROPPED: Kind = Kind(
    "rhumb_dns_dropped_total",
    "Packets that got no response.",
    &[],
);
const SEND_ERRORS: Kind = Kind(
    "rhumb_dns_send_errors_total",
    "Responses the system would not send.",
    &[],
);
const OVERFLOWS: Kind = Kind(
    "rhumb_dns_udp_overflows_total",
    "Datagrams the system dropped because the buffer of a socket was full: they came faster than they are answered.",
    &[],
);
const LIMITED: Kind = Kind(
    "rhumb_dns_rate_limited_total",
    "Responses beyond the rate limit, by what was done.",
    &["action"],
);
const COOKIES: Kind = Kind(
    "rhumb_dns_cookies_total",
    "Queries with a DNS cookie, by what it was worth.",
    &["result"],
);
const TIME: Kind = Kind(
    "rhumb_dns_handling_seconds",
    "From a packet read to its response made; one in 64 is timed.",
    &[],
);

const KINDS: [&Kind; 14] = [
    &QUERIES,
    &TYPES,
    &RESPONSES,
    &STEERED,
    &SERVICES,
    &ZONES,
    &TRUNCATED,
    &MALFORMED,
    &DROPPED,
    &SEND_ERRORS,
    &OVERFLOWS,
    &LIMITED,
    &COOKIES,
    &TIME,
];

/// The counters of all threads. Cloning gives another handle to the same ones.
#[derive(Clone)]
pub(super) struct Board(Arc<Inner>);

struct Inner {
    descs: Vec<Desc>,
    state: Mutex<State>,
}

/// Tells a number that only grows, but wraps, for as long as there is somebody to ask.
pub(super) type Tell = Box<dyn Fn() -> Option<u32> + Send>;

/// Such a number, and what it came to so far.
struct Told {
    tell: Tell,
    last: u32,
    sum: u64,
}

impl Told {
    fn ask(&mut self) -> u64 {
        if let Some(now) = (self.tell)() {
            self.sum += u64::from(now.wrapping_sub(self.last));
            self.last = now;
        }
        self.sum
    }
}

/// Changed when a thread begins or the table changes, never for a packet.
#[derive(Default)]
struct State {
    threads: Vec<Arc<Counted>>,
    known: Known,
    /// The names of the newest table, for the next thread that comes to it.
    labels: Arc<Labels>,
    /// What was counted with tables that no thread uses any more.
    past: Sums,
    /// What the system counts for us.
    overflows: Vec<Told>,
}

impl Board {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let desc = |Kind(name, help, labels): &Kind| {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            Desc::new(
                (*name).to_owned(),
                (*help).to_owned(),
                labels,
                HashMap::new(),
            )
        };
        let descs = KINDS.into_iter().map(desc).collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(Inner {
            descs,
            state: Mutex::default(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, thread: Arc<Counted>) {
        self.state().threads.push(thread);
    }

    /// Adds a place where the system counts what it drops.
    pub(super) fn overflows(&self, tell: Tell) {
        self.state().overflows.push(Told {
            tell,
            last: 0,
            sum: 0,
        });
    }

    /// Puts what a thread counted aside, and gives it counters for `table`.
    #[cold]
    pub(super) fn change(&self, thread: &Counted, table: &Arc<Table>) -> Arc<OfTable> {
        let state = &mut *self.state();
        if !state.labels.is_of(table) {
            state.labels = Arc::new(Labels::new(table, &mut state.known));
        }
        let fresh = Arc::new(OfTable::new(state.labels.clone()));
        // Nobody sums up meanwhile: whoever does has the state.
        let mut current = thread
            .of_table
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        current.fold(&mut state.past);
        *current = fresh.clone();
        fresh
    }
}

impl Collector for Board {
    fn desc(&self) -> Vec<&Desc> {
        self.0.descs.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let mut state = self.state();
        let overflows = state.overflows.iter_mut().map(Told::ask).sum();
        let overflows = counter(&[], &[], overflows);
        let mut sums = state.past.clone();
        for thread in &state.threads {
            let of_table = thread.of_table.lock();
            let of_table = of_table.unwrap_or_else(PoisonError::into_inner);
            of_table.fold(&mut sums);
        }
        let sheets: Vec<&Sheet> = state.threads.iter().map(|thread| &thread.sheet).collect();
        let mut families = fixed(&sheets);
        families.push(family(
            &OVERFLOWS,
            proto::MetricType::COUNTER,
            vec![overflows],
        ));
        families.push(histogram(&sheets));
        families.extend(named(sums));
        families
    }
}

/// What has the same labels whatever the table. The values without a label are always there; of the others
/// those that are not 0, and all transports and codes.
fn fixed(sheets: &[&Sheet]) -> Vec<proto::MetricFamily> {
    let sum =
        |of: &dyn Fn(&Sheet) -> &Count| sheets.iter().map(|sheet| of(sheet).get()).sum::<u64>();
    let list = |kind: &Kind, names: Vec<&str>, of: &dyn Fn(&Sheet) -> &[Count], all: bool| {
        let total = |i: usize| {
            let counts = sheets.iter().filter_map(|sheet| of(sheet).get(i));
            counts.map(Count::get).sum::<u64>()
        };
        let counts = names.iter().enumerate().map(|(i, name)| (name, total(i)));
        let counts = counts.filter(|(_, count)| all || *count > 0);
        let metrics = counts.map(|(name, count)| counter(kind.2, &[name], count));
        family(kind, proto::MetricType::COUNTER, metrics.collect())
    };
    let single = |kind: &Kind, of: &dyn Fn(&Sheet) -> &Count| {
        let metric = counter(&[], &[], sum(of));
        family(kind, proto::MetricType::COUNTER, vec![metric])
    };
    let types: Vec<String> = RType::named().map(|rtype| rtype.to_string()).collect();
    let types = types.iter().map(String::as_str).chain(["other"]).collect();
    vec![
        list(
            &QUERIES,
            Transport::ALL.map(Transport::name).to_vec(),
            &|sheet| &sheet.queries,
            true,
        ),
        list(&TYPES, types, &|sheet| &sheet.types.0, false),
        list(
            &RESPONSES,
            Rcode::ALL.map(Rcode::name).to_vec(),
            &|sheet| &sheet.responses,
            true,
        ),
        single(&TRUNCATED, &|sheet| &sheet.truncated),
        single(&MALFORMED, &|sheet| &sheet.malformed),
        single(&DROPPED, &|sheet| &sheet.dropped),
        single(&SEND_ERRORS, &|sheet| &sheet.send_errors),
        list(
            &LIMITED,
            Limited::ALL.map(Limited::name).to_vec(),
            &|sheet| &sheet.limited,
            false,
        ),
        list(
            &COOKIES,
            Status::TOLD.map(Status::name).to_vec(),
            &|sheet| &sheet.cookies,
            false,
        ),
    ]
}

/// What is named in the table.
fn named(sums: Sums) -> [proto::MetricFamily; 3] {
    let by_name = |kind: &Kind, sums: std::collections::BTreeMap<Arc<str>, u64>| {
        let metrics = sums
            .iter()
            .map(|(name, sum)| counter(kind.2, &[name], *sum));
        family(kind, proto::MetricType::COUNTER, metrics.collect())
    };
    let steered = sums.steered.iter().filter_map(|((region, verdict), sum)| {
        let verdict = VERDICTS.get(*verdict)?.name();
        Some(counter(STEERED.2, &[region, verdict], *sum))
    });
    [
        family(&STEERED, proto::MetricType::COUNTER, steered.collect()),
        by_name(&SERVICES, sums.services),
        by_name(&ZONES, sums.zones),
    ]
}

fn histogram(sheets: &[&Sheet]) -> proto::MetricFamily {
    let total = |i: usize| {
        let counts = sheets.iter().filter_map(|sheet| sheet.times.get(i));
        counts.map(Count::get).sum::<u64>()
    };
    let mut cumulative = 0;
    let mut buckets = Vec::with_capacity(BUCKETS.len());
    for (i, bound) in BUCKETS.iter().enumerate() {
        cumulative += total(i);
        let mut bucket = proto::Bucket::default();
        bucket.set_cumulative_count(cumulative);
        bucket.set_upper_bound(*bound as f64 / 1e9);
        buckets.push(bucket);
    }
    let sum_ns: u64 = sheets.iter().map(|sheet| sheet.time_ns.get()).sum();
    let mut histogram = proto::Histogram::default();
    histogram.set_sample_count(cumulative + total(BUCKETS.len()));
    histogram.set_sample_sum(sum_ns as f64 / 1e9);
    histogram.set_bucket(buckets);
    let mut metric = proto::Metric::from_label(Vec::new());
    metric.set_histogram(histogram);
    family(&TIME, proto::MetricType::HISTOGRAM, vec![metric])
}

fn family(kind: &Kind, of: proto::MetricType, metrics: Vec<proto::Metric>) -> proto::MetricFamily {
    let mut family = proto::MetricFamily::default();
    family.set_name(kind.0.to_owned());
    family.set_help(kind.1.to_owned());
    family.set_field_type(of);
    family.set_metric(metrics);
    family
}

fn counter(labels: &[&str], values: &[&str], count: u64) -> proto::Metric {
    let pairs = labels.iter().zip(values).map(|(label, value)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name((*label).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    let mut metric = proto::Metric::from_label(pairs.collect());
    let mut counter = proto::Counter::default();
    counter.set_value(count as f64);
    metric.set_counter(counter);
    metric
}
