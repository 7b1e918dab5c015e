//! From files to a table that could serve: config, zones, routes, certificates, location databases,
//! compiled and put to the operator's own tests.
//!
//! `check`, `explain`, the start and every reload take this one path, so that what a check accepts is
//! what runs. Nothing here listens, probes or publishes.

use crate::daemon::now;
use crate::daemon::traffic::Traffic;
use crate::wiring;
use crate::wiring::held::Held;
use crate::wiring::serials::Before;
use config::rehearsal::Plan;
use config::{Checked, Place, Problem, Severity};
use dns::transfer::{Journal, Moved, Peers};
use geoip::{Override, Sources};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steering::{Planes, Snapshot, Table};

/// A config that could serve.
pub struct Candidate {
    /// What was written, checked.
    pub checked: Checked,
    /// The routing table, with zones and routes in its planes.
    pub table: Arc<Table>,
    /// The location table and what it was made from.
    pub geo: geoip::Loaded,
    /// What the location table was made from, to see whether it must be made again.
    pub geo_key: GeoKey,
    /// The certificates of the listeners, in their order.
    pub certificates: wiring::Certificates<proxy::CertStore>,
    /// The steered names, as the zones were told of them.
    pub steered: Vec<dns::SteeredName>,
    /// What became of the zones since the table that serves.
    pub moved: Vec<Moved>,
    /// What is to be probed; taken when the checks start.
    pub plan: Option<health::Plan>,
    /// Problems that do not keep it from serving.
    pub warnings: Vec<Problem>,
    /// Everything it depends on that may change on disk.
    pub files: Vec<PathBuf>,
}

/// Why there is no candidate.
#[derive(Debug)]
pub struct Refused {
    /// Everything that is wrong, warnings too.
    pub problems: Vec<Problem>,
    /// Everything that was looked at: a change of any of these may mend it.
    pub files: Vec<PathBuf>,
}

/// What making a candidate may take over from the one that serves.
#[derive(Default)]
pub struct Context<'a> {
    /// Where decisions are counted; a candidate that will never serve needs none.
    pub traffic: Option<&'a Traffic>,
    /// The location table that serves, taken over when its sources are the same files unchanged.
    pub geo: Option<(&'a GeoKey, &'a geoip::Loaded)>,
    /// What stands in for what, when this is a rehearsal.
    pub rehearsal: Option<&'a Plan>,
    /// What is there of the zones that other servers keep; else what a former run left on disk.
    pub held: Option<&'a Held>,
    /// The table that serves: the differences of its zones from the new ones are kept for secondaries,
    /// and serials that are made go on from its.
    pub serving: Option<&'a Table>,
}

/// The sources of a location table, and the state of their files.
#[derive(Clone, PartialEq)]
pub struct GeoKey {
    sources: Sources,
    files: Vec<Option<(u64, std::time::SystemTime)>>,
}

impl GeoKey {
    fn new(sources: Sources) -> Self {
        let state = |path: &Path| {
            let data = std::fs::metadata(path).ok()?;
            Some((data.len(), data.modified().ok()?))
        };
        let files = sources.files().into_iter().map(state).collect();
        Self { sources, files }
    }
}

/// Where a config's locations come from.
pub fn locations(checked: &Checked) -> Sources {
    let networks = checked.geoip.networks.iter();
    Sources {
        database: checked.geoip.database.clone(),
        asn_database: checked.geoip.asn_database.clone(),
        networks: networks
            .map(|(cidr, location)| Override {
                cidr: *cidr,
                location: *location,
            })
            .collect(),
    }
}

impl Candidate {
    /// Reads the config at `path` and everything it names, and compiles it.
    ///
    /// # Errors
    /// Every problem found.
    pub fn load(path: &Path, context: &Context<'_>) -> Result<Self, Refused> {
        let loaded = match context.rehearsal {
            Some(plan) => plan.load(path),
            None => config::load(path),
        };
        let (mut files, mut problems) = (loaded.files, loaded.problems);
        let Some(mut checked) = loaded.checked else {
            return Err(Refused { problems, files });
        };
        let geo_key = GeoKey::new(locations(&checked));
        let geo = open_locations(&geo_key, context, path, &mut problems);
        let certificates = wiring::certificates(&checked, &mut problems);
        let from_disk = Held::default();
        let held = context.held.unwrap_or(&from_disk);
        let serials = Before::new(&checked, context.serving);
        let zoned = wiring::planes(&mut checked, held, &serials, &mut problems);
        files.extend(zoned.files);
        let moved = keep_differences(&mut checked.table.planes, context.serving);
        problems.extend(moved.iter().filter_map(|moved| unnoticed(&checked, moved)));
        if let Some(traffic) = context.traffic {
            traffic.attach(&mut checked.table);
        }
        let table = compile(&mut checked, path, &mut problems);
        let (Some(geo), Some(table)) = (geo, table) else {
            return Err(Refused { problems, files });
        };
        let plan = health::Plan::new(&table).map_err(|found| {
            problems.extend(found.iter().map(|p| check_problem(path, p)));
        });
        let first = Snapshot::new(table.clone(), geo.table.clone(), now());
        problems.extend(config::expectations::run(&checked, &first));
        if problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
        {
            return Err(Refused { problems, files });
        }
        Ok(Self {
            checked,
            table,
            geo,
            geo_key,
            certificates,
            steered: zoned.steered,
            moved,
            plan: plan.ok(),
            warnings: problems,
            files,
        })
    }

