//! What is promised to a group of clients and what they got, side by side by outcome, and how strange the
//! difference is. It does not know who they are.

use super::ChiSquare;
use super::promised::Promised;
use super::stats;
use crate::record::AskRecord;

/// Counts of one group, by slot of the outcome.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Answers that came.
    observed: Vec<u64>,
    /// Answers that are promised without chance.
    fixed: Vec<u64>,
    /// How often each was drawn.
    drawn: Vec<u64>,
    /// Answers that are promised by chance: the mean.
    expected: Vec<f64>,
    /// The covariance of observed less expected, the noise of the estimate included.
    covariance: Vec<Vec<f64>>,
    /// Decisions drawn for an answer: the least and the most of any client.
    draws_per_answer: (f64, f64),
    /// Answers that may come of one draw of the server.
    answers_a_draw: f64,
    /// Answers in which chance has a part.
    by_chance: u64,
    /// Clients without chance that got something else.
    astray: u64,
    /// Whether some of it can't be known from outside.
    pub(super) unknowable: bool,
}

/// One outcome that is not what was promised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finding {
    /// Which outcome.
    pub(super) slot: usize,
    /// How often chance gives as much, at most.
    pub(super) p: f64,
    /// Standard deviations from its promise, on either side.
    pub(super) deviations: f64,
    /// Answers that can't be.
    pub(super) impossible: u64,
}

impl Finding {
    /// Whether this is farther from its promise than `other`: impossible answers first, then what chance
    /// explains least.
    pub(super) fn is_worse_than(&self, other: &Self) -> bool {
        let by_p = other.p.total_cmp(&self.p);
        let by_deviations = self.deviations.total_cmp(&other.deviations);
        let by_count = self.impossible.cmp(&other.impossible);
        by_count.then(by_p).then(by_deviations).is_gt()
    }
}

/// What is said of a group.
#[derive(Clone, Debug)]
pub(super) struct Judgement {
    /// Against chance; `None` where chance has no part.
    pub(super) chi_square: Option<ChiSquare>,
    /// How often a right server looks as strange; `None` where chance has no part.
    pub(super) p: Option<f64>,
    /// Answers that can't be.
    pub(super) impossible: u64,
    /// The outcome that is farthest from its promise.
    pub(super) worst: Option<Finding>,
}

impl Tally {
    /// For so many outcomes, where so many answers may come of one draw.
    pub(super) fn new(slots: usize, answers_a_draw: f64) -> Self {
        Self {
            answers_a_draw,
            observed: vec![0; slots],
            fixed: vec![0; slots],
            drawn: vec![0; slots],
            expected: vec![0.0; slots],
            covariance: vec![vec![0.0; slots]; slots],
            draws_per_answer: (f64::INFINITY, 0.0),
            by_chance: 0,
            astray: 0,
            unknowable: false,
        }
    }

    /// Answers that came.
    pub(super) fn answers(&self) -> u64 {
        self.observed.iter().sum()
    }

    pub(super) fn observed(&self, slot: usize) -> u64 {
        self.observed[slot]
    }

    /// Answers that are promised.
    pub(super) fn expected(&self, slot: usize) -> f64 {
        self.fixed[slot] as f64 + self.expected[slot]
    }

    /// Standard deviations between the two; `None` where there is no chance.
    pub(super) fn deviations(&self, slot: usize) -> Option<f64> {
        let variance = self.covariance[slot][slot];
        let difference = self.observed[slot] as f64 - self.expected(slot);
        (variance > 0.0).then(|| difference / variance.sqrt())
    }

    /// What one client is promised for the answers it got.
    pub(super) fn expect(&mut self, record: &AskRecord, promised: &Promised, regions: usize) {
        match promised {
            Promised::Unknowable => self.unknowable = true,
            Promised::Fixed { slot, regions: all } => {
                self.fixed[*slot] += u64::from(record.settled);
                let nowhere = *slot < regions && record.settled_regions.is_empty();
                let astray = nowhere || !record.settled_regions.is_within(*all);
                self.astray += u64::from(astray);
            }
            Promised::Drawn { hits, draws } => self.expect_drawn(record.settled, hits, *draws),
        }
    }

    /// A client with `answers` answers, of whose `draws` draws these fell on each outcome. The variance is
    /// that of the answers and that of the estimate (each share is known to 1/draws only), without bias.
    fn expect_drawn(&mut self, answers: u32, hits: &[(usize, u32)], draws: u32) {
        let (n, k) = (f64::from(answers), f64::from(draws));
        let per_answer = k / n;
        self.draws_per_answer.0 = self.draws_per_answer.0.min(per_answer);
        self.draws_per_answer.1 = self.draws_per_answer.1.max(per_answer);
        self.by_chance += u64::from(answers);
        let scale = n * (self.answers_a_draw + n / k) * k / (k - 1.0).max(1.0);
        for (slot, count) in hits {
            let p = f64::from(*count) / k;
            self.drawn[*slot] += u64::from(*count);
            self.expected[*slot] += n * p;
            self.covariance[*slot][*slot] += scale * p;
            for (other, also) in hits {
                self.covariance[*slot][*other] -= scale * p * f64::from(*also) / k;
            }
        }
    }

