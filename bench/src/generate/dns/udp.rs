//! The UDP engine: one loop a thread over a few connected sockets; questions and answers go through the
//! system in batches, in buffers that are made once. It waits only where there is nothing to do.

use super::flight::{Asked, Flight, IDS};
use super::query::{LONGEST, Walk};
use super::tally::Tally;
use super::{MAX_SOCKETS, PAYLOAD, Plan, judge};
use crate::generate::GenerateError;
use crate::generate::pace::{Nanos, Schedule};
use crate::generate::threads::{Seat, Share};
use crate::load::Pace;
use crate::record::ErrorKind;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, recvmmsg, sendmmsg};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Datagrams in one system call.
const BATCH: usize = 64;
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
    walk: Walk,
    /// The moments of an open loop.
    schedule: Option<Schedule>,
    lanes: Vec<Lane<'s>>,
    /// The lane whose turn it is in an open loop.
    turn: usize,
    post: Post,
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
            walk: Walk::new(plan.questions, seat),
            schedule,
            lanes: lanes.collect(),
            turn: 0,
            post: Post::new(plan.options.edns.unwrap_or(PAYLOAD)),
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
                load(
                    &self.plan,
                    &mut self.walk,
                    &mut self.post,
                    lane,
                    moments,
                    now,
                );
                if !self.post.send(lane, &mut self.tally, now) {
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
            let window = &self.tally.window;
            let moments = std::iter::from_fn(|| schedule.due(now, window)).take(n);
            load(
                &self.plan,
                &mut self.walk,
                &mut self.post,
                lane,
                moments,
                now,
            );
            let full = self.post.filled == BATCH;
            if !self.post.send(lane, &mut self.tally, now) || !full {
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

/// Takes questions for these moments up, at most [`BATCH`], and lays them in the outgoing buffers.
#[inline]
fn load(
    plan: &Plan<'_>,
    walk: &mut Walk,
    post: &mut Post,
    lane: &mut Lane<'_>,
    moments: impl Iterator<Item = Nanos>,
    now: Nanos,
) {
    for intended in moments {
        let question = walk.step();
        let asked = Asked {
            question,
            intended,
            sent: now,
        };
        let Some(id) = lane.flight.depart(asked) else {
            return;
        };
        let out = &mut post.outgoing[post.filled * LONGEST..][..LONGEST];
        post.lens[post.filled] = plan.questions.write(question, id, out);
        post.filled += 1;
    }
}

/// The buffers of a thread, and the calls that move them.
struct Post {
    /// [`BATCH`] times [`LONGEST`].
    outgoing: Box<[u8]>,
    lens: [usize; BATCH],
    filled: usize,
    sending: MultiHeaders<()>,
    /// [`BATCH`] times `size`.
    incoming: Box<[u8]>,
    size: usize,
    /// Octets of each datagram that came, and whether there was more of it.
    came: [(usize, bool); BATCH],
    receiving: MultiHeaders<()>,
}

impl Post {
    /// For answers of this size at most.
    fn new(payload: u16) -> Self {
        let size = usize::from(payload).max(512);
        Self {
            outgoing: vec![0; BATCH * LONGEST].into_boxed_slice(),
            lens: [0; BATCH],
            filled: 0,
            sending: MultiHeaders::preallocate(BATCH, None),
            incoming: vec![0; BATCH * size].into_boxed_slice(),
            size,
            came: [(0, false); BATCH],
            receiving: MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// Sends what was laid in. What the system takes for good is sent; what it refuses has failed. Whether
    /// it took all of it.
    fn send(&mut self, lane: &mut Lane<'_>, tally: &mut Tally<'_>, now: Nanos) -> bool {
        let filled = std::mem::take(&mut self.filled);
        let mut done = 0;
        let mut refused = 0;
        while done < filled && refused < BATCH {
            match self.send_from(lane.socket, done, filled) {
                Ok(sent) => {
                    for asked in (done..done + sent).filter_map(|i| lane.flight.find(self.id(i))) {
                        tally.sent(&asked);
                    }
                    done += sent;
                }
                // What an earlier question met is told once, and then it is over: nobody was listening.
                Err(Errno::ECONNREFUSED | Errno::EINTR) => refused += 1,
                Err(_) => break,
            }
        }
        for i in done..filled {
            if let Some(asked) = lane.flight.land(self.id(i)) {
                tally.sent(&asked);
                tally.ended(&asked, now, Err(ErrorKind::Send));
            }
        }
        done == filled
    }

    /// The ID of an outgoing question.
    fn id(&self, i: usize) -> u16 {
        u16::from_be_bytes([self.outgoing[i * LONGEST], self.outgoing[i * LONGEST + 1]])
    }

    fn send_from(&mut self, socket: &UdpSocket, from: usize, to: usize) -> nix::Result<usize> {
        let mut buffers = self.outgoing.chunks_exact(LONGEST).zip(&self.lens);
        let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|_| {
            let next = buffers.next().map(|(buffer, len)| &buffer[..*len]);
            [IoSlice::new(next.unwrap_or_default())]
        });
        let nobody: [Option<()>; BATCH] = [None; BATCH];
        let nothing: [ControlMessage<'_>; 0] = [];
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut self.sending,
            slices[from..to].iter(),
            nobody,
            nothing,
            MsgFlags::MSG_DONTWAIT,
        )?;
        Ok(sent.count())
    }

    /// Reads up to [`BATCH`] datagrams; how many came.
    fn receive(&mut self, socket: &UdpSocket) -> usize {
        let mut buffers = self.incoming.chunks_exact_mut(self.size);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(buffers.next().unwrap_or_default())]);
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut self.receiving,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        );
        // Nothing there, or the echo of a question that nobody listened to: it will be overdue.
        let Ok(received) = received else {
            return 0;
        };
        let mut count = 0;
        for (came, message) in self.came.iter_mut().zip(received) {
            *came = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC));
            count += 1;
        }
        count
    }

    /// One of the datagrams that came, and whether it was longer than its buffer.
    fn received(&self, i: usize) -> (&[u8], bool) {
        let (len, cut) = self.came[i];
        (&self.incoming[i * self.size..][..len], cut)
    }
}
