//! The HTTP/2 engine: one thread, one tokio loop, a few connections with many requests on each. It
//! records like the HTTP/1.1 engine does; connections are made and kept elsewhere.

use super::alarm::Alarm;
use super::h2_link::{Link, Links, Spoken};
use super::tally::Tally;
use super::{Connections, Run, Version};
use crate::generate::GenerateError;
use crate::generate::pace::{Nanos, nanos};
use crate::generate::threads::{Seat, Share};
use crate::load::Pace;
use crate::record::{ErrorKind, Outcome};
use futures::future::join_all;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::AsFd;
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
    run: &Run<'_, 'a>,
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
    Ok(desk.tally.into_inner().share())
}

/// Connections, and requests in flight at a time.
fn places(run: &Run<'_, '_>, seat: Seat) -> (usize, usize) {
    let share = |n: usize| seat.share_of(n).max(1);
    let streams = match run.setup.options.version {
        Version::H2 { streams } => streams.max(1),
        Version::H1 => 1,
    };
    let connections = match (run.setup.options.connection, run.load.pace) {
        (Connections::KeepAlive { connections }, _) => share(connections),
        (Connections::PerRequest, Pace::Closed { in_flight }) => share(in_flight),
        (Connections::PerRequest, Pace::Open { .. }) => share(MAX_PER_REQUEST),
    };
    let streams = match run.setup.options.connection {
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
    run: &'r Run<'r, 'a>,
    tally: RefCell<Tally<'r, 'a>>,
    /// Moments of requests that wait for a stream, and a permit for each.
    queue: RefCell<VecDeque<Nanos>>,
    waiting: Semaphore,
    /// Whether all streams have ended.
    quiet: Cell<bool>,
}

impl<'r, 'a> Desk<'r, 'a> {
    fn new(run: &'r Run<'r, 'a>, seat: Seat) -> Self {
        Self {
            run,
            tally: RefCell::new(Tally::new(run, seat)),
            queue: RefCell::default(),
            waiting: Semaphore::new(0),
            quiet: Cell::new(false),
        }
    }

    /// Watches over the run: its end, its counters, its own cost.
    async fn keep(&self) {
        while !self.quiet.get() {
            let wait = {
                let mut tally = self.tally.borrow_mut();
                let now = tally.window.now();
                tally.turn(now);
                // The beginning and the end of the recording are met to the millisecond.
                let marks = [tally.window.from(), tally.window.until()];
                let next = marks.into_iter().filter(|mark| *mark > now).min();
                next.map_or(TICK, |next| TICK.min(Duration::from_nanos(next - now)))
            };
            sleep(wait).await;
        }
    }

    /// Hands out the moments of an open loop as they come. When it ends, the streams end.
    async fn pace(&self) -> Result<(), GenerateError> {
        let paced = self.hand_out().await;
        self.waiting.close();
        paced
    }

    async fn hand_out(&self) -> Result<(), GenerateError> {
        if self.tally.borrow().schedule.is_none() {
            return Ok(());
        }
        let mut alarm = Alarm::new()?;
        // It is read like a pipe: eight bytes once it has fired.
        let end = alarm.as_fd().try_clone_to_owned();
        let end = end.and_then(Receiver::from_owned_fd_unchecked);
        let fired = end.map_err(GenerateError::Wait)?;
        while let Some((next, now)) = self.take_due() {
            if next <= now {
                tokio::task::yield_now().await;
                continue;
            }
            alarm.fire_by(next, now)?;
            fired.readable().await.map_err(GenerateError::Wait)?;
            let _ = fired.try_read(&mut [0; 8]);
        }
        Ok(())
    }

    /// Takes the moments that have come: when to look again, and the time. `None` at the end of the run.
    fn take_due(&self) -> Option<(Nanos, Nanos)> {
        let (mut tally, mut queue) = (self.tally.borrow_mut(), self.queue.borrow_mut());
        let Tally {
            window, schedule, ..
        } = &mut *tally;
        let schedule = schedule.as_mut()?;
        let now = window.now();
        schedule.follow(self.run.live, now);
        let before = queue.len();
        while queue.len() < MAX_QUEUE {
            match schedule.due(now, window) {
                Some(moment) => queue.push_back(moment),
                None => break,
            }
        }
        self.waiting.add_permits(queue.len() - before);
        // Not before: what was due before the end is asked for, late as it may be.
        if !window.is_open(now) {
            return None;
        }
        let tick = now + nanos(TICK);
        let next = schedule.next().map_or(tick, |next| next.min(tick));
        Some((next, window.now()))
    }

    /// When the next request of a stream is due; `None` when there is none any more.
    async fn next_due(&self) -> Option<Nanos> {
        {
            let tally = self.tally.borrow();
            if tally.schedule.is_none() {
                let now = tally.window.now();
                return tally.window.is_open(now).then_some(now);
            }
        }
        if let Ok(permit) = self.waiting.acquire().await {
            permit.forget();
        }
        self.queue.borrow_mut().pop_front()
    }

    /// One request after the other.
    async fn lane(&self, spoken: &Spoken, link: &Link) {
        let per_request = self.run.setup.options.connection == Connections::PerRequest;
        while let Some(due) = self.next_due().await {
            let ask = {
                let mut tally = self.tally.borrow_mut();
                tally.sent(due);
                link.bound().unwrap_or_else(|| tally.next_ask())
            };
            let outcome = self.ask(spoken, link, ask, due).await;
            {
                let mut tally = self.tally.borrow_mut();
                let now = tally.window.now();
                tally.settled(ask, due, outcome, now);
            }
            match outcome {
                Err(ErrorKind::Connect | ErrorKind::Send) => sleep(REST).await,
                _ if per_request => link.close(),
                _ => {}
            }
        }
    }

    /// One request and what becomes of it in time.
    async fn ask(
        &self,
        spoken: &Spoken,
        link: &Link,
        ask: usize,
        due: Nanos,
    ) -> Result<Outcome, ErrorKind> {
        let (until, late) = {
            let window = &self.tally.borrow().window;
            let until = due.saturating_add(window.timeout());
            (window.instant(until), window.now() >= until)
        };
        if late {
            return Err(ErrorKind::Timeout);
        }
        let before = link.answers();
        let answer = timeout_at(until.into(), link.ask(self.run.setup, spoken, ask)).await;
        answer.unwrap_or_else(|_| {
            // A connection that brought nothing at all meanwhile is not waited on by others.
            if link.answers() == before {
                link.close();
            }
            Err(ErrorKind::Timeout)
        })
    }
}
