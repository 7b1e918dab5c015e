//! How the records of a zone lie in memory, and the views that lookups hand out.
//!
//! All names and record sets of a zone are in one run of octets, a name's beside it: a lookup touches few
//! cache lines, and a zone of a million records is freed at once. A record set lies there as the answer
//! section has it, with a pointer to the question for its owner:
//!
//! ```text
//! name | type count length | c00c type IN ttl rdlength rdata | … | type count length | …
//! ```
//!
//! What never happens here: nothing is looked up, and nothing changes once a zone is built.

use super::{NONE, Steered, Zone};
use crate::name::{Name, name_len};
use crate::query::IN;
use crate::rtype::RType;

/// What is before the RDATA of a record: owner pointer, type, class, TTL, RDLENGTH.
const RECORD_HEAD: usize = 12;
/// What is before the records of a set: type, count, length in octets.
const SET_HEAD: usize = 8;
/// The owner of a record in an answer whose question has its name (RFC 1035 §4.1.4).
const TO_QUESTION: [u8; 2] = [0xc0, 12];

/// A name of a zone as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Where its name begins in [`Zone::octets`].
    pub(crate) at: u32,
    /// How many octets name and sets are.
    pub(crate) len: u32,
    /// The delegation at or above this name, as a position; [`NONE`] for authoritative names.
    pub(crate) cut: u32,
    /// The `*` child (RFC 4592 §3.3.1: the source of synthesis below here), or [`NONE`].
    pub(crate) wildcard: u32,
    /// What decides here, as a position in [`Zone::steered`], or [`NONE`].
    pub(crate) steered: u32,
    /// Whether there is a DNAME, which all names below are redirected by (RFC 6672 §2.3).
    pub(crate) dname: bool,
}

/// A name that exists: with records, steered, or an empty non-terminal (RFC 4592 §2.2.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node<'a> {
    /// Its wire name, lower-cased.
    pub(crate) name: &'a [u8],
    /// What decides here.
    pub(crate) steered: Option<&'a Steered>,
    /// Which of the zone's names it is.
    pub(crate) position: u32,
    pub(crate) entry: &'a Entry,
    sets: &'a [u8],
}

/// All records of one name and type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RrSet<'a> {
    pub(crate) rtype: RType,
    /// In seconds; one for the whole set (RFC 2181 §5.2).
    pub(crate) ttl: u32,
    /// How many records.
    pub(crate) count: u16,
    /// The records as in an answer to a question for their own name, names in RDATA uncompressed.
    pub(crate) wire: &'a [u8],
}

/// One record of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneRecord<'a> {
    /// Its owner's wire name, lower-cased.
    pub owner: &'a [u8],
    /// Its type.
    pub rtype: RType,
    /// Its TTL in seconds.
    pub ttl: u32,
    /// Its RDATA, names uncompressed and their case kept.
    pub data: &'a [u8],
}

impl<'a> Node<'a> {
    pub(crate) fn new(zone: &'a Zone, position: u32) -> Option<Self> {
        let entry = zone.entries.get(position as usize)?;
        let at = entry.at as usize;
        let all = zone.octets.get(at..at + entry.len as usize)?;
        let (name, sets) = all.split_at_checked(name_len(all)?)?;
        Some(Self {
            name,
            sets,
            steered: zone.steered.get(entry.steered as usize),
            position,
            entry,
        })
    }

    /// The set of this type.
    #[inline]
    pub(crate) fn set(self, rtype: RType) -> Option<RrSet<'a>> {
        self.sets().find(|set| set.rtype == rtype)
    }

    /// All sets, by type.
    #[inline]
    pub(crate) fn sets(self) -> Sets<'a> {
        Sets { rest: self.sets }
    }

    /// Whether there are records.
    #[inline]
    pub(crate) fn has_records(self) -> bool {
        !self.sets.is_empty()
    }

    /// Whether it is at or below a delegation.
    #[inline]
    pub(crate) fn is_delegated(self) -> bool {
        self.entry.cut != NONE
    }
}

