//! DNS over UDP: batches in, answers out, by one thread a core, each on sockets of its own.
//!
//! A worker takes what has come, answers all of it from one snapshot and sends the answers, each from the
//! address that was asked, also on a socket bound to all addresses. What never happens here: no datagram
//! waits in a queue of ours (what the system's buffer cannot hold is dropped there, as UDP may), nothing
//! is locked, and nothing is allocated once a worker runs.

mod cores;
#[cfg(target_os = "linux")]
#[path = "mmsg.rs"]
mod mailbox;
#[cfg(not(target_os = "linux"))]
#[path = "plain.rs"]
mod mailbox;
mod socket;

pub(super) use socket::Group;

use super::Shared;
use super::batch::Worker;
use crate::query::Transport;
use mailbox::{BATCH, Mailbox};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket::{GLANCE, Kind};
use socket2::SockRef;
use std::io;
use std::net::{Shutdown, UdpSocket};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The most batches that are still answered after the shutdown, for each socket of a worker.
const LAST_BATCHES: usize = 64;
/// How long to wait after an error of a socket, so that it cannot keep a core busy.
const AFTER_ERROR: Duration = Duration::from_millis(20);
/// What a batch of answers usually needs, in octets: more is made room for once, and kept.
const USUAL_ANSWERS: usize = BATCH * 1_232;

/// The running workers. Dropping it stops them, without waiting for them.
pub(super) struct Workers {
    stop: Arc<AtomicBool>,
    sockets: Vec<Arc<UdpSocket>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts a thread for each worker, which has the `i`th socket of each group.
    pub(super) fn start(groups: Vec<Group>, shared: &Arc<Shared>) -> Self {
        let mut workers = Self {
            stop: Arc::default(),
            sockets: Vec::new(),
            threads: Vec::new(),
        };
        let hands = deal(groups);
        let cores = cores::allowed();
        // A thread alone is better placed by the system, which knows what else there is to do.
        let pinned = cores.len() > 1 && hands.len() > 1;
        for (i, hand) in hands.into_iter().enumerate() {
            let sockets: Vec<_> = hand.iter().map(|(socket, _)| socket.clone()).collect();
            for socket in &sockets {
                // The metrics outlive the sockets.
                let socket = Arc::downgrade(socket);
                let tell = move || mailbox::dropped(&*socket.upgrade()?).ok();
                shared.metrics.overflows(tell);
            }
            workers.sockets.extend(sockets);
            let (shared, stop) = (shared.clone(), workers.stop.clone());
            let core = cores
                .get(i % cores.len().max(1))
                .filter(|_| pinned)
                .copied();
            let thread = thread::Builder::new().name(format!("rhumb-dns-{i}"));
            let started = thread.spawn(move || {
                if let Some(core) = core {
                    cores::stay_on(core);
                }
                Desk::new(hand, shared).serve(&stop);
            });
            match started {
                Ok(thread) => workers.threads.push(thread),
                Err(error) => tracing::error!(%error, "a DNS worker cannot be started"),
            }
        }
        workers
    }

    /// Waits for the shutdown, lets the workers answer what has come by then, and waits for them.
    pub(super) async fn until(mut self, shutdown: CancellationToken) {
        shutdown.cancelled().await;
        self.tell();
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(|| {
            let ended = threads.into_iter().map(JoinHandle::join);
            ended.filter(Result::is_err).count()
        });
        if joined.await.is_ok_and(|early| early > 0) {
            tracing::error!("a DNS worker ended early");
        }
    }

    fn tell(&self) {
        self.stop.store(true, Ordering::Release);
        for socket in &self.sockets {
            // Wakes who waits for it. What is in its buffer can still be read.
            let _ = SockRef::from(&**socket).shutdown(Shutdown::Read);
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.tell();
    }
}

/// A worker's sockets.
type Hand = Vec<(Arc<UdpSocket>, Kind)>;

/// The sockets by worker: one of each group.
#[cfg(target_os = "linux")]
fn deal(groups: Vec<Group>) -> Vec<Hand> {
    let mut hands: Vec<Hand> = Vec::new();
    for group in groups {
        for (i, socket) in group.sockets.into_iter().enumerate() {
            let card = (Arc::new(socket), group.kind);
            match hands.get_mut(i) {
                Some(hand) => hand.push(card),
                None => hands.push(vec![card]),
            }
        }
    }
    hands
}

/// The sockets by worker: one each, since waiting for several may let another worker have what came.
#[cfg(not(target_os = "linux"))]
fn deal(groups: Vec<Group>) -> Vec<Hand> {
    let sockets = groups.into_iter().flat_map(|group| {
        let kind = group.kind;
        group.sockets.into_iter().map(move |socket| (socket, kind))
    });
    sockets
        .map(|(socket, kind)| vec![(Arc::new(socket), kind)])
        .collect()
}

/// What one worker has before it.
struct Desk {
    sockets: Hand,
    /// For the sockets bound to one address, and for those bound to all.
    mailboxes: [Option<Mailbox>; 2],
    /// All answers of a batch, one behind the other.
    out: Vec<u8>,
    worker: Worker,
    shared: Arc<Shared>,
}

impl Desk {
    fn new(sockets: Hand, shared: Arc<Shared>) -> Self {
        let mailbox = |wildcard| {
            let mut of = sockets.iter().map(|(_, kind)| kind.wildcard);
            of.any(|of| of == wildcard).then(|| Mailbox::new(wildcard))
        };
        Self {
            mailboxes: [mailbox(false), mailbox(true)],
            out: Vec::with_capacity(USUAL_ANSWERS),
            worker: Worker::new(&shared.metrics),
            sockets,
            shared,
        }
    }

