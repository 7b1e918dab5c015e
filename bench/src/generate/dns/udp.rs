//! The UDP engine: one loop a thread over a few connected sockets; questions and answers go through the
//! system in batches, in buffers that are made once. It waits only where there is nothing to do.

use super::flight::{Flight, IDS};
use super::post::{BATCH, Post};
use super::rest::Rest;
use super::tally::Tally;
use super::{MAX_SOCKETS, Plan, judge};
use crate::generate::GenerateError;
use crate::generate::pace::{Nanos, Schedule};
use crate::generate::threads::{Seat, Share};
use crate::load::Pace;
use crate::record::ErrorKind;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

/// Batches that an open loop that is behind sends before it reads again.
const BURST: usize = 4;
/// What the system is asked to buffer on a socket, octets; it gives what it may.
const BUFFER: usize = 4 << 20;
/// The longest sleep, so that a stop or a change of rate is seen.
const NAP: Nanos = 20_000_000;

/// The work of one thread.
pub fn work<'a>(plan: Plan<'a>, seat: Seat) -> Result<Share<'a>, GenerateError> {
    let server = plan.options.server;
    let sockets = (0..plan.options.sockets.clamp(1, MAX_SOCKETS))
        .map(|_| connected(server).map_err(|source| GenerateError::Socket { server, source }));
    let sockets: Vec<UdpSocket> = sockets.collect::<Result<_, _>>()?;
    let mut polls: Vec<PollFd<'_>> = sockets
        .iter()
        .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
        .collect();
    let mut engine = Engine::new(&plan, seat, &sockets);
    while engine.turn(&mut polls)? {}
    Ok(engine.tally.share(engine.schedule.as_ref()))
}

fn connected(server: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(server),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    // The system may give less, or refuse: then what overflows is lost, and counted.
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
    socket.set_nonblocking(true)?;
    socket.connect(&server.into())?;
    Ok(socket.into())
}

struct Engine<'a, 's> {
    plan: Plan<'a>,
    tally: Tally<'a>,
    /// The moments of an open loop.
    schedule: Option<Schedule>,
    lanes: Vec<Lane<'s>>,
    /// The lane whose turn it is in an open loop.
    turn: usize,
    post: Post<'a>,
    rest: Rest,
}

/// One socket.
struct Lane<'s> {
    socket: &'s UdpSocket,
    flight: Flight,
    /// How many are in flight at most, in a closed loop.
    room: usize,
}

impl<'a, 's> Engine<'a, 's> {
    fn new(plan: &Plan<'a>, seat: Seat, sockets: &'s [UdpSocket]) -> Self {
        let (schedule, window) = match plan.load.pace {
            Pace::Open { .. } => {
                let schedule = Schedule::new(plan.live, seat.index, seat.threads);
                (Some(schedule), IDS * sockets.len())
            }
            Pace::Closed { in_flight } => (None, seat.share_of(in_flight)),
        };
        let lanes = sockets.iter().enumerate().map(|(index, socket)| {
            let share = Seat {
                index,
                threads: sockets.len(),
            };
            let room = share.share_of(window).min(IDS);
            Lane {
                socket,
                // Far more IDs than are in flight: none is used again soon after its answer.
                flight: Flight::new((64 * room).max(4096)),
                room,
            }
        });
        Self {
            plan: *plan,
            tally: Tally::new(plan),
            schedule,
            lanes: lanes.collect(),
            turn: 0,
            post: Post::new(plan, seat),
            rest: Rest::new(match plan.load.pace {
                Pace::Open { .. } => 0,
                Pace::Closed { in_flight } => seat.share_of(in_flight),
            }),
        }
    }

