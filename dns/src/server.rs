//! Sockets and counting around [`respond`](crate::respond()): UDP and TCP on the same addresses.
//!
//! The snapshot is loaded once for each batch of packets. What never happens here: no packet is
//! interpreted, and nothing queues: a datagram is answered by the task that read it, a connection's
//! queries one after the other.

use crate::limit::Limiter;
use crate::metrics::{Metrics, Observe};
use crate::query::Transport;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steering::Reader;
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

mod batch;
mod lent;
mod pairs;
mod tcp;
mod udp;

/// How often a port is drawn anew, when the system was asked for any that is free for both TCP and UDP.
const PORT_TRIES: usize = 16;
/// The receive and send buffers asked of the system for each UDP socket, in octets.
const SOCKET_BUFFER: usize = 4 << 20;
/// How often rate limiting looks whether what it limits has gone quiet.
const TIDY: Duration = Duration::from_secs(5);

/// What an operator can set, for as long as the server runs. What a reload may change is in
/// [`Rules`](crate::Rules).
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The most TCP connections at a time; further ones are closed at once and counted.
    pub tcp_connections: usize,
    /// How long a TCP connection may take from one complete query to the next, and for an answer to be
    /// taken off our hands (RFC 7766 §6.2.3).
    pub tcp_idle: Duration,
    /// How many tasks read each UDP socket; default: one a core.
    pub udp_tasks: NonZeroUsize,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            tcp_connections: 1_024,
            tcp_idle: Duration::from_secs(10),
            udp_tasks: cores,
        }
    }
}

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for DNS on {address} ({}){}", .transport.name(), remedy(.source))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// UDP or TCP.
    pub transport: Transport,
    /// Why.
    pub source: io::Error,
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => "; another process has it: stop that one or take another port",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need root or CAP_NET_BIND_SERVICE",
        io::ErrorKind::AddrNotAvailable => "; no interface of this machine has that address",
        _ => "",
    }
}

/// A bound server: it answers once [`Server::run`] is awaited.
pub struct Server {
    sockets: Vec<(Arc<UdpSocket>, TcpListener)>,
    addresses: Vec<SocketAddr>,
    shared: Arc<Shared>,
}

/// What every task needs.
struct Shared {
    reader: Reader,
    settings: Settings,
    metrics: Arc<Metrics>,
    observe: Arc<dyn Observe>,
    pairs: pairs::Pairs,
    workers: lent::Lent,
    limiter: Limiter,
    /// What the limiter's moments are counted from.
    started: Instant,
}

impl Server {
    /// Binds UDP and TCP on every address. Port 0 takes one that is free for both. An IPv6 address
    /// listens for IPv6 only, so that `0.0.0.0` and `::` can stand beside each other.
    ///
    /// Must be called within a tokio runtime with IO and time.
    ///
    /// # Errors
    /// The first address that could not be bound.
    pub fn bind(
        addresses: &[SocketAddr],
        reader: Reader,
        settings: Settings,
        metrics: Arc<Metrics>,
        observe: Arc<dyn Observe>,
    ) -> Result<Self, BindError> {
        let shared = Arc::new(Shared {
            reader,
            settings,
            workers: lent::Lent::new(&metrics),
            metrics,
            observe,
            pairs: pairs::Pairs::new(),
            limiter: Limiter::new(),
            started: Instant::now(),
        });
        let mut server = Self {
            sockets: Vec::new(),
            addresses: Vec::new(),
            shared,
        };
        for address in addresses {
            let (udp, tcp, bound) = bind_both(*address)?;
            server.sockets.push((Arc::new(udp), tcp));
            server.addresses.push(bound);
        }
        Ok(server)
    }

    /// The addresses in use, in the order they were given.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Answers until `shutdown` is cancelled. Then what has already arrived is still answered, and
    /// connections are closed after the query they are at.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        let slots = tcp::Slots::new(self.shared.settings.tcp_connections);
        for ((udp, tcp), address) in self.sockets.into_iter().zip(self.addresses) {
            match udp::Socket::new(udp) {
                Ok(socket) => {
                    for _ in 0..self.shared.settings.udp_tasks.get() {
                        tasks.spawn(udp::serve(
                            socket.clone(),
                            self.shared.clone(),
                            shutdown.clone(),
                        ));
                    }
                }
                Err(error) => tracing::error!(%address, %error, "this UDP socket cannot be used"),
            }
            tasks.spawn(tcp::serve(
                tcp,
                slots.clone(),
                self.shared.clone(),
                shutdown.clone(),
            ));
        }
        tasks.spawn(tidy(self.shared.clone(), shutdown.clone()));
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a DNS task ended early");
            }
        }
    }
}

/// Every few seconds: what is no longer limited is said.
async fn tidy(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(TIDY);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => shared.limiter.tidy(shared.started.elapsed()),
        }
    }
}

fn bind_both(address: SocketAddr) -> Result<(UdpSocket, TcpListener, SocketAddr), BindError> {
    let failed = |transport| {
        move |source| BindError {
            address,
            transport,
            source,
        }
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let tcp = bind_tcp(address).map_err(failed(Transport::Tcp))?;
        let bound = tcp.local_addr().map_err(failed(Transport::Tcp))?;
        match bind_udp(bound) {
            Ok(udp) => return Ok((udp, tcp, bound)),
            Err(error) => {
                let taken = error.kind() == io::ErrorKind::AddrInUse;
                if !(taken && address.port() == 0 && tries < PORT_TRIES) {
                    return Err(failed(Transport::Udp)(error));
                }
            }
        }
    }
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    // A restart must not wait for the last connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(1_024)?;
    TcpListener::from_std(socket.into())
}

fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    // As much as the system allows; bursts are what these are for.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}