    /// Reads and answers until it is told to stop. A defect that a packet brings to light costs its batch: without its
    /// worker a socket would swallow its share of all queries from then on.
    fn serve(mut self, stop: &AtomicBool) {
        let sockets = std::mem::take(&mut self.sockets);
        // A batch begins anew with all it uses, so nothing half done is seen by the next.
        while catch_unwind(AssertUnwindSafe(|| self.serve_until(&sockets, stop))).is_err() {
            tracing::error!("a batch of DNS queries was given up: a defect");
            thread::sleep(AFTER_ERROR);
        }
        for (socket, kind) in &sockets {
            let mut batches = 0..LAST_BATCHES;
            while batches.next().is_some() && self.batch(socket, *kind, false) > 0 {}
        }
    }

    fn serve_until(&mut self, sockets: &[(Arc<UdpSocket>, Kind)], stop: &AtomicBool) {
        match sockets {
            [(socket, kind)] => {
                while !stop.load(Ordering::Acquire) {
                    self.batch(socket, *kind, true);
                }
            }
            several => self.serve_several(several, stop),
        }
    }

    fn serve_several(&mut self, sockets: &[(Arc<UdpSocket>, Kind)], stop: &AtomicBool) {
        let glance = PollTimeout::try_from(GLANCE).unwrap_or(PollTimeout::ZERO);
        let mut ready: Vec<PollFd<'_>> = sockets
            .iter()
            .map(|(socket, _)| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
            .collect();
        let mut is_busy = false;
        while !stop.load(Ordering::Acquire) {
            // Where a whole batch came there is more: the sockets are asked without asking which.
            if !is_busy && poll(&mut ready, glance).is_err_and(|error| error != nix::Error::EINTR) {
                thread::sleep(AFTER_ERROR);
            }
            let was_busy = std::mem::take(&mut is_busy);
            for ((socket, kind), ready) in sockets.iter().zip(&ready) {
                if was_busy || ready.any().unwrap_or(true) {
                    is_busy |= self.batch(socket, *kind, false) == BATCH;
                }
            }
        }
    }

    /// Answers what has come to a socket; how many datagrams that were.
    fn batch(&mut self, socket: &UdpSocket, kind: Kind, wait: bool) -> usize {
        let Some(mailbox) = &mut self.mailboxes[usize::from(kind.wildcard)] else {
            return 0;
        };
        let received = match mailbox.receive(socket, wait) {
            Ok(received) => received,
            Err(error) => {
                rest_after(&error);
                return 0;
            }
        };
        self.out.clear();
        let (out, shared) = (&mut self.out, &*self.shared);
        shared.batch(&mut self.worker, |batch| {
            // All waits for memory in a row: see `fast::ahead`.
            let mut ahead = [None; BATCH];
            if received > 1 && !kind.proxied {
                let packets = (0..received).filter_map(|i| Some((i, mailbox.datagram(i)?.0)));
                batch.look_ahead(packets, &mut ahead);
            }
            for i in 0..received {
                batch.ahead = ahead.get(i).copied().flatten();
                let begin = out.len();
                let Some((octets, peer)) = mailbox.datagram(i) else {
                    continue;
                };
                let asked = match kind.proxied {
                    false => Some((peer.ip(), octets)),
                    true => batch.proxied(octets, peer.ip()),
                };
                // Nobody can be told anything at port 0.
                match asked.filter(|_| peer.port() != 0) {
                    Some((client, packet)) => {
                        if batch.packet(packet, client, Transport::Udp, out) {
                            mailbox.reply(i, begin..out.len());
                        }
                    }
                    None => batch.ignore(Transport::Udp),
                }
            }
        });
        let counters = &self.worker.counters;
        mailbox.send(socket, &self.out, |error| {
            counters.send_error();
            tracing::debug!(%error, "an answer could not be sent");
        });
        received
    }
}

/// Nothing has come, or a signal, or the socket is broken: only that is worth a pause.
fn rest_after(error: &io::Error) {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {}
        _ => {
            tracing::debug!(%error, "a UDP socket cannot be read");
            thread::sleep(AFTER_ERROR);
        }
    }
}
