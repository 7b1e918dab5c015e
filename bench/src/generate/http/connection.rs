//! One connection to the server: bytes out, responses in, plain or over TLS, never blocking. It knows
//! one request at a time and no pace.

use super::body::{Reader, Reply, Step};
use super::reply::Rules;
use crate::record::ErrorKind;
use mio::net::TcpStream;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::io::{self, BufRead, ErrorKind as Io, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

/// A request that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    /// Which question.
    pub ask: usize,
    /// When it was meant to be sent.
    pub due: u64,
    /// Whether it was sent before, on a connection that the server had just closed.
    pub again: bool,
}

/// How a connection is secured.
pub(super) struct Secured {
    pub config: Arc<rustls::ClientConfig>,
    pub name: ServerName<'static>,
}

/// What came of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Nothing that ends the request.
    Nothing,
    /// Its answer.
    Reply(Reply),
    /// The server closed a connection that was waiting for nothing.
    Closed,
}

/// A place for a connection; its buffers serve one connection after the other.
#[derive(Default)]
pub(super) struct Connection {
    pub socket: Option<TcpStream>,
    tls: Option<Box<ClientConnection>>,
    /// Bytes that the socket did not take yet.
    out: Vec<u8>,
    reader: Reader,
    /// The request in flight.
    pub flight: Option<Flight>,
    /// The question of the one client that it belongs to, where it belongs to one.
    pub bound: Option<usize>,
    /// Answers that came over it.
    pub served: u64,
    /// Whether anything was ever sent over it: it is connected then.
    connected: bool,
}

impl Connection {
    /// Opens it and sends `first` over it, after `prefix`, which is never encrypted.
    ///
    /// # Errors
    /// [`ErrorKind::Send`] when the system gives no socket or no port; [`ErrorKind::Connect`] when the
    /// connection is refused at once.
    pub fn open(
        &mut self,
        server: SocketAddr,
        secured: Option<Secured>,
        prefix: &[u8],
    ) -> Result<(), ErrorKind> {
        self.close();
        self.out.extend_from_slice(prefix);
        let socket = TcpStream::connect(server).map_err(|error| refusal(&error))?;
        self.socket = Some(socket);
        if let Some(secured) = secured {
            let tls = ClientConnection::new(secured.config, secured.name);
            self.tls = Some(Box::new(tls.map_err(|_| ErrorKind::Tls)?));
        }
        Ok(())
    }

    /// Closes it and forgets all of it but the buffers.
    pub fn close(&mut self) {
        self.socket = None;
        self.tls = None;
        self.out.clear();
        self.reader.reset();
        self.flight = None;
        self.bound = None;
        self.served = 0;
        self.connected = false;
    }

    pub fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Whether the server closed it just as a request was sent: it had served before, and not a byte of
    /// this answer came. Clients send such a request again (RFC 9112 §9.3.1).
    pub fn was_stale(&self) -> bool {
        self.served > 0 && !self.reader.begun() && self.flight.is_some_and(|flight| !flight.again)
    }

    /// Sends a request, or as much of it as goes.
    #[inline]
    pub fn send(&mut self, request: &[u8]) -> Result<(), ErrorKind> {
        if let Some(tls) = &mut self.tls {
            // Before the end of the handshake rustls holds it back; a request is far below its bound.
            tls.writer()
                .write_all(request)
                .map_err(|_| ErrorKind::Broken)?;
            return self.flush();
        }
        if !self.out.is_empty() {
            self.out.extend_from_slice(request);
            return self.flush();
        }
        let sent = self.write(request)?;
        self.out.extend_from_slice(&request[sent..]);
        Ok(())
    }

