//! When to ask: the window that is recorded, and the moments at which an open loop means to send. Time is
//! nanoseconds since the run started, the same for all threads. It sends and waits for nothing.

use crate::load::{Live, Load};
use std::time::{Duration, Instant};

/// Nanoseconds since the run started.
pub type Nanos = u64;

/// A question that leaves later than this after its intended moment is late. Less is what timers and the
/// scheduler do anyway.
pub const LATE: Nanos = 1_000_000;

/// For so long after the end an open loop still sends what was due before it: a timer that wakes late loses
/// no question, and a generator that is far behind does not go on for ever.
const GRACE: Nanos = 250_000_000;

/// The stretch of a run that is recorded. Each thread has its own copy.
#[derive(Clone, Debug)]
pub struct Window {
    started: Instant,
    from: Nanos,
    until: Nanos,
    timeout: Nanos,
}

impl Window {
    /// From the end of the warm-up to the end of the run.
    pub fn new(load: &Load, live: &Live) -> Self {
        let from = nanos(load.warmup);
        Self {
            started: live.started(),
            from,
            until: from.saturating_add(nanos(load.duration)),
            timeout: nanos(load.timeout),
        }
    }

    /// The time. It costs some 25 ns: once a batch.
    pub fn now(&self) -> Nanos {
        nanos(self.started.elapsed())
    }

    /// The moment `at` on the clock of the system.
    pub fn instant(&self, at: Nanos) -> Instant {
        self.started + Duration::from_nanos(at)
    }

    /// Ends it now, if the run is to stop. To be asked once a batch.
    pub fn heed(&mut self, live: &Live, now: Nanos) {
        if live.stopped() {
            self.until = self.until.min(now);
        }
    }

    /// Whether questions may still be sent.
    pub fn is_open(&self, now: Nanos) -> bool {
        now < self.until
    }

    /// When the recording begins.
    pub fn from(&self) -> Nanos {
        self.from
    }

    /// The end of sending; answers are waited for a little longer.
    pub fn until(&self) -> Nanos {
        self.until
    }

    /// How long an answer is waited for.
    pub fn timeout(&self) -> Nanos {
        self.timeout
    }

    /// Whether a question that was meant for `intended` is recorded: all that becomes of it then is.
    pub fn records(&self, intended: Nanos) -> bool {
        (self.from..self.until).contains(&intended)
    }

    /// A moment as time after the recording began; zero for earlier ones.
    pub fn recorded_at(&self, at: Nanos) -> Duration {
        Duration::from_nanos(at.saturating_sub(self.from))
    }

    /// How long was recorded.
    pub fn elapsed(&self) -> Duration {
        self.recorded_at(self.until)
    }
}

/// The intended moments of one thread of an open loop: evenly spaced, in the gaps of the other threads'.
/// A moment that passed while the thread was busy is not skipped: it is due, late.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Threads that share the rate.
    threads: f64,
    /// The rate of all threads that `interval` stands for.
    rate: f64,
    /// Between two moments of this thread, nanoseconds; infinite at rate zero.
    interval: f64,
    /// The next moment.
    next: f64,
    /// Another interval, from a moment that is still to be reached: a change of rate takes no question
    /// back that was due before it.
    change: Option<(f64, f64)>,
    punctuality: Punctuality,
}

/// How well an open loop kept to its moments, of those that are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Punctuality {
    /// Questions taken up.
    pub taken: u64,
    /// Of these, later than [`LATE`] after their moment.
    pub late: u64,
    /// The longest delay, nanoseconds.
    pub worst: Nanos,
    /// Never taken up: due before the end, but there was no time.
    pub unsent: u64,
}

impl Schedule {
    /// For thread `index` of `threads`.
    pub fn new(live: &Live, index: usize, threads: usize) -> Self {
        let threads = threads.max(1) as f64;
        let rate = live.rate();
        let interval = interval(rate, threads);
        Self {
            threads,
            rate,
            interval,
            // A product of infinity and zero is no number.
            next: if interval.is_finite() {
                interval * index as f64 / threads
            } else {
                f64::INFINITY
            },
            change: None,
            punctuality: Punctuality::default(),
        }
    }

    /// Takes over a change of the rate. To be asked once a batch, before [`Schedule::due`].
    pub fn follow(&mut self, live: &Live, now: Nanos) {
        let rate = live.rate();
        if rate.to_bits() != self.rate.to_bits() {
            self.rate = rate;
            self.change = Some((now as f64, interval(rate, self.threads)));
            self.turn();
        }
    }

    /// The next intended moment that has come and lies before the end of the window.
    #[inline]
    pub fn due(&mut self, now: Nanos, window: &Window) -> Option<Nanos> {
        if self.next > now as f64 || self.next >= window.until as f64 {
            return None;
        }
        let at = self.next as Nanos;
        self.next += self.interval;
        if self.change.is_some() {
            self.turn();
        }
        if window.records(at) {
            let delay = now - at;
            self.punctuality.taken += 1;
            self.punctuality.late += u64::from(delay > LATE);
            self.punctuality.worst = self.punctuality.worst.max(delay);
        }
        Some(at)
    }

    /// Whether nothing is to be sent any more: all that was due before the end is, or it is too late.
    pub fn is_over(&self, now: Nanos, window: &Window) -> bool {
        now >= window.until && (self.next >= window.until as f64 || now - window.until > GRACE)
    }

    /// When the next question is due; `None` while the rate is zero.
    pub fn next(&self) -> Option<Nanos> {
        self.next.is_finite().then_some(self.next as Nanos)
    }

