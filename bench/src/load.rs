//! How hard to push, and what is seen while it goes on: the pace of a run, its bounds, and the live
//! counters that a progress bar reads and a scenario turns. It sends nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How questions follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many a second, whether answers come or not. Latency counts from the intended moment, so that
    /// a stalled server can't hide the questions it held up ("coordinated omission").
    Open {
        /// Questions a second, all threads together.
        rate: f64,
    },
    /// So many in flight at any time; the next one when an answer comes.
    Closed {
        /// All threads together.
        in_flight: usize,
    },
}

/// The bounds of one run.
#[derive(Clone, Debug)]
pub struct Load {
    /// How questions follow each other.
    pub pace: Pace,
    /// How long to ask, after the warm-up.
    pub duration: Duration,
    /// How long to ask before anything is recorded.
    pub warmup: Duration,
    /// How long an answer is waited for before it counts as lost.
    pub timeout: Duration,
    /// Threads that ask.
    pub threads: usize,
    /// The processors to ask from, one a thread in turn; empty for wherever the system likes.
    pub processors: Vec<usize>,
    /// The width of a slice of the timeline; `None` for no timeline.
    pub slice: Option<Duration>,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            pace: Pace::Closed { in_flight: 64 },
            duration: Duration::from_secs(10),
            warmup: Duration::from_millis(500),
            timeout: Duration::from_secs(2),
            threads: 1,
            processors: Vec::new(),
            slice: Some(Duration::from_millis(100)),
        }
    }
}

/// A run that is going on, seen and turned from outside.
#[derive(Debug)]
pub struct Live {
    /// The start; the warm-up comes first.
    started: Instant,
    /// Questions sent.
    pub sent: AtomicU64,
    /// Answers that came.
    pub answered: AtomicU64,
    /// Questions that failed, for whatever reason.
    pub failed: AtomicU64,
    /// The rate of an open loop now, as the bits of an `f64`.
    rate: AtomicU64,
    stop: AtomicBool,
}

impl Live {
    /// For a run that starts now.
    pub fn new(load: &Load) -> Self {
        let rate = match load.pace {
            Pace::Open { rate } => rate,
            Pace::Closed { .. } => 0.0,
        };
        Self {
            started: Instant::now(),
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            rate: AtomicU64::new(rate.to_bits()),
            stop: AtomicBool::new(false),
        }
    }

    /// When the run started. All threads count from here.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Questions a second of an open loop, all threads together.
    pub fn rate(&self) -> f64 {
        f64::from_bits(self.rate.load(Ordering::Relaxed))
    }

    /// Changes the rate of an open loop; a closed one has none to change.
    pub fn set_rate(&self, rate: f64) {
        self.rate.store(rate.to_bits(), Ordering::Relaxed);
    }

    /// Ends the run as soon as the threads see it.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the run is to end.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
