//! Plays scenarios on the binary's sockets. A core plays along, to know what the PoP must believe of each endpoint once
//! the time of a TIME PASSES is over: that state is waited for, however long the machine takes.

use super::core::OnCore;
use super::play::{self, Stage};
use super::{Ask, From, Reloaded, Scenario};
use crate::harness::clients::{Ask as HttpAsk, Http};
use crate::harness::pop::Pop;
use crate::harness::seen::Seen;
use crate::harness::wire::Question;
use std::time::Duration;

/// Plays it; gives what failed.
pub fn play(scenario: &Scenario) -> Vec<String> {
    let core = OnCore::new(&scenario.config).unwrap_or_else(|problems| {
        panic!("tests/scenarios/{}: {}", scenario.name, problems.join("\n"))
    });
    let pop = Pop::start(&scenario.config);
    let http = pop.http();
    let mut stage = OnPop { core, pop, http };
    stage.settle();
    play::play(scenario, "binary", &mut stage)
}

struct OnPop {
    core: OnCore,
    pop: Pop,
    http: Http,
}

impl OnPop {
    /// Waits until the PoP believes of every endpoint what the core does.
    fn settle(&mut self) {
        let expected = self.core.states("all");
        let what = format!("the endpoints to be {expected:?}");
        self.pop.wait(&what, |status| {
            let endpoints = status["endpoints"].as_array().expect("endpoints");
            let states = endpoints.iter().map(|endpoint| endpoint["state"].as_str());
            states.eq(expected.iter().map(|state| Some(state.as_str())))
        });
    }
}

impl Stage for OnPop {
    fn health(&mut self, who: &str, serving: bool) {
        self.core.health(who, serving);
        self.pop.flip(who, serving);
    }

    fn probe(&mut self, _who: &str, _success: bool) {
        panic!("single probes are for the core: a PoP probes when it is time");
    }

    fn pass(&mut self, time: Duration) {
        self.core.pass(time);
        self.settle();
    }

    fn ask(&mut self, ask: &Ask) -> Seen {
        match ask {
            Ask::Query {
                name,
                rtype,
                from: From::Subnet(subnet),
            } => {
                let question = Question {
                    name: name.clone(),
                    rtype: *rtype,
                    subnet: Some(*subnet),
                };
                let reply = self.pop.dns().ask(&question).expect("an answer");
                Seen::in_dns(&reply, &self.pop.regions)
            }
            Ask::Query { .. } => {
                panic!("a PoP sees its resolvers by their real address: use a subnet")
            }
            Ask::Request { host, path, from } => {
                let ask = HttpAsk {
                    method: "GET",
                    host,
                    path,
                    client: Some(*from),
                };
                Seen::in_http(&self.http.ask(&ask).expect("a response"))
            }
        }
    }

    fn reload(&mut self, config: &str) -> Reloaded {
        self.core.reload(config);
        let reload = self.pop.reload(config);
        Reloaded {
            applied: reload["applied"].as_bool().expect("an outcome"),
            problems: reload["problems"].to_string(),
        }
    }

    fn failback(&mut self, policy: &str) {
        self.core.failback(policy);
        let ask = HttpAsk {
            method: "POST",
            host: "admin",
            path: &format!("/failback?policy={policy}"),
            client: None,
        };
        let response = Http::new(self.pop.places.admin)
            .ask(&ask)
            .expect("the admin address answers");
        assert_eq!(
            response.status,
            200,
            "{}",
            String::from_utf8_lossy(&response.body)
        );
    }

    fn states(&mut self, who: &str) -> Vec<String> {
        let status = self.pop.status();
        let endpoints = status["endpoints"].as_array().expect("endpoints");
        let named = endpoints
            .iter()
            .filter(|one| one["pool"] == who || one["region"] == who);
        named
            .map(|one| one["state"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    fn knows_verdicts(&self) -> bool {
        false
    }
}
