//! Plays a scenario on a stage, be it the core or a real PoP: does each step, holds each expectation against what was
//! seen last, and gives every one that failed.

use super::{Ask, Expect, Reloaded, Scenario, Step};
use crate::harness::chance::interval;
use crate::harness::seen::Seen;
use std::time::Duration;

/// What a scenario is played on.
pub trait Stage {
    /// Probes of these endpoints fail or pass from now on.
    fn health(&mut self, who: &str, serving: bool);
    /// One probe of these, now.
    fn probe(&mut self, who: &str, success: bool);
    fn pass(&mut self, time: Duration);
    fn ask(&mut self, ask: &Ask) -> Seen;
    fn reload(&mut self, config: &str) -> Reloaded;
    fn failback(&mut self, policy: &str);
    /// What is believed of these endpoints.
    fn states(&mut self, who: &str) -> Vec<String>;
    /// Whether the wire told the verdict, or the core: the wire cannot tell `steered` from `fail_open`.
    fn knows_verdicts(&self) -> bool;
}

/// Plays it; gives the expectations that failed, each with its place.
pub fn play(scenario: &Scenario, on: &str, stage: &mut impl Stage) -> Vec<String> {
    let mut player = Player {
        config: scenario.config.clone(),
        ..Player::default()
    };
    let mut failed = Vec::new();
    for line in &scenario.steps {
        if let Err(problem) = player.step(&line.step, stage) {
            let asked = player
                .asked
                .as_ref()
                .map(|ask| format!(" ({ask:?})"))
                .unwrap_or_default();
            failed.push(format!(
                "tests/scenarios/{}:{} on the {on}: {}: {problem}{asked}",
                scenario.name, line.number, line.text
            ));
        }
    }
    failed
}

#[derive(Default)]
struct Player {
    config: String,
    asked: Option<Ask>,
    seen: Seen,
    reloaded: Reloaded,
}

impl Player {
    fn step(&mut self, step: &Step, stage: &mut impl Stage) -> Result<(), String> {
        match step {
            Step::Health { who, serving } => stage.health(who, *serving),
            Step::Probe { who, success } => stage.probe(who, *success),
            Step::TimePasses(time) => stage.pass(*time),
            Step::Ask(ask) => {
                self.seen = stage.ask(ask);
                self.asked = Some(ask.clone());
            }
            Step::Reload { old, new } => {
                if !self.config.contains(old) {
                    return Err("the config does not contain it".to_owned());
                }
                let config = self.config.replace(old, new);
                self.reloaded = stage.reload(&config);
                if self.reloaded.applied {
                    self.config = config;
                }
            }
            Step::Failback(policy) => stage.failback(policy),
            Step::Expect(expect) => return self.hold(expect, stage),
        }
        Ok(())
    }

    fn hold(&self, expect: &Expect, stage: &mut impl Stage) -> Result<(), String> {
        let seen = &self.seen;
        match expect {
            Expect::Region(region) => same(region, &seen.region),
            Expect::Verdict(verdict) if stage.knows_verdicts() => {
                same(Some(verdict.as_str()), seen.verdict)
            }
            Expect::Verdict(verdict) => match verdict.as_str() {
                "steered" | "fail_open" => same(true, seen.region.is_some()),
                verdict => same(Some(verdict), seen.verdict),
            },
            Expect::Reason(reason) => same(Some(reason), seen.reason.as_ref()),
            Expect::Code(code) => same(code, &seen.code),
            Expect::Scope(scope) => same(Some(*scope), seen.scope),
            Expect::Ttl(ttl) => same(Some(*ttl), seen.ttl),
            Expect::Addresses(addresses) => {
                let sorted = |mut list: Vec<_>| {
                    list.sort();
                    list
                };
                same(sorted(addresses.clone()), sorted(seen.addresses.clone()))
            }
            Expect::Share {
                region,
                percent,
                of,
            } => self.share(region, *percent, *of, stage),
            Expect::Only { regions, of } => self.only(regions, *of, stage),
            Expect::State { who, state } => {
                let states = stage.states(who);
                same(vec![state.clone(); states.len()], states)
            }
            Expect::Reload { applied } if *applied == self.reloaded.applied => Ok(()),
            Expect::Reload { .. } => Err(format!("saw {:?}", self.reloaded)),
            Expect::Problem(words) if self.reloaded.problems.contains(words) => Ok(()),
            Expect::Problem(_) => Err(format!("saw {:?}", self.reloaded)),
        }
    }

    fn share(
        &self,
        region: &str,
        percent: f64,
        of: usize,
        stage: &mut impl Stage,
    ) -> Result<(), String> {
        let ask = self.asked.as_ref().ok_or("nothing was asked")?;
        let hits = (0..of)
            .filter(|_| stage.ask(ask).region.as_deref() == Some(region))
            .count();
        let allowed = interval(percent / 100.0, of);
        if allowed.contains(&hits) {
            Ok(())
        } else {
            Err(format!("saw {hits}, not in {allowed:?}"))
        }
    }

    fn only(&self, regions: &[String], of: usize, stage: &mut impl Stage) -> Result<(), String> {
        let ask = self.asked.as_ref().ok_or("nothing was asked")?;
        for _ in 0..of {
            let seen = stage.ask(ask);
            if !seen
                .region
                .as_ref()
                .is_some_and(|region| regions.contains(region))
            {
                return Err(format!("saw {seen:?}"));
            }
        }
        Ok(())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(expected: T, seen: T) -> Result<(), String> {
    if expected == seen {
        Ok(())
    } else {
        Err(format!("saw {seen:?}"))
    }
}
