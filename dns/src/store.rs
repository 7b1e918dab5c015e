//! The compiled zones and their lookups: hash by name, then walk up (RFC 1034 §4.3.2, RFC 4592 §3.3).
//!
//! Immutable once built. A lookup allocates nothing: names are hashed as slices of the query name, and
//! what a name is below (a delegation, a wildcard) was worked out when the zones were built. What never
//! happens here: no response is made, nothing is decided.

use crate::fast::Denial;
use crate::name::{Name, labels, parent, suffixes};
use crate::rtype::RType;
use crate::zone::Unavailable;
use steering::ServiceId;
use steering::draw::mix;

pub(crate) mod records;

pub use records::ZoneRecord;
pub(crate) use records::{Entry, Node, RrSet};

/// No node: what an index says when there is none.
pub(crate) const NONE: u32 = u32::MAX;

/// All zones this server is authoritative for. Stored in [`steering::Planes`], so that zones and policies
/// are always of one generation. Made by [`Zones::build`].
#[derive(Debug, Default)]
pub struct Zones {
    pub(crate) zones: Vec<Zone>,
    pub(crate) apexes: Index,
    /// The most labels an apex has: longer suffixes need not be looked up.
    pub(crate) max_labels: usize,
}

/// One zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Why nothing is here to answer from, if so; then there are no entries.
    pub(crate) unavailable: Option<Unavailable>,
    /// Where it is among all zones: its id in what is counted.
    pub(crate) position: u32,
    pub(crate) apex: Name,
    /// The SOA's RDATA.
    pub(crate) soa: Box<[u8]>,
    pub(crate) soa_ttl: u32,
    /// The TTL of negative answers (RFC 2308 §5): the lesser of the SOA's TTL and its MINIMUM.
    pub(crate) negative_ttl: u32,
    /// The SOA of negative answers, as it lies in a response.
    pub(crate) denial: Denial,
    /// See [`Zone::content`].
    pub(crate) content: u64,
    /// The names, in canonical order (RFC 4034 §6.1): the apex first, what is below a name right behind it.
    pub(crate) entries: Box<[Entry]>,
    /// Names and record sets, one name's beside each other: see [`records`].
    pub(crate) octets: Box<[u8]>,
    /// What decides at steered names.
    pub(crate) steered: Box<[Steered]>,
    pub(crate) index: Index,
    pub(crate) max_labels: usize,
}

/// The parameters of an SVCB or HTTPS record that are not decided, in wire form.
#[derive(Clone, Debug)]
pub(crate) struct Params {
    /// Those before the address hints, in the order of their keys (RFC 9460 §2.2).
    pub(crate) before: Box<[u8]>,
    /// Those behind them.
    pub(crate) behind: Box<[u8]>,
}

/// What decides at a steered name.
#[derive(Clone, Debug)]
pub(crate) struct Steered {
    pub(crate) service: ServiceId,
    /// What its HTTPS record says; `None` when there is none.
    pub(crate) https: Option<Box<Params>>,
    /// What its SVCB record says; `None` when there is none.
    pub(crate) svcb: Option<Box<Params>>,
    /// Whether the answer may be a CNAME.
    pub(crate) hostnames: bool,
}

impl Steered {
    /// What the record of this type says, if it is made here.
    #[inline]
    pub(crate) fn params(&self, rtype: RType) -> Option<&Params> {
        match rtype {
            RType::HTTPS => self.https.as_deref(),
            RType::SVCB => self.svcb.as_deref(),
            _ => None,
        }
    }
}

/// Where a name leads to in a zone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    /// It exists, or a wildcard stands for it.
    Node(Node<'a>),
    /// It is at or below this delegation.
    Delegation(Node<'a>),
    /// It is below this name, which has a DNAME (RFC 6672 §3.2): the name itself is a [`Found::Node`].
    Dname(Node<'a>),
    /// It does not exist.
    Nothing,
    /// The zone has nothing to answer from.
    Unavailable(Unavailable),
}

impl Found<'_> {
    /// How many leading octets of `name` could be any others with the same outcome, because a wildcard or a DNAME
    /// stands for them; 0 when none could, or nothing was found.
    pub(crate) fn covers(&self, name: &[u8]) -> u8 {
        let stays = match self {
            // Without the `*` label of two octets.
            Self::Node(node) if node.name.starts_with(b"\x01*") && node.name != name => {
                node.name.len() - 2
            }
            Self::Dname(node) => node.name.len(),
            _ => return 0,
        };
        name.len().saturating_sub(stays) as u8
    }
}

impl Zones {
    /// The zone with the longest apex that `name` is within; for DS the one above, when we have it: DS
    /// belongs to the parent's side of a delegation (RFC 4035 §3.1.4.1).
    #[inline]
    pub(crate) fn zone(&self, name: &[u8], rtype: RType) -> Option<&Zone> {
        let excess = labels(name).saturating_sub(self.max_labels);
        let mut found: Option<&Zone> = None;
        for suffix in suffixes(name).skip(excess) {
            let is_apex = |i: u32| {
                self.zones
                    .get(i as usize)
                    .is_some_and(|zone| zone.apex.as_wire() == suffix)
            };
            let Some(zone) = self
                .apexes
                .find(suffix, is_apex)
                .and_then(|i| self.zones.get(i as usize))
            else {
                continue;
            };
            if rtype == RType::DS && suffix.len() == name.len() {
                found = Some(zone);
                continue;
            }
            // A parent that knows nothing of the child has nothing to say about it either.
            return match found {
                Some(child) if zone.node(name).is_none() => Some(child),
                _ => Some(zone),
            };
        }
        found
    }

    /// The names of all zones, by position.
    pub fn apexes(&self) -> impl ExactSizeIterator<Item = &Name> {
        self.zones.iter().map(|zone| &zone.apex)
    }

    /// How many zones there are.
    pub fn len(&self) -> usize {
        self.zones.len()
    }

    /// Whether there is no zone: every query is refused.
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
    }

    /// How many names exist in all zones, empty non-terminals included.
    pub fn names(&self) -> usize {
        self.zones.iter().map(|zone| zone.entries.len()).sum()
    }

    /// Each zone.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Zone> {
        self.zones.iter()
    }

    /// The zone that begins at `apex`.
    pub fn at(&self, apex: &Name) -> Option<&Zone> {
        let same = |i: u32| {
            self.zones
                .get(i as usize)
                .is_some_and(|zone| zone.apex == *apex)
        };
        let i = self.apexes.find(apex.as_wire(), same)?;
        self.zones.get(i as usize)
    }
}

