//! From written zones to compiled ones: every record held against the others, all problems at once.
//!
//! What never happens here: no zone is built half. One problem anywhere and nothing is returned, so that
//! the zones in use stay as they are.

use crate::master::rdata::SOA_TAIL;
use crate::master::{self, MAX_TTL, svcb};
use crate::name::{Name, labels, suffixes};
use crate::rtype::RType;
use crate::store::{Entry, Index, NONE, Steered, Zone, Zones, records, wildcard_parent};
use crate::zone::{DEFAULT_TTL, SteeredName, ZoneProblem, ZoneSpec};
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map;
use steering::draw::mix;

mod check;
mod gather;

/// A name while its zone is being gathered.
#[derive(Default)]
struct Draft {
    sets: Vec<DraftSet>,
    steered: Option<(Box<Steered>, String)>,
}

struct DraftSet {
    rtype: RType,
    ttl: u32,
    data: Vec<Box<[u8]>>,
    at: At,
}

/// Where something was written.
#[derive(Clone, Debug, Default)]
struct At {
    line: Option<u32>,
    place: Option<String>,
}

/// A zone while it is being gathered.
struct DraftZone<'a> {
    spec: &'a ZoneSpec,
    apex: Name,
    nodes: BTreeMap<Name, Draft>,
    ttl: u32,
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_wire().cmp(other.as_wire())
    }
}

impl Zones {
    /// Builds all zones, with the steered names in those they belong to.
    ///
    /// # Errors
    /// Everything that is wrong, in the order it was written, steered names last.
    pub fn build(
        zones: Vec<ZoneSpec>,
        steered: Vec<SteeredName>,
    ) -> Result<Self, Vec<ZoneProblem>> {
        let mut problems = Vec::new();
        let mut drafts: Vec<DraftZone<'_>> = Vec::new();
        let mut seen: BTreeMap<Name, &str> = BTreeMap::new();
        for spec in &zones {
            let apex = match Name::parse(&spec.apex) {
                Ok(apex) if !apex.is_wildcard() => apex,
                Ok(_) => {
                    problems.push(problem(spec, "a zone cannot begin at a wildcard", None));
                    continue;
                }
                Err(error) => {
                    problems.push(problem(
                        spec,
                        format!("its name is not a domain name: {error}"),
                        None,
                    ));
                    continue;
                }
            };
            match seen.entry(apex.clone()) {
                btree_map::Entry::Occupied(_) => {
                    problems.push(problem(
                        spec,
                        "this zone is defined twice",
                        Some("merge the two definitions"),
                    ));
                    continue;
                }
                btree_map::Entry::Vacant(slot) => slot.insert(&spec.apex),
            };
            drafts.push(gather::zone(spec, apex, &mut problems));
        }
        gather::steered(&mut drafts, steered, &mut problems);
        for draft in &drafts {
            check::zone(draft, &mut problems);
        }
        if problems.is_empty() {
            Ok(compile(drafts))
        } else {
            Err(problems)
        }
    }
}

fn problem(spec: &ZoneSpec, message: impl Into<String>, hint: Option<&str>) -> ZoneProblem {
    ZoneProblem {
        zone: spec.apex.clone(),
        file: None,
        line: None,
        place: None,
        message: message.into(),
        hint: hint.map(str::to_owned),
    }
}

/// A problem at a place: in the master file when it has a line.
fn problem_at(
    spec: &ZoneSpec,
    at: &At,
    message: impl Into<String>,
    hint: Option<&str>,
) -> ZoneProblem {
    let file = spec
        .master_file
        .as_ref()
        .filter(|_| at.line.is_some())
        .map(|(path, _)| path.clone());
    ZoneProblem {
        file,
        line: at.line,
        place: at.place.clone(),
        ..problem(spec, message, hint)
    }
}

fn compile(drafts: Vec<DraftZone<'_>>) -> Zones {
    let mut zones: Vec<Zone> = drafts.into_iter().filter_map(compile_zone).collect();
    for (zone, position) in zones.iter_mut().zip(0..) {
        zone.position = position;
    }
    let apexes = Index::new(zones.iter().map(|zone| zone.apex.as_wire()));
    let max_labels = zones
        .iter()
        .map(|zone| crate::name::labels(zone.apex.as_wire()))
        .max()
        .unwrap_or(0);
    Zones {
        zones,
        apexes,
        max_labels,
    }
}