    /// Sends what is due, gives up what is overdue, waits, reads. Whether there is more to do.
    fn turn(&mut self, polls: &mut [PollFd<'_>]) -> Result<bool, GenerateError> {
        let now = self.tally.window.now();
        let sending = self.tally.is_sending(now, self.schedule.as_ref());
        if sending && self.schedule.is_some() {
            self.send_due(now);
        } else if sending {
            self.refill(now);
        }
        self.give_up(now);
        let now = self.tally.window.now();
        if !sending && self.lanes.iter().all(|lane| lane.flight.count() == 0) {
            return Ok(false);
        }
        if let Some(rest) = self.rest.due(now) {
            thread::sleep(rest);
            (0..self.lanes.len()).for_each(|lane| self.receive(lane));
            return Ok(true);
        }
        self.wait(now, sending, polls)?;
        for (lane, poll) in polls.iter().enumerate() {
            // An error on the socket is told by reading, too.
            if poll.any().unwrap_or(true) {
                self.receive(lane);
            }
        }
        Ok(true)
    }

    /// Closed loop: every lane is filled up.
    fn refill(&mut self, now: Nanos) {
        for lane in &mut self.lanes {
            while lane.flight.count() < lane.room {
                let n = (lane.room - lane.flight.count()).min(BATCH);
                let moments = std::iter::repeat_n(now, n);
                self.post
                    .lay(&mut lane.flight, &mut self.tally, moments, now);
                if !self
                    .post
                    .send(lane.socket, &mut lane.flight, &mut self.tally, now)
                {
                    return;
                }
            }
        }
    }

    /// Open loop: what is due goes out, a batch a lane.
    fn send_due(&mut self, now: Nanos) {
        let Some(schedule) = &mut self.schedule else {
            return;
        };
        schedule.follow(self.plan.live, now);
        let window = self.tally.window.clone();
        for _ in 0..BURST {
            let lanes = self.lanes.len();
            let free = (0..lanes).map(|i| (self.turn + i) % lanes);
            let mut free = free.filter(|lane| !self.lanes[*lane].flight.is_full());
            let Some(lane) = free.next() else {
                self.tally.held_up(
                    "every ID of every socket waited for an answer, so questions left late; use more \
                     sockets, a shorter timeout or a lower rate",
                );
                return;
            };
            self.turn = (lane + 1) % lanes;
            let lane = &mut self.lanes[lane];
            let n = BATCH.min(IDS - lane.flight.count());
            let moments = std::iter::from_fn(|| schedule.due(now, &window)).take(n);
            self.post
                .lay(&mut lane.flight, &mut self.tally, moments, now);
            let full = self.post.is_full();
            if !self
                .post
                .send(lane.socket, &mut lane.flight, &mut self.tally, now)
                || !full
            {
                return;
            }
        }
    }

    fn give_up(&mut self, now: Nanos) {
        let Some(latest) = now.checked_sub(self.tally.window.timeout()) else {
            return;
        };
        for lane in &mut self.lanes {
            while let Some(asked) = lane.flight.overdue(latest) {
                self.tally.ended(&asked, now, Err(ErrorKind::Timeout));
            }
        }
    }

    /// Until there is something to read or to send, or a question is overdue.
    fn wait(
        &self,
        now: Nanos,
        sending: bool,
        polls: &mut [PollFd<'_>],
    ) -> Result<(), GenerateError> {
        let schedule = self.schedule.as_ref();
        let mut until = self.tally.wake(now, now + NAP, sending, schedule);
        let oldest = self.lanes.iter().filter_map(|lane| lane.flight.oldest());
        if let Some(oldest) = oldest.min() {
            until = until.min(oldest.saturating_add(self.tally.window.timeout()));
        }
        let timeout = Duration::from_nanos(until.saturating_sub(now));
        match ppoll(polls, Some(TimeSpec::from_duration(timeout)), None) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(GenerateError::Wait(error.into())),
        }
    }

    /// Reads a lane empty.
    fn receive(&mut self, lane: usize) {
        let lane = &mut self.lanes[lane];
        loop {
            let count = self.post.receive(lane.socket);
            if count == 0 {
                return;
            }
            self.rest.came(count);
            let now = self.tally.window.now();
            for i in 0..count {
                let (message, cut) = self.post.received(i);
                let Some([high, low]) = message.first_chunk() else {
                    continue;
                };
                let id = u16::from_be_bytes([*high, *low]);
                // What answers no question in flight is a late answer, a second one, or not for us.
                let Some(asked) = lane.flight.land(id) else {
                    continue;
                };
                let outcome = match (cut, self.tally.is_late(&asked, now)) {
                    (_, true) => Err(ErrorKind::Timeout),
                    (true, _) => Err(ErrorKind::Malformed),
                    _ => judge(&self.plan, &asked, message),
                };
                self.tally.ended(&asked, now, outcome);
            }
            if count < BATCH {
                return;
            }
        }
    }
}
