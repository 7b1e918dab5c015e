//! The names that records of a zone point to: do they exist, have they addresses, were they meant.
//!
//! What never happens here: a name outside the zone is not looked for.

use super::RType;
use super::check::{Checker, Shown, is_below, name_in};
use crate::master::At;
use crate::name::Name;
use crate::store::records::{Node, RrSet};
use crate::store::{Found, NONE, Zone};

/// The longest circle of CNAMEs that is looked for: no answer follows more than a few.
const LONGEST_CIRCLE: usize = 64;

/// Which names are glue: the targets of delegations, at or below one.
pub(super) fn glue(zone: &Zone) -> Vec<bool> {
    let mut used = Vec::new();
    let nodes = (0..zone.entries.len() as u32).filter_map(|i| zone.at(i));
    for node in nodes {
        // The apex's own servers may live below a delegation too.
        let is_cut = node.entry.cut == node.position || node.position == 0;
        let Some(servers) = node.set(RType::NS).filter(|_| is_cut) else {
            continue;
        };
        for server in servers.data().filter_map(name_in) {
            let Some(position) = zone.position(server.as_wire()) else {
                continue;
            };
            if used.is_empty() {
                used.resize(zone.entries.len(), false);
            }
            if let Some(used) = used.get_mut(position as usize) {
                *used = true;
            }
        }
    }
    used
}

/// Where in the RDATA of a type the name begins that must have addresses.
fn host_at(rtype: RType) -> Option<usize> {
    match rtype {
        RType::NS => Some(0),
        RType::MX | RType::AFSDB | RType::KX => Some(2),
        RType::SRV => Some(6),
        _ => None,
    }
}

/// Where in the RDATA of a type a name begins.
fn name_at(rtype: RType) -> Option<usize> {
    match rtype {
        RType::CNAME | RType::DNAME | RType::PTR => Some(0),
        _ => host_at(rtype),
    }
}

impl<'a> Checker<'a> {
    /// The targets of an authoritative set.
    pub(super) fn targets(&mut self, node: Node<'a>, set: RrSet<'a>, at: At) {
        let Some(begins) = name_at(set.rtype) else {
            return;
        };
        for data in set.data() {
            let Some(target) = data.get(begins..).and_then(name_in) else {
                continue;
            };
            if self.is_doubled(target.as_wire()) {
                let message = format!("{} {} points to {target}", Shown(node.name), set.rtype);
                self.warn(at, message, RELATIVE);
            } else if host_at(set.rtype).is_some() {
                self.host(node, set.rtype, &target, at);
            }
        }
    }

    /// A target that must have addresses: RFC 2181 §10.3, RFC 1123 §5.2.2, RFC 2782.
    fn host(&mut self, node: Node<'a>, rtype: RType, target: &Name, at: At) {
        let zone = self.zone;
        // Null MX (RFC 7505 §3) and SRV's "no such service" point to the root.
        if target.as_wire() == [0] || !target.is_within(&zone.apex) {
            return;
        }
        let pointing = format!("{} {rtype} points to {target}", Shown(node.name));
        match zone.find(target.as_wire(), RType::A) {
            Found::Node(found) if found.set(RType::CNAME).is_some() => self.warn(
                at,
                format!("{pointing}, which is a CNAME (RFC 2181 §10.3)"),
                "point to the name that has the addresses",
            ),
            Found::Node(found) if !has_address(found) => self.warn(
                at,
                format!("{pointing}, which has no address"),
                "give it an A or AAAA record",
            ),
            Found::Delegation(_) if rtype == RType::NS => {
                if !zone.node(target.as_wire()).is_some_and(has_address) {
                    let message = format!("{pointing}, which is delegated away and has no glue");
                    self.warn(at, message, "give it an A or AAAA record here");
                }
            }
            Found::Dname(_) => self.warn(
                at,
                format!("{pointing}, which a DNAME redirects"),
                "point to the name that has the addresses",
            ),
            Found::Nothing => self.warn(
                at,
                format!("{pointing}, which does not exist"),
                "give it an A or AAAA record, or point elsewhere",
            ),
            Found::Node(_) | Found::Delegation(_) | Found::Unavailable(_) => {}
        }
    }

