//! The planes of a scenario that are asked: which have a rate, an address and something to ask for, and
//! how they are asked.

use super::ScenarioError;
use super::classes::Classes;
use super::phases::Phase;
use super::play::Options;
use super::stage::Stage;
use crate::asks::Asks;
use crate::clients::Population;
use crate::generate::{GenerateError, dns, http};
use crate::load::{Live, Load, Pace};
use crate::record::Measured;
use crate::subject::Subject;
use config::scenario::{Action, Scenario};
use std::time::Duration;
use steering::Plane;

/// The width of the slices that events are told from.
const FINE: Duration = Duration::from_millis(10);
/// The fewest and the most connections over HTTP; an open loop may open as many more.
const CONNECTIONS: (usize, usize) = (16, 512);

/// One plane that is asked.
pub(super) struct Asked {
    pub(super) classes: Classes,
    pub(super) load: Load,
    pub(super) live: Live,
    how: How,
}

enum How {
    Dns(dns::Options),
    Http(http::Options),
}

impl Asked {
    /// Asks until the load is over.
    pub(super) fn run(&self, subject: &Subject) -> Result<Measured, GenerateError> {
        let asks = &self.classes.asks;
        match &self.how {
            How::Dns(options) => dns::run(subject, asks, options, &self.load, &self.live),
            How::Http(options) => http::run(subject, asks, options, &self.load, &self.live),
        }
    }

    /// Which plane it is.
    pub(super) fn plane(&self) -> Plane {
        self.classes.plain.plane
    }
}

/// The planes that have a rate, an address and something to ask for.
pub(super) fn planes(
    scenario: &Scenario,
    options: &Options,
    stage: &Stage,
    subject: &Subject,
    phases: &[Phase],
) -> Result<Vec<Asked>, ScenarioError> {
    let population = if scenario.load.clients.is_empty() {
        Population::World
    } else {
        Population::Mix(scenario.load.clients.clone())
    };
    let wanted = [
        (Plane::Dns, scenario.load.dns, stage.places.dns),
        (Plane::Http, scenario.load.http, stage.places.http),
    ];
    let mut planes = Vec::new();
    for (plane, rate, place) in wanted {
        let Some(place) = place.filter(|_| rate > 0.0) else {
            continue;
        };
        if subject.targets(plane).is_empty() {
            continue;
        }
        let mut asks = Asks::new(subject, plane, &population, options.questions, options.seed)?;
        asks.settled = phases.get(1).map_or(Duration::MAX, |phase| phase.at);
        let load = Load {
            pace: Pace::Open { rate },
            duration: scenario.duration,
            warmup: options.warmup,
            slice: Some(FINE),
            ..Load::default()
        };
        planes.push(Asked {
            classes: Classes::sort(subject, asks, phases),
            // Made anew when the load begins, for the clock in it.
            live: Live::new(&load),
            load,
            how: match plane {
                Plane::Dns => How::Dns(dns::Options {
                    types: family(subject),
                    ..dns::Options::new(place)
                }),
                Plane::Http => How::Http(http::Options {
                    region_in_body: scenario.against.is_some(),
                    ..http::Options::new(place, connections(scenario))
                }),
            },
        });
    }
    if planes.is_empty() {
        return Err(ScenarioError::NoLoad);
    }
    Ok(planes)
}

/// One family that every region publishes, so that an answer always names one; both where there is none.
fn family(subject: &Subject) -> dns::Types {
    let endpoints = subject.snapshot.table().endpoints();
    let all = |family| endpoints.iter().all(|endpoint| endpoint.publishes(family));
    if all(steering::Family::V4) {
        dns::Types::A
    } else if all(steering::Family::V6) {
        dns::Types::Aaaa
    } else {
        dns::Types::Both
    }
}

/// Enough for half a second's requests to wait at the highest rate.
fn connections(scenario: &Scenario) -> usize {
    let rates = scenario.steps.iter().filter_map(|step| match step.action {
        Action::Rate { http, .. } => http,
        _ => None,
    });
    let highest = rates.fold(scenario.load.http, f64::max);
    ((highest / 2.0) as usize).clamp(CONNECTIONS.0, CONNECTIONS.1)
}
