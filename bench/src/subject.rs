//! What is put under load: the services of one config, the names and URLs they are asked by, and the
//! snapshot that says what each client must get. Built once, read by everything else.

use crate::record::{Answer, MAX_REGIONS, Outcome, RegionSet};
use config::Checked;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use steering::health::{Status, TargetHealth, Transition};
use steering::ids::EndpointId;
use steering::spec::Publish;
use steering::{
    Change, Client, Family, Plane, PoolId, RegionId, ServiceId, Silent, Snapshot, Table, Timestamp,
    Want,
};

/// Why a config can't be put under load.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// No service can be asked for on this plane.
    #[error("no service has {0}; add them to the service, or leave --service out")]
    NothingToAsk(&'static str),
    /// A service was named that is not there.
    #[error("there is no service `{0}`; there are: {1}")]
    NoSuchService(String, String),
    /// More regions than are told apart.
    #[error("the config has {0} regions; the bench tells at most {MAX_REGIONS} apart")]
    TooManyRegions(usize),
}

/// One name or URL that a service is asked by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The service that answers.
    pub service: ServiceId,
    /// The DNS name or HTTP host; lower case, without the last dot. A wildcard's `*` is made a label.
    pub name: String,
    /// The path of a request; `/` for DNS.
    pub path: String,
}

/// What is known of a service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: Arc<str>,
    /// Its recovery time objective.
    pub rto: Option<Duration>,
    /// How long its answers may be cached while all is well.
    pub ttl: Duration,
}

/// The config under load.
#[derive(Clone)]
pub struct Subject {
    /// What is promised: every endpoint up, until a caller knows better.
    pub snapshot: Arc<Snapshot>,
    /// Services, by [`ServiceId`].
    pub services: Vec<Service>,
    /// Names asked over DNS.
    pub names: Vec<Target>,
    /// Hosts and paths asked over HTTP.
    pub urls: Vec<Target>,
    /// The region behind each published address; the first one where several publish the same.
    addresses: HashMap<IpAddr, RegionId>,
    /// The region behind each published host name.
    hostnames: HashMap<String, RegionId>,
    /// Addresses and names that more than one region publishes: their regions can't be told apart.
    pub ambiguous: Vec<String>,
}

impl Subject {
    /// From a config and the snapshot of its table.
    ///
    /// # Errors
    /// When it has more regions than are told apart.
    pub fn new(checked: &Checked, snapshot: &Snapshot) -> Result<Self, SubjectError> {
        let table = snapshot.table();
        if table.regions().len() > MAX_REGIONS {
            return Err(SubjectError::TooManyRegions(table.regions().len()));
        }
        let services = table.services().iter().zip(&checked.services);
        let mut subject = Self {
            snapshot: Arc::new(all_up(snapshot)),
            services: services
                .map(|(compiled, written)| Service {
                    name: compiled.name.clone(),
                    rto: written.rto,
                    ttl: Duration::from_secs(compiled.ttl.into()),
                })
                .collect(),
            names: names(checked),
            urls: urls(checked),
            addresses: HashMap::new(),
            hostnames: HashMap::new(),
            ambiguous: Vec::new(),
        };
        let table = subject.snapshot.table().clone();
        subject.learn(&table);
        Ok(subject)
    }

