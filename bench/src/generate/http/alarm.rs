//! A timer that counts in nanoseconds, where event loops count in milliseconds: an open loop needs its
//! moments. It is a file descriptor that becomes readable.

use crate::generate::GenerateError;
use crate::generate::pace::Nanos;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// A timer that fires once each time it is set.
pub(super) struct Alarm {
    timer: TimerFd,
    /// When it fires, or last did.
    at: Nanos,
}

impl Alarm {
    /// One that is not set.
    ///
    /// # Errors
    /// When the system gives no timer.
    pub fn new() -> Result<Self, GenerateError> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags);
        Ok(Self {
            timer: timer.map_err(wrong)?,
            at: 0,
        })
    }

    /// Sees to it that it fires at `at` or before. `now` lies before that.
    ///
    /// # Errors
    /// When the system does not set it.
    #[inline]
    pub fn fire_by(&mut self, at: Nanos, now: Nanos) -> Result<(), GenerateError> {
        if self.at > now && self.at <= at {
            return Ok(());
        }
        self.at = at;
        // Zero would be no time at all, but never.
        let after = Duration::from_nanos(at.saturating_sub(now).max(1));
        let once = Expiration::OneShot(TimeSpec::from_duration(after));
        let set = self.timer.set(once, TimerSetTimeFlags::empty());
        set.map_err(wrong)
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

fn wrong(errno: nix::errno::Errno) -> GenerateError {
    GenerateError::Wait(errno.into())
}
