//! What came of a run: latencies, errors by kind, and where the answers went. A thread fills a
//! [`Recorder`] without locks or allocation a question; at the end they are merged into one
//! [`Measured`]. It counts and judges nothing.

mod outcome;

pub use outcome::{Answer, ErrorKind, MAX_REGIONS, OTHER_OUTCOMES, Outcome, RegionSet};

use crate::asks::{Ask, Asks};
use crate::procfs::Cpu;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest latency a histogram holds: a minute, in nanoseconds. Longer ones count as this.
const LONGEST: u64 = 60_000_000_000;
/// The most slices of a timeline; what comes later counts in the last one.
const MAX_SLICES: usize = 200_000;

/// What is known of one question after the run.
#[derive(Clone, Copy, Debug)]
pub struct AskRecord {
    /// Answers.
    pub answered: u32,
    /// Every region an answer named.
    pub regions: RegionSet,
    /// Answers that can be held against the policy: those while it was settled ([`Asks::settled`]).
    pub settled: u32,
    /// Every region one of those named.
    pub settled_regions: RegionSet,
    /// The least scope one of those told; 255 while none was.
    pub scope_min: u8,
    /// The greatest scope one of those told.
    pub scope_max: u8,
}

impl AskRecord {
    /// Of a question without an answer.
    pub const NONE: Self = Self {
        answered: 0,
        regions: RegionSet::EMPTY,
        settled: 0,
        settled_regions: RegionSet::EMPTY,
        scope_min: u8::MAX,
        scope_max: 0,
    };
}

/// A stretch of time.
#[derive(Clone, Debug)]
pub struct Slice {
    /// Answers by target and outcome: `target * (regions + OTHER_OUTCOMES) + outcome.slot(regions)`, empty
    /// while there is none.
    pub outcomes: Vec<u32>,
    /// Regions of the config, as in [`Asks::regions`].
    pub regions: usize,
    /// Failures by target; empty while there is none.
    pub failed: Vec<u32>,
    /// Answers.
    pub answered: u32,
    /// The sum of their latencies, nanoseconds.
    pub latency_sum: u64,
    /// The longest of them, nanoseconds.
    pub latency_max: u64,
}

/// Answers by time. A slice belongs to the moment an answer came.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// How long each slice is.
    pub width: Duration,
    /// From the start of the recording.
    pub slices: Vec<Slice>,
}

/// What one thread saw.
pub struct Recorder<'a> {
    asks: &'a Asks,
    pub(crate) latency: Histogram<u64>,
    answered: u64,
    errors: BTreeMap<ErrorKind, u64>,
    leaks: u64,
    outcomes: Vec<u64>,
    cells: Vec<u64>,
    records: Vec<AskRecord>,
    timeline: Option<Timeline>,
}

impl<'a> Recorder<'a> {
    /// For the questions of a run. `slice` as in [`Load`](crate::load::Load).
    pub fn new(asks: &'a Asks, slice: Option<Duration>) -> Self {
        Self {
            asks,
            latency: latencies(),
            answered: 0,
            errors: BTreeMap::new(),
            leaks: 0,
            outcomes: vec![0; asks.targets.len() * Outcome::COUNT],
            cells: vec![0; asks.cells.len() * (asks.regions + OTHER_OUTCOMES)],
            records: vec![AskRecord::NONE; asks.list.len()],
            timeline: slice.map(|width| Timeline {
                width,
                slices: Vec::new(),
            }),
        }
    }

    /// An answer to question `ask` came, `at` after the recording began, `latency` after it was due.
    pub fn answered(&mut self, ask: usize, at: Duration, latency: Duration, answer: Answer) {
        self.count(ask, at, latency, answer, true);
    }

    /// The same for an answer of an address family that not every region publishes: some are empty, which
    /// is not the policy's doing, so that it is held against nothing but its client's residency.
    pub fn answered_in_part(
        &mut self,
        ask: usize,
        at: Duration,
        latency: Duration,
        answer: Answer,
    ) {
        self.count(ask, at, latency, answer, false);
    }

