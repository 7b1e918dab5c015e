//! What becomes of the questions of one thread: sent, answered, failed; recorded where they belong to the
//! window, and told to whoever watches the run, once a batch.

use super::Plan;
use super::flight::Asked;
use crate::generate::pace::{Nanos, Schedule, Window};
use crate::generate::threads::{Effort, Meter, Share};
use crate::load::Live;
use crate::record::{Answer, ErrorKind, Recorder};
use std::sync::atomic::Ordering::Relaxed;

/// One thread's counts.
pub struct Tally<'a> {
    /// The stretch that is recorded.
    pub window: Window,
    live: &'a Live,
    recorder: Recorder<'a>,
    plan: Plan<'a>,
    sent: u64,
    /// Not yet told to `live`.
    fresh: Fresh,
    meter: Option<Meter>,
    effort: Option<Effort>,
    /// What held the thread up, the first time.
    held_up: Option<String>,
}

#[derive(Default)]
struct Fresh {
    sent: u64,
    answered: u64,
    failed: u64,
}

impl<'a> Tally<'a> {
    /// Of nothing yet.
    pub fn new(plan: &Plan<'a>) -> Self {
        Self {
            window: Window::new(plan.load, plan.live),
            live: plan.live,
            recorder: Recorder::new(plan.asks, plan.load.slice),
            plan: *plan,
            sent: 0,
            fresh: Fresh::default(),
            meter: None,
            effort: None,
            held_up: None,
        }
    }

    /// Once a batch: tells what happened, and heeds what was said. Whether questions may be sent still.
    pub fn tick(&mut self, now: Nanos) -> bool {
        let Fresh {
            sent,
            answered,
            failed,
        } = std::mem::take(&mut self.fresh);
        for (counter, n) in [
            (&self.live.sent, sent),
            (&self.live.answered, answered),
            (&self.live.failed, failed),
        ] {
            if n > 0 {
                counter.fetch_add(n, Relaxed);
            }
        }
        self.window.heed(self.live, now);
        let open = self.window.is_open(now);
        match &self.meter {
            None if now >= self.window.from() => self.meter = Some(Meter::start()),
            Some(meter) if !open && self.effort.is_none() => self.effort = Some(meter.spent()),
            _ => {}
        }
        open
    }

    /// [`Tally::tick`], and whether there is something to send still: in an open loop also what was due
    /// before the end.
    pub fn is_sending(&mut self, now: Nanos, schedule: Option<&Schedule>) -> bool {
        let open = self.tick(now);
        schedule.map_or(open, |schedule| !schedule.is_over(now, &self.window))
    }

    /// The next moment at which there is something to do besides reading, not after `latest`.
    pub fn wake(
        &self,
        now: Nanos,
        latest: Nanos,
        sending: bool,
        schedule: Option<&Schedule>,
    ) -> Nanos {
        if !sending {
            return latest;
        }
        let due = schedule.and_then(Schedule::next).unwrap_or(latest);
        // The meter starts and ends in time.
        let edge = match now < self.window.from() {
            true => self.window.from(),
            false => self.window.until(),
        };
        latest.min(due).min(edge)
    }

    /// Questions left.
    #[inline]
    pub fn sent(&mut self, asked: &Asked) {
        self.fresh.sent += 1;
        self.sent += u64::from(self.window.records(asked.intended));
    }

    /// Whether what came now to a question came after its timeout, though nobody had given it up yet.
    #[inline]
    pub fn is_late(&self, asked: &Asked, now: Nanos) -> bool {
        now.saturating_sub(asked.sent) >= self.window.timeout()
    }

    /// The end of a question: its answer, or what came instead.
    #[inline]
    pub fn ended(&mut self, asked: &Asked, now: Nanos, outcome: Result<Answer, ErrorKind>) {
        match &outcome {
            Ok(_) => self.fresh.answered += 1,
            Err(_) => self.fresh.failed += 1,
        }
        if !self.window.records(asked.intended) {
            return;
        }
        let ask = asked.question.ask as usize;
        let at = self.window.recorded_at(now);
        match outcome {
            Ok(answer) => {
                let latency = now.saturating_sub(asked.intended);
                let latency = std::time::Duration::from_nanos(latency);
                match self.plan.telling(asked) {
                    true => self.recorder.answered(ask, at, latency, answer),
                    false => self.recorder.answered_in_part(ask, at, latency, answer),
                }
            }
            Err(kind) => self.recorder.failed(ask, at, kind),
        }
    }

    /// Something of the generator's own keeps it from sending.
    pub fn held_up(&mut self, why: &str) {
        if self.held_up.is_none() {
            self.held_up = Some(why.to_owned());
        }
    }

    /// All there is to bring home.
    pub fn share(mut self, schedule: Option<&Schedule>) -> Share<'a> {
        self.tick(self.window.now());
        Share {
            recorder: self.recorder,
            sent: self.sent,
            effort: self.effort.unwrap_or_default(),
            punctuality: schedule.map(|schedule| schedule.punctuality(&self.window)),
            held_up: self.held_up,
            window: self.window,
        }
    }
}
