//! Plays a scenario: the load on both planes at once, each step at its time, and what the server says of
//! it meanwhile; then what came of it all.

use super::ScenarioError;
use super::event::Event;
use super::phases;
use super::planes;
use super::run::{self, Run};
use super::stage;
use crate::asks::Asks;
use crate::load::{Live, Load};
use crate::procfs::{self, Cpu};
use crate::record::Measured;
use crate::subject::Subject;
use config::scenario::Scenario;
use std::path::PathBuf;
use std::time::Duration;
use steering::Plane;

/// How many of the slices that events are told from make one of the timeline that is shown.
const SHOWN: usize = 10;

/// How a scenario is played.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `rhumb` that is rehearsed with; the current executable for the command line.
    pub rhumb: PathBuf,
    /// Different questions prepared for each plane.
    pub questions: usize,
    /// The seed of the clients.
    pub seed: u64,
    /// How long to ask before the recording, and with it the scenario's clock, begins.
    pub warmup: Duration,
}

impl Options {
    /// With this `rhumb`.
    pub fn new(rhumb: PathBuf) -> Self {
        Self {
            rhumb,
            questions: 2_048,
            seed: 1,
            warmup: Duration::from_secs(1),
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// After the start of the recording; zero before it.
    pub at: Duration,
    /// How long it lasts.
    pub of: Duration,
    /// Questions sent, on both planes.
    pub sent: u64,
    /// Answers.
    pub answered: u64,
    /// Questions that failed.
    pub failed: u64,
    /// What was just done, if anything: a step in the words of its file, or a stage of the preparation.
    pub told: Option<&'a str>,
}

/// What came of a scenario.
#[derive(Clone)]
pub struct Played {
    /// What was played.
    pub scenario: Scenario,
    /// What was under load.
    pub subject: Subject,
    /// The load over DNS, where there was one.
    pub dns: Option<PlanePlayed>,
    /// The load over HTTP, where there was one.
    pub http: Option<PlanePlayed>,
    /// Every step that was carried out, in order.
    pub events: Vec<Event>,
    /// What the scenario expects and did not come; empty when all is well.
    pub missed: Vec<String>,
    /// What the server spent from the first step's clock to the end, where it was one of ours.
    pub server_cpu: Option<Cpu>,
    /// The server's version, where it says so.
    pub version: Option<String>,
}

/// The load of one plane.
#[derive(Clone, Debug)]
pub struct PlanePlayed {
    /// Who asked for what.
    pub asks: Asks,
    /// How hard.
    pub load: Load,
    /// What came.
    pub measured: Measured,
}

/// Plays a scenario to its end, which takes as long as it says and a little more; `progress` is called
/// now and then.
///
/// # Errors
/// When it can't be played: a config does not run, a server or origin fails, or nobody answers. What
/// its `expect` misses is no error, but told in [`Played::missed`].
pub fn play(
    scenario: &Scenario,
    options: &Options,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Played, ScenarioError> {
    let mut tell = |what: &str| {
        progress(Progress {
            at: Duration::ZERO,
            of: scenario.duration,
            sent: 0,
            answered: 0,
            failed: 0,
            told: Some(what),
        });
    };
    tell("starting what is put under load");
    let (stage, configs) = stage::set(scenario, &options.rhumb)?;
    let first = configs.first();
    let mut subject = Subject::new(&first.checked, &first.snapshot())?;
    subject = subject.only(&scenario.load.services)?;
    for loaded in configs.all() {
        subject.learn(&loaded.table);
    }
    tell("asking the policy what it promises in each stretch");
    let phases = phases::phases(scenario, &configs, &subject);
    let mut planes = planes::planes(scenario, options, &stage, &subject, &phases)?;
    run::all_up(&stage)?;
    for plane in &mut planes {
        plane.live = Live::new(&plane.load);
    }
    let mut run = Run::new(scenario, &stage, &configs);
    let before = stage.pid().map(procfs::tree_cpu);
    let measured = run::under_load(&mut run, options, &subject, &planes, progress)?;
    let after = stage.pid().map(procfs::tree_cpu);
    let version = stage.status()?.map(|status| status.version);
    let events = run.events(options, &subject, &phases, &planes, &measured);
    let mut played = Played {
        scenario: scenario.clone(),
        dns: None,
        http: None,
        events,
        missed: Vec::new(),
        server_cpu: before.zip(after).map(|(before, after)| after - before),
        version,
        subject,
    };
    for (plane, measured) in planes.into_iter().zip(measured) {
        let whole = PlanePlayed {
            measured: plane.classes.fold(measured, SHOWN),
            asks: plane.classes.plain,
            load: plane.load,
        };
        match whole.asks.plane {
            Plane::Dns => played.dns = Some(whole),
            Plane::Http => played.http = Some(whole),
        }
    }
    played.missed = played.disappointments();
    Ok(played)
}

impl Played {
    /// Every load there was.
    pub fn planes(&self) -> impl Iterator<Item = &PlanePlayed> {
        self.dns.iter().chain(&self.http)
    }

    /// Every step, with what it meant over one plane: for the report of that plane.
    pub fn events_of(&self, plane: Plane) -> Vec<Event> {
        let events = self.events.iter().cloned();
        events
            .map(|mut event| {
                event.failovers.retain(|failover| failover.is_over(plane));
                event
            })
            .collect()
    }

    /// What the scenario expects and did not come, in words.
    fn disappointments(&self) -> Vec<String> {
        let expect = &self.scenario.expect;
        let mut missed = Vec::new();
        if expect.within_rto {
            missed.extend(self.events.iter().flat_map(|event| {
                let late = event.failovers.iter().filter(|f| f.rto.is_some());
                let late = late.filter(|f| f.within_rto != Some(true));
                late.map(|failover| {
                    let rto = failover.rto.unwrap_or_default();
                    let (service, plane) = (&failover.service, failover.plane);
                    let what = match failover.within_rto {
                        Some(_) => "is not within",
                        None => "goes on longer than the scenario, which can't tell whether it is within",
                    };
                    format!("{}: {service} over {plane} {what} its rto of {rto:?}", event.what)
                })
            }));
        }
        let leaks: u64 = self.planes().map(|plane| plane.measured.leaks).sum();
        if let Some(most) = expect.leaks.filter(|most| leaks > *most) {
            missed.push(format!("{leaks} answers leak, at most {most} may"));
        }
        let failed: u64 = self.planes().map(|plane| plane.measured.failed()).sum();
        let sent: u64 = self.planes().map(|plane| plane.measured.sent).sum();
        let share = failed as f64 / sent.max(1) as f64;
        if let Some(most) = expect.failed.filter(|most| share > *most) {
            let (share, most) = (share * 100.0, most * 100.0);
            missed.push(format!(
                "{share:.2} % of the questions failed, at most {most} % may"
            ));
        }
        missed
    }
}
