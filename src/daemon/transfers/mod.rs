//! Zones that move between servers, in the daemon: secondary zones kept in step with their primaries, and our own
//! secondaries told of changes.
//!
//! ```text
//! primaries <-- a task a secondary zone --> arrivals --> reloader (zone checks) --> conductor --> snapshot
//! secondaries <-- NOTIFY, a task each <-- what moved from one snapshot to the next
//! ```
//!
//! Nothing is answered here, and no snapshot is made.

mod fetch;
mod secondary;

use crate::wiring::held::{Held, HeldZone};
use crate::wiring::peers::dotted;
use config::Checked;
use dns::transfer::{Metrics, Moved, Peers, Remote, Told};
use dns::{Name, Notified, Zones};
use parking_lot::Mutex;
use secondary::{Notice, Zone};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use steering::{Snapshot, Timestamp};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// The most zones that are transferred at a time.
const TRANSFERS: usize = 8;
/// The most NOTIFY messages under way at a time; more wait.
const ANNOUNCEMENTS: usize = 64;
/// How many notices may wait for one zone; more say nothing new.
const NOTICES: usize = 4;
/// How many zones may wait to be adopted; their tasks wait beyond that.
const ARRIVALS: usize = 16;

/// A zone that is to be served from now on, or not any more.
pub struct Arrived {
    /// As the config calls it.
    pub apex: String,
    /// What is held of it.
    pub zone: Arc<HeldZone>,
    /// Whether it serves now, or why not.
    pub done: oneshot::Sender<Result<(), String>>,
}

/// A secondary zone, as `rhumb status` shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ZoneStatus {
    /// Its name.
    pub zone: String,
    /// Where it comes from.
    pub primaries: Vec<SocketAddr>,
    /// Its version.
    pub serial: Option<u32>,
    /// `serving`, `expired` or `not transferred`.
    pub state: String,
    /// When a primary last said that this is the newest version.
    pub checked: Option<Timestamp>,
    /// When a primary is asked next.
    pub next: Timestamp,
    /// When it expires, unless a primary is reached.
    pub expires: Option<Timestamp>,
    /// Why the last round failed.
    pub error: Option<String>,
}

/// What every task needs.
struct Shared {
    arrivals: mpsc::Sender<Arrived>,
    metrics: Arc<Metrics>,
    slots: Semaphore,
    announcing: Arc<Semaphore>,
    status: Mutex<BTreeMap<String, ZoneStatus>>,
}

/// One secondary zone's task, and what it was started with.
struct Task {
    like: Vec<(SocketAddr, Option<Arc<dns::transfer::Key>>)>,
    notices: mpsc::Sender<Notice>,
    stop: CancellationToken,
}

impl Drop for Task {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// All of it.
pub struct Transfers {
    held: Arc<Held>,
    shared: Arc<Shared>,
    tasks: Mutex<HashMap<Name, Task>>,
    announcements: Mutex<HashMap<(Name, SocketAddr), AbortHandle>>,
}

impl Transfers {
    /// With nothing under way; and where zones arrive.
    pub fn new(held: Arc<Held>, metrics: Arc<Metrics>) -> (Arc<Self>, mpsc::Receiver<Arrived>) {
        let (arrivals, inbox) = mpsc::channel(ARRIVALS);
        let shared = Arc::new(Shared {
            arrivals,
            metrics,
            slots: Semaphore::new(TRANSFERS),
            announcing: Arc::new(Semaphore::new(ANNOUNCEMENTS)),
            status: Mutex::default(),
        });
        let transfers = Arc::new(Self {
            held,
            shared,
            tasks: Mutex::default(),
            announcements: Mutex::default(),
        });
        (transfers, inbox)
    }

    /// What is held of the zones that other servers keep.
    pub fn held(&self) -> &Arc<Held> {
        &self.held
    }

