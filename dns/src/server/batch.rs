//! A batch: packets that are answered from one snapshot by one worker, and counted. The one place where
//! a packet of any transport becomes a response.
//!
//! What never happens here: nothing is read from or written to a socket, and nothing waits.

use super::clock::Moment;
use super::{Shared, door, proxied};
use crate::cookie::Status;
use crate::fast::{self, Ahead, Given};
use crate::limit::{self, Ruling};
use crate::logged::Logged;
use crate::metrics::{Counters, Limited, Metrics, TIMED_ONE_IN};
use crate::query::{Arrival, Query, Transport};
use crate::respond::{Outcome, Rules, Summary, respond_into};
use crate::rtype::RType;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steering::Snapshot;
use steering::draw::mix;

/// Sets the draws that pick queries for the log apart from others.
const LOG: u64 = 0x006c_6f67;

/// What belongs to one thread (or is lent to one for the length of a batch), so that counting and drawing
/// need no lock.
pub(super) struct Worker {
    draws: Draws,
    pub(super) counters: Counters,
}

/// Packets answered from one snapshot. Made by [`Shared::batch`] and [`Shared::turn`].
pub(super) struct Batch<'a> {
    shared: &'a Shared,
    snapshot: &'a Snapshot,
    rules: &'a Rules,
    worker: &'a mut Worker,
    now: Moment,
    /// What was looked up ahead for the next packet.
    pub(super) ahead: Option<Ahead>,
}

impl Worker {
    pub(super) fn new(metrics: &Arc<Metrics>) -> Self {
        Self {
            draws: Draws::new(),
            counters: metrics.counters(),
        }
    }
}

impl Shared {
    /// Loads the snapshot once, and lets `answer` answer any number of packets from it. Short: a snapshot is
    /// held meanwhile.
    pub(super) fn batch<R>(
        &self,
        worker: &mut Worker,
        answer: impl FnOnce(&mut Batch<'_>) -> R,
    ) -> R {
        let snapshot = self.reader.load();
        worker.counters.begin(&snapshot);
        let rules = Rules::of(&snapshot);
        let mut batch = Batch {
            shared: self,
            snapshot: &snapshot,
            rules,
            worker,
            now: self.clock.now(),
            ahead: None,
        };
        let answered = answer(&mut batch);
        batch.worker.counters.tell(&snapshot, &*self.observe);
        answered
    }

    /// [`Shared::batch`] for tasks of the runtime, with a worker that is lent for it.
    pub(super) fn turn<R>(&self, answer: impl FnOnce(&mut Batch<'_>) -> R) -> R {
        self.workers.lend(|worker| self.batch(worker, answer))
    }
}

impl Batch<'_> {
    /// Looks up for packets, by their positions, what takes long and can wait together: see [`fast::ahead`].
    pub(super) fn look_ahead<'p>(
        &self,
        packets: impl Iterator<Item = (usize, &'p [u8])>,
        found: &mut [Option<Ahead>],
    ) {
        fast::ahead(self.snapshot, packets, self.rules, found);
    }

    /// How packets are answered.
    pub(super) fn rules(&self) -> &Rules {
        self.rules
    }

    /// Answers one packet into `out`, behind what is there, and counts it. `false`: there is no response.
    pub(super) fn packet(
        &mut self,
        packet: &[u8],
        peer: IpAddr,
        transport: Transport,
        out: &mut Vec<u8>,
    ) -> bool {
        self.exchange(packet, peer, transport, out) != Outcome::Dropped
    }

    /// The same, for those who ask what became of it.
    pub(super) fn exchange(
        &mut self,
        packet: &[u8],
        peer: IpAddr,
        transport: Transport,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let Self {
            shared,
            snapshot,
            rules,
            ..
        } = *self;
        let begin = out.len();
        let fresh = self.worker.draws.next();
        let now = self.now;
        // The clock is read for few: it would cost more than a static answer does.
        let timed = fresh.is_multiple_of(TIMED_ONE_IN);
        // Drawn apart from what is timed and decided by.
        let logged =
            rules.log_one_in != 0 && mix(fresh, LOG).is_multiple_of(u64::from(rules.log_one_in));
        let started = (timed || logged).then(Instant::now);
        let draw = |client: IpAddr, name: &[u8], rtype: RType| {
            shared.pairs.draw(client, name, rtype, fresh, now.elapsed)
        };
        let arrival = Arrival {
            peer,
            transport,
            now: now.unix,
            // Only told over TCP (RFC 7828 §3.2.1).
            idle: (transport != Transport::Udp).then(|| shared.places.idle(&rules.connections)),
        };
        let given = Given {
            fresh,
            ahead: self.ahead.take(),
        };
        let outcome = fast::offer(snapshot, packet, &arrival, rules, given, draw, out)
            .unwrap_or_else(|| respond_into(snapshot, packet, &arrival, rules, draw, out));
        let took = started.map_or(Duration::ZERO, |started| started.elapsed());
        if timed {
            self.worker.counters.time(took);
        }
        self.worker
            .counters
            .count(transport, &outcome, snapshot, &*shared.observe);
        match &outcome {
            Outcome::Answered(summary) => log(snapshot, packet, peer, transport, summary),
            Outcome::Notified(notified) => shared.observe.on_notify(snapshot, *notified),
            Outcome::Rejected(_) | Outcome::Dropped => {}
        }
        let limited = match &rules.rate_limit {
            Some(limit) if transport == Transport::Udp && may_be_spoofed(&outcome) => {
                self.limit(limit, peer, &outcome, begin, out)
            }
            _ => None,
        };
        if logged {
            shared.observe.on_query(&Logged {
                snapshot,
                packet,
                peer,
                transport,
                outcome: &outcome,
                limited,
                size: out.len() - begin,
                took,
            });
        }
        match limited {
            Some(Limited::Dropped) => Outcome::Dropped,
            _ => outcome,
        }
    }

    /// Takes the PROXY header off a datagram: who asks (the front end itself, if it says so), and what. `None`
    /// when there is none, or not from one of those who may say.
    pub(super) fn proxied<'p>(&self, octets: &'p [u8], peer: IpAddr) -> Option<(IpAddr, &'p [u8])> {
        let (client, packet) = proxied::datagram(octets)
            .filter(|_| door::is_trusted(peer, &self.rules.trusted_proxies))?;
        Some((client.unwrap_or(peer), packet))
    }

