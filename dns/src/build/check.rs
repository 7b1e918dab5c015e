//! Holds the records of one zone against each other.
//!
//! What never happens here: nothing is changed, and nothing outside the zone is asked for.

use super::compile::Places;
use super::{Name, Problems, RType, Severity, ZoneSpec, problem, problem_at, targets};
use crate::master::At;
use crate::store::records::Node;
use crate::store::{NONE, Zone};

/// Reports everything that is wrong within a zone.
pub(super) fn zone(zone: &Zone, places: &Places, spec: &ZoneSpec, problems: &mut Problems) {
    let mut checker = Checker {
        zone,
        places,
        spec,
        problems,
        used: Vec::new(),
        is_signed: false,
    };
    checker.apex();
    checker.used = targets::glue(zone);
    let mut dname: Option<Node<'_>> = None;
    for position in 0..zone.entries.len() as u32 {
        let Some(node) = zone.at(position) else {
            continue;
        };
        // What is below a name comes right behind it.
        dname = dname.filter(|dname| is_below(node.name, dname.name));
        if let Some(dname) = dname {
            checker.below_dname(node, dname);
        }
        checker.node(node);
        if node.entry.dname && dname.is_none() {
            dname = Some(node);
        }
    }
}

/// Whether `name` is below `above`, and not it.
pub(super) fn is_below(name: &[u8], above: &[u8]) -> bool {
    name.len() > above.len() && crate::name::suffixes(name).any(|suffix| suffix == above)
}

/// What is at work while a zone is checked.
pub(super) struct Checker<'a> {
    pub(super) zone: &'a Zone,
    pub(super) places: &'a Places,
    spec: &'a ZoneSpec,
    problems: &'a mut Problems,
    /// Of each name, whether it is glue for some delegation.
    pub(super) used: Vec<bool>,
    is_signed: bool,
}

impl<'a> Checker<'a> {
    pub(super) fn error(&mut self, at: At, message: impl Into<String>, hint: &str) {
        self.say(Severity::Error, at, message.into(), hint);
    }

    pub(super) fn warn(&mut self, at: At, message: impl Into<String>, hint: &str) {
        self.say(Severity::Warning, at, message.into(), hint);
    }

    fn say(&mut self, severity: Severity, at: At, message: String, hint: &str) {
        let place = (self.places.source(at), at.line);
        let problem = problem_at(self.spec, severity, place, message, Some(hint));
        self.problems.push(problem);
    }

