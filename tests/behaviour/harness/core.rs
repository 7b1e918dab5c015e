//! A PoP without IO: config, table, health and answers as the binary makes them, but time passes only when told and a
//! probe finds what the test has set.
//!
//! It chooses nothing by itself: `Snapshot::next` makes its generations, `dns::respond` its DNS answers, and
//! `Snapshot::decide` what a request gets.

use super::seen::{Regions, Seen, verdict};
use super::wire::{Question, Reply, decode};
use crate::candidate::{Candidate, Context};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use steering::geo::LocationTable;
use steering::health::{Status, TargetHealth, TargetKey, Transition};
use steering::spec::Publish;
use steering::{
    Change, Client, Decision, EndpointId, Explanation, Plane, Reason, ServiceId, Silent, Snapshot,
    Table, Timestamp, Want,
};

/// Who asks when nobody is named: a resolver whose place is unknown.
pub const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A config that was read and compiled.
pub struct Compiled {
    pub table: Arc<Table>,
    pub geo: Arc<LocationTable>,
    /// Services by the DNS names they answer to.
    pub names: HashMap<String, ServiceId>,
    /// Errors when it was refused, warnings when not.
    pub problems: Vec<String>,
}

/// Reads a config from text, by way of a file, as `check` and `run` do.
///
/// # Errors
/// Its problems, one line each.
pub fn compile(text: &str) -> Result<Compiled, Vec<String>> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rhumb.yaml");
    std::fs::write(&file, text).expect("a file");
    let lines =
        |problems: &[config::Problem]| problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    match Candidate::load(&file, &Context::default()) {
        Ok(candidate) => Ok(Compiled {
            names: candidate
                .checked
                .steered
                .iter()
                .map(|name| (name.name.clone(), name.service))
                .collect(),
            problems: lines(&candidate.warnings),
            geo: candidate.geo.table,
            table: candidate.table,
        }),
        Err(refused) => Err(lines(&refused.problems)),
    }
}

/// The PoP.
pub struct Core {
    snapshot: Snapshot,
    names: HashMap<String, ServiceId>,
    now: Timestamp,
    /// Every probed target: what is known of it, and when it is probed next.
    targets: HashMap<TargetKey, Probed>,
    /// Whether the next round of this target finds it serving; absent means yes.
    failing: HashMap<TargetKey, bool>,
}

#[derive(Clone, Copy)]
struct Probed {
    health: TargetHealth,
    next: Timestamp,
}

impl Core {
    /// Starts with the first round of probes done.
    pub fn start(compiled: Compiled) -> Self {
        let mut core = Self::unprobed(compiled);
        core.pass(Duration::ZERO);
        core
    }

    /// Starts before the first probe.
    pub fn unprobed(compiled: Compiled) -> Self {
        let now = Timestamp(1_000_000);
        let snapshot = Snapshot::new(compiled.table, compiled.geo, now);
        let mut core = Self {
            snapshot,
            names: compiled.names,
            now,
            targets: HashMap::new(),
            failing: HashMap::new(),
        };
        core.plan();
        core
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Probes the targets of the table in use; those it shares with the old one go on as they were.
    fn plan(&mut self) {
        let table = self.snapshot.table();
        let mut targets = HashMap::new();
        for target in table
            .targets()
            .iter()
            .filter(|target| target.check.is_some())
        {
            let fresh = Probed {
                health: TargetHealth::default(),
                next: self.now,
            };
            let known = self.targets.get(&target.key).copied();
            targets.insert(target.key.clone(), known.unwrap_or(fresh));
        }
        self.targets = targets;
    }

    /// Swaps in another config.
    pub fn reload(&mut self, compiled: Compiled) {
        self.names = compiled.names;
        self.apply(Change::Reload(compiled.table, compiled.geo));
        self.plan();
    }

    pub fn apply(&mut self, change: Change) {
        self.snapshot = self.snapshot.next(change, self.now);
    }

    /// The endpoints of a pool, a region, or with an address.
    pub fn endpoints(&self, who: &str) -> Vec<EndpointId> {
        let table = self.snapshot.table();
        let named = |id: &EndpointId| {
            let endpoint = &table.endpoints()[id.index()];
            let pool = &table.pools()[endpoint.pool.index()];
            let region = &table.regions()[pool.region.index()];
            who == "all"
                || *pool.name == *who
                || *region.name == *who
                || endpoint.address.to_string() == who
        };
        (0..table.endpoints().len())
            .map(EndpointId::at)
            .filter(named)
            .collect()
    }

    fn keys(&self, who: &str) -> Vec<TargetKey> {
        let table = self.snapshot.table();
        let target = |id: &EndpointId| table.endpoints()[id.index()].target;
        let mut keys: Vec<TargetKey> = self
            .endpoints(who)
            .iter()
            .map(|id| table.targets()[target(id).index()].key.clone())
            .collect();
        keys.sort_by_key(|key| key.address);
        keys.dedup();
        keys
    }

    /// From now on, probes of these find this.
    pub fn set_serving(&mut self, who: &str, serving: bool) {
        for key in self.keys(who) {
            self.failing.insert(key, !serving);
        }
    }

    /// One outcome right now.
    pub fn probe(&mut self, who: &str, success: bool) {
        let keys = self.keys(who);
        let transitions = keys
            .into_iter()
            .filter_map(|key| self.observe(&key, success))
            .collect();
        self.apply(Change::Health(transitions));
    }

    /// Takes in an outcome; gives the transition, when it makes a difference.
    fn observe(&mut self, key: &TargetKey, success: bool) -> Option<Transition> {
        let table = self.snapshot.table();
        let check = table.targets()[table.target(key)?.index()].check?;
        let rules = table.checks()[check.index()].rules;
        let probed = self.targets.get_mut(key)?;
        probed.next = self.now.plus(rules.interval);
        let changed = probed.health.observe(success, self.now, &rules);
        changed.then(|| Transition {
            target: key.clone(),
            health: probed.health,
        })
    }

    /// Lets time pass: probes when they are due, failbacks when they are due.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now.plus(time);
        loop {
            let probe = self.targets.values().map(|probed| probed.next).min();
            let tick = self.snapshot.wake_at();
            let Some(next) = [probe, tick]
                .into_iter()
                .flatten()
                .min()
                .filter(|at| *at <= end)
            else {
                break;
            };
            self.now = self.now.max(next);
            if probe == Some(next) {
                self.round(next);
            } else {
                self.apply(Change::Tick);
                assert_ne!(
                    self.snapshot.wake_at(),
                    tick,
                    "a tick that is due must be used up"
                );
            }
        }
        self.now = end;
    }

