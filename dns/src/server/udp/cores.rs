//! Which core a worker stays on, so that its table of packets and its counters stay in that core's cache.
//!
//! What never happens here: no core is used that the process may not use, by its affinity mask or cpuset.

/// The cores this process may use, by number; empty where the system does not say.
#[cfg(target_os = "linux")]
pub(super) fn allowed() -> Vec<usize> {
    use nix::sched::{CpuSet, sched_getaffinity};
    use nix::unistd::Pid;
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return Vec::new();
    };
    let cores = 0..CpuSet::count();
    cores
        .filter(|core| set.is_set(*core).unwrap_or(false))
        .collect()
}

/// Keeps this thread on `core`.
#[cfg(target_os = "linux")]
pub(super) fn stay_on(core: usize) {
    use nix::sched::{CpuSet, sched_setaffinity};
    use nix::unistd::Pid;
    let mut set = CpuSet::new();
    let pinned = set
        .set(core)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    if let Err(error) = pinned {
        tracing::debug!(core, %error, "a DNS worker is not kept on its core");
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn allowed() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn stay_on(_core: usize) {}
