//! The differences that are meant, each with the reason. One that nothing differs by any more fails the test.
//!
//! Each is as narrow as it can be told: it takes out of both answers what it explains, and what is left must be alike.

use crate::ask::{Over, Question};
use crate::message::{AA, Message, TC, rtype};
use crate::name::Name;
use crate::servers::Who;
use crate::zones::World;
use std::collections::BTreeSet;

/// What was asked, and of what.
pub struct Case<'a> {
    pub question: &'a Question,
    pub world: &'a World,
}

/// A difference that is meant.
pub struct Explained {
    pub why: &'static str,
    pub whose: &'static [Who],
    /// Takes out of both answers (ours, theirs) what it explains; true when there was something.
    pub bend: fn(&Case<'_>, &mut Message, &mut Message) -> bool,
}

const CD: u16 = 0x0010;
const SERVFAIL: u16 = 2;
const YXDOMAIN: u16 = 6;
/// How many aliases we follow; the last one's target is not looked at.
const OUR_CHAIN: usize = 17;
/// How many Knot follows, and after how many BIND gives up.
const KNOTS_CHAIN: usize = 5;
const BINDS_CHAIN: usize = 12;

pub const EXPLAINED: &[Explained] = &[
    Explained {
        why: "RFC 4035 §3 has CD copied, §3.1.6 lets authoritative answers clear it: we copy it, these clear it",
        whose: &[Who::Knot, Who::Nsd],
        bend: checking_disabled,
    },
    Explained {
        why: "RFC 8482 §4.2: ANY is answered with HINFO here; the others answer with one set or all",
        whose: &[Who::Knot, Who::Nsd, Who::Bind],
        bend: any,
    },
    Explained {
        why: "RFC 8482 §4.1: ANY below a DNAME is answered with the alias that it makes; these go on to its target",
        whose: &[Who::Knot, Who::Nsd],
        bend: any_renamed,
    },
    Explained {
        why: "RFC 4034 §4: NSEC may lie beside an alias, and these look for it there; unsigned, the alias is the answer",
        whose: &[Who::Knot, Who::Bind],
        bend: nsec,
    },
    Explained {
        why: "RFC 1034 §4.3.2 step 3a: an alias is followed into every zone that is here; these stay in the first",
        whose: &[Who::Knot, Who::Bind],
        bend: other_zone,
    },
    Explained {
        why: "No RFC bounds a chain: this one gives up after eleven aliases, or in a circle (SERVFAIL)",
        whose: &[Who::Bind],
        bend: gives_up,
    },
    Explained {
        why: "No RFC bounds a chain: we follow sixteen aliases and leave the rest to the resolver; this one follows more",
        whose: &[Who::Nsd],
        bend: longer_chain,
    },
    Explained {
        why: "No RFC bounds a chain: this one follows five aliases",
        whose: &[Who::Knot],
        bend: shorter_chain,
    },
    Explained {
        why: "RFC 6672 §2.2: a name that a DNAME makes too long is YXDOMAIN; this one goes on as if there were none",
        whose: &[Who::Knot],
        bend: too_long,
    },
    Explained {
        why: "RFC 1034 §4.3.2 step 6: what else may be useful is for the server to say; we add nothing to an answer",
        whose: &[Who::Knot, Who::Nsd, Who::Bind],
        bend: useful,
    },
    Explained {
        why: "RFC 4035 §3.1.4.1: whoever has the child, and no parent that knows it, denies a DS there; these ask the parent",
        whose: &[Who::Knot, Who::Nsd, Who::Bind],
        bend: ds_without_parent,
    },
    Explained {
        why: "RFC 4592 §3.3: these add addresses from a wildcard to a referral; they are not glue, which we keep to",
        whose: &[Who::Knot, Who::Nsd],
        bend: from_a_wildcard,
    },
    Explained {
        why: "RFC 9471 §2.2: addresses of servers beside the delegation may go with it; this one leaves them out",
        whose: &[Who::Bind],
        bend: beside,
    },
    Explained {
        why: "RFC 9471 §2.2: addresses of servers beside the delegation go with it as far as they fit; NSD and BIND also leave out its own",
        whose: &[Who::Knot, Who::Nsd, Who::Bind],
        bend: as_far_as_they_fit,
    },
    Explained {
        why: "RFC 2308 §3: the SOA of a denial has its negative TTL; this one says 0 where the SOA was asked for",
        whose: &[Who::Bind],
        bend: zero_ttl,
    },
];

fn checking_disabled(case: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let explained = case.question.flags & ours.flags & CD != 0 && !theirs.is(CD);
    if explained {
        ours.flags &= !CD;
    }
    explained
}

fn any(case: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let minimal = |one: &&crate::message::Record| one.data == b"\x07RFC8482\0";
    let Some(minimal) = ours.answer.iter().find(minimal).cloned() else {
        return false;
    };
    if case.question.rtype != rtype("ANY") || theirs.answer.is_empty() {
        return false;
    }
    ours.answer.remove(&minimal);
    theirs.answer.retain(|one| one.owner != minimal.owner);
    theirs.additional.clear();
    true
}

fn any_renamed(case: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let is_renamed = ours.answer.iter().any(|one| one.rtype == rtype("DNAME"));
    let more = theirs.answer.is_superset(&ours.answer);
    let explained = case.question.rtype == rtype("ANY") && ours.rcode == 0 && is_renamed && more;
    if explained {
        *ours = theirs.clone();
    }
    explained
}

/// The apex of the zone a name is in.
fn zone<'a>(world: &'a World, name: &Name) -> Option<&'a Name> {
    let apexes = world.zones.iter().map(|zone| &zone.apex);
    apexes
        .filter(|apex| name.is_within(apex))
        .max_by_key(|apex| apex.0.len())
}