    /// Keeps the secondary zones of this config in step, and no others. A zone whose primaries are the same goes on as
    /// it is.
    pub fn retarget(&self, checked: &Checked, snapshot: &Snapshot) {
        let peers = Peers::of(snapshot);
        let mut tasks = self.tasks.lock();
        let mut before = std::mem::take(&mut *tasks);
        let mut wanted = HashSet::new();
        for zone in checked
            .zones
            .iter()
            .filter(|zone| !zone.primaries.is_empty())
        {
            let Ok(name) = Name::parse(&dotted(&zone.apex)) else {
                continue;
            };
            let Some(exchanged) = peers.zone(&name) else {
                continue;
            };
            let like: Vec<_> = exchanged
                .primaries
                .iter()
                .map(|remote| (remote.address, remote.key.clone()))
                .collect();
            wanted.insert(&*zone.apex);
            let task = before.remove(&name).filter(|task| task.like == like);
            let task = task.unwrap_or_else(|| {
                let state_dir = checked.state_dir.clone();
                self.start(
                    Zone {
                        shared: self.shared.clone(),
                        apex: zone.apex.clone(),
                        name: name.clone(),
                        primaries: exchanged.primaries.clone(),
                        held: self.held.zone(&zone.apex, state_dir.as_deref()),
                        state_dir,
                        expires: None,
                    },
                    like,
                )
            });
            tasks.insert(name, task);
        }
        // What is left of the tasks before: zones that are no secondaries any more.
        drop(before);
        let mut status = self.shared.status.lock();
        status.retain(|apex, _| wanted.contains(&**apex));
    }

    fn start(&self, zone: Zone, like: Vec<(SocketAddr, Option<Arc<dns::transfer::Key>>)>) -> Task {
        let (notices, inbox) = mpsc::channel(NOTICES);
        let stop = CancellationToken::new();
        tokio::spawn(zone.run(inbox, stop.clone()));
        Task {
            like,
            notices,
            stop,
        }
    }

    /// A primary says that there is a new version. Does not wait.
    pub fn notified(&self, snapshot: &Snapshot, notified: Notified) {
        secondary::taken(&self.shared);
        let zones = snapshot.table().planes().find::<Zones>();
        let zone = zones.and_then(|zones| zones.iter().nth(notified.zone as usize));
        let Some(zone) = zone else { return };
        if let Some(task) = self.tasks.lock().get(zone.apex()) {
            let notice = (usize::from(notified.primary), notified.serial);
            // A full queue has news enough.
            let _ = task.notices.try_send(notice);
        }
    }

    /// Tells secondaries of zones that have a new version, and metrics of all versions.
    pub fn moved(self: &Arc<Self>, snapshot: &Snapshot, moved: &[Moved]) {
        let peers = Peers::of(snapshot);
        let Some(zones) = snapshot.table().planes().find::<Zones>() else {
            return;
        };
        self.shared.metrics.serials(zones);
        for grown in moved {
            let Moved::Grew { zone: apex, .. } = grown else {
                continue;
            };
            let (Some(zone), Some(exchanged)) = (zones.at(apex), peers.zone(apex)) else {
                continue;
            };
            let soa: Option<(u32, Arc<[u8]>)> = zone
                .soa_record()
                .map(|record| (record.ttl, record.data.into()));
            for remote in &exchanged.notify {
                self.announce(remote.clone(), apex.clone(), zone.serial(), soa.clone());
            }
        }
    }

    /// Tells one secondary, in place of anything older it was still to be told of this zone.
    fn announce(
        self: &Arc<Self>,
        remote: Remote,
        apex: Name,
        serial: u32,
        soa: Option<(u32, Arc<[u8]>)>,
    ) {
        let key = (apex.clone(), remote.address);
        let shared = self.shared.clone();
        let task = tokio::spawn(async move {
            let _slot = shared.announcing.acquire().await;
            let told = soa.as_ref().map(|(ttl, data)| (*ttl, &**data));
            let how = match fetch::announce(&remote, &apex, told).await {
                Ok(0) => {
                    tracing::info!(zone = %apex, serial, to = %remote.address, "a secondary knows of the new version");
                    Told::Acknowledged
                }
                Ok(rcode) => {
                    tracing::warn!(zone = %apex, to = %remote.address, rcode, "a secondary refuses our NOTIFY");
                    Told::Refused
                }
                Err(why) => {
                    tracing::warn!(zone = %apex, to = %remote.address, "a secondary does not answer our NOTIFY: {why}");
                    Told::Unanswered
                }
            };
            shared.metrics.told(how);
        });
        let mut announcements = self.announcements.lock();
        announcements.retain(|_, task| !task.is_finished());
        if let Some(older) = announcements.insert(key, task.abort_handle()) {
            older.abort();
        }
    }

    /// The secondary zones, as they stand.
    pub fn status(&self) -> Vec<ZoneStatus> {
        self.shared.status.lock().values().cloned().collect()
    }
}
