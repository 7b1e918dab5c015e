//! From written zones to compiled ones: every record held against the others, all problems at once.
//!
//! ```text
//! ZoneSpec --gather--> Heap (as written) --compile--> Zone (sorted, grouped) --check--> problems
//! ```
//!
//! What never happens here: no zone is built half. One error anywhere and nothing is returned, so that
//! the zones in use stay as they are.

use crate::master::MAX_TTL;
use crate::name::{Name, labels, suffixes};
use crate::rtype::RType;
use crate::store::{Index, Zone, Zones};
use crate::zone::{
    Built, DEFAULT_TTL, Files, MAX_PROBLEMS, NoFiles, Severity, SteeredName, ZoneProblem, ZoneSpec,
};
use std::collections::HashMap;
use std::sync::Arc;

mod check;
mod compile;
mod content;
mod gather;
mod heap;
mod overlay;
mod targets;

/// What was found so far, bounded.
#[derive(Default)]
struct Problems {
    errors: Vec<ZoneProblem>,
    warnings: Vec<ZoneProblem>,
    /// How many of each there are beyond.
    more: [usize; 2],
}

impl Problems {
    fn push(&mut self, problem: ZoneProblem) {
        let [more_errors, more_warnings] = &mut self.more;
        let (list, more) = match problem.severity {
            Severity::Error => (&mut self.errors, more_errors),
            Severity::Warning => (&mut self.warnings, more_warnings),
        };
        if list.len() < MAX_PROBLEMS {
            list.push(problem);
        } else {
            *more += 1;
        }
    }

    /// How many there are.
    fn count(&self) -> usize {
        self.errors.len() + self.warnings.len() + self.more.iter().sum::<usize>()
    }

    /// All of them, errors first.
    fn all(mut self) -> Vec<ZoneProblem> {
        self.errors.extend(beyond(Severity::Error, self.more[0]));
        self.errors.append(&mut self.warnings);
        self.errors.extend(beyond(Severity::Warning, self.more[1]));
        self.errors
    }
}

fn beyond(severity: Severity, more: usize) -> Option<ZoneProblem> {
    (more > 0).then(|| ZoneProblem {
        severity,
        zone: String::new(),
        file: None,
        line: None,
        place: None,
        message: format!("and {more} more problems in zones"),
        hint: None,
    })
}

/// Where something was written.
#[derive(Clone, Debug)]
enum Source {
    /// The master file, or one that it includes.
    File(Arc<std::path::Path>),
    /// A place in the configuration.
    Place(Arc<str>),
}

impl Zones {
    /// Builds all zones, with the steered names in those they belong to. Nothing is included, and
    /// warnings are left out: see [`Zones::load`].
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn build(
        zones: Vec<ZoneSpec>,
        steered: Vec<SteeredName>,
    ) -> Result<Self, Vec<ZoneProblem>> {
        let only_errors = |problems: Vec<ZoneProblem>| -> Vec<ZoneProblem> {
            let errors = problems.into_iter();
            errors
                .filter(|problem| problem.severity == Severity::Error)
                .collect()
        };
        let built = Self::load(zones, steered, &NoFiles).map_err(only_errors)?;
        Ok(built.zones)
    }

    /// Builds all zones, with the steered names in those they belong to; master files include others from
    /// `files`.
    ///
    /// # Errors
    /// Everything that is wrong, errors first, zone by zone in the order they were written; warnings too.
    pub fn load(
        zones: Vec<ZoneSpec>,
        steered: Vec<SteeredName>,
        files: &dyn Files,
    ) -> Result<Built, Vec<ZoneProblem>> {
        let mut problems = Problems::default();
        let apexes = apexes(&zones, &mut problems);
        let mut homes = gather::homes(&apexes, steered, &mut problems);
        let mut built = Vec::with_capacity(apexes.len());
        for (i, (spec, apex)) in zones.iter().zip(apexes).enumerate() {
            let Some(apex) = apex else { continue };
            let steered = homes.remove(&i).unwrap_or_default();
            built.extend(zone(spec, apex, steered, files, &mut problems));
        }
        if problems.errors.is_empty() {
            Ok(Built {
                zones: Self::index(built),
                warnings: problems.all(),
            })
        } else {
            Err(problems.all())
        }
    }

