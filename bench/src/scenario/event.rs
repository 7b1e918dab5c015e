//! What one step of a scenario did, as it was measured from outside.

use serde::Serialize;
use std::time::Duration;

/// A step that was carried out.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When, after the recording began.
    pub at: Duration,
    /// What, in the words of the scenario file: `fail region us-east-1`.
    pub what: String,
    /// What it meant for each service that it concerns; empty for a change of rate.
    pub failovers: Vec<Failover>,
}

/// How one service came through one step. All times are after the step; `None` where it did not happen
/// before the next step or the end.
#[derive(Clone, Debug, Serialize)]
pub struct Failover {
    /// The service.
    pub service: String,
    /// When an origin saw the first probe that it failed (or, after healing, passed).
    pub first_probe: Option<Duration>,
    /// When the server decided: the generation that took the change in was serving.
    pub decided: Option<Duration>,
    /// The first answer that is right after the change.
    pub first_right: Option<Duration>,
    /// The last answer that was right only before it; zero when there was none.
    pub last_wrong: Option<Duration>,
    /// Answers that were right only before the change.
    pub wrong: u64,
    /// Questions that failed after the step.
    pub failed: u64,
    /// How long answers may live in resolvers: what a client may add to `last_wrong`.
    pub ttl: Option<Duration>,
    /// The service's recovery time objective.
    pub rto: Option<Duration>,
    /// Whether `last_wrong` plus `ttl` is within it; `None` without an objective or without an answer.
    pub within_rto: Option<bool>,
}
