//! The connect time of one target, smoothed, and when it is worth telling. It reads no clock.

use std::time::Duration;
use steering::Timestamp;
use steering::latency::Ewma;

/// The least time between two reports of one target.
const MIN_PERIOD: Duration = Duration::from_secs(1);
/// The least change worth a report, as a share of the last one. Both this and [`MIN_CHANGE_MS`] must
/// be passed: half of what a challenger needs to take over, and no generation for mere noise.
const MIN_CHANGE: f32 = 0.05;
/// See [`MIN_CHANGE`]; milliseconds.
const MIN_CHANGE_MS: f32 = 1.0;

/// A smoothed connect time, and what was last reported of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Smoothed {
    ewma: Ewma,
    reported: Option<(f32, Timestamp)>,
}

impl Smoothed {
    /// As it was before a restart; not reported yet.
    pub(crate) fn restored(ms: Option<f32>) -> Self {
        let mut ewma = Ewma::default();
        if let Some(ms) = ms {
            ewma.add(ms);
        }
        Self {
            ewma,
            reported: None,
        }
    }

    /// Takes in one connect time, in milliseconds.
    pub(crate) fn add(&mut self, sample_ms: f32) {
        self.ewma.add(sample_ms);
    }

    /// The average in milliseconds, once there is a sample.
    pub(crate) fn ms(&self) -> Option<f32> {
        self.ewma.ms()
    }

    /// What is to be reported now, if anything; counts as reported from then on.
    pub(crate) fn report(&mut self, now: Timestamp) -> Option<f32> {
        let ms = self.ewma.ms()?;
        if let Some((last, at)) = self.reported {
            let change = (ms - last).abs();
            let enough = change > MIN_CHANGE_MS && change > last * MIN_CHANGE;
            if !enough || now.since(at) < MIN_PERIOD {
                return None;
            }
        }
        self.reported = Some((ms, now));
        Some(ms)
    }

    /// The last report did not get through: the next one is due at once.
    pub(crate) fn unreport(&mut self) {
        self.reported = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_news_is_reported_and_at_most_once_a_second() {
        let mut smoothed = Smoothed::default();
        assert_eq!(smoothed.report(Timestamp(0)), None, "nothing is known");
        smoothed.add(100.0);
        assert_eq!(
            smoothed.report(Timestamp(0)),
            Some(100.0),
            "the first is news"
        );
        smoothed.add(200.0);
        assert_eq!(smoothed.report(Timestamp(999)), None, "too soon");
        assert_eq!(smoothed.report(Timestamp(1000)), Some(125.0));
        smoothed.add(126.0);
        assert_eq!(
            smoothed.report(Timestamp(9000)),
            None,
            "not enough of a change"
        );
        smoothed.unreport();
        assert_eq!(
            smoothed.report(Timestamp(9000)),
            Some(125.25),
            "it never got through"
        );
    }

    #[test]
    fn a_change_must_pass_both_bounds() {
        for (first, then, news) in [
            (0.1, 0.5, false), // far more than 5 %, but mere noise
            (1.0, 10.0, true),
            (100.0, 110.0, false), // more than 1 ms, but the average moved by 2.5 %
            (100.0, 130.0, true),
            (100.0, 60.0, true),
        ] {
            let mut smoothed = Smoothed::restored(Some(first));
            assert_eq!(smoothed.report(Timestamp(0)), Some(first));
            smoothed.add(then);
            assert_eq!(
                smoothed.report(Timestamp(5000)).is_some(),
                news,
                "{first} ms, then {then} ms"
            );
        }
    }
}