    #[inline]
    fn count(&mut self, ask: usize, at: Duration, latency: Duration, answer: Answer, judged: bool) {
        let question: &Ask = &self.asks.list[ask];
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(LONGEST);
        self.latency.saturating_record(nanoseconds.max(1));
        self.answered += 1;
        self.leaks += u64::from(!answer.regions.is_within(question.allowed));
        let cell = usize::from(question.target) * Outcome::COUNT + answer.first.index();
        self.outcomes[cell] += 1;
        let record = &mut self.records[ask];
        record.answered += 1;
        record.regions = record.regions.union(answer.regions);
        if judged && at < self.asks.settled {
            let regions = self.asks.regions;
            let counted = question.cell as usize * (regions + OTHER_OUTCOMES);
            self.cells[counted + answer.first.slot(regions)] += 1;
            record.settled += 1;
            record.settled_regions = record.settled_regions.union(answer.regions);
            if let Some(scope) = answer.scope {
                record.scope_min = record.scope_min.min(scope);
                record.scope_max = record.scope_max.max(scope);
            }
        }
        let target = usize::from(question.target);
        let targets = self.asks.targets.len();
        if let Some(slice) = self.slice(at) {
            slice.count(targets, target, answer.first, 1);
            slice.answered += 1;
            slice.latency_sum += nanoseconds;
            slice.latency_max = slice.latency_max.max(nanoseconds);
        }
    }

    /// Question `ask` failed, `at` after the recording began.
    pub fn failed(&mut self, ask: usize, at: Duration, error: ErrorKind) {
        *self.errors.entry(error).or_default() += 1;
        let target = usize::from(self.asks.list[ask].target);
        let targets = self.asks.targets.len();
        if let Some(slice) = self.slice(at) {
            slice.failed.resize(targets, 0);
            slice.failed[target] += 1;
        }
    }

    fn slice(&mut self, at: Duration) -> Option<&mut Slice> {
        let regions = self.asks.regions;
        let timeline = self.timeline.as_mut()?;
        let position = (at.as_nanos() / timeline.width.as_nanos().max(1)) as usize;
        let position = position.min(MAX_SLICES - 1);
        if timeline.slices.len() <= position {
            timeline
                .slices
                .resize_with(position + 1, || Slice::empty(regions));
        }
        timeline.slices.get_mut(position)
    }
}

impl Slice {
    /// Of a config with this many regions; nothing came.
    pub fn empty(regions: usize) -> Self {
        Self {
            outcomes: Vec::new(),
            regions,
            failed: Vec::new(),
            answered: 0,
            latency_sum: 0,
            latency_max: 0,
        }
    }

    /// Answers of a target with an outcome.
    pub fn outcome(&self, target: usize, outcome: Outcome) -> u32 {
        let cell = target * (self.regions + OTHER_OUTCOMES) + outcome.slot(self.regions);
        self.outcomes.get(cell).copied().unwrap_or(0)
    }

    /// `more` answers of one of `targets` with an outcome came.
    pub fn count(&mut self, targets: usize, target: usize, outcome: Outcome, more: u32) {
        let stride = self.regions + OTHER_OUTCOMES;
        self.outcomes.resize(targets * stride, 0);
        self.outcomes[target * stride + outcome.slot(self.regions)] += more;
    }

    /// Takes in what came in another stretch of the same run.
    pub fn add(&mut self, other: &Self) {
        add_all(&mut self.outcomes, &other.outcomes);
        add_all(&mut self.failed, &other.failed);
        self.answered += other.answered;
        self.latency_sum += other.latency_sum;
        self.latency_max = self.latency_max.max(other.latency_max);
    }
}

/// What one run measured.
#[derive(Clone, Debug)]
pub struct Measured {
    /// How long it was recorded for.
    pub elapsed: Duration,
    /// Questions sent while recording.
    pub sent: u64,
    /// Answers.
    pub answered: u64,
    /// Nanoseconds; counted from the intended moment in an open loop.
    pub latency: Histogram<u64>,
    /// Questions without an answer that counts.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Answers that name a region which may not serve the client.
    pub leaks: u64,
    /// Answers by target and outcome: `target * Outcome::COUNT + outcome.index()`.
    pub outcomes: Vec<u64>,
    /// Answers that can be held against the policy, by [`Asks::cells`] and outcome:
    /// `cell * (regions + OTHER_OUTCOMES) + outcome.slot(regions)`.
    pub cells: Vec<u64>,
    /// By question.
    pub records: Vec<AskRecord>,
    /// By time.
    pub timeline: Option<Timeline>,
    /// Answers that may share one draw of the policy: 2 where each client asks for both address families,
    /// which name the same region, else 1.
    pub answers_a_draw: u32,
    /// What the generator itself spent.
    pub own_cpu: Cpu,
    /// Why the generator, not the server, may be what limited the run.
    pub limited: Option<String>,
}