    /// These zones with this one in place of the one that has its apex, or beside them; the others are taken over as
    /// they are. `steered` are the steered names of all zones.
    ///
    /// # Errors
    /// Everything that is wrong with this zone, errors first; warnings too.
    pub fn with(
        &self,
        spec: &ZoneSpec,
        steered: Vec<SteeredName>,
        files: &dyn Files,
    ) -> Result<Built, Vec<ZoneProblem>> {
        let mut problems = Problems::default();
        let mut zones = self.zones.clone();
        if let Ok(apex) = Name::parse(&spec.apex) {
            let at = zones.iter().position(|zone| zone.apex == apex);
            let at = at.unwrap_or(zones.len());
            let others = zones.iter().map(|zone| Some(zone.apex.clone()));
            let mut apexes: Vec<Option<Name>> = others.collect();
            if at == zones.len() {
                apexes.push(Some(apex.clone()));
            }
            let mut homes = gather::homes(&apexes, steered, &mut problems);
            let steered = homes.remove(&at).unwrap_or_default();
            match (
                zone(spec, apex, steered, files, &mut problems),
                zones.get_mut(at),
            ) {
                (Some(new), Some(old)) => *old = new,
                (Some(new), None) => zones.push(new),
                (None, _) => {}
            }
        } else {
            apexes(std::slice::from_ref(spec), &mut problems);
        }
        if problems.errors.is_empty() {
            Ok(Built {
                zones: Self::index(zones),
                warnings: problems.all(),
            })
        } else {
            Err(problems.all())
        }
    }

    fn index(mut zones: Vec<Zone>) -> Self {
        for (zone, position) in zones.iter_mut().zip(0..) {
            zone.position = position;
        }
        let apexes = Index::new(zones.iter().map(|zone| zone.apex.as_wire()));
        let deepest = zones.iter().map(|zone| labels(zone.apex.as_wire())).max();
        Self {
            zones,
            apexes,
            max_labels: deepest.unwrap_or(0),
        }
    }
}

/// One zone, from gathering to checking.
fn zone(
    spec: &ZoneSpec,
    apex: Name,
    steered: Vec<gather::Home>,
    files: &dyn Files,
    problems: &mut Problems,
) -> Option<Zone> {
    if let Some(why) = spec.unavailable {
        return Some(Zone::empty(apex, why));
    }
    let heap = gather::zone(spec, apex, steered, files, problems);
    let (mut zone, places) = compile::zone(heap);
    check::zone(&zone, &places, spec, problems);
    content::seal(&mut zone, spec.serial)?;
    Some(zone)
}

/// The apex of each zone; `None` where there is none, or it is another's.
fn apexes(zones: &[ZoneSpec], problems: &mut Problems) -> Vec<Option<Name>> {
    let mut seen: HashMap<Name, ()> = HashMap::with_capacity(zones.len());
    let apex = |spec: &ZoneSpec| {
        let mut say = |message: String, hint: Option<&str>| {
            problems.push(problem(spec, Severity::Error, message, hint));
            None
        };
        match Name::parse(&spec.apex) {
            Ok(apex) if apex.is_wildcard() => {
                say("a zone cannot begin at a wildcard".to_owned(), None)
            }
            Ok(apex) => match seen.insert(apex.clone(), ()) {
                None => Some(apex),
                Some(()) => say(
                    "this zone is defined twice".to_owned(),
                    Some("merge the two definitions"),
                ),
            },
            Err(error) => say(format!("its name is not a domain name: {error}"), None),
        }
    };
    zones.iter().map(apex).collect()
}

fn problem(
    spec: &ZoneSpec,
    severity: Severity,
    message: impl Into<String>,
    hint: Option<&str>,
) -> ZoneProblem {
    ZoneProblem {
        severity,
        zone: spec.apex.clone(),
        file: None,
        line: None,
        place: None,
        message: message.into(),
        hint: hint.map(str::to_owned),
    }
}

/// A problem at a place: in a file when it was written in one.
fn problem_at(
    spec: &ZoneSpec,
    severity: Severity,
    (source, line): (Option<&Source>, u32),
    message: impl Into<String>,
    hint: Option<&str>,
) -> ZoneProblem {
    let general = problem(spec, severity, message, hint);
    match source {
        Some(Source::File(path)) => ZoneProblem {
            file: Some(path.to_path_buf()),
            line: (line > 0).then_some(line),
            ..general
        },
        Some(Source::Place(place)) => ZoneProblem {
            place: Some(place.to_string()),
            ..general
        },
        None => general,
    }
}