/// The apex of the zone that answers: for DS the one above, where it is here (RFC 4035 §3.1.4.1).
fn answering<'a>(case: &Case<'a>, name: &Name) -> Option<&'a Name> {
    let own = zone(case.world, name);
    if case.question.rtype == rtype("DS") && own == Some(name) {
        return zone(case.world, &name.parent()).or(own);
    }
    own
}

/// The names of a chain of aliases, the one asked for first.
fn chain(case: &Case<'_>, message: &Message) -> Vec<Name> {
    let mut names = vec![case.question.name.lowered()];
    while let Some(target) = names.last().and_then(|name| target(message, name)) {
        if names.contains(&target) {
            break;
        }
        names.push(target);
    }
    names
}

fn target(message: &Message, name: &Name) -> Option<Name> {
    let alias = |one: &&crate::message::Record| one.rtype == rtype("CNAME") && one.owner == *name;
    let data = &message.answer.iter().find(alias)?.data;
    let (mut labels, mut at) = (Vec::new(), 0);
    while data[at] != 0 {
        let length = usize::from(data[at]);
        labels.push(data[at + 1..=at + length].to_vec());
        at += 1 + length;
    }
    Some(Name(labels))
}

fn other_zone(case: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let names = chain(case, ours);
    let first = answering(case, &names[0]);
    let Some(left) = names.iter().position(|name| answering(case, name) != first) else {
        return false;
    };
    // What both say of the aliases up to there is still held against each other.
    for message in [&mut *ours, &mut *theirs] {
        message
            .answer
            .retain(|one| one.rtype == rtype("CNAME") && names[..left].contains(&one.owner));
        message.authority.clear();
        message.additional.clear();
        message.rcode = 0;
    }
    true
}

fn nsec(case: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let denied = theirs.rcode == 0 && theirs.authority.iter().any(|one| one.rtype == rtype("SOA"));
    let fewer = theirs.answer.is_subset(&ours.answer) && theirs.answer != ours.answer;
    let explained = case.question.rtype == rtype("NSEC") && denied && fewer;
    if explained {
        *ours = theirs.clone();
    }
    explained
}

fn gives_up(case: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let names = chain(case, ours);
    let circle = names.last().and_then(|name| target(ours, name)).is_some();
    let aliases = theirs
        .answer
        .iter()
        .filter(|one| one.rtype == rtype("CNAME"));
    let explained = theirs.rcode == SERVFAIL
        && ours.rcode != SERVFAIL
        && (circle || aliases.count() >= BINDS_CHAIN)
        && theirs.answer.is_subset(&ours.answer);
    if explained {
        *ours = theirs.clone();
    }
    explained
}

