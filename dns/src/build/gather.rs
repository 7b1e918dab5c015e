//! Brings together what a zone is made from: master file, inline records, `soa` and `ns`, steered names.
//!
//! What never happens here: records are not held against each other, apart from being in the zone.

use super::{At, Draft, DraftSet, DraftZone, problem, problem_at};
use super::{
    DEFAULT_TTL, MAX_TTL, Name, RType, Steered, SteeredName, ZoneProblem, ZoneSpec, master, svcb,
};
use crate::name::suffixes;
use crate::zone::SoaSpec;
use std::collections::HashMap;

/// Reads everything one zone is written in.
pub(super) fn zone<'a>(
    spec: &'a ZoneSpec,
    apex: Name,
    problems: &mut Vec<ZoneProblem>,
) -> DraftZone<'a> {
    let mut zone = DraftZone {
        spec,
        apex,
        nodes: Default::default(),
        ttl: spec.ttl.unwrap_or(DEFAULT_TTL),
    };
    zone.nodes.insert(zone.apex.clone(), Draft::default());
    if zone.ttl > MAX_TTL {
        problems.push(problem(
            spec,
            format!("its ttl is longer than {MAX_TTL} seconds"),
            None,
        ));
        zone.ttl = DEFAULT_TTL;
    }
    if let Some((_, text)) = &spec.master_file {
        let (records, found) = master::parse(text, &zone.apex);
        for record in records {
            let at = At {
                line: Some(record.line),
                place: None,
            };
            zone.add(record, at, problems);
        }
        problems.extend(found.into_iter().map(|p| {
            problem_at(
                spec,
                &At {
                    line: Some(p.line),
                    place: None,
                },
                p.message,
                p.hint,
            )
        }));
    }
    for (place, text) in &spec.records {
        let at = At {
            line: None,
            place: Some(place.clone()),
        };
        let (records, found) = master::parse(text, &zone.apex);
        if records.is_empty() && found.is_empty() {
            problems.push(problem_at(
                spec,
                &at,
                "there is no record in it",
                Some("such as `www 300 A 192.0.2.1`"),
            ));
        }
        for record in records {
            zone.add(record, at.clone(), problems);
        }
        problems.extend(
            found
                .into_iter()
                .map(|p| problem_at(spec, &at, p.message, p.hint)),
        );
    }
    zone.add_configured(problems);
    zone
}

impl DraftZone<'_> {
    fn add(&mut self, record: master::Record, at: At, problems: &mut Vec<ZoneProblem>) {
        if !record.owner.is_within(&self.apex) {
            let message = format!("{} is not within the zone", record.owner);
            problems.push(problem_at(
                self.spec,
                &at,
                message,
                Some("a name without a last dot is relative to $ORIGIN"),
            ));
            return;
        }
        let ttl = record.ttl.unwrap_or(self.ttl);
        let sets = &mut self.nodes.entry(record.owner).or_default().sets;
        let data = record.data.into_boxed_slice();
        match sets.iter_mut().find(|set| set.rtype == record.rtype) {
            None => sets.push(DraftSet {
                rtype: record.rtype,
                ttl,
                data: vec![data],
                at,
            }),
            Some(set) => {
                // RFC 2181 §5.2: one TTL for the whole set, and §5: no duplicates.
                set.ttl = set.ttl.min(ttl);
                if !set.data.contains(&data) {
                    set.data.push(data);
                }
            }
        }
    }

    /// `soa` and `ns` of the configuration.
    fn add_configured(&mut self, problems: &mut Vec<ZoneProblem>) {
        let spec = self.spec;
        let apex = self.apex.clone();
        let has = |zone: &Self, rtype| {
            zone.nodes
                .get(&apex)
                .and_then(|node| node.sets.iter().find(|set| set.rtype == rtype))
                .map(|set| set.at.clone())
        };
        let twice = |what: &str, at: &At| {
            let message = format!("it has {what} here and in its configuration");
            problem_at(spec, at, message, Some("keep one of the two"))
        };
        if let Some(soa) = &spec.soa {
            match (has(self, RType::SOA), soa_data(soa)) {
                (Some(at), _) => problems.push(twice("a SOA", &at)),
                (None, Ok(data)) => self.add_at_apex(RType::SOA, data, "soa", problems),
                (None, Err(message)) => {
                    problems.push(problem_at(spec, &configured("soa"), message, None))
                }
            }
        }
        if spec.ns.is_empty() {
            return;
        }
        if let Some(at) = has(self, RType::NS) {
            problems.push(twice("NS records", &at));
            return;
        }
        for text in &spec.ns {
            match Name::parse(text) {
                Ok(name) => self.add_at_apex(RType::NS, name.as_wire().to_vec(), "ns", problems),
                Err(error) => {
                    let message = format!("`{text}` is not a name: {error}");
                    problems.push(problem_at(spec, &configured("ns"), message, None));
                }
            }
        }
    }

    fn add_at_apex(
        &mut self,
        rtype: RType,
        data: Vec<u8>,
        key: &str,
        problems: &mut Vec<ZoneProblem>,
    ) {
        let record = master::Record {
            line: 0,
            owner: self.apex.clone(),
            rtype,
            ttl: Some(self.ttl),
            data,
        };
        self.add(record, configured(key), problems);
    }
}

fn configured(key: &str) -> At {
    At {
        line: None,
        place: Some(key.to_owned()),
    }
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

/// Puts each steered name into the zone with the longest apex it is within.
pub(super) fn steered(
    zones: &mut [DraftZone<'_>],
    names: Vec<SteeredName>,
    problems: &mut Vec<ZoneProblem>,
) {
    let by_apex: HashMap<Box<[u8]>, usize> = zones
        .iter()
        .enumerate()
        .map(|(i, zone)| (zone.apex.as_wire().into(), i))
        .collect();
    for steered in names {
        let about = |zone: &str, message: String, hint: Option<&str>| ZoneProblem {
            zone: zone.to_owned(),
            file: None,
            line: None,
            place: Some(steered.place.to_string()),
            message,
            hint: hint.map(str::to_owned),
        };
        let name = match Name::parse(&steered.name) {
            Ok(name) => name,
            Err(error) => {
                problems.push(about(
                    "",
                    format!("`{}` is not a domain name: {error}", steered.name),
                    None,
                ));
                continue;
            }
        };
        let alpn = match svcb::alpn(steered.alpn.iter().map(String::as_bytes)) {
            Some(alpn) => alpn.into_boxed_slice(),
            None => {
                problems.push(about(
                    "",
                    "a protocol of its alpn is empty or too long".to_owned(),
                    None,
                ));
                continue;
            }
        };
        let home = suffixes(name.as_wire()).find_map(|suffix| by_apex.get(suffix));
        let Some(zone) = home.and_then(|i| zones.get_mut(*i)) else {
            let hint = Some("add the zone it belongs to under `zones`, or remove the name");
            problems.push(about("", format!("{name} is in none of the zones"), hint));
            continue;
        };
        let node = zone.nodes.entry(name.clone()).or_default();
        if let Some((_, other)) = &node.steered {
            problems.push(about(
                &zone.spec.apex,
                format!("{name} is already steered by {other}"),
                None,
            ));
            continue;
        }
        let place = steered.place.to_string();
        let decides = Steered {
            service: steered.service,
            alpn,
            hostnames: steered.hostnames,
        };
        node.steered = Some((Box::new(decides), place));
    }
}
