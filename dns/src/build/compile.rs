//! Sorts what was written, groups it into record sets, and lays it out as lookups want it.
//!
//! What never happens here: records of different names or types are not held against each other.

use super::heap::{Heap, Raw, STEERED};
use super::{Arc, Name, RType, Severity, Source, labels, suffixes};
use crate::master::At;
use crate::store::{Entry, Index, NONE, Zone, records, wildcard_parent};
use std::collections::HashSet;

/// The most octets the records of one set may take: what is left of the longest message behind header,
/// question and OPT.
const MAX_SET: usize = 65_535 - 12 - 259 - 11;
/// Up to this many records of a set are compared one by one.
const FEW: usize = 16;

/// Where everything in a zone was written.
pub(super) struct Places {
    /// Of each set, in the zone's order.
    sets: Vec<At>,
    /// The first set of each name.
    first: Vec<u32>,
    /// Of each steered name.
    steered: Vec<At>,
    sources: Vec<Source>,
}

impl Places {
    /// Where the first record of a name's set was written.
    pub(super) fn set(&self, node: u32, set: usize) -> At {
        let first = self.first.get(node as usize).copied().unwrap_or(0);
        self.sets
            .get(first as usize + set)
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn steered(&self, node: &records::Node<'_>) -> At {
        let at = self.steered.get(node.entry.steered as usize);
        at.copied().unwrap_or_default()
    }

    pub(super) fn source(&self, at: At) -> Option<&Source> {
        self.sources.get(at.source as usize)
    }
}

/// A record in the order of the zone.
#[derive(Clone, Copy)]
struct Item {
    prefix: u64,
    owner: u32,
    record: u32,
}

/// Compiles a zone; without a SOA it is of no use but to be checked.
pub(super) fn zone(mut heap: Heap<'_, '_>) -> (Zone, Places) {
    let items = sorted(&heap);
    let mut builder = Builder::new(&heap);
    let same_name =
        |a: &Item, b: &Item| a.owner == b.owner || heap_key(&heap, a) == heap_key(&heap, b);
    let mut told = Vec::new();
    builder.begin(heap.apex.as_wire());
    for name in items.chunk_by(same_name) {
        let Some(first) = name.first() else { continue };
        builder.begin(heap.name(first.owner));
        let rtype = |item: &Item| heap.records.get(item.record as usize).map(|raw| raw.rtype);
        for set in name.chunk_by(|a, b| rtype(a) == rtype(b)) {
            let set = set.iter();
            let set: Vec<&Raw> = set
                .filter_map(|item| heap.records.get(item.record as usize))
                .collect();
            builder.set(&heap, &set, &mut told);
        }
    }
    for Told {
        severity,
        at,
        message,
        hint,
    } in told
    {
        heap.say(severity, at, message, Some(hint));
    }
    let steered = std::mem::take(&mut heap.steered);
    let sources = std::mem::take(&mut heap.sources);
    builder.finish(heap.apex.clone(), steered, sources)
}

fn heap_key<'h>(heap: &'h Heap<'_, '_>, item: &Item) -> &'h [u8] {
    heap.key(item.owner)
}

/// By name, then by type, then as written.
fn sorted(heap: &Heap<'_, '_>) -> Vec<Item> {
    let item = |(record, raw): (usize, &Raw)| Item {
        prefix: heap
            .owners
            .get(raw.owner as usize)
            .map_or(0, |owner| owner.prefix),
        owner: raw.owner,
        record: record as u32,
    };
    let mut items: Vec<Item> = heap.records.iter().enumerate().map(item).collect();
    let rtype = |item: &Item| heap.records.get(item.record as usize).map(|raw| raw.rtype);
    items.sort_by(|a, b| {
        let by_prefix = a.prefix.cmp(&b.prefix);
        let by_key = || {
            if a.owner == b.owner {
                std::cmp::Ordering::Equal
            } else {
                heap_key(heap, a).cmp(heap_key(heap, b))
            }
        };
        by_prefix
            .then_with(by_key)
            .then_with(|| rtype(a).cmp(&rtype(b)))
    });
    items
}

/// A problem that is told when the heap is free again.
struct Told {
    severity: Severity,
    at: At,
    message: String,
    hint: &'static str,
}

struct Builder {
    apex: usize,
    octets: Vec<u8>,
    entries: Vec<Entry>,
    max_labels: usize,
    /// The names above the one at work, and it: positions.
    above: Vec<u32>,
    sets: Vec<At>,
    first: Vec<u32>,
    steered: Vec<At>,
}

impl Builder {
    fn new(heap: &Heap<'_, '_>) -> Self {
        Self {
            apex: heap.apex.as_wire().len(),
            octets: Vec::with_capacity(heap.records.len() * 48),
            entries: Vec::with_capacity(heap.owners.len()),
            max_labels: 0,
            above: Vec::new(),
            sets: Vec::with_capacity(heap.records.len()),
            first: Vec::with_capacity(heap.owners.len()),
            steered: vec![At::default(); heap.steered.len()],
        }
    }

    fn name(&self, position: u32) -> &[u8] {
        let at = self
            .entries
            .get(position as usize)
            .map_or(0, |entry| entry.at as usize);
        let octets = self.octets.get(at..).unwrap_or(&[]);
        octets
            .get(..crate::name::name_len(octets).unwrap_or(0))
            .unwrap_or(&[])
    }

    /// Begins a name, which comes in canonical order, after those above it that exist only because
    /// something is below them (RFC 4592 §2.2.2).
    fn begin(&mut self, name: &[u8]) {
        while let Some(above) = self.above.last() {
            let above = self.name(*above);
            if suffixes(name).any(|suffix| suffix == above) {
                break;
            }
            self.above.pop();
        }
        let known = self.above.last().map_or(0, |above| self.name(*above).len());
        if known == name.len() {
            return;
        }
        let missing = suffixes(name).take_while(|suffix| suffix.len() > known.max(self.apex - 1));
        let missing: Vec<&[u8]> = missing.collect();
        for name in missing.into_iter().rev() {
            self.enter(name);
        }
    }