fn too_long(_: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let explained = ours.rcode == YXDOMAIN;
    if explained {
        theirs.rcode = YXDOMAIN;
        theirs.authority.clear();
        theirs.answer.retain(|one| ours.answer.contains(one));
    }
    explained
}

fn only_aliases(message: &Message) -> bool {
    message.answer.iter().all(|one| one.rtype == rtype("CNAME"))
}

fn longer_chain(_: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let explained = ours.answer.len() == OUR_CHAIN
        && only_aliases(ours)
        && theirs.answer.is_superset(&ours.answer);
    if explained {
        *ours = theirs.clone();
    }
    explained
}

fn shorter_chain(_: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let explained = theirs.answer.len() == KNOTS_CHAIN
        && only_aliases(theirs)
        && ours.answer.is_superset(&theirs.answer);
    if explained {
        *ours = theirs.clone();
    }
    explained
}

fn useful(_: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let is_answer = theirs.is(AA) && !theirs.answer.is_empty() && ours.additional.is_empty();
    let explained = is_answer && !theirs.additional.is_empty();
    if explained {
        theirs.additional.clear();
    }
    explained
}

fn ds_without_parent(case: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let names = chain(case, ours);
    let apex = names
        .last()
        .filter(|name| zone(case.world, name) == Some(name));
    let denied = |message: &Message| {
        let soa = message
            .authority
            .iter()
            .find(|one| one.rtype == rtype("SOA"));
        soa.map(|one| one.owner.clone())
    };
    let explained = case.question.rtype == rtype("DS")
        && apex.is_some()
        && denied(ours).as_ref() == apex
        && denied(theirs).as_ref() != apex
        && theirs.answer.is_superset(&ours.answer);
    if explained {
        *ours = theirs.clone();
    }
    explained
}

fn from_a_wildcard(case: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let names: BTreeSet<Name> = case.world.names.iter().map(Name::lowered).collect();
    let before = theirs.additional.len();
    let said = |name: &Name| ours.additional.iter().any(|one| one.owner == *name);
    theirs
        .additional
        .retain(|one| names.contains(&one.owner) || said(&one.owner));
    theirs.additional.len() < before
}

fn beside(_: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let servers = |one: &&crate::message::Record| one.rtype == rtype("NS");
    let Some(cut) = theirs.authority.iter().find(servers) else {
        return false;
    };
    let cut = cut.owner.clone();
    let before = ours.additional.len();
    let theirs = &theirs.additional;
    ours.additional
        .retain(|one| one.owner.is_within(&cut) || theirs.contains(one));
    ours.additional.len() < before
}

fn as_far_as_they_fit(case: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let servers = |one: &&crate::message::Record| one.rtype == rtype("NS");
    let Some(cut) = theirs.authority.iter().find(servers) else {
        return false;
    };
    let cut = cut.owner.clone();
    let before = ours.additional.len() + theirs.additional.len();
    if case.question.over == Over::Tcp {
        return false;
    }
    ours.additional.retain(|one| one.owner.is_within(&cut));
    theirs.additional.retain(|one| one.owner.is_within(&cut));
    if theirs.additional.is_subset(&ours.additional) && !theirs.is(TC) {
        theirs.additional = ours.additional.clone();
    }
    ours.additional.len() + theirs.additional.len() < before
}

fn zero_ttl(case: &Case<'_>, ours: &mut Message, theirs: &mut Message) -> bool {
    let zero = theirs.authority.iter().any(|one| one.ttl == 0);
    let explained = case.question.rtype == rtype("SOA") && zero && ours.authority.len() == 1;
    if explained {
        for message in [ours, theirs] {
            let all = std::mem::take(&mut message.authority);
            let zeroed = all.into_iter().map(|mut one| {
                one.ttl = 0;
                one
            });
            message.authority = zeroed.collect();
        }
    }
    explained
}
