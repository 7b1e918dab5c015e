//! How much traffic each region got: counted on the hot path, read as shares of the last minute.
//!
//! The counters of a table travel in its planes, one a region, so counting a decision is one atomic
//! add at a position both sides agree on; a region's counter is kept over reloads by name.

use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use steering::{RegionId, Snapshot, TableSpec};

/// How many seconds a share looks back.
const WINDOW: usize = 60;

/// The counters of one table, by region id.
pub struct RegionCounters(Vec<Arc<AtomicU64>>);

/// All regions ever seen in this run, by name.
#[derive(Default)]
pub struct Traffic {
    counters: Mutex<HashMap<Arc<str>, Region>>,
}

#[derive(Default)]
struct Region {
    total: Arc<AtomicU64>,
    /// The total at each of the last seconds, the oldest first.
    past: VecDeque<u64>,
}

impl Traffic {
    /// Puts the counters of a table's regions in its planes, before it is compiled. Regions that no
    /// table has any more are forgotten with the next call.
    pub fn attach(&self, spec: &mut TableSpec) {
        let mut known = self.counters.lock();
        let mut kept = HashMap::with_capacity(spec.regions.len());
        let mut list = Vec::with_capacity(spec.regions.len());
        for region in &spec.regions {
            let counter = known.remove(&region.name).unwrap_or_default();
            list.push(counter.total.clone());
            kept.insert(region.name.clone(), counter);
        }
        *known = kept;
        spec.planes.insert(Arc::new(RegionCounters(list)));
    }

    /// Counts decisions for one region.
    #[inline]
    pub fn count(snapshot: &Snapshot, region: Option<RegionId>, count: u64) {
        let counters = snapshot.table().planes().find::<RegionCounters>();
        if let (Some(counters), Some(region)) = (counters, region)
            && let Some(counter) = counters.0.get(region.index())
        {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Remembers the totals of this second; to be called once a second.
    pub fn tick(&self) {
        for region in self.counters.lock().values_mut() {
            if region.past.len() == WINDOW {
                region.past.pop_front();
            }
            region.past.push_back(region.total.load(Ordering::Relaxed));
        }
    }

    /// Calls [`Traffic::tick`] every second, for ever.
    pub async fn run(self: Arc<Self>) {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            self.tick();
        }
    }

    /// Each region's share of the last minute's decisions in percent; all zero when there were none.
    pub fn shares(&self) -> HashMap<Arc<str>, f64> {
        let counters = self.counters.lock();
        let recent = |region: &Region| {
            let now = region.total.load(Ordering::Relaxed);
            now - region.past.front().copied().unwrap_or(0).min(now)
        };
        let sum: u64 = counters.values().map(recent).sum();
        let share = |region: &Region| {
            if sum == 0 {
                0.0
            } else {
                100.0 * recent(region) as f64 / sum as f64
            }
        };
        counters
            .iter()
            .map(|(name, region)| (name.clone(), share(region)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(names: &[&str]) -> TableSpec {
        let region = |name: &&str| steering::spec::Region {
            name: (*name).into(),
            place: None,
            country: None,
            jurisdiction: None,
            capacity: None,
        };
        TableSpec {
            regions: names.iter().map(region).collect(),
            ..TableSpec::default()
        }
    }

    fn add(spec: &TableSpec, region: usize, n: u64) {
        let counters = spec.planes.find::<RegionCounters>().expect("attached");
        counters.0[region].fetch_add(n, Ordering::Relaxed);
    }

    #[test]
    fn shares_look_back_a_minute_and_survive_a_reload() {
        let traffic = Traffic::default();
        let mut old = spec(&["a", "b"]);
        traffic.attach(&mut old);
        assert_eq!(traffic.shares()["a"], 0.0);
        add(&old, 0, 30);
        let mut new = spec(&["b", "a"]);
        traffic.attach(&mut new);
        add(&new, 0, 10);
        assert_eq!((traffic.shares()["a"], traffic.shares()["b"]), (75.0, 25.0));
        for _ in 0..=WINDOW {
            traffic.tick();
        }
        assert_eq!(traffic.shares()["a"], 0.0, "a minute later it is forgotten");
        add(&new, 0, 1);
        assert_eq!(traffic.shares()["b"], 100.0);
    }
}
