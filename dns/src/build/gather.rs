//! Brings together what a zone is made from: master file, inline records, `soa` and `ns`, steered names.
//!
//! What never happens here: records are not held against each other.

use super::heap::Heap;
use super::{
    DEFAULT_TTL, Files, HashMap, MAX_TTL, Name, Problems, RType, Severity, Source, SteeredName,
    ZoneProblem, ZoneSpec, overlay, suffixes,
};
use crate::master::{self, At, Record, Sink, Text, svcb};
use crate::store::{Params, Steered};
use crate::zone::{Binding, SoaSpec};
use std::sync::Arc;

/// A steered name of a zone.
pub(super) struct Home {
    name: Name,
    decides: Steered,
    place: Arc<str>,
}

/// Reads everything one zone is written in.
pub(super) fn zone<'s, 'p>(
    spec: &'s ZoneSpec,
    apex: Name,
    steered: Vec<Home>,
    files: &dyn Files,
    problems: &'p mut Problems,
) -> Heap<'s, 'p> {
    let mut ttl = spec.ttl.unwrap_or(DEFAULT_TTL);
    if ttl > MAX_TTL {
        let message = format!("its ttl is longer than {MAX_TTL} seconds");
        problems.push(super::problem(spec, Severity::Error, message, None));
        ttl = DEFAULT_TTL;
    }
    let mut heap = Heap::new(spec, apex.clone(), ttl, problems);
    if let Some((path, text)) = &spec.master_file {
        let text = Text {
            text,
            source: heap.file(path),
            path: Some(path),
        };
        master::parse(text, &apex, files, &mut heap);
    }
    for (place, text) in &spec.records {
        inline(&mut heap, place, text, &apex, files);
    }
    configured(&mut heap);
    for home in steered {
        let source = heap.source(Source::Place(home.place));
        heap.steer(&home.name, home.decides, At { source, line: 0 });
    }
    if spec.overlay {
        overlay::settle(&mut heap);
    }
    heap
}

/// A record of the configuration.
fn inline(heap: &mut Heap<'_, '_>, place: &str, text: &str, apex: &Name, files: &dyn Files) {
    let source = heap.source(Source::Place(place.into()));
    let before = (heap.records.len(), heap.problems.count());
    let read = Text {
        text,
        source,
        path: None,
    };
    master::parse(read, apex, files, heap);
    if before == (heap.records.len(), heap.problems.count()) {
        let hint = Some("such as `www 300 A 192.0.2.1`");
        heap.say(
            Severity::Error,
            At { source, line: 0 },
            "there is no record in it",
            hint,
        );
    }
}

/// `soa` and `ns` of the configuration.
fn configured(heap: &mut Heap<'_, '_>) {
    let spec = heap.spec;
    if let Some(soa) = &spec.soa {
        let source = heap.source(Source::Place("soa".into()));
        let at = At { source, line: 0 };
        match (heap.at_apex(RType::SOA), soa_data(soa)) {
            (Some(twice), _) => said_twice(heap, "a SOA", twice),
            (None, Ok(data)) => at_apex(heap, at, RType::SOA, &data),
            (None, Err(message)) => heap.say(Severity::Error, at, message, None),
        }
    }
    if spec.ns.is_empty() {
        return;
    }
    if let Some(twice) = heap.at_apex(RType::NS) {
        return said_twice(heap, "NS records", twice);
    }
    let source = heap.source(Source::Place("ns".into()));
    let at = At { source, line: 0 };
    for text in &spec.ns {
        match Name::parse(text) {
            Ok(name) => at_apex(heap, at, RType::NS, name.as_wire()),
            Err(error) => {
                let message = format!("`{text}` is not a name: {error}");
                heap.say(Severity::Error, at, message, None);
            }
        }
    }
}

fn said_twice(heap: &mut Heap<'_, '_>, what: &str, at: At) {
    let message = format!("it has {what} here and in its configuration");
    heap.say(Severity::Error, at, message, Some("keep one of the two"));
}

