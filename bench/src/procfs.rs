//! What processes cost, from Linux's /proc: processor time of a whole process tree, and memory. It only
//! reads; where there is no /proc, everything is 0.

use serde::Serialize;
use std::fs;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::time::Duration;

/// Processor time spent by a process and its children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cpu {
    /// In the process's own code, seconds.
    pub user: f64,
    /// In the kernel on its behalf, seconds.
    pub system: f64,
}

impl Cpu {
    /// Both.
    pub fn total(self) -> f64 {
        self.user + self.system
    }

    /// Microseconds for each of `n` pieces of work, user and system apart; 0 for none.
    pub fn micros_each(self, n: u64) -> Self {
        let scale = if n == 0 { 0.0 } else { 1e6 / n as f64 };
        Self {
            user: self.user * scale,
            system: self.system * scale,
        }
    }

    /// The share of one processor that this was over `elapsed`, 1 for all of it.
    pub fn share_of(self, elapsed: Duration) -> f64 {
        self.total() / elapsed.as_secs_f64().max(1e-9)
    }
}

impl Add for Cpu {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            user: self.user + other.user,
            system: self.system + other.system,
        }
    }
}

impl Sub for Cpu {
    type Output = Self;

    /// Never below zero: a child that ended took its time with it.
    fn sub(self, other: Self) -> Self {
        Self {
            user: (self.user - other.user).max(0.0),
            system: (self.system - other.system).max(0.0),
        }
    }
}

impl Sum for Cpu {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// Processor time that this process has spent.
pub fn own_cpu() -> Cpu {
    process_cpu("self")
}

/// Processor time that process `pid` and the children it has now have spent.
pub fn tree_cpu(pid: u32) -> Cpu {
    tree(pid).iter().map(|pid| process_cpu(pid)).sum()
}

/// Resident bytes of process `pid` and the children it has now. Pages that they share count once for
/// each, unless the kernel tells proportional sizes.
pub fn tree_resident_bytes(pid: u32) -> u64 {
    tree(pid).iter().map(|pid| resident(pid)).sum()
}

/// Resident bytes of this process.
pub fn resident_bytes() -> u64 {
    status_kilobytes("self", "VmRSS:") * 1024
}

/// A process and its descendants, as the names of their folders in /proc.
fn tree(pid: u32) -> Vec<String> {
    let mut found = vec![pid.to_string()];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children(pid));
        next += 1;
    }
    found
}

fn children(pid: &str) -> Vec<String> {
    threads(pid)
        .flat_map(|thread| {
            let list = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children"));
            let list = list.unwrap_or_default();
            list.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

fn threads(pid: &str) -> impl Iterator<Item = String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    tasks.filter_map(|task| task.file_name().into_string().ok())
}

/// The scheduler counts the whole in nanoseconds; the split into user and system is kept in ticks of a
/// hundredth of a second, so it is taken as a proportion.
fn process_cpu(pid: &str) -> Cpu {
    let (user, system) = ticks(pid);
    let split = Cpu { user, system };
    let whole: f64 = threads(pid).map(|thread| scheduled(pid, &thread)).sum();
    if whole <= 0.0 || split.total() <= 0.0 {
        return split;
    }
    // Threads that ended are in the ticks alone; then the ticks are nearer to the truth.
    let tolerance = 2.0 * TICK + 0.02 * split.total();
    if (whole - split.total()).abs() > tolerance {
        return split;
    }
    let scale = whole / split.total();
    Cpu {
        user: user * scale,
        system: system * scale,
    }
}

/// Seconds a tick of /proc/PID/stat lasts (USER_HZ, 100 on every Linux there is).
const TICK: f64 = 0.01;

/// User and system seconds: fields 14 and 15 of proc_pid_stat(5).
fn ticks(pid: &str) -> (f64, f64) {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold spaces and brackets; what follows the last bracket does not.
    let rest = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let mut fields = rest.split(' ').skip(11);
    let mut seconds = || {
        let ticks: f64 = fields.next().and_then(|f| f.parse().ok()).unwrap_or(0.0);
        ticks * TICK
    };
    (seconds(), seconds())
}

/// Seconds a thread was on a processor.
fn scheduled(pid: &str, thread: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat"));
    let text = text.unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}

fn resident(pid: &str) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let proportional = kilobytes(&rollup, "Pss:");
    1024 * proportional.unwrap_or_else(|| status_kilobytes(pid, "VmRSS:"))
}

fn status_kilobytes(pid: &str, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    kilobytes(&status, field).unwrap_or(0)
}

fn kilobytes(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
