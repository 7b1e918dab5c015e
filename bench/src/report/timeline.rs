//! What was seen by time, in few enough slices to draw and to keep.

use crate::asks::Asks;
use crate::record::{Measured, Outcome, Slice};
use crate::subject::Subject;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use steering::ServiceId;

/// The most slices that are told; finer ones are taken together.
const MAX_TOLD: usize = 360;
/// The most services whose traffic is told by time: those with the most answers.
const MAX_SERVICES: usize = 64;

/// What was seen by time.
#[derive(Clone, Debug, Serialize)]
pub struct TimelineTold {
    /// How long each slice is, seconds.
    pub slice: f64,
    /// Answers a second.
    pub answered: Vec<f64>,
    /// Failures a second.
    pub failed: Vec<f64>,
    /// The mean latency of the answers, microseconds; 0 where there was none.
    pub mean: Vec<f64>,
    /// The longest latency, microseconds.
    pub longest: Vec<f64>,
    /// Where the answers of each service went.
    pub services: Vec<ServiceLine>,
}

/// Where the answers of one service went, by time.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceLine {
    /// Its name.
    pub service: String,
    /// Answers of each slice by outcome; outcomes without any are left out.
    pub outcomes: Vec<OutcomeLine>,
    /// Failures of each slice.
    pub failed: Vec<u64>,
}

/// The answers of one outcome, by time.
#[derive(Clone, Debug, Serialize)]
pub struct OutcomeLine {
    /// A region, or `refused`, `no answer` or `elsewhere`.
    pub outcome: String,
    /// Answers of each slice.
    pub answers: Vec<u64>,
}

impl TimelineTold {
    /// `None` without a timeline, or where there is too little of it to draw.
    pub(super) fn new(subject: &Subject, asks: &Asks, measured: &Measured) -> Option<Self> {
        let timeline = measured.timeline.as_ref()?;
        // What came after the end is left out, and so is a last slice that is not whole.
        let whole = measured.elapsed.as_nanos() / timeline.width.as_nanos().max(1);
        let fine = &timeline.slices[..timeline.slices.len().min(whole as usize)];
        let together = fine.len().div_ceil(MAX_TOLD).max(1);
        let slices: Vec<&[Slice]> = fine.chunks_exact(together).collect();
        if slices.len() < 2 {
            return None;
        }
        let seconds = (timeline.width * together as u32).as_secs_f64();
        let each = |figure: fn(&[Slice]) -> f64| slices.iter().map(|s| figure(s)).collect();
        let a_second = |counts: Vec<f64>| counts.into_iter().map(|c| c / seconds).collect();
        Some(Self {
            slice: seconds,
            answered: a_second(each(|slices| sum(slices, |s| u64::from(s.answered)) as f64)),
            failed: a_second(each(|slices| sum(slices, failures) as f64)),
            mean: each(|slices| {
                let answers = sum(slices, |s| u64::from(s.answered));
                sum(slices, |s| s.latency_sum) as f64 / answers.max(1) as f64 / 1e3
            }),
            longest: each(|slices| {
                let longest = slices.iter().map(|s| s.latency_max).max();
                longest.unwrap_or(0) as f64 / 1e3
            }),
            services: services(subject, asks, &slices),
        })
    }

    /// From the beginning to the end of the last slice, seconds.
    pub fn length(&self) -> f64 {
        self.slice * self.answered.len() as f64
    }

    /// How wide a slice is.
    pub fn width(&self) -> Duration {
        Duration::from_secs_f64(self.slice)
    }
}

fn services(subject: &Subject, asks: &Asks, slices: &[&[Slice]]) -> Vec<ServiceLine> {
    let mut targets: BTreeMap<ServiceId, Vec<usize>> = BTreeMap::new();
    for (i, target) in asks.targets.iter().enumerate() {
        targets.entry(target.service).or_default().push(i);
    }
    let mut lines: Vec<(u64, ServiceId, ServiceLine)> = Vec::new();
    for (service, targets) in targets {
        let outcomes = (0..Outcome::COUNT).map(Outcome::at);
        let outcomes = outcomes.filter_map(|outcome| line(subject, slices, &targets, outcome));
        let outcomes: Vec<OutcomeLine> = outcomes.collect();
        let failed = |s: &Slice| {
            let failed = targets.iter().filter_map(|t| s.failed.get(*t));
            failed.map(|f| u64::from(*f)).sum()
        };
        let failed = slices.iter().map(|slices| sum(slices, failed)).collect();
        let answers = outcomes.iter().flat_map(|line| &line.answers).sum();
        let name = subject.services[service.index()].name.to_string();
        lines.push((
            answers,
            service,
            ServiceLine {
                service: name,
                outcomes,
                failed,
            },
        ));
    }
    lines.sort_by_key(|(answers, service, _)| (std::cmp::Reverse(*answers), *service));
    lines.truncate(MAX_SERVICES);
    lines.sort_by_key(|(_, service, _)| *service);
    lines.into_iter().map(|(_, _, line)| line).collect()
}

fn line(
    subject: &Subject,
    slices: &[&[Slice]],
    targets: &[usize],
    outcome: Outcome,
) -> Option<OutcomeLine> {
    let count = |slice: &Slice| {
        let counts = targets
            .iter()
            .map(|t| u64::from(slice.outcome(*t, outcome)));
        counts.sum::<u64>()
    };
    let answers: Vec<u64> = slices.iter().map(|slices| sum(slices, count)).collect();
    answers.iter().any(|count| *count > 0).then(|| OutcomeLine {
        outcome: subject.outcome_name(outcome).to_owned(),
        answers,
    })
}

fn failures(slice: &Slice) -> u64 {
    slice.failed.iter().map(|f| u64::from(*f)).sum()
}

fn sum(slices: &[Slice], figure: impl Fn(&Slice) -> u64) -> u64 {
    slices.iter().map(figure).sum()
}
