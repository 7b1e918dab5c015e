//! What a PoP says of itself: a value that the admin address serves as JSON and `rhumb status` prints.

use super::metrics::{latency_ms, usable};
use crate::daemon::State;
use crate::daemon::reload::LastReload;
use crate::daemon::transfers::ZoneStatus;
use health::TargetReport;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use steering::health::TargetKey;
use steering::{EndpointId, RegionId, Snapshot, Timestamp};

/// The state of a PoP.
#[derive(Debug, Serialize, Deserialize)]
pub struct Status {
    /// The version of the binary.
    pub version: String,
    /// The node's name.
    pub pop: String,
    /// Whether it takes clients.
    pub ready: bool,
    /// The generation that serves.
    pub generation: u64,
    /// When it started.
    pub started: Timestamp,
    /// When this was written.
    pub now: Timestamp,
    /// How the last reload ended.
    pub reload: LastReload,
    /// Where it listens, by plane.
    pub listening: HashMap<String, Vec<SocketAddr>>,
    /// What clients are located by.
    pub locations: String,
    /// Regions, as in the config.
    pub regions: Vec<RegionStatus>,
    /// Endpoints, pool by pool.
    pub endpoints: Vec<EndpointStatus>,
    /// Zones that other servers keep.
    #[serde(default)]
    pub secondary_zones: Vec<ZoneStatus>,
}

/// One region.
#[derive(Debug, Serialize, Deserialize)]
pub struct RegionStatus {
    /// Its name.
    pub name: String,
    /// Whether one of its pools is usable.
    pub usable: bool,
    /// The measured connect time from this PoP, in milliseconds.
    pub latency_ms: Option<f32>,
    /// Its share of the last minute's decisions, in percent.
    pub traffic_percent: f64,
    /// What the operator says it can carry, in units of their own.
    pub capacity: Option<u32>,
}

/// One endpoint.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// The pool it belongs to.
    pub pool: String,
    /// The region it is in.
    pub region: String,
    /// Where it is.
    pub address: SocketAddr,
    /// Its share in the pool.
    pub weight: u16,
    /// `up`, `down` or `unknown`.
    pub state: steering::health::Status,
    /// Since when, if it is checked.
    pub since: Option<Timestamp>,
    /// Consecutive outcomes against the state.
    pub against: u16,
    /// When the last probe ended.
    pub last_probe: Option<Timestamp>,
    /// What the last failure was.
    pub last_error: Option<String>,
    /// The measured connect time, in milliseconds.
    pub latency_ms: Option<f32>,
}

impl Status {
    /// The state now.
    pub fn new(state: &State) -> Self {
        let snapshot = state.reader.snapshot();
        let reports: HashMap<TargetKey, TargetReport> = state
            .reports()
            .into_iter()
            .map(|report| (report.key.clone(), report))
            .collect();
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pop: snapshot.table().pop().name.to_string(),
            ready: state.is_ready(),
            generation: snapshot.generation(),
            started: state.started,
            now: crate::daemon::now(),
            reload: state.last_reload(),
            listening: state.listening(),
            locations: snapshot.geo().source.clone(),
            regions: regions(&snapshot, state),
            endpoints: (0..snapshot.table().endpoints().len())
                .map(|i| endpoint(&snapshot, EndpointId::at(i), &reports))
                .collect(),
            secondary_zones: state.secondary_zones(),
        }
    }
}

fn regions(snapshot: &Snapshot, state: &State) -> Vec<RegionStatus> {
    let shares = state.traffic.shares();
    let regions = snapshot.table().regions().iter().enumerate();
    regions
        .map(|(i, region)| RegionStatus {
            name: region.name.to_string(),
            usable: usable(snapshot, RegionId::at(i)),
            latency_ms: latency_ms(snapshot, RegionId::at(i)),
            traffic_percent: shares.get(&region.name).copied().unwrap_or(0.0),
            capacity: region.capacity,
        })
        .collect()
}

