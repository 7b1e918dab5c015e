//! What shows only in the compiled table: circles, pinned clients that nobody may serve, and
//! recovery that takes longer than was promised.

use super::Checker;
use crate::problem::Place;
use std::sync::Arc;
use steering::{CompileProblem, Table};

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
}
