//! One secondary zone: the state machine of `dns`, given time, primaries and a place to keep the zone.
//!
//! One task a zone, which does one thing at a time. What it transfers serves once the reloader has adopted it.

use super::fetch;
use super::{Arrived, Shared, ZoneStatus};
use crate::daemon::now;
use crate::wiring::held::{self, HeldZone};
use dns::Name;
use dns::transfer::records::{apply, from_master_file, to_master_file};
use dns::transfer::{Action, Came, Event, OwnedRecord, Received, Remote, Secondary, Told, Version};
use std::path::PathBuf;
use std::sync::Arc;
use steering::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// What a primary told: which one, and the serial.
pub type Notice = (usize, Option<u32>);

/// Why a transfer is broken off when the zone that serves is too old.
const EXPIRES: &str = "the zone that serves expired before the transfer ended";

/// A zone that is kept elsewhere.
pub struct Zone {
    pub(super) shared: Arc<Shared>,
    /// As the config calls it.
    pub(super) apex: String,
    pub(super) name: Name,
    pub(super) primaries: Vec<Remote>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) held: Option<Arc<HeldZone>>,
    /// When what serves is too old, unless that has come already.
    pub(super) expires: Option<Timestamp>,
}

impl Zone {
    /// Keeps the zone in step until it is told to stop.
    pub async fn run(mut self, mut notices: mpsc::Receiver<Notice>, stop: CancellationToken) {
        let kept = self.held.as_ref().map(|held| (held.version, held.checked));
        let mut machine = Secondary::new(self.primaries.len(), kept, now());
        if self.held.as_ref().is_some_and(|held| held.expired) {
            // What the config found too old is not served; the machine says so as soon as it looks.
            tracing::warn!(zone = self.apex, "the zone that was kept has expired");
        }
        loop {
            self.tell(&machine);
            let wait = machine.wake_at().since(now());
            let event = tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(wait) => Event::Time,
                notice = notices.recv() => match notice {
                    Some((primary, serial)) => Event::Notify { primary, serial },
                    None => return,
                },
            };
            let mut action = machine.handle(now(), event, fetch::draw());
            while let Some(next) = action {
                self.expires = machine.expires_at().filter(|_| !machine.is_expired());
                let event = tokio::select! {
                    () = stop.cancelled() => return,
                    event = self.perform(next) => event,
                };
                let Some(event) = event else { break };
                // What came meanwhile is known before the round ends.
                while let Ok((primary, serial)) = notices.try_recv() {
                    machine.handle(now(), Event::Notify { primary, serial }, fetch::draw());
                }
                action = machine.handle(now(), event, fetch::draw());
            }
        }
    }

    /// Does it; gives what came of it, where something does.
    async fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Poll(primary) => {
                let remote = self.primaries.get(primary)?.clone();
                let polled = fetch::soa(&remote, &self.name).await;
                let polled = polled.map_err(|why| format!("{}: {why}", remote.address));
                let held = self.held.as_ref().map(|held| held.version.serial);
                match &polled {
                    Err(why) => {
                        tracing::warn!(zone = self.apex, "a primary could not be asked: {why}");
                    }
                    // Another version says nothing for the one that is held: it ages until it is replaced.
                    Ok(serial) if Some(*serial) == held => self.fresh(),
                    Ok(_) => {}
                }
                Some(Event::Polled(polled))
            }
            Action::Transfer(primary) => {
                let remote = self.primaries.get(primary)?.clone();
                let came = self.transfer(&remote).await;
                let came = came.map_err(|why| format!("{}: {why}", remote.address));
                if let Err(why) = &came {
                    tracing::warn!(zone = self.apex, "a transfer failed: {why}");
                }
                Some(Event::Transferred(came))
            }
            Action::Expire => {
                tracing::error!(
                    zone = self.apex,
                    "the zone has expired: no primary was reached in time; it is answered with SERVFAIL"
                );
                self.mark(true).await;
                None
            }
            Action::Revive => {
                tracing::info!(
                    zone = self.apex,
                    "a primary was reached; the zone is answered again"
                );
                self.mark(false).await;
                None
            }
        }
    }

    /// Has the zone answered from, or not any more.
    async fn mark(&mut self, expired: bool) {
        let Some(held) = &self.held else { return };
        let marked = Arc::new(HeldZone {
            expired,
            checked: if expired { held.checked } else { now() },
            ..HeldZone::clone(held)
        });
        match self.adopted(marked.clone()).await {
            Ok(()) => self.held = Some(marked),
            Err(why) => tracing::error!(zone = self.apex, "it could not be marked: {why}"),
        }
    }

    /// The version that is held is still the newest.
    fn fresh(&self) {
        if let (Some(held), true) = (&self.held, self.state_dir.is_some()) {
            let _ = held::touch(held);
        }
    }

    async fn transfer(&mut self, remote: &Remote) -> Result<Option<Version>, String> {
        let shared = self.shared.clone();
        let _slot = tokio::select! {
            slot = shared.slots.acquire() => slot,
            () = until(self.expires) => return Err(EXPIRES.to_owned()),
        };
        let known = self.known();
        let have = known.as_deref().and_then(|records| {
            let serial = held::version(records, &self.name)?.serial;
            Some((held::soa(records, &self.name)?, serial))
        });
        let metrics = &shared.metrics;
        let mut received = self.fetched(remote, have).await;
        if let (Err(why), Some(_)) = (&received, have) {
            tracing::info!(
                zone = self.apex,
                "no differences, so the whole zone is asked for: {why}"
            );
            received = self.fetched(remote, None).await;
        }
        let (records, how) = match received {
            Err(why) => {
                metrics.came(Came::Failed);
                return Err(why);
            }
            Ok(Received::UpToDate | Received::TooLong) => {
                metrics.came(Came::Unchanged);
                self.fresh();
                return Ok(None);
            }
            Ok(Received::Whole(records)) => (records, Came::Whole),
            Ok(Received::Changes(deltas)) => match apply(known.unwrap_or_default(), deltas) {
                Ok(records) => (records, Came::Changes),
                Err(mismatch) => {
                    tracing::warn!(zone = self.apex, "the whole zone is asked for: {mismatch}");
                    match self.fetched(remote, None).await {
                        Ok(Received::Whole(records)) => (records, Came::Whole),
                        other => {
                            metrics.came(Came::Failed);
                            return Err(other.err().unwrap_or_else(|| mismatch.to_string()));
                        }
                    }
                }
            },
        };
        match self.take(records).await {
            Ok(version) => {
                metrics.came(how);
                tracing::info!(zone = self.apex, serial = version.serial, result = ?how, from = %remote.address, "transferred");
                Ok(Some(version))
            }
            Err(why) => {
                metrics.came(Came::Rejected);
                Err(why)
            }
        }
    }

    /// Transfers it, for no longer than what serves may: a primary that never comes to an end keeps no zone alive.
    async fn fetched(
        &self,
        remote: &Remote,
        have: Option<(&OwnedRecord, u32)>,
    ) -> Result<Received, String> {
        tokio::select! {
            received = fetch::zone(remote, &self.name, have) => received,
            () = until(self.expires) => Err(EXPIRES.to_owned()),
        }
    }

    /// The records that are held, and that changes can be applied to.
    fn known(&self) -> Option<Vec<OwnedRecord>> {
        // Nothing is built upon one that has expired (RFC 1034 §4.3.5): it is transferred whole.
        let held = self.held.as_ref().filter(|held| !held.expired)?;
        tokio::task::block_in_place(|| from_master_file(&held.text, &self.name))
    }

    /// Has these records served, and keeps them.
    async fn take(&mut self, records: Vec<OwnedRecord>) -> Result<Version, String> {
        let version = held::version(&records, &self.name).ok_or("it has no SOA")?;
        let zone = Arc::new(HeldZone {
            text: tokio::task::block_in_place(|| to_master_file(&records)).into(),
            file: held::file(&self.apex, self.state_dir.as_deref()),
            version,
            checked: now(),
            expired: false,
        });
        drop(records);
        self.adopted(zone.clone()).await?;
        if self.state_dir.is_some() {
            let kept = tokio::task::block_in_place(|| held::keep(&zone));
            if let Err(error) = kept {
                tracing::error!(zone = self.apex, file = %zone.file.display(), %error, "the zone serves, but can't be kept for the next start");
            }
        }
        self.held = Some(zone);
        Ok(version)
    }

    /// Asks the one who makes candidates to take this in.
    async fn adopted(&self, zone: Arc<HeldZone>) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let arrived = Arrived {
            apex: self.apex.clone(),
            zone,
            done,
        };
        let gone = || "Rhumb is stopping".to_owned();
        self.shared
            .arrivals
            .send(arrived)
            .await
            .map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    fn tell(&self, machine: &Secondary) {
        let status = ZoneStatus {
            zone: self.apex.clone(),
            primaries: self.primaries.iter().map(|p| p.address).collect(),
            serial: machine.version().map(|version| version.serial),
            state: match (machine.version(), machine.is_expired()) {
                (None, _) => "not transferred",
                (Some(_), true) => "expired",
                (Some(_), false) => "serving",
            }
            .to_owned(),
            checked: machine.checked(),
            next: machine.next(),
            expires: machine.expires_at(),
            error: machine.error().map(str::to_owned),
        };
        self.shared.status.lock().insert(self.apex.clone(), status);
    }
}

/// Completes at this time; without one, never.
async fn until(time: Option<Timestamp>) {
    match time {
        Some(time) => sleep(time.since(now())).await,
        None => std::future::pending().await,
    }
}

/// Counts a NOTIFY that was taken.
pub fn taken(shared: &Shared) {
    shared.metrics.told(Told::Taken);
}
