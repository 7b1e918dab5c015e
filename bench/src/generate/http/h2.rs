//! The HTTP/2 engine: one thread, one tokio loop, a few connections with many requests on each. It
//! records like the HTTP/1.1 engine does; connections are made and kept elsewhere.

use super::h2_link::{Link, Links, Spoken};
use super::{Connections, Run, Version};
use crate::generate::GenerateError;
use crate::generate::pace::{Nanos, Schedule, Window};
use crate::generate::threads::{Effort, Meter, Seat, Share};
use crate::load::Pace;
use crate::record::{Answer, ErrorKind, Outcome, Recorder};
use futures::future::join_all;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout_at};

/// How often the end of the run is looked for, and the longest wait for a moment.
const TICK: Duration = Duration::from_millis(20);
/// How long a stream rests after its connection was refused.
const REST: Duration = Duration::from_millis(10);
/// The most connections at a time, all threads together, of an open loop with a connection a request.
const MAX_PER_REQUEST: usize = 1024;
/// The most requests of a thread that wait for a stream; more stay on the schedule.
const MAX_QUEUE: usize = 1_000_000;

/// The work of one thread.
///
/// # Errors
/// When the system gives it no event queue or no timer.
pub(super) fn work<'a>(
    run: &Run<'a>,
    spoken: &Spoken,
    seat: Seat,
) -> Result<Share<'a>, GenerateError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(GenerateError::Wait)?;
    let desk = Desk::new(run, seat);
    let (connections, lanes) = places(run, seat);
    let links: Links = (0..connections).map(|_| Link::default()).collect();
    runtime.block_on(async {
        let lanes = (0..lanes).map(|i| desk.lane(spoken, &links[i % links.len()]));
        let ((), pacing, ()) = tokio::join!(desk.keep(), desk.pace(), async {
            join_all(lanes).await;
            desk.quiet.set(true);
        });
        pacing
    })?;
    // What is still open closes with the runtime.
    drop(links);
    drop(runtime);
    Ok(desk.share())
}

/// Connections, and requests in flight at a time.
fn places(run: &Run<'_>, seat: Seat) -> (usize, usize) {
    let share = |n: usize| seat.share_of(n).max(1);
    let streams = match run.options.version {
        Version::H2 { streams } => streams.max(1),
        Version::H1 => 1,
    };
    let connections = match (run.options.connection, run.load.pace) {
        (Connections::KeepAlive { connections }, _) => share(connections),
        (Connections::PerRequest, Pace::Closed { in_flight }) => share(in_flight),
        (Connections::PerRequest, Pace::Open { .. }) => share(MAX_PER_REQUEST),
    };
    let streams = match run.options.connection {
        Connections::KeepAlive { .. } => streams,
        Connections::PerRequest => 1,
    };
    let lanes = connections.saturating_mul(streams);
    match run.load.pace {
        Pace::Closed { in_flight } => (connections, lanes.min(share(in_flight))),
        Pace::Open { .. } => (connections, lanes),
    }
}

/// What the streams of one thread share.
struct Desk<'r, 'a> {
    run: &'r Run<'a>,
    window: RefCell<Window>,
    recorder: RefCell<Recorder<'a>>,
    schedule: RefCell<Option<Schedule>>,
    /// Moments of requests that wait for a stream, and a permit for each.
    queue: RefCell<VecDeque<Nanos>>,
    waiting: Semaphore,
    ask: Cell<usize>,
    recorded: Cell<u64>,
    sent: Cell<u64>,
    answered: Cell<u64>,
    failed: Cell<u64>,
    effort: Cell<Effort>,
    /// Whether all streams have ended.
    quiet: Cell<bool>,
}

impl<'r, 'a> Desk<'r, 'a> {
    fn new(run: &'r Run<'a>, seat: Seat) -> Self {
        let open = matches!(run.load.pace, Pace::Open { .. });
        Self {
            run,
            window: RefCell::new(Window::new(run.load, run.live)),
            recorder: RefCell::new(Recorder::new(run.asks, run.load.slice)),
            schedule: RefCell::new(open.then(|| Schedule::new(run.live, seat.index, seat.threads))),
            queue: RefCell::default(),
            waiting: Semaphore::new(0),
            ask: Cell::new(seat.start_in(run.asks.list.len())),
            recorded: Cell::new(0),
            sent: Cell::new(0),
            answered: Cell::new(0),
            failed: Cell::new(0),
            effort: Cell::new(Effort::default()),
            quiet: Cell::new(false),
        }
    }

