//! A resolver's cache as RFC 7871 §7.3 asks for: an answer is kept for its TTL and given to the clients in its scope.

use crate::harness::chance::Chance;
use crate::harness::wire::{Reply, Subnet, masked};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use steering::{ServiceId, Snapshot, Timestamp};

/// The most entries of one name; the oldest goes first.
const MAX_ENTRIES: usize = 256;

/// One kept answer, and how it came about.
pub struct Entry {
    pub service: ServiceId,
    pub draw: u64,
    pub snapshot: Arc<Snapshot>,
    /// The clients it is for.
    pub covers: Subnet,
    /// The address that was asked for.
    pub asked: IpAddr,
    /// Whether the resolver told enough of the client: with a scope longer than its prefix, the answer is for the address
    /// that stands for the network, and only the best that can be had for the others (RFC 7871 §7.3.1).
    pub told_enough: bool,
    expires: Timestamp,
}

impl Subnet {
    /// Some address in it.
    pub fn inside(&self, chance: &mut Chance) -> IpAddr {
        let drawn = (u128::from(chance.draw()) << 64) | u128::from(chance.draw());
        match self.address {
            IpAddr::V4(v4) => {
                let free = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4((u32::from(v4) | (drawn as u32 & free)).into())
            }
            IpAddr::V6(v6) => {
                let free = u128::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6((u128::from(v6) | (drawn & free)).into())
            }
        }
    }
}

impl Entry {
    /// Keeps a reply to a query with `subnet`.
    ///
    /// # Errors
    /// When the reply does not say how wide it holds or how long.
    pub fn new(
        reply: &Reply,
        subnet: Subnet,
        service: ServiceId,
        draw: u64,
        snapshot: Arc<Snapshot>,
        now: Timestamp,
    ) -> Result<Self, String> {
        let scope = reply.scope.ok_or("the client subnet is not echoed")?;
        let ttl = reply.ttl().ok_or("an answer without a TTL")?;
        // RFC 7871 §7.3.1: never wider than what was asked for, whatever the scope says.
        let prefix = scope.min(subnet.prefix);
        let covers = Subnet {
            address: masked(subnet.address, prefix),
            prefix,
        };
        let expires = now.plus(Duration::from_secs(u64::from(ttl)));
        Ok(Self {
            service,
            draw,
            snapshot,
            covers,
            asked: subnet.address,
            told_enough: scope <= subnet.prefix,
            expires,
        })
    }

    fn is_for(&self, client: IpAddr, now: Timestamp) -> bool {
        let same_family = client.is_ipv4() == self.covers.address.is_ipv4();
        // RFC 7871 §7.3.1: scope 0 is for everyone, of either family.
        let inside = same_family && masked(client, self.covers.prefix) == self.covers.address;
        now < self.expires && (inside || self.covers.prefix == 0)
    }
}

/// The cache of one resolver.
#[derive(Default)]
pub struct Cache {
    names: HashMap<String, Vec<Entry>>,
}

impl Cache {
    /// What is kept of `name` for this client.
    pub fn find(&self, name: &str, client: IpAddr, now: Timestamp) -> Option<&Entry> {
        self.names
            .get(name)?
            .iter()
            .find(|entry| entry.is_for(client, now))
    }

    pub fn keep(&mut self, name: String, entry: Entry) {
        let entries = self.names.entry(name).or_default();
        if entries.len() == MAX_ENTRIES {
            entries.remove(0);
        }
        entries.push(entry);
    }
}