    /// The servers of a delegation: those at or below it are reached by glue only (RFC 9471 §3.1).
    pub(super) fn delegation(&mut self, cut: Node<'a>, servers: RrSet<'a>, at: At) {
        if cut.name.starts_with(b"\x01*") {
            let message = format!(
                "{}: a wildcard cannot be delegated (RFC 4592 §4.2)",
                Shown(cut.name)
            );
            return self.warn(at, message, "delegate a name without `*`");
        }
        if cut.entry.dname {
            let message = format!("{} is delegated and has a DNAME", Shown(cut.name));
            self.error(at, message, "keep one of the two (RFC 6672 §2.3)");
        }
        if cut.set(RType::CNAME).is_some() {
            let message = format!("{} has a CNAME and also NS records", Shown(cut.name));
            self.error(at, message, "a name with a CNAME has nothing else");
        }
        for data in servers.data() {
            let Some(server) = name_in(data) else {
                continue;
            };
            let name = server.as_wire();
            if self.is_doubled(name) {
                let message = format!("{} NS points to {server}", Shown(cut.name));
                self.warn(at, message, RELATIVE);
            } else if name == cut.name || is_below(name, cut.name) {
                if !self.zone.node(name).is_some_and(has_address) {
                    let message = format!(
                        "{} is delegated to {server}, whose glue is missing",
                        Shown(cut.name)
                    );
                    self.warn(at, message, "give it an A or AAAA record here");
                }
            } else if self
                .zone
                .node(name)
                .is_none_or(|node| node.entry.cut == NONE)
            {
                self.host(cut, RType::NS, &server, at);
            }
        }
    }

    /// CNAMEs that lead to each other within the zone, told once: at the least name.
    pub(super) fn circle(&mut self, start: Node<'a>, at: At) {
        let next = |name: &[u8]| {
            let cname = self.zone.node(name)?.set(RType::CNAME)?;
            name_in(cname.data().next()?)
        };
        let mut name = Name::lowered(start.name);
        for _ in 0..LONGEST_CIRCLE {
            match next(name.as_wire()) {
                Some(target) if target.as_wire() == start.name => {
                    let message = format!("{target}: its CNAME leads back to itself");
                    // Every other server loads it, so a secondary must; an answer ends after one round.
                    return self.warn(at, message, "let one of them lead to addresses");
                }
                // It is told where its least name is looked at.
                Some(target) if target.as_wire() > start.name => name = target,
                _ => return,
            }
        }
    }

    /// `www.example.com` without its last dot in `example.com` is `www.example.com.example.com`.
    pub(super) fn looks_relative(&mut self, node: Node<'a>) {
        if node.has_records() && self.is_doubled(node.name) {
            let at = self.places.set(node.position, 0);
            let message = format!("{} has the zone's name twice", Shown(node.name));
            self.warn(at, message, RELATIVE);
        }
    }

    fn is_doubled(&self, name: &[u8]) -> bool {
        let apex = self.zone.apex.as_wire();
        let labels = apex.strip_suffix(&[0]).unwrap_or(apex);
        let above = name.strip_suffix(apex);
        !labels.is_empty()
            && above.is_some_and(|above| above.ends_with(labels))
            && crate::name::suffixes(name).any(|suffix| suffix.len() == labels.len() + apex.len())
    }
}

const RELATIVE: &str = "a name without a last dot is relative to $ORIGIN: add the dot";

fn has_address(node: Node<'_>) -> bool {
    let address = |set: RrSet<'_>| matches!(set.rtype, RType::A | RType::AAAA);
    node.steered.is_some() || node.sets().any(address)
}
