//! The counters of rate limiting: a fixed table of token buckets that all workers share without a lock.
//!
//! A bucket is one word. It holds until when its owner's past responses are "paid for" at the owner's rate (the
//! theoretical arrival time of the generic cell rate algorithm, ITU-T I.371): a response is within the rate while
//! that is less than a second ahead, and pushes it by one period. So a network gets at most one second's worth at
//! once, and its rate from then on.
//!
//! A key has eight places in one cache line. When all belong to others, it takes over the one with the least debt
//! and the debt with it (as in Space-Saving, Metwally et al. 2005). Debts only melt with time, and at the same
//! speed for all, so a key that comes back never finds less debt than it left: whatever shares a line, nobody gets
//! more than the rate; under a flood from more networks than there are places somebody may get less. What never
//! happens here: no clock, no allocation after [`Table::new`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Places in a line: one cache line of 64 octets.
const WAYS: usize = 8;
/// Lines; a power of two.
const LINES: usize = 1 << 16;
/// What the table takes once something is limited, in octets: 4 MiB for 524,288 buckets.
pub const TABLE_BYTES: usize = LINES * WAYS * 8;

/// The highest rate, a second: a period is then still 160 ticks, so it is right to within 1 %.
pub const MAX_RATE: u32 = 100_000;

/// Ticks of 1/16 µs a second.
const SECOND: u64 = 16_000_000;
/// The time in a word; it wraps after 12 days.
const TIME_BITS: u32 = 44;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// How often the bucket was found empty, up to `slip` and from 1 again; 0 while it never was.
const STRIKE_BITS: u32 = 4;
const TAG_SHIFT: u32 = TIME_BITS + STRIKE_BITS;
/// No bucket is ever further ahead: one second, and workers' clocks that differ a little. What seems to be is left
/// over from before the time wrapped.
const FARTHEST: u64 = 2 * SECOND;
/// How often a word is tried for against other workers.
const TRIES: usize = 64;

/// A rate, as the table counts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Ticks from one response to the next.
    period: u64,
}

impl Rate {
    /// `None` for 0: no limit.
    pub(super) fn new(per_second: u32) -> Option<Self> {
        SECOND
            .checked_div(u64::from(per_second.min(MAX_RATE)))
            .map(|period| Self { period })
    }
}

/// What came of counting one response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// It is within the rate.
    Within,
    /// It is beyond it.
    Beyond {
        /// Which one, counted from 1 to `slip` and from 1 again.
        nth: u8,
        /// Whether it is the first since the bucket was last full.
        first: bool,
    },
}

/// All buckets.
pub(super) struct Table {
    lines: Box<[Line]>,
}

#[repr(align(64))]
#[derive(Default)]
struct Line([AtomicU64; WAYS]);

/// One word, unpacked.
#[derive(Clone, Copy)]
struct Bucket {
    tag: u64,
    strikes: u8,
    /// When everything is paid for, modulo the wrap.
    paid: u64,
}

impl Bucket {
    fn unpack(word: u64) -> Self {
        Self {
            tag: word >> TAG_SHIFT,
            strikes: (word >> TIME_BITS) as u8 & 0x0f,
            paid: word & TIME_MASK,
        }
    }

    fn pack(self) -> u64 {
        self.tag << TAG_SHIFT
            | u64::from(self.strikes & 0x0f) << TIME_BITS
            | (self.paid & TIME_MASK)
    }

