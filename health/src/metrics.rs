//! The checker's metrics. Labels are names of checks, outcomes and states: never an address, so their
//! number is bounded by the configuration.

use crate::failure::Failure;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};
use steering::health::Status;

const SUCCESS: &str = "success";
/// Seconds: a local connect to the slowest timeout anyone would set.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

#[derive(Debug)]
pub(crate) struct Metrics {
    probes: IntCounterVec,
    seconds: HistogramVec,
    transitions: IntCounterVec,
    /// Probes going on.
    pub(crate) in_flight: IntGauge,
    /// Probes that had to wait for room.
    pub(crate) waited: IntCounter,
    /// Events that had to wait for the writer.
    pub(crate) events_waited: IntCounter,
    /// Connect times of the proxy that were dropped.
    pub(crate) samples_dropped: IntCounter,
    saves: IntCounterVec,
}

impl Metrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// The registry already has one of them: a checker was started on it before.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name, help| registered(registry, IntCounter::new(name, help)?);
        let vec = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let seconds = HistogramOpts::new("rhumb_health_probe_seconds", "How long probes took")
            .buckets(BUCKETS.to_vec());
        let in_flight = IntGauge::new("rhumb_health_in_flight", "Probes going on now")?;
        Ok(Self {
            probes: vec(
                "rhumb_health_probes_total",
                "Probes by check and outcome",
                &["check", "outcome"],
            )?,
            seconds: registered(registry, HistogramVec::new(seconds, &["check"])?)?,
            transitions: vec(
                "rhumb_health_transitions_total",
                "Changes of a target's status, by check and new status",
                &["check", "to"],
            )?,
            in_flight: registered(registry, in_flight)?,
            waited: counter(
                "rhumb_health_waited_total",
                "Probes that waited because the most allowed were in flight",
            )?,
            events_waited: counter(
                "rhumb_health_events_waited_total",
                "Events that waited because the snapshot writer was behind",
            )?,
            samples_dropped: counter(
                "rhumb_health_samples_dropped_total",
                "Connect times of the proxy dropped because the queue was full",
            )?,
            saves: vec(
                "rhumb_health_state_saves_total",
                "Writes of the state file by outcome",
                &["outcome"],
            )?,
        })
    }

    pub(crate) fn probed(&self, check: &str, failure: Option<&Failure>, seconds: f64) {
        let outcome = failure.map_or(SUCCESS, Failure::name);
        self.probes.with_label_values(&[check, outcome]).inc();
        self.histogram(check).observe(seconds);
    }

    pub(crate) fn moved(&self, check: &str, to: Status) {
        self.transitions
            .with_label_values(&[check, to.name()])
            .inc();
    }

    pub(crate) fn saved(&self, success: bool) {
        self.saves
            .with_label_values(&[if success { SUCCESS } else { "failure" }])
            .inc();
    }

    /// Drops the series of a check that is gone, so that many reloads do not pile them up.
    pub(crate) fn forget(&self, check: &str) {
        for outcome in Failure::NAMES.into_iter().chain([SUCCESS]) {
            let _ = self.probes.remove_label_values(&[check, outcome]);
        }
        for status in [Status::Down, Status::Unknown, Status::Up] {
            let _ = self
                .transitions
                .remove_label_values(&[check, status.name()]);
        }
        let _ = self.seconds.remove_label_values(&[check]);
    }

    fn histogram(&self, check: &str) -> Histogram {
        self.seconds.with_label_values(&[check])
    }
}

fn registered<C>(registry: &Registry, collector: C) -> prometheus::Result<C>
where
    C: prometheus::core::Collector + Clone + 'static,
{
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
