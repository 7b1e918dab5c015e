//! What is counted of zones that move. Labels are bounded: directions and results are fixed, and only the first
//! [`MAX_ZONES`] zones have a series of their own.
//!
//! What never happens here: nothing is served over HTTP (that is the binary's).

use crate::store::Zones;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// The most zones whose serial is told.
pub const MAX_ZONES: usize = 1_000;

/// How a transfer to a secondary ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// The whole zone was taken.
    Whole,
    /// What changed was taken.
    Changes,
    /// There was nothing newer.
    Unchanged,
    /// The client went, or was too slow.
    Aborted,
    /// There were too many at that time.
    Busy,
    /// Not to this client.
    Refused,
}

/// How a transfer from a primary ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// The whole zone came, and serves.
    Whole,
    /// What changed came, and serves.
    Changes,
    /// There was nothing newer.
    Unchanged,
    /// The primary could not be reached, refused, or what came made no sense.
    Failed,
    /// It came, and the zone checks turned it down.
    Rejected,
}

/// What became of a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Ours was answered.
    Acknowledged,
    /// Ours was answered with an error.
    Refused,
    /// Ours was not answered, however often it was sent.
    Unanswered,
    /// One of a primary was taken.
    Taken,
}

/// The counters.
#[derive(Debug)]
pub struct Metrics {
    out: [IntCounter; 6],
    came: [IntCounter; 5],
    told: [IntCounter; 4],
    serials: IntGaugeVec,
    /// The zones that have a series.
    known: Mutex<BTreeSet<String>>,
}

impl Metrics {
    /// Registers everything with `registry`.
    ///
    /// # Errors
    /// A name is already taken there.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let transfers = IntCounterVec::new(
            Opts::new(
                "rhumb_dns_transfers_total",
                "Zone transfers, out to secondaries and in from primaries.",
            ),
            &["direction", "result"],
        )?;
        let notifies = IntCounterVec::new(
            Opts::new(
                "rhumb_dns_notifies_total",
                "NOTIFY messages, out to secondaries and in from primaries.",
            ),
            &["direction", "result"],
        )?;
        let serials = IntGaugeVec::new(
            Opts::new(
                "rhumb_dns_zone_serial",
                "The version of each zone; only the first 1,000 zones.",
            ),
            &["zone"],
        )?;
        registry.register(Box::new(transfers.clone()))?;
        registry.register(Box::new(notifies.clone()))?;
        registry.register(Box::new(serials.clone()))?;
        let out = |result| transfers.with_label_values(&["out", result]);
        let came = |result| transfers.with_label_values(&["in", result]);
        let told = |direction, result| notifies.with_label_values(&[direction, result]);
        Ok(Self {
            out: [
                out("whole"),
                out("changes"),
                out("unchanged"),
                out("aborted"),
                out("busy"),
                out("refused"),
            ],
            came: [
                came("whole"),
                came("changes"),
                came("unchanged"),
                came("failed"),
                came("rejected"),
            ],
            told: [
                told("out", "acknowledged"),
                told("out", "refused"),
                told("out", "unanswered"),
                told("in", "taken"),
            ],
            serials,
            known: Mutex::default(),
        })
    }

    /// Counts a transfer to a secondary.
    pub fn went(&self, how: Went) {
        if let Some(counter) = self.out.get(how as usize) {
            counter.inc();
        }
    }

    /// Counts a transfer from a primary.
    pub fn came(&self, how: Came) {
        if let Some(counter) = self.came.get(how as usize) {
            counter.inc();
        }
    }

    /// Counts a NOTIFY.
    pub fn told(&self, how: Told) {
        if let Some(counter) = self.told.get(how as usize) {
            counter.inc();
        }
    }

    /// Tells the versions of these zones, which are all there are.
    pub fn serials(&self, zones: &Zones) {
        let present: BTreeSet<String> = zones
            .iter()
            .filter(|zone| zone.unavailable().is_none())
            .take(MAX_ZONES)
            .map(|zone| {
                let name = zone.apex().to_string();
                self.serials
                    .with_label_values(&[&name])
                    .set(i64::from(zone.serial()));
                name
            })
            .collect();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in known.difference(&present) {
            let _ = self.serials.remove_label_values(&[gone]);
        }
        *known = present;
    }
}
