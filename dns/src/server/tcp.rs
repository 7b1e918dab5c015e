//! DNS over TCP (RFC 7766): a length before each message, many queries a connection, answered in order.
//!
//! Bounds: connections, the time from query to query, 64 KiB and two octets of input, and the answers of
//! one turn. What never happens here: no query waits for a later one.

use super::Shared;
use super::batch::Batch;
use crate::query::Transport;
use bytes::{Buf, BytesMut};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// Once so many octets of answers are ready they are written before more queries are looked at.
const TURN: usize = 64 << 10;
/// How much room there is at least for each read.
const READ: usize = 2 << 10;
/// How long to wait when the system cannot give another connection (out of file descriptors).
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// The connections that may be open, over all listeners.
#[derive(Clone)]
pub(super) struct Slots(Arc<Semaphore>);

impl Slots {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }
}

/// Accepts and answers until the shutdown; returns when the last connection is closed.
pub(super) async fn serve(
    listener: TcpListener,
    slots: Slots,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a TCP connection could not be accepted");
                tokio::time::sleep(AFTER_ERROR).await;
                continue;
            }
        };
        let Ok(slot) = slots.0.clone().try_acquire_owned() else {
            // Closed by dropping it: the resolver tries again, or another of our servers.
            shared.metrics.tcp_rejected.inc();
            continue;
        };
        shared.metrics.tcp_accepted.inc();
        connections.spawn(connection(
            stream,
            peer.ip(),
            slot,
            shared.clone(),
            shutdown.clone(),
        ));
    }
    while connections.join_next().await.is_some() {}
}

async fn connection(
    mut stream: TcpStream,
    peer: IpAddr,
    slot: OwnedSemaphorePermit,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
) {
    shared.metrics.tcp_open.inc();
    let _ = stream.set_nodelay(true);
    let mut turns = Turns {
        input: BytesMut::new(),
        out: Vec::new(),
        peer,
    };
    if let Err(error) = turns.converse(&mut stream, &shared, &shutdown).await {
        tracing::debug!(%peer, %error, "a DNS connection ended");
        shared
            .metrics
            .tcp_timeouts
            .inc_by(u64::from(error.kind() == std::io::ErrorKind::TimedOut));
    }
    shared.metrics.tcp_open.dec();
    drop(slot);
}

struct Turns {
    input: BytesMut,
    out: Vec<u8>,
    peer: IpAddr,
}

impl Turns {
    async fn converse(
        &mut self,
        stream: &mut TcpStream,
        shared: &Shared,
        shutdown: &CancellationToken,
    ) -> std::io::Result<()> {
        let idle = shared.settings.tcp_idle;
        // Counted from the last complete query, so that octets trickling in do not extend it.
        let mut deadline = Instant::now() + idle;
        loop {
            let goes_on = shared.turn(|batch| self.answer(batch));
            if !self.out.is_empty() {
                timeout(idle, stream.write_all(&self.out)).await??;
                self.out.clear();
                deadline = Instant::now() + idle;
            }
            if !goes_on {
                return stream.shutdown().await;
            }
            if self.has_query() {
                continue;
            }
            self.input.reserve(READ);
            let read = tokio::select! {
                biased;
                read = timeout_at(deadline, stream.read_buf(&mut self.input)) => read??,
                () = shutdown.cancelled() => return stream.shutdown().await,
            };
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// The length of the first query, when all of it is there.
    fn complete(&self) -> Option<usize> {
        let length = usize::from(u16::from_be_bytes(*self.input.first_chunk()?));
        (self.input.len() >= 2 + length).then_some(length)
    }

    fn has_query(&self) -> bool {
        self.complete().is_some()
    }

    /// Answers the complete queries, up to a turn's worth, all from one snapshot. `false` after something
    /// that gets no response: then the stream cannot be made sense of.
    fn answer(&mut self, batch: &mut Batch<'_>) -> bool {
        while let Some(length) = self.complete().filter(|_| self.out.len() < TURN) {
            self.input.advance(2);
            let packet = self.input.split_to(length);
            let begin = self.out.len();
            self.out.extend([0, 0]);
            let answered = batch.packet(&packet, self.peer, Transport::Tcp, &mut self.out);
            if !answered {
                self.out.truncate(begin);
                return false;
            }
            let length = (self.out.len() - begin - 2) as u16;
            for (to, from) in self.out.iter_mut().skip(begin).zip(length.to_be_bytes()) {
                *to = from;
            }
        }
        true
    }
}
