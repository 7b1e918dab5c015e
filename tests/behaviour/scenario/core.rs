//! Plays scenarios on the core, under virtual time and with draws that can be had again.

use super::play::{self, Stage};
use super::{Ask, From, Reloaded, Scenario};
use crate::harness::chance::{Chance, seed};
use crate::harness::core::{Core, RESOLVER, compile};
use crate::harness::seen::Seen;
use crate::harness::wire::Question;
use std::time::Duration;

/// Plays it; gives what failed.
pub fn play(scenario: &Scenario) -> Vec<String> {
    match OnCore::new(&scenario.config) {
        Ok(mut stage) => play::play(scenario, "core", &mut stage),
        Err(problems) => vec![format!(
            "tests/scenarios/{}: {}",
            scenario.name,
            problems.join("\n")
        )],
    }
}

/// The core as a stage.
pub struct OnCore {
    pub core: Core,
    draws: Chance,
}

impl OnCore {
    pub fn new(config: &str) -> Result<Self, Vec<String>> {
        Ok(Self {
            core: Core::start(compile(config)?),
            draws: Chance::new(seed(1)),
        })
    }
}

impl Stage for OnCore {
    fn health(&mut self, who: &str, serving: bool) {
        self.core.set_serving(who, serving);
    }

    fn probe(&mut self, who: &str, success: bool) {
        self.core.probe(who, success);
    }

    fn pass(&mut self, time: Duration) {
        self.core.pass(time);
    }

    fn ask(&mut self, ask: &Ask) -> Seen {
        let draw = self.draws.draw();
        match ask {
            Ask::Query { name, rtype, from } => {
                let (subnet, resolver) = match from {
                    From::Subnet(subnet) => (Some(*subnet), RESOLVER),
                    From::Resolver(resolver) => (None, *resolver),
                };
                let question = Question {
                    name: name.clone(),
                    rtype: *rtype,
                    subnet,
                };
                self.core.query(&question, resolver, draw)
            }
            Ask::Request { host, path, from } => self.core.request(host, path, *from, draw),
        }
    }

    fn reload(&mut self, config: &str) -> Reloaded {
        match compile(config) {
            Ok(compiled) => {
                let problems = compiled.problems.join("\n");
                self.core.reload(compiled);
                Reloaded {
                    applied: true,
                    problems,
                }
            }
            Err(problems) => Reloaded {
                applied: false,
                problems: problems.join("\n"),
            },
        }
    }

    fn failback(&mut self, policy: &str) {
        self.core.apply(steering::Change::Failback(policy.into()));
    }

    fn states(&mut self, who: &str) -> Vec<String> {
        self.core
            .states(who)
            .into_iter()
            .map(|status| status.name().to_owned())
            .collect()
    }

    fn knows_verdicts(&self) -> bool {
        true
    }
}