    /// What the clients of the group got.
    pub(super) fn observe(&mut self, counts: &[u64]) {
        for (mine, count) in self.observed.iter_mut().zip(counts) {
            *mine += count;
        }
    }

    /// Two groups as one.
    pub(super) fn add(&mut self, other: &Self) {
        self.observe(&other.observed);
        for slot in 0..self.observed.len() {
            self.fixed[slot] += other.fixed[slot];
            self.drawn[slot] += other.drawn[slot];
            self.expected[slot] += other.expected[slot];
            for also in 0..self.observed.len() {
                self.covariance[slot][also] += other.covariance[slot][also];
            }
        }
        let (least, most) = other.draws_per_answer;
        self.draws_per_answer.0 = self.draws_per_answer.0.min(least);
        self.draws_per_answer.1 = self.draws_per_answer.1.max(most);
        self.answers_a_draw = self.answers_a_draw.max(other.answers_a_draw);
        self.by_chance += other.by_chance;
        self.astray += other.astray;
    }

    /// How strange it is. `possible` says which outcomes the policy has at all.
    pub(super) fn judge(&self, possible: &[bool]) -> Judgement {
        if self.unknowable || self.answers() == 0 {
            return Judgement {
                chi_square: None,
                p: None,
                impossible: 0,
                worst: None,
            };
        }
        let findings = (0..self.observed.len()).map(|slot| self.finding(slot, possible));
        let findings: Vec<Finding> = findings.collect();
        let too_many = |f: &&Finding| self.observed[f.slot] as f64 > self.expected(f.slot);
        let impossible: u64 = findings.iter().filter(too_many).map(|f| f.impossible).sum();
        let missing: u64 = findings.iter().map(|f| f.impossible).sum::<u64>() - impossible;
        let (chi_square, p) = self.against_chance(&findings);
        let strangest = findings
            .into_iter()
            .filter(|f| f.impossible > 0 || f.deviations > 0.0)
            .reduce(|a, b| if b.is_worse_than(&a) { b } else { a });
        Judgement {
            chi_square,
            p,
            impossible: impossible.max(missing).max(self.astray),
            worst: strangest,
        }
    }

    fn finding(&self, slot: usize, possible: &[bool]) -> Finding {
        let (observed, fixed) = (self.observed[slot], self.fixed[slot]);
        let more = observed.saturating_sub(fixed);
        let fewer = fixed.saturating_sub(observed);
        let no_chance = self.by_chance == 0 || !possible[slot];
        let (least, most) = self.draws_per_answer;
        let p = if self.by_chance == 0 {
            1.0
        } else {
            let (drawn, alike) = (self.drawn[slot], self.answers_a_draw);
            stats::tail(more, drawn, (least, most), alike)
        };
        Finding {
            slot,
            p,
            deviations: self.deviations(slot).map_or(0.0, f64::abs),
            impossible: fewer + if no_chance { more } else { 0 },
        }
    }

    /// A verdict against chance needs both tests where counts are many: chi-square weighs all outcomes at
    /// once but is too eager in far tails; the bound on each outcome's tail is never too eager. Where
    /// counts are few there is the bound alone.
    fn against_chance(&self, findings: &[Finding]) -> (Option<ChiSquare>, Option<f64>) {
        if self.by_chance == 0 {
            return (None, None);
        }
        let slots = 0..self.observed.len();
        let difference: Vec<f64> = slots
            .map(|slot| self.observed[slot] as f64 - self.expected(slot))
            .collect();
        let chi_square = stats::chi_square(&difference, &self.covariance, &self.expected);
        let seen = |f: &&Finding| self.drawn[f.slot] + self.observed[f.slot] > self.fixed[f.slot];
        let count = findings.iter().filter(seen).count().max(1) as f64;
        let bound = |few: bool| {
            let some = findings
                .iter()
                .filter(|f| (self.expected[f.slot] < 5.0) == few);
            let least = some.map(|f| f.p).fold(1.0, f64::min);
            (least * count).min(1.0)
        };
        let by_both = chi_square.map_or(1.0, |test| test.p.max(bound(false)));
        // Where nothing is expected often, the tails are all there is.
        let by_tail = bound(true);
        (chi_square, Some((2.0 * by_both.min(by_tail)).min(1.0)))
    }
}
