//! What a routing table is made from: names already resolved to ids, policies still as written.
//!
//! The `config` crate hands this over after it has reported everything an operator can get wrong with
//! its line; [`Table::compile`](crate::Table::compile) checks again what the core relies on and turns
//! policies into trees. Tests and benches build it by hand.

use crate::geo::{Continent, Coordinates, Country, CountrySet, Subdivision};
use crate::health::Check;
use crate::ids::{CheckId, JurisdictionId, PolicyId, PoolId, RegionId, ResidencyId};
use crate::latency::LatencyMap;
use crate::table::Planes;
use ipnet::IpNet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Everything one routing table is compiled from.
#[derive(Clone, Debug, Default)]
pub struct TableSpec {
    /// This node.
    pub pop: Pop,
    /// Regions; [`RegionId`] is the position.
    pub regions: Vec<Region>,
    /// Health checks; [`CheckId`] is the position.
    pub checks: Vec<Check>,
    /// Pools; [`PoolId`] is the position.
    pub pools: Vec<PoolSpec>,
    /// Named policies; [`PolicyId`] is the position.
    pub policies: Vec<NamedPolicy>,
    /// Residency rules; [`ResidencyId`] is the position.
    pub residencies: Vec<Residency>,
    /// Services; [`ServiceId`](crate::ServiceId) is the position.
    pub services: Vec<ServiceSpec>,
    /// Round trips from clients to regions, for `latency` over DNS.
    pub latency_map: LatencyMap,
    /// What the planes compiled for the same table (zones, routes): swapped together with it, and
    /// never looked at here.
    pub planes: Planes,
}

/// This running node.
#[derive(Clone, Debug, Default)]
pub struct Pop {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is, by its own coordinates or those of its region; `None` when neither is known.
    pub place: Option<Coordinates>,
}

/// A place that serves.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub place: Option<Coordinates>,
    /// The country it is in.
    pub country: Option<Country>,
    /// The jurisdiction it is under, for residency.
    pub jurisdiction: Option<JurisdictionId>,
    /// What it can carry, in units of the operator's choice; `None` when not stated.
    pub capacity: Option<u32>,
}

/// The endpoints of one region behind one health check.
#[derive(Clone, Debug)]
pub struct PoolSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Where all of it is.
    pub region: RegionId,
    /// How its endpoints are checked; without a check they count as up.
    pub check: Option<CheckId>,
    /// The share of the pool's weight that must be up for the pool to be usable, 0 to 1; at 0 one
    /// endpoint is enough.
    pub min_healthy: f32,
    /// The endpoints, in the operator's order.
    pub endpoints: Vec<EndpointSpec>,
}

/// An address that serves.
#[derive(Clone, Debug)]
pub struct EndpointSpec {
    /// Where the proxy and the checks connect.
    pub address: SocketAddr,
    /// Its share within the pool; 0 makes it a reserve for when no other endpoint is up.
    pub weight: u16,
    /// What DNS says.
    pub publish: Publish,
}

/// What DNS publishes for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publish {
    /// Addresses. At least one of either family.
    Addresses {
        /// For A.
        v4: Vec<Ipv4Addr>,
        /// For AAAA.
        v6: Vec<Ipv6Addr>,
    },
    /// A host name, answered as CNAME.
    Name(Arc<str>),
}

impl Publish {
    /// The endpoint's own address: the default.
    pub fn address(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(a) => Self::Addresses {
                v4: vec![*a.ip()],
                v6: Vec::new(),
            },
            SocketAddr::V6(a) => Self::Addresses {
                v4: Vec::new(),
                v6: vec![*a.ip()],
            },
        }
    }
}

/// A policy with a name. The name is its identity over reloads: manual failback and latency
/// incumbents are remembered by it.
#[derive(Clone, Debug)]
pub struct NamedPolicy {
    /// Its name; a policy written in place is named after where it stands.
    pub name: Arc<str>,
    /// What it says.
    pub policy: Policy,
}

