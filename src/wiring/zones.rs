//! From the zones of the checked config to those that are served: master files and what they include are read
//! here, and what the dns crate says of them becomes problems with their places.

use crate::candidate::problem_at;
use crate::wiring::held::{self, Held};
use crate::wiring::serials::Before;
use config::checked::{self, Checked};
use config::{Place, Problem, Severity};
use std::cell::RefCell;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steering::spec::{Policy, Publish, TableSpec};

/// The largest master file, in bytes.
const MAX_FILE: u64 = 1 << 30;

/// Files that are included, and which were asked for: a change of one is a change of the zone.
#[derive(Default)]
struct Included {
    asked: RefCell<Vec<PathBuf>>,
}

impl dns::Files for Included {
    fn read(&self, path: &Path) -> Result<String, String> {
        self.asked.borrow_mut().push(path.to_owned());
        read(path).map_err(|error| error.to_string())
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut octets = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE + 1).read_to_end(&mut octets)?;
    if octets.len() as u64 > MAX_FILE {
        let message = format!("it is larger than {MAX_FILE} bytes");
        return Err(std::io::Error::other(message));
    }
    Ok(dns::zone::text(octets))
}

/// What was made of the zones beside the zones.
pub struct Zoned {
    /// The files that they include.
    pub files: Vec<PathBuf>,
    /// The steered names in them.
    pub steered: Vec<dns::SteeredName>,
}

/// Builds the zones.
pub(super) fn zones(
    checked: &mut Checked,
    held: &Held,
    serials: &Before,
    problems: &mut Vec<Problem>,
) -> Zoned {
    let mut specs = Vec::with_capacity(checked.zones.len());
    for zone in &checked.zones {
        let kept_elsewhere = !zone.primaries.is_empty();
        let spec = if kept_elsewhere {
            let held = held.zone(&zone.apex, checked.state_dir.as_deref());
            Ok(held::spec(zone, written_records(zone), held.as_deref()))
        } else {
            zone_spec(zone, serials)
        };
        match spec {
            Ok(spec) => specs.push(spec),
            Err((file, error)) => {
                let message = format!("zone file {} can't be read: {error}", file.display());
                problems.push(problem_at(checked, zone.place, "zone", message, None));
            }
        }
    }
    let steered = checked.steered.iter();
    let steered: Vec<dns::SteeredName> = steered.map(|name| steered_name(checked, name)).collect();
    let included = Included::default();
    let found = match dns::Zones::load(specs, steered.clone(), &included) {
        Ok(built) => {
            checked.table.planes.insert(Arc::new(built.zones));
            built.warnings
        }
        Err(found) => found,
    };
    let found = found.into_iter().map(|p| zone_problem(checked, p));
    let found: Vec<Problem> = found.collect();
    problems.extend(found);
    Zoned {
        files: included.asked.into_inner(),
        steered,
    }
}

/// The records of the config, each with what it is called in problems.
pub fn written_records(zone: &checked::Zone) -> Vec<(String, String)> {
    let records = zone.records.iter().enumerate();
    records
        .map(|(i, (_, text))| (record_place(&zone.apex, i), text.clone()))
        .collect()
}

fn zone_spec(
    zone: &checked::Zone,
    serials: &Before,
) -> Result<dns::ZoneSpec, (PathBuf, std::io::Error)> {
    let master_file = match &zone.file {
        Some(file) => {
            let text = read(file).map_err(|error| (file.clone(), error))?;
            Some((file.clone(), text))
        }
        None => None,
    };
    let soa = zone.soa.as_ref().map(|soa| dns::SoaSpec {
        mname: written(&soa.mname),
        rname: written(&soa.rname),
        serial: soa.serial.unwrap_or(0),
        refresh: soa.refresh,
        retry: soa.retry,
        expire: soa.expire,
        minimum: soa.minimum,
    });
    Ok(dns::ZoneSpec {
        apex: written(&zone.apex),
        soa,
        ns: zone.ns.iter().map(|name| written(name)).collect(),
        ttl: None,
        master_file,
        records: written_records(zone),
        serial: serials.of(zone),
        ..dns::ZoneSpec::default()
    })
}

