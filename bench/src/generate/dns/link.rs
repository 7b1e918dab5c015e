//! One TCP connection to the server, plain or with TLS: questions go out framed by their length and without waiting for the
//! answers before them (RFC 7766 §6.2.1.1, §8). It is made when the first question is put in, made anew
//! when it ends, and never blocks. It records nothing.

use super::flight::{Asked, Flight};
use super::query::{LONGEST, Questions};
use super::wire::Wire;
use crate::generate::pace::Nanos;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ClientConfig;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

/// Octets read at first; a longer answer makes more room, up to the longest there can be.
const INPUT: usize = 4096;
/// After a connection could not be made, nanoseconds until it is tried again.
const PAUSE: Nanos = 10_000_000;

/// A connection, now or later.
pub struct Link {
    stream: Option<Wire>,
    /// How it is secured.
    tls: Option<Arc<ClientConfig>>,
    connected: bool,
    flight: Flight,
    /// Questions in flight at most.
    room: usize,
    /// Questions a connection carries.
    limit: Option<NonZeroU32>,
    /// Questions that this connection may still carry.
    left: u32,
    /// Frames to be written, from `written` on.
    out: Vec<u8>,
    written: usize,
    input: Vec<u8>,
    filled: usize,
    /// No connection is tried before.
    not_before: Nanos,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was never there.
    NotConnected,
    /// It broke, or the server closed it.
    Broken,
}

impl Link {
    /// For `room` questions in flight.
    pub fn new(room: usize, limit: Option<NonZeroU32>, tls: Option<Arc<ClientConfig>>) -> Self {
        Self {
            stream: None,
            tls,
            connected: false,
            flight: Flight::new(room),
            room,
            limit,
            left: limit.map_or(u32::MAX, NonZeroU32::get),
            out: Vec::new(),
            written: 0,
            input: vec![0; INPUT],
            filled: 0,
            not_before: 0,
        }
    }

    /// How many questions it takes now.
    pub fn free(&self, now: Nanos) -> usize {
        if now < self.not_before {
            return 0;
        }
        let room = self.room.saturating_sub(self.flight.count());
        room.min(self.left as usize)
    }

    /// Whether it waits for no answer.
    pub fn is_idle(&self) -> bool {
        self.flight.count() == 0
    }

    /// Takes a question up, to be sent by [`Link::send`]; for no more than [`Link::free`].
    pub fn put(&mut self, asked: Asked, questions: &Questions) -> bool {
        let Some(id) = self.flight.depart(asked) else {
            return false;
        };
        let start = self.out.len();
        self.out.resize(start + 2 + LONGEST, 0);
        let len = questions.write(asked.question, id, &mut self.out[start + 2..]);
        self.out[start..start + 2].copy_from_slice(&(len as u16).to_be_bytes());
        self.out.truncate(start + 2 + len);
        if self.limit.is_some() {
            self.left = self.left.saturating_sub(1);
        }
        true
    }

