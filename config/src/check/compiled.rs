//! What shows only in the compiled table: circles, pinned clients that nobody may serve, and
//! recovery that takes longer than was promised.

use super::Checker;
use super::pools::duration;
use crate::problem::Place;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use steering::geo::{Country, CountrySet, Located, Location, LocationTable};
use steering::health::Status;
use steering::ids::PolicyId;
use steering::spec::Policy;
use steering::{
    Client, CompileProblem, Forced, PoolId, ResidencyId, ServiceId, Silent, Snapshot, Table,
    Timestamp, Verdict, Want,
};

impl Checker<'_> {
    pub(super) fn compiled(&mut self) {
        let clean = !self.findings.has_errors();
        match Table::compile(self.table.clone()) {
            Ok(table) if clean => {
                self.pinned_clients_are_served(table);
                self.recovery_is_in_time();
            }
            Ok(_) => {}
            Err(problems) => problems
                .iter()
                .for_each(|problem| self.compile_problem(problem, clean)),
        }
    }

    fn compile_problem(&mut self, problem: &CompileProblem, clean: bool) {
        let start = Place {
            file: 0,
            line: 1,
            column: 1,
            width: 1,
        };
        let of_policy =
            |checker: &Self, name: &Arc<str>| checker.place_of_policy(name).unwrap_or(start);
        match problem {
            CompileProblem::Cycle(names) => {
                let place = names.first().map_or(start, |name| of_policy(self, name));
                self.findings
                    .error(
                        "policy_cycle",
                        place,
                        format!("policies contain each other: {}", names.join(" -> ")),
                    )
                    .hint("take one of them out of the circle");
            }
            CompileProblem::TooDeep(name)
            | CompileProblem::TooLarge(name)
            | CompileProblem::TooManyChildren(name) => {
                let place = of_policy(self, name);
                self.findings
                    .error("policy_too_large", place, problem.to_string())
                    .hint("split it into services");
            }
            // These follow from what was reported already, or would be a defect of this crate.
            CompileProblem::NothingAllowed { .. }
            | CompileProblem::Dangling(_)
            | CompileProblem::Empty(_)
                if !clean => {}
            CompileProblem::Empty(name) => {
                let place = of_policy(self, name);
                self.findings
                    .error("empty", place, problem.to_string())
                    .hint("name at least one pool or policy");
            }
            CompileProblem::NothingAllowed { service, residency } => {
                let at = self.service_names.position(service);
                let place = at
                    .and_then(|at| self.services.get(at))
                    .map_or(start, |s| s.place);
                let rule = self
                    .residencies
                    .position(residency)
                    .and_then(|at| self.table.residencies.get(at));
                let allowed: Vec<String> = rule
                    .map(|rule| {
                        rule.serve_in
                            .iter()
                            .map(|j| self.jurisdictions.name(j.index()).to_string())
                            .collect()
                    })
                    .unwrap_or_default();
                self.findings
                    .error(
                        "nothing_allowed",
                        place,
                        format!(
                            "{service} has no pool for the clients that residency {residency} pins"
                        ),
                    )
                    .hint(format!(
                        "add a pool to its policy whose region is in jurisdiction {}",
                        allowed.join(" or ")
                    ));
            }
            CompileProblem::Dangling(_) | CompileProblem::DuplicateService(_) => {
                self.findings.error("internal", start, problem.to_string());
            }
        }
    }

    /// With everything up, each client that a rule pins is given an endpoint.
    fn pinned_clients_are_served(&mut self, table: Table) {
        let snapshot = Snapshot::new(
            Arc::new(table),
            Arc::new(LocationTable::default()),
            Timestamp(0),
        )
        .what_if(&[Forced::All(Status::Up)], Timestamp(0));
        let mut seen: HashSet<(PolicyId, PolicyId, ResidencyId)> = HashSet::new();
        for at in 0..self.table.services.len() {
            let service = &self.table.services[at];
            let Some(residency) = service.residency else {
                continue;
            };
            if !seen.insert((service.dns_policy, service.http_policy, residency)) {
                continue;
            }
            let Some(rule) = self.table.residencies.get(residency.index()) else {
                continue;
            };
            let mut countries = rule.countries.clone();
            rule.continents
                .iter()
                .for_each(|continent| countries.extend_from(&CountrySet::of_continent(*continent)));
            let mut clients: Vec<(String, Location)> = countries
                .iter()
                .map(|c: Country| (format!("from {c}"), Location::in_country(c)))
                .collect();
            if rule.pin_unknown {
                clients.push(("of unknown place".to_owned(), Location::UNKNOWN));
            }
            let unserved: Vec<String> = clients
                .into_iter()
                .filter(|(_, location)| !is_served(&snapshot, ServiceId::at(at), *location))
                .map(|(client, _)| client)
                .collect();
            if unserved.is_empty() {
                continue;
            }
            let (name, rule, place) = (
                service.name.clone(),
                rule.name.clone(),
                self.services[at].place,
            );
            let more = if unserved.len() > 5 {
                format!(" and {} more", unserved.len() - 5)
            } else {
                String::new()
            };
            let shown = unserved
                .iter()
                .take(5)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            self.findings
                .error(
                    "pinned_unserved",
                    place,
                    format!(
                        "{name} has nothing for clients {shown}{more}, whom residency {rule} pins"
                    ),
                )
                .hint(
                    "give the rule that matches them, or its default, a pool in their jurisdiction",
                );
        }
    }

    /// Detection and TTL fit into each service's recovery time objective.
    fn recovery_is_in_time(&mut self) {
        let mut reach = Reach::default();
        let dns: HashSet<ServiceId> = self.steered.iter().map(|name| name.service).collect();
        let http: HashSet<ServiceId> = self.routes.iter().map(|route| route.service).collect();
        for at in 0..self.table.services.len() {
            let (id, service) = (ServiceId::at(at), &self.table.services[at]);
            let Some(rto) = self.services[at].rto else {
                continue;
            };
            let (ttl, failing) = (
                Duration::from_secs(service.ttl.into()),
                Duration::from_secs(service.ttl_failing.into()),
            );
            let mut worst: Option<(Duration, String)> = None;
            let mut unchecked = None;
            for (policy, in_dns, asked) in [
                (service.dns_policy, true, dns.contains(&id)),
                (service.http_policy, false, http.contains(&id)),
            ] {
                if !asked {
                    continue;
                }
                for pool in reach.pools(policy, &self.table.policies).iter() {
                    let Some(pool) = self.table.pools.get(pool.index()) else {
                        continue;
                    };
                    let Some(check) = pool
                        .check
                        .and_then(|check| self.table.checks.get(check.index()))
                    else {
                        unchecked.get_or_insert_with(|| pool.name.clone());
                        continue;
                    };
                    let rules = check.rules;
                    let (took, with) = if in_dns {
                        (
                            rules.exposure(ttl, failing),
                            format!("ttl {}, ttl_failing {}, ", duration(ttl), duration(failing)),
                        )
                    } else {
                        (rules.detection(), String::new())
                    };
                    if worst.as_ref().is_none_or(|(longest, _)| took > *longest) {
                        let why = format!(
                            "{with}health check {} (interval {}, timeout {}, fall {})",
                            check.name,
                            duration(rules.interval),
                            duration(rules.timeout),
                            rules.fall
                        );
                        worst = Some((took, why));
                    }
                }
            }
            let (name, place) = (service.name.clone(), self.services[at].place);
            if let Some((took, why)) = worst.filter(|(took, _)| *took > rto) {
                self.findings
                    .warning("rto", place, format!("{name} may hold a client on a failed endpoint for {}, longer than its rto of {}", duration(took), duration(rto)))
                    .hint(format!("it comes of {why}; shorten those, or set the rto to what holds"));
            }
            if let Some(pool) = unchecked {
                self.findings
                    .warning("rto", place, format!("{name} has an rto, but pool {pool} has no health check, so its failure is never noticed"))
                    .hint("give the pool a health_check");
            }
        }
    }
}

