//! One target's state while it runs: health, connect time, last error. Takes in outcomes under a short
//! lock and says what is news; it sends nothing.

use crate::failure::Failure;
use crate::probe::Outcome;
use crate::report::{LastError, TargetReport};
use crate::restore::Saved;
use crate::smoothed::Smoothed;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steering::Timestamp;
use steering::health::{Rules, Status, TargetHealth, TargetKey, Transition};
use steering::latency::Measured;

/// One target and what is known of it.
#[derive(Debug)]
pub(crate) struct Target {
    key: TargetKey,
    checked: bool,
    judged: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    health: TargetHealth,
    smoothed: Smoothed,
    last_error: Option<LastError>,
    probes: u64,
}

/// What one outcome changed.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct News {
    /// A connect time worth telling.
    pub(crate) measured: Option<Measured>,
    /// A state that a decision would look at.
    pub(crate) transition: Option<Transition>,
    /// The status that was left, when it was.
    pub(crate) left: Option<Status>,
}

impl Target {
    pub(crate) fn new(
        key: TargetKey,
        checked: bool,
        saved: Option<&Saved>,
        now: Timestamp,
    ) -> Self {
        let fresh = TargetHealth {
            since: now,
            ..TargetHealth::default()
        };
        let health = saved.and_then(|saved| saved.health).filter(|_| checked);
        let state = State {
            health: health.unwrap_or(fresh),
            smoothed: Smoothed::restored(saved.and_then(|saved| saved.latency_ms)),
            ..State::default()
        };
        Self {
            key,
            checked,
            judged: AtomicBool::new(!checked),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn key(&self) -> &TargetKey {
        &self.key
    }

    /// Notes that the target has had its first outcome, or never will; true the first time.
    pub(crate) fn judge(&self) -> bool {
        !self.judged.swap(true, Ordering::AcqRel)
    }

    /// Takes in the outcome of one probe. One that says nothing of the target only leaves its error.
    pub(crate) fn observe(&self, outcome: &Outcome, rules: &Rules, now: Timestamp) -> News {
        let mut state = self.state.lock();
        state.probes += 1;
        if let Err(failure) = &outcome.result {
            state.last_error = Some(last_error(failure, now));
            if !failure.is_conclusive() {
                return News::default();
            }
        }
        let measured = outcome.connect.and_then(|connect| {
            state.smoothed.add(milliseconds(connect));
            state.smoothed.report(now)
        });
        let before = state.health.status;
        let changed = state.health.observe(outcome.result.is_ok(), now, rules);
        let health = state.health;
        News {
            measured: measured.map(|ms| self.measured(ms)),
            transition: changed.then(|| Transition {
                target: self.key.clone(),
                health,
            }),
            left: (before != health.status).then_some(before),
        }
    }

    /// Takes in a connect time that someone else saw, in milliseconds.
    pub(crate) fn sample(&self, connect_ms: f32) {
        self.state.lock().smoothed.add(connect_ms);
    }

    /// A connect time worth telling now, if any; counts as told from then on.
    pub(crate) fn measure(&self, now: Timestamp) -> Option<Measured> {
        let ms = self.state.lock().smoothed.report(now)?;
        Some(self.measured(ms))
    }

    /// The last connect time told did not get through.
    pub(crate) fn untell(&self) {
        self.state.lock().smoothed.unreport();
    }

    /// What a restart before the first probe would know; `None` while that is nothing.
    pub(crate) fn known(&self) -> Option<Transition> {
        let health = self.state.lock().health;
        (health.status != Status::Unknown).then(|| Transition {
            target: self.key.clone(),
            health,
        })
    }

    /// What is kept over a restart.
    pub(crate) fn saved(&self) -> Saved {
        let state = self.state.lock();
        Saved {
            target: self.key.clone(),
            health: (state.health.status != Status::Unknown).then_some(state.health),
            latency_ms: state.smoothed.ms(),
        }
    }

    pub(crate) fn report(&self) -> TargetReport {
        let state = self.state.lock();
        TargetReport {
            key: self.key.clone(),
            checked: self.checked,
            health: state.health,
            last_error: state.last_error.clone(),
            latency_ms: state.smoothed.ms(),
            probes_total: state.probes,
        }
    }

    fn measured(&self, ms: f32) -> Measured {
        Measured {
            target: self.key.clone(),
            ms,
        }
    }
}

fn last_error(failure: &Failure, at: Timestamp) -> LastError {
    LastError {
        at,
        kind: failure.name(),
        message: failure.to_string(),
    }
}

fn milliseconds(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(3),
        rise: 2,
        fall: 2,
    };

    fn target() -> Target {
        let key = TargetKey {
            address: ([192, 0, 2, 1], 443).into(),
            check: "api".into(),
        };
        Target::new(key, true, None, Timestamp(0))
    }

    fn outcome(result: Result<(), Failure>) -> Outcome {
        Outcome {
            connect: None,
            took: Duration::from_millis(1),
            result,
        }
    }

    #[test]
    fn a_local_failure_moves_nothing() {
        let target = target();
        target.observe(&outcome(Ok(())), &RULES, Timestamp(1));
        for at in 2..10 {
            let local = outcome(Err(Failure::Local("too many open files".into())));
            assert_eq!(
                target.observe(&local, &RULES, Timestamp(at)),
                News::default()
            );
        }
        let report = target.report();
        assert_eq!(
            (report.health.status, report.health.against),
            (Status::Up, 0)
        );
        assert_eq!(report.last_error.expect("it is shown").kind, "local");
        assert_eq!(report.probes_total, 9);
    }

    #[test]
    fn a_transition_says_what_was_left_and_the_last_error_stays() {
        let target = target();
        let news = target.observe(&outcome(Ok(())), &RULES, Timestamp(1));
        assert_eq!(news.left, Some(Status::Unknown));
        let news = target.observe(&outcome(Err(Failure::ConnectRefused)), &RULES, Timestamp(2));
        assert_eq!(news.left, None, "one of two failures");
        assert_eq!(
            news.transition.map(|t| t.health.against),
            Some(1),
            "yet TTLs must shrink"
        );
        let news = target.observe(&outcome(Err(Failure::ConnectRefused)), &RULES, Timestamp(3));
        assert_eq!(news.left, Some(Status::Up));
        target.observe(&outcome(Ok(())), &RULES, Timestamp(4));
        target.observe(&outcome(Ok(())), &RULES, Timestamp(5));
        let report = target.report();
        assert_eq!(report.health.status, Status::Up);
        let error = report.last_error.expect("kept after the recovery");
        assert_eq!((error.at, error.kind), (Timestamp(3), "connect_refused"));
    }
}
