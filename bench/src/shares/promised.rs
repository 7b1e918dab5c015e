//! What the policy promises each client, learnt by asking it: once where chance has no part, and by
//! drawing in proportion to the answers where it has. It compares nothing.

use crate::asks::Asks;
use crate::record::{Measured, OTHER_OUTCOMES, RegionSet};
use crate::subject::Subject;
use steering::draw::mix;
use steering::recorder::{Recorder, Step};
use steering::table::NodeKind;
use steering::{Client, Plane, ServiceId, Table, Want};

/// The most decisions drawn for one judgement, about; half a minute of a debug build, a second or two of a
/// release build.
const MAX_DECISIONS: f64 = 6e6;
/// How many decisions are drawn for an answer, unless that would be too many.
const DRAWS_PER_ANSWER: f64 = 4.0;

/// What one client is promised.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Promised {
    /// Always the same: its slot, and the regions its answer names.
    Fixed {
        /// The position of the outcome.
        slot: usize,
        /// What the answer names.
        regions: RegionSet,
    },
    /// By chance: how often each outcome was drawn.
    Drawn {
        /// Slots with their counts, each slot once.
        hits: Vec<(usize, u32)>,
        /// All draws.
        draws: u32,
    },
    /// By what the server measures or by its load.
    Unknowable,
}

/// Asks the policy.
pub(super) struct Sampler<'a> {
    pub(super) subject: &'a Subject,
    plane: Plane,
    regions: usize,
    seed: u64,
    draws_per_answer: f64,
    /// How many decisions were asked for.
    pub(super) decisions: u64,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(subject: &'a Subject, asks: &Asks, measured: &Measured, seed: u64) -> Self {
        let answers: f64 = measured.records.iter().map(|r| f64::from(r.settled)).sum();
        Self {
            subject,
            plane: asks.plane,
            regions: asks.regions,
            seed,
            draws_per_answer: (MAX_DECISIONS / answers.max(1.0)).min(DRAWS_PER_ANSWER),
            decisions: 0,
        }
    }

    /// How many outcomes are told apart.
    pub(super) fn slots(&self) -> usize {
        self.regions + OTHER_OUTCOMES
    }

    /// The outcomes that a service has at all: the regions its policies name, a refusal and nothing.
    pub(super) fn possible(&self, service: ServiceId) -> Vec<bool> {
        let table = self.subject.snapshot.table();
        let mut possible = vec![false; self.slots()];
        let Some(service) = table.services().get(service.index()) else {
            return possible;
        };
        let roots = match self.plane {
            Plane::Dns => service.dns,
            Plane::Http => service.http,
        };
        for root in [roots.free, roots.pinned] {
            for pool in table.reachable(root) {
                let region = table.pools()[pool.index()].region;
                possible[region.index().min(self.regions)] = true;
            }
        }
        // The last one is elsewhere: no policy sends anyone there.
        possible[self.regions..self.regions + OTHER_OUTCOMES - 1].fill(true);
        possible
    }

    /// What a client that got `answers` answers is promised.
    pub(super) fn promised(
        &mut self,
        service: ServiceId,
        client: &Client,
        answers: u32,
    ) -> Promised {
        let mut grounds = Grounds::new(self.subject.snapshot.table(), self.plane);
        let want = self.want();
        self.subject
            .snapshot
            .decide(service, client, want, &mut grounds);
        let answer = self.subject.promise_whole(service, client, want);
        // Where a list of several regions is chosen from by load, the first one says little.
        let by_load = self.plane == Plane::Http && answer.regions.iter().nth(1).is_some();
        if grounds.measured || by_load {
            return Promised::Unknowable;
        }
        let slot = answer.first.slot(self.regions);
        if !grounds.chance {
            return Promised::Fixed {
                slot,
                regions: answer.regions,
            };
        }
        let draws = (f64::from(answers) * self.draws_per_answer).ceil().max(2.0) as u32;
        let mut hits = vec![(slot, 1)];
        for _ in 1..draws {
            let want = self.want();
            let outcome = self.subject.promise(service, client, want);
            let slot = outcome.slot(self.regions);
            match hits.iter_mut().find(|(s, _)| *s == slot) {
                Some((_, count)) => *count += 1,
                None => hits.push((slot, 1)),
            }
        }
        Promised::Drawn { hits, draws }
    }

    fn want(&mut self) -> Want {
        self.decisions += 1;
        Want {
            plane: self.plane,
            draw: mix(self.decisions, self.seed),
            family: None,
        }
    }
}

/// Listens in on one decision for what it was made by.
struct Grounds<'a> {
    table: &'a Table,
    plane: Plane,
    /// A draw was consulted.
    chance: bool,
    /// A measurement of the server's own was consulted.
    measured: bool,
}

impl<'a> Grounds<'a> {
    fn new(table: &'a Table, plane: Plane) -> Self {
        Self {
            table,
            plane,
            chance: false,
            measured: false,
        }
    }
}

impl Recorder for Grounds<'_> {
    const LISTENS: bool = true;

    fn record(&mut self, step: Step) {
        let Step::Enter(node) = step else { return };
        let Some(node) = self.table.nodes().get(node.index()) else {
            return;
        };
        let choice = self.table.children(node).len() > 1;
        match node.kind {
            NodeKind::Weighted { sticky: false } | NodeKind::Multivalue { .. } => {
                self.chance |= choice;
            }
            NodeKind::Latency { .. } => self.measured |= choice && self.plane == Plane::Http,
            _ => {}
        }
    }
}