/// A tree of choices over pools, as written.
#[derive(Clone, Debug)]
pub enum Policy {
    /// A leaf: this pool.
    Pool(PoolId),
    /// Another named policy.
    Named(PolicyId),
    /// The first usable child.
    Failover {
        /// In order of preference.
        children: Vec<Policy>,
        /// When to return to an earlier child.
        failback: Failback,
    },
    /// A share for each child.
    Weighted {
        /// Children and their weights; 0 is a reserve.
        children: Vec<(Policy, u16)>,
        /// Whether a client's network always gets the same child.
        sticky: bool,
    },
    /// By the client's location: the most specific matching rule.
    Geo {
        /// In the operator's order, which decides between rules that are equally specific.
        rules: Vec<GeoRule>,
        /// For clients that no rule matches.
        default: Option<Box<Policy>>,
    },
    /// The least estimated round trip.
    Latency {
        /// The candidates.
        children: Vec<Policy>,
    },
    /// The least great-circle distance.
    Proximity {
        /// The candidates, with a bias in percent: 1 to 99 draws clients from further away, -1 to -99
        /// pushes them off, as in Route 53 geoproximity.
        children: Vec<(Policy, i8)>,
    },
    /// By the client's network: the longest matching prefix.
    Network {
        /// Prefixes and where they go.
        rules: Vec<(Vec<IpNet>, Policy)>,
        /// For clients in none of them.
        default: Option<Box<Policy>>,
    },
    /// Endpoints of several children in one answer.
    Multivalue {
        /// The candidates.
        children: Vec<Policy>,
        /// The most endpoints to answer, 1 to [`MAX_ENDPOINTS`](crate::MAX_ENDPOINTS).
        max: u8,
    },
}

/// When a failover returns to an earlier child that is usable again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Failback {
    /// At once.
    #[default]
    Automatic,
    /// After it has been usable for this long.
    After(Duration),
    /// On an operator's word only (or when the child in use fails).
    Manual,
}

/// One rule of a geo policy. Within a rule any of the matchers may match.
#[derive(Clone, Debug)]
pub struct GeoRule {
    /// Most specific: subdivisions.
    pub subdivisions: Vec<Subdivision>,
    /// Then countries named one by one.
    pub countries: Vec<Country>,
    /// Then sets of countries (EU, EEA, the operator's).
    pub sets: Vec<CountrySet>,
    /// Least specific: continents.
    pub continents: Vec<Continent>,
    /// Where matching clients go.
    pub to: Policy,
}

/// These clients may only be served by those jurisdictions.
#[derive(Clone, Debug)]
pub struct Residency {
    /// Its name.
    pub name: Arc<str>,
    /// The clients that are pinned, by country.
    pub countries: CountrySet,
    /// The clients that are pinned, by continent.
    pub continents: Vec<Continent>,
    /// The jurisdictions that may serve them.
    pub serve_in: Vec<JurisdictionId>,
    /// Whether a client without a location is pinned too.
    pub pin_unknown: bool,
    /// Whether, with every allowed endpoint down, the walk may fail open inside the pin.
    pub fail_open_inside: bool,
}

/// What clients ask for.
#[derive(Clone, Debug)]
pub struct ServiceSpec {
    /// Its name.
    pub name: Arc<str>,
    /// The policy for DNS queries.
    pub dns_policy: PolicyId,
    /// The policy for HTTP requests; the same one unless the operator set two.
    pub http_policy: PolicyId,
    /// The rule that pins some of its clients.
    pub residency: Option<ResidencyId>,
    /// Whether, with every endpoint down, it fails open (the default) or refuses.
    pub fail_open: bool,
    /// How long answers may be cached while all is well, in seconds.
    pub ttl: u32,
    /// The least TTL while a consulted endpoint is on its way to a change, in seconds.
    pub ttl_failing: u32,
}