    /// How far ahead of `now` it is paid for, in ticks; 0 when the bucket is full.
    fn debt(self, now: u64) -> u64 {
        if self.paid == 0 {
            // Never used: not to be taken for the future just before the time wraps.
            return 0;
        }
        match self.paid.wrapping_sub(now) & TIME_MASK {
            ahead @ 0..=FARTHEST => ahead,
            _ => 0,
        }
    }
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            lines: (0..LINES).map(|_| Line::default()).collect(),
        }
    }

    /// Counts one response for `key`.
    pub(super) fn sight(&self, key: u64, rate: Rate, slip: u8, now: Duration) -> Sighting {
        let now = ticks(now);
        let tag = key >> TAG_SHIFT;
        let Some(line) = self.lines.get(key as usize & (LINES - 1)) else {
            return Sighting::Within;
        };
        for _ in 0..TRIES {
            let Some((place, word)) = line.place(tag, now) else {
                return Sighting::Within;
            };
            let (next, seen) = count(Bucket::unpack(word), tag, rate, slip, now);
            let swapped =
                place.compare_exchange(word, next.pack(), Ordering::Relaxed, Ordering::Relaxed);
            if swapped.is_ok() {
                return seen;
            }
        }
        // So many workers count the same key at this very moment that one uncounted response is nothing.
        Sighting::Within
    }
}

impl Line {
    /// The place of `tag`, or the one it takes over: that with the least debt.
    fn place(&self, tag: u64, now: u64) -> Option<(&AtomicU64, u64)> {
        let mut least: Option<(&AtomicU64, u64, u64)> = None;
        for place in &self.0 {
            let word = place.load(Ordering::Relaxed);
            let bucket = Bucket::unpack(word);
            if bucket.tag == tag {
                return Some((place, word));
            }
            let debt = bucket.debt(now);
            if least.is_none_or(|(_, _, other)| debt < other) {
                least = Some((place, word, debt));
            }
        }
        least.map(|(place, word, _)| (place, word))
    }
}

fn count(found: Bucket, tag: u64, rate: Rate, slip: u8, now: u64) -> (Bucket, Sighting) {
    let debt = found.debt(now);
    // Who is new, or whose bucket has filled up since, starts afresh.
    let strikes = if found.tag == tag && debt > 0 {
        found.strikes
    } else {
        0
    };
    if debt + rate.period <= SECOND {
        let paid = now.wrapping_add(debt + rate.period);
        let next = Bucket { tag, strikes, paid };
        return (next, Sighting::Within);
    }
    let nth = if strikes >= slip.max(1) {
        1
    } else {
        strikes + 1
    };
    let next = Bucket {
        tag,
        strikes: nth,
        // Its debt stays, also when it was another's until now.
        paid: now.wrapping_add(debt),
    };
    let first = strikes == 0;
    (next, Sighting::Beyond { nth, first })
}

