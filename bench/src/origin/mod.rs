//! Origins to steer to: fast stand-ins that can be failed in several ways. One thread serves any number
//! of them from bytes made at their start, so that a proxy in front is what a benchmark measures.
//!
//! | request | answer, with `x-region: NAME` |
//! |---|---|
//! | a health path of the spec | the status and body of the spec |
//! | `/bytes?n=N` | N zero bytes, at most 1 GiB; 1,000 without a number |
//! | any other | 200, `{"region":"NAME"}` |
//!
//! HTTP/1.1, kept alive and pipelined, over TCP or TLS. Request bodies are read and dropped. An answer
//! has no Date. They know no config, no table and no health check: they are as they were told to be.

mod answer;
mod body;
mod connection;
mod exchange;
mod head;
mod server;
#[cfg(test)]
mod tests;
pub mod tls;

use parking_lot::Mutex;
use rustls::ServerConfig;
use server::{Command, Server};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use steering::health::ProbeHttp;

/// The most origins of one thread.
pub const MAX_ORIGINS: usize = 1_024;
/// How many of the latest probes are kept for each origin.
pub const MAX_PROBES: usize = 4_096;
/// How long a change of condition may take.
const OBEYED_WITHIN: Duration = Duration::from_secs(5);

/// One origin to start.
#[derive(Clone, Debug)]
pub struct OriginSpec {
    /// The region it says it is in.
    pub region: Arc<str>,
    /// Where it listens; port 0 for any.
    pub listen: SocketAddr,
    /// Where it is asked for its health, and what it answers. Without any, a connection that is closed
    /// without a word counts as a probe.
    pub health: Vec<HealthPath>,
    /// Speaks TLS with this; plain text without. The ALPN should be `http/1.1`.
    pub tls: Option<Arc<ServerConfig>>,
}

/// How an origin that is up answers one health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthPath {
    /// The path, with the query where the check asks with one.
    pub path: String,
    /// The status the check expects, 200 to 599.
    pub status: u16,
    /// Text the check expects in the body.
    pub body: String,
}

impl HealthPath {
    /// The answer that passes this check.
    pub fn expected_by(check: &ProbeHttp) -> Self {
        // A final status: what is below is none (RFC 9110 §15.2).
        let status = check
            .statuses
            .iter()
            .map(|(first, last)| (*first).max(200).min(*last));
        Self {
            path: check.path.to_string(),
            status: status.filter(|status| *status >= 200).min().unwrap_or(200),
            body: check.body.as_deref().unwrap_or("ok").to_owned(),
        }
    }
}

/// How an origin is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// It serves.
    #[default]
    Up,
    /// It answers 503 to everything, its health included. A check that only connects sees nothing.
    Failing,
    /// Nothing listens, and the connections there are have been reset. Probes fail unseen.
    Refusing,
    /// It accepts connections and resets each with its first request.
    Resetting,
    /// It accepts and reads, and never answers. Connections on which something was left unanswered are
    /// reset when it gets better.
    Silent,
}

/// A health check that came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When it was read.
    pub at: Instant,
    /// Whether it was answered as expected.
    pub passed: bool,
}

/// The latest probes of one origin.
#[derive(Debug, Default)]
struct Probes(Mutex<VecDeque<Probe>>);

impl Probes {
    fn record(&self, passed: bool) {
        let mut ring = self.0.lock();
        if ring.len() >= MAX_PROBES {
            ring.pop_front();
        }
        ring.push_back(Probe {
            at: Instant::now(),
            passed,
        });
    }
}

/// What the thread and its owner both see of one origin.
#[derive(Debug, Default)]
struct Shared {
    probes: Probes,
    answered: AtomicU64,
}

/// Running origins, by their positions in the list they were started from. They end when this is
/// dropped.
#[derive(Debug)]
pub struct Origins {
    addresses: Vec<SocketAddr>,
    shared: Vec<Arc<Shared>>,
    commands: Sender<Command>,
    waker: mio::Waker,
    thread: Option<JoinHandle<()>>,
}

impl Origins {
    /// Starts them, all up, on a thread of their own; on this processor when one is given.
    ///
    /// # Errors
    /// When there are more than [`MAX_ORIGINS`], one can't listen where it should or serve what it
    /// should, or the processor is not there.
    pub fn start(specs: Vec<OriginSpec>, processor: Option<usize>) -> io::Result<Self> {
        if specs.len() > MAX_ORIGINS {
            let what = format!("{} origins; one thread serves {MAX_ORIGINS}", specs.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let shared: Vec<Arc<Shared>> = specs.iter().map(|_| Arc::default()).collect();
        let (commands, obeyed) = channel();
        let (server, waker) = Server::new(specs, &shared, obeyed)?;
        let addresses = server.addresses();
        let (pinned, was_pinned) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("origins".to_owned())
            .spawn(move || {
                let outcome = processor.map_or(Ok(()), pin);
                let good = outcome.is_ok();
                // The starter waits for this word.
                let _ = pinned.try_send(outcome);
                if good {
                    server.run();
                }
            })?;
        let origins = Self {
            addresses,
            shared,
            commands,
            waker,
            thread: Some(thread),
        };
        was_pinned
            .recv_timeout(OBEYED_WITHIN)
            .map_err(io::Error::other)??;
        Ok(origins)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty()
    }

    /// Where one listens, in every condition.
    ///
    /// # Panics
    /// When it is not there.
    pub fn address(&self, origin: usize) -> SocketAddr {
        self.addresses[origin]
    }

    /// From now on this one is so: when this returns, it holds.
    ///
    /// # Errors
    /// When it is not there, or its listener can't be opened again.
    pub fn set(&self, origin: usize, condition: Condition) -> io::Result<()> {
        if origin >= self.len() {
            let what = format!("origin {origin} of {}", self.len());
            return Err(io::Error::new(io::ErrorKind::NotFound, what));
        }
        let (done, outcome) = sync_channel(1);
        let command = Command::Set(origin, condition, done);
        self.commands.send(command).map_err(io::Error::other)?;
        self.waker.wake()?;
        outcome
            .recv_timeout(OBEYED_WITHIN)
            .map_err(io::Error::other)?
    }

    /// The latest probes of one, at most [`MAX_PROBES`], in order.
    ///
    /// # Panics
    /// When it is not there.
    pub fn probes(&self, origin: usize) -> Vec<Probe> {
        self.shared[origin]
            .probes
            .0
            .lock()
            .iter()
            .copied()
            .collect()
    }

    /// Requests that one has answered, health checks included.
    ///
    /// # Panics
    /// When it is not there.
    pub fn answered(&self, origin: usize) -> u64 {
        self.shared[origin].answered.load(Ordering::Relaxed)
    }
}

impl Drop for Origins {
    fn drop(&mut self) {
        // Both fail only when the thread has ended already.
        let _ = self.commands.send(Command::Stop);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the origins panicked");
        }
    }
}

/// Keeps the calling thread on one processor.
#[cfg(target_os = "linux")]
fn pin(processor: usize) -> io::Result<()> {
    let mut set = nix::sched::CpuSet::new();
    set.set(processor)?;
    Ok(nix::sched::sched_setaffinity(
        nix::unistd::Pid::from_raw(0),
        &set,
    )?)
}

#[cfg(not(target_os = "linux"))]
fn pin(_: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
