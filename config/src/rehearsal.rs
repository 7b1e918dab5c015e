//! A rehearsal: the very table of a config, served on one machine with stand-ins for what the machine
//! does not have: endpoints, listeners, certificates.
//!
//! What is steered stays as written: policies, health checks with their times, TTLs, residency, and what
//! DNS publishes. A plan is made by whoever starts the stand-ins; nothing here starts, listens or writes.

use crate::checked::{
    AccessLog, Certificate, Checked, DnsListener, Expected, HttpsListener, Listen, Remote, Soa,
    What, Zone,
};
use crate::defaults;
use crate::files::{Disk, Files};
use crate::problem::{Problem, Severity};
use crate::{Loaded, load_with};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steering::health::{Probe, ProbeHttp, ProbeTls};

/// The most bytes of a plan.
const MAX_PLAN: u64 = 16 * 1024 * 1024;

/// Who stands in for what. All addresses must be loopback: a rehearsal reaches nobody and serves nobody
/// outside this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// By the address of each endpoint in the config: where its stand-in listens.
    #[serde(default)]
    pub endpoints: BTreeMap<SocketAddr, SocketAddr>,
    /// Where to listen instead of `listen`.
    #[serde(default)]
    pub listen: Listeners,
    /// A PEM file of the authority that stand-ins' certificates are from; needed when endpoints speak
    /// TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The text of `ca_file`: read with the plan, never written in it.
    #[serde(skip)]
    pub ca_pem: Option<Arc<str>>,
}

/// Where a rehearsal listens; whatever is left out is not listened on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listeners {
    /// DNS, over UDP and TCP.
    #[serde(default)]
    pub dns: Vec<SocketAddr>,
    /// HTTP.
    #[serde(default)]
    pub http: Vec<SocketAddr>,
    /// HTTPS.
    #[serde(default)]
    pub https: Vec<SecureListener>,
    /// Metrics, status, explain.
    #[serde(default)]
    pub admin: Option<SocketAddr>,
}

/// Where a rehearsal listens for HTTPS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecureListener {
    /// Where.
    pub address: SocketAddr,
    /// A PEM file of the certificate chain.
    pub cert: PathBuf,
    /// A PEM file of its key.
    pub key: PathBuf,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A file can't be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not a plan.
    #[error("{} is no rehearsal plan: {source}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// An address is not on this machine.
    #[error("{0} is not loopback; a rehearsal reaches and serves this machine only")]
    NotLoopback(SocketAddr),
}

impl Plan {
    /// Reads a plan (JSON) and the authority it names; paths in it are relative to its folder.
    ///
    /// # Errors
    /// When a file can't be read, a key is unknown, or an address is not loopback.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| PlanError::File { path, source }
        };
        let size = std::fs::metadata(path).map_err(failed(path))?.len();
        if size > MAX_PLAN {
            return Err(failed(path)(io::Error::other("it has more than 16 MiB")));
        }
        let text = std::fs::read_to_string(path).map_err(failed(path))?;
        let plan: Self = serde_json::from_str(&text).map_err(|source| PlanError::Malformed {
            path: path.to_owned(),
            source,
        })?;
        plan.from_folder(path.parent().unwrap_or(Path::new("")))
    }

    /// With the authority's text read and every path seen from `folder`.
    ///
    /// # Errors
    /// When the authority can't be read, or an address is not loopback.
    pub fn from_folder(mut self, folder: &Path) -> Result<Self, PlanError> {
        if let Some(address) = self.addresses().find(|address| !address.ip().is_loopback()) {
            return Err(PlanError::NotLoopback(address));
        }
        if let Some(file) = &mut self.ca_file {
            *file = folder.join(&file);
            let text = std::fs::read_to_string(&file).map_err(|source| PlanError::File {
                path: file.clone(),
                source,
            })?;
            self.ca_pem = Some(text.into());
        }
        for listener in &mut self.listen.https {
            listener.cert = folder.join(&listener.cert);
            listener.key = folder.join(&listener.key);
        }
        Ok(self)
    }

    fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let Listeners {
            dns,
            http,
            https,
            admin,
        } = &self.listen;
        let plain = self.endpoints.values().chain(dns).chain(http).chain(admin);
        plain
            .copied()
            .chain(https.iter().map(|https| https.address))
    }

    /// The config at `path` as this plan has it served.
    pub fn load(&self, path: &Path) -> Loaded {
        let mut loaded = load(path);
        if let Some(checked) = &mut loaded.checked {
            let missing = self.lay_over(checked);
            if !missing.is_empty() {
                loaded.problems.extend(missing);
                loaded.checked = None;
            }
        }
        loaded
    }

    /// Puts the stand-ins in place. Endpoints that have none are problems.
    fn lay_over(&self, checked: &mut Checked) -> Vec<Problem> {
        let file = checked.sources.path(0).unwrap_or(Path::new("")).to_owned();
        let mut missing = BTreeSet::new();
        let mut stand_in = |address: &mut SocketAddr| match self.endpoints.get(address) {
            Some(other) => *address = *other,
            None => {
                missing.insert(*address);
            }
        };
        for pool in &mut checked.table.pools {
            let endpoints = pool.endpoints.iter_mut();
            endpoints.for_each(|endpoint| stand_in(&mut endpoint.address));
        }
        for expectation in &mut checked.expectations {
            for what in expectation.down.iter_mut().chain(&mut expectation.up) {
                if let What::Endpoint(address) = what {
                    stand_in(address);
                }
            }
            for expected in &mut expectation.expected {
                if let Expected::Endpoint(address) = expected {
                    stand_in(address);
                }
            }
        }
        self.trust(checked);
        self.place(checked);
        missing
            .into_iter()
            .map(|address| no_stand_in(&file, address))
            .collect()
    }

    /// Stand-ins are trusted by their own authority, wherever the config verifies at all.
    fn trust(&self, checked: &mut Checked) {
        let Some(pem) = &self.ca_pem else { return };
        for upstream in &mut checked.upstreams {
            if let Some(tls) = &mut upstream.tls {
                tls.ca_pem = Some(pem.clone());
                tls.ca_file.clone_from(&self.ca_file);
            }
        }
        for check in &mut checked.table.checks {
            if let Some(tls) = probe_tls(&mut check.probe) {
                tls.ca_pem = Some(pem.clone());
            }
        }
    }

    /// Listeners, and what a run leaves behind on the machine.
    fn place(&self, checked: &mut Checked) {
        let https = self.listen.https.iter().map(|listener| HttpsListener {
            address: listener.address,
            certificates: vec![Certificate {
                cert: listener.cert.clone(),
                key: listener.key.clone(),
            }],
        });
        let dns = self.listen.dns.iter().map(|address| DnsListener {
            address: *address,
            proxy_protocol: false,
        });
        checked.listen = Listen {
            dns: dns.collect(),
            http: self.listen.http.clone(),
            https: https.collect(),
            admin: self.listen.admin,
            ..Listen::default()
        };
        checked.state_dir = None;
        if matches!(checked.access_log, AccessLog::File(_)) {
            checked.access_log = AccessLog::Off;
        }
        checked.dns.query_log = None;
        checked.zones.iter_mut().for_each(keep_from_peers);
        // Every client of a rehearsal is on this machine and says whom it plays.
        let local: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        for (address, bits) in local.into_iter().zip([8, 128]) {
            let network = IpNet::new(address, bits).map(|network| network.trunc());
            checked.trusted_proxies.extend(network);
        }
    }
}

