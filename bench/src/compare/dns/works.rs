//! The DNS works: what is asked, and which answers are right.

use super::ask::{A, Answer, Asker};
use super::ground::{AP, EU, Ground, STATIC_NAMES, US, ZONE, static_address, static_name};
use crate::asks::{Asks, ECS_V4, ECS_V6};
use crate::compare::{CompareError, Rightness, Running, Work};
use crate::generate::dns::{self as engine, Types};
use crate::load::{Live, Load, Pace};
use crate::record::Measured;
use crate::subject::{Subject, Target};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use steering::geo::{Continent, CountrySet};
use steering::{Client, LocationTable, Plane, ServiceId};

/// Static records.
pub const STATIC: &str = "dns-static";
/// A draw by weight.
pub const WEIGHTED: &str = "dns-weighted";
/// By the client's place.
pub const GEO: &str = "dns-geo";
/// Names that are not there.
pub const NXDOMAIN: &str = "dns-nxdomain";
/// By the client's place, reloaded every second.
pub const RELOAD: &str = "dns-geo-reload";
/// By the client's place, in tables of different sizes.
pub const SERVICES: &str = "dns-services";

/// How many different clients ask.
pub const CLIENTS: usize = 50_000;
/// How many answers are judged before a peer is measured.
const SAMPLE: usize = 2_000;
/// How long one answer of the sample is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the question whether a server answers waits.
const KNOCK: Duration = Duration::from_millis(50);
/// Questions in flight: enough that a server never waits for the load, few enough that they all fit into
/// the receive buffer that a socket has by default.
const IN_FLIGHT: usize = 128;
/// NXDOMAIN (RFC 1035 §4.1.1).
const NAME_ERROR: u8 = 3;
/// How many names are asked for at most.
const MOST_NAMES: usize = 20_000;
/// By how much a site's share of the sample may be off: five standard deviations of a draw.
const DEVIATIONS: f64 = 5.0;