    /// Sends what was put in, as far as it goes; connects first where there is no connection.
    ///
    /// # Errors
    /// When the system has no socket left.
    pub fn send(
        &mut self,
        server: SocketAddr,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Result<(), End>> {
        if self.stream.is_none() {
            match connecting(server, registry, token, self.tls.as_ref()) {
                Ok(stream) => self.stream = Some(stream),
                Err(error) if is_exhaustion(&error) => return Err(error),
                Err(_) => return Ok(Err(End::NotConnected)),
            }
        }
        Ok(if self.connected { self.flush() } else { Ok(()) })
    }

    /// What is to be done when the system says that something happened: a connection is finished, what
    /// waits is written, and each answer is told to `answered`, with its question where it has one.
    /// `closed` is whether the server will send no more.
    pub fn happened(
        &mut self,
        closed: bool,
        answered: impl FnMut(Asked, &[u8]),
    ) -> Result<(), End> {
        let Some(stream) = &self.stream else {
            return Ok(());
        };
        if !self.connected {
            if matches!(stream.tcp().take_error(), Ok(Some(_)) | Err(_)) {
                return Err(End::NotConnected);
            }
            if stream.tcp().peer_addr().is_err() {
                return Ok(());
            }
            self.connected = true;
        }
        self.flush()?;
        self.read(closed, answered)
    }

    /// Ends the connection. Every question in flight is told to `lost`.
    pub fn end(&mut self, end: End, now: Nanos, mut lost: impl FnMut(Asked)) {
        if end == End::NotConnected {
            self.not_before = now + PAUSE;
        }
        while let Some(asked) = self.flight.overdue(Nanos::MAX) {
            lost(asked);
        }
        self.close();
    }

    /// Takes out a question that was sent at `latest` or before.
    pub fn overdue(&mut self, latest: Nanos) -> Option<Asked> {
        let asked = self.flight.overdue(latest)?;
        self.close_if_used_up();
        Some(asked)
    }

    /// Whether the server takes no more: then nothing that is put in would ever leave.
    pub fn is_stuck(&self) -> bool {
        self.stream.is_some() && !(self.connected && self.out.is_empty())
    }

    fn close(&mut self) {
        self.stream = None;
        self.connected = false;
        self.left = self.limit.map_or(u32::MAX, NonZeroU32::get);
        self.out.clear();
        self.written = 0;
        self.filled = 0;
    }

    fn close_if_used_up(&mut self) {
        if self.left == 0 && self.flight.count() == 0 {
            self.close();
        }
    }

    fn flush(&mut self) -> Result<(), End> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        // What TLS holds may be older than what is in `out`.
        stream.push().map_err(|_| End::Broken)?;
        while self.written < self.out.len() {
            match stream.write(&self.out[self.written..]) {
                Ok(0) => return Err(End::Broken),
                Ok(n) => self.written += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Broken),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    fn read(&mut self, closed: bool, mut answered: impl FnMut(Asked, &[u8])) -> Result<(), End> {
        loop {
            let Some(stream) = &mut self.stream else {
                return Ok(());
            };
            let room = self.input.len() - self.filled;
            let is_secured = stream.is_secured();
            match stream.read(&mut self.input[self.filled..]) {
                Ok(0) => return Err(End::Broken),
                Ok(n) => {
                    self.filled += n;
                    self.take_frames(&mut answered);
                    self.close_if_used_up();
                    // Less than there was room for: there was no more (epoll(7), question 9), but
                    // perhaps the end, which is not told twice.
                    if n < room && !closed && !is_secured {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(End::Broken),
            }
        }
    }

    /// Every whole frame; then room for the one that is not whole.
    fn take_frames(&mut self, answered: &mut impl FnMut(Asked, &[u8])) {
        let mut at = 0;
        let mut wanted = 2;
        while let Some(head) = self.input[at..self.filled].first_chunk::<2>() {
            wanted = 2 + usize::from(u16::from_be_bytes(*head));
            let Some(message) = self.input[..self.filled].get(at + 2..at + wanted) else {
                break;
            };
            if let Some(id) = message.first_chunk::<2>()
                && let Some(asked) = self.flight.land(u16::from_be_bytes(*id))
            {
                answered(asked, message);
            }
            at += wanted;
            wanted = 2;
        }
        self.input.copy_within(at..self.filled, 0);
        self.filled -= at;
        if wanted > self.input.len() {
            self.input.resize(wanted, 0);
        }
    }
}

fn connecting(
    server: SocketAddr,
    registry: &Registry,
    token: Token,
    tls: Option<&Arc<ClientConfig>>,
) -> io::Result<Wire> {
    let mut stream = TcpStream::connect(server)?;
    // Only a matter of speed; the connection works without.
    let _ = stream.set_nodelay(true);
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    Wire::new(stream, server, tls)
}

/// No file descriptor left, for this process or for all.
fn is_exhaustion(error: &io::Error) -> bool {
    use nix::errno::Errno;
    let code = error.raw_os_error().map(Errno::from_raw);
    matches!(code, Some(Errno::EMFILE | Errno::ENFILE))
}
