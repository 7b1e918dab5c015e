//! One server of a comparison: started on its processor in a process group of its own, its output kept,
//! ended by its pid. Nothing of it outlives the value.

use super::contest::{Cannot, Launch};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// How often a waited-for thing is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// How much of a log is shown.
const TAIL_BYTES: usize = 2000;

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server in `folder` on `processor`, or on any where there is none to pin to.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(launch: &Launch, folder: &Path, processor: Option<usize>) -> Result<Self, Cannot> {
        let broken =
            |error: std::io::Error| Cannot::Start(format!("{}: {error}", launch.program.display()));
        let log = folder.join("log");
        let out = File::create(&log).map_err(broken)?;
        let mut command = Command::new(&launch.program);
        command
            .args(&launch.args)
            .envs(launch.env.iter().map(|(k, v)| (k, v)))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone().map_err(broken)?)
            .stderr(out)
            .process_group(0);
        // A child inherits the processors of the thread that starts it; that thread ends at once.
        let child = std::thread::scope(|scope| {
            let start = scope.spawn(|| {
                pin_this_thread(processor);
                command.spawn()
            });
            start.join()
        });
        let child = child.map_err(|_| Cannot::Start("the starting thread broke off".into()))?;
        Ok(Self {
            child: child.map_err(broken)?,
            log,
        })
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// When it ends, or is not ready within `bound`; with the end of its log.
    pub fn wait_ready(
        &mut self,
        bound: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), Cannot> {
        let until = Instant::now() + bound;
        loop {
            if let Some(how) = self.has_ended() {
                return Err(self.failure(&how));
            }
            if ready() {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(self.failure(&format!("no answer within {bound:?}")));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// A failure in words, with the end of the log.
    pub fn failure(&self, what: &str) -> Cannot {
        Cannot::Start(format!("{what}; its log ends: {}", self.tail()))
    }

    /// How it has ended, if it has. Its pid stays taken until the value is dropped, so that no signal
    /// can reach somebody else.
    pub fn has_ended(&self) -> Option<String> {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.group()), look) {
            Ok(WaitStatus::StillAlive) => None,
            Ok(WaitStatus::Exited(_, status)) => Some(format!("ended with status {status}")),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(format!("ended by {signal}")),
            Ok(_) => None,
            Err(error) => Some(format!("can't be watched: {error}")),
        }
    }

    /// The pid, which is its process group's too.
    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    fn tail(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(TAIL_BYTES)..];
        String::from_utf8_lossy(tail).trim().to_owned()
    }

    fn end(&mut self) {
        let group = self.group();
        // A process that ended meanwhile has nobody to tell.
        let _ = kill(group, Signal::SIGTERM);
        let until = Instant::now() + GRACE;
        while self.has_ended().is_none() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        // It, and whatever it left behind in its group.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Where it is not allowed (a container's own set of processors), the system places the thread.
pub fn pin_this_thread(processor: Option<usize>) {
    let Some(processor) = processor else { return };
    let mut set = CpuSet::new();
    if set.set(processor).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Launch {
        Launch::new(Path::new("/bin/sh"), ["-c", script])
    }

    #[test]
    fn a_server_ends_with_its_value_even_if_it_will_not() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pid_file = folder.path().join("pid");
        let launch = shell("(sleep 60 & echo $! > pid); sleep 60");
        let mut server = Server::start(&launch, folder.path(), None).expect("it starts");
        server
            .wait_ready(Duration::from_secs(10), || {
                std::fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n'))
            })
            .expect("it writes its pid");
        let pid = std::fs::read_to_string(&pid_file).expect("the pid of what it left behind");
        drop(server);
        // Killed at once, gone when the system comes to it.
        let left = PathBuf::from("/proc").join(pid.trim()).join("stat");
        let is_there = || {
            let state = std::fs::read_to_string(&left).unwrap_or_default();
            !state.is_empty() && !state.contains(") Z ")
        };
        let until = Instant::now() + Duration::from_secs(20);
        while is_there() && Instant::now() < until {
            std::thread::sleep(LOOK);
        }
        assert!(!is_there(), "{} is still there", left.display());
    }

    #[test]
    fn a_server_that_ends_is_told_with_its_log() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let launch = shell("echo no such zone >&2; exit 3");
        let mut server = Server::start(&launch, folder.path(), None).expect("it starts");
        let error = server.wait_ready(Duration::from_secs(10), || false);
        let error = error.expect_err("it ended").to_string();
        assert!(error.contains("status 3"), "{error}");
        assert!(error.contains("no such zone"), "{error}");
    }
}
