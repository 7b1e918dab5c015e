//! DNS over QUIC (RFC 9250): one query a stream, its length before it, its ID 0. QUIC is quinn's.
//!
//! Bounds: the places of all connections, streams a connection, how many of its queries may be long at a time, octets
//! that were not read or not taken, the time of a handshake, of a query and between queries. While places run out, a client proves its address
//! first (RFC 9000 §8.1.2), so that forged ones cannot take the last. What never happens here: nothing is
//! taken before the handshake is complete (no early data).

use super::door::HANDSHAKE;
use super::listeners::{Secure, bind_quic};
use super::places::Place;
use super::{BindError, Shared, tls, wire};
use crate::metrics::Closed;
use crate::query::Transport;
use crate::respond::Rules;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, ReadError, RecvStream, SendStream,
    ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// DNS over QUIC in ALPN (RFC 9250 §4.1.1).
const DOQ: &[u8] = b"doq";
/// The most streams at a time on one connection.
const STREAMS: u32 = 100;
/// The most octets of a query with its length.
const QUERY: usize = 2 + 65_535;
/// From how many octets on a query is long: hardly any ever is.
const SHORT: usize = 1_024;
/// The most long queries at a time of one connection; further ones wait.
const LONG: usize = 4;
/// The most octets that were not read yet: of one stream, and of all streams of a connection. Those that wait for a
/// place cannot take it all: [`STREAMS`] of the one are less than the other.
const UNREAD: (u32, u32) = (2 << 10, 256 << 10);
/// The most octets that were not acknowledged yet, over all streams of a connection.
const UNSENT: u64 = 256 << 10;
/// Handshakes that wait for us at a time; QUIC refuses more by itself.
const WAITING: usize = 1_024;
/// How long a connection may be silent on the network, whatever the idle time is.
const SILENCE: Duration = Duration::from_secs(60);
/// How long closing may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Error codes (RFC 9250 §4.3).
const NO_ERROR: VarInt = VarInt::from_u32(0);
const INTERNAL_ERROR: VarInt = VarInt::from_u32(1);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const REQUEST_CANCELLED: VarInt = VarInt::from_u32(3);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// A bound listener.
pub(super) struct Door {
    pub(super) endpoint: Endpoint,
    pub(super) shared: Arc<Shared>,
    pub(super) shutdown: CancellationToken,
}

/// Binds; must be called within a tokio runtime.
pub(super) fn bind(spec: &Secure) -> Result<(Endpoint, SocketAddr), BindError> {
    let failed = |source| BindError {
        address: spec.address,
        transport: Transport::Quic,
        source,
    };
    let config = config(spec).map_err(|error| failed(io::Error::other(error)))?;
    let socket = bind_quic(spec.address).map_err(failed)?;
    let runtime = Arc::new(TokioRuntime);
    let endpoint =
        Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime).map_err(failed)?;
    let address = endpoint.local_addr().map_err(failed)?;
    Ok((endpoint, address))
}

fn config(spec: &Secure) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
    let tls = tls::within_quic(spec.certificates.clone(), &[DOQ])?;
    let crypto = QuicServerConfig::try_from(Arc::new(tls))?;
    let mut transport = TransportConfig::default();
    let (stream, connection) = UNREAD;
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS))
        // A client that opens one breaks the protocol (RFC 9250 §4.3.3), and QUIC says so.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(stream))
        .receive_window(VarInt::from_u32(connection))
        .send_window(UNSENT)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(SILENCE.try_into()?));
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport));
    config.max_incoming(WAITING);
    Ok(config)
}

