//! What one step of a scenario did, as it was measured from outside.

use serde::Serialize;
use std::time::Duration;
use steering::Plane;

/// A step that was carried out.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When, after the recording began.
    pub at: Duration,
    /// What, in the words of the scenario file: `fail region us-east-1`.
    pub what: String,
    /// What it meant for each service that it concerns, over each plane; empty for a change of rate.
    pub failovers: Vec<Failover>,
}

/// How one service came through one step, over one plane. All times are after the step, to the width of
/// a slice and never earlier than it was; `None` where it did not happen before the next step or the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failover {
    /// The service.
    pub service: String,
    /// `dns` or `http`.
    pub plane: &'static str,
    /// When an origin saw the first probe that it failed (or, after healing, passed). Where origins see
    /// nothing, when the server had noticed it.
    pub first_probe: Option<Duration>,
    /// When the server decided: its health state machine's own word, or the end of the reload.
    pub decided: Option<Duration>,
    /// The first answer that is right only since the change. `None` also where nobody gets anything that
    /// could not be had before, as when a share falls to others.
    pub first_right: Option<Duration>,
    /// The last answer that was right only before it; zero when there was none.
    pub last_wrong: Option<Duration>,
    /// The last question that failed of those the change concerns; zero when there was none.
    pub last_failed: Option<Duration>,
    /// Answers that were right only before the change.
    pub wrong: u64,
    /// Questions that failed after the step.
    pub failed: u64,
    /// Over DNS, how long wrong answers may live on in resolvers after `last_wrong`. After a failure it is
    /// by the TTLs that they had: those shrink while the failure is being counted.
    pub ttl: Option<Duration>,
    /// The service's recovery time objective; it is for failures, not for what follows them.
    pub rto: Option<Duration>,
    /// Whether the later of `last_wrong` and `last_failed`, plus `ttl`, is within it; `None` without an
    /// objective, or when the scenario was too short to tell.
    pub within_rto: Option<bool>,
}

impl Failover {
    /// What a plane is called in [`Failover::plane`].
    pub fn plane_name(plane: Plane) -> &'static str {
        match plane {
            Plane::Dns => "dns",
            Plane::Http => "http",
        }
    }

    /// Whether it was measured over this plane.
    pub fn is_over(&self, plane: Plane) -> bool {
        self.plane == Self::plane_name(plane)
    }
}