fn endpoint(
    snapshot: &Snapshot,
    id: EndpointId,
    reports: &HashMap<TargetKey, TargetReport>,
) -> EndpointStatus {
    let table = snapshot.table();
    let endpoint = &table.endpoints()[id.index()];
    let pool = &table.pools()[endpoint.pool.index()];
    let target = &table.targets()[endpoint.target.index()];
    let health = snapshot.health(endpoint.target);
    let checked = target.check.is_some();
    let report = reports.get(&target.key);
    let probed = report.map_or(health.last_probe, |report| report.health.last_probe);
    EndpointStatus {
        pool: pool.name.to_string(),
        region: table.regions()[pool.region.index()].name.to_string(),
        address: endpoint.address,
        weight: endpoint.weight,
        state: snapshot.status(id),
        since: checked.then_some(health.since),
        against: health.against,
        last_probe: (checked && probed > Timestamp(0)).then_some(probed),
        last_error: report
            .and_then(|report| report.last_error.as_ref())
            .map(|error| error.message.clone()),
        latency_ms: snapshot.measured_ms(endpoint.target),
    }
}

/// As `rhumb status` prints it.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let up = self.now.since(self.started).as_secs();
        let ready = if self.ready { "ready" } else { "not ready" };
        writeln!(
            f,
            "{} (rhumb {}): {ready}, generation {}, up {}",
            self.pop,
            self.version,
            self.generation,
            ago(up)
        )?;
        writeln!(f, "locations  {}", self.locations)?;
        writeln!(f, "reload     {}", self.reload.summary(self.now))?;
        for problem in &self.reload.problems {
            writeln!(f, "           {problem}")?;
        }
        let mut planes: Vec<_> = self.listening.iter().collect();
        planes.sort();
        for (plane, addresses) in planes {
            let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            writeln!(f, "{plane:<10} {}", list.join(", "))?;
        }
        writeln!(
            f,
            "\n{:<24} {:<8} {:>9} {:>8}",
            "REGION", "USABLE", "LATENCY", "TRAFFIC"
        )?;
        for region in &self.regions {
            let usable = if region.usable { "yes" } else { "NO" };
            let traffic = format!("{:.1} %", region.traffic_percent);
            writeln!(
                f,
                "{:<24} {usable:<8} {:>9} {traffic:>8}",
                region.name,
                millis(region.latency_ms)
            )?;
        }
        writeln!(
            f,
            "\n{:<24} {:<24} {:<8} {:>8} {:>9}  LAST ERROR",
            "ENDPOINT", "POOL", "STATE", "SINCE", "LATENCY"
        )?;
        for endpoint in &self.endpoints {
            let since = endpoint
                .since
                .map_or_else(|| "-".to_owned(), |at| ago(self.now.since(at).as_secs()));
            writeln!(
                f,
                "{:<24} {:<24} {:<8} {since:>8} {:>9}  {}",
                endpoint.address.to_string(),
                endpoint.pool,
                endpoint.state.name(),
                millis(endpoint.latency_ms),
                endpoint.last_error.as_deref().unwrap_or("")
            )?;
        }
        secondary_zones(&self.secondary_zones, self.now, f)
    }
}

fn secondary_zones(
    zones: &[ZoneStatus],
    now: Timestamp,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    if zones.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "\n{:<24} {:<15} {:>10} {:>9} {:>8}  LAST ERROR",
        "SECONDARY ZONE", "STATE", "SERIAL", "CHECKED", "NEXT"
    )?;
    for zone in zones {
        let serial = zone
            .serial
            .map_or_else(|| "-".to_owned(), |n| n.to_string());
        let checked = zone
            .checked
            .map_or_else(|| "-".to_owned(), |at| ago(now.since(at).as_secs()));
        let next = ago(zone.next.since(now).as_secs());
        writeln!(
            f,
            "{:<24} {:<15} {serial:>10} {checked:>9} {next:>8}  {}",
            zone.zone,
            zone.state,
            zone.error.as_deref().unwrap_or("")
        )?;
    }
    Ok(())
}

fn millis(ms: Option<f32>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"))
}

/// Seconds in the largest fitting unit.
pub fn ago(secs: u64) -> String {
    match secs {
        0..=119 => format!("{secs} s"),
        120..=7199 => format!("{} min", secs / 60),
        7200..=172_799 => format!("{} h", secs / 3600),
        _ => format!("{} d", secs / 86_400),
    }
}
