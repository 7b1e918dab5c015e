//! The life of one checked target: gap, probe, outcome, and again. One task a target, so its probes
//! never overlap, also when they take longer than the interval. It decides nothing about the outcome.

use crate::chance::Chance;
use crate::plan::PlannedCheck;
use crate::probe::Outcome;
use crate::shared::{Closed, Event, Shared, now};
use crate::target::{News, Target};
use std::sync::Arc;
use std::time::Duration;
use steering::health::Status;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub(crate) struct Runner {
    pub(crate) shared: Arc<Shared>,
    pub(crate) target: Arc<Target>,
    /// The check in force; a reload may bring another one, which is probed at once.
    pub(crate) check: watch::Receiver<Arc<PlannedCheck>>,
    pub(crate) chance: Chance,
}

impl Runner {
    /// Runs until the target is removed, or until nobody listens.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            Err(Closed) = self.probe_forever() => {
                tracing::debug!(address = %self.target.key().address, "nobody listens; probing ends");
            }
        }
    }

    async fn probe_forever(&mut self) -> Result<(), Closed> {
        // What a restart brought along holds until the first outcome.
        if let Some(transition) = self.target.known() {
            self.shared.tell(Event::Health(transition)).await?;
        }
        let mut first = true;
        loop {
            let check = self.check.borrow_and_update().clone();
            let (started, outcome) = tokio::select! {
                probed = probe(&self.shared, &self.target, &check) => probed,
                replaced = self.check.changed() => match replaced {
                    Ok(()) => continue,
                    Err(_) => return Err(Closed),
                },
            };
            self.take(&check, &outcome).await?;
            let interval = check.check.rules.interval;
            let gap = match std::mem::take(&mut first) {
                true => self.chance.first_gap(interval),
                false => self.chance.gap(interval),
            };
            self.rest(gap.saturating_sub(started.elapsed())).await?;
        }
    }

    /// Waits, but no longer than until the check is replaced.
    async fn rest(&mut self, time: Duration) -> Result<(), Closed> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            replaced = self.check.changed() => match replaced {
                Ok(()) => Ok(()),
                Err(_) => Err(Closed),
            },
        }
    }

    /// Takes in one outcome and tells what is news: connect time first, so that a target that comes up
    /// is already measured.
    async fn take(&self, check: &PlannedCheck, outcome: &Outcome) -> Result<(), Closed> {
        let name = &check.check.name;
        let failure = outcome.result.as_ref().err();
        self.shared
            .metrics
            .probed(name, failure, outcome.took.as_secs_f64());
        let News {
            measured,
            transition,
            left,
        } = self.target.observe(outcome, &check.check.rules, now());
        if let Some(measured) = measured {
            self.shared.tell(Event::Latency(vec![measured])).await?;
        }
        if let Some(transition) = transition {
            let status = transition.health.status;
            self.shared.tell(Event::Health(transition)).await?;
            if let Some(left) = left {
                self.shared.metrics.moved(name, status);
                self.log(check, left, status, outcome);
            }
        }
        if failure.is_none_or(|failure| failure.is_conclusive()) {
            self.shared.judged(&self.target);
        }
        Ok(())
    }

    fn log(&self, check: &PlannedCheck, from: Status, to: Status, outcome: &Outcome) {
        let (address, check) = (self.target.key().address, &*check.check.name);
        let (from, to) = (from.name(), to.name());
        match &outcome.result {
            Ok(()) => tracing::info!(%address, check, from, to, "health changed"),
            Err(failure) => {
                tracing::warn!(%address, check, from, to, reason = %failure, "health changed");
            }
        }
    }
}

/// One probe, once there is room for it, and when it began.
async fn probe(shared: &Shared, target: &Target, check: &PlannedCheck) -> (Instant, Outcome) {
    let _permit = shared.permit().await;
    let _going_on = GoingOn::new(shared);
    let started = Instant::now();
    let outcome = check.prober.probe(target.key().address).await;
    (started, outcome)
}

/// Counts a probe as going on for as long as it lives: also one that is cancelled half-way.
struct GoingOn<'a>(&'a Shared);

impl<'a> GoingOn<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.metrics.in_flight.inc();
        Self(shared)
    }
}

impl Drop for GoingOn<'_> {
    fn drop(&mut self) {
        self.0.metrics.in_flight.dec();
    }
}