    fn share(self) -> Share<'a> {
        let window = self.window.into_inner();
        let schedule = self.schedule.into_inner();
        Share {
            recorder: self.recorder.into_inner(),
            sent: self.recorded.get(),
            effort: self.effort.get(),
            punctuality: schedule.map(|schedule| schedule.punctuality(&window)),
            held_up: None,
            window,
        }
    }

    fn now(&self) -> Nanos {
        self.window.borrow().now()
    }

    fn is_open(&self) -> bool {
        let window = self.window.borrow();
        window.is_open(window.now())
    }

    fn next_ask(&self) -> usize {
        let ask = self.ask.get();
        self.ask.set((ask + 1) % self.run.asks.list.len());
        ask
    }

    /// Watches over the run: its end, its counters, its own cost.
    async fn keep(&self) {
        let mut meter = None;
        while !self.quiet.get() {
            let now = self.now();
            let (from, open) = {
                let mut window = self.window.borrow_mut();
                window.heed(self.run.live, now);
                (window.from(), window.is_open(now))
            };
            match &meter {
                None if now >= from && open => meter = Some(Meter::start()),
                Some(meter) if !open && self.effort.get() == Effort::default() => {
                    self.effort.set(Meter::spent(meter));
                }
                _ => {}
            }
            self.tell();
            let next = if now < from {
                from
            } else {
                self.window.borrow().until()
            };
            let wait = Duration::from_nanos(next.saturating_sub(now));
            let wait = if wait.is_zero() { TICK } else { wait.min(TICK) };
            sleep(wait).await;
        }
        self.tell();
    }

    fn tell(&self) {
        let live = self.run.live;
        live.sent.fetch_add(self.sent.take(), Relaxed);
        live.answered.fetch_add(self.answered.take(), Relaxed);
        live.failed.fetch_add(self.failed.take(), Relaxed);
    }

    /// Hands out the moments of an open loop as they come. When it ends, the streams end.
    async fn pace(&self) -> Result<(), GenerateError> {
        let paced = self.hand_out().await;
        self.waiting.close();
        paced
    }

    async fn hand_out(&self) -> Result<(), GenerateError> {
        let wrong = |errno: nix::errno::Errno| GenerateError::Wait(errno.into());
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(wrong)?;
        // The runtime's own timers count in milliseconds; this one in nanoseconds. It is read like a pipe:
        // eight bytes once it has fired.
        let end = timer.as_fd().try_clone_to_owned();
        let end = end.and_then(Receiver::from_owned_fd_unchecked);
        let fired = end.map_err(GenerateError::Wait)?;
        while self.schedule.borrow().is_some() && self.is_open() {
            let wait = self.take_due();
            if wait.is_zero() {
                tokio::task::yield_now().await;
                continue;
            }
            let after = TimeSpec::from_duration(wait.min(TICK));
            let once = Expiration::OneShot(after);
            timer.set(once, TimerSetTimeFlags::empty()).map_err(wrong)?;
            fired.readable().await.map_err(GenerateError::Wait)?;
            let _ = fired.try_read(&mut [0; 8]);
        }
        Ok(())
    }

    /// Takes the moments that have come, and says for how long none comes.
    fn take_due(&self) -> Duration {
        let (mut schedule, mut queue) = (self.schedule.borrow_mut(), self.queue.borrow_mut());
        let Some(schedule) = schedule.as_mut() else {
            return TICK;
        };
        let window = self.window.borrow();
        schedule.follow(self.run.live, window.now());
        let now = window.now();
        let before = queue.len();
        while queue.len() < MAX_QUEUE {
            match schedule.due(now, &window) {
                Some(moment) => queue.push_back(moment),
                None => break,
            }
        }
        self.waiting.add_permits(queue.len() - before);
        let next = schedule.next().unwrap_or(Nanos::MAX);
        Duration::from_nanos(next.saturating_sub(window.now()))
    }

    /// When the next request of a stream is due; `None` when there is none any more.
    async fn next_due(&self) -> Option<Nanos> {
        if self.schedule.borrow().is_none() {
            let now = self.now();
            return self.is_open().then_some(now);
        }
        if let Ok(permit) = self.waiting.acquire().await {
            permit.forget();
        }
        self.queue.borrow_mut().pop_front()
    }

    /// One request after the other.
    async fn lane(&self, spoken: &Spoken, link: &Link) {
        let per_request = self.run.options.connection == Connections::PerRequest;
        while let Some(due) = self.next_due().await {
            let ask = link.bound().unwrap_or_else(|| self.next_ask());
            let recorded = self.window.borrow().records(due);
            self.sent.set(self.sent.get() + 1);
            self.recorded.set(self.recorded.get() + u64::from(recorded));
            let outcome = self.ask(spoken, link, ask, due).await;
            self.count(ask, due, outcome);
            match outcome {
                Err(ErrorKind::Connect | ErrorKind::Send) => sleep(REST).await,
                _ if per_request => link.close(),
                _ => {}
            }
        }
    }

    /// One request, sent again on a new connection where the server had closed this one without
    /// touching it (RFC 9113 §8.7).
    async fn ask(
        &self,
        spoken: &Spoken,
        link: &Link,
        ask: usize,
        due: Nanos,
    ) -> Result<Outcome, ErrorKind> {
        let (until, late) = {
            let window = self.window.borrow();
            let until = due.saturating_add(window.timeout());
            (window.instant(until), window.now() >= until)
        };
        if late {
            return Err(ErrorKind::Timeout);
        }
        let answer = timeout_at(until.into(), link.ask(self.run, spoken, ask)).await;
        answer.unwrap_or(Err(ErrorKind::Timeout))
    }

    fn count(&self, ask: usize, due: Nanos, outcome: Result<Outcome, ErrorKind>) {
        let counter = match outcome {
            Ok(_) => &self.answered,
            Err(_) => &self.failed,
        };
        counter.set(counter.get() + 1);
        let window = self.window.borrow();
        if !window.records(due) {
            return;
        }
        let now = window.now();
        let moment = window.recorded_at(now);
        let mut recorder = self.recorder.borrow_mut();
        match outcome {
            Ok(outcome) => {
                let latency = Duration::from_nanos(now.saturating_sub(due));
                recorder.answered(ask, moment, latency, Answer::of(outcome));
            }
            Err(kind) => recorder.failed(ask, moment, kind),
        }
    }
}