impl Measured {
    /// One whole of what the threads saw.
    pub fn merge(recorders: Vec<Recorder<'_>>, elapsed: Duration, sent: u64, own_cpu: Cpu) -> Self {
        let mut all = recorders.into_iter();
        let mut whole = match all.next() {
            Some(first) => Self::from_one(first),
            None => Self::nothing(),
        };
        for recorder in all {
            whole.add(recorder);
        }
        Self {
            elapsed,
            sent,
            own_cpu,
            ..whole
        }
    }

    /// The same of a server that was not told who its clients are, or was asked for what is not there: its
    /// answers can be held against nothing.
    #[must_use]
    pub fn of_nobody(mut self) -> Self {
        self.leaks = 0;
        self.cells.fill(0);
        for record in &mut self.records {
            *record = AskRecord {
                answered: record.answered,
                ..AskRecord::NONE
            };
        }
        self
    }

    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Failures of all kinds.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Answers of a target with an outcome.
    pub fn outcome(&self, target: usize, outcome: Outcome) -> u64 {
        let cell = target * Outcome::COUNT + outcome.index();
        self.outcomes.get(cell).copied().unwrap_or(0)
    }

    fn nothing() -> Self {
        Self {
            elapsed: Duration::ZERO,
            sent: 0,
            answered: 0,
            latency: latencies(),
            errors: BTreeMap::new(),
            leaks: 0,
            outcomes: Vec::new(),
            cells: Vec::new(),
            records: Vec::new(),
            timeline: None,
            answers_a_draw: 1,
            own_cpu: Cpu::default(),
            limited: None,
        }
    }

    fn from_one(recorder: Recorder<'_>) -> Self {
        Self {
            answered: recorder.answered,
            latency: recorder.latency,
            errors: recorder.errors,
            leaks: recorder.leaks,
            outcomes: recorder.outcomes,
            cells: recorder.cells,
            records: recorder.records,
            timeline: recorder.timeline,
            ..Self::nothing()
        }
    }

    fn add(&mut self, other: Recorder<'_>) {
        self.answered += other.answered;
        self.leaks += other.leaks;
        // Both histograms have the same bounds, so this can't fail.
        let _ = self.latency.add(&other.latency);
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        add_all(&mut self.outcomes, &other.outcomes);
        add_all(&mut self.cells, &other.cells);
        for (mine, theirs) in self.records.iter_mut().zip(&other.records) {
            mine.answered += theirs.answered;
            mine.regions = mine.regions.union(theirs.regions);
            mine.settled += theirs.settled;
            mine.settled_regions = mine.settled_regions.union(theirs.settled_regions);
            mine.scope_min = mine.scope_min.min(theirs.scope_min);
            mine.scope_max = mine.scope_max.max(theirs.scope_max);
        }
        let (Some(mine), Some(theirs)) = (&mut self.timeline, other.timeline) else {
            return;
        };
        let slices = mine.slices.len().max(theirs.slices.len());
        let regions = mine.slices.first().map_or(0, |slice| slice.regions);
        let regions = theirs.slices.first().map_or(regions, |slice| slice.regions);
        mine.slices.resize_with(slices, || Slice::empty(regions));
        for (mine, theirs) in mine.slices.iter_mut().zip(&theirs.slices) {
            mine.add(theirs);
        }
    }
}

/// Up to a minute, to three figures.
fn latencies() -> Histogram<u64> {
    // Constant bounds that the library accepts; the fallback can't be reached, and is no panic.
    Histogram::new_with_bounds(1, LONGEST, 3)
        .or_else(|_| Histogram::new(1))
        .unwrap_or_else(|_| unreachable!("the bounds of the histogram are constants"))
}

fn add_all<T: Copy + Default + std::ops::AddAssign>(mine: &mut Vec<T>, theirs: &[T]) {
    if mine.len() < theirs.len() {
        mine.resize(theirs.len(), T::default());
    }
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine += *theirs;
    }
}
