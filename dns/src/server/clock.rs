//! The time, as coarse as the system keeps it (some milliseconds): read once a batch, so it may cost no more
//! than a look at memory.
//!
//! What never happens here: nothing is timed with it that is shorter than that.

use std::time::Duration;

/// Counts from when it was made.
pub(super) struct Clock {
    started: Duration,
}

/// When a batch began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Since the clock was made; never goes back.
    pub(super) elapsed: Duration,
    /// Unix time in seconds, wrapping in 2106, as cookies have it (RFC 9018 §4.3).
    pub(super) unix: u32,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            started: monotonic(),
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        monotonic().saturating_sub(self.started)
    }

    #[inline]
    pub(super) fn now(&self) -> Moment {
        Moment {
            elapsed: self.elapsed(),
            unix: unix().as_secs() as u32,
        }
    }
}

#[cfg(target_os = "linux")]
fn read(clock: nix::time::ClockId) -> Duration {
    // It can't fail for a clock that every Linux has had for longer than Rust runs on it.
    nix::time::clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}

#[cfg(target_os = "linux")]
fn monotonic() -> Duration {
    read(nix::time::ClockId::CLOCK_MONOTONIC_COARSE)
}

#[cfg(target_os = "linux")]
fn unix() -> Duration {
    read(nix::time::ClockId::CLOCK_REALTIME_COARSE)
}

#[cfg(not(target_os = "linux"))]
fn monotonic() -> Duration {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(std::time::Instant::now).elapsed()
}

#[cfg(not(target_os = "linux"))]
fn unix() -> Duration {
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}
