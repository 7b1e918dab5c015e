//! HTTP: the works, and the proxies that are given them. Each proxy has one worker and kept connections
//! to origins in this process; each is asked by the same generator.

mod ask;
mod ground;
mod peers;
#[cfg(test)]
mod tests;
mod works;

use super::{CompareError, Contest, Field, Machine, Options};
use crate::asks::Asks;
use crate::clients::Population;
use crate::subject::Subject;
use ground::{Ground, PLAIN, STEERED};
use peers::{Needs, Wants};
use std::sync::Arc;
use steering::Plane;
use works::{Carried, HttpWork, Plan};

/// How many clients ask in turn.
const CLIENTS: usize = 50_000;

/// No rules, and plain text.
const PLAINLY: Wants = Wants {
    steered: false,
    tls: false,
};
/// No rules, over TLS.
const SECURELY: Wants = Wants {
    steered: false,
    tls: true,
};

/// The works, in the order they are run and shown.
fn plans() -> [Plan; 8] {
    let plain = Plan {
        id: "http-plain",
        title: "Plain proxying",
        asked: "GET of a few bytes from one region, HTTP/1.1 in and out, 64 kept connections. No access log.",
        wants: PLAINLY,
        in_flight: 64,
        carried: Carried::Kept,
        bytes: None,
        idle: 0,
        sample: 200,
    };
    let secure = Plan {
        id: "http-tls",
        title: "TLS 1.3, kept connections",
        asked: "The same over TLS 1.3 (AES-256-GCM, X25519), 64 connections that are kept.",
        wants: SECURELY,
        ..plain.clone()
    };
    [
        plain.clone(),
        Plan {
            id: "http-steered",
            title: "Geography, residency and weights, with an access log",
            asked: "50,000 real clients by X-Forwarded-For: those of the EU and of unknown place 60:40 to two EU \
                    regions and never elsewhere, thirteen countries of Asia and Oceania 80:20, all others 70:30; \
                    a JSON line for each request. 64 kept connections.",
            wants: Wants {
                steered: true,
                tls: false,
            },
            sample: 3000,
            ..plain.clone()
        },
        Plan {
            id: "http-h2",
            title: "HTTP/2 from clients",
            asked: "Plain proxying for HTTP/2 over TLS 1.3, as browsers speak it: 4 connections with 16 requests \
                    at a time each, HTTP/1.1 to the origin.",
            carried: Carried::H2(4),
            ..secure.clone()
        },
        secure.clone(),
        Plan {
            id: "http-handshake",
            title: "A new TLS connection for each request",
            asked: "A full TLS 1.3 handshake for each request: X25519, an ECDSA P-256 certificate, no resumption; \
                    16 at a time.",
            in_flight: 16,
            carried: Carried::Once,
            ..secure
        },
        Plan {
            id: "http-100k",
            title: "Bodies of 100 KB",
            asked: "Plain proxying of 100,000 bytes for each request, 16 kept connections.",
            in_flight: 16,
            bytes: Some(100_000),
            sample: 20,
            ..plain.clone()
        },
        Plan {
            id: "http-10m",
            title: "Bodies of 10 MB",
            asked: "Plain proxying of 10,000,000 bytes for each request, 4 kept connections.",
            in_flight: 4,
            bytes: Some(10_000_000),
            sample: 4,
            ..plain.clone()
        },
        Plan {
            id: "http-idle",
            title: "1,000 idle clients",
            asked: "Plain proxying while 1,000 more clients keep connections on which nothing is asked. Memory is \
                    the figure here.",
            idle: 1000,
            ..plain
        },
    ]
}

/// The contests of HTTP.
///
/// # Errors
/// When what they need can't be made.
pub fn field(options: &Options) -> Result<Field, CompareError> {
    let processor = Machine::here().pinned.map(|(_, load)| load);
    let ground = Ground::new(processor).map_err(CompareError::Setup)?;
    let ground = Arc::new(ground);
    let plain = Rules::of(PLAIN, options.seed)?;
    let steered = Rules::of(STEERED, options.seed)?;
    let peers = peers::all(&ground, &needs());
    let contests = plans().into_iter().map(|plan| {
        let rules = match plan.wants.steered {
            true => &steered,
            false => &plain,
        };
        Contest {
            work: Box::new(HttpWork {
                subject: rules.subject.clone(),
                asks: rules.asks.clone(),
                ground: ground.clone(),
                plan,
            }),
            peers: peers.clone(),
        }
    });
    Ok(Field {
        contests: contests.collect(),
        keep: Box::new(ground.clone()),
    })
}

/// What each work wants of its server.
fn needs() -> Needs {
    let plans = plans();
    Arc::new(move |work| {
        let plan = plans.iter().find(|plan| plan.id == work);
        plan.map_or(PLAINLY, |plan| plan.wants)
    })
}

/// One of Rhumb's configs, and who asks under it.
struct Rules {
    subject: Arc<Subject>,
    asks: Arc<Asks>,
}

impl Rules {
    fn of(template: &str, seed: u64) -> Result<Self, CompareError> {
        let setup = CompareError::Setup;
        let subject = ground::subject(template).map_err(setup)?;
        let world = Population::World;
        let asks = Asks::new(&subject, Plane::Http, &world, CLIENTS, seed);
        Ok(Self {
            asks: Arc::new(asks.map_err(|e| setup(e.to_string()))?),
            subject: Arc::new(subject),
        })
    }
}
