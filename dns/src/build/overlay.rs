//! What the config says over a zone that is kept elsewhere: its records and steered names replace what was transferred.
//!
//! What never happens here: nothing is added. Only zones that say so ([`ZoneSpec::overlay`](crate::ZoneSpec)) are
//! touched; in a zone of one's own two words about one thing are a mistake to be told.

use super::Source;
use super::heap::{Heap, Raw, STEERED};
use crate::rtype::RType;
use std::collections::HashMap;

/// What of a transferred name the config replaces.
#[derive(Default)]
struct Replaced {
    types: Vec<RType>,
    /// All that is there, but for what a zone cannot do without.
    all: bool,
}

/// Takes out of a transferred zone what the config says instead.
pub(super) fn settle(heap: &mut Heap<'_, '_>) {
    let mut replaced: HashMap<Vec<u8>, Replaced> = HashMap::new();
    for raw in heap.records.iter().filter(|raw| !is_transferred(heap, raw)) {
        let here = replaced.entry(heap.name(raw.owner).to_vec()).or_default();
        match raw.rtype {
            STEERED => {
                let decides = heap.steered.get(raw.data as usize);
                here.types.extend([RType::A, RType::AAAA, RType::CNAME]);
                let made =
                    |rtype: &RType| decides.is_some_and(|decides| decides.params(*rtype).is_some());
                let bindings = [RType::HTTPS, RType::SVCB];
                here.types.extend(bindings.into_iter().filter(made));
                here.all |= decides.is_some_and(|decides| decides.hostnames);
            }
            // RFC 2181 §10.1: a CNAME is alone.
            RType::CNAME => here.all = true,
            rtype => here.types.extend([rtype, RType::CNAME]),
        }
    }
    if replaced.is_empty() {
        return;
    }
    let stays = |heap: &Heap<'_, '_>, raw: &Raw| {
        let here = replaced.get(heap.name(raw.owner));
        !is_transferred(heap, raw)
            || here.is_none_or(|here| {
                let needed = matches!(raw.rtype, RType::SOA | RType::NS);
                !(here.types.contains(&raw.rtype) || here.all && !needed)
            })
    };
    let mut records = std::mem::take(&mut heap.records);
    records.retain(|raw| stays(heap, raw));
    heap.records = records;
}

fn is_transferred(heap: &Heap<'_, '_>, raw: &Raw) -> bool {
    let source = heap.sources.get(raw.at.source as usize);
    matches!(source, Some(Source::File(_)))
}