    /// Sends what is held back.
    pub fn flush(&mut self) -> Result<(), ErrorKind> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                let written = tls.write_tls(&mut self.out);
                written.map_err(|_| ErrorKind::Tls)?;
            }
        }
        if self.out.is_empty() {
            return Ok(());
        }
        let mut out = std::mem::take(&mut self.out);
        let sent = self.write(&out);
        out.drain(..sent.unwrap_or(0));
        self.out = out;
        sent.map(drop)
    }

    pub fn has_pending(&self) -> bool {
        !self.out.is_empty()
    }

    /// How much of `bytes` the socket takes.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let mut sent = 0;
        let Some(socket) = &mut self.socket else {
            return Err(ErrorKind::Broken);
        };
        while sent < bytes.len() {
            match socket.write(&bytes[sent..]) {
                Ok(0) => break,
                Ok(count) => {
                    sent += count;
                    self.connected = true;
                }
                Err(error) if error.kind() == Io::WouldBlock => break,
                Err(error) if error.kind() == Io::Interrupted => {}
                // Not connected yet, as some systems put it.
                Err(error) if error.kind() == Io::NotConnected => break,
                Err(_) => return Err(self.fault()),
            }
        }
        Ok(sent)
    }

    /// Reads what there is, up to the end of one answer. `ended` when the server is known to have closed
    /// its side. `buffer` is only a place to read into.
    #[inline]
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        rules: &Rules,
        ended: bool,
    ) -> Result<Received, ErrorKind> {
        loop {
            let Some(socket) = &mut self.socket else {
                return Ok(Received::Nothing);
            };
            let count = match socket.read(buffer) {
                Ok(0) => return self.ended(rules),
                Ok(count) => count,
                Err(error) if error.kind() == Io::WouldBlock => return Ok(Received::Nothing),
                Err(error) if error.kind() == Io::Interrupted => continue,
                // A reset after the whole of a body that the end of the connection ends is no end.
                Err(_) if self.flight.is_none() => return Ok(Received::Closed),
                Err(_) => return Err(self.fault()),
            };
            let reply = match self.tls {
                None => take(&mut self.reader, &buffer[..count], rules)?,
                Some(_) => self.decrypt(&buffer[..count], rules)?,
            };
            match reply {
                Some(_) if self.flight.is_none() => return Err(ErrorKind::Malformed),
                Some(mut reply) => {
                    reply.keep_alive &= !ended;
                    return Ok(Received::Reply(reply));
                }
                None if self.flight.is_none() && self.reader.begun() => {
                    return Ok(Received::Closed);
                }
                // Less than there was room for: nothing is left, and what comes later is a new event.
                None if count < buffer.len() && !ended => return Ok(Received::Nothing),
                None => {}
            }
        }
    }

    fn ended(&mut self, rules: &Rules) -> Result<Received, ErrorKind> {
        if self.flight.is_none() {
            return Ok(Received::Closed);
        }
        let fault = self.fault();
        let mut reply = self.reader.end(rules).map_err(|_| fault)?;
        reply.keep_alive = false;
        Ok(Received::Reply(reply))
    }

    fn decrypt(&mut self, mut bytes: &[u8], rules: &Rules) -> Result<Option<Reply>, ErrorKind> {
        let Some(tls) = &mut self.tls else {
            return Ok(None);
        };
        let mut whole = None;
        while !bytes.is_empty() {
            let fed = tls.read_tls(&mut bytes);
            let processed = tls.process_new_packets();
            if fed.is_err() || processed.is_err() {
                // The alert goes out as far as it can.
                let fault = self.fault();
                let _ = self.flush();
                return Err(fault);
            }
            loop {
                let mut plain = tls.reader();
                let chunk = match plain.fill_buf() {
                    // The server said that no more comes, or there is no more now.
                    Ok([]) | Err(_) => break,
                    Ok(chunk) => chunk,
                };
                let used = chunk.len();
                match &mut whole {
                    None => whole = take(&mut self.reader, chunk, rules)?,
                    // Bytes after the answer: the connection can't be trusted.
                    Some(reply) => reply.keep_alive = false,
                }
                plain.consume(used);
            }
        }
        if self.tls.as_ref().is_some_and(|tls| tls.wants_write()) {
            self.flush()?;
        }
        Ok(whole)
    }

    /// What to call an end before the answer.
    pub fn fault(&self) -> ErrorKind {
        match &self.tls {
            _ if !self.connected => ErrorKind::Connect,
            Some(tls) if tls.is_handshaking() => ErrorKind::Tls,
            _ => ErrorKind::Broken,
        }
    }

    /// What to call an answer that did not come in time.
    pub fn lateness(&self) -> ErrorKind {
        if self.connected {
            ErrorKind::Timeout
        } else {
            ErrorKind::Connect
        }
    }

    /// Tells `registry` to report what happens to it.
    pub fn register(&mut self, registry: &mio::Registry, token: usize) -> io::Result<()> {
        let interest = mio::Interest::READABLE | mio::Interest::WRITABLE;
        match &mut self.socket {
            Some(socket) => registry.register(socket, mio::Token(token), interest),
            None => Ok(()),
        }
    }
}

/// What to call it when no connection can be begun: the server's doing, or this system's.
pub(super) fn refusal(error: &io::Error) -> ErrorKind {
    match error.kind() {
        Io::ConnectionRefused
        | Io::ConnectionReset
        | Io::HostUnreachable
        | Io::NetworkUnreachable
        | Io::TimedOut => ErrorKind::Connect,
        _ => ErrorKind::Send,
    }
}

#[inline]
fn take(reader: &mut Reader, bytes: &[u8], rules: &Rules) -> Result<Option<Reply>, ErrorKind> {
    Ok(match reader.read(bytes, rules)? {
        Step::More => None,
        Step::Done(mut reply) => {
            // Nobody asked for more.
            reply.keep_alive &= reply.used == bytes.len();
            Some(reply)
        }
    })
}
