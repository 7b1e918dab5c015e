//! The one thread that serves all origins: waits for sockets and for words from outside, and drives the
//! connections. It opens nothing but its listeners.

use super::answer::Answers;
use super::connection::{Connection, Kept, Ready};
use super::exchange::Side;
use super::{Condition, OriginSpec, Shared};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use rustls::{ServerConfig, ServerConnection};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

/// The most connections that all origins hold; more are reset as they come.
const MAX_CONNECTIONS: usize = 16 * 1024;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4_096;
/// How much is read at once.
const SCRATCH: usize = 64 * 1024;
/// Events taken at once.
const EVENTS: usize = 1_024;
/// After how long accepting is tried again when the system had no room.
const RETRY: Duration = Duration::from_millis(50);

const WAKE: Token = Token(0);

/// A word from outside.
pub(super) enum Command {
    /// This origin is to be so; answered when it is.
    Set(usize, Condition, SyncSender<io::Result<()>>),
    /// Everything ends.
    Stop,
}

/// One origin and its listener.
struct Origin {
    answers: Answers,
    condition: Condition,
    shared: Arc<Shared>,
    tls: Option<Arc<ServerConfig>>,
    /// Bound and never listening: keeps the port while there is no listener.
    _holder: Socket,
    address: SocketAddr,
    listener: Option<TcpListener>,
    /// Whether a connection without a word is a probe: no check asks for a path.
    silent_probes: bool,
}

pub(super) struct Server {
    poll: Poll,
    origins: Vec<Origin>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    commands: Receiver<Command>,
    /// Accepting failed for want of room.
    retry: bool,
    /// Connections that go on as soon as the others had their turn.
    again: Vec<usize>,
}

