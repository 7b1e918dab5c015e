//! Scopes that do not hold (RFC 7871): an answer that says it is for a whole network, and a client inside
//! that network that was answered otherwise. A resolver would have given that client the first answer.
//!
//! Only answers without chance are held to their scope; of the others two may differ and both be right.

use super::leaks::names;
use crate::asks::{Ask, Asks};
use crate::record::{Measured, RegionSet};
use crate::subject::Subject;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use steering::{Client, ServiceId};

/// The most contradictions that are told one by one.
const MAX_TOLD: usize = 10;

/// What became of the scopes that were told.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Scopes {
    /// Questions whose scope was held against their neighbours.
    pub checked: u64,
    /// Questions whose scope holds a client that was answered otherwise.
    pub violations: u64,
    /// The first of them.
    pub told: Vec<Contradiction>,
}

/// Two answers of which one says that the other can't be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contradiction {
    /// The service.
    pub service: String,
    /// How many leading bits the first answer says it holds for.
    pub scope: u8,
    /// The question that was answered with this scope.
    pub first: Witness,
    /// A client inside that scope.
    pub second: Witness,
}

/// A client and what it was told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Witness {
    /// Its network, as the server was told.
    pub client: String,
    /// The regions of its answers; none where it was sent nowhere.
    pub regions: Vec<String>,
}

/// A question, placed on the line of addresses of its service and family.
struct Placed {
    /// The address, in the upper bits of 128.
    address: u128,
    question: usize,
    regions: RegionSet,
    /// How many leading bits its answer is for; `None` where it is not held to them.
    bits: Option<u8>,
}

pub(super) fn check(
    subject: &Subject,
    asks: &Asks,
    measured: &Measured,
    fixed: &[Option<RegionSet>],
) -> Scopes {
    let mut lines: BTreeMap<(ServiceId, bool), Vec<Placed>> = BTreeMap::new();
    for (question, (ask, record)) in asks.list.iter().zip(&measured.records).enumerate() {
        if record.settled == 0 {
            continue;
        }
        let held = fixed[question].is_some() && record.scope_min != u8::MAX;
        let line = (asks.target(ask).service, ask.client.address.is_ipv4());
        lines.entry(line).or_default().push(Placed {
            address: upper(ask.client.address),
            question,
            regions: record.settled_regions,
            bits: held.then(|| holds_for(ask, record.scope_min)),
        });
    }
    let mut scopes = Scopes::default();
    for ((service, _), mut line) in lines {
        line.sort_by_key(|placed| (placed.address, placed.question));
        scopes.checked += line.iter().filter(|p| p.bits.is_some()).count() as u64;
        for (a, b) in contradictions(&line) {
            scopes.violations += 1;
            if scopes.told.len() < MAX_TOLD {
                let name = &subject.services[service.index()].name;
                let told = tell(subject, asks, name, (&line[a], &line[b]));
                // Several questions of one client tell the same.
                if !scopes.told.contains(&told) {
                    scopes.told.push(told);
                }
            }
        }
    }
    scopes
}

/// How many leading bits an answer holds for. A scope longer than what was told asks for more bits; the
/// answer is then for the told network only (RFC 7871 §7.3.1).
fn holds_for(ask: &Ask, scope: u8) -> u8 {
    scope.min(known_bits(&ask.client))
}

fn known_bits(client: &Client) -> u8 {
    let whole = if client.address.is_ipv4() { 32 } else { 128 };
    client.known_bits.map_or(whole, |bits| bits.min(whole))
}

/// Pairs of positions: an answer, and one inside its scope that is another. For each answer only its
/// nearest neighbours that differ can be the first inside, so one look on either side is enough.
fn contradictions(line: &[Placed]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let before = nearest_other(line.iter());
    let mut after = nearest_other(line.iter().rev());
    after.reverse();
    for (i, placed) in line.iter().enumerate() {
        let Some(bits) = placed.bits else { continue };
        // A client that chance has no part in and that got two regions contradicts itself.
        if placed.regions.iter().nth(1).is_some() {
            found.push((i, i));
            continue;
        }
        let inside = |other: &usize| {
            network_of(line[*other].address, bits) == network_of(placed.address, bits)
        };
        let earlier = before[i].map(|back| i - back);
        let later = after[i].map(|ahead| i + ahead);
        let other = earlier.filter(inside).or(later.filter(inside));
        found.extend(other.map(|other| (i, other)));
    }
    found
}

/// How many steps back, in the order given, the nearest one lies that got something else.
fn nearest_other<'a>(line: impl Iterator<Item = &'a Placed>) -> Vec<Option<usize>> {
    let mut last: Option<(RegionSet, usize)> = None;
    let mut distances: Vec<Option<usize>> = Vec::new();
    for (i, placed) in line.enumerate() {
        let distance = match last {
            None => None,
            Some((regions, since)) if regions == placed.regions => {
                (since > 0).then(|| i - since + 1)
            }
            Some(_) => Some(1),
        };
        if last.is_none_or(|(regions, _)| regions != placed.regions) {
            last = Some((placed.regions, i));
        }
        distances.push(distance);
    }
    distances
}

fn tell(
    subject: &Subject,
    asks: &Asks,
    service: &str,
    (a, b): (&Placed, &Placed),
) -> Contradiction {
    let witness = |placed: &Placed| Witness {
        client: network(&asks.list[placed.question].client),
        regions: names(subject, placed.regions.iter()),
    };
    Contradiction {
        service: service.to_owned(),
        scope: a.bits.unwrap_or(0),
        first: witness(a),
        second: witness(b),
    }
}

/// A client as the server knows it: its address, or the network of it that was told.
pub(super) fn network(client: &Client) -> String {
    match client.known_bits {
        Some(_) => format!("{}/{}", client.address, known_bits(client)),
        None => client.address.to_string(),
    }
}

fn upper(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
        IpAddr::V6(v6) => v6.into(),
    }
}

fn network_of(address: u128, bits: u8) -> u128 {
    match bits {
        0 => 0,
        bits => address >> (128 - u32::from(bits.min(128))),
    }
}
