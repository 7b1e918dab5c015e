//! From a written scenario to one that can be played: names looked up, times in order, bounds kept. Every
//! problem is taken in; nothing is played.

use super::written;
use super::{AFTER_LAST_STEP, Expect, MAX_DURATION, Scenario, Step};
use crate::checked::Checked;
use crate::de::{Written, given};
use crate::files::beside;
use crate::problem::{Findings, Place, nearest};
use crate::spec::defaults::VERSION;
use crate::tree::shorten;
use crate::{Loaded, Problem, Severity};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The one line a problem of the whole file is shown at.
const TOP: Place = Place {
    file: 0,
    line: 1,
    column: 1,
    width: 1,
};

pub(super) struct Check<'a> {
    file: &'a Path,
    pub(super) findings: &'a mut Findings,
    load: &'a dyn Fn(&Path) -> Loaded,
    /// The configs named so far; `None` for one that does not run.
    configs: BTreeMap<PathBuf, Option<Checked>>,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    pub(super) fn new(
        file: &'a Path,
        findings: &'a mut Findings,
        load: &'a dyn Fn(&Path) -> Loaded,
    ) -> Self {
        Self {
            file,
            findings,
            load,
            configs: BTreeMap::new(),
            problems: Vec::new(),
        }
    }

    /// What is wrong with the configs that the scenario names.
    pub(super) fn into_config_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The scenario; `None` when there is no telling what it is.
    pub(super) fn scenario(&mut self, written: &written::Scenario) -> Option<Scenario> {
        self.version(written);
        let config = self.config(&written.config);
        let steps = given(&written.steps).map_or(&[][..], |(list, _)| list);
        // Every config first, so that names of a later one are known.
        let reloads: Vec<Option<PathBuf>> = steps.iter().map(|step| self.reload(step)).collect();
        let against = given(&written.against).map(|(against, _)| self.against(against));
        let load = self.load_of(written);
        let steps = self.steps(steps, reloads, against.as_ref());
        let duration = self.duration(written, &steps);
        Some(Scenario {
            file: self.file.to_owned(),
            config: config?,
            against,
            load,
            duration,
            steps,
            expect: expect(written),
        })
    }

    fn version(&mut self, written: &written::Scenario) {
        match &written.version {
            None => {
                self.findings
                    .error("version", TOP, "the scenario does not say its version")
                    .hint(format!("begin with `version: {VERSION}`"));
            }
            Some(version) if version.get().is_some_and(|v| *v != VERSION) => {
                let known = format!("this Rhumb reads version {VERSION}");
                let message = "this version of the scenario language is not known";
                self.findings
                    .error("version", version.place, message)
                    .hint(known);
            }
            Some(_) => {}
        }
    }

    fn config(&mut self, written: &Option<Written<String>>) -> Option<PathBuf> {
        match written {
            Some(path) => self.config_at(path),
            None => {
                self.findings
                    .error(
                        "missing_key",
                        TOP,
                        "the scenario does not say which config it is for",
                    )
                    .hint("add config: FILE, relative to the scenario");
                None
            }
        }
    }

    /// Reads a config; its own errors are told beside those of the scenario.
    fn config_at(&mut self, written: &Written<String>) -> Option<PathBuf> {
        let path = beside(Some(self.file), written.get()?);
        if !self.configs.contains_key(&path) {
            let loaded = (self.load)(&path);
            let errors = loaded.problems.into_iter();
            let errors: Vec<Problem> = errors.filter(|p| p.severity == Severity::Error).collect();
            if !errors.is_empty() {
                let message = format!("{} does not run", path.display());
                self.findings
                    .error("config", written.place, message)
                    .hint("its problems follow");
            }
            self.problems.extend(errors);
            self.configs.insert(path.clone(), loaded.checked);
        }
        Some(path)
    }

    fn reload(&mut self, step: &Written<written::Step>) -> Option<PathBuf> {
        let reload = step.get()?.reload.as_ref()?;
        self.config_at(reload)
    }

    fn duration(&mut self, written: &written::Scenario, steps: &[Step]) -> Duration {
        let last = steps.last().map_or(Duration::ZERO, |step| step.at);
        let Some((time, place)) = given(&written.duration) else {
            return (last + AFTER_LAST_STEP).min(MAX_DURATION);
        };
        if time.0 > MAX_DURATION || time.0.is_zero() {
            self.findings
                .error("out_of_range", place, "a scenario lasts at most 30 minutes")
                .hint("such as duration: 90s");
        } else if last >= time.0 {
            let message = "the scenario ends before its last step";
            self.findings
                .error("out_of_range", place, message)
                .hint("make it longer, or the step earlier");
        }
        time.0
    }

    /// The names that any of the configs knows; `None` when one of them could not be read.
    pub(super) fn names(&self, of: impl Fn(&Checked) -> Vec<Arc<str>>) -> Option<Vec<Arc<str>>> {
        let mut names = Vec::new();
        for config in self.configs.values() {
            names.extend(of(config.as_ref()?));
        }
        (!self.configs.is_empty()).then_some(names)
    }

    /// A name that must be known, unless there is no telling.
    pub(super) fn known(
        &mut self,
        place: Place,
        kind: &str,
        name: &str,
        known: &Option<Vec<Arc<str>>>,
    ) -> Option<Arc<str>> {
        let Some(known) = known else {
            return Some(name.into());
        };
        let found = known.iter().find(|one| ***one == *name);
        if found.is_none() {
            let all = || {
                let mut all: Vec<&str> = known.iter().map(|name| &**name).collect();
                all.dedup();
                format!("there are: {}", shorten(&all.join(", ")))
            };
            let hint = nearest(name, known.iter().map(|name| &**name)).unwrap_or_else(all);
            let message = format!("there is no {kind} `{}`", shorten(name));
            self.findings
                .error("unknown_name", place, message)
                .hint(hint);
        }
        found.cloned()
    }
}

fn expect(written: &written::Scenario) -> Expect {
    let nothing = written::Expect::default();
    let expect = given(&written.expect).map_or(&nothing, |(expect, _)| expect);
    Expect {
        within_rto: given(&expect.within_rto).is_some_and(|(yes, _)| *yes),
        leaks: given(&expect.leaks).map(|(most, _)| *most),
        failed: given(&expect.failed).map(|(share, _)| share.0 / 100.0),
    }
}