impl Server {
    /// Binds all listeners.
    ///
    /// # Errors
    /// When an address can't be bound or a spec can't be served.
    pub(super) fn new(
        specs: Vec<OriginSpec>,
        shared: &[Arc<Shared>],
        commands: Receiver<Command>,
    ) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let mut server = Self {
            poll,
            origins: Vec::with_capacity(specs.len()),
            connections: Vec::new(),
            free: Vec::new(),
            commands,
            retry: false,
            again: Vec::new(),
        };
        for (spec, shared) in specs.into_iter().zip(shared) {
            let at = |problem: io::Error| {
                let what = format!("the origin on {}: {problem}", spec.listen);
                io::Error::new(problem.kind(), what)
            };
            let holder = bound(spec.listen).map_err(at)?;
            let address = holder.local_addr()?.as_socket();
            server.origins.push(Origin {
                answers: Answers::new(&spec)?,
                condition: Condition::Up,
                shared: shared.clone(),
                silent_probes: spec.health.is_empty(),
                tls: spec.tls,
                _holder: holder,
                address: address.ok_or(ErrorKind::AddrNotAvailable)?,
                listener: None,
            });
            server.listen(server.origins.len() - 1).map_err(at)?;
        }
        Ok((server, waker))
    }

    /// Where each origin listens.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.origins.iter().map(|origin| origin.address).collect()
    }

    /// Serves until told to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut scratch = vec![0; SCRATCH];
        loop {
            let timeout = match self.again.is_empty() {
                true => self.retry.then_some(RETRY),
                false => Some(Duration::ZERO),
            };
            if let Err(problem) = self.poll.poll(&mut events, timeout) {
                if problem.kind() == ErrorKind::Interrupted {
                    continue;
                }
                tracing::error!(%problem, "the origins end: events can't be waited for");
                return;
            }
            if std::mem::take(&mut self.retry) {
                (0..self.origins.len()).for_each(|origin| self.accept(origin));
            }
            let again = std::mem::take(&mut self.again);
            for event in &events {
                match event.token() {
                    WAKE => {
                        if !self.obey() {
                            return;
                        }
                    }
                    Token(n) if n <= self.origins.len() => self.accept(n - 1),
                    Token(n) => {
                        let ready = Ready {
                            readable: event.is_readable(),
                            closed: event.is_read_closed() || event.is_error(),
                        };
                        self.drive(n - 1 - self.origins.len(), ready, &mut scratch);
                    }
                }
            }
            for index in again {
                self.drive(index, Ready::default(), &mut scratch);
            }
        }
    }

    /// Carries out what was said; `false` at the end.
    fn obey(&mut self) -> bool {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Stop => return false,
                Command::Set(origin, condition, done) => {
                    // Whoever asked may have stopped waiting.
                    let _ = done.try_send(self.set(origin, condition));
                }
            }
        }
        true
    }

    fn set(&mut self, at: usize, condition: Condition) -> io::Result<()> {
        if condition == Condition::Refusing {
            self.origins[at].listener = None;
        } else if self.origins[at].listener.is_none() {
            self.listen(at)?;
        }
        self.origins[at].condition = condition;
        for index in 0..self.connections.len() {
            // What was left without an answer stays so: its connection can't be used again.
            let ends = self.connections[index].as_ref().is_some_and(|connection| {
                let refused = condition == Condition::Refusing;
                let broken = connection.exchange.owes && condition != Condition::Silent;
                connection.origin == at && (refused || broken)
            });
            if ends {
                self.remove(index, Kept::Reset);
            }
        }
        Ok(())
    }

    fn listen(&mut self, at: usize) -> io::Result<()> {
        let origin = &mut self.origins[at];
        let socket = bound(origin.address)?;
        socket.listen(BACKLOG)?;
        let mut listener = TcpListener::from_std(socket.into());
        let registry = self.poll.registry();
        registry.register(&mut listener, Token(1 + at), Interest::READABLE)?;
        origin.listener = Some(listener);
        Ok(())
    }

    fn accept(&mut self, at: usize) {
        loop {
            let Some(listener) = &self.origins[at].listener else {
                return;
            };
            match listener.accept() {
                Ok((stream, _)) => self.admit(stream, at),
                Err(problem) => match problem.kind() {
                    ErrorKind::WouldBlock => return,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => {
                        tracing::debug!(%problem, "no connection can be accepted for a moment");
                        self.retry = true;
                        return;
                    }
                },
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, at: usize) {
        let tls = match &self.origins[at].tls {
            Some(config) => match ServerConnection::new(config.clone()) {
                Ok(connection) => Some(connection),
                Err(problem) => {
                    tracing::debug!(%problem, "a connection without TLS is none");
                    return;
                }
            },
            None => None,
        };
        if let Err(problem) = stream.set_nodelay(true) {
            tracing::debug!(%problem, "small answers may wait for others: no TCP_NODELAY");
        }
        let mut connection = Connection::new(stream, at, tls);
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.connections.len() < MAX_CONNECTIONS => {
                self.connections.push(None);
                self.connections.len() - 1
            }
            None => return connection.reset(),
        };
        let token = Token(1 + self.origins.len() + index);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        match registry.register(&mut connection.stream, token, interest) {
            Ok(()) => self.connections[index] = Some(connection),
            Err(problem) => {
                tracing::debug!(%problem, "a connection can't be waited for");
                self.free.push(index);
            }
        }
    }

    fn drive(&mut self, index: usize, ready: Ready, scratch: &mut [u8]) {
        // An event may be about a connection that has just ended.
        let Some(Some(connection)) = self.connections.get_mut(index) else {
            return;
        };
        let origin = &self.origins[connection.origin];
        let side = Side {
            answers: &origin.answers,
            condition: origin.condition,
            probes: &origin.shared.probes,
        };
        let before = connection.exchange.answered;
        let kept = connection.drive(ready, scratch, &side);
        let answered = connection.exchange.answered - before;
        origin
            .shared
            .answered
            .fetch_add(answered, Ordering::Relaxed);
        match kept {
            Kept::Yes => {}
            Kept::Again => self.again.push(index),
            Kept::Over | Kept::Reset => self.remove(index, kept),
        }
    }

    fn remove(&mut self, index: usize, kept: Kept) {
        let Some(connection) = self.connections[index].take() else {
            return;
        };
        let origin = &self.origins[connection.origin];
        if kept == Kept::Reset {
            connection.reset();
        } else if origin.silent_probes && !connection.exchange.spoken {
            origin.shared.probes.record(true);
        }
        self.free.push(index);
    }
}

/// A socket at `address` that does not listen. Several may be bound there as long as none listens.
fn bound(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