    /// The first generation of this table: nothing probed yet.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.table.clone(), self.geo.table.clone(), now())
    }
}

/// Puts in the planes what changed in the zones since the table that serves, for IXFR; gives what moved.
pub fn keep_differences(planes: &mut Planes, serving: Option<&Table>) -> Vec<Moved> {
    let Some(zones) = planes.find::<dns::Zones>() else {
        return Vec::new();
    };
    let peers = planes.find::<Peers>();
    let is_given_out = |apex: &dns::Name| {
        let zone = peers.and_then(|peers| peers.zone(apex));
        zone.is_some_and(|zone| !zone.to.is_empty())
    };
    let before = serving.map(Table::planes);
    let nothing = Journal::default();
    let journal = before.and_then(Planes::find::<Journal>).unwrap_or(&nothing);
    let old = before.and_then(Planes::find::<dns::Zones>);
    let (journal, moved) = journal.next(old, zones, is_given_out);
    planes.insert(Arc::new(journal));
    moved
}

/// A change that no secondary will notice.
fn unnoticed(checked: &Checked, moved: &Moved) -> Option<Problem> {
    let (name, message) = match moved {
        Moved::Grew { .. } => return None,
        Moved::Stuck { zone, serial } => (
            zone,
            format!("the records of zone {zone} changed, and its serial did not ({serial})"),
        ),
        Moved::Back { zone, from, to } => (
            zone,
            format!("the serial of zone {zone} went back from {from} to {to}"),
        ),
    };
    let name = name.to_string();
    let zone = checked
        .zones
        .iter()
        .find(|zone| zone.apex == name.trim_end_matches('.'))?;
    if zone.transfer == Default::default() {
        return None;
    }
    let hint = "secondaries will not take it: give it a later serial".to_owned();
    Some(Problem {
        severity: Severity::Warning,
        ..problem_at(checked, zone.place, "zone_serial", message, Some(hint))
    })
}

/// The location table; taken over from the one that serves when nothing about it has changed.
fn open_locations(
    key: &GeoKey,
    context: &Context<'_>,
    path: &Path,
    problems: &mut Vec<Problem>,
) -> Option<geoip::Loaded> {
    if let Some((old_key, old)) = context.geo
        && old_key == key
    {
        return Some(old.clone());
    }
    geoip::open(&key.sources)
        .inspect_err(|error| problems.push(problem(path, "geoip", "geoip", error)))
        .ok()
}

/// Compiles the table; the config has been compiled once when it was checked, so a problem here is one
/// of the planes or a defect, and is reported all the same.
fn compile(checked: &mut Checked, path: &Path, problems: &mut Vec<Problem>) -> Option<Arc<Table>> {
    match Table::compile(std::mem::take(&mut checked.table)) {
        Ok(table) => Some(Arc::new(table)),
        Err(found) => {
            problems.extend(found.iter().map(|p| problem(path, "table", "", p)));
            None
        }
    }
}

/// A problem of a file as a whole.
pub fn problem(file: &Path, code: &'static str, place: &str, message: impl ToString) -> Problem {
    Problem {
        severity: Severity::Error,
        code,
        file: file.to_owned(),
        line: 0,
        column: 0,
        path: place.to_owned(),
        message: message.to_string(),
        hint: None,
        frame: String::new(),
    }
}

/// A health check that can't be carried out.
fn check_problem(file: &Path, found: &health::PlanProblem) -> Problem {
    problem(
        file,
        "health_check",
        &format!("health_checks.{}", found.check),
        &found.fault,
    )
}

/// A problem at a place in the config.
pub fn problem_at(
    checked: &Checked,
    place: Place,
    code: &'static str,
    message: impl ToString,
    hint: Option<String>,
) -> Problem {
    Problem {
        line: place.line,
        column: place.column,
        hint,
        ..problem(
            checked.sources.path(place.file).unwrap_or(Path::new("")),
            code,
            "",
            message,
        )
    }
}
