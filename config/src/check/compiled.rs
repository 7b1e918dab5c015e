//! What shows only in the compiled table: circles, pinned clients that nobody may serve, and
//! recovery that takes longer than was promised.

use super::Checker;
use crate::problem::Place;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use steering::geo::{Country, CountrySet, Located, Location, LocationTable};
use steering::health::Status;
use steering::ids::PolicyId;
use steering::{
    Client, CompileProblem, Forced, ResidencyId, ServiceId, Silent, Snapshot, Table, Timestamp,
    Verdict, Want,
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
