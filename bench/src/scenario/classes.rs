//! Clients sorted by what the stretches of a scenario promise them, so that a slice of time tells right
//! answers from wrong ones: each kind of client is asked for as a target of its own while the load goes
//! on, and counted with its target again afterwards.

use super::phases::{Outcomes, Phase};
use crate::asks::Asks;
use crate::record::{Measured, OTHER_OUTCOMES, Outcome, Slice, Timeline};
use crate::subject::Subject;
use std::collections::HashMap;
use steering::{Client, ServiceId};

/// The most kinds of clients told apart; clients of others are asked for and not judged.
const MAX_CLASSES: usize = 4_096;

/// The questions of a scenario on one plane.
pub(super) struct Classes {
    /// The questions as they were made.
    pub(super) plain: Asks,
    /// The same in the same order, with a target for each kind of client.
    pub(super) asks: Asks,
    /// The kinds, by the targets of `asks`.
    pub(super) kinds: Vec<Class>,
}

/// One kind of client that asks for one target.
pub(super) struct Class {
    /// The target: a position in the targets of `plain`.
    target: u16,
    /// The service that answers.
    pub(super) service: ServiceId,
    /// One of them.
    pub(super) client: Client,
    /// By phase: what may be given. Empty for those to whom no step makes a difference.
    promised: Vec<Outcomes>,
}

impl Class {
    /// What may be given in a phase.
    pub(super) fn promised(&self, phase: usize) -> Outcomes {
        self.promised.get(phase).copied().unwrap_or_default()
    }
}

impl Classes {
    /// Sorts the questions.
    pub(super) fn sort(subject: &Subject, plain: Asks, phases: &[Phase]) -> Self {
        let mut kinds: Vec<Class> = Vec::new();
        let mut numbers: HashMap<(u16, Vec<Outcomes>), u16> = HashMap::new();
        let mut questions = Vec::with_capacity(plain.list.len());
        for ask in &plain.list {
            let target = &plain.targets[usize::from(ask.target)];
            let name = &subject.services[target.service.index()].name;
            let mut promised: Vec<Outcomes> = phases
                .iter()
                .map(|phase| match phase.service(name) {
                    Some(service) => phase.possible(service, &ask.client, plain.plane),
                    None => Outcomes::default(),
                })
                .collect();
            let is_steady = promised.windows(2).all(|two| two[0] == two[1]);
            if is_steady || kinds.len() >= MAX_CLASSES {
                promised.clear();
            }
            let number = *numbers
                .entry((ask.target, promised.clone()))
                .or_insert_with(|| {
                    kinds.push(Class {
                        target: ask.target,
                        service: target.service,
                        client: ask.client,
                        promised,
                    });
                    (kinds.len() - 1) as u16
                });
            questions.push((number, ask.client));
        }
        let targets = kinds.iter();
        let targets = targets.map(|kind| plain.targets[usize::from(kind.target)].clone());
        let mut asks = Asks::listed(subject, plain.plane, targets.collect(), questions);
        asks.settled = plain.settled;
        Self { plain, asks, kinds }
    }

    /// What was measured, counted by the targets as they were made, in slices `wider` times as wide.
    pub(super) fn fold(&self, mut measured: Measured, wider: usize) -> Measured {
        let mut outcomes = vec![0; self.plain.targets.len() * Outcome::COUNT];
        for (i, kind) in self.kinds.iter().enumerate() {
            let to = usize::from(kind.target) * Outcome::COUNT;
            for outcome in 0..Outcome::COUNT {
                let from = measured.outcomes.get(i * Outcome::COUNT + outcome);
                outcomes[to + outcome] += from.copied().unwrap_or(0);
            }
        }
        measured.outcomes = outcomes;
        measured.cells = self.fold_cells(&measured);
        measured.timeline = measured
            .timeline
            .map(|timeline| self.fold_timeline(&timeline, wider.max(1)));
        measured
    }

    fn fold_cells(&self, measured: &Measured) -> Vec<u64> {
        let stride = self.plain.regions + OTHER_OUTCOMES;
        let mut cells = vec![0; self.plain.cells.len() * stride];
        let numbers = self.plain.cells.iter().enumerate();
        let numbers: HashMap<_, usize> = numbers.map(|(i, cell)| (*cell, i)).collect();
        for (i, cell) in self.asks.cells.iter().enumerate() {
            let mut plain = *cell;
            plain.target = self.kinds[usize::from(cell.target)].target;
            let Some(to) = numbers.get(&plain) else {
                continue;
            };
            for slot in 0..stride {
                let from = measured.cells.get(i * stride + slot);
                cells[to * stride + slot] += from.copied().unwrap_or(0);
            }
        }
        cells
    }

    fn fold_timeline(&self, timeline: &Timeline, wider: usize) -> Timeline {
        let slices = timeline.slices.chunks(wider);
        Timeline {
            width: timeline.width * wider as u32,
            slices: slices.map(|fine| self.fold_slices(fine)).collect(),
        }
    }

    fn fold_slices(&self, fine: &[Slice]) -> Slice {
        let targets = self.plain.targets.len();
        let mut whole = Slice::empty(self.plain.regions);
        for slice in fine {
            let mut counts = Slice {
                outcomes: Vec::new(),
                failed: Vec::new(),
                ..slice.clone()
            };
            let stride = slice.regions + OTHER_OUTCOMES;
            for (cell, answers) in slice.outcomes.iter().enumerate().filter(|(_, n)| **n > 0) {
                let target = usize::from(self.kinds[cell / stride].target);
                counts.outcomes.resize(targets * stride, 0);
                counts.outcomes[target * stride + cell % stride] += answers;
            }
            for (kind, failed) in slice.failed.iter().enumerate().filter(|(_, n)| **n > 0) {
                counts.failed.resize(targets, 0);
                counts.failed[usize::from(self.kinds[kind].target)] += failed;
            }
            whole.add(&counts);
        }
        whole
    }
}