/// Which answer is right.
enum Right {
    /// This address for each target.
    Addresses(Vec<Ipv4Addr>),
    /// This site for each question.
    Sites(Vec<Ipv4Addr>),
    /// Each site in its share.
    Shares(&'static [(Ipv4Addr, f64)]),
    /// No such name, below each target.
    Missing,
}

/// The shares of the weighted work.
const SHARES: &[(Ipv4Addr, f64)] = &[(US, 0.4), (EU, 0.4), (AP, 0.2)];

/// One work over DNS.
pub struct DnsWork {
    id: &'static str,
    title: &'static str,
    asked: String,
    subject: Arc<Subject>,
    /// The questions, and for some peers others: those with fewer or more names.
    asks: Asks,
    asks_of: Vec<(&'static str, Asks)>,
    ecs: bool,
    right: Right,
    reload_every: Option<Duration>,
}

/// The works that peers take part in, all on one zone.
///
/// # Errors
/// When no clients can be drawn.
pub fn all(
    ground: &Ground,
    subject: &Arc<Subject>,
    seed: u64,
) -> Result<Vec<DnsWork>, CompareError> {
    let networks = ground.networks(CLIENTS, seed)?;
    let names: Vec<String> = (0..STATIC_NAMES).map(static_name).collect();
    let by_names = DnsWork {
        id: STATIC,
        title: "Static A",
        asked: format!("{STATIC_NAMES} names of one zone in turn, EDNS without client subnet."),
        subject: subject.clone(),
        asks: by_names(subject, &names),
        asks_of: Vec::new(),
        ecs: false,
        right: Right::Addresses((0..STATIC_NAMES).map(static_address).collect()),
        reload_every: None,
    };
    let missing = DnsWork {
        id: NXDOMAIN,
        title: "NXDOMAIN",
        asked: "Names that are not there, each one new, so that nothing caches the answer."
            .to_owned(),
        subject: subject.clone(),
        asks: by_names.asks.clone(),
        asks_of: Vec::new(),
        right: Right::Missing,
        ..by_names
    };
    let weighted = DnsWork {
        id: WEIGHTED,
        title: "Weighted",
        asked: format!(
            "One of three sites by weight 40/40/20; {CLIENTS} clients by client subnet."
        ),
        asks: by_clients(
            subject,
            "weighted",
            &[format!("weighted.{ZONE}")],
            &networks,
        ),
        right: Right::Shares(SHARES),
        ..by_place(GEO, ground, subject, &networks)
    };
    let geo = by_place(GEO, ground, subject, &networks);
    let reload = DnsWork {
        title: "Geo by client subnet, reloaded every second",
        reload_every: Some(Duration::from_secs(1)),
        ..by_place(RELOAD, ground, subject, &networks)
    };
    Ok(vec![by_names, missing, weighted, geo, reload])
}

/// The geo work for Rhumb alone, over as many names as each peer has services, up to a bound.
///
/// # Errors
/// When no clients can be drawn.
pub fn services(
    ground: &Ground,
    subject: &Arc<Subject>,
    peers: &[(&'static str, usize)],
    seed: u64,
) -> Result<DnsWork, CompareError> {
    let networks = ground.networks(CLIENTS, seed)?;
    let asks_of = peers.iter().map(|(peer, services)| {
        let asked = (*services).min(MOST_NAMES);
        let names: Vec<String> = (0..asked)
            .map(|i| service_name(i * services / asked))
            .collect();
        (*peer, by_clients(subject, "geo", &names, &networks))
    });
    Ok(DnsWork {
        title: "Geo, in tables of different sizes",
        asked: format!(
            "The geo work in tables of one, a thousand and a hundred thousand services, each with a name \
             of its own, of which up to {MOST_NAMES} are asked for in turn."
        ),
        asks_of: asks_of.collect(),
        ..by_place(SERVICES, ground, subject, &networks)
    })
}

/// The name of a service of the tables of different sizes.
pub fn service_name(i: usize) -> String {
    format!("s{i}.{ZONE}")
}

fn by_place(
    id: &'static str,
    ground: &Ground,
    subject: &Arc<Subject>,
    networks: &[IpAddr],
) -> DnsWork {
    DnsWork {
        id,
        title: "Geo by client subnet",
        asked: format!(
            "An A record by the client's place, told as client subnet: {CLIENTS} different networks of \
             the country table, half of them IPv6, to three sites by country and continent."
        ),
        subject: subject.clone(),
        asks: by_clients(subject, "geo", &[format!("geo.{ZONE}")], networks),
        asks_of: Vec::new(),
        ecs: true,
        right: Right::Sites(networks.iter().map(|net| site(&ground.geo, *net)).collect()),
        reload_every: None,
    }
}

/// The site of a network by the words of the policy, not by asking it: the European Union's countries go
/// to Europe, the rest of Asia and Oceania to Asia, everybody else to America.
fn site(geo: &LocationTable, network: IpAddr) -> Ipv4Addr {
    let location = geo.locate(network).location;
    let eu = CountrySet::builtin("EU").unwrap_or_default();
    match (location.country, location.continent) {
        (Some(country), _) if eu.contains(country) => EU,
        (_, Some(Continent::AS | Continent::OC)) => AP,
        _ => US,
    }
}

fn by_names(subject: &Subject, names: &[String]) -> Asks {
    let nobody = Client::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    questions(subject, "weighted", names, vec![nobody; names.len()])
}

/// The clients in turn, and the names in turn; `service` is whose answers they are to be read as.
fn by_clients(subject: &Subject, service: &str, names: &[String], networks: &[IpAddr]) -> Asks {
    let clients = networks.iter().map(|network| Client {
        known_bits: Some(bits(*network)),
        ..Client::from(*network)
    });
    questions(subject, service, names, clients.collect())
}

fn questions(subject: &Subject, service: &str, names: &[String], clients: Vec<Client>) -> Asks {
    let service = subject.snapshot.table().service(service);
    let targets = names.iter().map(|name| Target {
        service: service.unwrap_or(ServiceId(0)),
        name: name.clone(),
        path: "/".to_owned(),
    });
    let clients = clients.into_iter().enumerate();
    let list = clients.map(|(i, client)| ((i % names.len()) as u16, client));
    Asks::listed(subject, Plane::Dns, targets.collect(), list)
}

fn bits(network: IpAddr) -> u8 {
    if network.is_ipv4() { ECS_V4 } else { ECS_V6 }
}

impl DnsWork {
    fn asks(&self, peer: &str) -> &Asks {
        let own = self.asks_of.iter().find(|(name, _)| *name == peer);
        own.map_or(&self.asks, |(_, asks)| asks)
    }

    /// What is asked and who for, for the question at `i`.
    fn question(&self, asks: &Asks, i: usize) -> (String, Option<(IpAddr, u8)>) {
        let ask = &asks.list[i];
        let name = &asks.target(ask).name;
        let name = match self.right {
            Right::Missing => format!("no{i}.{name}"),
            _ => name.clone(),
        };
        let client = ask.client.address;
        (name, self.ecs.then(|| (client, bits(client))))
    }

    /// What is wrong with an answer to the question at `i`, if anything.
    fn wrong(&self, asks: &Asks, i: usize, answer: &Answer) -> Option<String> {
        let (name, client) = self.question(asks, i);
        let whose = client.map_or(String::new(), |(net, bits)| format!(" for {net}/{bits}"));
        let expected = match &self.right {
            Right::Missing if answer.rcode == NAME_ERROR => return None,
            Right::Missing => {
                return Some(format!(
                    "{name}: rcode {} rather than NXDOMAIN",
                    answer.rcode
                ));
            }
            Right::Addresses(list) => list[usize::from(asks.list[i].target)],
            Right::Sites(list) => list[i],
            Right::Shares(shares) => match *answer.addresses {
                [one] if shares.iter().any(|(site, _)| *site == one) => one,
                _ => Ipv4Addr::UNSPECIFIED,
            },
        };
        if answer.rcode == 0 && answer.addresses == [expected] {
            return None;
        }
        let Answer {
            rcode, addresses, ..
        } = answer;
        Some(format!(
            "{name}{whose}: rcode {rcode}, {addresses:?} rather than {expected}"
        ))
    }

    /// What is wrong with the shares of all answers, if anything.
    fn wrong_share(&self, counts: &[(Ipv4Addr, u64)], asked: u64) -> Option<String> {
        let Right::Shares(shares) = &self.right else {
            return None;
        };
        let n = asked as f64;
        shares.iter().find_map(|(site, share)| {
            let count = counts.iter().find(|(other, _)| other == site);
            let count = count.map_or(0.0, |(_, count)| *count as f64);
            let deviation = (n * share * (1.0 - share)).sqrt();
            let off = (count - n * share).abs() > DEVIATIONS * deviation;
            off.then(|| format!("{site} was answered {count} of {n} times, not {share} of them"))
        })
    }
}

impl Work for DnsWork {
    fn id(&self) -> &str {
        self.id
    }

    fn title(&self) -> &str {
        self.title
    }

    fn asked(&self) -> &str {
        &self.asked
    }

    fn unit(&self) -> &'static str {
        "query"
    }

    fn pace(&self) -> Pace {
        Pace::Closed {
            in_flight: IN_FLIGHT,
        }
    }

    fn reload_every(&self) -> Option<Duration> {
        self.reload_every
    }

    fn ready(&self, server: &Running) -> bool {
        let asks = self.asks(server.peer);
        let (name, client) = self.question(asks, 0);
        let Ok(mut asker) = Asker::new(server.address, KNOCK) else {
            return false;
        };
        let answer = asker.ask(&name, A, client);
        answer.is_ok_and(|answer| self.wrong(asks, 0, &answer).is_none())
    }

    fn check(&self, server: &Running) -> Result<Rightness, String> {
        let asks = self.asks(server.peer);
        let broken = |error: std::io::Error| format!("{}: {error}", server.address);
        let mut asker = Asker::new(server.address, PATIENCE).map_err(broken)?;
        let mut found = Rightness::default();
        let mut counts: Vec<(Ipv4Addr, u64)> = Vec::new();
        let step = (asks.list.len() / SAMPLE).max(1);
        // An even step would see the IPv4 clients alone.
        for i in (0..asks.list.len()).step_by(step | 1) {
            let (name, client) = self.question(asks, i);
            let wrong = match asker.ask(&name, A, client) {
                Ok(answer) => {
                    for address in &answer.addresses {
                        match counts.iter_mut().find(|(site, _)| site == address) {
                            Some((_, count)) => *count += 1,
                            None => counts.push((*address, 1)),
                        }
                    }
                    self.wrong(asks, i, &answer)
                }
                Err(error) => Some(format!("{name}: {error}")),
            };
            found.add(wrong);
        }
        if let Some(wrong) = self.wrong_share(&counts, found.asked) {
            found.right = 0;
            found.wrong.insert(0, wrong);
        }
        Ok(found)
    }

    fn load(&self, server: &Running, load: &Load, live: &Live) -> Result<Measured, String> {
        let options = engine::Options {
            ecs: self.ecs,
            types: Types::A,
            missing: matches!(self.right, Right::Missing),
            ..engine::Options::new(server.address)
        };
        engine::run(&self.subject, self.asks(server.peer), &options, load, live)
            .map_err(|error| error.to_string())
    }
}
