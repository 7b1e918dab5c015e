//! What must never be. Each checker looks at one answer and the snapshot that gave it, and knows the rule, not the way the
//! core keeps it.

use super::Checked;
use super::cache::Entry;
use crate::harness::wire::Reply;
use std::net::IpAddr;
use steering::health::Status;
use steering::spec::Publish;
use steering::{Client, Decision, EndpointId, ServiceId, Silent, Snapshot, Verdict, Want};

/// The longest TTL of the generated configs.
const TTL: u32 = 60;

/// A decision: no leak out of a pin, no down endpoint but to fail open, one region.
pub fn decision(
    snapshot: &Snapshot,
    service: ServiceId,
    client: IpAddr,
    decision: &Decision,
) -> Checked {
    let open = decision.verdict == Verdict::FailOpen;
    for id in decision.endpoints.iter() {
        no_leak(snapshot, service, client, *id)?;
        if !open && snapshot.status(*id) == Status::Down {
            return Err(format!(
                "{} is down and {:?}",
                address(snapshot, *id),
                decision.verdict
            ));
        }
    }
    let served = matches!(decision.verdict, Verdict::Steered | Verdict::FailOpen);
    if served == decision.endpoints.is_empty() {
        return Err(format!(
            "{:?} with {} endpoints",
            decision.verdict,
            decision.endpoints.len()
        ));
    }
    if decision.ttl > TTL {
        return Err(format!(
            "TTL {} is longer than any that was written",
            decision.ttl
        ));
    }
    Ok(())
}

/// A DNS answer: what was decided, and nothing else.
pub fn answer(
    snapshot: &Snapshot,
    service: ServiceId,
    client: IpAddr,
    draw: u64,
    reply: &Reply,
) -> Checked {
    let decided = snapshot.decide(service, &Client::from(client), Want::dns(draw), &mut Silent);
    decision(snapshot, service, client, &decided)?;
    let known: Vec<IpAddr> = snapshot
        .table()
        .endpoints()
        .iter()
        .flat_map(|e| published(&e.publish))
        .collect();
    for address in reply.addresses() {
        if !known.contains(&address) {
            return Err(format!(
                "{address} is no endpoint of the table that answers"
            ));
        }
        let of = |id: &EndpointId| {
            published(&snapshot.table().endpoints()[id.index()].publish).contains(&address)
        };
        if !decided.endpoints.iter().any(of) {
            return Err(format!("{address} was not decided: {decided:?}"));
        }
    }
    if reply.addresses().is_empty() != decided.endpoints.is_empty() {
        return Err(format!(
            "the answer {reply:?} is not the decision {decided:?}"
        ));
    }
    Ok(())
}

/// An answer from a cache: what this client would have been told itself, with the same draw, when it was made.
pub fn cached(entry: &Entry, client: IpAddr) -> Checked {
    let decide = |client: IpAddr| {
        entry.snapshot.decide(
            entry.service,
            &Client::from(client),
            Want::dns(entry.draw),
            &mut Silent,
        )
    };
    let (asked, own) = (decide(entry.asked), decide(client));
    let same = (asked.endpoints, asked.verdict) == (own.endpoints, own.verdict);
    if entry.told_enough && !same {
        return Err(format!(
            "{client} is in the scope of what {} was told, {:?}, but would have been told otherwise: {asked:?}, {own:?}",
            entry.asked, entry.covers
        ));
    }
    decision(&entry.snapshot, entry.service, entry.asked, &asked)
}

/// A client that the service's residency rule pins is given no endpoint outside the rule's jurisdictions.
fn no_leak(snapshot: &Snapshot, service: ServiceId, client: IpAddr, id: EndpointId) -> Checked {
    let table = snapshot.table();
    let Some(rule) = table.services()[service.index()].residency else {
        return Ok(());
    };
    let rule = &table.residencies()[rule.index()];
    let location = snapshot.locate(client).location;
    let pinned = match location.country {
        Some(country) => rule.countries.contains(country),
        None => rule.pin_unknown && location.is_unknown(),
    };
    let pool = table.endpoints()[id.index()].pool;
    let region = &table.regions()[table.pools()[pool.index()].region.index()];
    let inside = region
        .jurisdiction
        .is_some_and(|law| rule.serve_in.contains(&law));
    if pinned && !inside {
        return Err(format!(
            "LEAK: {client} ({location:?}) is pinned by {}, and was given {} in {}",
            rule.name,
            address(snapshot, id),
            region.name
        ));
    }
    Ok(())
}

fn published(publish: &Publish) -> Vec<IpAddr> {
    match publish {
        Publish::Addresses { v4, v6 } => v4
            .iter()
            .map(|a| IpAddr::from(*a))
            .chain(v6.iter().map(|a| IpAddr::from(*a)))
            .collect(),
        Publish::Name(_) => Vec::new(),
    }
}

fn address(snapshot: &Snapshot, id: EndpointId) -> String {
    snapshot.table().endpoints()[id.index()].address.to_string()
}
