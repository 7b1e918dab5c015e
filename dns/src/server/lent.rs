//! Workers for tasks of the runtime, which have no thread of their own: lent for the length of a batch.
//!
//! What never happens here: a worker is never held across an await, so one for each core is enough.

use super::batch::Worker;
use crate::metrics::Metrics;
use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// As many as there are cores.
pub(super) struct Lent {
    first: Mutex<Worker>,
    others: Box<[Mutex<Worker>]>,
}

impl Lent {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let worker = || Mutex::new(Worker::new(metrics));
        Self {
            first: worker(),
            others: (1..cores).map(|_| worker()).collect(),
        }
    }

    /// Calls `work` with the worker of this thread. Another thread has it only where the runtime has more
    /// threads than there are cores; then this one waits for the length of a batch.
    pub(super) fn lend<R>(&self, work: impl FnOnce(&mut Worker) -> R) -> R {
        let at = this_thread() % (self.others.len() + 1);
        let worker = self.others.get(at).unwrap_or(&self.first);
        // A worker is counters and a seed: a panic leaves nothing half done in it.
        work(&mut worker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A number for each thread, in the order they first ask.
fn this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static THIS: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    THIS.get()
}
