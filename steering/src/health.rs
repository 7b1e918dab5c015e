//! Health: what a check is, and the state machine that turns probe outcomes into transitions.
//!
//! Pure: outcomes and times come in, states go out. Who probes, and how, is the `health` crate's.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A health check: how endpoints are probed and how outcomes are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The operator's name for it.
    pub name: Arc<str>,
    /// What one probe does.
    pub probe: Probe,
    /// How outcomes become states.
    pub rules: Rules,
}

/// What one probe does. Inert: the `health` crate carries it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A TCP connection is accepted.
    Tcp,
    /// A TLS handshake completes.
    Tls(ProbeTls),
    /// An HTTP/1.1 request is answered as expected, over TLS when `tls` is given.
    Http(ProbeHttp),
}

/// The TLS side of a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeTls {
    /// The name sent as SNI and verified; when none, the `host` of an HTTP probe, else the endpoint's
    /// address.
    pub server_name: Option<Arc<str>>,
    /// Whether the certificate must be valid for that name.
    pub verify: bool,
    /// PEM text of the authorities to trust instead of the system's.
    pub ca_pem: Option<Arc<str>>,
}

/// The HTTP side of a probe. Redirects are never followed: a 3xx is an answer like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeHttp {
    /// The method, upper case.
    pub method: Arc<str>,
    /// The request target: path and query.
    pub path: Arc<str>,
    /// The Host header; the endpoint's address when none.
    pub host: Option<Arc<str>>,
    /// Inclusive ranges of status codes that count as success.
    pub statuses: Vec<(u16, u16)>,
    /// Text that must appear in the first 64 KiB of the body.
    pub body: Option<Arc<str>>,
    /// TLS, for `https`.
    pub tls: Option<ProbeTls>,
}

/// How outcomes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// From the start of one probe to the start of the next.
    pub interval: Duration,
    /// How long one probe may take; may exceed the interval, probes of one target never overlap.
    pub timeout: Duration,
    /// Consecutive successes that bring a down target up. At least 1.
    pub rise: u16,
    /// Consecutive failures that bring an up target down. At least 1.
    pub fall: u16,
}

impl Rules {
    /// The longest a failure can go unnoticed: it begins just after a good probe did, and each of the
    /// `fall` failing probes runs into its timeout. Jitter only shortens intervals, so this holds.
    pub fn detection(&self) -> Duration {
        self.nth_failure(self.fall.max(1))
    }

    /// The longest a client can be held on an endpoint after it failed: the latest expiry of any answer
    /// given before the transition, counting that TTLs shrink from `ttl` towards `ttl_failing` on the
    /// way (see [`TargetHealth::next_change`]). This is what an `rto` is compared with.
    pub fn exposure(&self, ttl: Duration, ttl_failing: Duration) -> Duration {
        let fall = self.fall.max(1);
        (0..fall)
            .map(|seen| {
                let published = if seen == 0 {
                    ttl
                } else {
                    clamp_ttl(
                        self.interval.saturating_mul(u32::from(fall - seen - 1)),
                        ttl,
                        ttl_failing,
                    )
                };
                self.nth_failure(seen + 1).saturating_add(published)
            })
            .max()
            .unwrap_or(ttl)
    }

    /// When the `n`th failing probe has ended at the latest, counted from the failure.
    fn nth_failure(&self, n: u16) -> Duration {
        let between = self.interval.max(self.timeout);
        self.interval
            .saturating_add(between.saturating_mul(u32::from(n.max(1) - 1)))
            .saturating_add(self.timeout)
    }
}

/// The TTL published while a change is possible in `next_change`: never longer than that, but within
/// `ttl_failing` and `ttl`.
pub fn clamp_ttl(next_change: Duration, ttl: Duration, ttl_failing: Duration) -> Duration {
    next_change.max(ttl_failing).min(ttl)
}

/// What survives a reload: one address under one check.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TargetKey {
    /// Where probes connect.
    pub address: SocketAddr,
    /// The check's name.
    pub check: Arc<str>,
}

/// Whether a target is believed to serve.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Known not to serve.
    Down,
    /// Not probed yet.
    #[default]
    Unknown,
    /// Known to serve, or without a check.
    Up,
}

impl Status {
    /// The name in logs, `status` and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Unknown => "unknown",
            Self::Up => "up",
        }
    }
}

/// The health of one target: a counter machine.
///
/// ```text
///            first success                    `fall` failures in a row
/// Unknown ------------------> Up  ------------------------------------> Down
///    |                        ^                                          |
///    | first failure          +------------------------------------------+
///    +------------------> Down         `rise` successes in a row
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetHealth {
    /// What is believed now.
    pub status: Status,
    /// Consecutive outcomes that speak against `status`.
    pub against: u16,
    /// When `status` was entered.
    pub since: Timestamp,
    /// When the last outcome came; zero before the first.
    pub last_probe: Timestamp,
}

