//! The TCP engine, plain or with TLS: one loop a thread over its connections. Questions of one turn that go to the same
//! connection leave in one write, and what came is read in one read. It waits only where there is
//! nothing to do.

use super::flight::Asked;
use super::link::{End, Link};
use super::query::Walk;
use super::tally::Tally;
use super::{Plan, judge};
use crate::generate::GenerateError;
use crate::generate::pace::{Nanos, Schedule};
use crate::generate::threads::{Seat, Share};
use crate::load::Pace;
use crate::record::ErrorKind;
use mio::{Events, Poll, Token};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use rustls::ClientConfig;
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// Questions that an open loop has in flight on one connection, at most.
const PIPELINE: usize = 1024;
/// Questions that go to one connection before the next one's turn, in an open loop that is behind.
const BATCH: usize = 16;
/// Questions that an open loop that is behind sends before it reads again.
const BURST: usize = 256;
/// Events that are taken at a time.
const EVENTS: usize = 1024;
/// How often all connections are looked through for what is overdue or to be made anew.
const SWEEP: Nanos = 5_000_000;

/// The work of one thread.
pub fn work<'a>(
    plan: Plan<'a>,
    connections: usize,
    queries: Option<NonZeroU32>,
    tls: Option<Arc<ClientConfig>>,
    seat: Seat,
) -> Result<Share<'a>, GenerateError> {
    let poll = Poll::new().map_err(GenerateError::Wait)?;
    let mut events = Events::with_capacity(EVENTS);
    let connections = seat.share_of(connections).max(1);
    let mut engine = Engine::new(plan, seat, poll, connections, queries, tls);
    while engine.turn(&mut events)? {}
    Ok(engine.tally.share(engine.schedule.as_ref()))
}

struct Engine<'a> {
    plan: Plan<'a>,
    tally: Tally<'a>,
    walk: Walk,
    /// The moments of an open loop.
    schedule: Option<Schedule>,
    poll: Poll,
    links: Vec<Link>,
    /// The connection whose turn it is in an open loop.
    turn: usize,
    /// When all connections were looked through last.
    swept: Option<Nanos>,
}

impl<'a> Engine<'a> {
    fn new(
        plan: Plan<'a>,
        seat: Seat,
        poll: Poll,
        connections: usize,
        queries: Option<NonZeroU32>,
        tls: Option<Arc<ClientConfig>>,
    ) -> Self {
        let room = |index| match plan.load.pace {
            Pace::Open { .. } => PIPELINE,
            Pace::Closed { in_flight } => {
                let link = Seat {
                    index,
                    threads: connections,
                };
                link.share_of(seat.share_of(in_flight))
            }
        };
        let open = matches!(plan.load.pace, Pace::Open { .. });
        Self {
            plan,
            tally: Tally::new(&plan),
            walk: Walk::new(plan.questions, seat),
            schedule: open.then(|| Schedule::new(plan.live, seat.index, seat.threads)),
            poll,
            links: (0..connections)
                .map(|i| Link::new(room(i), queries, tls.clone()))
                .collect(),
            turn: 0,
            swept: None,
        }
    }

    /// Sends what is due, gives up what is overdue, waits, reads. Whether there is more to do.
    fn turn(&mut self, events: &mut Events) -> Result<bool, GenerateError> {
        let now = self.tally.window.now();
        let sending = self.tally.is_sending(now, self.schedule.as_ref());
        if sending {
            self.send_due(now)?;
        }
        if self.swept.is_none_or(|swept| now - swept >= SWEEP) {
            self.swept = Some(now);
            self.sweep(now, sending)?;
        }
        if !sending && self.links.iter().all(Link::is_idle) {
            return Ok(false);
        }
        self.wait(sending, events)?;
        for event in events.iter() {
            self.happened(event.token(), event.is_read_closed(), sending)?;
        }
        Ok(true)
    }

