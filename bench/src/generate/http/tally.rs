//! What one thread counts, whichever version of HTTP it speaks: requests sent, what became of them, and
//! what they cost the generator. It sends nothing.

use super::Run;
use crate::generate::pace::{Nanos, Schedule, Window};
use crate::generate::threads::{Effort, Meter, Seat, Share};
use crate::load::Pace;
use crate::record::{Answer, ErrorKind, Outcome, Recorder};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// The books of one thread.
pub(super) struct Tally<'r, 'a> {
    run: &'r Run<'r, 'a>,
    /// When it asks and what is recorded.
    pub window: Window,
    /// The moments of an open loop.
    pub schedule: Option<Schedule>,
    recorder: Recorder<'a>,
    /// The next question.
    ask: usize,
    /// Since they were last told to [`Live`](crate::load::Live).
    sent: u64,
    answered: u64,
    failed: u64,
    /// Of all that was sent, what is recorded.
    recorded: u64,
    meter: Option<Meter>,
    effort: Option<Effort>,
    /// Whether the system refused a socket or a port.
    denied: bool,
}

impl<'r, 'a> Tally<'r, 'a> {
    pub fn new(run: &'r Run<'r, 'a>, seat: Seat) -> Self {
        let is_open = matches!(run.load.pace, Pace::Open { .. });
        Self {
            run,
            window: Window::new(run.load, run.live),
            schedule: is_open.then(|| Schedule::new(run.live, seat.index, seat.threads)),
            recorder: Recorder::new(run.setup.asks, run.load.slice),
            ask: seat.start_in(run.setup.asks.list.len()),
            sent: 0,
            answered: 0,
            failed: 0,
            recorded: 0,
            meter: None,
            effort: None,
            denied: false,
        }
    }

    /// The question whose turn it is.
    #[inline]
    pub fn next_ask(&mut self) -> usize {
        let ask = self.ask;
        self.ask += 1;
        if self.ask == self.run.setup.asks.list.len() {
            self.ask = 0;
        }
        ask
    }

    /// A request that was meant for `due` is sent.
    #[inline]
    pub fn sent(&mut self, due: Nanos) {
        self.sent += 1;
        self.recorded += u64::from(self.window.records(due));
    }

    /// What became of the request for question `ask`.
    #[inline]
    pub fn settled(
        &mut self,
        ask: usize,
        due: Nanos,
        outcome: Result<Outcome, ErrorKind>,
        now: Nanos,
    ) {
        match outcome {
            Ok(_) => self.answered += 1,
            Err(kind) => {
                self.failed += 1;
                self.denied |= kind == ErrorKind::Send;
            }
        }
        if !self.window.records(due) {
            return;
        }
        let moment = self.window.recorded_at(now);
        match outcome {
            Ok(outcome) => {
                let latency = Duration::from_nanos(now.saturating_sub(due));
                let answer = Answer::of(outcome);
                self.recorder.answered(ask, moment, latency, answer);
            }
            Err(kind) => self.recorder.failed(ask, moment, kind),
        }
    }

    /// To be called once a batch: heeds a stop, tells the counters to whoever watches, and keeps the
    /// account of what this thread spends while it records.
    pub fn turn(&mut self, now: Nanos) {
        let live = self.run.live;
        self.window.heed(live, now);
        let is_open = self.window.is_open(now);
        match &self.meter {
            None if now >= self.window.from() && is_open => self.meter = Some(Meter::start()),
            Some(meter) if !is_open && self.effort.is_none() => self.effort = Some(meter.spent()),
            _ => {}
        }
        for (counter, count) in [
            (&live.sent, &mut self.sent),
            (&live.answered, &mut self.answered),
            (&live.failed, &mut self.failed),
        ] {
            if *count > 0 {
                counter.fetch_add(std::mem::take(count), Relaxed);
            }
        }
    }

    /// What the thread brings home.
    pub fn share(mut self) -> Share<'a> {
        self.turn(self.window.now());
        let denied = "the system gave the generator no more sockets or local ports; keep connections alive, \
                      raise `ulimit -n`, or widen net.ipv4.ip_local_port_range";
        Share {
            recorder: self.recorder,
            sent: self.recorded,
            effort: self.effort.unwrap_or_default(),
            punctuality: self.schedule.map(|s| s.punctuality(&self.window)),
            held_up: self.denied.then(|| denied.to_owned()),
            window: self.window,
        }
    }
}
