//! The figures of a run in plain numbers, in the units that reports use. Times are in microseconds where
//! they are an answer's and in seconds where they are a run's.

use crate::load::{Load, Pace};
use crate::procfs::Cpu;
use crate::record::Measured;
use hdrhistogram::Histogram;
use serde::Serialize;

/// How hard the server was pushed.
#[derive(Clone, Debug, Serialize)]
pub struct LoadTold {
    /// `open` (so many a second, answered or not) or `closed` (so many in flight).
    pub pace: &'static str,
    /// Questions a second of an open loop, at the start.
    pub rate: Option<f64>,
    /// Questions in flight of a closed loop.
    pub in_flight: Option<usize>,
    /// Seconds, after the warm-up.
    pub duration: f64,
    /// Seconds before anything was recorded.
    pub warmup: f64,
    /// Seconds after which an answer counts as lost.
    pub timeout: f64,
    /// Threads that asked.
    pub threads: usize,
}

impl LoadTold {
    pub(super) fn new(load: &Load) -> Self {
        let (pace, rate, in_flight) = match load.pace {
            Pace::Open { rate } => ("open", Some(rate), None),
            Pace::Closed { in_flight } => ("closed", None, Some(in_flight)),
        };
        Self {
            pace,
            rate,
            in_flight,
            duration: load.duration.as_secs_f64(),
            warmup: load.warmup.as_secs_f64(),
            timeout: load.timeout.as_secs_f64(),
            threads: load.threads,
        }
    }
}

/// One point of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentile {
    /// The percentage of answers that took at most this long.
    pub percent: f64,
    /// Microseconds.
    pub micros: f64,
}

/// How long answers took.
#[derive(Clone, Debug, Serialize)]
pub struct LatencyFound {
    /// From when it counts: `due` (the intended moment, so that a stall shows) or `sent`.
    pub from: &'static str,
    /// Microseconds.
    pub mean: f64,
    /// Microseconds.
    pub max: f64,
    /// 50, 90, 99, 99.9 and 99.99 percent, as far as there were answers enough to tell them.
    pub percentiles: Vec<Percentile>,
    /// The whole distribution, for a chart.
    pub curve: Vec<Percentile>,
}

/// The percentages that are told.
const TOLD: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];
/// Points of the curve for each further 9.
const POINTS_PER_NINE: usize = 32;

impl LatencyFound {
    pub(super) fn new(latency: &Histogram<u64>, pace: Pace) -> Self {
        let at = |percent: f64| Percentile {
            percent,
            micros: latency.value_at_percentile(percent) as f64 / 1e3,
        };
        let count = latency.len() as f64;
        // A percentile stands on at least one answer that took longer.
        let told = |percent: &f64| count * (100.0 - percent) >= 99.99;
        let nines = count.max(1.0).log10().min(6.0);
        let points = (nines * POINTS_PER_NINE as f64) as usize;
        let curve = (0..=points).map(|i| {
            let beyond = 10_f64.powf(-(i as f64) / POINTS_PER_NINE as f64);
            at(100.0 * (1.0 - beyond))
        });
        Self {
            from: match pace {
                Pace::Open { .. } => "due",
                Pace::Closed { .. } => "sent",
            },
            mean: latency.mean() / 1e3,
            max: latency.max() as f64 / 1e3,
            percentiles: TOLD.into_iter().filter(told).map(at).collect(),
            curve: if latency.is_empty() {
                Vec::new()
            } else {
                curve.collect()
            },
        }
    }

    /// Microseconds at one of the percentages that are told.
    pub fn at(&self, percent: f64) -> Option<f64> {
        let mut told = self.percentiles.iter();
        told.find(|p| p.percent == percent).map(|p| p.micros)
    }
}

/// How often one thing went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorCount {
    /// What.
    pub kind: String,
    /// How often.
    pub count: u64,
}

pub(super) fn errors(measured: &Measured) -> Vec<ErrorCount> {
    let errors = measured.errors.iter();
    let mut list: Vec<ErrorCount> = errors
        .map(|(kind, count)| ErrorCount {
            kind: kind.to_string(),
            count: *count,
        })
        .collect();
    list.sort_by_key(|error| std::cmp::Reverse(error.count));
    list
}

/// What the generator itself spent.
#[derive(Clone, Debug, Serialize)]
pub struct Generator {
    /// Seconds of processor time.
    pub cpu: Cpu,
    /// Of one processor, 1 for all of it.
    pub share: f64,
    /// Microseconds of processor time an answer.
    pub micros_each: Cpu,
    /// Why it, not the server, may be what limited the run.
    pub limited: Option<String>,
}

impl Generator {
    pub(super) fn new(measured: &Measured) -> Self {
        Self {
            cpu: measured.own_cpu,
            share: measured.own_cpu.share_of(measured.elapsed),
            micros_each: measured.own_cpu.micros_each(measured.answered),
            limited: measured.limited.clone(),
        }
    }
}
