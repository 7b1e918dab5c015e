//! One DNS answer and its reasons: the response as it would leave, made by the code that serves, and beside it what
//! was found, what was decided and what TTL and scope come from.
//!
//! The command line asks it of a config, the admin side of the snapshot that serves.

use dns::message::{Ask, Message, Shown, class_name};
use dns::{Answer, Arrival, Ecs, Name, Outcome, Query, RType, Rules, Transport, Zones};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use steering::{Client, Decision, Explanation, Family, Plane, ServiceId, Snapshot, Want};

/// A question, and who asks it.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The packet.
    pub packet: Vec<u8>,
    /// Whose address it comes from.
    pub client: IpAddr,
    /// How it comes.
    pub transport: Transport,
    /// The random number of the decision.
    pub draw: u64,
}

/// An answer and its reasons.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Why {
    /// The generation that answers.
    pub generation: u64,
    /// The random number of the decision.
    pub draw: u64,
    /// The answer section, a record a text, without TTLs: to be compared with what was seen elsewhere.
    pub records: Vec<String>,
    /// What was found, in order: a word, and what it says.
    pub found: Vec<(String, String)>,
    /// The decision, where there was one: as `rhumb explain` tells it.
    pub decision: Option<String>,
}

/// A response of a snapshot with its reasons; `None` where there is no response.
pub fn why(snapshot: &Snapshot, asking: &Asking) -> Option<(Vec<u8>, Why)> {
    let rules = Rules::of(snapshot);
    let arrival = Arrival::new(asking.client, asking.transport);
    let mut response = Vec::new();
    let draw = |_: IpAddr, _: &[u8], _: RType| asking.draw;
    let outcome = dns::respond_into(
        snapshot,
        &asking.packet,
        &arrival,
        rules,
        draw,
        &mut response,
    );
    if outcome == Outcome::Dropped {
        return None;
    }
    let mut why = Why {
        generation: snapshot.generation(),
        draw: asking.draw,
        records: records(&Message::read(&response).ok()?),
        found: Vec::new(),
        decision: None,
    };
    let query = Query::read(
        &asking.packet,
        asking.client,
        asking.transport,
        rules.client_subnet,
    );
    match (outcome, query) {
        (Outcome::Answered(summary), Some(query)) => {
            let answer = dns::answer(snapshot, &query, asking.draw);
            let teller = Teller {
                snapshot,
                query: &query,
                answer: &answer,
            };
            why.found = teller.found(summary.truncated);
            why.decision = teller.decision(asking.draw);
        }
        _ => why.found.push((
            "query".to_owned(),
            "not one that could be answered: nothing was looked up".to_owned(),
        )),
    }
    Some((response, why))
}

/// The answer section of a message, without TTLs.
pub fn records(message: &Message) -> Vec<String> {
    let [answers, ..] = &message.sections;
    let mut records: Vec<String> = answers
        .iter()
        .map(|record| {
            let class = class_name(record.class);
            let owner = Shown(&record.owner);
            format!("{owner} {class} {} {}", record.rtype, record.text())
        })
        .collect();
    records.sort_unstable();
    records
}

/// A query for `name`, with the subnet of the resolver's client when there is one.
pub fn ask(id: u16, name: Name, rtype: RType, subnet: Option<IpNet>) -> Ask {
    let ask = Ask::new(id, name, rtype);
    match subnet {
        Some(net) => ask.subnet(Ecs::new(net.addr(), net.prefix_len())),
        None => ask,
    }
}

struct Teller<'a, 's> {
    snapshot: &'s Snapshot,
    query: &'a Query,
    answer: &'a Answer<'s>,
}

