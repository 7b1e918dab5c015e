//! What `status` shows of the targets. Read without ever waiting for a probe; changes nothing.

use crate::shared::Shared;
use serde::Serialize;
use std::sync::Arc;
use steering::Timestamp;
use steering::health::{TargetHealth, TargetKey};

/// One target, as it is now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TargetReport {
    /// Which target.
    pub key: TargetKey,
    /// Whether it is probed at all; if not, its health says nothing and it counts as up.
    pub checked: bool,
    /// The state machine: status, since when, last probe, how far from a change.
    pub health: TargetHealth,
    /// The last failed probe, also after a recovery.
    pub last_error: Option<LastError>,
    /// The smoothed connect time in milliseconds.
    pub latency_ms: Option<f32>,
    /// Probes since the start of the process.
    pub probes_total: u64,
}

/// A probe that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// When.
    pub at: Timestamp,
    /// The kind, one of [`Failure::NAMES`](crate::Failure::NAMES).
    pub kind: &'static str,
    /// What happened, with the remedy where there is one.
    pub message: String,
}

/// Reads the state of all targets. Cheap to clone; stays valid over reloads.
#[derive(Clone, Debug)]
pub struct Reports {
    pub(crate) shared: Arc<Shared>,
}

impl Reports {
    /// All targets, in the order of the table.
    pub fn all(&self) -> Vec<TargetReport> {
        self.shared
            .board()
            .targets()
            .iter()
            .map(|target| target.report())
            .collect()
    }

    /// One target; `None` when the current table does not have it.
    pub fn find(&self, key: &TargetKey) -> Option<TargetReport> {
        self.shared.board().find(key).map(|target| target.report())
    }
}