    fn enter(&mut self, name: &[u8]) {
        let position = self.entries.len() as u32;
        let above = self.above.last().copied();
        let cut = above
            .and_then(|above| self.entries.get(above as usize))
            .map_or(NONE, |e| e.cut);
        if wildcard_parent(name).is_some()
            && let Some(parent) = above.and_then(|above| self.entries.get_mut(above as usize))
        {
            parent.wildcard = position;
        }
        self.entries.push(Entry {
            at: self.octets.len() as u32,
            len: name.len() as u32,
            cut,
            wildcard: NONE,
            steered: NONE,
            dname: false,
        });
        self.first.push(self.sets.len() as u32);
        self.octets.extend_from_slice(name);
        self.max_labels = self.max_labels.max(labels(name));
        self.above.push(position);
    }

    /// Adds a set to the name at work.
    fn set(&mut self, heap: &Heap<'_, '_>, set: &[&Raw], told: &mut Vec<Told>) {
        let Some(first) = set.first() else { return };
        let rtype = first.rtype;
        if rtype == STEERED {
            self.steer(heap, set, told);
            return;
        }
        let ttl = set.iter().map(|raw| raw.ttl).min().unwrap_or(0);
        // RFC 2181 §5.2: one TTL for the whole set. Signatures have that of what they sign.
        let other = set.iter().find(|raw| raw.ttl != first.ttl);
        if let Some(other) = other.filter(|_| rtype != RType::RRSIG) {
            let owner = show(heap, first);
            let message = format!(
                "{owner} {rtype}: TTL {} here and {} before, in one record set; {ttl} is used for all (RFC 2181)",
                other.ttl, first.ttl
            );
            told.push(Told {
                severity: Severity::Warning,
                at: other.at,
                message,
                hint: "give all records of a name and type the same TTL",
            });
        }
        let data = distinct(heap, set, told);
        let length: usize = data.iter().map(|data| data.len() + 12).sum();
        if length > MAX_SET {
            let message = format!(
                "{} {rtype}: {} records do not fit into one message",
                show(heap, first),
                data.len()
            );
            told.push(Told {
                severity: Severity::Error,
                at: first.at,
                message,
                hint: "spread them over several names",
            });
            return;
        }
        records::push_set(&mut self.octets, rtype, ttl, data.into_iter());
        self.sets.push(first.at);
        let position = self.above.last().copied().unwrap_or(0);
        let end = self.octets.len() as u32;
        if let Some(entry) = self.entries.get_mut(position as usize) {
            entry.len = end - entry.at;
            entry.dname |= rtype == RType::DNAME;
            // The topmost NS below the apex is the cut; what is deeper is the child's.
            if rtype == RType::NS && entry.cut == NONE && position > 0 {
                entry.cut = position;
            }
        }
    }

    fn steer(&mut self, heap: &Heap<'_, '_>, names: &[&Raw], told: &mut Vec<Told>) {
        let Some((first, rest)) = names.split_first() else {
            return;
        };
        if let Some(entry) = self
            .above
            .last()
            .and_then(|i| self.entries.get_mut(*i as usize))
        {
            entry.steered = first.data;
        }
        if let Some(at) = self.steered.get_mut(first.data as usize) {
            *at = first.at;
        }
        let place = match heap.sources.get(first.at.source as usize) {
            Some(Source::Place(place)) => place.clone(),
            _ => Arc::from(""),
        };
        told.extend(rest.iter().map(|again| Told {
            severity: Severity::Error,
            at: again.at,
            message: format!("{} is already steered by {place}", show(heap, again)),
            hint: "remove one of the two",
        }));
    }

    fn finish(
        self,
        apex: Name,
        steered: Vec<crate::store::Steered>,
        sources: Vec<Source>,
    ) -> (Zone, Places) {
        let names = (0..self.entries.len() as u32).map(|i| self.name(i));
        let index = Index::new(names);
        let zone = Zone {
            unavailable: None,
            position: 0,
            apex,
            soa: Box::default(),
            soa_ttl: 0,
            negative_ttl: 0,
            denial: crate::fast::Denial::default(),
            content: 0,
            entries: self.entries.into_boxed_slice(),
            octets: self.octets.into_boxed_slice(),
            steered: steered.into_boxed_slice(),
            index,
            max_labels: self.max_labels,
        };
        let places = Places {
            sets: self.sets,
            first: self.first,
            steered: self.steered,
            sources,
        };
        (zone, places)
    }
}

/// The different data of a set, as written (RFC 2181 §5: no record twice).
fn distinct<'h>(heap: &'h Heap<'_, '_>, set: &[&Raw], told: &mut Vec<Told>) -> Vec<&'h [u8]> {
    let mut data: Vec<&[u8]> = Vec::with_capacity(set.len());
    let mut seen: HashSet<&[u8]> = HashSet::new();
    for raw in set {
        let this = heap.data(raw);
        let is_new = match set.len() <= FEW {
            true => !data.contains(&this),
            false => seen.insert(this),
        };
        if is_new {
            data.push(this);
            continue;
        }
        told.push(Told {
            severity: Severity::Warning,
            at: raw.at,
            message: format!(
                "{} {}: the same record was there before",
                show(heap, raw),
                raw.rtype
            ),
            hint: "remove one of the two",
        });
    }
    data
}

fn show(heap: &Heap<'_, '_>, raw: &Raw) -> Name {
    Name::lowered(heap.name(raw.owner))
}