    /// The probes that are due, as one generation.
    fn round(&mut self, due: Timestamp) {
        let keys: Vec<TargetKey> = self
            .targets
            .iter()
            .filter(|(_, probed)| probed.next <= due)
            .map(|(key, _)| key.clone())
            .collect();
        let mut transitions = Vec::new();
        for key in keys {
            let fails = self.failing.get(&key).copied().unwrap_or(false);
            transitions.extend(self.observe(&key, !fails));
        }
        if !transitions.is_empty() {
            self.apply(Change::Health(transitions));
        }
    }

    /// Whether these are believed to be `up`, `down` or `unknown`.
    pub fn states(&self, who: &str) -> Vec<Status> {
        self.endpoints(who)
            .into_iter()
            .map(|id| self.snapshot.status(id))
            .collect()
    }

    /// Asks DNS; the message goes through the parser and encoder that the server uses.
    pub fn resolve(&self, question: &Question, resolver: IpAddr, draw: u64) -> Reply {
        let packet = question.encode(1);
        let rules = dns::Rules::default();
        let response = dns::respond(
            &self.snapshot,
            &packet,
            resolver,
            dns::Transport::Udp,
            &rules,
            draw,
        );
        decode(&response.expect("a query gets a response")).expect("a response can be read")
    }

    /// Asks DNS, and asks the core what its verdict was.
    pub fn query(&self, question: &Question, resolver: IpAddr, draw: u64) -> Seen {
        let seen = Seen::in_dns(
            &self.resolve(question, resolver, draw),
            &regions(self.snapshot.table()),
        );
        let client = question
            .subnet
            .filter(|subnet| subnet.prefix > 0)
            .map_or(resolver, |subnet| subnet.address);
        let service = self.names.get(&question.name.to_ascii_lowercase());
        let decision = service.map(|service| self.decide(*service, client, Want::dns(draw)));
        Seen {
            verdict: decision
                .map(|decision| decision.verdict.name())
                .or(seen.verdict),
            ..seen
        }
    }

    /// What a request gets, apart from what the endpoint itself says.
    pub fn request(&self, host: &str, path: &str, client: IpAddr, draw: u64) -> Seen {
        let table = self.snapshot.table();
        let routes = table
            .planes()
            .find::<proxy::Routes>()
            .expect("a table has routes");
        let Some(route) = routes.find(host, path) else {
            return Seen {
                code: "404".to_owned(),
                reason: Some("no_route".to_owned()),
                ..Seen::default()
            };
        };
        let decision = self.decide(route.service, client, Want::http(draw));
        let region = decision
            .region
            .map(|id| table.regions()[id.index()].name.to_string());
        let reason = (decision.reason != Reason::None).then(|| decision.reason.name().to_owned());
        let code = match decision.reason {
            Reason::None => "200",
            Reason::ResidencyExhausted => "451",
            Reason::PolicyExhausted | Reason::NoMatch => "503",
        };
        if let Some(reason) = &reason {
            assert_eq!(
                verdict(reason),
                Some(decision.verdict.name()),
                "the wire tells the verdict"
            );
        }
        Seen {
            region,
            reason,
            verdict: Some(decision.verdict.name()),
            code: code.to_owned(),
            ..Seen::default()
        }
    }

    pub fn decide(&self, service: ServiceId, client: IpAddr, want: Want) -> Decision {
        self.snapshot
            .decide(service, &Client::from(client), want, &mut Silent)
    }

    /// The region that the explanation names.
    pub fn explained(
        &self,
        service: ServiceId,
        client: IpAddr,
        plane: Plane,
        draw: u64,
    ) -> Option<String> {
        let want = Want {
            plane,
            draw,
            family: None,
        };
        Explanation::new(&self.snapshot, service, &Client::from(client), want)?.region
    }
}

/// The regions of a table by the addresses DNS publishes for them.
pub fn regions(table: &Table) -> Regions {
    let mut regions = Regions::new();
    for endpoint in table.endpoints() {
        let pool = &table.pools()[endpoint.pool.index()];
        let region = table.regions()[pool.region.index()].name.to_string();
        if let Publish::Addresses { v4, v6 } = &endpoint.publish {
            let all = v4
                .iter()
                .map(|a| IpAddr::from(*a))
                .chain(v6.iter().map(|a| IpAddr::from(*a)));
            regions.extend(all.map(|address| (address, region.clone())));
        }
    }
    regions
}
