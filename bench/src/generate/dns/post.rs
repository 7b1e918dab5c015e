//! The post of a thread that asks over UDP: buffers that are made once, and the calls that move many
//! datagrams at a time. Questions of one length leave as one large datagram that the kernel takes apart
//! (UDP_SEGMENT, udp(7)), which spares most of its way through the kernel. It neither waits nor records
//! more than what could not be sent.

use super::flight::{Asked, Flight};
use super::query::{LONGEST, Question, Questions, Walk};
use super::tally::Tally;
use super::{PAYLOAD, Plan};
use crate::generate::pace::Nanos;
use crate::generate::threads::Seat;
use crate::record::ErrorKind;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, recvmmsg, sendmmsg};
use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Datagrams at a time. The kernel takes no more than 64 apart (UDP_MAX_SEGMENTS, before Linux 6.10).
pub const BATCH: usize = 64;

/// Buffers and calls.
pub struct Post<'a> {
    questions: &'a Questions,
    walk: Walk,
    outgoing: Outgoing,
    sending: MultiHeaders<()>,
    /// One header, with room to say how long the pieces are.
    segmenting: MultiHeaders<()>,
    /// Whether the kernel takes large datagrams apart; not every system and device does.
    segments: bool,
    /// [`BATCH`] times `size`.
    incoming: Box<[u8]>,
    size: usize,
    /// Octets of each datagram that came, and whether there was more of it.
    came: [(usize, bool); BATCH],
    receiving: MultiHeaders<()>,
}

/// Questions to be sent.
struct Outgoing {
    /// [`BATCH`] times [`LONGEST`].
    buffer: Box<[u8]>,
    lens: [u16; BATCH],
    filled: usize,
    /// The buffers in the order of sending: by length, where that matters.
    order: [u8; BATCH],
}

impl Outgoing {
    fn new() -> Self {
        Self {
            buffer: vec![0; BATCH * LONGEST].into_boxed_slice(),
            lens: [0; BATCH],
            filled: 0,
            order: std::array::from_fn(|i| i as u8),
        }
    }

    #[inline]
    fn push(&mut self, question: Question, id: u16, questions: &Questions) {
        let out = &mut self.buffer[self.filled * LONGEST..][..LONGEST];
        self.lens[self.filled] = questions.write(question, id, out) as u16;
        self.order[self.filled] = self.filled as u8;
        self.filled += 1;
    }

    /// Those of one length one after the other.
    fn sort(&mut self) {
        let lens = &self.lens;
        if lens[..self.filled]
            .windows(2)
            .any(|pair| pair[0] != pair[1])
        {
            self.order[..self.filled].sort_unstable_by_key(|i| lens[usize::from(*i)]);
        }
    }

    /// The length of the question at a place of the order; 0 behind the last one.
    fn len(&self, place: usize) -> u16 {
        match place < self.filled {
            true => self.lens[usize::from(self.order[place])],
            false => 0,
        }
    }

    /// Where the run of equal lengths ends that begins at a place.
    fn run(&self, from: usize) -> usize {
        let mut to = from + 1;
        while self.len(to) == self.len(from) {
            to += 1;
        }
        to
    }

    fn id(&self, place: usize) -> u16 {
        let start = usize::from(self.order[place]) * LONGEST;
        u16::from_be_bytes([self.buffer[start], self.buffer[start + 1]])
    }

    /// The buffers, in order.
    fn slices(&self) -> [IoSlice<'_>; BATCH] {
        self.order.map(|i| {
            let i = usize::from(i);
            IoSlice::new(&self.buffer[i * LONGEST..][..usize::from(self.lens[i])])
        })
    }
}

