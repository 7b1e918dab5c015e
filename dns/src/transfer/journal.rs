//! What changed between the versions of a zone: what IXFR answers from (RFC 1995), kept in memory over reloads.
//!
//! Immutable, in [`steering::Planes`] beside the zones it belongs to; the next one is made from it and from both
//! generations of zones. Bounds: [`MAX_DELTAS`] versions a zone and no more octets than the zone itself has (past that
//! the whole zone is shorter), [`MAX_OCTETS`] in all. What never happens here: no message is made.

use super::message::is_later;
use super::records::{Delta, OwnedRecord};
use crate::name::Name;
use crate::rtype::RType;
use crate::store::records::Node;
use crate::store::{Zone, Zones};
use std::collections::HashMap;
use std::sync::Arc;
use steering::Snapshot;

/// The most versions of one zone that are kept.
pub const MAX_DELTAS: usize = 100;
/// The most octets that the differences of all zones take.
pub const MAX_OCTETS: usize = 64 << 20;
/// What a small zone may have all the same.
const LEAST_OCTETS: usize = 64 << 10;

/// The differences that are known.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    zones: HashMap<Name, Vec<Arc<Delta>>>,
    octets: usize,
}

/// What became of a zone from one generation to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It has a new version.
    Grew {
        /// The zone.
        zone: Name,
        /// Its version before; `None` when there was no such zone.
        from: Option<u32>,
        /// Its version now.
        to: u32,
    },
    /// Its records changed, and its serial did not: no secondary will notice.
    Stuck {
        /// The zone.
        zone: Name,
        /// Its version.
        serial: u32,
    },
    /// Its serial went backwards: no secondary will take it.
    Back {
        /// The zone.
        zone: Name,
        /// Its version before.
        from: u32,
        /// Its version now.
        to: u32,
    },
}

impl Journal {
    /// The one that came with a snapshot.
    pub fn of(snapshot: &Snapshot) -> Option<&Self> {
        snapshot.table().planes().find()
    }

    /// The journal of the next generation, and what moved. `keep` says of which zones differences are wanted.
    pub fn next(
        &self,
        old: Option<&Zones>,
        new: &Zones,
        keep: impl Fn(&Name) -> bool,
    ) -> (Self, Vec<Moved>) {
        let mut next = Self::default();
        let mut moved = Vec::new();
        for zone in new.iter().filter(|zone| zone.unavailable().is_none()) {
            let apex = zone.apex();
            let before = old
                .and_then(|old| old.at(apex))
                .filter(|zone| zone.unavailable().is_none());
            let known = self.zones.get(apex).map_or(&[][..], Vec::as_slice);
            let to = zone.serial();
            let Some(before) = before else {
                let zone = apex.clone();
                moved.push(Moved::Grew {
                    zone,
                    from: None,
                    to,
                });
                continue;
            };
            let from = before.serial();
            let zone_name = apex.clone();
            if from == to && before.content() == zone.content() {
                next.insert(apex, known.to_vec(), zone);
            } else if from == to {
                let serial = to;
                moved.push(Moved::Stuck {
                    zone: zone_name,
                    serial,
                });
            } else if is_later(to, from) {
                if keep(apex) {
                    let mut deltas = known.to_vec();
                    deltas.push(Arc::new(difference(before, zone)));
                    next.insert(apex, deltas, zone);
                }
                let from = Some(from);
                moved.push(Moved::Grew {
                    zone: zone_name,
                    from,
                    to,
                });
            } else {
                moved.push(Moved::Back {
                    zone: zone_name,
                    from,
                    to,
                });
            }
        }
        (next, moved)
    }

    /// Keeps the newest of these, as many as there is room for.
    fn insert(&mut self, apex: &Name, mut deltas: Vec<Arc<Delta>>, zone: &Zone) {
        let most = zone.octets.len().max(LEAST_OCTETS);
        let mut room = most.min(MAX_OCTETS.saturating_sub(self.octets));
        let fits = |delta: &&Arc<Delta>| {
            let fits = delta.len() <= room;
            room = room.saturating_sub(delta.len());
            fits
        };
        let kept = deltas
            .iter()
            .rev()
            .take(MAX_DELTAS)
            .take_while(fits)
            .count();
        deltas.drain(..deltas.len() - kept);
        if !deltas.is_empty() {
            self.octets += deltas.iter().map(|delta| delta.len()).sum::<usize>();
            self.zones.insert(apex.clone(), deltas);
        }
    }

    /// What leads from `from` to `to`, in order; `None` when that is not known any more.
    pub fn between(&self, apex: &Name, from: u32, to: u32) -> Option<&[Arc<Delta>]> {
        let deltas = self.zones.get(apex)?;
        let start = deltas.iter().position(|delta| delta.from == from)?;
        let deltas = deltas.get(start..)?;
        let joined = deltas.windows(2).all(|two| match two {
            [a, b] => a.to == b.from,
            _ => true,
        });
        (joined && deltas.last()?.to == to).then_some(deltas)
    }

    /// How many octets the differences take.
    pub fn octets(&self) -> usize {
        self.octets
    }
}

/// What leads from one version to the other, each side with its SOA first (RFC 1995 §4). Both have the same apex.
fn difference(old: &Zone, new: &Zone) -> Delta {
    let mut delta = Delta {
        from: old.serial(),
        to: new.serial(),
        removed: vec![soa(old)],
        added: vec![soa(new)],
    };
    for node in nodes(old) {
        lacking(node, new.node(node.name), &mut delta.removed);
    }
    for node in nodes(new) {
        lacking(node, old.node(node.name), &mut delta.added);
    }
    delta
}

fn soa(zone: &Zone) -> OwnedRecord {
    OwnedRecord {
        owner: zone.apex.clone(),
        rtype: RType::SOA,
        ttl: zone.soa_ttl,
        data: zone.soa.clone(),
    }
}

fn nodes(zone: &Zone) -> impl Iterator<Item = Node<'_>> {
    (0..zone.entries.len() as u32).filter_map(|position| zone.at(position))
}

/// Appends the records of `node` that `other` has not, with the same TTL; the SOA aside.
fn lacking(node: Node<'_>, other: Option<Node<'_>>, out: &mut Vec<OwnedRecord>) {
    for set in node.sets().filter(|set| set.rtype != RType::SOA) {
        let other = other
            .and_then(|other| other.set(set.rtype))
            .filter(|other| other.ttl == set.ttl);
        if other.is_some_and(|other| other.wire == set.wire) {
            continue;
        }
        let missing = set
            .data()
            .filter(|data| other.is_none_or(|other| !other.data().any(|known| known == *data)));
        out.extend(missing.map(|data| OwnedRecord {
            owner: Name::lowered(node.name),
            rtype: set.rtype,
            ttl: set.ttl,
            data: data.into(),
        }));
    }
}