fn at_apex(heap: &mut Heap<'_, '_>, at: At, rtype: RType, data: &[u8]) {
    let (owner, ttl) = (heap.apex.clone(), heap.ttl);
    // That there is no room was told.
    let _ = heap.record(Record {
        at,
        owner: &owner,
        rtype,
        ttl: Some(ttl),
        data,
    });
}

fn soa_data(soa: &SoaSpec) -> Result<Vec<u8>, String> {
    let name =
        |text: &str| Name::parse(text).map_err(|error| format!("`{text}` is not a name: {error}"));
    // A mailbox written as such: dots in its local part are escaped in a name (RFC 1035 §8).
    let rname = match soa.rname.split_once('@') {
        Some((local, domain)) => format!("{}.{domain}", local.replace('.', "\\.")),
        None => soa.rname.clone(),
    };
    let mut data = name(&soa.mname)?.as_wire().to_vec();
    data.extend_from_slice(name(&rname)?.as_wire());
    for number in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
        data.extend(number.to_be_bytes());
    }
    Ok(data)
}

/// Puts each steered name to the zone with the longest apex it is within, by position.
pub(super) fn homes(
    apexes: &[Option<Name>],
    names: Vec<SteeredName>,
    problems: &mut Problems,
) -> HashMap<usize, Vec<Home>> {
    let by_apex: HashMap<&[u8], usize> = apexes
        .iter()
        .enumerate()
        .filter_map(|(i, apex)| Some((apex.as_ref()?.as_wire(), i)))
        .collect();
    let mut homes: HashMap<usize, Vec<Home>> = HashMap::new();
    for steered in names {
        match home(&by_apex, &steered) {
            Ok((zone, home)) => homes.entry(zone).or_default().push(home),
            Err((message, hint)) => problems.push(ZoneProblem {
                severity: Severity::Error,
                zone: String::new(),
                file: None,
                line: None,
                place: Some(steered.place.to_string()),
                message,
                hint: hint.map(str::to_owned),
            }),
        }
    }
    homes
}

type Homeless = (String, Option<&'static str>);

fn home(by_apex: &HashMap<&[u8], usize>, steered: &SteeredName) -> Result<(usize, Home), Homeless> {
    let name = Name::parse(&steered.name).map_err(|error| {
        let message = format!("`{}` is not a domain name: {error}", steered.name);
        (message, None)
    })?;
    let params = |offered: &Option<Binding>| match offered {
        Some(offered) => params(offered).map(|params| Some(Box::new(params))),
        None => Ok(None),
    };
    let (https, svcb) = (params(&steered.https)?, params(&steered.svcb)?);
    let zone = suffixes(name.as_wire()).find_map(|suffix| by_apex.get(suffix));
    let zone = *zone.ok_or_else(|| {
        let hint = "add the zone it belongs to under `zones`, or remove the name";
        (format!("{name} is in none of the zones"), Some(hint))
    })?;
    let decides = Steered {
        service: steered.service,
        https,
        svcb,
        hostnames: steered.hostnames,
    };
    let home = Home {
        name,
        decides,
        place: steered.place.clone(),
    };
    Ok((zone, home))
}

/// What is offered, in wire form, in the order of the keys with the address hints between (RFC 9460 §2.2).
fn params(offered: &Binding) -> Result<Params, Homeless> {
    let alpn = svcb::alpn(offered.alpn.iter().map(String::as_bytes)).ok_or_else(|| {
        let message = "a protocol of its alpn is empty or too long".to_owned();
        (message, None)
    })?;
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    if !alpn.is_empty() {
        svcb::push(&mut before, svcb::ALPN, &alpn);
    }
    if let Some(port) = offered.port {
        svcb::push(&mut before, svcb::PORT, &port.to_be_bytes());
    }
    if let Some(path) = &offered.doh_path {
        svcb::push(&mut behind, svcb::DOHPATH, path.as_bytes());
    }
    Ok(Params {
        before: before.into_boxed_slice(),
        behind: behind.into_boxed_slice(),
    })
}