/// A name of the config as text: there it has no last dot, so the root's is empty.
fn written(name: &str) -> String {
    if name.is_empty() { "." } else { name }.to_owned()
}

/// How a record is called until its place in the config is looked up again.
fn record_place(apex: &str, position: usize) -> String {
    format!("zones.{apex}.records[{position}]")
}

fn steered_name(checked: &Checked, name: &checked::SteeredName) -> dns::SteeredName {
    let service = checked.table.services.get(name.service.index());
    let policy = service.and_then(|s| checked.table.policies.get(s.dns_policy.index()));
    dns::SteeredName {
        name: name.name.clone(),
        service: name.service,
        https: name.https.as_ref().map(binding),
        svcb: name.svcb.as_ref().map(binding),
        hostnames: policy.is_some_and(|named| publishes_names(&checked.table, &named.policy)),
        place: steered_place(checked, name).into(),
    }
}

fn binding(offered: &checked::Binding) -> dns::Binding {
    dns::Binding {
        alpn: offered.alpn.clone(),
        port: offered.port,
        doh_path: offered.doh_path.clone(),
    }
}

fn steered_place(checked: &Checked, name: &checked::SteeredName) -> String {
    let service = checked
        .services
        .get(name.service.index())
        .map_or("", |s| &s.name);
    format!("services.{service}.dns.names ({})", name.name)
}

/// Whether a policy can reach an endpoint that publishes a host name. The config was checked for
/// circles before.
fn publishes_names(table: &TableSpec, policy: &Policy) -> bool {
    let below = |policy: &Policy| publishes_names(table, policy);
    match policy {
        Policy::Pool(pool) => table.pools.get(pool.index()).is_some_and(|pool| {
            pool.endpoints
                .iter()
                .any(|endpoint| matches!(endpoint.publish, Publish::Name(_)))
        }),
        Policy::Named(id) => table
            .policies
            .get(id.index())
            .is_some_and(|named| below(&named.policy)),
        Policy::Failover { children, .. }
        | Policy::Latency { children }
        | Policy::Multivalue { children, .. } => children.iter().any(below),
        Policy::Weighted { children, .. } => children.iter().any(|(child, _)| below(child)),
        Policy::Proximity { children } => children.iter().any(|(child, _)| below(child)),
        Policy::Geo { rules, default } => {
            rules.iter().any(|rule| below(&rule.to)) || default.as_deref().is_some_and(below)
        }
        Policy::Network { rules, default } => {
            rules.iter().any(|(_, to)| below(to)) || default.as_deref().is_some_and(below)
        }
    }
}

/// With the file and line of the master file, or the place in the config.
fn zone_problem(checked: &Checked, problem: dns::ZoneProblem) -> Problem {
    let severity = match problem.severity {
        dns::Severity::Error => Severity::Error,
        dns::Severity::Warning => Severity::Warning,
    };
    if let Some(file) = problem.file {
        return Problem {
            severity,
            code: "zone",
            file,
            line: problem.line.unwrap_or(0),
            column: 0,
            path: format!("zones.{}", problem.zone),
            message: problem.message,
            hint: problem.hint,
            frame: String::new(),
        };
    }
    let place = problem
        .place
        .as_deref()
        .and_then(|place| config_place(checked, place));
    let zone = checked
        .zones
        .iter()
        .find(|zone| zone.apex == problem.zone.trim_end_matches('.'));
    let place = place.or(zone.map(|zone| zone.place)).unwrap_or_default();
    Problem {
        severity,
        ..problem_at(checked, place, "zone", problem.message, problem.hint)
    }
}

/// The place of an inline record or a steered name, found again by what `zones` called it.
fn config_place(checked: &Checked, called: &str) -> Option<Place> {
    let record = checked.zones.iter().find_map(|zone| {
        let mut records = zone.records.iter().enumerate();
        records
            .find(|(i, _)| record_place(&zone.apex, *i) == called)
            .map(|(_, (place, _))| *place)
    });
    let steered = || {
        checked
            .steered
            .iter()
            .find(|name| steered_place(checked, name) == called)
    };
    record.or_else(|| steered().map(|name| name.place))
}