fn ticks(now: Duration) -> u64 {
    // 1/16 µs is 125 / 2 ns.
    (now.as_nanos() * 2 / 125) as u64 & TIME_MASK
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: u64 = 0x1234_5678_9abc_def0;

    fn rate(per_second: u32) -> Rate {
        Rate::new(per_second).expect("a rate")
    }

    #[test]
    fn a_second_at_once_and_the_rate_from_then_on() {
        for per_second in [1, 5, 100, MAX_RATE] {
            let table = Table::new();
            let sent = |now| {
                let within =
                    |_: &u32| table.sight(KEY, rate(per_second), 0, now) == Sighting::Within;
                (0..per_second * 2).filter(within).count() as u32
            };
            assert_eq!(sent(Duration::from_secs(7)), per_second, "at once");
            assert_eq!(sent(Duration::from_secs(7)), 0, "and no more");
            assert_eq!(sent(Duration::from_secs(8)), per_second, "a second later");
            assert_eq!(
                sent(Duration::from_secs(1_000)),
                per_second,
                "nothing is saved up"
            );
        }
    }

    #[test]
    fn every_nth_beyond_the_rate_slips() {
        let table = Table::new();
        let now = Duration::from_secs(1);
        assert_eq!(table.sight(KEY, rate(1), 3, now), Sighting::Within);
        for (nth, first) in [(1, true), (2, false), (3, false), (1, false), (2, false)] {
            assert_eq!(
                table.sight(KEY, rate(1), 3, now),
                Sighting::Beyond { nth, first }
            );
        }
        let later = Duration::from_secs(9);
        assert_eq!(table.sight(KEY, rate(1), 3, later), Sighting::Within);
        assert_eq!(
            table.sight(KEY, rate(1), 3, later),
            Sighting::Beyond {
                nth: 1,
                first: true
            }
        );
    }

    #[test]
    fn time_may_wrap_and_old_words_mean_nothing() {
        let table = Table::new();
        let wrap = Duration::from_nanos((TIME_MASK + 1) * 125 / 2);
        let before = wrap - Duration::from_millis(1);
        assert_eq!(table.sight(KEY, rate(1), 0, before), Sighting::Within);
        let after = wrap + Duration::from_millis(1);
        assert_ne!(table.sight(KEY, rate(1), 0, after), Sighting::Within);
        for days in 1..40 {
            let later = wrap + Duration::from_secs(days * 86_400);
            assert_eq!(table.sight(KEY, rate(1), 0, later), Sighting::Within);
        }
    }

    #[test]
    fn a_flood_of_other_keys_gives_nobody_more() {
        let table = Table::new();
        let now = Duration::from_secs(5);
        let mut within = 0;
        for other in 0..10_000_u64 {
            // Same line, always another tag.
            within += u32::from(table.sight(KEY, rate(4), 0, now) == Sighting::Within);
            let key = (KEY & 0xffff) | other << TAG_SHIFT;
            table.sight(key, rate(4), 0, now);
        }
        assert!(within <= 4, "{within}");
        let later = now + Duration::from_secs(2);
        assert_eq!(table.sight(KEY, rate(4), 0, later), Sighting::Within);
    }

    proptest! {
        /// Over any time `t` a key gets at most `rate * t` and one second's worth, whoever it shares a line with.
        #[test]
        fn nobody_gets_more_than_the_rate_and_a_second(
            per_second in 1_u32..200,
            start in 0_u64..2_000_000_000_000_000,
            asks in prop::collection::vec((0_u64..300_000_000, 0_u64..12, 0_u8..4), 1..600),
        ) {
            let table = Table::new();
            let mut now = start;
            let mut within: std::collections::HashMap<u64, Vec<u64>> = Default::default();
            for (gap, who, repeat) in asks {
                now += gap / 8;
                for _ in 0..=repeat {
                    // Twelve keys on the eight places of one line.
                    let seen = table.sight(who << TAG_SHIFT, rate(per_second), 2, Duration::from_nanos(now));
                    if seen == Sighting::Within {
                        within.entry(who).or_default().push(now);
                    }
                }
            }
            for times in within.values() {
                for (i, from) in times.iter().enumerate() {
                    for (j, to) in times.iter().enumerate().skip(i) {
                        let seconds = (to - from) as f64 / 1e9;
                        let most = f64::from(per_second) * (1.0 + seconds) * 1.01 + 1e-6;
                        prop_assert!((j - i + 1) as f64 <= most, "{} in {seconds} s", j - i + 1);
                    }
                }
            }
        }

        /// A key alone is never limited before it is beyond its rate.
        #[test]
        fn nobody_gets_less_without_neighbours(
            per_second in 1_u32..200,
            gaps in prop::collection::vec(0_u64..50, 1..400),
        ) {
            let table = Table::new();
            let period = 1_000_000_000_u64.div_ceil(u64::from(per_second));
            let mut now = 1_000_000_000;
            for gap in gaps {
                now += period + gap;
                prop_assert_eq!(
                    table.sight(KEY, rate(per_second), 2, Duration::from_nanos(now)),
                    Sighting::Within
                );
            }
        }
    }

    #[test]
    fn workers_together_get_what_one_would() {
        let table = Table::new();
        let within: u32 = std::thread::scope(|scope| {
            let ask = || {
                let seen = |_: &u32| {
                    table.sight(KEY, rate(500), 2, Duration::from_secs(3)) == Sighting::Within
                };
                (0..2_000).filter(seen).count() as u32
            };
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            workers
                .into_iter()
                .map(|w| w.join().expect("a worker"))
                .sum()
        });
        assert_eq!(within, 500);
    }
}