    /// How well the moments were kept, once nothing is sent any more.
    pub fn punctuality(&self, window: &Window) -> Punctuality {
        let from = self.next.max(window.from as f64);
        let missed = (window.until as f64 - from) / self.interval;
        Punctuality {
            unsent: missed.max(0.0).ceil() as u64,
            ..self.punctuality
        }
    }

    /// Applies a change once all that was due before it is taken.
    fn turn(&mut self) {
        let Some((at, interval)) = self.change.filter(|(at, _)| self.next >= *at) else {
            return;
        };
        // The part of an interval that has passed stays passed.
        let rest = (self.next - at) / self.interval;
        self.next = if interval.is_infinite() {
            f64::INFINITY
        } else if rest.is_finite() {
            at + rest * interval
        } else {
            at
        };
        self.interval = interval;
        self.change = None;
    }
}

fn interval(rate: f64, threads: f64) -> f64 {
    if rate > 0.0 && rate.is_finite() {
        threads * 1e9 / rate
    } else {
        f64::INFINITY
    }
}

/// A duration in nanoseconds; five centuries for longer ones.
pub fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Pace;

    const SECOND: Nanos = 1_000_000_000;

    fn open(rate: f64) -> (Load, Live) {
        let load = Load {
            pace: Pace::Open { rate },
            duration: Duration::from_secs(2),
            warmup: Duration::from_secs(1),
            ..Load::default()
        };
        let live = Live::new(&load);
        (load, live)
    }

    fn count(schedule: &mut Schedule, now: Nanos, window: &Window) -> usize {
        std::iter::from_fn(|| schedule.due(now, window)).count()
    }

    #[test]
    fn threads_together_make_the_rate_and_take_turns() {
        let (load, live) = open(1000.0);
        let window = Window::new(&load, &live);
        let mut all: Vec<Nanos> = Vec::new();
        for index in 0..3 {
            let mut schedule = Schedule::new(&live, index, 3);
            all.extend(std::iter::from_fn(|| schedule.due(5 * SECOND, &window)));
        }
        assert_eq!(
            all.len(),
            3000,
            "a warm-up of 1 s and 2 s at 1,000 a second"
        );
        assert_eq!(all.iter().filter(|at| window.records(**at)).count(), 2000);
        all.sort_unstable();
        assert!(
            all.windows(2)
                .all(|pair| (999_990..1_000_010).contains(&(pair[1] - pair[0])))
        );
    }

    #[test]
    fn what_passed_is_due_late_and_what_was_never_taken_is_told() {
        let (load, live) = open(1000.0);
        let window = Window::new(&load, &live);
        let mut schedule = Schedule::new(&live, 0, 1);
        assert_eq!(count(&mut schedule, SECOND - 1, &window), 1000);
        assert_eq!(schedule.punctuality(&window).taken, 0, "warm-up");
        assert_eq!(count(&mut schedule, 2 * SECOND - 1, &window), 1000);
        let kept = schedule.punctuality(&window);
        assert_eq!((kept.taken, kept.unsent), (1000, 1000));
        assert_eq!(kept.late, 999, "the last one was due just now");
        assert_eq!(kept.worst, SECOND - 1);
    }

    #[test]
    fn a_change_of_rate_holds_from_its_moment_even_when_the_thread_is_behind() {
        let (load, live) = open(1000.0);
        let window = Window::new(&load, &live);
        let mut schedule = Schedule::new(&live, 0, 1);
        live.set_rate(10_000.0);
        schedule.follow(&live, SECOND);
        assert_eq!(count(&mut schedule, 2 * SECOND - 1, &window), 1000 + 10_000);
        live.set_rate(0.0);
        schedule.follow(&live, 2 * SECOND);
        assert_eq!(count(&mut schedule, 2 * SECOND + SECOND / 2, &window), 0);
        assert_eq!(schedule.next(), None);
        live.set_rate(100.0);
        schedule.follow(&live, 2 * SECOND + SECOND / 2);
        assert_eq!(count(&mut schedule, 9 * SECOND, &window), 50);
        assert_eq!(schedule.punctuality(&window).unsent, 0);
    }

    #[test]
    fn what_was_due_before_the_end_may_be_sent_shortly_after_it() {
        let (load, live) = open(1000.0);
        let window = Window::new(&load, &live);
        let mut schedule = Schedule::new(&live, 0, 1);
        let end = window.until();
        assert!(!schedule.is_over(end - 1, &window));
        assert!(
            !schedule.is_over(end + 1, &window),
            "3,000 are to be sent still"
        );
        assert!(schedule.is_over(end + 2 * GRACE, &window));
        assert_eq!(count(&mut schedule, end + 1, &window), 3000);
        assert!(schedule.is_over(end + 1, &window));
    }

    #[test]
    fn a_rate_that_is_none_sends_nothing() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let (load, live) = open(rate);
            let window = Window::new(&load, &live);
            let mut schedule = Schedule::new(&live, 1, 2);
            schedule.follow(&live, 0);
            assert_eq!(schedule.due(9 * SECOND, &window), None);
            assert_eq!(schedule.punctuality(&window), Punctuality::default());
        }
    }

    #[test]
    fn stopping_closes_the_window_where_it_is() {
        let (load, live) = open(1000.0);
        let mut window = Window::new(&load, &live);
        window.heed(&live, 2 * SECOND);
        assert!(window.is_open(2 * SECOND));
        live.stop();
        window.heed(&live, 2 * SECOND);
        assert!(!window.is_open(2 * SECOND));
        assert_eq!(window.elapsed(), Duration::from_secs(1));
        window.heed(&live, 3 * SECOND);
        assert_eq!(window.elapsed(), Duration::from_secs(1));
    }
}
