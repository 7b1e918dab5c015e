//! What is counted, under which names. Label values are bounded: regions and verdicts come from the table,
//! and only the first [`MAX_SERVICES`] services get a series of their own.
//!
//! What never happens here: nothing is registered twice, nothing is served over HTTP (that is the
//! binary's).

use crate::query::{Rcode, Transport};
use crate::respond::{Decided, Outcome};
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;
use steering::{RegionId, Snapshot, Verdict};

/// The most services with a series of their own; the others are counted together as `other`.
pub const MAX_SERVICES: usize = 1_000;
/// The most pairs of region and verdict with a series of their own, over all reloads of one run.
pub const MAX_REGIONS: usize = 4_096;
/// One in so many queries has its time taken.
pub const TIMED_ONE_IN: u64 = 64;

/// Told of every decision that DNS took: for traffic shares and the like. Called on the query path, so it
/// must be quick and must not block.
pub trait Observe: Send + Sync + 'static {
    /// So many decisions for one region, and the snapshot whose ids they use.
    fn on_decisions(&self, snapshot: &Snapshot, region: Option<RegionId>, count: u64);
}

/// Nobody listens.
impl Observe for () {
    fn on_decisions(&self, _snapshot: &Snapshot, _region: Option<RegionId>, _count: u64) {}
}

/// The counters of the DNS plane.
pub struct Metrics {
    queries: [IntCounter; Transport::ALL.len()],
    responses: [IntCounter; Rcode::ALL.len()],
    steered: Family<(Option<Arc<str>>, Verdict)>,
    services: Family<Arc<str>>,
    truncated: IntCounter,
    malformed: IntCounter,
    dropped: IntCounter,
    time: Histogram,
    pub(crate) tcp_open: IntGauge,
    pub(crate) tcp_accepted: IntCounter,
    pub(crate) tcp_rejected: IntCounter,
    pub(crate) tcp_timeouts: IntCounter,
    pub(crate) send_errors: IntCounter,
}

impl Metrics {
    /// Registers everything with `registry`.
    ///
    /// # Errors
    /// A name is already taken there.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let queries = vec(
            registry,
            "rhumb_dns_queries_total",
            "Packets that came in.",
            &["transport"],
        )?;
        let responses = vec(
            registry,
            "rhumb_dns_responses_total",
            "Responses by code.",
            &["rcode"],
        )?;
        let steered = vec(
            registry,
            "rhumb_dns_steered_total",
            "Decisions by chosen region and verdict.",
            &["region", "verdict"],
        )?;
        let services = vec(
            registry,
            "rhumb_dns_service_queries_total",
            "Decisions by service; beyond the first 1,000 services: other.",
            &["service"],
        )?;
        let counter = |name, help| one(registry, IntCounter::new(name, help)?);
        let buckets = vec![
            1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2,
        ];
        let time = HistogramOpts::new(
            "rhumb_dns_handling_seconds",
            "From a packet read to its response made; one in 64 is timed.",
        );
        Ok(Self {
            queries: Transport::ALL.map(|t| queries.with_label_values(&[t.name()])),
            responses: Rcode::ALL.map(|rcode| responses.with_label_values(&[rcode.name()])),
            steered: Family::new(steered, &["other", "other"]),
            services: Family::new(services, &["other"]),
            truncated: counter(
                "rhumb_dns_truncated_total",
                "Responses cut to their question, TC set.",
            )?,
            malformed: counter(
                "rhumb_dns_malformed_total",
                "Packets that are no well-formed query.",
            )?,
            dropped: counter("rhumb_dns_dropped_total", "Packets that got no response.")?,
            time: one(registry, Histogram::with_opts(time.buckets(buckets))?)?,
            tcp_open: one(
                registry,
                IntGauge::new("rhumb_dns_tcp_connections", "Open TCP connections.")?,
            )?,
            tcp_accepted: counter("rhumb_dns_tcp_accepted_total", "TCP connections taken.")?,
            tcp_rejected: counter(
                "rhumb_dns_tcp_rejected_total",
                "TCP connections closed at once because the limit was reached.",
            )?,
            tcp_timeouts: counter(
                "rhumb_dns_tcp_timeouts_total",
                "TCP connections closed for idleness.",
            )?,
            send_errors: counter(
                "rhumb_dns_send_errors_total",
                "Responses the system would not send.",
            )?,
        })
    }

    /// Counts what became of one packet.
    pub fn count(
        &self,
        transport: Transport,
        snapshot: &Snapshot,
        outcome: &Outcome,
        observe: &dyn Observe,
    ) {
        if let Some(counter) = self.queries.get(transport.index()) {
            counter.inc();
        }
        match outcome {
            Outcome::Dropped => self.dropped.inc(),
            Outcome::Rejected(rcode) => {
                self.malformed.inc_by(u64::from(*rcode == Rcode::FormErr));
                self.response(*rcode);
            }
            Outcome::Answered(summary) => {
                self.truncated.inc_by(u64::from(summary.truncated));
                self.response(summary.rcode);
                if let Some(decided) = &summary.decided {
                    self.decision(snapshot, decided, observe);
                }
            }
        }
    }

    /// How long one packet took.
    pub fn time(&self, took: Duration) {
        self.time.observe(took.as_secs_f64());
    }

    fn response(&self, rcode: Rcode) {
        if let Some(counter) = self.responses.get(rcode.index()) {
            counter.inc();
        }
    }

    fn decision(&self, snapshot: &Snapshot, decided: &Decided, observe: &dyn Observe) {
        observe.on_decisions(snapshot, decided.region, 1);
        let table = snapshot.table();
        let region = decided
            .region
            .and_then(|id| table.regions().get(id.index()))
            .map(|r| r.name.clone());
        let verdict = decided.verdict;
        self.steered
            .inc((region, verdict), MAX_REGIONS, |(region, verdict)| {
                [
                    region.as_deref().unwrap_or("none").to_owned(),
                    verdict.name().to_owned(),
                ]
                .to_vec()
            });
        if let Some(service) = table.services().get(decided.service.index()) {
            self.services
                .inc(service.name.clone(), MAX_SERVICES, |name| {
                    vec![name.to_string()]
                });
        }
    }
}

/// The series of one metric, found without making label texts each time.
struct Family<K> {
    vec: IntCounterVec,
    known: RwLock<HashMap<K, IntCounter>>,
    other: (&'static [&'static str], OnceLock<IntCounter>),
}

impl<K: Eq + std::hash::Hash + Clone> Family<K> {
    /// `other` are the labels of what is counted together.
    fn new(vec: IntCounterVec, other: &'static [&'static str]) -> Self {
        Self {
            vec,
            known: RwLock::default(),
            other: (other, OnceLock::new()),
        }
    }

    /// Counts one for `key`; beyond `most` keys, for `other`.
    fn inc(&self, key: K, most: usize, labels: impl Fn(&K) -> Vec<String>) {
        if let Some(counter) = self
            .known
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .get(&key)
        {
            counter.inc();
            return;
        }
        if self.known.read().unwrap_or_else(|e| e.into_inner()).len() >= most {
            let (labels, other) = &self.other;
            other
                .get_or_init(|| self.vec.with_label_values(labels))
                .inc();
            return;
        }
        let texts = labels(&key);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let counter = self.vec.with_label_values(&texts);
        counter.inc();
        self.known
            .write()
            .unwrap_or_else(|e| e.into_inner())
            .insert(key, counter);
    }
}

fn vec(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    one(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn one<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