    /// Open loop: what is due goes to the connections in turn.
    fn send_due(&mut self, now: Nanos) -> Result<(), GenerateError> {
        let Some(mut schedule) = self.schedule.take() else {
            return Ok(());
        };
        schedule.follow(self.plan.live, now);
        let mut budget = BURST;
        let mut sent = Ok(());
        while budget > 0 && sent.is_ok() && schedule.next().is_some_and(|next| next <= now) {
            let links = self.links.len();
            let mut free = (0..links).map(|i| (self.turn + i) % links);
            let Some(link) = free.find(|link| self.links[*link].free(now) > 0) else {
                self.tally.held_up(
                    "every connection was busy, so questions left late; use more connections, or a \
                     lower rate",
                );
                break;
            };
            self.turn = (link + 1) % links;
            let n = self.links[link].free(now).min(BATCH).min(budget);
            let mut put = 0;
            while put < n
                && let Some(intended) = schedule.due(now, &self.tally.window)
            {
                self.put(link, intended, now);
                put += 1;
            }
            if put == 0 {
                break;
            }
            budget -= put;
            sent = self.send(link, now);
        }
        self.schedule = Some(schedule);
        sent
    }

    fn put(&mut self, link: usize, intended: Nanos, now: Nanos) {
        let asked = Asked {
            question: self.walk.step(),
            intended,
            sent: now,
        };
        if self.links[link].put(asked, self.plan.questions) {
            self.tally.sent(&asked);
        }
    }

    fn send(&mut self, link: usize, now: Nanos) -> Result<(), GenerateError> {
        let server = self.plan.options.server;
        let sent = self.links[link].send(server, self.poll.registry(), Token(link));
        let sent = sent.map_err(|source| GenerateError::Socket { server, source })?;
        self.ended(link, now, sent);
        Ok(())
    }

    /// Closed loop: a connection is filled up.
    fn refill(&mut self, link: usize, now: Nanos) -> Result<(), GenerateError> {
        let free = self.links[link].free(now);
        if free == 0 || self.schedule.is_some() {
            return Ok(());
        }
        for _ in 0..free {
            self.put(link, now, now);
        }
        self.send(link, now)
    }

    /// Looks through all connections.
    fn sweep(&mut self, now: Nanos, sending: bool) -> Result<(), GenerateError> {
        for link in 0..self.links.len() {
            self.give_up(link, now);
            if sending {
                self.refill(link, now)?;
            }
        }
        Ok(())
    }

    fn give_up(&mut self, link: usize, now: Nanos) {
        let Some(latest) = now.checked_sub(self.tally.window.timeout()) else {
            return;
        };
        let mut overdue = false;
        while let Some(asked) = self.links[link].overdue(latest) {
            self.tally.ended(&asked, now, Err(ErrorKind::Timeout));
            overdue = true;
        }
        if overdue && self.links[link].is_stuck() {
            self.ended(link, now, Err(End::Broken));
        }
    }

    /// Something happened on a connection.
    fn happened(&mut self, token: Token, closed: bool, sending: bool) -> Result<(), GenerateError> {
        let Some(link) = self.links.get_mut(token.0) else {
            return Ok(());
        };
        let now = self.tally.window.now();
        let (tally, plan) = (&mut self.tally, &self.plan);
        let outcome = link.happened(closed, |asked, message| {
            let outcome = match tally.is_late(&asked, now) {
                true => Err(ErrorKind::Timeout),
                false => judge(plan, &asked, message),
            };
            tally.ended(&asked, now, outcome);
        });
        self.ended(token.0, now, outcome);
        if sending {
            self.refill(token.0, now)?;
        }
        Ok(())
    }

    fn ended(&mut self, link: usize, now: Nanos, outcome: Result<(), End>) {
        let Err(end) = outcome else {
            return;
        };
        let kind = match end {
            End::NotConnected => ErrorKind::Connect,
            End::Broken => ErrorKind::Broken,
        };
        let tally = &mut self.tally;
        self.links[link].end(end, now, |asked| tally.ended(&asked, now, Err(kind)));
    }

    /// Until something happens, a question is due, or it is time to look through the connections.
    fn wait(&mut self, sending: bool, events: &mut Events) -> Result<(), GenerateError> {
        let now = self.tally.window.now();
        let until = self
            .tally
            .wake(now, now + SWEEP, sending, self.schedule.as_ref());
        let mut timeout = Duration::from_nanos(until.saturating_sub(now));
        if self.schedule.is_some() {
            // epoll counts in milliseconds; a moment is met more exactly by ppoll.
            let epoll = self.poll.registry().as_fd();
            let mut ready = [PollFd::new(epoll, PollFlags::POLLIN)];
            match ppoll(&mut ready, Some(TimeSpec::from_duration(timeout)), None) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(GenerateError::Wait(error.into())),
            }
            timeout = Duration::ZERO;
        }
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                Err(GenerateError::Wait(error))
            }
            _ => Ok(()),
        }
    }
}
