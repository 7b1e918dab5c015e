//! Which networks are being limited right now: a line in the log when it begins and one when it ends.
//!
//! Bounded: [`PLACES`] networks at a time, each for at least [`QUIET`], so that no attack can fill a log. Those
//! beyond are counted like all others, without a line. A worker never waits here.

use super::classify::Class;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The most networks that are told of at a time.
pub(super) const PLACES: usize = 64;
/// How long nothing must have been beyond its rate until that is called the end.
const QUIET: Duration = Duration::from_secs(60);
/// Each second at most so many responses beyond their rate look for their network's place.
const GATES: usize = 64;

pub(super) struct Active {
    places: Mutex<Vec<Place>>,
    /// The second in which a gate was last passed.
    gates: [AtomicU64; GATES],
}

struct Place {
    network: (IpAddr, u8),
    class: Class,
    since: Duration,
    last: Duration,
}

impl Active {
    pub(super) fn new() -> Self {
        Self {
            places: Mutex::new(Vec::new()),
            gates: std::array::from_fn(|_| AtomicU64::new(u64::MAX)),
        }
    }

    /// A network's response is beyond its rate. `first`: for the first time since its bucket was full.
    pub(super) fn beyond(
        &self,
        network: (IpAddr, u8),
        class: Class,
        first: bool,
        dry_run: bool,
        now: Duration,
    ) {
        if !first && !self.passes(network.0, now) {
            return;
        }
        let Ok(mut places) = self.places.try_lock() else {
            return;
        };
        let known = places
            .iter_mut()
            .find(|place| place.network == network && place.class == class);
        if let Some(place) = known {
            place.last = now;
            return;
        }
        if places.len() == PLACES {
            return;
        }
        places.push(Place {
            network,
            class,
            since: now,
            last: now,
        });
        drop(places);
        tracing::warn!(
            network = %text(network),
            rate = class.name(),
            dry_run,
            "responses to a network are beyond their rate"
        );
    }

    fn passes(&self, network: IpAddr, now: Duration) -> bool {
        let bits = match network {
            IpAddr::V4(v4) => u64::from(u32::from(v4)),
            IpAddr::V6(v6) => (u128::from(v6) >> 64) as u64,
        };
        let gate = steering::draw::mix(bits, 0) as usize % GATES;
        let second = now.as_secs();
        self.gates
            .get(gate)
            .is_some_and(|gate| gate.swap(second, Ordering::Relaxed) != second)
    }

    /// What has been quiet is over.
    pub(super) fn end(&self, now: Duration) {
        let mut over = Vec::new();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.retain(|place| {
            let goes_on = now.saturating_sub(place.last) < QUIET;
            if !goes_on {
                let lasted = place.last.saturating_sub(place.since);
                over.push((place.network, place.class, lasted));
            }
            goes_on
        });
        drop(places);
        for (network, class, lasted) in over {
            tracing::info!(
                network = %text(network),
                rate = class.name(),
                seconds = lasted.as_secs(),
                "responses to a network are within their rate again"
            );
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.places.lock().map_or(0, |places| places.len())
    }
}

fn text((network, bits): (IpAddr, u8)) -> String {
    format!("{network}/{bits}")
}
