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
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            located: None,
        }
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