    /// Only these services, where any are named.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn only(mut self, wanted: &[String]) -> Result<Self, SubjectError> {
        if wanted.is_empty() {
            return Ok(self);
        }
        let mut ids = Vec::with_capacity(wanted.len());
        for name in wanted {
            let id = self.snapshot.table().service(name);
            ids.push(id.ok_or_else(|| {
                let all: Vec<&str> = self.services.iter().map(|s| &*s.name).collect();
                SubjectError::NoSuchService(name.clone(), all.join(", "))
            })?);
        }
        self.names.retain(|target| ids.contains(&target.service));
        self.urls.retain(|target| ids.contains(&target.service));
        Ok(self)
    }

    /// What is asked on a plane.
    pub fn targets(&self, plane: Plane) -> &[Target] {
        match plane {
            Plane::Dns => &self.names,
            Plane::Http => &self.urls,
        }
    }

    /// The name of a region.
    pub fn region_name(&self, region: RegionId) -> &str {
        let region = self.snapshot.table().regions().get(region.index());
        region.map_or("?", |region| &region.name)
    }

    /// What an outcome is called in reports.
    pub fn outcome_name(&self, outcome: Outcome) -> &str {
        match outcome {
            Outcome::Region(region) => self.region_name(region),
            Outcome::Refused => "refused",
            Outcome::Nothing => "no answer",
            Outcome::Elsewhere => "elsewhere",
        }
    }

    /// The region behind an address of an answer.
    pub fn region_of_address(&self, address: IpAddr) -> Outcome {
        let region = self.addresses.get(&address);
        region.map_or(Outcome::Elsewhere, |region| Outcome::Region(*region))
    }

    /// The region behind the host name of a CNAME answer (lower case, without the last dot).
    pub fn region_of_hostname(&self, name: &str) -> Outcome {
        let region = self.hostnames.get(name);
        region.map_or(Outcome::Elsewhere, |region| Outcome::Region(*region))
    }

    /// Whether every region that a service may name over DNS publishes addresses of this family, so that
    /// the answers say where the policy sends a client.
    pub fn publishes(&self, service: ServiceId, family: Family) -> bool {
        let table = self.snapshot.table();
        let Some(service) = table.services().get(service.index()) else {
            return false;
        };
        let publishes = |pool: PoolId| {
            let pool = table.pools().get(pool.index());
            let endpoints = pool.into_iter().flat_map(|pool| pool.endpoint_ids());
            let endpoints = endpoints.filter_map(|id| table.endpoints().get(id.index()));
            endpoints
                .into_iter()
                .any(|endpoint| endpoint.publishes(family))
        };
        let roots = [service.dns.free, service.dns.pinned].into_iter();
        roots.flat_map(|root| table.reachable(root)).all(publishes)
    }

    /// Every published address with its region.
    pub fn published_addresses(&self) -> impl Iterator<Item = (IpAddr, RegionId)> {
        self.addresses
            .iter()
            .map(|(address, region)| (*address, *region))
    }

    /// Every published host name with its region.
    pub fn published_hostnames(&self) -> impl Iterator<Item = (&str, RegionId)> {
        let names = self.hostnames.iter();
        names.map(|(name, region)| (name.as_str(), *region))
    }

    /// The region with this name, as an origin says it.
    pub fn region_named(&self, name: &str) -> Outcome {
        let region = self.snapshot.table().region(name);
        region.map_or(Outcome::Elsewhere, Outcome::Region)
    }

    /// What one client must get for one draw: the policy's own word. Of an answer that names several
    /// endpoints it is the first.
    pub fn promise(&self, service: ServiceId, client: &Client, want: Want) -> Outcome {
        self.promise_whole(service, client, want).first
    }

    /// The same with every region that the answer may name. It tells no scope.
    pub fn promise_whole(&self, service: ServiceId, client: &Client, want: Want) -> Answer {
        let decision = self.snapshot.decide(service, client, want, &mut Silent);
        let regions = decision.endpoints.iter();
        let regions: RegionSet = regions.filter_map(|id| self.region_of(*id)).collect();
        let first = decision.endpoints.first();
        let first = match (first.and_then(|id| self.region_of(*id)), decision.verdict) {
            (Some(region), _) => Outcome::Region(region),
            (None, steering::Verdict::Refused) => Outcome::Refused,
            (None, _) => Outcome::Nothing,
        };
        Answer {
            first,
            regions,
            scope: None,
        }
    }

    fn region_of(&self, endpoint: EndpointId) -> Option<RegionId> {
        let table = self.snapshot.table();
        let endpoint = table.endpoints().get(endpoint.index())?;
        let pool = table.pools().get(endpoint.pool.index())?;
        Some(pool.region)
    }

    /// The regions that may serve this client: all of them unless a residency rule pins it. Worked out
    /// from the rule and the client's place alone, never by asking the policy, so that it can convict
    /// the policy.
    pub fn allowed(&self, service: ServiceId, client: &Client) -> RegionSet {
        let table = self.snapshot.table();
        let service = table.services().get(service.index());
        let rule = service.and_then(|service| table.residencies().get(service.residency?.index()));
        let Some(rule) = rule else {
            return RegionSet::ALL;
        };
        let location = self.snapshot.locate(client.address).location;
        let by_country = location.country.is_some_and(|c| rule.countries.contains(c));
        let by_continent = location
            .continent
            .is_some_and(|c| rule.continents.contains(&c));
        // A continent alone does not say that the client is outside the pinned countries.
        let unknown = location.country.is_none();
        if !(by_country || by_continent || unknown && rule.pin_unknown) {
            return RegionSet::ALL;
        }
        let regions = table.regions().iter().enumerate();
        regions
            .filter(|(_, region)| {
                let jurisdiction = region.jurisdiction;
                jurisdiction.is_some_and(|j| rule.serve_in.contains(&j))
            })
            .map(|(i, _)| RegionId::at(i))
            .collect()
    }

    /// Learns what another table publishes, for a reload that comes later; its regions are those of this
    /// config by name, and others are unknown.
    pub fn learn(&mut self, table: &Table) {
        for endpoint in table.endpoints() {
            let pool = table.pools().get(endpoint.pool.index());
            let region = pool.and_then(|pool| table.regions().get(pool.region.index()));
            let known = region.map(|region| self.region_named(&region.name));
            let Some(Outcome::Region(region)) = known else {
                continue;
            };
            match &endpoint.publish {
                Publish::Addresses { v4, v6 } => {
                    let v4 = v4.iter().copied().map(IpAddr::V4);
                    for address in v4.chain(v6.iter().copied().map(IpAddr::V6)) {
                        let first = *self.addresses.entry(address).or_insert(region);
                        if first != region {
                            self.ambiguous.push(address.to_string());
                        }
                    }
                }
                Publish::Name(name) => {
                    let name = name.trim_end_matches('.').to_ascii_lowercase();
                    let first = *self.hostnames.entry(name).or_insert(region);
                    if first != region {
                        self.ambiguous.push(endpoint.address.to_string());
                    }
                }
            }
        }
    }
}

fn names(checked: &Checked) -> Vec<Target> {
    let steered = checked.steered.iter();
    steered
        .map(|steered| Target {
            service: steered.service,
            name: without_wildcard(&steered.name),
            path: "/".to_owned(),
        })
        .collect()
}

fn urls(checked: &Checked) -> Vec<Target> {
    let mut urls = Vec::new();
    for route in &checked.routes {
        for host in &route.hosts {
            urls.extend(route.paths.iter().map(|path| Target {
                service: route.service,
                name: without_wildcard(host),
                path: path.clone(),
            }));
        }
    }
    urls
}

fn without_wildcard(name: &str) -> String {
    match name.strip_prefix("*") {
        Some(rest) => format!("bench{rest}"),
        None => name.to_owned(),
    }
}

/// The same snapshot with every endpoint up.
pub fn all_up(snapshot: &Snapshot) -> Snapshot {
    let up = TargetHealth {
        status: Status::Up,
        ..TargetHealth::default()
    };
    let targets = snapshot.table().targets().iter();
    let transitions = targets.map(|target| Transition {
        target: target.key.clone(),
        health: up,
    });
    snapshot.next(Change::Health(transitions.collect()), Timestamp(1))
}
