//! What all tasks of a checker share: the targets, the way out, the bound on probes in flight. The way
//! out goes to the one writer of snapshots; nothing here makes one.

use crate::metrics::Metrics;
use crate::target::Target;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use steering::Timestamp;
use steering::health::{TargetKey, Transition};
use steering::latency::Measured;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, watch};

/// What the checker tells the one writer of snapshots.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A target changed in a way that a decision looks at. Sent with the probe that decided it.
    Health(Transition),
    /// Smoothed connect times: at most one a second and target, and only real changes.
    Latency(Vec<Measured>),
}

/// Nobody listens any more: the daemon is stopping.
#[derive(Debug)]
pub(crate) struct Closed;

/// The targets of the current plan, in its order.
#[derive(Debug, Default)]
pub(crate) struct Board {
    targets: Vec<Arc<Target>>,
    by_key: HashMap<TargetKey, Arc<Target>>,
}

impl Board {
    pub(crate) fn add(&mut self, target: Arc<Target>) {
        self.by_key.insert(target.key().clone(), target.clone());
        self.targets.push(target);
    }

    pub(crate) fn targets(&self) -> &[Arc<Target>] {
        &self.targets
    }

    pub(crate) fn find(&self, key: &TargetKey) -> Option<&Arc<Target>> {
        self.by_key.get(key)
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) metrics: Metrics,
    /// How many checked targets have not had their first outcome.
    pub(crate) awaited: watch::Sender<usize>,
    board: RwLock<Arc<Board>>,
    in_flight: Semaphore,
    out: mpsc::Sender<Event>,
    unsaved: AtomicBool,
}

impl Shared {
    pub(crate) fn new(metrics: Metrics, max_in_flight: usize, out: mpsc::Sender<Event>) -> Self {
        Self {
            metrics,
            awaited: watch::Sender::new(0),
            board: RwLock::default(),
            in_flight: Semaphore::new(max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            out,
            unsaved: AtomicBool::new(false),
        }
    }

    pub(crate) fn board(&self) -> Arc<Board> {
        self.board.read().clone()
    }

    pub(crate) fn replace_board(&self, board: Board) {
        *self.board.write() = Arc::new(board);
        self.unsaved.store(true, Ordering::Release);
    }

    /// Waits for room among the probes in flight.
    pub(crate) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.in_flight.try_acquire() {
            return Some(permit);
        }
        self.metrics.waited.inc();
        self.in_flight.acquire().await.ok()
    }

    /// A target has had its first outcome, or is no longer awaited.
    pub(crate) fn judged(&self, target: &Target) {
        if target.judge() {
            self.awaited
                .send_modify(|count| *count = count.saturating_sub(1));
        }
    }

    /// Tells an event; waits while the writer is behind, which holds back the next probe of this target.
    pub(crate) async fn tell(&self, event: Event) -> Result<(), Closed> {
        self.unsaved.store(true, Ordering::Release);
        match self.out.try_send(event) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(Closed),
            Err(TrySendError::Full(event)) => {
                self.metrics.events_waited.inc();
                self.out.send(event).await.map_err(|_| Closed)
            }
        }
    }

    /// Tells all connect times worth telling, in one event. When the writer is behind they stay due.
    pub(crate) fn tell_latencies(&self, now: Timestamp) -> Result<(), Closed> {
        let board = self.board();
        let measured: Vec<Measured> = board
            .targets()
            .iter()
            .filter_map(|target| target.measure(now))
            .collect();
        if measured.is_empty() {
            return Ok(());
        }
        self.unsaved.store(true, Ordering::Release);
        match self.out.try_send(Event::Latency(measured)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(Closed),
            Err(TrySendError::Full(Event::Latency(measured))) => {
                self.metrics.events_waited.inc();
                let targets = measured.iter().filter_map(|m| board.find(&m.target));
                targets.for_each(|target| target.untell());
                Ok(())
            }
            Err(TrySendError::Full(_)) => Ok(()),
        }
    }

    /// Whether something worth saving happened since this was last asked.
    pub(crate) fn take_unsaved(&self) -> bool {
        self.unsaved.swap(false, Ordering::AcqRel)
    }

    /// What was to be saved could not be.
    pub(crate) fn mark_unsaved(&self) {
        self.unsaved.store(true, Ordering::Release);
    }
}

/// The time of day: what outcomes are stamped with. Schedules use the monotonic clock instead.
pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}
