//! A scenario while it is played: the load on all planes at once, each step at its time, and the server
//! asked what it makes of it.

use super::ScenarioError;
use super::event::Event;
use super::judge::Stretch;
use super::loaded::Configs;
use super::phases::Phase;
use super::planes::Asked;
use super::play::{Options, Progress};
use super::stage::Stage;
use super::watch::{Awaited, LOOK, Watched};
use crate::generate::GenerateError;
use crate::load::Live;
use crate::record::Measured;
use crate::subject::Subject;
use config::scenario::{Action, Scenario, Step};
use std::sync::atomic::Ordering;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};
use steering::Plane;

/// How often progress is told.
const TELL: Duration = Duration::from_millis(200);
/// How long all endpoints may take to be up before the load begins.
const UP_WITHIN: Duration = Duration::from_secs(60);

/// Waits until every endpoint that is checked is up, where the server tells.
pub(super) fn all_up(stage: &Stage) -> Result<(), ScenarioError> {
    let end = Instant::now() + UP_WITHIN;
    loop {
        let Some(status) = stage.status()? else {
            return Ok(());
        };
        let mut checked = status.endpoints.iter().filter(|e| e.since.is_some());
        let Some(other) = checked.find(|endpoint| endpoint.state != "up") else {
            return Ok(());
        };
        // A failure has been seen, or nothing has come for long.
        if other.state == "down" || Instant::now() > end {
            let why = other.last_error.clone();
            let why = why.unwrap_or_else(|| format!("it is {}", other.state));
            return Err(ScenarioError::NotUp(other.address, why));
        }
        thread::sleep(LOOK);
    }
}

/// The planes under load, until the scenario is over.
pub(super) fn under_load(
    run: &mut Run<'_>,
    options: &Options,
    subject: &Subject,
    planes: &[Asked],
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Measured>, ScenarioError> {
    thread::scope(|scope| {
        let working: Vec<_> = planes
            .iter()
            .map(|plane| scope.spawn(|| plane.run(subject)))
            .collect();
        let start = planes.iter().map(|plane| plane.live.started()).max();
        let start = start.unwrap_or_else(Instant::now) + options.warmup;
        let played = run.steps(start, planes, &working, progress);
        if played.is_err() {
            planes.iter().for_each(|plane| plane.live.stop());
        }
        let measured = working.into_iter().map(|one| {
            one.join()
                .unwrap_or(Err(GenerateError::Panicked))
                .map_err(ScenarioError::from)
        });
        let measured: Result<Vec<Measured>, ScenarioError> = measured.collect();
        played.and(measured)
    })
}

type Working<'scope> = ScopedJoinHandle<'scope, Result<Measured, GenerateError>>;

/// A scenario while it is played.
pub(super) struct Run<'a> {
    scenario: &'a Scenario,
    stage: &'a Stage,
    configs: &'a Configs,
    /// Every step carried out, in order.
    watched: Vec<Watched>,
    /// When progress was told last.
    told: Option<Instant>,
}

impl<'a> Run<'a> {
    /// Before the first step.
    pub(super) fn new(scenario: &'a Scenario, stage: &'a Stage, configs: &'a Configs) -> Self {
        Self {
            scenario,
            stage,
            configs,
            watched: Vec::new(),
            told: None,
        }
    }

