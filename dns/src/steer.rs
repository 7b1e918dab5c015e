//! Steered names: a decision turned into A, AAAA, HTTPS, SVCB or CNAME records.
//!
//! One decision a name and query; A, AAAA, HTTPS and SVCB of one client come from the same region, because the
//! family asked for never changes the pool. What never happens here: no endpoint is chosen.

use crate::answer::{Data, Lookup, Next};
use crate::edns::Ede;
use crate::master::svcb;
use crate::name::Name;
use crate::rtype::RType;
use crate::store::{Node, Params, Steered, Zone};
use smallvec::SmallVec;
use std::net::{Ipv4Addr, Ipv6Addr};
use steering::spec::Publish;
use steering::{Client, Decision, Family, Plane, Reason, ServiceId, Silent, Snapshot, Want};

/// The most addresses of one family in an answer.
pub const MAX_ADDRESSES: usize = 8;

/// Answers for a steered name; `None` when the type asked for is not decided, and what stands beside the
/// name statically is the answer.
pub(crate) fn steered<'a>(
    lookup: &mut Lookup<'a, '_>,
    zone: &'a Zone,
    node: Node<'a>,
    steered: &'a Steered,
) -> Option<Next> {
    let qtype = lookup.query.rtype;
    let family = match qtype {
        RType::A => Some(Family::V4),
        RType::AAAA => Some(Family::V6),
        _ if steered.params(qtype).is_some() => None,
        // A CNAME answers any type (RFC 1034 §3.6.2).
        _ if steered.hostnames => None,
        _ => return None,
    };
    let decision = decide(lookup, steered, family);
    if let Some(target) =
        hostname(lookup.snapshot, &decision).filter(|_| node.name != zone.apex.as_wire())
    {
        lookup.answer.push(
            RType::CNAME,
            decision.ttl,
            Data::Made(target.as_wire().into()),
        );
        let follow = !matches!(qtype, RType::CNAME | RType::ANY);
        return Some(if follow {
            Next::Follow(target)
        } else {
            Next::Done
        });
    }
    match qtype {
        RType::A | RType::AAAA => addresses(lookup, &decision, qtype),
        _ => {
            let mut data: SmallVec<[u8; 96]> = SmallVec::new();
            if binding(
                lookup.snapshot,
                &decision,
                steered.params(qtype)?,
                &mut data,
            ) {
                lookup.answer.push(qtype, decision.ttl, Data::Made(data));
            }
        }
    }
    if lookup
        .answer
        .answer
        .last()
        .is_none_or(|record| record.rtype != qtype)
    {
        lookup.answer.ede = ede(decision.reason);
        // The "no" is this client's and this moment's: it is kept no longer than a "yes" would be.
        lookup.answer.deny(zone, decision.ttl);
    }
    Some(Next::Done)
}

/// Asks the core: the one place where a query becomes a question to it.
#[inline]
pub(crate) fn ask(
    snapshot: &Snapshot,
    service: ServiceId,
    client: &Client,
    family: Option<Family>,
    draw: u64,
) -> Decision {
    let want = Want {
        plane: Plane::Dns,
        draw,
        family,
    };
    snapshot.decide(service, client, want, &mut Silent)
}

/// Asks the core, and notes what the answer now depends on.
fn decide(lookup: &mut Lookup<'_, '_>, steered: &Steered, family: Option<Family>) -> Decision {
    let by = lookup.query.steered_by();
    let decision = ask(
        lookup.snapshot,
        steered.service,
        &by.client(),
        family,
        lookup.draw,
    );
    if by.told.is_some() {
        // With a CNAME between two steered names the answer holds only where both do.
        lookup.answer.scope = lookup.answer.scope.max(decision.scope);
    }
    lookup.answer.decision = Some((steered.service, decision));
    decision
}

