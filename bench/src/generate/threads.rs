//! The threads of a generator: started, bound to their processors, joined; what each of them spent, and
//! whether the generator was what limited the run. It knows no protocol.

use super::GenerateError;
use super::pace::{LATE, Punctuality, Window};
use crate::load::{Live, Load, Pace};
use crate::procfs::Cpu;
use crate::record::{Measured, Recorder};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::prctl::set_timerslack;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::unistd::Pid;
use std::thread;

/// Above this share of a processor a thread of a closed loop is the bottleneck itself.
const BUSY: f64 = 0.95;
/// Above this share of late or unsent questions an open loop is not what it says.
const TOO_LATE: f64 = 0.01;

/// Which of the threads one is.
#[derive(Clone, Copy, Debug)]
pub struct Seat {
    /// From 0.
    pub index: usize,
    /// All of them.
    pub threads: usize,
}

impl Seat {
    /// This thread's share of `n` things, as even as can be; all threads' together are `n`.
    pub fn share_of(self, n: usize) -> usize {
        n / self.threads + usize::from(self.index < n % self.threads)
    }

    /// Where this thread begins in a list of `n` that all threads go round.
    pub fn start_in(self, n: usize) -> usize {
        (self.index as u128 * n as u128 / self.threads as u128) as usize
    }
}

/// What one thread brings home.
pub struct Share<'a> {
    /// What it saw.
    pub recorder: Recorder<'a>,
    /// Questions it sent, of those that are recorded.
    pub sent: u64,
    /// What it spent while it recorded.
    pub effort: Effort,
    /// How it kept to its moments, in an open loop.
    pub punctuality: Option<Punctuality>,
    /// What held it up, if it knows.
    pub held_up: Option<String>,
    /// The stretch that it recorded.
    pub window: Window,
}

/// Runs `work` once a thread of the load, each on its processor, and makes one whole of what they bring.
/// In a closed loop there are no more threads than questions in flight.
///
/// # Errors
/// The first that a thread met; the others are stopped then.
pub fn run<'a>(
    load: &Load,
    live: &Live,
    work: impl Fn(Seat) -> Result<Share<'a>, GenerateError> + Sync,
) -> Result<Measured, GenerateError> {
    let threads = match load.pace {
        Pace::Open { .. } => load.threads,
        Pace::Closed { in_flight } => load.threads.min(in_flight),
    };
    let threads = threads.max(1);
    let one = |index| {
        let work = || {
            bind(load, index)?;
            work(Seat { index, threads })
        };
        work().inspect_err(|_| live.stop())
    };
    let shares = thread::scope(|scope| {
        let one = &one;
        let mut started = Vec::with_capacity(threads);
        for index in 0..threads {
            let builder = thread::Builder::new().name(format!("generate {index}"));
            let thread = builder.spawn_scoped(scope, move || one(index));
            started.push(thread.map_err(|source| {
                live.stop();
                GenerateError::Thread(source)
            })?);
        }
        let joined = started.into_iter().map(|thread| {
            let panicked = |_| {
                live.stop();
                Err(GenerateError::Panicked)
            };
            thread.join().unwrap_or_else(panicked)
        });
        // All are joined before the first error is told.
        let joined: Vec<_> = joined.collect();
        joined.into_iter().collect::<Result<Vec<_>, _>>()
    })?;
    Ok(whole(load, shares))
}

fn bind(load: &Load, index: usize) -> Result<(), GenerateError> {
    // Timers to a microsecond, not to the 50 of the default; where that fails, they are as they are.
    let _ = set_timerslack(1_000);
    let count = load.processors.len();
    let Some(processor) = load.processors.get(index % count.max(1)).copied() else {
        return Ok(());
    };
    let mut set = CpuSet::new();
    let bound = set.set(processor);
    let bound = bound.and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    bound.map_err(|source| GenerateError::Processor { processor, source })
}

fn whole(load: &Load, shares: Vec<Share<'_>>) -> Measured {
    let limited = limited(load, &shares);
    let sent = shares.iter().map(|share| share.sent).sum();
    let cpu = shares.iter().map(|share| share.effort.cpu).sum();
    let elapsed = shares.iter().map(|share| share.window.elapsed()).max();
    let recorders = shares.into_iter().map(|share| share.recorder).collect();
    let measured = Measured::merge(recorders, elapsed.unwrap_or_default(), sent, cpu);
    Measured {
        limited,
        ..measured
    }
}

