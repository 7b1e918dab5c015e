//! Who asks, and what for: the inputs of one decision.

use crate::geo::Located;
use std::net::IpAddr;

/// The client of one query or request.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// The client's address: the ECS address or the resolver's in DNS, the believed address in HTTP.
    pub address: IpAddr,
    /// The location, when the caller has already looked it up in the same snapshot
    /// ([`Snapshot::locate`](crate::Snapshot::locate)); `None` lets the decision look it up only if
    /// it needs it.
    pub located: Option<Located>,
    /// How many leading bits of the address are the client's, when a resolver told only that many
    /// (SOURCE PREFIX-LENGTH, RFC 7871 §6); `None` when the whole address is.
    pub known_bits: Option<u8>,
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            located: None,
            known_bits: None,
        }
    }
}

impl Client {
    /// The address that networks (`network`, `sticky`, the latency map) are held against.
    pub(crate) fn rule_address(&self) -> RuleAddress {
        const MAPPED: u128 = 0xffff << 32;
        let (offset, least) = match (self.address, self.address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(_)) => (96, 96),
            (IpAddr::V6(v6), IpAddr::V6(_)) => {
                let shared = (u128::from(v6) ^ MAPPED).leading_zeros() as u8;
                (0, shared + 1)
            }
            (IpAddr::V4(_), _) => (0, 0),
        };
        RuleAddress {
            ip: self.address.to_canonical(),
            offset,
            least,
        }
    }
}

/// A client address as networks see it: an IPv4-mapped one (RFC 4291 §2.5.5.2), which is what a
/// dual-stack socket gives for an IPv4 client, is that IPv4 address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleAddress {
    /// The address to look up.
    pub(crate) ip: IpAddr,
    /// How many bits of the client's own address lie before those of `ip`.
    offset: u8,
    /// The bits that say whether the address is a mapped one, which is part of every answer.
    least: u8,
}

impl RuleAddress {
    /// The bits of the client's own address that `bits` of `ip` amount to.
    pub(crate) fn scope(self, bits: u8) -> u8 {
        (bits + self.offset).max(self.least)
    }
}

/// Which half of Rhumb asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plane {
    /// The authoritative DNS server, on behalf of a client that will connect by itself.
    Dns,
    /// The proxy, which connects from this PoP.
    Http,
}

/// An address family, for DNS questions that can only carry one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 (A).
    V4,
    /// IPv6 (AAAA).
    V6,
}

/// What is asked of one decision.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// Which plane's policy and latency source hold.
    pub plane: Plane,
    /// The random number of this decision: all chance comes from here, so that the same draw gives
    /// the same decision.
    pub draw: u64,
    /// Only endpoints that publish this family. Never changes the chosen pool or region.
    pub family: Option<Family>,
}

impl Want {
    /// A DNS decision for endpoints of any family.
    pub const fn dns(draw: u64) -> Self {
        Self {
            plane: Plane::Dns,
            draw,
            family: None,
        }
    }

    /// An HTTP decision.
    pub const fn http(draw: u64) -> Self {
        Self {
            plane: Plane::Http,
            draw,
            family: None,
        }
    }
}