impl<'a> Post<'a> {
    /// For answers as long as the server is told that they may be.
    pub fn new(plan: &Plan<'a>, seat: Seat) -> Self {
        let size = usize::from(plan.options.edns.unwrap_or(PAYLOAD)).max(512);
        Self {
            questions: plan.questions,
            walk: Walk::new(plan.questions, seat),
            outgoing: Outgoing::new(),
            sending: MultiHeaders::preallocate(BATCH, None),
            segmenting: MultiHeaders::preallocate(1, Some(nix::cmsg_space!(u16))),
            segments: true,
            incoming: vec![0; BATCH * size].into_boxed_slice(),
            size,
            came: [(0, false); BATCH],
            receiving: MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// Whether no more can be laid in before it is sent.
    pub fn is_full(&self) -> bool {
        self.outgoing.filled == BATCH
    }

    /// Takes questions for these moments up, at most [`BATCH`], and lays them in the outgoing buffers.
    #[inline]
    pub fn lay(
        &mut self,
        flight: &mut Flight,
        tally: &mut Tally<'_>,
        moments: impl Iterator<Item = Nanos>,
        now: Nanos,
    ) {
        for intended in moments {
            let asked = Asked {
                question: self.walk.step(),
                intended,
                sent: now,
            };
            let Some(id) = flight.depart(asked) else {
                return;
            };
            self.outgoing.push(asked.question, id, self.questions);
            tally.sent(&asked);
        }
    }

    /// Sends what was laid in; what the system refuses has failed. Whether it took all of it.
    pub fn send(
        &mut self,
        socket: &UdpSocket,
        flight: &mut Flight,
        tally: &mut Tally<'_>,
        now: Nanos,
    ) -> bool {
        if self.segments {
            self.outgoing.sort();
        }
        let filled = self.outgoing.filled;
        let mut done = 0;
        let mut refused = 0;
        while done < filled && refused < BATCH {
            let sent = match self.outgoing.run(done) {
                run if self.segments && run > done + 1 => self.send_segments(socket, done, run),
                _ => self.send_single(socket, done),
            };
            match sent {
                Ok(sent) => done += sent,
                // What an earlier question met is told once, and then it is over: nobody was listening.
                Err(Errno::ECONNREFUSED | Errno::EINTR) => refused += 1,
                Err(Errno::EINVAL | Errno::EIO | Errno::EOPNOTSUPP | Errno::EMSGSIZE)
                    if self.segments =>
                {
                    self.segments = false;
                }
                Err(_) => break,
            }
        }
        for place in done..filled {
            if let Some(asked) = flight.land(self.outgoing.id(place)) {
                tally.ended(&asked, now, Err(ErrorKind::Send));
            }
        }
        self.outgoing.filled = 0;
        done == filled
    }

    /// Those from here on that leave alone, each in a datagram of its own; how many left.
    fn send_single(&mut self, socket: &UdpSocket, from: usize) -> nix::Result<usize> {
        let mut to = from + 1;
        while to < self.outgoing.filled && !(self.segments && self.outgoing.run(to) > to + 1) {
            to += 1;
        }
        let slices: [[IoSlice<'_>; 1]; BATCH] = self.outgoing.slices().map(|slice| [slice]);
        let nobody: [Option<()>; BATCH] = [None; BATCH];
        let nothing: [ControlMessage<'_>; 0] = [];
        let flags = MsgFlags::MSG_DONTWAIT;
        let slices = slices[from..to].iter();
        let socket = socket.as_raw_fd();
        Ok(sendmmsg(socket, &mut self.sending, slices, nobody, nothing, flags)?.count())
    }

    /// These, of one length, as one; how many left: all, or an error.
    fn send_segments(&mut self, socket: &UdpSocket, from: usize, to: usize) -> nix::Result<usize> {
        let len = self.outgoing.len(from);
        let slices = self.outgoing.slices();
        let one = [&slices[from..to]];
        let how = [ControlMessage::UdpGsoSegments(&len)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let socket = socket.as_raw_fd();
        let sent = sendmmsg(socket, &mut self.segmenting, one.iter(), [None], how, flags)?;
        Ok(sent.count() * (to - from))
    }

    /// Reads up to [`BATCH`] datagrams; how many came.
    pub fn receive(&mut self, socket: &UdpSocket) -> usize {
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
    pub fn received(&self, i: usize) -> (&[u8], bool) {
        let (len, cut) = self.came[i];
        (&self.incoming[i * self.size..][..len], cut)
    }
}
