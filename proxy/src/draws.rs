//! The random numbers of requests. Decisions take them as an input; nothing else here is random.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use steering::draw;

/// The random numbers of requests: a counter behind a mixing function with a random seed.
#[derive(Debug)]
pub(crate) struct Draws {
    seed: u64,
    count: AtomicU64,
}

impl Draws {
    /// Seeded by the process.
    pub(crate) fn new() -> Self {
        Self {
            seed: RandomState::new().hash_one(0_u8),
            count: AtomicU64::new(0),
        }
    }

    /// The next one.
    pub(crate) fn next(&self) -> u64 {
        draw::mix(self.count.fetch_add(1, Ordering::Relaxed), self.seed)
    }
}
