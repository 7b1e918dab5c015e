//! The series that say what each region is doing, under a prefix the operator may choose.
//!
//! They are read off the snapshot when scraped, so they can't lag behind it.

use crate::daemon::traffic::Traffic;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts};
use steering::{PoolId, RegionId, Snapshot};

/// The prefix unless the operator gives one: the series are `rhumb_region_health`,
/// `rhumb_region_latency` and `rhumb_region_traffic`.
pub struct RegionMetrics<'a> {
    /// What comes before the underscore.
    pub prefix: &'a str,
}

impl RegionMetrics<'_> {
    /// The series as they are now.
    ///
    /// # Errors
    /// When the prefix makes no metric name.
    pub fn gather(
        &self,
        snapshot: &Snapshot,
        traffic: &Traffic,
    ) -> Result<Vec<MetricFamily>, prometheus::Error> {
        let health = self.gauge(
            "health",
            "1 while a pool of the region is usable",
            &["region"],
        )?;
        let latency = self.gauge(
            "latency",
            "Measured connect time from this PoP in seconds",
            &["source", "target"],
        )?;
        let share = self.gauge(
            "traffic",
            "Percent of the last minute's decisions",
            &["region"],
        )?;
        let capacity = self.gauge(
            "capacity",
            "What the operator says the region can carry",
            &["region"],
        )?;
        let table = snapshot.table();
        let shares = traffic.shares();
        for (i, region) in table.regions().iter().enumerate() {
            let usable = usable(snapshot, RegionId::at(i));
            health
                .with_label_values(&[&region.name])
                .set(f64::from(u8::from(usable)));
            share
                .with_label_values(&[&region.name])
                .set(shares.get(&region.name).copied().unwrap_or(0.0));
            if let Some(units) = region.capacity {
                capacity
                    .with_label_values(&[&region.name])
                    .set(f64::from(units));
            }
            if let Some(ms) = latency_ms(snapshot, RegionId::at(i)) {
                let labels = [&*table.pop().name, &*region.name];
                latency
                    .with_label_values(&labels)
                    .set(f64::from(ms) / 1000.0);
            }
        }
        Ok([health, latency, share, capacity]
            .iter()
            .flat_map(Collector::collect)
            // The text format has no way to write a series of which there is none.
            .filter(|family| !family.get_metric().is_empty())
            .collect())
    }

    fn gauge(
        &self,
        what: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, prometheus::Error> {
        GaugeVec::new(Opts::new(format!("{}_{what}", self.prefix), help), labels)
    }
}

fn pools(snapshot: &Snapshot, region: RegionId) -> impl Iterator<Item = PoolId> + '_ {
    let pools = snapshot.table().pools().iter().enumerate();
    pools
        .filter(move |(_, pool)| pool.region == region)
        .map(|(i, _)| PoolId::at(i))
}

/// Whether a region can serve: one of its pools is usable.
pub fn usable(snapshot: &Snapshot, region: RegionId) -> bool {
    pools(snapshot, region).any(|pool| snapshot.is_usable(pool))
}

/// The mean measured round trip to a region's pools.
pub fn latency_ms(snapshot: &Snapshot, region: RegionId) -> Option<f32> {
    let (mut sum, mut count) = (0.0, 0_u16);
    for ms in pools(snapshot, region).filter_map(|pool| snapshot.pool_ms(pool)) {
        sum += ms;
        count += 1;
    }
    (count > 0).then(|| sum / f32::from(count))
}