    /// Counts one packet that is not even looked at.
    pub(super) fn ignore(&mut self, transport: Transport) {
        let (snapshot, observe) = (self.snapshot, &*self.shared.observe);
        let counters = &mut self.worker.counters;
        counters.count(transport, &Outcome::Dropped, snapshot, observe);
    }

    /// Holds the response behind `begin` to its rate, and says what that did to it.
    fn limit(
        &self,
        rules: &limit::Rules,
        client: IpAddr,
        outcome: &Outcome,
        begin: usize,
        out: &mut Vec<u8>,
    ) -> Option<Limited> {
        let response = limit::Response {
            client,
            octets: out.get_mut(begin..).unwrap_or_default(),
            covered: match outcome {
                Outcome::Answered(summary) => summary.covered,
                Outcome::Rejected(_) | Outcome::Notified(_) | Outcome::Dropped => 0,
            },
        };
        let ruling = self.shared.limiter.rule(rules, response, self.now.elapsed);
        match ruling {
            Ruling::Pass | Ruling::DryRun => {}
            Ruling::Drop => out.truncate(begin),
            Ruling::Slip(length) => out.truncate(begin + length),
        }
        ruling
            .limited()
            .inspect(|limited| self.worker.counters.limited(*limited))
    }
}

/// Whether there is a response, and nobody knows that it goes to who asked: a valid cookie tells that
/// (RFC 7873 §5.2.5).
fn may_be_spoofed(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Dropped => false,
        Outcome::Rejected(_) | Outcome::Notified(_) => true,
        Outcome::Answered(summary) => summary.cookie != Status::Valid,
    }
}

/// For debugging only: the packet is read once more.
fn log(snapshot: &Snapshot, packet: &[u8], peer: IpAddr, transport: Transport, summary: &Summary) {
    if !tracing::enabled!(target: "rhumb::dns::query", tracing::Level::DEBUG) {
        return;
    }
    let name = Query::read(packet, peer, transport, false).map(|query| query.name);
    tracing::debug!(
        target: "rhumb::dns::query",
        client = %peer,
        transport = transport.name(),
        name = name.as_ref().map(tracing::field::display),
        rtype = %summary.rtype,
        rcode = summary.rcode.name(),
        verdict = summary.decided.map(|decided| decided.verdict.name()),
        scope = summary.scope,
        generation = snapshot.generation(),
        "answered"
    );
}

/// Where a worker's draws come from: a counter, mixed with a seed of its own.
struct Draws {
    seed: u64,
    count: u64,
}

impl Draws {
    fn new() -> Self {
        // The standard library's hash keys are random for each process and differ for each instance.
        Self {
            seed: RandomState::new().hash_one(0_u64),
            count: 0,
        }
    }

    fn next(&mut self) -> u64 {
        self.count = self.count.wrapping_add(1);
        mix(self.count, self.seed)
    }
}
