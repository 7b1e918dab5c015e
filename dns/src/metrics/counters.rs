//! One thread's counters. Nobody else writes them, so an increment is a load, an addition and a store.
//!
//! What never happens here: no two threads write the same line of cache, and no label is looked at.

use super::Observe;
use super::board::Board;
use super::tables::{OfTable, VERDICTS, verdict_index};
use crate::cookie::Status;
use crate::query::{Rcode, Transport};
use crate::respond::{Decided, Outcome};
use crate::rtype::RType;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use steering::{RegionId, Snapshot};

/// The most regions of one batch whose decisions are gathered before they are told.
const GATHERED: usize = 16;

/// A counter that one thread writes and any may read.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    #[inline]
    pub(super) fn add(&self, n: u64) {
        self.0.store(self.get().wrapping_add(n), Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What rate limiting did to a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// It was not sent.
    Dropped,
    /// It was cut to its question with TC, so that a real client comes back over TCP.
    Slipped,
    /// It was sent, but would have been dropped or cut: a dry run.
    Passed,
}

impl Limited {
    /// All of them, in the order of their values.
    pub const ALL: [Self; 3] = [Self::Dropped, Self::Slipped, Self::Passed];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::Slipped => "slipped",
            Self::Passed => "dry_run",
        }
    }
}

/// The upper bounds of the histogram's buckets, in nanoseconds; one more has the rest.
pub(super) const BUCKETS: [u64; 13] = [
    250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    10_000_000,
];

/// What is counted whatever the table. Alone on its lines of cache, and on those that are fetched with them.
#[repr(align(128))]
#[derive(Default)]
pub(super) struct Sheet {
    pub(super) queries: [Count; Transport::ALL.len()],
    pub(super) responses: [Count; Rcode::ALL.len()],
    pub(super) truncated: Count,
    pub(super) malformed: Count,
    pub(super) dropped: Count,
    pub(super) send_errors: Count,
    pub(super) limited: [Count; Limited::ALL.len()],
    pub(super) cookies: [Count; Status::TOLD.len()],
    pub(super) times: [Count; BUCKETS.len() + 1],
    pub(super) time_ns: Count,
    /// By [`RType::position`]; the last one has all other types.
    pub(super) types: Types,
}

pub(super) struct Types(pub(super) [Count; RType::COUNT + 1]);

impl Default for Types {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Count::default()))
    }
}

/// What one thread counted: read by whoever asks for the sums.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) sheet: Sheet,
    /// Taken by the thread itself only when the table changes.
    pub(super) of_table: Mutex<Arc<OfTable>>,
}

/// One thread's counters.
pub(crate) struct Counters {
    board: Board,
    counted: Arc<Counted>,
    of_table: Arc<OfTable>,
    decided: SmallVec<[(Option<RegionId>, u64); GATHERED]>,
}

impl Counters {
    pub(super) fn new(board: Board) -> Self {
        let counted = Arc::new(Counted::default());
        board.add(counted.clone());
        let of_table = counted.of_table.lock();
        let of_table = of_table.unwrap_or_else(PoisonError::into_inner).clone();
        Self {
            board,
            counted,
            of_table,
            decided: SmallVec::new(),
        }
    }

    /// To be called before anything of `snapshot` is counted.
    #[inline]
    pub(crate) fn begin(&mut self, snapshot: &Snapshot) {
        if !self.of_table.is_of(snapshot.table()) {
            self.of_table = self.board.change(&self.counted, snapshot.table());
        }
    }

    /// Counts what became of one packet of the snapshot that was begun with.
    #[inline]
    pub(crate) fn count(
        &mut self,
        transport: Transport,
        outcome: &Outcome,
        snapshot: &Snapshot,
        observe: &dyn Observe,
    ) {
        let sheet = &self.counted.sheet;
        add(&sheet.queries, transport.index());
        match outcome {
            Outcome::Dropped => sheet.dropped.add(1),
            Outcome::Rejected(rcode) => {
                sheet.malformed.add(u64::from(*rcode == Rcode::FormErr));
                add(&sheet.responses, rcode.index());
            }
            Outcome::Notified(_) => add(&sheet.responses, Rcode::NoError.index()),
            Outcome::Answered(summary) => {
                add(&sheet.types.0, summary.rtype.position());
                add(&sheet.responses, summary.rcode.index());
                if summary.truncated {
                    sheet.truncated.add(1);
                }
                if let Some(at) = summary.cookie.told_index() {
                    add(&sheet.cookies, at);
                }
                if let Some(zone) = summary.zone {
                    add_or_last(&self.of_table.zones, zone as usize);
                }
                if let Some(decided) = &summary.decided {
                    self.decided(decided, snapshot, observe);
                }
            }
        }
    }

    fn decided(&mut self, decided: &Decided, snapshot: &Snapshot, observe: &dyn Observe) {
        add_or_last(&self.of_table.services, decided.service.index());
        // No region comes first, all that have no series of their own last.
        let region = decided.region.map_or(0, |region| region.index() + 1);
        let verdict = verdict_index(decided.verdict);
        let last = (self.of_table.steered.len() / VERDICTS.len()).saturating_sub(1);
        add(
            &self.of_table.steered,
            region.min(last) * VERDICTS.len() + verdict,
        );
        match self
            .decided
            .iter_mut()
            .find(|(of, _)| *of == decided.region)
        {
            Some((_, count)) => *count += 1,
            None => {
                if self.decided.len() == GATHERED {
                    self.tell(snapshot, observe);
                }
                self.decided.push((decided.region, 1));
            }
        }
    }

    /// Tells what was decided since the last time; to be called at the end of a batch.
    #[inline]
    pub(crate) fn tell(&mut self, snapshot: &Snapshot, observe: &dyn Observe) {
        for (region, count) in self.decided.drain(..) {
            observe.on_decisions(snapshot, region, count);
        }
    }

    /// Counts a response that the system would not send.
    pub(crate) fn send_error(&self) {
        self.counted.sheet.send_errors.add(1);
    }

    /// Counts what rate limiting did to one response.
    pub(crate) fn limited(&self, limited: Limited) {
        add(&self.counted.sheet.limited, limited as usize);
    }

    /// Counts how long one packet took.
    pub(crate) fn time(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let sheet = &self.counted.sheet;
        add(&sheet.times, BUCKETS.partition_point(|bound| *bound < took));
        sheet.time_ns.add(took);
    }
}

#[inline]
fn add(counts: &[Count], index: usize) {
    if let Some(count) = counts.get(index) {
        count.add(1);
    }
}

/// The last one stands for all that have none of their own.
#[inline]
fn add_or_last(counts: &[Count], index: usize) {
    add(counts, index.min(counts.len().wrapping_sub(1)));
}
