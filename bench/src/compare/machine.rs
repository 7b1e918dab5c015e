//! The machine that a comparison runs on, and what others do on it meanwhile; from /proc and /sys.

use serde::{Deserialize, Serialize};
use std::fs;
use std::time::{Duration, Instant};

/// A machine in a few words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's own name.
    pub processor: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// Memory, bytes.
    pub memory: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The distribution.
    pub system: String,
    /// How the frequency is governed, where the kernel tells.
    pub governor: Option<String>,
    /// The hypervisor's presence, as the processor tells it.
    pub virtual_machine: bool,
    /// Which processor the servers ran on, and which the load came from; `None` where there is but one.
    pub pinned: Option<(usize, usize)>,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once([':', '=']));
            value.map_or(String::new(), |(_, v)| {
                v.trim().trim_matches('"').to_owned()
            })
        };
        let kilobytes = field(&read("/proc/meminfo"), "MemTotal");
        let kilobytes: u64 = kilobytes.trim_end_matches(" kB").parse().unwrap_or(0);
        let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
        let processors = allowed_processors();
        Self {
            processor: field(&cpuinfo, "model name"),
            processors: processors.len(),
            memory: kilobytes * 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            system: field(&read("/etc/os-release"), "PRETTY_NAME"),
            governor: Some(governor.trim().to_owned()).filter(|g| !g.is_empty()),
            virtual_machine: field(&cpuinfo, "flags")
                .split(' ')
                .any(|flag| flag == "hypervisor"),
            pinned: match *processors {
                [server, load, ..] => Some((server, load)),
                _ => None,
            },
        }
    }
}

/// The processors that this process may use.
pub fn allowed_processors() -> Vec<usize> {
    let me = nix::unistd::Pid::from_raw(0);
    let Ok(set) = nix::sched::sched_getaffinity(me) else {
        return Vec::new();
    };
    let count = nix::sched::CpuSet::count();
    (0..count)
        .filter(|i| set.is_set(*i).unwrap_or(false))
        .collect()
}

/// Processor time of the whole machine up to now: what programs took, and what the host took from it.
#[derive(Clone, Copy, Debug)]
pub struct Busy {
    at: Instant,
    /// Seconds, all processors together.
    programs: f64,
    stolen: f64,
}

/// Seconds a tick of /proc/stat lasts.
const TICK: f64 = 0.01;

impl Busy {
    /// Up to now.
    pub fn now() -> Self {
        Self::of(&read("/proc/stat"), Instant::now())
    }

    /// The fields of proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
    fn of(text: &str, at: Instant) -> Self {
        let line = text.lines().next().unwrap_or_default();
        let fields: Vec<f64> = line
            .split_whitespace()
            .skip(1)
            .map(|field| field.parse::<f64>().unwrap_or(0.0) * TICK)
            .collect();
        let field = |i: usize| fields.get(i).copied().unwrap_or(0.0);
        Self {
            at,
            programs: field(0) + field(1) + field(2),
            stolen: field(7),
        }
    }

    /// The share of one processor that was taken since `earlier` by anybody but those who spent `ours`
    /// seconds. Ticks are coarse, so a little may be counted that was not there; never below 0.
    pub fn disturbed_since(&self, earlier: &Self, ours: f64) -> f64 {
        let elapsed = (self.at - earlier.at).max(Duration::from_millis(1));
        let others = (self.programs - earlier.programs - ours).max(0.0);
        (others + self.stolen - earlier.stolen) / elapsed.as_secs_f64()
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_took_is_what_is_left() {
        let start = Instant::now();
        let before = Busy::of("cpu  100 0 100 9999 5 1 1 10 0 0\ncpu0 1", start);
        let later = start + Duration::from_secs(1);
        let after = Busy::of("cpu  180 0 150 9999 5 1 1 20 0 0\ncpu0 1", later);
        // 1.3 seconds of programs, of which 1 was ours, and 0.1 stolen.
        let disturbed = after.disturbed_since(&before, 1.0);
        assert!((disturbed - 0.4).abs() < 1e-9, "{disturbed}");
        assert!((after.disturbed_since(&before, 5.0) - 0.1).abs() < 1e-9);
    }

    #[test]
    fn this_machine_has_a_processor() {
        let machine = Machine::here();
        assert!(machine.processors > 0);
        assert_eq!(machine.pinned.is_some(), machine.processors > 1);
    }
}
