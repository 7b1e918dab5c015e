//! Holds the records of one zone against each other.
//!
//! What never happens here: nothing is changed, and nothing outside the zone is asked for.

use super::{At, Draft, DraftSet, DraftZone, Name, RType, ZoneProblem, problem, problem_at};
use crate::name::suffixes;

/// Reports everything that is wrong within a gathered zone.
pub(super) fn zone(zone: &DraftZone<'_>, problems: &mut Vec<ZoneProblem>) {
    apex(zone, problems);
    for (name, node) in &zone.nodes {
        for set in &node.sets {
            record_set(zone, name, set, problems);
        }
        cname(zone, name, node, problems);
        steered(zone, name, node, problems);
    }
    cname_circles(zone, problems);
}

fn apex(zone: &DraftZone<'_>, problems: &mut Vec<ZoneProblem>) {
    let has = |rtype| {
        zone.nodes
            .get(&zone.apex)
            .is_some_and(|node| set(node, rtype).is_some())
    };
    for (rtype, hint) in [
        (
            RType::SOA,
            "give it `soa: { mname: …, rname: … }`, or a SOA record in its file",
        ),
        (
            RType::NS,
            "give it `ns: [ns1.…]`, or NS records in its file",
        ),
    ] {
        if !has(rtype) {
            problems.push(problem(
                zone.spec,
                format!("it has no {rtype} record"),
                Some(hint),
            ));
        }
    }
}

fn set(node: &Draft, rtype: RType) -> Option<&DraftSet> {
    node.sets.iter().find(|set| set.rtype == rtype)
}

fn record_set(zone: &DraftZone<'_>, name: &Name, set: &DraftSet, problems: &mut Vec<ZoneProblem>) {
    let mut say = |message: String, hint: &str| {
        problems.push(problem_at(zone.spec, &set.at, message, Some(hint)));
    };
    let at_apex = *name == zone.apex;
    match set.rtype {
        RType::SOA if !at_apex => say(
            format!("{name} has a SOA, but the zone begins at {}", zone.apex),
            "remove it",
        ),
        RType::SOA if set.data.len() > 1 => say(
            "it has two different SOA records".to_owned(),
            "keep one of them",
        ),
        RType::DNAME if set.data.len() > 1 => say(
            format!("{name} has more than one DNAME"),
            "keep one of them",
        ),
        RType::NS if name.is_wildcard() => {
            say(
                format!("{name}: a wildcard cannot be delegated (RFC 4592 §4.2)"),
                "delegate a name without `*`",
            );
        }
        _ => {}
    }
}

/// RFC 1034 §3.6.2, RFC 2181 §10.1: a CNAME is alone, and one.
fn cname(zone: &DraftZone<'_>, name: &Name, node: &Draft, problems: &mut Vec<ZoneProblem>) {
    let Some(cname) = set(node, RType::CNAME) else {
        return;
    };
    if cname.data.len() > 1 {
        let message = format!("{name} has more than one CNAME");
        problems.push(problem_at(
            zone.spec,
            &cname.at,
            message,
            Some("keep one of them"),
        ));
    }
    if let Some(other) = node.sets.iter().find(|set| set.rtype != RType::CNAME) {
        let message = format!("{name} has a CNAME and also {} records", other.rtype);
        let hint =
            "a name with a CNAME has nothing else; at the apex use a steered name or addresses";
        problems.push(problem_at(zone.spec, &cname.at, message, Some(hint)));
    }
}

fn steered(zone: &DraftZone<'_>, name: &Name, node: &Draft, problems: &mut Vec<ZoneProblem>) {
    let Some((decides, place)) = &node.steered else {
        return;
    };
    let at = At {
        line: None,
        place: Some(place.clone()),
    };
    let mut say = |message: String, hint: &str| {
        problems.push(problem_at(zone.spec, &at, message, Some(hint)))
    };
    for set in &node.sets {
        let decided = matches!(set.rtype, RType::A | RType::AAAA | RType::CNAME)
            || (set.rtype == RType::HTTPS && !decides.alpn.is_empty());
        if decided {
            say(
                format!(
                    "{name} is steered and also has static {} records",
                    set.rtype
                ),
                "remove one of the two",
            );
        } else if decides.hostnames {
            let message = format!(
                "{name} may be answered with a CNAME and also has {} records",
                set.rtype
            );
            say(
                message,
                "publish addresses instead of a host name, or steer another name",
            );
        }
    }
    if decides.hostnames && *name == zone.apex && node.sets.is_empty() {
        say(
            format!("{name} is the apex of a zone and may be answered with a CNAME"),
            "publish addresses",
        );
    }
    let cut = suffixes(name.as_wire())
        .take_while(|suffix| suffix.len() > zone.apex.as_wire().len())
        .map(Name::lowered)
        .find(|above| {
            zone.nodes
                .get(above)
                .is_some_and(|node| set(node, RType::NS).is_some())
        });
    if let Some(cut) = cut {
        say(
            format!("{name} is at or below {cut}, which is delegated away"),
            "remove the NS records, or the name",
        );
    }
}

/// The longest circle of CNAMEs that is looked for: no answer follows more than a few.
const LONGEST_CIRCLE: usize = 64;

/// CNAMEs that lead to each other within the zone.
fn cname_circles(zone: &DraftZone<'_>, problems: &mut Vec<ZoneProblem>) {
    let next = |name: &Name| {
        let cname = set(zone.nodes.get(name)?, RType::CNAME)?;
        Name::from_wire(cname.data.first()?)
    };
    for (start, node) in &zone.nodes {
        let Some(cname) = set(node, RType::CNAME) else {
            continue;
        };
        let mut at = start.clone();
        let mut least = true;
        for _ in 0..LONGEST_CIRCLE.min(zone.nodes.len()) {
            let Some(target) = next(&at) else { break };
            at = target;
            if at == *start {
                if least {
                    let message = format!("{start}: its CNAME leads back to itself");
                    problems.push(problem_at(
                        zone.spec,
                        &cname.at,
                        message,
                        Some("let one of them lead to addresses"),
                    ));
                }
                break;
            }
            // One report a circle: from its least name.
            least &= *start < at;
            if !least {
                break;
            }
        }
    }
}
