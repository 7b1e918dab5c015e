//! Who may take which zone, who is told of its changes, and where it comes from, as the config says it.
//!
//! Stored in [`steering::Planes`] beside the zones. What never happens here: no message is read, no signature
//! verified: an address and the key that was verified come in.

use super::tsig::{Key, Keys};
use crate::name::Name;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use steering::Snapshot;

/// The keys, and who transfers what.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    keys: Keys,
    zones: HashMap<Name, ZonePeers>,
}

/// With whom one zone is exchanged.
#[derive(Clone, Debug, Default)]
pub struct ZonePeers {
    /// Who may transfer it; nobody else may.
    pub to: Vec<Grant>,
    /// Who is told of a change.
    pub notify: Vec<Remote>,
    /// Where it is transferred from, the preferred one first; empty for a zone of our own.
    pub primaries: Vec<Remote>,
}

/// A leave to transfer: from these addresses, and signed with this key where there is one.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The addresses; `None`: any, and then there is a key.
    pub network: Option<IpNet>,
    /// The key.
    pub key: Option<Arc<Key>>,
}

/// Another server.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where it listens.
    pub address: SocketAddr,
    /// What our messages to it are signed with, and its to us.
    pub key: Option<Arc<Key>>,
}

impl Grant {
    fn covers(&self, peer: IpAddr, key: Option<&Key>) -> bool {
        let from_there = match self.network {
            Some(network) => network.contains(&peer),
            None => self.key.is_some(),
        };
        from_there && is_signed_with(self.key.as_deref(), key)
    }
}

/// Whether what was signed with `found` satisfies what `wanted` says.
fn is_signed_with(wanted: Option<&Key>, found: Option<&Key>) -> bool {
    wanted.is_none_or(|wanted| found.is_some_and(|found| found.name() == wanted.name()))
}

static NOBODY: std::sync::LazyLock<Peers> = std::sync::LazyLock::new(Peers::default);

impl Peers {
    /// These keys, and these zones by their apexes.
    pub fn new(keys: Keys, zones: HashMap<Name, ZonePeers>) -> Self {
        Self { keys, zones }
    }

    /// Those that came with a snapshot.
    pub fn of(snapshot: &Snapshot) -> &Self {
        snapshot.table().planes().find().unwrap_or(&NOBODY)
    }

    /// The keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// With whom a zone is exchanged; `None` when it stays here.
    pub fn zone(&self, apex: &Name) -> Option<&ZonePeers> {
        self.zones.get(apex)
    }

    /// Each zone that is exchanged with someone, in no order.
    pub fn zones(&self) -> impl Iterator<Item = (&Name, &ZonePeers)> {
        self.zones.iter()
    }

    /// Whether this client, having signed with this key, may take the zone.
    pub fn may_take(&self, apex: &Name, peer: IpAddr, key: Option<&Key>) -> bool {
        let peer = peer.to_canonical();
        self.zone(apex)
            .is_some_and(|zone| zone.to.iter().any(|grant| grant.covers(peer, key)))
    }

    /// Which of the zone's primaries this client is, by address and key (RFC 1996 §3.10).
    pub fn primary(&self, apex: &Name, peer: IpAddr, key: Option<&Key>) -> Option<usize> {
        let peer = peer.to_canonical();
        self.zone(apex)?.primaries.iter().position(|primary| {
            primary.address.ip().to_canonical() == peer
                && is_signed_with(primary.key.as_deref(), key)
        })
    }
}
