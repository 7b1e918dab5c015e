//! Starts, changes and stops the checks of a PoP: one task a target, one for connect times, one for the
//! state file. It runs no probe itself.

use crate::chance::Chance;
use crate::meter::{self, Sampler};
use crate::metrics::Metrics;
use crate::plan::{Plan, PlannedCheck, PlannedTarget};
use crate::report::Reports;
use crate::restore::Restored;
use crate::runner::Runner;
use crate::save::Saver;
use crate::shared::{Board, Event, Shared, now};
use crate::target::Target;
use prometheus::Registry;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use steering::health::TargetKey;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How many probes may be in flight, unless said otherwise.
pub const DEFAULT_MAX_IN_FLIGHT: usize = 256;

/// What a checker needs to know besides its plan.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The most probes in flight at any time, all targets together; at least 1.
    pub max_in_flight: usize,
    /// Seeds the jitter. Another one for each PoP and start, so that PoPs do not probe in step.
    pub seed: u64,
    /// Where states are kept over a restart; `None` keeps none.
    pub state_dir: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_in_flight: DEFAULT_MAX_IN_FLIGHT,
            seed: 0,
            state_dir: None,
        }
    }
}

/// Why a checker does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The metrics registry refuses its metrics.
    #[error("health metrics cannot be registered; one checker a registry: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The running checks. Dropping it ends them without a last save; [`Checker::stop`] saves.
#[derive(Debug)]
pub struct Checker {
    shared: Arc<Shared>,
    running: HashMap<TargetKey, Running>,
    checks: HashSet<Arc<str>>,
    seed: u64,
    saver: Option<Saver>,
    sampler: Sampler,
    tasks: TaskTracker,
    all: CancellationToken,
    _ends_with_it: DropGuard,
}

/// One target's task.
#[derive(Debug)]
struct Running {
    target: Arc<Target>,
    check: watch::Sender<Arc<PlannedCheck>>,
    cancel: CancellationToken,
}

impl Checker {
    /// Starts to probe every target of the plan at once, as many as may be in flight. Must be called
    /// in a tokio runtime.
    ///
    /// Events go to `out`, which holds probes back when it is full, so it must be read. What was
    /// `restored` is sent there first; whoever serves before reading it takes
    /// [`Restored::transitions`] and [`Restored::measured`] into the first snapshot.
    ///
    /// # Errors
    /// The registry already has a checker's metrics.
    pub fn start(
        plan: Plan,
        restored: &Restored,
        settings: Settings,
        out: mpsc::Sender<Event>,
        registry: &Registry,
    ) -> Result<Self, StartError> {
        let metrics = Metrics::new(registry)?;
        let shared = Arc::new(Shared::new(metrics, settings.max_in_flight, out));
        let all = CancellationToken::new();
        let tasks = TaskTracker::new();
        let (sampler, meter) = meter::channel(&shared);
        tasks.spawn(meter.run(all.clone()));
        let saver = settings
            .state_dir
            .map(|dir| Saver::new(shared.clone(), dir));
        if let Some(saver) = &saver {
            tasks.spawn(saver.clone().run(all.clone()));
        }
        let mut checker = Self {
            shared,
            running: HashMap::new(),
            checks: HashSet::new(),
            seed: settings.seed,
            saver,
            sampler,
            tasks,
            _ends_with_it: all.clone().drop_guard(),
            all,
        };
        checker.follow(plan, restored);
        Ok(checker)
    }

    /// Follows a reload: targets that stay keep their state and their schedule, a changed check is
    /// probed at once, new targets start, removed ones end. Call it after the new table was published:
    /// the event of a new target would be lost on the old one.
    pub fn retarget(&mut self, plan: Plan) {
        self.follow(plan, &Restored::default());
    }

    /// Completes when every checked target has had its first outcome; at once when there is none. Its
    /// events are in the channel by then. A reload may add targets to wait for. Wait for it with a
    /// bound: a target that never answers takes its check's whole timeout.
    pub fn first_round(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut awaited = self.shared.awaited.subscribe();
        async move {
            // An error means that the checker is gone, and with it the wait.
            let _ = awaited.wait_for(|count| *count == 0).await;
        }
    }

    /// Reads the state of the targets, for `status`.
    pub fn reports(&self) -> Reports {
        Reports {
            shared: self.shared.clone(),
        }
    }

    /// Takes in the connect times that the proxy sees.
    pub fn sampler(&self) -> Sampler {
        self.sampler.clone()
    }

    /// Ends every probe, waits for the tasks, and saves the state a last time.
    pub async fn stop(self) {
        self.all.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Some(saver) = &self.saver {
            saver.save().await;
        }
    }

    fn follow(&mut self, plan: Plan, restored: &Restored) {
        let checks = plan.check_names();
        let old = self.shared.board();
        let mut board = Board::default();
        let mut running = HashMap::with_capacity(plan.targets.len());
        let mut starting = Vec::new();
        for PlannedTarget { key, check } in plan.targets {
            let target = old.find(&key).cloned().unwrap_or_else(|| {
                let saved = restored.find(&key);
                Arc::new(Target::new(key.clone(), check.is_some(), saved, now()))
            });
            board.add(target.clone());
            let Some(check) = check else { continue };
            let task = match self.running.remove(&key) {
                Some(task) => {
                    task.replace_check(check);
                    task
                }
                None => {
                    let (task, runner) = self.prepare(target, check);
                    starting.push((runner, task.cancel.clone()));
                    task
                }
            };
            running.insert(key, task);
        }
        self.shared.replace_board(board);
        self.shared
            .awaited
            .send_modify(|count| *count += starting.len());
        for removed in std::mem::replace(&mut self.running, running).into_values() {
            removed.cancel.cancel();
            self.shared.judged(&removed.target);
        }
        for gone in std::mem::replace(&mut self.checks, checks).difference(&self.checks) {
            self.shared.metrics.forget(gone);
        }
        for (runner, cancel) in starting {
            self.tasks.spawn(runner.run(cancel));
        }
    }

    fn prepare(&self, target: Arc<Target>, check: Arc<PlannedCheck>) -> (Running, Runner) {
        let (sender, receiver) = watch::channel(check);
        let runner = Runner {
            shared: self.shared.clone(),
            chance: Chance::new(self.seed, target.key()),
            target: target.clone(),
            check: receiver,
        };
        (
            Running {
                target,
                check: sender,
                cancel: self.all.child_token(),
            },
            runner,
        )
    }
}

impl Running {
    /// Brings in the check of a reload; the same one again disturbs nothing.
    fn replace_check(&self, new: Arc<PlannedCheck>) {
        self.check.send_if_modified(|current| {
            let changed = current.check != new.check;
            if changed {
                *current = new;
            }
            changed
        });
    }
}
