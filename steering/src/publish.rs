//! The one swap: a single place where the current snapshot is stored, one writer, any number of
//! readers.

use crate::snapshot::{Change, Snapshot};
use crate::time::Timestamp;
use arc_swap::{ArcSwap, Guard};
use std::ops::Deref;
use std::sync::Arc;

/// Makes the two ends of the swap.
pub fn channel(initial: Snapshot) -> (Publisher, Reader) {
    let current = Arc::new(ArcSwap::from_pointee(initial));
    (
        Publisher {
            current: current.clone(),
        },
        Reader { current },
    )
}

/// The one writer. Not `Clone`: whoever holds it makes every generation, in order.
#[derive(Debug)]
pub struct Publisher {
    current: Arc<ArcSwap<Snapshot>>,
}

impl Publisher {
    /// Makes the next snapshot from the current one and stores it. Readers see it with their next load.
    pub fn apply(&mut self, change: Change, now: Timestamp) -> Arc<Snapshot> {
        let next = Arc::new(self.current.load().next(change, now));
        self.current.store(next.clone());
        next
    }

    /// The current snapshot.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }
}

/// A reader: cheap to clone, can only load.
#[derive(Clone, Debug)]
pub struct Reader {
    current: Arc<ArcSwap<Snapshot>>,
}

impl Reader {
    /// The current snapshot, for the length of a batch of queries: no lock, no reference count.
    #[inline]
    pub fn load(&self) -> Loaded {
        Loaded(self.current.load())
    }

    /// The current snapshot, to keep across awaits: a request keeps it for its retries.
    #[inline]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }
}

/// A loaded snapshot. Hold it briefly: a few per thread are free, more fall back to a reference count.
pub struct Loaded(Guard<Arc<Snapshot>>);

impl Deref for Loaded {
    type Target = Snapshot;

    #[inline]
    fn deref(&self) -> &Snapshot {
        &self.0
    }
}