    /// Each step at its time, and the server asked meanwhile, until the load is over.
    fn steps(
        &mut self,
        start: Instant,
        planes: &[Asked],
        working: &[Working<'_>],
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), ScenarioError> {
        while !working.iter().all(ScopedJoinHandle::is_finished) {
            let now = Instant::now();
            let next = self.scenario.steps.get(self.watched.len());
            if let Some(step) = next.filter(|step| now >= start + step.at) {
                let done = self.carry_out(step, planes)?;
                self.watched.push(done);
                self.tell(start, planes, Some(&step.action), progress);
            }
            if let Some(last) = self.watched.last_mut() {
                last.look(self.stage)?;
            }
            if self.told.is_none_or(|told| told.elapsed() >= TELL) {
                if let Some(broke) = self.stage.broke() {
                    return Err(broke);
                }
                self.tell(start, planes, None, progress);
            }
            let next = self.scenario.steps.get(self.watched.len());
            let wait = next.map(|step| (start + step.at).saturating_duration_since(Instant::now()));
            thread::sleep(wait.unwrap_or(LOOK).min(LOOK));
        }
        Ok(())
    }

    fn tell(
        &mut self,
        start: Instant,
        planes: &[Asked],
        action: Option<&Action>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) {
        let now = Instant::now();
        let sum = |of: fn(&Live) -> u64| planes.iter().map(|plane| of(&plane.live)).sum();
        let told = action.map(ToString::to_string);
        progress(Progress {
            at: now
                .saturating_duration_since(start)
                .min(self.scenario.duration),
            of: self.scenario.duration,
            sent: sum(|live| live.sent.load(Ordering::Relaxed)),
            answered: sum(|live| live.answered.load(Ordering::Relaxed)),
            failed: sum(|live| live.failed.load(Ordering::Relaxed)),
            told: told.as_deref(),
        });
        self.told = Some(now);
    }

    fn carry_out(&self, step: &Step, planes: &[Asked]) -> Result<Watched, ScenarioError> {
        let stage = self.stage;
        match &step.action {
            Action::Fail(scopes, how) => {
                let endpoints = self.configs.endpoints(scopes);
                let watched = Watched::new(Awaited::Health {
                    endpoints: endpoints.clone(),
                    up: false,
                });
                stage.fail(scopes, &endpoints, *how)?;
                Ok(watched)
            }
            Action::Heal(scopes) => {
                let endpoints = self.configs.endpoints(scopes);
                let watched = Watched::new(Awaited::Health {
                    endpoints: endpoints.clone(),
                    up: true,
                });
                stage.heal(scopes, &endpoints)?;
                Ok(watched)
            }
            Action::Reload(path) => {
                let after = stage.status()?.map_or(0, |status| status.reload.at);
                let watched = Watched::new(Awaited::Reload {
                    what: path.display().to_string(),
                    after,
                });
                stage.put(path)?;
                Ok(watched)
            }
            Action::Failback(policy) => {
                let mut watched = Watched::new(Awaited::Nothing);
                stage.failback(policy)?;
                watched.decided = Some(Instant::now());
                Ok(watched)
            }
            Action::Rate { dns, http } => {
                for plane in planes {
                    let rate = match plane.plane() {
                        Plane::Dns => dns,
                        Plane::Http => http,
                    };
                    rate.iter().for_each(|rate| plane.live.set_rate(*rate));
                }
                Ok(Watched::new(Awaited::Nothing))
            }
        }
    }

    /// What came of each step.
    pub(super) fn events(
        &self,
        options: &Options,
        subject: &Subject,
        phases: &[Phase],
        planes: &[Asked],
        measured: &[Measured],
    ) -> Vec<Event> {
        let start = planes.iter().map(|plane| plane.live.started()).max();
        let start = start.unwrap_or_else(Instant::now) + options.warmup;
        let at = |i: usize| self.watched[i].at.saturating_duration_since(start);
        let steps = self.scenario.steps.iter().zip(&self.watched).enumerate();
        steps
            .map(|(i, (step, watched))| {
                let mut event = Event {
                    at: at(i),
                    what: step.action.to_string(),
                    failovers: Vec::new(),
                };
                let phase = phases.iter().position(|phase| phase.step == Some(i));
                let Some(phase) = phase else { return event };
                let next = phases.get(phase + 1).and_then(|phase| phase.step);
                let next = next.filter(|next| *next < self.watched.len());
                let until = next.map_or(self.scenario.duration, at);
                let after = |moment: Option<Instant>| {
                    let moment = moment?.saturating_duration_since(watched.at);
                    (event.at + moment <= until).then_some(moment)
                };
                let probe = watched
                    .health()
                    .and_then(|(endpoints, up)| self.stage.first_probe(endpoints, watched.at, up));
                let stretch = Stretch {
                    phase,
                    action: &step.action,
                    at: event.at,
                    until,
                    first_probe: after(probe).or(after(watched.noticed)),
                    decided: after(watched.decided),
                    before: Some((&phases[phase - 1], &watched.said)),
                    began: watched.at,
                };
                let judged = planes.iter().zip(measured);
                event.failovers = judged
                    .flat_map(|(plane, measured)| {
                        stretch.failovers(subject, &plane.classes, measured)
                    })
                    .collect();
                event
            })
            .collect()
    }
}
