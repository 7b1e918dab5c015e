//! The steps of a scenario as reports tell them: times in seconds, and whether objectives were met.

use super::chart::seconds;
use crate::scenario::{Event, Failover};
use serde::Serialize;
use std::time::Duration;

/// One step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Seconds after the recording began.
    pub at: f64,
    /// What was done.
    pub what: String,
    /// What it meant for each service.
    pub failovers: Vec<FailoverTold>,
}

/// How one service came through one step: seconds after the step; `None` where it did not happen.
#[derive(Clone, Debug, Serialize)]
pub struct FailoverTold {
    /// The service.
    pub service: String,
    /// An origin saw the first probe that failed, or passed.
    pub first_probe: Option<f64>,
    /// The server had decided.
    pub decided: Option<f64>,
    /// The first answer that is right after the step.
    pub first_right: Option<f64>,
    /// The last answer that was right only before it.
    pub last_wrong: Option<f64>,
    /// The last question that failed of those the step concerns.
    pub last_failed: Option<f64>,
    /// How many such answers there were.
    pub wrong: u64,
    /// Questions that failed.
    pub failed: u64,
    /// How long answers may live in resolvers.
    pub ttl: Option<f64>,
    /// The service's recovery time objective.
    pub rto: Option<f64>,
    /// Whether the last wrong answer or failure, and the TTL on top, is within the objective.
    pub within_rto: Option<bool>,
}

impl Step {
    pub(super) fn new(event: &Event) -> Self {
        Self {
            at: event.at.as_secs_f64(),
            what: event.what.clone(),
            failovers: event.failovers.iter().map(FailoverTold::new).collect(),
        }
    }

    /// The objectives that were missed, a sentence each.
    pub(super) fn missed(&self) -> impl Iterator<Item = String> {
        let missed = self
            .failovers
            .iter()
            .filter(|f| f.within_rto == Some(false));
        missed.map(|failover| {
            let took = match (failover.took(), failover.rto) {
                (Some(took), Some(rto)) => {
                    format!("took {} of the {}", seconds(took), seconds(rto))
                }
                (None, Some(rto)) => format!("was not over within the {}", seconds(rto)),
                _ => "took longer than the time".to_owned(),
            };
            let (service, what) = (&failover.service, &self.what);
            format!("service {service}: after `{what}` it {took} it may take (rto)")
        })
    }
}

impl FailoverTold {
    fn new(failover: &Failover) -> Self {
        let seconds = |time: Option<Duration>| time.map(|t| t.as_secs_f64());
        Self {
            service: failover.service.clone(),
            first_probe: seconds(failover.first_probe),
            decided: seconds(failover.decided),
            first_right: seconds(failover.first_right),
            last_wrong: seconds(failover.last_wrong),
            last_failed: seconds(failover.last_failed),
            wrong: failover.wrong,
            failed: failover.failed,
            ttl: seconds(failover.ttl),
            rto: seconds(failover.rto),
            within_rto: failover.within_rto,
        }
    }

    /// Until the last client was served rightly: the last wrong answer or failure, and an answer's life in
    /// resolvers.
    pub(super) fn took(&self) -> Option<f64> {
        Some(self.last_wrong?.max(self.last_failed?) + self.ttl.unwrap_or(0.0))
    }
}
