//! What is counted, under which names.
//!
//! Each thread that answers has `Counters` of its own, which only it writes: counting is an addition in
//! its own cache. They are summed when somebody asks (`board`). Label values are bounded: transports,
//! types and codes by lists in this crate, services, regions and zones by [`MAX_SERVICES`],
//! [`MAX_REGIONS`] and [`MAX_ZONES`].
//!
//! What never happens here: nothing is registered twice, nothing is served over HTTP (that is the
//! binary's), and the path of a query takes no lock.

mod board;
mod counters;
mod streams;
mod tables;

pub(crate) use counters::Counters;
pub use counters::Limited;
pub(crate) use streams::Closed;

use crate::logged::Logged;
use crate::respond::Notified;
use board::Board;
use prometheus::Registry;
use prometheus::core::Collector;
use std::sync::Arc;
use steering::{RegionId, Snapshot};
use streams::Streams;

/// The most services with a series of their own, over all reloads of one run; the others are counted
/// together as `other`.
pub const MAX_SERVICES: usize = 1_000;
/// The same of zones.
pub const MAX_ZONES: usize = 1_000;
/// The same of regions.
pub const MAX_REGIONS: usize = 1_000;
/// One in so many queries has its time taken.
pub const TIMED_ONE_IN: u64 = 64;

/// Told of the decisions that DNS took: for traffic shares and the like. Called on the path of queries,
/// once a batch for each region in it, so it must be quick and must not block.
pub trait Observe: Send + Sync + 'static {
    /// So many decisions for one region, and the snapshot whose ids they use.
    fn on_decisions(&self, snapshot: &Snapshot, region: Option<RegionId>, count: u64);

    /// One of the queries that [`Rules::log_one_in`](crate::Rules::log_one_in) picks.
    fn on_query(&self, _logged: &Logged<'_>) {}

    /// A primary says that a zone has a new version; called where packets are answered, so it must not wait.
    fn on_notify(&self, _snapshot: &Snapshot, _notified: Notified) {}
}

/// Nobody listens.
impl Observe for () {
    fn on_decisions(&self, _snapshot: &Snapshot, _region: Option<RegionId>, _count: u64) {}
}

/// The counters of the DNS plane.
pub struct Metrics {
    board: Board,
    pub(crate) streams: Streams,
}

impl Metrics {
    /// Registers everything with `registry`.
    ///
    /// # Errors
    /// A name is already taken there.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let board = Board::new()?;
        registry.register(Box::new(board.clone()))?;
        Ok(Self {
            board,
            streams: Streams::new(registry)?,
        })
    }

    /// Counters for one more thread. They stay part of the sums when the thread is gone.
    pub(crate) fn counters(self: &Arc<Self>) -> Counters {
        Counters::new(self.board.clone())
    }

    /// Adds what `tell` says to the datagrams that were dropped before we saw them: a number that only grows
    /// and may wrap; `None` when there is nobody left to ask.
    pub(crate) fn overflows(&self, tell: impl Fn() -> Option<u32> + Send + 'static) {
        self.board.overflows(Box::new(tell));
    }
}

fn one<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}