impl Teller<'_, '_> {
    fn found(&self, truncated: bool) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut say = |what: &str, text: String| found.push((what.to_owned(), text));
        say("client", self.client());
        say("zone", self.zone());
        if self.answer.zone.is_some() {
            say("name", self.name());
        }
        if let Some(chain) = self.chain() {
            say("chain", chain);
        }
        if let Some(ttl) = self.ttl() {
            say("ttl", ttl);
        }
        if let Some(scope) = self.scope() {
            say("scope", scope);
        }
        if truncated {
            say(
                "size",
                "too large for the transport: cut to the question, with TC".to_owned(),
            );
        }
        found
    }

    fn client(&self) -> String {
        let (address, from_subnet) = self.query.steer_by();
        if from_subnet {
            format!("{address}: the client subnet that the resolver sent, not the resolver")
        } else {
            format!("{address}: who sent the query; there is no client subnet to go by")
        }
    }

    fn zone(&self) -> String {
        let zones = self.snapshot.table().planes().find::<Zones>();
        let apex = self
            .answer
            .zone
            .and_then(|zone| zones?.apexes().nth(zone as usize));
        match apex {
            Some(apex) => format!("{apex}"),
            None => "none: this server is not authoritative for the name".to_owned(),
        }
    }

    /// What kind of name it is.
    fn name(&self) -> String {
        let answer = self.answer;
        let rtype = self.query.rtype;
        let mut text = match &answer.decision {
            Some((service, _)) => format!("steered, by service {}", self.service_name(*service)),
            None if !answer.authoritative && !answer.authority.is_empty() => {
                let cut = answer.authority.first().map(|record| answer.owner(record));
                let cut = Shown(cut.unwrap_or(&[0])).to_string();
                format!("delegated to {cut} by its NS records")
            }
            None if answer.rcode == dns::Rcode::NxDomain => "does not exist".to_owned(),
            None if answer.rcode != dns::Rcode::NoError => {
                format!("not answered: {}", answer.rcode.name())
            }
            None if answer.answer.is_empty() => format!("exists, without {rtype} records"),
            None => "static records".to_owned(),
        };
        if answer.names.len() > 1 && !self.is_steered_alias() {
            text = format!("an alias; where it leads: {text}");
        }
        if answer.covered > 0 {
            let wire = self.query.name.as_wire().get(usize::from(answer.covered)..);
            let above = Shown(wire.unwrap_or(&[0])).to_string();
            let is_dname = answer
                .answer
                .iter()
                .any(|record| record.rtype == RType::DNAME);
            text.push_str(&if is_dname {
                format!("; the DNAME of {above} renames it")
            } else {
                format!("; not there itself, the wildcard *.{above} stands for it")
            });
        }
        text
    }

    /// Whether the alias is what was decided: the service publishes host names.
    fn is_steered_alias(&self) -> bool {
        let (decided, records) = (&self.answer.decision, &self.answer.answer);
        decided.is_some() && records.len() == 1
    }

    fn chain(&self) -> Option<String> {
        let names: Vec<String> = self.answer.names.iter().map(ToString::to_string).collect();
        (names.len() > 1).then(|| names.join(" -> "))
    }

    fn service_name(&self, id: ServiceId) -> &str {
        let service = self.snapshot.table().services().get(id.index());
        service.map_or("?", |service| &service.name)
    }

    fn ttl(&self) -> Option<String> {
        let answer = self.answer;
        if let Some((service, decision)) = &answer.decision {
            let service = self.snapshot.table().services().get(service.index())?;
            let Some(record) = answer.answer.last() else {
                let ttl = answer.authority.first()?.ttl;
                return Some(format!(
                    "{ttl} s: a decided \"no\" is kept no longer than a \"yes\" would be, nor than the SOA allows"
                ));
            };
            let ttl = record.ttl;
            let why = if ttl != decision.ttl {
                "the record's own, behind a steered CNAME"
            } else if ttl >= service.ttl {
                "the service's, since nothing it depends on is about to change"
            } else if ttl <= service.ttl_failing {
                "the service's ttl_failing: an endpoint it depends on is failing, or all are"
            } else {
                "the time until an endpoint it depends on may change"
            };
            return Some(format!("{ttl} s: {why}"));
        }
        let (record, why) = match answer.answer.first() {
            Some(record) => (record, "the record's own"),
            None => (
                answer.authority.first()?,
                if answer.authoritative {
                    "a \"no\" may be kept for the lesser of the SOA's TTL and its minimum"
                } else {
                    "the delegation's own"
                },
            ),
        };
        Some(format!("{} s: {why}", record.ttl))
    }

    fn scope(&self) -> Option<String> {
        let ecs = self.query.edns?.ecs?;
        let (source, scope) = (ecs.source(), self.answer.scope);
        Some(match scope {
            0 => "/0: the answer is the same for every client".to_owned(),
            scope if scope > source => format!(
                "/{scope}: the answer depends on more of the address than the /{source} that was told"
            ),
            scope => format!("/{scope}: every client of that network gets this answer"),
        })
    }

    /// The decision once more, with a trace: the same call with the same inputs.
    fn decision(&self, draw: u64) -> Option<String> {
        let (service, _): &(ServiceId, Decision) = self.answer.decision.as_ref()?;
        let (address, from_subnet) = self.query.steer_by();
        let told = self.query.edns.and_then(|edns| edns.ecs);
        let client = Client {
            known_bits: told.filter(|_| from_subnet).map(|ecs| ecs.source()),
            ..Client::from(address)
        };
        let want = Want {
            plane: Plane::Dns,
            draw,
            family: match self.query.rtype {
                RType::A => Some(Family::V4),
                RType::AAAA => Some(Family::V6),
                _ => None,
            },
        };
        Explanation::new(self.snapshot, *service, &client, want).map(|told| told.to_string())
    }
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, ";; WHY (generation {})", self.generation)?;
        for (what, text) in &self.found {
            write!(f, "\n{what:<8}{text}")?;
        }
        if let Some(decision) = &self.decision {
            write!(f, "\n{decision}")?;
        }
        Ok(())
    }
}
