//! Transfers out, as the connections ask for them: a slot for each, counted by how it ended.
//!
//! Bounds: [`MAX_TRANSFERS`] at a time, [`MAX_PER_CLIENT`] of them to one address, a line in the log a second of those
//! that were turned down. What never happens here: nothing is written to a connection; a transfer makes its next
//! message when there is room for it.

use super::metrics::{Metrics, Went};
use super::outgoing::{Outgoing, unix_now};
use super::request;
use crate::query::{Arrival, Transport};
use crate::server::{Messages, Transfers};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use steering::Reader;

/// The most transfers at a time: each may keep the generation it began with alive.
pub const MAX_TRANSFERS: usize = 64;
/// The most of them to one address.
pub const MAX_PER_CLIENT: usize = 16;

/// Gives transfers to those who may have them.
#[derive(Debug)]
pub struct Service {
    metrics: Arc<Metrics>,
    slots: Arc<Slots>,
    /// The second in which one that was turned down was last told of.
    told: AtomicU32,
}

impl Service {
    /// With nothing under way.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            slots: Arc::default(),
            told: AtomicU32::new(0),
        }
    }

    /// Whether one that is turned down now gets a line: all are counted, but nobody fills the log by asking.
    fn is_told(&self, now: u32) -> bool {
        self.told.swap(now, Ordering::Relaxed) != now
    }
}

impl Transfers for Service {
    fn open(
        &self,
        reader: &Reader,
        packet: &[u8],
        peer: IpAddr,
        transport: Transport,
    ) -> Option<Box<dyn Messages>> {
        if !request::asks_for_transfer(packet) {
            return None;
        }
        let arrival = Arrival {
            now: unix_now() as u32,
            ..Arrival::new(peer, transport)
        };
        let Some(outgoing) = request::open(&reader.snapshot(), packet, &arrival) else {
            if self.is_told(arrival.now) {
                tracing::info!(%peer, "a zone transfer was refused");
            }
            self.metrics.went(Went::Refused);
            return None;
        };
        let Some(slot) = Slot::take(&self.slots, peer) else {
            if self.is_told(arrival.now) {
                tracing::warn!(%peer, zone = %outgoing.apex(), "too many zone transfers at this time");
            }
            self.metrics.went(Went::Busy);
            return None;
        };
        Some(Box::new(Counted {
            peer,
            outgoing,
            metrics: self.metrics.clone(),
            done: false,
            _slot: slot,
        }))
    }
}

/// A transfer that is counted when it ends, one way or the other.
struct Counted {
    peer: IpAddr,
    outgoing: Outgoing,
    metrics: Arc<Metrics>,
    done: bool,
    _slot: Slot,
}

impl Messages for Counted {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let more = self.outgoing.next(out);
        self.done |= !more && self.outgoing.is_complete();
        more
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let how = if self.done {
            self.outgoing.kind()
        } else {
            Went::Aborted
        };
        self.metrics.went(how);
        tracing::info!(peer = %self.peer, zone = %self.outgoing.apex(), result = ?how, "a zone transfer ended");
    }
}

/// What is under way, by client.
#[derive(Debug, Default)]
struct Slots(Mutex<HashMap<IpAddr, usize>>);

/// One transfer's place among them.
#[derive(Debug)]
struct Slot {
    slots: Arc<Slots>,
    peer: IpAddr,
}

impl Slot {
    fn take(slots: &Arc<Slots>, peer: IpAddr) -> Option<Self> {
        let mut taken = slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let ours = taken.get(&peer).copied().unwrap_or(0);
        if all >= MAX_TRANSFERS || ours >= MAX_PER_CLIENT {
            return None;
        }
        taken.insert(peer, ours + 1);
        let slots = slots.clone();
        Some(Self { slots, peer })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.remove(&self.peer);
            }
        }
    }
}
