//! Gaps between probes. Jitter only ever shortens a gap, because the detection time that `check` reports
//! ([`steering::health::Rules::detection`]) counts whole intervals.

use std::time::Duration;
use steering::draw::{mix, name_hash};
use steering::health::TargetKey;

/// The most by which jitter shortens a gap, as a share of the interval.
const JITTER: f64 = 0.1;
/// The least first gap, as a share of the interval.
const FIRST_GAP: f64 = 0.1;
/// No check probes one target more often than this, whatever its interval says.
const MIN_GAP: Duration = Duration::from_millis(1);
/// Nor less often: keeps the arithmetic below far from its limits.
const MAX_GAP: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A target's own stream of chance: the same for the same seed and target.
#[derive(Debug)]
pub(crate) struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64, key: &TargetKey) -> Self {
        Self {
            seed: mix(name_hash(&format!("{} {}", key.address, key.check)), seed),
            drawn: 0,
        }
    }

    /// From the start of the first probe to the start of the second: anywhere in the interval, so that
    /// targets that were started together drift apart at once.
    pub(crate) fn first_gap(&mut self, interval: Duration) -> Duration {
        let share = FIRST_GAP + (1.0 - FIRST_GAP) * self.unit();
        scaled(interval, share)
    }

    /// From the start of a probe to the start of the next.
    pub(crate) fn gap(&mut self, interval: Duration) -> Duration {
        scaled(interval, 1.0 - JITTER * self.unit())
    }

    /// In [0, 1), with 53 bits.
    fn unit(&mut self) -> f64 {
        self.drawn = self.drawn.wrapping_add(1);
        (mix(self.drawn, self.seed) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn scaled(interval: Duration, share: f64) -> Duration {
    interval.min(MAX_GAP).mul_f64(share).max(MIN_GAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance(seed: u64, port: u16) -> Chance {
        let key = TargetKey {
            address: ([192, 0, 2, 1], port).into(),
            check: "api".into(),
        };
        Chance::new(seed, &key)
    }

    #[test]
    fn jitter_only_shortens_and_by_a_tenth_at_most() {
        let interval = Duration::from_secs(10);
        let mut chance = chance(7, 443);
        let first = chance.first_gap(interval);
        assert!(first >= interval / 10 && first <= interval, "{first:?}");
        let gaps: Vec<_> = (0..1000).map(|_| chance.gap(interval)).collect();
        assert!(
            gaps.iter()
                .all(|gap| *gap >= interval * 9 / 10 && *gap <= interval)
        );
        assert!(
            gaps.iter().any(|gap| *gap < interval * 91 / 100),
            "the whole range is used"
        );
        assert!(
            gaps.iter().any(|gap| *gap > interval * 99 / 100),
            "the whole range is used"
        );
    }

    #[test]
    fn targets_drift_apart_and_a_seed_replays() {
        let interval = Duration::from_secs(30);
        assert_eq!(chance(1, 80).gap(interval), chance(1, 80).gap(interval));
        assert_ne!(chance(1, 80).gap(interval), chance(1, 81).gap(interval));
        assert_ne!(chance(1, 80).gap(interval), chance(2, 80).gap(interval));
    }

    #[test]
    fn an_interval_of_nothing_still_leaves_a_gap() {
        assert_eq!(chance(1, 80).gap(Duration::ZERO), MIN_GAP);
        assert!(chance(1, 80).gap(Duration::MAX) > Duration::from_secs(1));
    }
}
