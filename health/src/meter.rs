//! Connect times: takes in those that the proxy sees, and tells changes once a second. It probes
//! nothing and never holds up a request: a full queue drops the sample and counts it.

use crate::shared::{Shared, now};
use std::sync::Arc;
use std::time::Duration;
use steering::health::TargetKey;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How many connect times may wait to be taken in.
pub const SAMPLE_QUEUE: usize = 4096;

const TELL_EVERY: Duration = Duration::from_secs(1);

/// Hands in connect times that someone else saw. Cheap to clone; stays valid over reloads.
#[derive(Clone, Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    queue: mpsc::Sender<(TargetKey, f32)>,
}

impl Sampler {
    /// Takes in one connect time to a target, in milliseconds. Never waits; ignores unknown targets.
    pub fn sample(&self, target: &TargetKey, connect_ms: f32) {
        if self.queue.try_send((target.clone(), connect_ms)).is_err() {
            self.shared.metrics.samples_dropped.inc();
        }
    }
}

/// Makes the two ends: what the proxy holds, and the task that takes in.
pub(crate) fn channel(shared: &Arc<Shared>) -> (Sampler, Meter) {
    let (queue, samples) = mpsc::channel(SAMPLE_QUEUE);
    (
        Sampler {
            shared: shared.clone(),
            queue,
        },
        Meter {
            shared: shared.clone(),
            samples,
        },
    )
}

pub(crate) struct Meter {
    shared: Arc<Shared>,
    samples: mpsc::Receiver<(TargetKey, f32)>,
}

impl Meter {
    /// Runs until cancelled, or until nobody listens.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut ticks = interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = ticks.tick() => {
                    if self.shared.tell_latencies(now()).is_err() {
                        return;
                    }
                }
                Some((key, ms)) = self.samples.recv() => self.take(&key, ms),
            }
        }
    }

    fn take(&self, key: &TargetKey, ms: f32) {
        if let Some(target) = self.shared.board().find(key) {
            target.sample(ms);
        }
    }
}
