//! The HTTP works: what is asked, of whom, how, and when an answer is right. The rules are Rhumb's
//! config; right is what its policy promises.

use super::ask::{Asker, Reply};
use super::ground::{Ground, HOST};
use super::peers::Wants;
use crate::asks::{Ask, Asks};
use crate::compare::{Rightness, Running, Work};
use crate::generate::http::{Connections, Options, Tls, Version};
use crate::load::{Live, Load, Pace};
use crate::record::{Measured, Outcome};
use crate::subject::Subject;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use steering::Want;

/// How long a server may take over one answer when it is not under load.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a question after its start may take.
const GLANCE: Duration = Duration::from_millis(100);
/// How many draws tell what a policy promises a client, evenly over all there are.
const DRAWS: u64 = 256;
/// How many standard deviations a share may be off by chance.
const DEVIATIONS: f64 = 5.0;
/// The bytes of the ordinary answer of an origin are not counted.
const ANY: u64 = u64::MAX;

/// What differs between the works.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Short name.
    pub id: &'static str,
    /// For a heading.
    pub title: &'static str,
    /// What is asked, of whom, how.
    pub asked: &'static str,
    /// What the server must do.
    pub wants: Wants,
    /// Requests in flight.
    pub in_flight: usize,
    /// How they are carried.
    pub carried: Carried,
    /// Bytes of each body; `None` for a few.
    pub bytes: Option<u64>,
    /// Kept connections that do nothing.
    pub idle: usize,
    /// How many clients are asked for before it is measured.
    pub sample: usize,
}

/// How requests are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// HTTP/1.1, a connection for each request in flight.
    Kept,
    /// HTTP/1.1, a connection for each request.
    Once,
    /// HTTP/2, over this many connections.
    H2(usize),
}

/// A work.
pub struct HttpWork {
    /// What it is.
    pub plan: Plan,
    /// The rules.
    pub subject: Arc<Subject>,
    /// The clients.
    pub asks: Arc<Asks>,
    /// Certificates.
    pub ground: Arc<Ground>,
}

impl Work for HttpWork {
    fn id(&self) -> &str {
        self.plan.id
    }

    fn title(&self) -> &str {
        self.plan.title
    }

    fn asked(&self) -> &str {
        self.plan.asked
    }

    fn unit(&self) -> &'static str {
        "request"
    }

    fn pace(&self) -> Pace {
        Pace::Closed {
            in_flight: self.plan.in_flight,
        }
    }

    fn ready(&self, server: &Running) -> bool {
        let asked = self.asker(server, GLANCE).and_then(|mut asker| {
            let client = self.asks.list[0].client.address;
            asker.get(HOST, "/", client)
        });
        asked.is_ok_and(|reply| reply.status == 200)
    }

    fn check(&self, server: &Running) -> Result<Rightness, String> {
        let mut asker = self.asker(server, PATIENCE)?;
        let mut rightness = Rightness::default();
        let mut shares = Shares::default();
        for ask in self.asks.list.iter().take(self.plan.sample) {
            let promised = self.promised(ask);
            let reply = asker.get(HOST, &self.path(), ask.client.address)?;
            let wrong = self.wrong(&reply, &promised);
            rightness.add(wrong.map(|wrong| format!("{}: {wrong}", ask.client.address)));
            shares.add(promised, reply.region);
        }
        if let Some(off) = shares.off() {
            rightness.right = 0;
            rightness.wrong.push(off);
        }
        if let Carried::H2(_) = self.plan.carried {
            self.check_load(server, &mut rightness)?;
        }
        Ok(rightness)
    }

    fn prepare(&self, server: &Running) -> Result<Box<dyn Any + Send>, String> {
        let mut idle = Vec::with_capacity(self.plan.idle);
        for ask in self.asks.list.iter().cycle().take(self.plan.idle) {
            let mut asker = self.asker(server, PATIENCE)?.frugal();
            asker.get(HOST, "/", ask.client.address)?;
            idle.push(asker);
        }
        Ok(Box::new(idle))
    }

    fn load(&self, server: &Running, load: &Load, live: &Live) -> Result<Measured, String> {
        let measured = crate::generate::http::run(
            &self.subject,
            &self.asks,
            &self.options(server),
            load,
            live,
        );
        measured.map_err(|e| e.to_string())
    }
}

impl HttpWork {
    fn path(&self) -> String {
        match self.plan.bytes {
            Some(bytes) => format!("/bytes?n={bytes}"),
            None => "/".to_owned(),
        }
    }

