//! The records of one zone as they were written, in the order they were written: few large allocations, so
//! that a million of them cost little more than their octets.
//!
//! What never happens here: records are not held against each other, apart from being in the zone.

use super::{Problems, Severity, Source, problem_at};
use crate::master::{At, Full, Record, Sink};
use crate::name::{Name, suffixes};
use crate::rtype::RType;
use crate::store::Steered;
use crate::zone::ZoneSpec;
use smallvec::SmallVec;
use std::path::Path;

/// The most octets that names and data of one zone may take: positions have 32 bits, and a zone is held
/// twice while it is compiled.
const MAX_ZONE: usize = 1 << 30;
/// What a name is entered with that is steered: not a type of records (RFC 6895 §3.1).
pub(super) const STEERED: RType = RType(0);

/// An owner, as often as it was written.
pub(super) struct Owner {
    /// Where its name begins.
    at: u32,
    /// Where its key begins, and ends.
    key: (u32, u32),
    /// The first eight octets of its key.
    pub(super) prefix: u64,
    len: u8,
}

/// A record, or a name that is steered.
pub(super) struct Raw {
    pub(super) owner: u32,
    /// Where its data begins; for a steered name which one it is.
    pub(super) data: u32,
    pub(super) ttl: u32,
    pub(super) at: At,
    pub(super) rtype: RType,
    len: u16,
}

/// Everything of one zone.
pub(super) struct Heap<'s, 'p> {
    pub(super) spec: &'s ZoneSpec,
    pub(super) apex: Name,
    /// The TTL of records without one.
    pub(super) ttl: u32,
    pub(super) records: Vec<Raw>,
    pub(super) owners: Vec<Owner>,
    pub(super) steered: Vec<Steered>,
    pub(super) sources: Vec<Source>,
    pub(super) problems: &'p mut Problems,
    octets: Vec<u8>,
    keys: Vec<u8>,
}

impl<'s, 'p> Heap<'s, 'p> {
    pub(super) fn new(
        spec: &'s ZoneSpec,
        apex: Name,
        ttl: u32,
        problems: &'p mut Problems,
    ) -> Self {
        let mut heap = Self {
            spec,
            apex,
            ttl,
            records: Vec::new(),
            owners: Vec::new(),
            steered: Vec::new(),
            sources: Vec::new(),
            problems,
            octets: Vec::new(),
            keys: Vec::new(),
        };
        let apex = heap.apex.clone();
        heap.own(&apex);
        heap
    }

    /// Notes where the next records come from; gives its number.
    pub(super) fn source(&mut self, source: Source) -> u32 {
        self.sources.push(source);
        self.sources.len() as u32 - 1
    }

    pub(super) fn name(&self, owner: u32) -> &[u8] {
        let owner = self.owners.get(owner as usize);
        owner.map_or(&[0], |owner| self.octets_at(owner.at, owner.len.into()))
    }

    /// What names are sorted by: in canonical order (RFC 4034 §6.1) when compared octet by octet.
    pub(super) fn key(&self, owner: u32) -> &[u8] {
        let key = self
            .owners
            .get(owner as usize)
            .map_or((0, 0), |owner| owner.key);
        self.keys.get(key.0 as usize..key.1 as usize).unwrap_or(&[])
    }

    pub(super) fn data(&self, raw: &Raw) -> &[u8] {
        self.octets_at(raw.data, raw.len.into())
    }

    fn octets_at(&self, at: u32, len: usize) -> &[u8] {
        let at = at as usize;
        self.octets.get(at..at + len).unwrap_or(&[])
    }

    /// Whether the apex has a record of this type, and where.
    pub(super) fn at_apex(&self, rtype: RType) -> Option<At> {
        let apex = self.apex.as_wire();
        let mut records = self.records.iter();
        let found = records.find(|raw| raw.rtype == rtype && self.name(raw.owner) == apex);
        found.map(|raw| raw.at)
    }

    pub(super) fn steer(&mut self, name: &Name, decides: Steered, at: At) {
        let owner = self.own(name);
        let data = self.steered.len() as u32;
        self.steered.push(decides);
        self.records.push(Raw {
            owner,
            data,
            ttl: 0,
            at,
            rtype: STEERED,
            len: 0,
        });
    }

    pub(super) fn say(
        &mut self,
        severity: Severity,
        at: At,
        message: impl Into<String>,
        hint: Option<&str>,
    ) {
        let at = (self.sources.get(at.source as usize), at.line);
        let problem = problem_at(self.spec, severity, at, message, hint);
        self.problems.push(problem);
    }

    /// The number of an owner; the one before when it is the same, as it often is.
    fn own(&mut self, name: &Name) -> u32 {
        let last = self.owners.len().wrapping_sub(1) as u32;
        if !self.owners.is_empty() && self.name(last) == name.as_wire() {
            return last;
        }
        let (at, key_at) = (self.octets.len() as u32, self.keys.len());
        self.octets.extend_from_slice(name.as_wire());
        push_key(name.as_wire(), self.apex.as_wire().len(), &mut self.keys);
        let mut prefix = [0; 8];
        for (to, from) in prefix
            .iter_mut()
            .zip(self.keys.get(key_at..).unwrap_or(&[]))
        {
            *to = *from;
        }
        self.owners.push(Owner {
            at,
            key: (key_at as u32, self.keys.len() as u32),
            prefix: u64::from_be_bytes(prefix),
            len: name.as_wire().len() as u8,
        });
        last.wrapping_add(1)
    }
}

/// The labels above the apex from the right, each ended by a zero; so that no octet of a label is below that
/// end, zero and one are written as two octets.
fn push_key(name: &[u8], apex: usize, key: &mut Vec<u8>) {
    let own = suffixes(name).take_while(|suffix| suffix.len() > apex);
    let own: SmallVec<[&[u8]; 16]> = own.collect();
    for suffix in own.into_iter().rev() {
        let (len, rest) = suffix.split_first().unwrap_or((&0, &[]));
        for octet in rest.iter().take(usize::from(*len)) {
            match octet {
                0 | 1 => key.extend([1, 1 + octet]),
                other => key.push(*other),
            }
        }
        key.push(0);
    }
}

impl Sink for Heap<'_, '_> {
    fn file(&mut self, path: &Path) -> u32 {
        self.source(Source::File(path.into()))
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), Full> {
        if !record.owner.is_within(&self.apex) {
            let message = format!("{} is not within the zone", record.owner);
            let hint = Some("a name without a last dot is relative to $ORIGIN");
            self.say(Severity::Error, record.at, message, hint);
            return Ok(());
        }
        let room = record.owner.as_wire().len() + record.data.len();
        if self.octets.len() + self.keys.len() + 2 * room > MAX_ZONE {
            let message =
                format!("the zone is larger than {MAX_ZONE} octets; the rest was not read");
            self.say(
                Severity::Error,
                record.at,
                message,
                Some("split it into several zones"),
            );
            return Err(Full);
        }
        let owner = self.own(record.owner);
        let data = self.octets.len() as u32;
        self.octets.extend_from_slice(record.data);
        self.records.push(Raw {
            owner,
            data,
            ttl: record.ttl.unwrap_or(self.ttl),
            at: record.at,
            rtype: record.rtype,
            len: record.data.len() as u16,
        });
        Ok(())
    }

    fn problem(&mut self, at: At, message: String, hint: Option<&'static str>) {
        self.say(Severity::Error, at, message, hint);
    }
}
