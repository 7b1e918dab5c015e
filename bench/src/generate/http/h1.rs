//! The HTTP/1.1 engine: one thread, one event loop, many connections with one request at a time on each.
//! A request costs one read and one write, and no allocation. It reads no configuration and makes no
//! request: those are made before.

use super::alarm::Alarm;
use super::connection::{Connection, Flight, Received};
use super::request::{Requests, write_proxy_header};
use super::tally::Tally;
use super::{Connections, Run};
use crate::generate::GenerateError;
use crate::generate::pace::{Nanos, Schedule};
use crate::generate::threads::{Seat, Share};
use crate::load::Pace;
use crate::record::{ErrorKind, Outcome};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// What one read takes: large bodies come in few reads.
const BUFFER: usize = 256 * 1024;
/// How often answers that don't come are looked for, nanoseconds.
const TICK: Nanos = 20_000_000;
/// How long a place rests after its connection was refused, nanoseconds: a server that is down is asked
/// again, not stormed.
const REST: Nanos = 10_000_000;
/// The most requests of a thread that wait for a connection; more stay on the schedule.
const MAX_QUEUE: usize = 1_000_000;
/// The most connections at a time, all threads together, of an open loop with a connection a request.
const MAX_PER_REQUEST: usize = 2048;
/// The most connections of a thread.
const MAX_CONNECTIONS: usize = 1_000_000;
/// The token of the timer.
const TIMER: Token = Token(usize::MAX - 1);

/// The work of one thread.
///
/// # Errors
/// When the system gives it no event queue or no timer.
pub(super) fn work<'a>(
    run: &Run<'_, 'a>,
    requests: &Requests,
    seat: Seat,
) -> Result<Share<'a>, GenerateError> {
    let mut engine = Engine::new(run, requests, seat)?;
    engine.run_to_end()?;
    Ok(engine.tally.share())
}

struct Engine<'r, 'a> {
    run: &'r Run<'r, 'a>,
    requests: &'r Requests,
    poll: Poll,
    alarm: Alarm,
    tally: Tally<'r, 'a>,
    connections: Vec<Connection>,
    /// How many of them are used before any is opened on top.
    base: usize,
    /// Places without a connection: of the first `base`, and on top.
    free: Vec<usize>,
    free_more: Vec<usize>,
    /// Connections that wait for a request, the longest waiting first; those that the server has closed
    /// meanwhile are passed over.
    idle: VecDeque<usize>,
    /// Places after a refused connection, with the end of their rest.
    resting: VecDeque<(Nanos, usize)>,
    /// Moments of requests that wait for a connection.
    queue: VecDeque<Nanos>,
    /// Requests in flight, and how many there may be.
    in_flight: usize,
    may_fly: usize,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
}

