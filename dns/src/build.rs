//! From written zones to compiled ones: every record held against the others, all problems at once.
//!
//! What never happens here: no zone is built half. One problem anywhere and nothing is returned, so that
//! the zones in use stay as they are.

use crate::master::{self, MAX_TTL, svcb};
use crate::name::{Name, suffixes};
use crate::rtype::RType;
use crate::store::{Index, NONE, Node, RrSet, Steered, Zone, Zones, wildcard_parent};
use crate::zone::{DEFAULT_TTL, SteeredName, ZoneProblem, ZoneSpec};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

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
                Entry::Occupied(_) => {
                    problems.push(problem(
                        spec,
                        "this zone is defined twice",
                        Some("merge the two definitions"),
                    ));
                    continue;
                }
                Entry::Vacant(slot) => slot.insert(&spec.apex),
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
    let zones: Vec<Zone> = drafts.into_iter().filter_map(compile_zone).collect();
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
    let mut compiled: Vec<Node> = Vec::with_capacity(nodes.len());
    for (name, draft) in nodes {
        compiled.push(Node {
            name: name.as_wire().into(),
            sets: draft.sets.into_iter().map(compile_set).collect(),
            steered: draft.steered.map(|(steered, _)| steered),
            cut: NONE,
            wildcard: NONE,
        });
    }
    let index = Index::new(compiled.iter().map(|node| &*node.name));
    let max_labels = compiled
        .iter()
        .map(|node| crate::name::labels(&node.name))
        .max()
        .unwrap_or(0);
    let mut zone = Zone {
        soa: Box::default(),
        soa_ttl: 0,
        negative_ttl: 0,
        nodes: compiled,
        index,
        max_labels,
        apex,
    };
    link(&mut zone);
    let soa = zone.node(zone.apex.as_wire())?.set(RType::SOA)?;
    let (ttl, data) = (soa.ttl, soa.data.first()?.clone());
    let minimum = data
        .last_chunk()
        .map_or(0, |minimum| u32::from_be_bytes(*minimum));
    (zone.soa_ttl, zone.negative_ttl, zone.soa) = (ttl, ttl.min(minimum), data);
    Some(zone)
}

fn compile_set(set: DraftSet) -> RrSet {
    RrSet {
        rtype: set.rtype,
        ttl: set.ttl,
        data: set.data.into_boxed_slice(),
    }
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
    let position = |zone: &Zone, name: &[u8]| {
        zone.index.find(name, |i| {
            zone.nodes
                .get(i as usize)
                .is_some_and(|node| *node.name == *name)
        })
    };
    let apex = zone.apex.as_wire().len();
    for i in 0..zone.nodes.len() {
        let Some(name) = zone.nodes.get(i).map(|node| node.name.clone()) else {
            continue;
        };
        // The topmost NS below the apex is the cut; what is deeper is the child's.
        let above = suffixes(&name).take_while(|suffix| suffix.len() > apex);
        let cut = above
            .filter_map(|suffix| position(zone, suffix))
            .filter(|at| {
                zone.at(*at)
                    .is_some_and(|node| node.set(RType::NS).is_some())
            })
            .last();
        if let (Some(cut), Some(node)) = (cut, zone.nodes.get_mut(i)) {
            node.cut = cut;
        }
        let parent = wildcard_parent(&name).and_then(|above| position(zone, above));
        if let Some(node) = parent.and_then(|parent| zone.nodes.get_mut(parent as usize)) {
            node.wildcard = i as u32;
        }
    }
}