/// The sets of a node.
#[derive(Clone, Debug)]
pub(crate) struct Sets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Sets<'a> {
    type Item = RrSet<'a>;

    #[inline]
    fn next(&mut self) -> Option<RrSet<'a>> {
        let (head, rest) = self.rest.split_first_chunk::<SET_HEAD>()?;
        let [t1, t0, c1, c0, l3, l2, l1, l0] = *head;
        let length = u32::from_be_bytes([l3, l2, l1, l0]) as usize;
        let (wire, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        let ttl = wire.get(6..).and_then(|ttl| ttl.first_chunk());
        Some(RrSet {
            rtype: RType(u16::from_be_bytes([t1, t0])),
            ttl: ttl.map_or(0, |ttl| u32::from_be_bytes(*ttl)),
            count: u16::from_be_bytes([c1, c0]),
            wire,
        })
    }
}

impl<'a> RrSet<'a> {
    /// The RDATA of each record.
    #[inline]
    pub(crate) fn data(self) -> DataOf<'a> {
        DataOf { rest: self.wire }
    }
}

/// The RDATA of each record of a set.
#[derive(Clone, Debug)]
pub(crate) struct DataOf<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for DataOf<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_first_chunk::<RECORD_HEAD>()?;
        let length = usize::from(u16::from_be_bytes([head[10], head[11]]));
        let (data, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(data)
    }
}

/// Appends a set.
pub(crate) fn push_set<'a>(
    octets: &mut Vec<u8>,
    rtype: RType,
    ttl: u32,
    data: impl Iterator<Item = &'a [u8]>,
) {
    let head = octets.len();
    octets.extend([0; SET_HEAD]);
    let mut count = 0_u16;
    for data in data {
        count = count.saturating_add(1);
        octets.extend(TO_QUESTION);
        octets.extend(rtype.0.to_be_bytes());
        octets.extend(IN.to_be_bytes());
        octets.extend(ttl.to_be_bytes());
        octets.extend((data.len() as u16).to_be_bytes());
        octets.extend_from_slice(data);
    }
    let length = (octets.len() - head - SET_HEAD) as u32;
    let [t, c] = [rtype.0, count].map(u16::to_be_bytes);
    let [t, c, l] = [&t[..], &c[..], &length.to_be_bytes()[..]];
    let filled = t.iter().chain(c).chain(l);
    for (to, from) in octets.iter_mut().skip(head).zip(filled) {
        *to = *from;
    }
}

impl Zone {
    /// The name the zone begins at.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The SOA; `None` when the zone has nothing to answer from.
    pub fn soa_record(&self) -> Option<ZoneRecord<'_>> {
        self.unavailable.is_none().then(|| ZoneRecord {
            owner: self.apex.as_wire(),
            rtype: RType::SOA,
            ttl: self.soa_ttl,
            data: &self.soa,
        })
    }

    /// The version of the zone, as its SOA says (RFC 1035 §3.3.13).
    pub fn serial(&self) -> u32 {
        // Behind the two names come five numbers, the first of them the serial.
        let numbers = self.soa.last_chunk::<{ crate::master::rdata::SOA_TAIL }>();
        let serial = numbers.and_then(|numbers| numbers.first_chunk());
        serial.map_or(0, |serial| u32::from_be_bytes(*serial))
    }

    /// How long the zone may be served without its primary, in seconds (RFC 1035 §3.3.13).
    pub(crate) fn expire(&self) -> Option<u32> {
        let numbers = self
            .soa
            .last_chunk::<{ crate::master::rdata::SOA_TAIL }>()?;
        let [_, _, _, expire, _] = *numbers.as_chunks::<4>().0 else {
            return None;
        };
        Some(u32::from_be_bytes(expire))
    }

    /// A fingerprint of all records but for the SOA's serial: two generations of a zone with the same
    /// one have the same content. The same on every machine and in every run.
    pub fn content(&self) -> u64 {
        self.content
    }

    /// Every record, in canonical order of names (RFC 4034 §6.1), then by type; those below delegations
    /// and the SOA too. Steered names are not records.
    pub fn records(&self) -> impl Iterator<Item = ZoneRecord<'_>> {
        let nodes = (0..self.entries.len() as u32).filter_map(|i| self.at(i));
        nodes.flat_map(|node| {
            node.sets().flat_map(move |set| {
                set.data().map(move |data| ZoneRecord {
                    owner: node.name,
                    rtype: set.rtype,
                    ttl: set.ttl,
                    data,
                })
            })
        })
    }
}