impl Door {
    /// Accepts and serves until the shutdown; returns when every connection has been told.
    pub(super) async fn serve(self) {
        let connections = TaskTracker::new();
        loop {
            let incoming = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                incoming = self.endpoint.accept() => incoming,
            };
            match incoming {
                Some(incoming) => self.admit(incoming, &connections),
                None => break,
            }
        }
        connections.close();
        connections.wait().await;
        let _ = timeout(GOODBYE, self.endpoint.wait_idle()).await;
    }

    fn admit(&self, incoming: Incoming, connections: &TaskTracker) {
        let streams = &self.shared.metrics.streams;
        let snapshot = self.shared.reader.load();
        let limits = &Rules::of(&snapshot).connections;
        let known = incoming.remote_address_validated() || !incoming.may_retry();
        if !known && self.shared.places.pressed(limits) {
            // Fails only where it may not be asked for, which was looked at.
            let _ = incoming.retry();
            return;
        }
        let peer = incoming.remote_address().ip();
        match self.shared.places.enter(Some(peer), limits) {
            Ok((place, evicts)) => {
                if evicts {
                    streams.closed(Closed::Evicted);
                }
                let session = Session {
                    place: Arc::new(place),
                    shared: self.shared.clone(),
                    shutdown: self.shutdown.clone(),
                };
                connections.spawn(session.run(incoming));
            }
            Err(refusal) => {
                streams.closed(refusal.into());
                incoming.refuse();
            }
        }
    }
}

/// One connection.
struct Session {
    place: Arc<Place>,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
}

impl Session {
    async fn run(self, incoming: Incoming) {
        let peer = incoming.remote_address().ip();
        let _open = self.shared.metrics.streams.opened(Transport::Quic);
        let closed = match self.handshake(incoming).await {
            Ok(connection) => {
                let (closed, code) = self.serve(&connection).await;
                connection.close(code, b"");
                closed
            }
            Err(closed) => closed,
        };
        if let Some(closed) = closed {
            self.shared.metrics.streams.closed(closed);
            tracing::debug!(%peer, transport = "doq", reason = closed.name(), "a DNS connection was closed");
        }
    }

    async fn handshake(&self, incoming: Incoming) -> Result<Connection, Option<Closed>> {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Err(None),
            () = self.place.evicted() => Err(None),
            made = timeout(HANDSHAKE, incoming) => match made {
                Ok(Ok(connection)) => Ok(connection),
                Ok(Err(_)) | Err(_) => Err(Some(Closed::Handshake)),
            },
        }
    }

    /// Takes streams until one side has enough; why, and the code to close with.
    async fn serve(&self, connection: &Connection) -> (Option<Closed>, VarInt) {
        let mut streams = JoinSet::new();
        let long = Arc::new(Semaphore::new(LONG));
        loop {
            let limits = Rules::of(&self.shared.reader.load()).connections;
            let (idle, may) = (self.place.idle_for(), self.place.may_idle(&limits));
            if streams.is_empty() && idle >= may {
                return (Some(Closed::Idle), NO_ERROR);
            }
            // Queries that are being answered are bounded by themselves.
            let left = may.saturating_sub(idle).max(GOODBYE / 4);
            let enough = limits
                .queries
                .is_some_and(|most| self.place.asked() >= most);
            if enough && streams.is_empty() {
                return (Some(Closed::Queries), NO_ERROR);
            }
            tokio::select! {
                biased;
                () = self.place.evicted() => return (None, EXCESSIVE_LOAD),
                () = self.shutdown.cancelled() => return (None, NO_ERROR),
                Some(ended) = streams.join_next() => match ended {
                    Ok(Ok(())) => {}
                    Ok(Err(Fault::Protocol)) => return (Some(Closed::Malformed), PROTOCOL_ERROR),
                    Ok(Err(Fault::Slow)) => return (Some(Closed::SlowReader), EXCESSIVE_LOAD),
                    Err(_) => return (Some(Closed::Broken), INTERNAL_ERROR),
                },
                opened = connection.accept_bi(), if !enough => match opened {
                    Ok((send, receive)) => {
                        let exchange = Exchange {
                            place: self.place.clone(),
                            shared: self.shared.clone(),
                            connection: connection.clone(),
                            long: long.clone(),
                        };
                        self.place.ask();
                        streams.spawn(exchange.run(send, receive, limits.idle));
                    }
                    Err(_) => return (None, NO_ERROR),
                },
                () = sleep(left) => {}
            }
        }
    }
}

/// What ends a connection because of one of its streams.
enum Fault {
    /// The peer does not keep to the protocol (RFC 9250 §4.3.3).
    Protocol,
    /// The peer does not send its query or take its answer.
    Slow,
}

