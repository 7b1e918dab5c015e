//! One connection to an origin: moves bytes between a socket, its TLS where there is any, and the
//! exchange. It reads nothing while answers wait to be sent, so that what it holds stays bounded.

use super::exchange::{Exchange, Next, Side};
use mio::net::TcpStream;
use rustls::ServerConnection;
use socket2::SockRef;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

/// What `/bytes` is made of.
static ZEROS: [u8; 256 * 1024] = [0; 256 * 1024];
/// How many blocks one write may take at a time.
const BLOCKS: usize = 4;
/// Reads and writes of one connection before the others have their turn.
const TURN: u32 = 16;
/// How much is still read behind the end of a connection, so that its last answer is not lost to a
/// reset (RFC 9112 §9.6).
const MAX_DRAINED: usize = 1 << 20;

/// Whether a connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It does, and is waited for.
    Yes,
    /// It does, and has more to do at once when the others had their turn.
    Again,
    /// It is over: to be closed.
    Over,
    /// To be reset.
    Reset,
}

/// What an event said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ready {
    pub(super) readable: bool,
    /// The peer sends no more.
    pub(super) closed: bool,
}

pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// Which origin it is to.
    pub(super) origin: usize,
    pub(super) exchange: Exchange,
    tls: Option<Box<ServerConnection>>,
    /// There may be something to read; an event is told once only.
    readable: bool,
    closed: bool,
    /// The peer has said, within TLS, that it sends no more.
    ended: bool,
    /// Nothing but the peer's end is waited for.
    drained: Option<usize>,
    /// Reads and writes left of this turn.
    turn: u32,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, origin: usize, tls: Option<ServerConnection>) -> Self {
        Self {
            stream,
            origin,
            exchange: Exchange::default(),
            tls: tls.map(Box::new),
            readable: false,
            closed: false,
            ended: false,
            drained: None,
            turn: 0,
        }
    }

    /// Goes on as far as the socket allows. `scratch` is read into.
    pub(super) fn drive(&mut self, ready: Ready, scratch: &mut [u8], side: &Side) -> Kept {
        self.readable |= ready.readable;
        self.closed |= ready.closed;
        self.turn = TURN;
        match self.advance(scratch, side) {
            Ok(kept) => kept,
            Err(problem) if problem.kind() == ErrorKind::WouldBlock => Kept::Yes,
            Err(_) => Kept::Over,
        }
    }

    /// Makes the close a reset.
    pub(super) fn reset(&self) {
        // Where that fails the peer is told politely instead; there is nothing better to do.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Alternates between sending and reading until the socket has had enough ([`ErrorKind::WouldBlock`]).
    fn advance(&mut self, scratch: &mut [u8], side: &Side) -> io::Result<Kept> {
        loop {
            if !self.send()? || self.turn == 0 {
                return Ok(Kept::Again);
            }
            if self.drained.is_some() {
                return self.drain(scratch);
            }
            let next = match self.exchange.resume(side) {
                Next::More if self.exchange.has_output() => continue,
                Next::More if self.readable || self.closed => match self.read(scratch, side)? {
                    Some(next) => next,
                    None => return Ok(Kept::Over),
                },
                next => next,
            };
            match next {
                Next::Reset => return Ok(Kept::Reset),
                Next::End if !self.exchange.has_output() => self.end()?,
                Next::More if !self.exchange.has_output() && !self.readable => {
                    // TLS may have something of its own to say.
                    return Ok(if self.send()? { Kept::Yes } else { Kept::Again });
                }
                Next::More | Next::End => {}
            }
        }
    }

    /// Reads once and has it understood; `None` at the peer's end.
    fn read(&mut self, scratch: &mut [u8], side: &Side) -> io::Result<Option<Next>> {
        if self.ended {
            return Ok(None);
        }
        let (scratch, plain) = match self.tls {
            Some(_) => scratch.split_at_mut(scratch.len() / 2),
            None => (scratch, &mut [][..]),
        };
        let read = match self.read_some(scratch)? {
            0 => return Ok(None),
            read => read,
        };
        let Some(tls) = &mut self.tls else {
            return Ok(Some(self.exchange.take(&scratch[..read], side)));
        };
        let mut next = Next::More;
        let mut records = &scratch[..read];
        while !records.is_empty() && !self.ended {
            tls.read_tls(&mut records)?;
            if let Err(problem) = tls.process_new_packets() {
                // The alert says why; whether it arrives is the peer's concern.
                let _ = tls.write_tls(&mut self.stream);
                return Err(io::Error::new(ErrorKind::InvalidData, problem));
            }
            loop {
                match tls.reader().read(plain) {
                    Ok(0) => {
                        // What was asked before is still answered.
                        self.ended = true;
                        self.readable = true;
                        break;
                    }
                    Ok(read) => next = self.exchange.take(&plain[..read], side),
                    Err(problem) if problem.kind() == ErrorKind::WouldBlock => break,
                    Err(problem) => return Err(problem),
                }
            }
        }
        Ok(Some(next))
    }

    fn read_some(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        self.turn = self.turn.saturating_sub(1);
        loop {
            match self.stream.read(scratch) {
                Ok(read) => {
                    // A short read emptied the socket (epoll(7)); unless its end is there, to be read next.
                    self.readable = read == scratch.len() || self.closed;
                    return Ok(read);
                }
                Err(problem) if problem.kind() == ErrorKind::Interrupted => {}
                Err(problem) => {
                    self.readable = false;
                    self.closed = false;
                    return Err(problem);
                }
            }
        }
    }

    /// Sends what waits: all of it, or until the socket is full. `false` when the turn ended before.
    fn send(&mut self) -> io::Result<bool> {
        if self.tls.is_some() {
            return self.send_tls();
        }
        while self.exchange.has_output() {
            if self.turn == 0 {
                return Ok(false);
            }
            self.turn -= 1;
            let unsent = self.exchange.out.get(self.exchange.sent..);
            let unsent = unsent.unwrap_or_default();
            let wrote = if self.exchange.content == 0 {
                self.stream.write(unsent)
            } else {
                let mut left = self.exchange.content;
                let mut slices = [IoSlice::new(unsent); BLOCKS + 1];
                for slice in &mut slices[1..] {
                    let block = left.min(ZEROS.len() as u64);
                    *slice = IoSlice::new(&ZEROS[..block as usize]);
                    left -= block;
                }
                self.stream.write_vectored(&slices)
            };
            match wrote {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(wrote) => self.sent(wrote),
                Err(problem) if problem.kind() == ErrorKind::Interrupted => {}
                Err(problem) => return Err(problem),
            }
        }
        Ok(true)
    }

    fn send_tls(&mut self) -> io::Result<bool> {
        loop {
            let Some(tls) = &mut self.tls else {
                return Ok(true);
            };
            while tls.wants_write() {
                match tls.write_tls(&mut self.stream) {
                    Ok(_) => {}
                    Err(problem) if problem.kind() == ErrorKind::Interrupted => {}
                    Err(problem) => return Err(problem),
                }
            }
            if !self.exchange.has_output() {
                return Ok(true);
            }
            if self.turn == 0 {
                return Ok(false);
            }
            self.turn -= 1;
            let unsent = self.exchange.out.get(self.exchange.sent..);
            let mut wrote = tls.writer().write(unsent.unwrap_or_default())?;
            if wrote == unsent.map_or(0, <[u8]>::len) && self.exchange.content > 0 {
                let block = self.exchange.content.min(ZEROS.len() as u64);
                wrote += tls.writer().write(&ZEROS[..block as usize])?;
            }
            if wrote == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            self.sent(wrote);
        }
    }

    /// Counts `bytes` as sent: of the answers first, then of the content behind them.
    fn sent(&mut self, bytes: usize) {
        let exchange = &mut self.exchange;
        let head = bytes.min(exchange.out.len() - exchange.sent);
        exchange.sent += head;
        exchange.content -= (bytes - head) as u64;
        if exchange.sent == exchange.out.len() {
            exchange.out.clear();
            exchange.sent = 0;
        }
    }

    /// Says that nothing more comes, and waits for the peer to say the same.
    fn end(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        if self.send()? {
            self.stream.shutdown(Shutdown::Write)?;
            self.drained = Some(0);
        }
        Ok(())
    }

    fn drain(&mut self, scratch: &mut [u8]) -> io::Result<Kept> {
        while self.readable || self.closed {
            if self.turn == 0 {
                return Ok(Kept::Again);
            }
            let read = self.read_some(scratch)?;
            let so_far = self.drained.unwrap_or(0) + read;
            if read == 0 || so_far > MAX_DRAINED {
                return Ok(Kept::Over);
            }
            self.drained = Some(so_far);
        }
        Ok(Kept::Yes)
    }
}