impl TargetHealth {
    /// Takes in one outcome. Returns whether anything a decision looks at has changed: the status, or
    /// how far it is from changing.
    pub fn observe(&mut self, success: bool, now: Timestamp, rules: &Rules) -> bool {
        let before = (self.status, self.against);
        self.last_probe = now;
        let (agrees, needed, other) = match self.status {
            Status::Up => (success, rules.fall, Status::Down),
            Status::Down => (!success, rules.rise, Status::Up),
            Status::Unknown => (false, 1, if success { Status::Up } else { Status::Down }),
        };
        if agrees {
            self.against = 0;
        } else {
            self.against = self.against.saturating_add(1);
            if self.against >= needed.max(1) {
                *self = Self {
                    status: other,
                    against: 0,
                    since: now,
                    last_probe: now,
                };
            }
        }
        before != (self.status, self.against)
    }

    /// The least time in which this target can change its status, when it is on its way to a change;
    /// `None` while all recent outcomes agree with the status. It holds from this outcome until the
    /// next one: with one more outcome needed it is zero, since that outcome may come at any moment.
    pub fn next_change(&self, rules: &Rules) -> Option<Duration> {
        let needed = match self.status {
            Status::Up => rules.fall,
            Status::Down => rules.rise,
            Status::Unknown => return Some(Duration::ZERO),
        };
        let missing = needed.saturating_sub(self.against);
        (self.against > 0).then(|| {
            rules
                .interval
                .saturating_mul(u32::from(missing.saturating_sub(1)))
        })
    }
}

/// One change of a target, as the `health` crate reports it to [`Change::Health`](crate::Change).
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Whose.
    pub target: TargetKey,
    /// Its state now.
    pub health: TargetHealth,
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(3),
        rise: 2,
        fall: 3,
    };

    /// Feeds outcomes ('+' success, '-' failure) and returns the status after each.
    fn run(outcomes: &str) -> String {
        let mut health = TargetHealth::default();
        outcomes
            .chars()
            .enumerate()
            .map(|(i, outcome)| {
                health.observe(outcome == '+', Timestamp(i as u64), &RULES);
                match health.status {
                    Status::Up => 'U',
                    Status::Down => 'D',
                    Status::Unknown => '?',
                }
            })
            .collect()
    }

    #[test]
    fn outcomes_become_states() {
        for (outcomes, states) in [
            ("+", "U"),
            ("-", "D"),
            ("+---", "UUUD"),
            ("+--+--", "UUUUUU"),
            ("-++", "DDU"),
            ("-+-+", "DDDD"),
            ("+---+-++", "UUUDDDDU"),
        ] {
            assert_eq!(run(outcomes), states, "outcomes {outcomes}");
        }
    }

    #[test]
    fn next_change_counts_the_probes_still_needed() {
        let mut health = TargetHealth::default();
        assert!(health.observe(true, Timestamp(1), &RULES), "unknown to up");
        assert!(
            !health.observe(true, Timestamp(2), &RULES),
            "still up: nothing to publish"
        );
        assert_eq!(health.next_change(&RULES), None);
        assert!(
            health.observe(false, Timestamp(3), &RULES),
            "on its way down"
        );
        assert_eq!(health.next_change(&RULES), Some(Duration::from_secs(10)));
        health.observe(false, Timestamp(4), &RULES);
        assert_eq!(health.next_change(&RULES), Some(Duration::ZERO));
        assert_eq!((health.status, health.since), (Status::Up, Timestamp(1)));
        health.observe(false, Timestamp(5), &RULES);
        assert_eq!((health.status, health.since), (Status::Down, Timestamp(5)));
        assert_eq!(health.next_change(&RULES), None);
    }

    #[test]
    fn detection_covers_slow_probes() {
        assert_eq!(RULES.detection(), Duration::from_secs(33));
        let slow = Rules {
            timeout: Duration::from_secs(30),
            ..RULES
        };
        assert_eq!(slow.detection(), Duration::from_secs(100));
    }

    #[test]
    fn exposure_is_the_latest_expiry_before_the_transition() {
        let secs = Duration::from_secs;
        let rules = Rules {
            interval: secs(30),
            timeout: secs(10),
            rise: 2,
            fall: 3,
        };
        // 60 s answers end 100 s after the failure; the last, given just before 100 s, lives for 10 s.
        assert_eq!(rules.exposure(secs(60), secs(10)), secs(110));
        // A long TTL from before the first failing probe dominates.
        assert_eq!(rules.exposure(secs(300), secs(10)), secs(340));
        // Without shrinking, the last answer lives for the whole TTL.
        assert_eq!(rules.exposure(secs(60), secs(60)), secs(160));
    }
}