/// Nobody outside this machine is told of a zone or asked for one. A zone that would come from there has only what is
/// written here, below a SOA that stands in.
fn keep_from_peers(zone: &mut Zone) {
    let is_here = |server: &Remote| server.address.ip().is_loopback();
    zone.transfer.notify.retain(is_here);
    let kept_elsewhere = !zone.primaries.is_empty();
    zone.primaries.retain(is_here);
    if kept_elsewhere && zone.primaries.is_empty() {
        let minimum = defaults::SOA_MINIMUM.as_secs() as u32;
        zone.soa = Some(Soa {
            mname: "primary.invalid".to_owned(),
            rname: "hostmaster.invalid".to_owned(),
            serial: Some(defaults::SOA_SERIAL),
            refresh: defaults::SOA_REFRESH.as_secs() as u32,
            retry: defaults::SOA_RETRY.as_secs() as u32,
            expire: defaults::SOA_EXPIRE.as_secs() as u32,
            minimum,
        });
        zone.ns = vec!["primary.invalid".to_owned()];
    }
}

/// The TLS side of a probe, where it has one.
pub(crate) fn probe_tls(probe: &mut Probe) -> Option<&mut ProbeTls> {
    match probe {
        Probe::Tls(tls) | Probe::Http(ProbeHttp { tls: Some(tls), .. }) => Some(tls),
        Probe::Tcp | Probe::Http(_) => None,
    }
}

fn no_stand_in(file: &Path, address: SocketAddr) -> Problem {
    Problem {
        severity: Severity::Error,
        code: "no_stand_in",
        file: file.to_owned(),
        line: 0,
        column: 0,
        path: "pools".to_owned(),
        message: format!("the rehearsal has no stand-in for endpoint {address}"),
        hint: Some("add it to `endpoints` of the rehearsal plan".to_owned()),
        frame: String::new(),
    }
}

/// Reads the config at `path` on a machine that is not its own: certificates, keys and authorities that
/// are not here are taken to exist, since a rehearsal puts others in their place. Where it names anything
/// else that is missing, that is found when it is opened.
pub fn load(path: &Path) -> Loaded {
    load_with(path, &ElsewhereToo::default())
}

/// The files on disk, and those that are only on the machine the config is for.
#[derive(Default)]
struct ElsewhereToo {
    /// Files that were asked for and are not here.
    missing: RefCell<BTreeSet<PathBuf>>,
}

impl Files for ElsewhereToo {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        if self.missing.borrow().contains(path) {
            return Ok(Vec::new());
        }
        Disk.read(path, limit)
    }

    fn exists(&self, path: &Path) -> bool {
        if !Disk.exists(path) {
            self.missing.borrow_mut().insert(path.to_owned());
        }
        true
    }

    fn matching(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        Disk.matching(pattern)
    }
}
