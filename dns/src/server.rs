//! Sockets and counting around [`respond`](crate::respond()): UDP and TCP on the same addresses, and the
//! encrypted transports: DoT, DoH and DoQ.
//!
//! The snapshot is loaded once for each batch of packets. What never happens here: no packet is
//! interpreted, and nothing queues: a datagram is answered by the task that read it, a connection's
//! queries one after the other.

use crate::limit::Limiter;
use crate::metrics::{Metrics, Observe};
use crate::query::Transport;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use steering::Reader;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

mod batch;
mod clock;
mod converse;
mod doh;
mod door;
mod doq;
mod lent;
mod listeners;
mod messages;
mod pairs;
mod places;
mod proxied;
mod tls;
mod udp;
mod wire;

pub use listeners::{Listeners, Plain, Secure};
pub use messages::{Messages, Transfers};

/// How often rate limiting looks whether what it limits has gone quiet.
const TIDY: Duration = Duration::from_secs(5);

/// What an operator can set, for as long as the server runs. What a reload may change is in
/// [`Rules`](crate::Rules).
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many threads answer UDP, each with a socket of its own for every address; default: one a core.
    pub udp_workers: NonZeroUsize,
}

impl Default for Settings {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { udp_workers: cores }
    }
}

/// An address that could not be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for DNS on {address} ({}){}", .transport.name(), remedy(.source))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What was to be spoken there.
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
    datagrams: Vec<udp::Group>,
    streams: Vec<listeners::Bound>,
    quic: Vec<quinn::Endpoint>,
    addresses: Vec<SocketAddr>,
    dot: Vec<SocketAddr>,
    doh: Vec<SocketAddr>,
    doq: Vec<SocketAddr>,
    shared: Shared,
}

/// What every task needs.
struct Shared {
    reader: Reader,
    metrics: Arc<Metrics>,
    observe: Arc<dyn Observe>,
    pairs: pairs::Pairs,
    workers: lent::Lent,
    limiter: Limiter,
    /// What the limiter's moments are counted from.
    clock: clock::Clock,
    transfers: Arc<dyn Transfers>,
    places: Arc<places::Places>,
}

impl Server {
    /// Binds every address. Port 0 takes one that is free (UDP and TCP: for both). An IPv6 address
    /// listens for IPv6 only, so that `0.0.0.0` and `::` can stand beside each other.
    ///
    /// Must be called within a tokio runtime with IO and time.
    ///
    /// # Errors
    /// The first address that could not be bound.
    pub fn bind(
        listeners: impl Into<Listeners>,
        reader: Reader,
        settings: Settings,
        metrics: Arc<Metrics>,
        observe: Arc<dyn Observe>,
    ) -> Result<Self, BindError> {
        let listeners = listeners.into();
        let shared = Shared {
            reader,
            workers: lent::Lent::new(&metrics),
            metrics,
            observe,
            pairs: pairs::Pairs::new(),
            limiter: Limiter::new(),
            clock: clock::Clock::new(),
            transfers: Arc::new(()),
            places: places::Places::new(),
        };
        let mut server = Self {
            datagrams: Vec::new(),
            streams: Vec::new(),
            quic: Vec::new(),
            addresses: Vec::new(),
            dot: Vec::new(),
            doh: Vec::new(),
            doq: Vec::new(),
            shared,
        };
        for plain in &listeners.plain {
            let (udp, tcp, address) = listeners::bind_both(plain, settings.udp_workers)?;
            server.datagrams.push(udp);
            server.streams.push(listeners::Bound {
                listener: tcp,
                kind: listeners::Kind::Plain,
                proxied: plain.proxied,
            });
            server.addresses.push(address);
        }
        for spec in &listeners.dot {
            let (bound, address) = listeners::secure(spec, None)?;
            server.streams.push(bound);
            server.dot.push(address);
        }
        for (spec, path) in &listeners.doh {
            let (bound, address) = listeners::secure(spec, Some(path))?;
            server.streams.push(bound);
            server.doh.push(address);
        }
        for spec in &listeners.doq {
            let (endpoint, address) = doq::bind(spec)?;
            server.quic.push(endpoint);
            server.doq.push(address);
        }
        Ok(server)
    }

    /// Has queries that take more than one message answered by `transfers`.
    #[must_use]
    pub fn with_transfers(mut self, transfers: Arc<dyn Transfers>) -> Self {
        self.shared.transfers = transfers;
        self
    }

    /// The addresses of UDP and TCP, in the order they were given.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The addresses of an encrypted transport, in the order they were given.
    pub fn encrypted(&self, transport: Transport) -> &[SocketAddr] {
        match transport {
            Transport::Tls => &self.dot,
            Transport::Https => &self.doh,
            Transport::Quic => &self.doq,
            Transport::Udp | Transport::Tcp => &[],
        }
    }

    /// Answers until `shutdown` is cancelled. Then what has already arrived is still answered, and
    /// connections are closed after the query they are at.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        let shared = Arc::new(self.shared);
        let workers = udp::Workers::start(self.datagrams, &shared);
        tasks.spawn(workers.until(shutdown.clone()));
        for bound in self.streams {
            let door = door::Door {
                bound,
                shared: shared.clone(),
                shutdown: shutdown.clone(),
            };
            tasks.spawn(door.serve());
        }
        for endpoint in self.quic {
            let door = doq::Door {
                endpoint,
                shared: shared.clone(),
                shutdown: shutdown.clone(),
            };
            tasks.spawn(door.serve());
        }
        tasks.spawn(tidy(shared.clone(), shutdown.clone()));
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
            _ = ticks.tick() => shared.limiter.tidy(shared.clock.elapsed()),
        }
    }
}
