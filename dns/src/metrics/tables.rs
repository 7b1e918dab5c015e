//! What is counted by service, region, verdict and zone: arrays by the ids of one table, folded by name
//! when the table changes.
//!
//! What never happens here: no series ever goes down. A name that once had a series keeps it, and one
//! that was counted as `other` stays there for as long as its table lasts.

use super::counters::Count;
use super::{MAX_REGIONS, MAX_SERVICES, MAX_ZONES};
use crate::store::Zones;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Weak};
use steering::{Table, Verdict};

/// All verdicts, in the order of [`verdict_index`].
pub(super) const VERDICTS: [Verdict; 4] = [
    Verdict::Steered,
    Verdict::FailOpen,
    Verdict::Refused,
    Verdict::NoService,
];

pub(super) const fn verdict_index(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Steered => 0,
        Verdict::FailOpen => 1,
        Verdict::Refused => 2,
        Verdict::NoService => 3,
    }
}

/// What names beyond the bounds are called.
const OTHER: &str = "other";
/// What the region of a decision without one is called.
const NO_REGION: &str = "none";

/// The names of one table's ids, as they are counted. Each list ends with the one for all ids behind it.
#[derive(Default)]
pub(super) struct Labels {
    /// Not the table itself: that would keep all of its zones for as long as a thread sleeps.
    table: Weak<Table>,
    services: Vec<Arc<str>>,
    /// The first is for decisions without a region.
    regions: Vec<Arc<str>>,
    zones: Vec<Arc<str>>,
}

/// One thread's counters of one table.
#[derive(Default)]
pub(super) struct OfTable {
    labels: Arc<Labels>,
    pub(super) services: Box<[Count]>,
    /// By region, then verdict.
    pub(super) steered: Box<[Count]>,
    pub(super) zones: Box<[Count]>,
}

/// The names that have a series of their own: those that came first.
#[derive(Default)]
pub(super) struct Known {
    services: HashSet<Arc<str>>,
    regions: HashSet<Arc<str>>,
    zones: HashSet<Arc<str>>,
}

/// Sums by name.
#[derive(Clone, Default)]
pub(super) struct Sums {
    pub(super) services: BTreeMap<Arc<str>, u64>,
    pub(super) steered: BTreeMap<(Arc<str>, usize), u64>,
    pub(super) zones: BTreeMap<Arc<str>, u64>,
}

impl Labels {
    pub(super) fn new(table: &Arc<Table>, known: &mut Known) -> Self {
        let zones = table.planes().find::<Zones>();
        let zones = zones.into_iter().flat_map(Zones::apexes);
        let regions = table.regions().iter().map(|region| region.name.clone());
        Self {
            table: Arc::downgrade(table),
            services: named(
                table.services().iter().map(|service| service.name.clone()),
                &mut known.services,
                MAX_SERVICES,
            ),
            regions: std::iter::once(NO_REGION.into())
                .chain(named(regions, &mut known.regions, MAX_REGIONS))
                .collect(),
            zones: named(
                zones.map(|apex| apex.to_string().into()),
                &mut known.zones,
                MAX_ZONES,
            ),
        }
    }

    /// Whether these are the names of `table`. No other can lie where it did while we remember it.
    #[inline]
    pub(super) fn is_of(&self, table: &Arc<Table>) -> bool {
        std::ptr::eq(self.table.as_ptr(), Arc::as_ptr(table))
    }
}

/// At most `most` names, and `other` for the rest.
fn named(
    all: impl Iterator<Item = Arc<str>>,
    known: &mut HashSet<Arc<str>>,
    most: usize,
) -> Vec<Arc<str>> {
    let own = all.take(most).map(|name| {
        if known.contains(&name) || (known.len() < most && known.insert(name.clone())) {
            name
        } else {
            OTHER.into()
        }
    });
    own.collect::<Vec<_>>()
        .into_iter()
        .chain([OTHER.into()])
        .collect()
}

impl OfTable {
    pub(super) fn new(labels: Arc<Labels>) -> Self {
        let counts = |n: usize| (0..n).map(|_| Count::default()).collect();
        Self {
            services: counts(labels.services.len()),
            steered: counts(labels.regions.len() * VERDICTS.len()),
            zones: counts(labels.zones.len()),
            labels,
        }
    }

    #[inline]
    pub(super) fn is_of(&self, table: &Arc<Table>) -> bool {
        self.labels.is_of(table)
    }

    /// Adds what was counted to `sums`.
    pub(super) fn fold(&self, sums: &mut Sums) {
        fold(&self.labels.services, &self.services, &mut sums.services);
        fold(&self.labels.zones, &self.zones, &mut sums.zones);
        let by_region = self.steered.chunks(VERDICTS.len());
        for (region, counts) in self.labels.regions.iter().zip(by_region) {
            for (verdict, count) in counts.iter().enumerate() {
                if count.get() > 0 {
                    *sums.steered.entry((region.clone(), verdict)).or_default() += count.get();
                }
            }
        }
    }
}

fn fold(names: &[Arc<str>], counts: &[Count], sums: &mut BTreeMap<Arc<str>, u64>) {
    for (name, count) in names.iter().zip(counts) {
        if count.get() > 0 {
            *sums.entry(name.clone()).or_default() += count.get();
        }
    }
}