fn compile_zone(draft: DraftZone<'_>) -> Option<Zone> {
    let DraftZone {
        apex, mut nodes, ..
    } = draft;
    add_empty_non_terminals(&mut nodes, &apex);
    let mut nodes: Vec<(Name, Draft)> = nodes.into_iter().collect();
    nodes.sort_by(|(a, _), (b, _)| canonical(a.as_wire(), b.as_wire()));
    let mut octets = Vec::new();
    let mut entries = Vec::with_capacity(nodes.len());
    let mut steered = Vec::new();
    for (name, mut draft) in nodes {
        let at = octets.len();
        octets.extend_from_slice(name.as_wire());
        draft.sets.sort_by_key(|set| set.rtype);
        for set in &draft.sets {
            let data = set.data.iter().map(|data| &**data);
            records::push_set(&mut octets, set.rtype, set.ttl, data);
        }
        entries.push(Entry {
            at: at as u32,
            len: (octets.len() - at) as u32,
            cut: NONE,
            wildcard: NONE,
            steered: draft.steered.map_or(NONE, |(decides, _)| {
                steered.push(*decides);
                steered.len() as u32 - 1
            }),
            dname: draft.sets.iter().any(|set| set.rtype == RType::DNAME),
        });
    }
    let mut zone = Zone {
        position: 0,
        soa: Box::default(),
        soa_ttl: 0,
        negative_ttl: 0,
        content: 0,
        entries: entries.into_boxed_slice(),
        octets: octets.into_boxed_slice(),
        steered: steered.into_boxed_slice(),
        index: Index::default(),
        max_labels: 0,
        apex,
    };
    let names: Vec<&[u8]> = (0..zone.entries.len() as u32)
        .filter_map(|i| Some(zone.at(i)?.name))
        .collect();
    let max_labels = names.iter().map(|name| labels(name)).max().unwrap_or(0);
    let index = Index::new(names.into_iter());
    (zone.max_labels, zone.index) = (max_labels, index);
    link(&mut zone);
    let soa = zone.node(zone.apex.as_wire())?.set(RType::SOA)?;
    let (ttl, data): (u32, Box<[u8]>) = (soa.ttl, soa.data().next()?.into());
    let minimum = data
        .last_chunk()
        .map_or(0, |minimum| u32::from_be_bytes(*minimum));
    (zone.soa_ttl, zone.negative_ttl, zone.soa) = (ttl, ttl.min(minimum), data);
    zone.content = content(&zone);
    Some(zone)
}

/// Canonical order (RFC 4034 §6.1): by label from the right, octet by octet.
fn canonical(a: &[u8], b: &[u8]) -> Ordering {
    let labels = |name| suffixes(name).collect::<SmallVec<[&[u8]; 16]>>();
    let label = |suffix: &[u8]| {
        let len = suffix.first().map_or(0, |len| usize::from(*len));
        suffix.get(1..1 + len).unwrap_or(&[]).to_vec()
    };
    let (a, b) = (labels(a), labels(b));
    let pairs = a.iter().rev().zip(b.iter().rev());
    pairs
        .map(|(a, b)| label(a).cmp(&label(b)))
        .find(|order| order.is_ne())
        .unwrap_or(a.len().cmp(&b.len()))
}

/// See [`Zone::content`].
fn content(zone: &Zone) -> u64 {
    let mut hash = 0;
    for record in zone.records() {
        let data = match record.rtype {
            // All but the serial.
            RType::SOA => record.data.len().checked_sub(SOA_TAIL).map_or(0, |at| {
                let (names, numbers) = record.data.split_at(at);
                octets(names, octets(numbers.get(4..).unwrap_or(&[]), 0))
            }),
            _ => octets(record.data, 0),
        };
        let fixed = u64::from(record.rtype.0) << 32 | u64::from(record.ttl);
        hash = mix(mix(octets(record.owner, hash), fixed), data);
    }
    hash
}

/// A fixed hash of octets, eight at a time.
fn octets(octets: &[u8], seed: u64) -> u64 {
    let words = octets.chunks(8).map(|chunk| {
        let octets = chunk.iter();
        octets.fold(0_u64, |word, octet| word << 8 | u64::from(*octet))
    });
    words.fold(mix(octets.len() as u64, seed), |hash, word| mix(word, hash))
}

/// Names that exist only because something is below them (RFC 4592 §2.2.2).
fn add_empty_non_terminals(nodes: &mut BTreeMap<Name, Draft>, apex: &Name) {
    let mut missing = Vec::new();
    for name in nodes.keys() {
        for suffix in suffixes(name.as_wire()).skip(1) {
            if suffix.len() <= apex.as_wire().len() {
                break;
            }
            let above = Name::lowered(suffix);
            if !nodes.contains_key(&above) {
                missing.push(above);
            }
        }
    }
    for name in missing {
        nodes.entry(name).or_default();
    }
}

/// Works out for each name which delegation it is under and which wildcard stands below it.
fn link(zone: &mut Zone) {
    let apex = zone.apex.as_wire().len();
    for i in 0..zone.entries.len() as u32 {
        let Some(node) = zone.at(i) else { continue };
        // The topmost NS below the apex is the cut; what is deeper is the child's.
        let above = suffixes(node.name).take_while(|suffix| suffix.len() > apex);
        let cut = above
            .filter_map(|suffix| zone.node(suffix))
            .filter(|node| node.set(RType::NS).is_some())
            .last()
            .map(|node| node.position);
        let parent = wildcard_parent(node.name).and_then(|above| zone.position(above));
        if let (Some(cut), Some(entry)) = (cut, zone.entries.get_mut(i as usize)) {
            entry.cut = cut;
        }
        if let Some(entry) = parent.and_then(|parent| zone.entries.get_mut(parent as usize)) {
            entry.wildcard = i;
        }
    }
}