fn is_served(snapshot: &Snapshot, service: ServiceId, location: Location) -> bool {
    let client = Client {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        located: Some(Located {
            location,
            prefix_len: 0,
        }),
    };
    [Want::dns(0), Want::http(0)].into_iter().all(|want| {
        snapshot.decide(service, &client, want, &mut Silent).verdict == Verdict::Steered
    })
}

/// The pools each policy can reach, worked out once a policy.
#[derive(Default)]
struct Reach {
    done: HashMap<PolicyId, Rc<BTreeSet<PoolId>>>,
}

impl Reach {
    fn pools(
        &mut self,
        id: PolicyId,
        policies: &[steering::spec::NamedPolicy],
    ) -> Rc<BTreeSet<PoolId>> {
        if let Some(done) = self.done.get(&id) {
            return done.clone();
        }
        let mut pools = BTreeSet::new();
        if let Some(named) = policies.get(id.index()) {
            self.walk(&named.policy, policies, &mut pools);
        }
        let pools = Rc::new(pools);
        self.done.insert(id, pools.clone());
        pools
    }

    /// Only called for tables that compiled, so there are no circles.
    fn walk(
        &mut self,
        policy: &Policy,
        policies: &[steering::spec::NamedPolicy],
        pools: &mut BTreeSet<PoolId>,
    ) {
        let mut each = |children: &mut dyn Iterator<Item = &Policy>| {
            for child in children {
                self.walk(child, policies, pools);
            }
        };
        match policy {
            Policy::Pool(pool) => {
                pools.insert(*pool);
            }
            Policy::Named(id) => {
                let below = self.pools(*id, policies);
                pools.extend(below.iter());
            }
            Policy::Failover { children, .. }
            | Policy::Latency { children }
            | Policy::Multivalue { children, .. } => {
                each(&mut children.iter());
            }
            Policy::Weighted { children, .. } => each(&mut children.iter().map(|(child, _)| child)),
            Policy::Proximity { children } => each(&mut children.iter().map(|(child, _)| child)),
            Policy::Geo { rules, default } => {
                each(&mut rules.iter().map(|rule| &rule.to).chain(default.as_deref()));
            }
            Policy::Network { rules, default } => {
                each(&mut rules.iter().map(|(_, to)| to).chain(default.as_deref()));
            }
        }
    }
}
