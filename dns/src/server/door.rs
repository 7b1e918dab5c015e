//! The way in of every stream connection: accept, a place, the PROXY header, TLS, then what is spoken there.
//!
//! Each step has its bound in time. What never happens here: no query is looked at, and a connection without a
//! place costs nothing but its accept.

use super::converse::Conversation;
use super::doh;
use super::listeners::{Bound, Kind};
use super::places::{Place, Refusal};
use super::{Shared, proxied};
use crate::metrics::Closed;
use crate::query::Transport;
use crate::respond::Rules;
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a PROXY header may take, and how long a TLS handshake.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long to wait when the system cannot give another connection (out of file descriptors).
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// One listener.
pub(super) struct Door {
    pub(super) bound: Bound,
    pub(super) shared: Arc<Shared>,
    pub(super) shutdown: CancellationToken,
}

/// One connection.
struct Connection {
    place: Arc<Place>,
    peer: IpAddr,
    proxied: bool,
    kind: Kind,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
}

impl From<Refusal> for Closed {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Full => Self::Full,
            Refusal::ClientFull => Self::ClientLimit,
        }
    }
}

/// Whether a peer is one of the front ends that are believed.
pub(super) fn is_trusted(peer: IpAddr, trusted: &[IpNet]) -> bool {
    let peer = peer.to_canonical();
    trusted.iter().any(|network| network.contains(&peer))
}

impl Door {
    /// Accepts and serves until the shutdown; returns when the last connection is closed.
    pub(super) async fn serve(self) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                accepted = self.bound.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer.ip(), &connections),
                Err(error) => {
                    tracing::warn!(%error, "a TCP connection could not be accepted; raise the limit of open files if it is one");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
            }
        }
        connections.close();
        connections.wait().await;
    }

    /// Gives the connection a place, or closes it by dropping it: its client tries again, or another of our
    /// servers, sooner than it would from a queue.
    fn admit(&self, stream: TcpStream, peer: IpAddr, connections: &TaskTracker) {
        let streams = &self.shared.metrics.streams;
        let snapshot = self.shared.reader.load();
        let rules = Rules::of(&snapshot);
        if self.bound.proxied && !is_trusted(peer, &rules.trusted_proxies) {
            return streams.closed(Closed::Untrusted);
        }
        let client = (!self.bound.proxied).then_some(peer);
        let place = match self.shared.places.enter(client, &rules.connections) {
            Ok((place, evicts)) => {
                if evicts {
                    streams.closed(Closed::Evicted);
                }
                place
            }
            Err(refusal) => return streams.closed(refusal.into()),
        };
        let connection = Connection {
            place: Arc::new(place),
            peer,
            proxied: self.bound.proxied,
            kind: self.bound.kind.clone(),
            shared: self.shared.clone(),
            shutdown: self.shutdown.clone(),
        };
        connections.spawn(connection.run(stream));
    }
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let transport = self.kind.transport();
        let _open = self.shared.metrics.streams.opened(transport);
        let _ = stream.set_nodelay(true);
        let (shared, peer) = (self.shared.clone(), self.peer);
        if let Some(closed) = self.serve(stream).await {
            shared.metrics.streams.closed(closed);
            tracing::debug!(%peer, transport = transport.name(), reason = closed.name(), "a DNS connection was closed");
        }
    }

    /// Serves it until it ends or its place is wanted. What only some connections need lies behind a pointer,
    /// so that an idle plain one is small.
    async fn serve(mut self, mut stream: TcpStream) -> Option<Closed> {
        if self.proxied
            && let Err(closed) = Box::pin(self.introduce(&mut stream)).await
        {
            return closed;
        }
        let served = async {
            match &self.kind {
                Kind::Plain => self.converse(Transport::Tcp).hold(&mut stream).await,
                Kind::Tls(acceptor) => Box::pin(self.tls(acceptor, stream)).await,
                Kind::Https(acceptor, path) => Box::pin(self.https(acceptor, path, stream)).await,
            }
        };
        tokio::select! {
            biased;
            // Counted when it was told.
            () = self.place.evicted() => None,
            closed = served => closed,
        }
    }

    /// Has the front end say who the client is.
    async fn introduce(&mut self, stream: &mut TcpStream) -> Result<(), Option<Closed>> {
        let header = timeout(HANDSHAKE, proxied::header(stream));
        let said = tokio::select! {
            biased;
            () = self.place.evicted() => return Err(None),
            () = self.shutdown.cancelled() => return Err(None),
            said = header => said,
        };
        let Ok(Ok(client)) = said else {
            return Err(Some(Closed::ProxyHeader));
        };
        if let Some(client) = client {
            let snapshot = self.shared.reader.load();
            let limits = &Rules::of(&snapshot).connections;
            let entered = self.place.is_of(client, limits);
            entered.map_err(|refusal| Some(refusal.into()))?;
            self.peer = client;
        }
        Ok(())
    }

    fn converse(&self, transport: Transport) -> Conversation<'_> {
        Conversation::new(
            &self.shared,
            &self.shutdown,
            &self.place,
            self.peer,
            transport,
        )
    }

    async fn handshake(
        &self,
        acceptor: &TlsAcceptor,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Option<Closed>> {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Err(None),
            made = timeout(HANDSHAKE, acceptor.accept(stream)) => match made {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => {
                    tracing::debug!(peer = %self.peer, %error, "a TLS handshake failed");
                    Err(Some(Closed::Handshake))
                }
                Err(_) => Err(Some(Closed::Handshake)),
            },
        }
    }

    async fn tls(&self, acceptor: &TlsAcceptor, stream: TcpStream) -> Option<Closed> {
        match self.handshake(acceptor, stream).await {
            Ok(mut stream) => self.converse(Transport::Tls).hold(&mut stream).await,
            Err(closed) => closed,
        }
    }

    async fn https(
        &self,
        acceptor: &TlsAcceptor,
        path: &Arc<str>,
        stream: TcpStream,
    ) -> Option<Closed> {
        let stream = match self.handshake(acceptor, stream).await {
            Ok(stream) => stream,
            Err(closed) => return closed,
        };
        let asker = doh::Asker {
            shared: self.shared.clone(),
            place: self.place.clone(),
            peer: self.peer,
            path: path.clone(),
            long: doh::long(),
        };
        doh::serve(stream, asker, &self.shutdown).await
    }
}