    fn apex(&mut self) {
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
            if self.zone.at(0).is_none_or(|apex| apex.set(rtype).is_none()) {
                let message = format!("it has no {rtype} record");
                self.problems
                    .push(problem(self.spec, Severity::Error, message, Some(hint)));
            }
        }
    }

    fn node(&mut self, node: Node<'a>) {
        if node.entry.cut != NONE {
            return self.delegated(node);
        }
        for (i, set) in node.sets().enumerate() {
            let at = self.places.set(node.position, i);
            let several = set.count > 1;
            let name = Shown(node.name);
            match set.rtype {
                RType::SOA if node.position > 0 => {
                    let message = format!("{name} has a SOA, but the zone begins at {}", self.zone.apex);
                    self.error(at, message, "remove it");
                }
                RType::SOA if several => {
                    self.error(at, "it has two different SOA records", "keep one of them");
                }
                RType::CNAME | RType::DNAME if several => {
                    let message = format!("{name} has more than one {}", set.rtype);
                    self.error(at, message, "keep one of them");
                }
                RType::DNAME if node.name.starts_with(b"\x01*") => self.warn(
                    at,
                    format!("{name}: a DNAME at a wildcard redirects nothing that is below other names (RFC 6672 §3.3)"),
                    "use a wildcard CNAME",
                ),
                RType::RRSIG if !self.is_signed => {
                    self.is_signed = true;
                    self.warn(
                        at,
                        "the zone is signed, and signatures are only served when they are asked for",
                        "remove the DS records at the parent, or serve the zone unsigned",
                    );
                }
                _ => {}
            }
            self.targets(node, set, at);
        }
        self.cname(node);
        self.looks_relative(node);
        self.steered(node);
    }

    /// RFC 1034 §3.6.2, RFC 2181 §10.1: a CNAME is alone, but for DNSSEC's own (RFC 4034 §2.5).
    fn cname(&mut self, node: Node<'a>) {
        let is_other = |rtype| !matches!(rtype, RType::CNAME | RType::RRSIG | RType::NSEC);
        let Some(i) = node.sets().position(|set| set.rtype == RType::CNAME) else {
            return;
        };
        let at = self.places.set(node.position, i);
        if let Some(other) = node.sets().find(|set| is_other(set.rtype)) {
            let message = format!(
                "{} has a CNAME and also {} records",
                Shown(node.name),
                other.rtype
            );
            let hint =
                "a name with a CNAME has nothing else; at the apex use a steered name or addresses";
            self.error(at, message, hint);
        }
        self.circle(node, at);
    }

    /// RFC 6672 §2.4: nothing is below a DNAME.
    fn below_dname(&mut self, node: Node<'a>, dname: Node<'a>) {
        if !node.has_records() && node.steered.is_none() {
            return;
        }
        let at = match node.has_records() {
            true => self.places.set(node.position, 0),
            false => self.places.steered(&node),
        };
        let message = format!(
            "{} is below {}, which has a DNAME",
            Shown(node.name),
            Shown(dname.name)
        );
        self.error(at, message, "remove one of the two");
    }

    fn steered(&mut self, node: Node<'a>) {
        let Some(decides) = node.steered else { return };
        let at = self.places.steered(&node);
        let name = Shown(node.name);
        for set in node.sets() {
            let decided = matches!(set.rtype, RType::A | RType::AAAA | RType::CNAME)
                || decides.params(set.rtype).is_some();
            if decided {
                let message = format!(
                    "{name} is steered and also has static {} records",
                    set.rtype
                );
                self.error(at, message, "remove one of the two");
            } else if decides.hostnames {
                let message = format!(
                    "{name} may be answered with a CNAME and also has {} records",
                    set.rtype
                );
                self.error(
                    at,
                    message,
                    "publish addresses instead of a host name, or steer another name",
                );
            }
        }
        if decides.hostnames && node.position == 0 && !node.has_records() {
            self.error(
                at,
                format!("{name} is the apex of a zone and may be answered with a CNAME"),
                "publish addresses",
            );
        }
    }

    /// At or below a delegation: only the delegation itself, and its glue, are ever told.
    fn delegated(&mut self, node: Node<'a>) {
        let Some(cut) = self.zone.at(node.entry.cut) else {
            return;
        };
        let (name, cut_name) = (Shown(node.name), Shown(cut.name));
        if node.steered.is_some() {
            let at = self.places.steered(&node);
            let message = format!("{name} is at or below {cut_name}, which is delegated away");
            self.error(at, message, "remove the NS records, or the name");
        }
        let at_cut = cut.position == node.position;
        let is_glue = self
            .used
            .get(node.position as usize)
            .copied()
            .unwrap_or(false);
        let mut unused: Option<(At, RType)> = None;
        for (i, set) in node.sets().enumerate() {
            let at = self.places.set(node.position, i);
            let is_told = match set.rtype {
                RType::A | RType::AAAA => is_glue,
                RType::NS | RType::DS | RType::NSEC | RType::RRSIG => at_cut,
                _ => false,
            };
            if !is_told {
                unused = unused.or(Some((at, set.rtype)));
            }
            if at_cut && set.rtype == RType::NS {
                self.delegation(node, set, at);
            }
        }
        if let Some((at, rtype)) = unused {
            let message = format!(
                "{name} {rtype} is at or below {cut_name}, which is delegated away: it is never told"
            );
            self.warn(at, message, "move it to the zone it is delegated to");
        }
    }
}

/// A wire name as it is written.
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        crate::name::write_text(self.0, f)
    }
}

/// The name at the beginning of `wire`, lower-cased.
pub(super) fn name_in(wire: &[u8]) -> Option<Name> {
    let len = crate::name::name_len(wire)?;
    wire.get(..len).map(Name::lowered)
}
