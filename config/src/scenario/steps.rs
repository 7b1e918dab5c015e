//! The steps of a scenario: each does one thing, in the order of time, to something that is there.

use super::check::Check;
use super::written::{self, OneOrMany};
use super::{Action, Against, How, MAX_DURATION, MAX_RATE, MAX_STEPS, Scope, Step};
use crate::de::{Written, given};
use crate::problem::Place;
use crate::tree::shorten;
use std::path::PathBuf;
use steering::spec::Policy;

impl Check<'_> {
    pub(super) fn steps(
        &mut self,
        written: &[Written<written::Step>],
        reloads: Vec<Option<PathBuf>>,
        against: Option<&Against>,
    ) -> Vec<Step> {
        if let Some(one) = written.get(MAX_STEPS) {
            let message = format!("a scenario has at most {MAX_STEPS} steps");
            self.findings.error("out_of_range", one.place, message);
        }
        let mut steps: Vec<Step> = Vec::new();
        for (item, reload) in written.iter().zip(reloads).take(MAX_STEPS) {
            let Some(step) = item.get() else { continue };
            let action = self.action(item.place, step, reload, against);
            let Some((at, place)) = given(&step.at) else {
                if step.at.is_none() {
                    self.findings
                        .error("missing_key", item.place, "the step does not say when")
                        .hint("such as at: 10s, from the start of the recording");
                }
                continue;
            };
            if steps.last().is_some_and(|before| at.0 < before.at) {
                self.findings
                    .error(
                        "out_of_order",
                        place,
                        "this step is before the one above it",
                    )
                    .hint("write steps in the order of time");
            }
            if at.0 > MAX_DURATION {
                let message = "a scenario lasts at most 30 minutes";
                self.findings.error("out_of_range", place, message);
            }
            if let Some(action) = action {
                steps.push(Step {
                    at: at.0,
                    action,
                    place: item.place,
                });
            }
        }
        steps
    }

    fn action(
        &mut self,
        place: Place,
        step: &written::Step,
        reload: Option<PathBuf>,
        against: Option<&Against>,
    ) -> Option<Action> {
        let words = [
            step.fail.is_some(),
            step.heal.is_some(),
            step.reload.is_some(),
            step.failback.is_some(),
            step.rate.is_some(),
        ];
        if words.iter().filter(|given| **given).count() != 1 {
            self.findings
                .error("conflict", place, "a step does exactly one thing")
                .hint("one of fail, heal, reload, failback, rate");
            return None;
        }
        if let Some((_, place)) = given(&step.how)
            && step.fail.is_none()
        {
            self.findings
                .error("idle_key", place, "`how` means nothing without `fail`");
        }
        if let Some(what) = &step.fail {
            let how = given(&step.how).map(|(how, place)| (*how, place));
            return self.fail(what, how, against);
        }
        if let Some(what) = &step.heal {
            return self.scopes(what, against).map(Action::Heal);
        }
        if let Some((path, place)) = given(&step.reload) {
            if against.is_some() {
                let message = format!("`{}` can't be put in place there", shorten(path));
                self.findings
                    .error("conflict", place, message)
                    .hint("only a rehearsal can reload: leave `against` out");
            }
            return reload.map(Action::Reload);
        }
        if let Some(policy) = &step.failback {
            return self.failback(policy, against);
        }
        step.rate.as_ref().and_then(|rate| self.rate(rate))
    }

    fn fail(
        &mut self,
        what: &Written<OneOrMany>,
        how: Option<(How, Place)>,
        against: Option<&Against>,
    ) -> Option<Action> {
        if let (Some((_, place)), Some(_)) = (how, against) {
            self.findings
                .error(
                    "idle_key",
                    place,
                    "the origins' own call says how they fail",
                )
                .hint("leave `how` out, or leave `against` out");
        }
        let scopes = self.scopes(what, against)?;
        let how = how.map_or(How::Failing, |(how, _)| how);
        Some(Action::Fail(scopes, how))
    }

    fn failback(&mut self, policy: &Written<String>, against: Option<&Against>) -> Option<Action> {
        let name = policy.get()?;
        if against.is_some_and(|against| against.admin.is_none()) {
            self.findings
                .error(
                    "missing_key",
                    policy.place,
                    "failback needs the admin address",
                )
                .hint("add admin to `against`");
        }
        let known = self.names(|checked| {
            let policies = checked.table.policies.iter();
            policies
                .filter(|one| matches!(one.policy, Policy::Failover { .. }))
                .map(|one| one.name.clone())
                .collect()
        });
        self.known(policy.place, "failover policy", name, &known)
            .map(Action::Failback)
    }

    fn rate(&mut self, rate: &Written<written::Rate>) -> Option<Action> {
        let (dns, http) = match rate.get()? {
            written::Rate::Both(both) => (Some(both), Some(both)),
            written::Rate::Each(each) => (each.dns.as_ref(), each.http.as_ref()),
        };
        if dns.is_none() && http.is_none() {
            self.findings
                .error(
                    "missing_key",
                    rate.place,
                    "the rate of neither plane is given",
                )
                .hint("such as rate: 2000, or rate: { dns: 2000, http: 500 }");
        }
        Some(Action::Rate {
            dns: dns.and_then(|rate| self.per_second(rate)),
            http: http.and_then(|rate| self.per_second(rate)),
        })
    }

    pub(super) fn per_second(&mut self, rate: &Written<f64>) -> Option<f64> {
        let number = *rate.get()?;
        if !(0.0..=MAX_RATE).contains(&number) {
            let message = format!("a rate is from 0 to {MAX_RATE} a second");
            self.findings.error("out_of_range", rate.place, message);
        }
        Some(number)
    }

    /// One or several; none is a problem.
    fn scopes(
        &mut self,
        what: &Written<OneOrMany>,
        against: Option<&Against>,
    ) -> Option<Vec<Scope>> {
        let written = what.get()?.each();
        if written.is_empty() {
            let message = "nothing is named that fails or heals";
            self.findings
                .error("empty", what.place, message)
                .hint("such as region NAME");
        }
        let scopes = written.into_iter();
        let scopes: Vec<Scope> = scopes.filter_map(|one| self.scope(one, against)).collect();
        (!scopes.is_empty()).then_some(scopes)
    }

    /// `region NAME`, `pool NAME`, `endpoint ADDRESS` or `all`.
    fn scope(&mut self, what: &Written<String>, against: Option<&Against>) -> Option<Scope> {
        let text = what.get()?;
        let (word, name) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let name = name.trim();
        let scope = match (word, name) {
            ("all", "") => Some(Scope::All),
            ("region", _) => {
                let known = self.names(|checked| {
                    let regions = checked.table.regions.iter();
                    regions.map(|region| region.name.clone()).collect()
                });
                let name = self.known(what.place, "region", name, &known);
                name.map(Scope::Region)
            }
            ("pool", _) => {
                let known = self.names(|checked| {
                    let pools = checked.table.pools.iter();
                    pools.map(|pool| pool.name.clone()).collect()
                });
                self.known(what.place, "pool", name, &known)
                    .map(Scope::Pool)
            }
            ("endpoint", _) => self.endpoint(what.place, name),
            _ => {
                let message = format!("`{}` says nothing that can fail or heal", shorten(text));
                self.findings
                    .error("invalid_value", what.place, message)
                    .hint("region NAME, pool NAME, endpoint ADDRESS, or all");
                None
            }
        };
        if let (Some(against), Some(scope)) = (against, &scope) {
            self.can_be_called(what.place, against, scope);
        }
        scope
    }

    fn endpoint(&mut self, place: Place, text: &str) -> Option<Scope> {
        let known = self.names(|checked| {
            let pools = checked.table.pools.iter();
            let endpoints = pools.flat_map(|pool| &pool.endpoints);
            endpoints.map(|e| e.address.to_string().into()).collect()
        });
        let name = self.known(place, "endpoint", text, &known)?;
        name.parse().ok().map(Scope::Endpoint)
    }

    /// Given origins are failed by what `origins` says for their region, or not at all.
    fn can_be_called(&mut self, place: Place, against: &Against, scope: &Scope) {
        let fault = match scope {
            Scope::Region(name) if !against.origins.contains_key(name) => {
                format!("`against` does not say how to fail and heal region {name}")
            }
            Scope::All if against.origins.is_empty() => {
                "`against` does not say how to fail and heal anything".to_owned()
            }
            Scope::Pool(_) | Scope::Endpoint(_) => {
                "given origins fail and heal by region".to_owned()
            }
            _ => return,
        };
        self.findings.error("conflict", place, fault).hint(
            "add origins: { REGION: { fail: PUT http://…, heal: PUT http://… } } to `against`",
        );
    }
}