impl Zone {
    /// A zone of which only the apex is known.
    pub(crate) fn empty(apex: Name, why: Unavailable) -> Self {
        Self {
            unavailable: Some(why),
            position: 0,
            apex,
            soa: Box::default(),
            soa_ttl: 0,
            negative_ttl: 0,
            content: 0,
            entries: Box::default(),
            octets: Box::default(),
            denial: crate::fast::Denial::default(),
            steered: Box::default(),
            index: Index::default(),
            max_labels: 0,
        }
    }

    /// Why there is nothing to answer from, if so.
    pub fn unavailable(&self) -> Option<Unavailable> {
        self.unavailable
    }

    #[inline]
    pub(crate) fn node(&self, name: &[u8]) -> Option<Node<'_>> {
        self.at(self.position(name)?)
    }

    /// Which of the zone's names `name` is.
    #[inline]
    pub(crate) fn position(&self, name: &[u8]) -> Option<u32> {
        let same = |i: u32| {
            let at = self.entries.get(i as usize).map(|entry| entry.at as usize);
            // A wire name ends itself: what begins with it is it.
            at.and_then(|at| self.octets.get(at..))
                .is_some_and(|octets| octets.starts_with(name))
        };
        self.index.find(name, same)
    }

    /// The name at a position; `None` for [`NONE`].
    #[inline]
    pub(crate) fn at(&self, position: u32) -> Option<Node<'_>> {
        Node::new(self, position)
    }

    /// Looks `name` up, which is within this zone.
    #[inline]
    pub(crate) fn find(&self, name: &[u8], rtype: RType) -> Found<'_> {
        if let Some(node) = self.node(name) {
            return match self.at(node.entry.cut) {
                // DS is the one type the parent is authoritative for at the cut itself.
                Some(cut) if rtype == RType::DS && cut.position == node.position => {
                    Found::Node(node)
                }
                Some(cut) => Found::Delegation(cut),
                None => Found::Node(node),
            };
        }
        // The closest encloser: the longest existing ancestor (RFC 4592 §3.3.1).
        let excess = labels(name).saturating_sub(self.max_labels).max(1);
        let Some(encloser) = suffixes(name)
            .skip(excess)
            .find_map(|suffix| self.node(suffix))
        else {
            return self.unavailable.map_or(Found::Nothing, Found::Unavailable);
        };
        // Nothing exists below a DNAME, so its owner is the closest encloser of all names below it.
        if encloser.entry.dname && !encloser.is_delegated() {
            return Found::Dname(encloser);
        }
        match (
            self.at(encloser.entry.cut),
            self.at(encloser.entry.wildcard),
        ) {
            (Some(cut), _) => Found::Delegation(cut),
            (None, Some(wildcard)) => Found::Node(wildcard),
            (None, None) => Found::Nothing,
        }
    }
}

/// From a wire name to a position: open addressing with linear probing, filled at most to half.
///
/// The names stay with what they name; a slot has 32 bits of the hash, so that a miss rarely has to
/// look at one. The hash has no secret: only an operator's names are ever inserted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    slots: Box<[(u32, u32)]>,
}

impl Index {
    /// Indexes names by their order.
    pub(crate) fn new<'a>(names: impl ExactSizeIterator<Item = &'a [u8]>) -> Self {
        let size = (names.len() * 2).next_power_of_two();
        let mut slots = vec![(0, NONE); size].into_boxed_slice();
        for (position, name) in names.enumerate() {
            let hash = hash(name);
            let mut at = hash as usize & (size - 1);
            while slots.get(at).is_some_and(|slot| slot.1 != NONE) {
                at = (at + 1) & (size - 1);
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = ((hash >> 32) as u32, position as u32);
            }
        }
        Self { slots }
    }

    /// The position of `name`; `same` says whether the name at a position is it.
    #[inline]
    pub(crate) fn find(&self, name: &[u8], same: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let hash = hash(name);
        let mut at = hash as usize & mask;
        loop {
            match *self.slots.get(at)? {
                (_, NONE) => return None,
                (tag, position) if tag == (hash >> 32) as u32 && same(position) => {
                    return Some(position);
                }
                _ => at = (at + 1) & mask,
            }
        }
    }
}

/// A fixed hash of a wire name, eight octets at a time.
#[inline]
fn hash(name: &[u8]) -> u64 {
    let mut chunks = name.chunks_exact(8);
    let mut hash = name.len() as u64;
    for chunk in chunks.by_ref() {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        hash = mix(u64::from_le_bytes(word), hash);
    }
    let mut word = [0; 8];
    for (octet, byte) in word.iter_mut().zip(chunks.remainder()) {
        *octet = *byte;
    }
    mix(u64::from_le_bytes(word), hash)
}

/// Whether `name` is a wildcard, and if so below what.
pub(crate) fn wildcard_parent(name: &[u8]) -> Option<&[u8]> {
    if name.starts_with(b"\x01*") {
        parent(name)
    } else {
        None
    }
}
