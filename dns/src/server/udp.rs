//! DNS over UDP: batches in, answers out, by the task that read them.
//!
//! Answers leave from the address that was asked, also on a socket bound to all addresses. What never
//! happens here: no datagram waits in a queue of ours; what the system's buffer cannot hold is dropped
//! there, as UDP may.

use super::Shared;
use super::batch::Worker;
use crate::query::Transport;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use smallvec::SmallVec;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

/// One slot of a batch: the kernel may hand over several datagrams of one sender in it.
const SLOT: usize = 65_535;
/// The most batches that are still answered after the shutdown.
const LAST_BATCHES: usize = 64;
/// How long to wait after an error of the socket, so that it cannot keep a core busy.
const AFTER_ERROR: Duration = Duration::from_millis(20);

/// A socket and what the system can do with it.
#[derive(Clone)]
pub(super) struct Socket {
    io: Arc<UdpSocket>,
    state: Arc<UdpSocketState>,
}

impl Socket {
    pub(super) fn new(io: Arc<UdpSocket>) -> io::Result<Self> {
        let state = Arc::new(UdpSocketState::new((&*io).into())?);
        Ok(Self { io, state })
    }

    /// Takes what is there, or fails with `WouldBlock`.
    fn receive(&self, slots: &mut [u8], metas: &mut [RecvMeta]) -> io::Result<usize> {
        self.io
            .try_io(Interest::READABLE, || self.receive_unasked(slots, metas))
    }

    /// The same without asking the runtime whether anything is there: it may not have heard of it yet.
    fn receive_unasked(&self, slots: &mut [u8], metas: &mut [RecvMeta]) -> io::Result<usize> {
        let mut slots: SmallVec<[IoSliceMut<'_>; BATCH_SIZE]> =
            slots.chunks_mut(SLOT).map(IoSliceMut::new).collect();
        self.state.recv((&*self.io).into(), &mut slots, metas)
    }

    async fn send(&self, reply: &Reply, octets: &[u8]) -> io::Result<()> {
        let transmit = Transmit {
            destination: reply.to,
            ecn: None,
            contents: octets,
            segment_size: None,
            src_ip: reply.from,
        };
        loop {
            let sent = self.io.try_io(Interest::WRITABLE, || {
                self.state.try_send((&*self.io).into(), &transmit)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.io.writable().await?
                }
                other => return other,
            }
        }
    }
}

/// A response that waits for nothing but its turn to be sent.
struct Reply {
    to: SocketAddr,
    from: Option<IpAddr>,
    octets: Range<usize>,
}

/// Reads and answers until the shutdown.
pub(super) async fn serve(socket: Socket, shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut task = Task {
        slots: vec![0; SLOT * BATCH_SIZE],
        metas: [RecvMeta::default(); BATCH_SIZE],
        replies: Vec::with_capacity(BATCH_SIZE),
        out: Vec::with_capacity(BATCH_SIZE * 512),
        worker: Worker::new(&shared.metrics),
        shared,
    };
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            ready = socket.io.readable() => if let Err(error) = ready {
                tracing::warn!(%error, "a UDP socket cannot be waited for");
                tokio::time::sleep(AFTER_ERROR).await;
            },
        }
        let received = socket.receive(&mut task.slots, &mut task.metas);
        if let Err(error) = task.batch(&socket, received).await
            && error.kind() != io::ErrorKind::WouldBlock
        {
            tracing::debug!(%error, "a UDP socket cannot be read");
            tokio::time::sleep(AFTER_ERROR).await;
        }
    }
    for _ in 0..LAST_BATCHES {
        let received = socket.receive_unasked(&mut task.slots, &mut task.metas);
        if task.batch(&socket, received).await.is_err() {
            return;
        }
    }
}

struct Task {
    slots: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
    replies: Vec<Reply>,
    /// All responses of a batch, one behind the other.
    out: Vec<u8>,
    worker: Worker,
    shared: Arc<Shared>,
}

impl Task {
    async fn batch(&mut self, socket: &Socket, received: io::Result<usize>) -> io::Result<()> {
        self.answer(received?);
        for reply in &self.replies {
            let octets = self.out.get(reply.octets.clone()).unwrap_or(&[]);
            if let Err(error) = socket.send(reply, octets).await {
                self.worker.counters.send_error();
                tracing::debug!(%error, to = %reply.to, "an answer could not be sent");
            }
        }
        Ok(())
    }

    /// Answers what was received, all from one snapshot.
    fn answer(&mut self, received: usize) {
        let Self {
            slots,
            metas,
            replies,
            out,
            worker,
            shared,
        } = self;
        replies.clear();
        out.clear();
        shared.batch(worker, |batch| {
            for (meta, slot) in metas.iter().zip(slots.chunks(SLOT)).take(received) {
                let octets = slot.get(..meta.len).unwrap_or(slot);
                for packet in octets.chunks(meta.stride.max(1)) {
                    let begin = out.len();
                    if batch.packet(packet, meta.addr.ip(), Transport::Udp, out) {
                        replies.push(Reply {
                            to: meta.addr,
                            from: meta.dst_ip,
                            octets: begin..out.len(),
                        });
                    }
                }
            }
        });
    }
}