/// Why the generator may be what limited the run.
fn limited(load: &Load, shares: &[Share<'_>]) -> Option<String> {
    if let Some(reason) = shares.iter().find_map(|share| share.held_up.clone()) {
        return Some(reason);
    }
    match load.pace {
        Pace::Open { .. } => unpunctual(shares),
        Pace::Closed { .. } => shares.iter().find_map(busy),
    }
}

fn unpunctual(shares: &[Share<'_>]) -> Option<String> {
    let mut all = Punctuality::default();
    for one in shares.iter().filter_map(|share| share.punctuality) {
        all.taken += one.taken;
        all.late += one.late;
        all.unsent += one.unsent;
        all.worst = all.worst.max(one.worst);
    }
    let intended = all.taken + all.unsent;
    let share = (all.late + all.unsent) as f64 / intended.max(1) as f64;
    (share > TOO_LATE).then(|| {
        format!(
            "the generator could not keep the rate: of {intended} questions {} left more than {} ms late \
             (at worst {} ms) and {} never; use more threads or processors, or a lower rate",
            all.late,
            LATE / 1_000_000,
            all.worst / 1_000_000,
            all.unsent
        )
    })
}

fn busy(share: &Share<'_>) -> Option<String> {
    let elapsed = share.window.elapsed();
    let busy = share.effort.cpu.share_of(elapsed);
    let waited = share.effort.waited / elapsed.as_secs_f64().max(1e-9);
    (busy + waited > BUSY).then(|| {
        format!(
            "a thread of the generator was busy {:.0} % of the time and waited for its processor {:.0} %; \
             the server may be able to do more: use more threads, or processors of their own",
            busy * 100.0,
            waited * 100.0
        )
    })
}

/// What a thread spends between two moments. Made and ended in the thread itself.
pub struct Meter {
    cpu: Cpu,
    waited: f64,
}

/// What a thread spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Effort {
    /// On a processor.
    pub cpu: Cpu,
    /// Ready to run, but waiting for a processor, seconds; 0 where the system does not tell.
    pub waited: f64,
}

impl Meter {
    /// From now on.
    pub fn start() -> Self {
        Self {
            cpu: thread_cpu(),
            waited: thread_waited(),
        }
    }

    /// Until now.
    pub fn spent(&self) -> Effort {
        Effort {
            cpu: thread_cpu() - self.cpu,
            waited: (thread_waited() - self.waited).max(0.0),
        }
    }
}

fn thread_cpu() -> Cpu {
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    getrusage(UsageWho::RUSAGE_THREAD).map_or_else(
        |_| Cpu::default(),
        |usage| Cpu {
            user: seconds(usage.user_time()),
            system: seconds(usage.system_time()),
        },
    )
}

/// The second field of schedstat: time on a run queue, nanoseconds.
fn thread_waited() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited = text.split_whitespace().nth(1).and_then(|n| n.parse().ok());
    waited.unwrap_or(0.0) / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asks::Asks;
    use std::time::Duration;
    use steering::Plane;

    fn nothing_asked() -> Asks {
        Asks {
            plane: Plane::Dns,
            targets: Vec::new(),
            list: Vec::new(),
            cells: Vec::new(),
            regions: 0,
            settled: Duration::MAX,
        }
    }

    fn share<'a>(asks: &'a Asks, load: &Load, live: &Live) -> Share<'a> {
        Share {
            recorder: Recorder::new(asks, None),
            sent: 10,
            effort: Effort::default(),
            punctuality: None,
            held_up: None,
            window: Window::new(load, live),
        }
    }

    #[test]
    fn shares_make_the_whole() {
        for (n, threads) in [(10, 3), (2, 4), (0, 2), (50_000, 7)] {
            let seats = (0..threads).map(|index| Seat { index, threads });
            assert_eq!(seats.map(|seat| seat.share_of(n)).sum::<usize>(), n);
            let seats = (0..threads).map(|index| Seat { index, threads });
            assert!(
                seats
                    .map(|seat| seat.start_in(n))
                    .all(|start| start < n.max(1))
            );
        }
    }

    #[test]
    fn every_thread_works_and_their_counts_are_added() {
        let asks = nothing_asked();
        let load = Load {
            threads: 3,
            processors: vec![0],
            ..Load::default()
        };
        let live = Live::new(&load);
        let measured = run(&load, &live, |_| Ok(share(&asks, &load, &live))).expect("they work");
        assert_eq!(measured.sent, 30);
        assert_eq!(measured.elapsed, load.duration);
        assert_eq!(measured.limited, None);
    }

    #[test]
    fn an_error_of_one_thread_stops_the_others() {
        let asks = nothing_asked();
        let load = Load {
            threads: 2,
            ..Load::default()
        };
        let live = Live::new(&load);
        let outcome = run(&load, &live, |seat| {
            if seat.index == 1 {
                return Err(GenerateError::NothingToAsk);
            }
            while !live.stopped() {
                thread::yield_now();
            }
            Ok(share(&asks, &load, &live))
        });
        assert!(matches!(outcome, Err(GenerateError::NothingToAsk)));
    }

    #[test]
    fn a_processor_that_is_not_there_is_named() {
        let asks = nothing_asked();
        let load = Load {
            processors: vec![100_000],
            ..Load::default()
        };
        let live = Live::new(&load);
        let outcome = run(&load, &live, |_| Ok(share(&asks, &load, &live)));
        let error = outcome.expect_err("no machine has so many");
        assert!(error.to_string().contains("processor 100000"), "{error}");
    }

    #[test]
    fn a_generator_that_is_the_bottleneck_says_so() {
        let asks = nothing_asked();
        let mut load = Load::default();
        let live = Live::new(&load);
        let busy = Share {
            effort: Effort {
                cpu: Cpu {
                    user: 5.0,
                    system: 2.0,
                },
                waited: 2.9,
            },
            punctuality: Some(Punctuality {
                taken: 900,
                late: 5,
                worst: 7_000_000,
                unsent: 10,
            }),
            ..share(&asks, &load, &live)
        };
        let said = whole(&load, vec![busy]).limited.expect("99 % are too much");
        assert!(said.contains("busy 70 %"), "{said}");
        load.pace = Pace::Open { rate: 1.0 };
        let late = |late| Share {
            punctuality: Some(Punctuality {
                taken: 1000,
                late,
                worst: 7_000_000,
                unsent: 0,
            }),
            ..share(&asks, &load, &live)
        };
        assert_eq!(whole(&load, vec![late(10)]).limited, None);
        let said = whole(&load, vec![late(11)])
            .limited
            .expect("1.1 % are too late");
        assert!(said.contains("11 left more than 1 ms late"), "{said}");
    }
}
