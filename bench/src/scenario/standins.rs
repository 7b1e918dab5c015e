//! Stand-ins for the endpoints of a scenario's configs: one origin an address, that answers the health
//! checks of its pools as they expect, over TLS where they speak it, with certificates made for the
//! occasion.

use super::ScenarioError;
use crate::origin::tls::{Authority, TlsError};
use crate::origin::{Condition, HealthPath, OriginSpec, Origins, Probe as Seen};
use config::Checked;
use config::scenario::How;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use steering::health::{Probe, ProbeHttp, ProbeTls};

/// The body of a health answer where none is expected.
const BODY: &str = "ok";
/// Names in one certificate.
const MAX_NAMES: usize = 200;

/// What one endpoint must be able to do.
#[derive(Default)]
struct Part {
    region: Arc<str>,
    health: Vec<HealthPath>,
    tls: bool,
    /// A check asks something, and does not only connect.
    is_asked: bool,
}

/// The origins that play the endpoints.
pub(super) struct StandIns {
    origins: Origins,
    /// By where it listens: which it is, and whether its checks only connect.
    by_address: BTreeMap<SocketAddr, (usize, bool)>,
    /// By the address in the config: where its stand-in listens.
    pub(super) endpoints: BTreeMap<SocketAddr, SocketAddr>,
}

impl StandIns {
    /// Starts one for every endpoint of these configs, all up.
    pub(super) fn start(configs: &[Checked], authority: &Authority) -> Result<Self, ScenarioError> {
        let mut parts: BTreeMap<SocketAddr, Part> = BTreeMap::new();
        let mut names: BTreeSet<String> = [Ipv4Addr::LOCALHOST.to_string()].into();
        for checked in configs {
            cast(checked, &mut parts, &mut names);
        }
        let names: Vec<&str> = names.iter().map(String::as_str).take(MAX_NAMES).collect();
        let identity = authority.identity(&names)?;
        let tls = identity.server(&["http/1.1"])?;
        let specs = parts.values().map(|part| OriginSpec {
            region: part.region.clone(),
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            health: part.health.clone(),
            tls: part.tls.then(|| tls.clone()),
        });
        let origins = Origins::start(specs.collect(), None).map_err(ScenarioError::Origins)?;
        let mut stand_ins = Self {
            by_address: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            origins,
        };
        for (i, (address, part)) in parts.iter().enumerate() {
            let place = stand_ins.origins.address(i);
            stand_ins.by_address.insert(place, (i, !part.is_asked));
            stand_ins.endpoints.insert(*address, place);
        }
        Ok(stand_ins)
    }

    /// From now on these are so.
    pub(super) fn fail(
        &self,
        addresses: &BTreeSet<SocketAddr>,
        how: How,
    ) -> Result<(), ScenarioError> {
        self.set(addresses, |connects_only| match how {
            // A check that only connects would see nothing of an answer.
            How::Failing if connects_only => Condition::Refusing,
            How::Failing => Condition::Failing,
            How::Refusing => Condition::Refusing,
            How::Resetting => Condition::Resetting,
            How::Silent => Condition::Silent,
        })
    }

    /// From now on these are up.
    pub(super) fn heal(&self, addresses: &BTreeSet<SocketAddr>) -> Result<(), ScenarioError> {
        self.set(addresses, |_| Condition::Up)
    }

    fn set(
        &self,
        addresses: &BTreeSet<SocketAddr>,
        condition: impl Fn(bool) -> Condition,
    ) -> Result<(), ScenarioError> {
        for address in addresses {
            if let Some((origin, connects_only)) = self.by_address.get(address) {
                self.origins
                    .set(*origin, condition(*connects_only))
                    .map_err(ScenarioError::Origins)?;
            }
        }
        Ok(())
    }

    /// The first probe since then that one of these saw, and passed or not.
    pub(super) fn first_probe(
        &self,
        addresses: &BTreeSet<SocketAddr>,
        since: Instant,
        passed: bool,
    ) -> Option<Instant> {
        let origins = addresses.iter().filter_map(|a| self.by_address.get(a));
        let probes = origins.flat_map(|(origin, _)| self.origins.probes(*origin));
        let meant = |probe: &Seen| probe.at >= since && probe.passed == passed;
        probes.filter(meant).map(|probe| probe.at).min()
    }
}

impl From<TlsError> for ScenarioError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

/// Takes in what the pools of a config ask of their endpoints.
fn cast(checked: &Checked, parts: &mut BTreeMap<SocketAddr, Part>, names: &mut BTreeSet<String>) {
    let table = &checked.table;
    for (pool, upstream) in table.pools.iter().zip(&checked.upstreams) {
        let region = &table.regions[pool.region.index()].name;
        let check = pool.check.map(|check| &table.checks[check.index()].probe);
        if let Some(tls) = &upstream.tls {
            names.extend(tls.server_name.iter().map(|name| name.to_string()));
            names.extend(upstream.host.iter().map(|host| host_of(host).to_owned()));
        }
        for endpoint in &pool.endpoints {
            let part = parts.entry(endpoint.address).or_insert_with(|| Part {
                region: region.clone(),
                ..Part::default()
            });
            part.tls |= upstream.tls.is_some();
            if let Some(probe) = check {
                part.take(probe, names);
            }
        }
    }
}

impl Part {
    fn take(&mut self, probe: &Probe, names: &mut BTreeSet<String>) {
        let mut tls = |tls: &ProbeTls, host: Option<&str>| {
            names.extend(tls.server_name.iter().map(|name| name.to_string()));
            names.extend(host.map(|host| host_of(host).to_owned()));
        };
        match probe {
            Probe::Tcp => {}
            Probe::Tls(probe) => {
                tls(probe, None);
                self.tls = true;
            }
            Probe::Http(http) => {
                if let Some(probe) = &http.tls {
                    tls(probe, http.host.as_deref());
                    self.tls = true;
                }
                self.is_asked = true;
                let health = healthy(http);
                if !self.health.contains(&health) {
                    self.health.push(health);
                }
            }
        }
    }
}

/// An answer that the check takes for healthy: 200 where that will do, else the lowest status that will
/// and that can have the body.
fn healthy(http: &ProbeHttp) -> HealthPath {
    // These have none (RFC 9110 §6.4.1).
    let has_body = |status: u16| !matches!(status, 204 | 304);
    let takes = |status: &u16| {
        let is_in = |(lowest, highest): &(u16, u16)| (*lowest..=*highest).contains(status);
        http.statuses.iter().any(is_in) && (http.body.is_none() || has_body(*status))
    };
    let status = (200..600).find(takes).unwrap_or(200);
    let body = http.body.as_deref().unwrap_or(BODY);
    HealthPath {
        path: http.path.to_string(),
        status,
        body: if has_body(status) { body } else { "" }.to_owned(),
    }
}

/// A host without its port.
fn host_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}