    fn options(&self, server: &Running) -> Options {
        let connections = match self.plan.carried {
            Carried::H2(connections) => connections,
            Carried::Kept | Carried::Once => self.plan.in_flight,
        };
        let mut options = Options::new(server.address, connections);
        options.path = Some(self.path());
        options.tls = self.plan.wants.tls.then(Tls::default);
        match self.plan.carried {
            Carried::Kept => {}
            Carried::Once => options.connection = Connections::PerRequest,
            Carried::H2(connections) => {
                options.version = Version::H2 {
                    streams: self.plan.in_flight.div_ceil(connections),
                };
            }
        }
        options
    }

    fn asker(&self, server: &Running, timeout: Duration) -> Result<Asker, String> {
        let asker = Asker::new(server.address, timeout);
        if !self.plan.wants.tls {
            return Ok(asker);
        }
        asker.secured(self.ground.client.clone(), HOST)
    }

    /// The share of each region that the policy promises this client.
    fn promised(&self, ask: &Ask) -> BTreeMap<String, u64> {
        let service = self.asks.target(ask).service;
        let mut shares = BTreeMap::new();
        for i in 0..DRAWS {
            let draw = Want::http(i * (u64::MAX / DRAWS) + u64::MAX / DRAWS / 2);
            let outcome = self.subject.promise(service, &ask.client, draw);
            let name = self.subject.outcome_name(outcome).to_owned();
            *shares.entry(name).or_insert(0) += 1;
        }
        shares
    }

    fn wrong(&self, reply: &Reply, promised: &BTreeMap<String, u64>) -> Option<String> {
        if reply.status != 200 {
            return Some(format!("status {}", reply.status));
        }
        let bytes = self.plan.bytes.unwrap_or(ANY);
        if bytes != ANY && bytes != reply.bytes {
            return Some(format!("{} bytes instead of {bytes}", reply.bytes));
        }
        let region = reply.region.as_deref().unwrap_or("no region");
        let is_promised = promised.contains_key(region);
        (!is_promised).then(|| {
            let promised: Vec<&str> = promised.keys().map(String::as_str).collect();
            format!("{region} instead of {}", promised.join(" or "))
        })
    }

    /// The generator's own protocol, over which the sample was not asked: every answer counts.
    fn check_load(&self, server: &Running, rightness: &mut Rightness) -> Result<(), String> {
        let load = Load {
            pace: self.pace(),
            duration: Duration::from_millis(100),
            warmup: Duration::ZERO,
            slice: None,
            ..Load::default()
        };
        let measured = self.load(server, &load, &Live::new(&load))?;
        let errors = measured.errors.iter();
        let errors = errors.map(|(kind, count)| format!("{count} times {kind}"));
        rightness.wrong.extend(errors);
        let table = self.subject.snapshot.table();
        let expected = table.pools().first().map(|pool| pool.region);
        let right = expected.map_or(0, |region| measured.outcome(0, Outcome::Region(region)));
        rightness.asked += measured.answered + measured.failed();
        rightness.right += right.min(measured.answered);
        if measured.answered == 0 {
            return Err("no answer under load".to_owned());
        }
        Ok(())
    }
}

/// Where answers went, by what was promised.
#[derive(Default)]
struct Shares(BTreeMap<BTreeMap<String, u64>, BTreeMap<String, u64>>);

impl Shares {
    fn add(&mut self, promised: BTreeMap<String, u64>, region: Option<String>) {
        let counts = self.0.entry(promised).or_default();
        *counts.entry(region.unwrap_or_default()).or_insert(0) += 1;
    }

    /// The first share that chance does not explain.
    fn off(&self) -> Option<String> {
        self.0.iter().find_map(|(promised, counts)| {
            let asked = counts.values().sum::<u64>() as f64;
            let promises = promised.values().sum::<u64>() as f64;
            promised.iter().find_map(|(region, share)| {
                let share = *share as f64 / promises;
                let got = counts.get(region).copied().unwrap_or(0) as f64 / asked;
                // The promise itself is known to one draw.
                let allowed = DEVIATIONS * (share * (1.0 - share) / asked).sqrt() + 1.0 / promises;
                let off = (got - share).abs() > allowed;
                off.then(|| {
                    format!(
                        "{region} got {:.1} % of {asked} clients instead of {:.1} %",
                        got * 100.0,
                        share * 100.0
                    )
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
        of.iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect()
    }

    #[test]
    fn shares_that_chance_explains_are_right_and_others_are_told() {
        let promised = shares(&[("a", 179), ("b", 77)]);
        for (a, b, right) in [
            (700, 300, true),
            (740, 260, true),
            (300, 700, false),
            (1000, 0, false),
        ] {
            let counted = Shares([(promised.clone(), shares(&[("a", a), ("b", b)]))].into());
            assert_eq!(
                counted.off().is_none(),
                right,
                "{a} to {b}: {:?}",
                counted.off()
            );
        }
    }
}
