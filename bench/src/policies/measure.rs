//! One cell: real clients ask one snapshot, again and again, while the time is taken.

use super::Allocated;
use crate::clients::addresses;
use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use steering::draw::{below, mix};
use steering::{Client, LocationTable, ServiceId, Silent, Snapshot, Verdict, Want};

/// How many different clients ask.
pub(super) const CLIENTS: usize = 1 << 16;
/// Decisions that are timed as one. Small enough that some batches are undisturbed on a busy machine.
pub(super) const BATCH: usize = 1 << 8;
/// Batches that are timed in any case.
const MIN_BATCHES: usize = 4;
/// Batches after which no more are timed.
const MAX_BATCHES: usize = 1 << 20;
/// Decisions whose outcomes are counted; also the warm-up.
const TALLIED: usize = 1 << 11;

/// One decision to make.
pub(super) struct Question {
    service: ServiceId,
    client: Client,
    want: Want,
}

/// What came of decisions, as shares of them.
pub(super) struct Tally {
    pub(super) steered: f64,
    pub(super) pinned: f64,
}

/// How long decisions took, nanoseconds each.
pub(super) struct Pace {
    pub(super) decisions: u64,
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Clients from all over the location table.
pub(super) fn clients(geo: &LocationTable, seed: u64) -> Vec<IpAddr> {
    addresses(geo, CLIENTS, seed)
}

/// The clients, each for some service with some draw. Made beforehand, so that nothing but deciding is
/// timed.
pub(super) fn questions(clients: &[IpAddr], services: usize, seed: u64) -> Vec<Question> {
    let question = |(i, address): (usize, &IpAddr)| {
        let i = i as u64;
        Question {
            service: ServiceId::at(below(mix(i, seed ^ 3), services as u64) as usize),
            client: Client::from(*address),
            want: Want::dns(mix(i, seed ^ 4)),
        }
    };
    clients.iter().enumerate().map(question).collect()
}

pub(super) fn tally(snapshot: &Snapshot, questions: &[Question]) -> Tally {
    let asked = &questions[..TALLIED.min(questions.len())];
    let (mut steered, mut pinned) = (0_u32, 0_u32);
    for q in asked {
        let decision = snapshot.decide(q.service, &q.client, q.want, &mut Silent);
        steered += u32::from(decision.verdict == Verdict::Steered);
        pinned += u32::from(decision.pinned);
    }
    let share = |n: u32| f64::from(n) / asked.len().max(1) as f64;
    Tally {
        steered: share(steered),
        pinned: share(pinned),
    }
}

pub(super) fn timed(snapshot: &Snapshot, questions: &[Question], time: Duration) -> Pace {
    let until = Instant::now() + time;
    let mut batches: Vec<f64> = Vec::new();
    for batch in questions.chunks_exact(BATCH).cycle() {
        let started = Instant::now();
        decide(snapshot, batch);
        let ended = Instant::now();
        batches.push((ended - started).as_nanos() as f64 / BATCH as f64);
        let enough = batches.len() >= MIN_BATCHES && ended >= until;
        if enough || batches.len() >= MAX_BATCHES {
            break;
        }
    }
    batches.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = batches.len().saturating_sub(1);
        let position = (last as f64 * share).round() as usize;
        batches.get(position).copied().unwrap_or(0.0)
    };
    Pace {
        decisions: (batches.len() * BATCH) as u64,
        median: at(0.5),
        low: at(0.1),
        high: at(0.9),
    }
}

/// Bytes allocated a decision.
pub(super) fn allocated(snapshot: &Snapshot, questions: &[Question], allocated: Allocated) -> f64 {
    let asked = &questions[..TALLIED.min(questions.len())];
    let bytes = allocated(&mut || decide(snapshot, asked));
    bytes as f64 / asked.len().max(1) as f64
}

fn decide(snapshot: &Snapshot, questions: &[Question]) {
    for q in questions {
        black_box(snapshot.decide(q.service, &q.client, q.want, &mut Silent));
    }
}
