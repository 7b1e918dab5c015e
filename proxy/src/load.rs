//! Requests in flight by endpoint address, counted over all services and generations.
//!
//! A reload keeps the counts, because they are by address. An address is forgotten when nothing is in
//! flight to it and room is needed, so the map stays in proportion to the endpoints in use.

use parking_lot::RwLock;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Addresses kept before idle ones are forgotten.
const KEEP: usize = 4096;

/// The counts.
#[derive(Debug, Default)]
pub struct Load {
    counts: RwLock<HashMap<SocketAddr, Arc<AtomicU64>>>,
}

/// One request in flight; dropping it ends it.
#[derive(Debug)]
pub struct InFlight(Arc<AtomicU64>);

impl Load {
    /// Requests in flight to `address` now.
    pub fn of(&self, address: SocketAddr) -> u64 {
        self.counts
            .read()
            .get(&address)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Counts one more request to `address` until the guard is dropped.
    pub fn enter(&self, address: SocketAddr) -> InFlight {
        if let Some(count) = self.counts.read().get(&address) {
            return InFlight::begin(count.clone());
        }
        let mut counts = self.counts.write();
        if counts.len() >= KEEP {
            // A count that somebody holds is shared.
            counts.retain(|_, count| Arc::strong_count(count) > 1);
        }
        InFlight::begin(counts.entry(address).or_default().clone())
    }

    /// All addresses with requests in flight, for `/status`.
    pub fn busy(&self) -> Vec<(SocketAddr, u64)> {
        let counts = self.counts.read();
        let loads = counts
            .iter()
            .map(|(address, count)| (*address, count.load(Ordering::Relaxed)));
        loads.filter(|(_, load)| *load > 0).collect()
    }
}

impl InFlight {
    fn begin(count: Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_guard_is_a_request_less() {
        let load = Load::default();
        let address = SocketAddr::from(([192, 0, 2, 1], 80));
        let (one, two) = (load.enter(address), load.enter(address));
        assert_eq!(load.of(address), 2);
        drop(one);
        assert_eq!(load.busy(), [(address, 1)]);
        drop(two);
        assert_eq!(load.of(address), 0);
    }

    #[test]
    fn idle_addresses_are_forgotten_and_busy_ones_kept() {
        let load = Load::default();
        let at = |i: usize| SocketAddr::from(([192, 0, 2, 1], i as u16 + 1));
        let held = load.enter(at(0));
        for i in 1..KEEP + 2 {
            load.enter(at(i));
        }
        assert!(load.counts.read().len() <= KEEP, "bounded");
        assert_eq!(load.of(at(0)), 1);
        drop(held);
    }
}
