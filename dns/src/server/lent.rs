//! Workers for tasks of the runtime, which have no thread of their own: lent for the length of a batch.
//!
//! What never happens here: a worker is never held across an await, so one for each core is enough.

use super::batch::Worker;
use std::cell::Cell;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// As many as there are cores.
pub(super) struct Lent(Box<[Mutex<Worker>]>);

impl Lent {
    pub(super) fn new(make: impl FnMut() -> Worker) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let mut make = make;
        Self((0..cores).map(|_| Mutex::new(make())).collect())
    }

    /// Calls `work` with the worker of this thread. Another thread has it only where the runtime has more
    /// threads than there are cores; then this one waits for the length of a batch.
    pub(super) fn lend<R>(&self, work: impl FnOnce(&mut Worker) -> R) -> R {
        let at = this_thread() % self.0.len().max(1);
        match self.0.get(at) {
            // A worker is only counters and a seed: a panic elsewhere leaves nothing half done in it.
            Some(worker) => work(&mut worker.lock().unwrap_or_else(PoisonError::into_inner)),
            None => work(&mut Worker::new()),
        }
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
