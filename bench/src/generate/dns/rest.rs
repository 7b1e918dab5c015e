//! Short sleeps of a closed loop, so that answers are read some at a time and not each as it comes: that
//! would wake the thread, and cost the server the waking, for every one of them. It only says how long.

use crate::generate::pace::Nanos;
use std::time::Duration;

/// The part of the questions in flight that is waited for at a time. Those are at the server all the
/// same, so it is never without work; where it is not busy, a latency may look longer by half of this.
const PART: usize = 8;
/// The shortest sleep that is worth it.
const LEAST: Nanos = 5_000;
/// The longest.
const MOST: Nanos = 100_000;
/// How long answers are counted to know how fast they come.
const MEASURE: Nanos = 1_000_000;

/// When to sleep.
pub struct Rest {
    /// Answers to sleep for; 0 to be awake for each.
    answers: usize,
    /// Those that came since it was asked last.
    fresh: usize,
    /// Nanoseconds between two answers of late.
    gap: f64,
    /// Those that came since `since`.
    counted: usize,
    since: Nanos,
}

impl Rest {
    /// For a closed loop with so many in flight; with none there is no rest.
    pub fn new(in_flight: usize) -> Self {
        Self {
            answers: in_flight / PART,
            fresh: 0,
            gap: 0.0,
            counted: 0,
            since: 0,
        }
    }

    /// Answers were read.
    pub fn came(&mut self, n: usize) {
        self.fresh += n;
    }

    /// How long to sleep now, if at all: not when a lot came the last time, for then there will be more,
    /// and not when nothing came, for then it is better to wait.
    pub fn due(&mut self, now: Nanos) -> Option<Duration> {
        let fresh = std::mem::take(&mut self.fresh);
        self.counted += fresh;
        let measured = now.saturating_sub(self.since);
        if measured > MEASURE {
            let gap = measured as f64 / self.counted.max(1) as f64;
            self.gap = (self.gap + gap) / 2.0;
            self.since = now;
            self.counted = 0;
        }
        if fresh == 0 || fresh >= self.answers {
            return None;
        }
        let rest = (self.answers as f64 * self.gap) as Nanos;
        (rest >= LEAST).then(|| Duration::from_nanos(rest.min(MOST)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One answer every 10 microseconds.
    fn measured(in_flight: usize) -> Rest {
        let mut rest = Rest::new(in_flight);
        for step in 1..100 {
            rest.came(101);
            rest.due(step * 1_010_000);
        }
        rest
    }

    #[test]
    fn it_lasts_as_long_as_a_part_of_the_answers_takes() {
        let mut rest = measured(32);
        rest.came(1);
        let lasts = rest.due(99 * 1_010_000).expect("there is time");
        assert!((39_000..41_000).contains(&lasts.as_nanos()), "{lasts:?}");
        assert_eq!(rest.due(99 * 1_010_000), None, "nothing came");
        rest.came(4);
        assert_eq!(rest.due(99 * 1_010_000), None, "there will be more");
    }

    #[test]
    fn it_is_short_and_not_for_few() {
        let mut rest = measured(100_000);
        rest.came(1);
        assert_eq!(rest.due(99 * 1_010_000), Some(Duration::from_nanos(MOST)));
        for in_flight in [0, 1, 7] {
            let mut rest = measured(in_flight);
            rest.came(1);
            assert_eq!(rest.due(99 * 1_010_000), None, "{in_flight} in flight");
        }
    }
}
