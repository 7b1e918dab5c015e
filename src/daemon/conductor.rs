//! The one writer: every change of the routing table, of health, latency and location goes through
//! here and becomes the next snapshot.
//!
//! It owns the [`Publisher`]; nobody else can store a snapshot. It decides nothing.

use prometheus::{IntCounter, IntGauge, Registry};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use steering::health::{TargetKey, Transition};
use steering::latency::Measured;
use steering::{Change, LocationTable, Publisher, Snapshot, Table, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// How long transitions are gathered after the first, so that a burst becomes one generation: well
/// under the 50 ms the contract allows.
const GATHER: Duration = Duration::from_millis(30);

/// How many messages may wait; senders wait beyond that.
const QUEUE: usize = 1024;

/// What the conductor is told.
pub enum Message {
    /// Health transitions.
    Health(Vec<Transition>),
    /// Measured round trips.
    Latency(Vec<Measured>),
    /// A reload: the new table, and the location table when it changed too.
    Reload(
        Arc<Table>,
        Option<Arc<LocationTable>>,
        oneshot::Sender<Arc<Snapshot>>,
    ),
    /// An operator's word: this failover policy returns to its first usable child.
    Failback(Arc<str>, oneshot::Sender<Arc<Snapshot>>),
}

/// What the conductor counts.
struct Metrics {
    generation: IntGauge,
    transitions: IntCounter,
}

impl Metrics {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            generation: IntGauge::new("rhumb_generation", "The generation that is serving")?,
            transitions: IntCounter::new(
                "rhumb_health_applied_total",
                "Health transitions that became part of a snapshot",
            )?,
        };
        registry.register(Box::new(metrics.generation.clone()))?;
        registry.register(Box::new(metrics.transitions.clone()))?;
        Ok(metrics)
    }
}

/// The task that makes generations.
pub struct Conductor {
    publisher: Publisher,
    inbox: mpsc::Receiver<Message>,
    /// The last transition of each target that waits for the next generation.
    transitions: HashMap<TargetKey, Transition>,
    /// The last measurement of each target that waits for the next generation.
    measured: HashMap<TargetKey, Measured>,
    /// When what waits is applied.
    due: Option<Instant>,
    metrics: Metrics,
}

impl Conductor {
    /// A conductor over `publisher`, and where to send it messages.
    ///
    /// # Errors
    /// When its metrics are registered already.
    pub fn new(
        publisher: Publisher,
        registry: &Registry,
    ) -> Result<(Self, mpsc::Sender<Message>), prometheus::Error> {
        let (sender, inbox) = mpsc::channel(QUEUE);
        let metrics = Metrics::new(registry)?;
        metrics
            .generation
            .set(publisher.current().generation() as i64);
        let conductor = Self {
            publisher,
            inbox,
            transitions: HashMap::new(),
            measured: HashMap::new(),
            due: None,
            metrics,
        };
        Ok((conductor, sender))
    }

    /// Runs until every sender is gone.
    pub async fn run(mut self) {
        loop {
            let wake = self.wake_at();
            tokio::select! {
                message = self.inbox.recv() => match message {
                    Some(message) => self.take(message),
                    None => return,
                },
                () = sleep_until(wake) => self.flush(true),
            }
        }
    }

    /// When to act without being told: gathered changes are due, or a failback's time has come.
    fn wake_at(&self) -> Instant {
        let snapshot = self.publisher.current();
        let failback = snapshot
            .wake_at()
            .map(|at| Instant::now() + at.since(now()));
        [self.due, failback]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| Instant::now() + Duration::from_secs(3600))
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Health(transitions) => {
                for transition in transitions {
                    self.transitions
                        .insert(transition.target.clone(), transition);
                }
                self.due.get_or_insert_with(|| Instant::now() + GATHER);
            }
            Message::Latency(measured) => {
                for sample in measured {
                    self.measured.insert(sample.target.clone(), sample);
                }
                self.due.get_or_insert_with(|| Instant::now() + GATHER);
            }
            Message::Reload(table, geo, done) => {
                // What was gathered belongs to the old table's time: first that, then the reload.
                self.flush(false);
                let change = match geo {
                    Some(geo) => Change::Reload(table, geo),
                    None => Change::Table(table),
                };
                // The asker may have gone; the reload holds all the same.
                let _ = done.send(self.apply(change));
            }
            Message::Failback(policy, done) => {
                let _ = done.send(self.apply(Change::Failback(policy)));
            }
        }
    }

    /// Applies what was gathered; with `tick`, looks at failbacks too when nothing was.
    fn flush(&mut self, tick: bool) {
        self.due = None;
        let measured: Vec<Measured> = self.measured.drain().map(|(_, m)| m).collect();
        let transitions: Vec<Transition> = self.transitions.drain().map(|(_, t)| t).collect();
        let idle = measured.is_empty() && transitions.is_empty();
        if !measured.is_empty() {
            self.apply(Change::Latency(measured));
        }
        if !transitions.is_empty() {
            self.metrics.transitions.inc_by(transitions.len() as u64);
            self.apply(Change::Health(transitions));
        }
        if idle
            && tick
            && self
                .publisher
                .current()
                .wake_at()
                .is_some_and(|at| at <= now())
        {
            self.apply(Change::Tick);
        }
    }

    fn apply(&mut self, change: Change) -> Arc<Snapshot> {
        let next = self.publisher.apply(change, now());
        self.metrics.generation.set(next.generation() as i64);
        next
    }
}

/// The time the core is given.
pub fn now() -> Timestamp {
    SystemTime::now().into()
}