impl<'r, 'a> Engine<'r, 'a> {
    fn new(
        run: &'r Run<'r, 'a>,
        requests: &'r Requests,
        seat: Seat,
    ) -> Result<Self, GenerateError> {
        let poll = Poll::new().map_err(GenerateError::Wait)?;
        let alarm = Alarm::new()?;
        let fd = alarm.as_fd().as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&fd), TIMER, Interest::READABLE)
            .map_err(GenerateError::Wait)?;
        let (base, all, may_fly) = places(run, seat);
        let mut connections = Vec::with_capacity(all);
        connections.resize_with(all, Connection::default);
        Ok(Self {
            run,
            requests,
            poll,
            alarm,
            tally: Tally::new(run, seat),
            connections,
            base,
            free: (0..base).rev().collect(),
            free_more: (base..all).rev().collect(),
            idle: VecDeque::with_capacity(all),
            resting: VecDeque::new(),
            queue: VecDeque::new(),
            in_flight: 0,
            may_fly,
            buffer: vec![0; BUFFER],
            scratch: Vec::with_capacity(1024),
        })
    }

    fn run_to_end(&mut self) -> Result<(), GenerateError> {
        let mut events = Events::with_capacity(1024);
        let mut swept = 0;
        loop {
            let now = self.tally.window.now();
            self.tally.turn(now);
            self.take_due(now);
            self.fill(now);
            if now.saturating_sub(swept) >= TICK {
                swept = now;
                self.sweep(now);
            }
            if !self.tally.window.is_open(now) && self.in_flight == 0 && self.queue.is_empty() {
                break;
            }
            let wait = self.wait(now)?;
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                    return Err(GenerateError::Wait(error));
                }
                _ => {}
            }
            for event in &events {
                if event.token() != TIMER {
                    let ended = event.is_read_closed() || event.is_error();
                    let readable = event.is_readable() || ended;
                    self.happened(event.token().0, event.is_writable(), readable, ended);
                }
            }
        }
        Ok(())
    }

    /// How long to wait for events at most; `None` when the timer ends the wait. A wait without an end of
    /// its own costs the kernel no timer, and the timer counts in nanoseconds, where a poll counts in
    /// milliseconds.
    fn wait(&mut self, now: Nanos) -> Result<Option<Duration>, GenerateError> {
        let due = self.tally.schedule.as_ref().and_then(Schedule::next);
        let Some(due) = due.filter(|_| self.tally.window.is_open(now)) else {
            self.alarm.fire_by(now + TICK, now)?;
            return Ok(None);
        };
        // The clock has gone on while the last ones were sent.
        let now = self.tally.window.now();
        if due <= now {
            return Ok(Some(Duration::ZERO));
        }
        self.alarm.fire_by(due.min(now + TICK), now)?;
        Ok(None)
    }

    /// Takes the moments that have come from the schedule.
    fn take_due(&mut self, now: Nanos) {
        let Some(schedule) = &mut self.tally.schedule else {
            return;
        };
        schedule.follow(self.run.live, now);
        while self.queue.len() < MAX_QUEUE {
            match schedule.due(now, &self.tally.window) {
                Some(moment) => self.queue.push_back(moment),
                None => break,
            }
        }
    }

    /// Sends what is to be sent, as far as there are connections.
    fn fill(&mut self, now: Nanos) {
        while let Some(place) = self.resting.pop_front() {
            if place.0 > now {
                self.resting.push_front(place);
                break;
            }
            self.free_place(place.1);
        }
        if self.tally.schedule.is_some() {
            while !self.queue.is_empty() {
                let Some(at) = self.pick() else { break };
                if let Some(due) = self.queue.pop_front() {
                    self.begin(at, due);
                }
            }
        } else if self.tally.window.is_open(now) {
            while self.in_flight < self.may_fly {
                let Some(at) = self.pick() else { break };
                self.begin(at, now);
            }
        }
    }

    /// A place for the next request.
    fn pick(&mut self) -> Option<usize> {
        if let Some(at) = self.free.pop() {
            return Some(at);
        }
        while let Some(at) = self.idle.pop_front() {
            // One that the server closed meanwhile may be used anew, or not be there at all.
            let connection = &self.connections[at];
            if connection.is_open() && connection.flight.is_none() {
                return Some(at);
            }
        }
        self.free.pop().or_else(|| self.free_more.pop())
    }

    fn free_place(&mut self, at: usize) {
        if at < self.base {
            self.free.push(at);
        } else {
            self.free_more.push(at);
        }
    }

    /// A request that was meant for `due`, at this place.
    fn begin(&mut self, at: usize, due: Nanos) {
        let ask = match self.connections[at].bound {
            Some(ask) => ask,
            None => self.tally.next_ask(),
        };
        self.in_flight += 1;
        self.tally.sent(due);
        self.send(
            at,
            Flight {
                ask,
                due,
                again: false,
            },
        );
    }

    /// Sends a request at this place, over a new connection where there is none.
    #[inline]
    fn send(&mut self, at: usize, flight: Flight) {
        let fresh = !self.connections[at].is_open();
        if fresh && let Err(kind) = self.open(at, flight.ask) {
            self.connections[at].flight = Some(flight);
            return self.lost(at, kind);
        }
        self.scratch.clear();
        self.requests.write(flight.ask, &mut self.scratch);
        let connection = &mut self.connections[at];
        connection.flight = Some(flight);
        let mut sent = connection.send(&self.scratch);
        if fresh && sent.is_ok() {
            let registered = connection.register(self.poll.registry(), at);
            sent = registered.map_err(|_| ErrorKind::Send);
        }
        if let Err(kind) = sent {
            self.lost(at, kind);
        }
    }

    fn open(&mut self, at: usize, ask: usize) -> Result<(), ErrorKind> {
        let setup = self.run.setup;
        let options = setup.options;
        self.scratch.clear();
        let by_header = setup.tells_by_header();
        if by_header {
            let client = setup.asks.list[ask].client.address;
            write_proxy_header(&mut self.scratch, options.told, client, options.server);
        }
        let connection = &mut self.connections[at];
        connection.open(options.server, setup.secured(ask), &self.scratch)?;
        connection.bound = by_header.then_some(ask);
        Ok(())
    }

    /// Something happened to a connection.
    #[inline]
    fn happened(&mut self, at: usize, writable: bool, readable: bool, ended: bool) {
        let Some(connection) = self.connections.get_mut(at) else {
            return;
        };
        if writable
            && connection.has_pending()
            && !ended
            && let Err(kind) = connection.flush()
        {
            return self.lost(at, kind);
        }
        if !readable {
            return;
        }
        match self.connections[at].receive(&mut self.buffer, &self.run.setup.rules, ended) {
            Ok(Received::Nothing) => {}
            Ok(Received::Reply(reply)) => {
                let now = self.tally.window.now();
                self.settle(at, reply.outcome, now);
                self.go_on(at, reply.keep_alive, now);
            }
            Ok(Received::Closed) => self.close(at),
            Err(kind) => self.lost(at, kind),
        }
    }

    /// Counts what became of the request at this place.
    #[inline]
    fn settle(&mut self, at: usize, outcome: Result<Outcome, ErrorKind>, now: Nanos) {
        let connection = &mut self.connections[at];
        let Some(flight) = connection.flight.take() else {
            return;
        };
        connection.served += 1;
        self.in_flight -= 1;
        self.tally.settled(flight.ask, flight.due, outcome, now);
    }

    /// The next request on a connection whose answer came, if there is one; else it waits.
    #[inline]
    fn go_on(&mut self, at: usize, keep_alive: bool, now: Nanos) {
        let keep_alive = keep_alive && self.run.setup.options.connection != Connections::PerRequest;
        if !keep_alive {
            return self.close(at);
        }
        let next = match &self.tally.schedule {
            Some(_) => self.queue.pop_front(),
            // With more connections than requests in flight, they take turns.
            None => {
                (self.idle.is_empty() && self.free.is_empty() && self.tally.window.is_open(now))
                    .then_some(now)
            }
        };
        match next {
            Some(due) => self.begin(at, due),
            None => self.idle.push_back(at),
        }
    }

    /// Closes a connection that no request waits on; its place is free.
    fn close(&mut self, at: usize) {
        if self.connections[at].is_open() {
            self.connections[at].close();
            self.free_place(at);
        }
    }

    /// A connection broke or could not be made.
    #[cold]
    fn lost(&mut self, at: usize, kind: ErrorKind) {
        let connection = &mut self.connections[at];
        let (stale, flight) = (connection.was_stale(), connection.flight);
        if let (true, ErrorKind::Broken, Some(flight)) = (stale, kind, flight) {
            connection.close();
            return self.send(
                at,
                Flight {
                    again: true,
                    ..flight
                },
            );
        }
        let now = self.tally.window.now();
        self.settle(at, Err(kind), now);
        self.connections[at].close();
        if matches!(kind, ErrorKind::Connect | ErrorKind::Send) {
            self.resting.push_back((now + REST, at));
        } else {
            self.free_place(at);
        }
    }

    /// Gives up what waited too long.
    fn sweep(&mut self, now: Nanos) {
        let oldest = now.saturating_sub(self.tally.window.timeout());
        for at in 0..self.connections.len() {
            let connection = &self.connections[at];
            if connection.flight.is_some_and(|flight| flight.due < oldest) {
                let kind = connection.lateness();
                self.settle(at, Err(kind), now);
                self.connections[at].close();
                self.free_place(at);
            }
        }
        while self.queue.front().is_some_and(|due| *due < oldest) {
            if let Some(due) = self.queue.pop_front() {
                let ask = self.tally.next_ask();
                self.tally.sent(due);
                self.tally.settled(ask, due, Err(ErrorKind::Timeout), now);
            }
        }
    }
}

/// Places for connections that are used first, all places, and requests in flight at a time.
fn places(run: &Run<'_, '_>, seat: Seat) -> (usize, usize, usize) {
    let share = |n: usize| seat.share_of(n).clamp(1, MAX_CONNECTIONS);
    match (run.load.pace, run.setup.options.connection) {
        (Pace::Closed { in_flight }, Connections::PerRequest) => {
            (share(in_flight), share(in_flight), share(in_flight))
        }
        (Pace::Closed { in_flight }, Connections::KeepAlive { connections }) => {
            (share(connections), share(connections), share(in_flight))
        }
        (Pace::Open { .. }, Connections::PerRequest) => {
            (share(MAX_PER_REQUEST), share(MAX_PER_REQUEST), usize::MAX)
        }
        (Pace::Open { .. }, Connections::KeepAlive { connections }) => {
            (share(connections), 2 * share(connections), usize::MAX)
        }
    }
}