/// What a refusal says (RFC 8914): `Prohibited` when it is about this client, `Other` when it is about
/// everyone; the text is the reason's name everywhere else in Rhumb.
pub(crate) fn ede(reason: Reason) -> Option<Ede> {
    let code = match reason {
        Reason::None => return None,
        Reason::ResidencyExhausted => Ede::PROHIBITED,
        Reason::PolicyExhausted | Reason::NoMatch => Ede::OTHER,
    };
    Some(Ede {
        code,
        text: reason.name(),
    })
}

/// What the endpoints of a decision publish, in its order.
fn published<'a>(snapshot: &'a Snapshot, decision: &Decision) -> impl Iterator<Item = &'a Publish> {
    let (all, chosen) = (snapshot.table().endpoints(), decision.endpoints);
    (0..chosen.len()).filter_map(move |i| {
        let id = chosen.as_slice().get(i)?;
        all.get(id.index()).map(|endpoint| &endpoint.publish)
    })
}

/// The host name to answer as CNAME: that of the first endpoint, if it publishes one. There can only be
/// one CNAME, and nothing beside it.
fn hostname(snapshot: &Snapshot, decision: &Decision) -> Option<Name> {
    match published(snapshot, decision).next()? {
        Publish::Name(name) => Name::parse(name).ok(),
        Publish::Addresses { .. } => None,
    }
}

pub(crate) fn v4(snapshot: &Snapshot, decision: &Decision) -> SmallVec<[Ipv4Addr; MAX_ADDRESSES]> {
    collect(
        published(snapshot, decision).flat_map(|publish| match publish {
            Publish::Addresses { v4, .. } => v4.as_slice(),
            Publish::Name(_) => &[],
        }),
    )
}

pub(crate) fn v6(snapshot: &Snapshot, decision: &Decision) -> SmallVec<[Ipv6Addr; MAX_ADDRESSES]> {
    collect(
        published(snapshot, decision).flat_map(|publish| match publish {
            Publish::Addresses { v6, .. } => v6.as_slice(),
            Publish::Name(_) => &[],
        }),
    )
}

/// The first [`MAX_ADDRESSES`] different ones.
fn collect<'a, T: Copy + PartialEq + 'a>(
    all: impl Iterator<Item = &'a T>,
) -> SmallVec<[T; MAX_ADDRESSES]> {
    let mut taken: SmallVec<[T; MAX_ADDRESSES]> = SmallVec::new();
    for address in all {
        if taken.len() == MAX_ADDRESSES {
            break;
        }
        if !taken.contains(address) {
            taken.push(*address);
        }
    }
    taken
}

fn addresses(lookup: &mut Lookup<'_, '_>, decision: &Decision, qtype: RType) {
    let snapshot = lookup.snapshot;
    if qtype == RType::A {
        for address in v4(snapshot, decision) {
            lookup.answer.push(qtype, decision.ttl, Data::V4(address));
        }
    } else {
        for address in v6(snapshot, decision) {
            lookup.answer.push(qtype, decision.ttl, Data::V6(address));
        }
    }
}

/// RFC 9460 §2.2, §9: appends the RDATA of an HTTPS or SVCB record: the name itself in service mode, with
/// what it offers and the addresses that A and AAAA would give. `false`, and nothing, when there is no address
/// to hint at.
pub(crate) fn binding(
    snapshot: &Snapshot,
    decision: &Decision,
    params: &Params,
    data: &mut impl Extend<u8>,
) -> bool {
    let (v4, v6) = (v4(snapshot, decision), v6(snapshot, decision));
    if v4.is_empty() && v6.is_empty() {
        return false;
    }
    // SvcPriority 1, TargetName "." (the owner).
    data.extend([0, 1, 0]);
    data.extend(params.before.iter().copied());
    if !v4.is_empty() {
        let hints: SmallVec<[u8; 32]> = v4.iter().flat_map(Ipv4Addr::octets).collect();
        svcb::push(data, svcb::IPV4HINT, &hints);
    }
    if !v6.is_empty() {
        let hints: SmallVec<[u8; 128]> = v6.iter().flat_map(Ipv6Addr::octets).collect();
        svcb::push(data, svcb::IPV6HINT, &hints);
    }
    data.extend(params.behind.iter().copied());
    true
}