/// One stream.
struct Exchange {
    place: Arc<Place>,
    shared: Arc<Shared>,
    connection: Connection,
    /// Places for queries that are long.
    long: Arc<Semaphore>,
}

impl Exchange {
    async fn run(
        self,
        mut send: SendStream,
        mut receive: RecvStream,
        within: Duration,
    ) -> Result<(), Fault> {
        let octets = match timeout(within, self.read(&mut receive)).await {
            Ok(Ok(octets)) => octets,
            Ok(Err(_)) => {
                // The client does not want it any more, or is gone.
                let _ = send.reset(REQUEST_CANCELLED);
                return Ok(());
            }
            // It did not say that its query is complete.
            Err(_) => return Err(Fault::Protocol),
        };
        let packet = query(&octets).ok_or(Fault::Protocol)?;
        let peer = self.connection.remote_address().ip();
        let opened = self
            .shared
            .transfers
            .open(&self.shared.reader, packet, peer, Transport::Quic);
        let mut out = vec![0; 2];
        if let Some(mut messages) = opened {
            drop(octets);
            while messages.next(&mut out) {
                if !write(&mut send, &mut out, within).await? {
                    return Ok(());
                }
                self.place.touch();
                out.truncate(2);
            }
        } else {
            let answered = self
                .shared
                .turn(|batch| batch.packet(packet, peer, Transport::Quic, &mut out));
            if !answered {
                return Err(Fault::Protocol);
            }
            drop(octets);
            write(&mut send, &mut out, within).await?;
            self.place.touch();
        }
        let _ = send.finish();
        Ok(())
    }

    /// Reads to the end of the query, and not far beyond the longest there is. One that grows long waits until its
    /// connection has a place for it, so that many streams that never end hold little.
    async fn read(&self, receive: &mut RecvStream) -> Result<Vec<u8>, ReadError> {
        let (mut octets, mut place) = (Vec::new(), None);
        while octets.len() <= QUERY
            && let Some(chunk) = receive.read_chunk(SHORT, true).await?
        {
            octets.extend_from_slice(&chunk.bytes);
            if octets.len() > SHORT && place.is_none() {
                // Never closed.
                place = self.long.acquire().await.ok();
            }
        }
        Ok(octets)
    }
}

/// The query of a stream: one message with its length, ID 0, and without edns-tcp-keepalive (RFC 9250 §4.2,
/// §4.2.1, §5.5.2). `None` for anything else.
fn query(octets: &[u8]) -> Option<&[u8]> {
    let (length, packet) = octets.split_first_chunk::<2>()?;
    let whole = usize::from(u16::from_be_bytes(*length)) == packet.len();
    let unnumbered = packet.starts_with(&[0, 0]);
    (whole && unnumbered && !wire::asks_keepalive(packet)).then_some(packet)
}

/// Writes a message that lies behind two octets for its length. `false`: the client is gone, or does not want it any
/// more, which is none of our concern.
async fn write(send: &mut SendStream, out: &mut [u8], within: Duration) -> Result<bool, Fault> {
    let length = out.len().saturating_sub(2) as u16;
    for (to, from) in out.iter_mut().zip(length.to_be_bytes()) {
        *to = from;
    }
    let written = timeout(within, send.write_all(out)).await;
    written.map(|sent| sent.is_ok()).map_err(|_| Fault::Slow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9250_4_2_a_stream_is_one_whole_unnumbered_query() {
        let packet = [0_u8, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];
        let framed = |packet: &[u8]| [&(packet.len() as u16).to_be_bytes(), packet].concat();
        let good = framed(&packet);
        assert_eq!(query(&good), Some(&packet[..]));
        assert_eq!(query(&[&good[..], &good].concat()), None, "two queries");
        assert_eq!(query(&good[..good.len() - 1]), None, "cut");
        assert_eq!(query(&good[..1]), None);
        let mut numbered = packet;
        numbered[1] = 7;
        assert_eq!(query(&framed(&numbered)), None, "an ID");
        let mut keepalive = packet.to_vec();
        keepalive[11] = 1;
        keepalive.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, 0, 11, 0, 0]);
        assert_eq!(query(&framed(&keepalive)), None, "edns-tcp-keepalive");
    }
}
