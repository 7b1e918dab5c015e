//! The compiled routing table: flat lists, ids into them, and policy trees in one arena.
//!
//! Immutable once compiled. It knows nothing of health or time; a [`Snapshot`](crate::Snapshot) joins
//! it with those.

use crate::cidr::Partition;
use crate::geo::{Continent, Country, CountrySet, Location, Subdivision};
use crate::health::{Check, TargetKey};
use crate::ids::{CheckId, EndpointId, NodeId, PoolId, RegionId, ResidencyId, ServiceId, TargetId};
use crate::latency::LatencyMap;
use crate::spec::{Failback, NamedPolicy, Pop, Publish, Region, Residency};
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

/// What each plane compiled for the same table (`dns`: zones, `proxy`: routes), by type. It is swapped
/// together with the table, so that a name and its policy are always of one generation; the core never
/// looks inside.
#[derive(Clone, Default)]
pub struct Planes(Vec<(TypeId, Arc<dyn Any + Send + Sync>)>);

impl Planes {
    /// Adds a plane's data; replaces what was there of the same type.
    pub fn insert<T: Any + Send + Sync>(&mut self, data: Arc<T>) {
        self.0.retain(|(id, _)| *id != TypeId::of::<T>());
        self.0.push((TypeId::of::<T>(), data));
    }

    /// A plane's data, by type.
    #[inline]
    pub fn find<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0
            .iter()
            .find(|(id, _)| *id == TypeId::of::<T>())
            .and_then(|(_, data)| data.downcast_ref())
    }
}

impl fmt::Debug for Planes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Planes({})", self.0.len())
    }
}

/// A compiled pool.
#[derive(Clone, Debug)]
pub struct Pool {
    /// Its name.
    pub name: Arc<str>,
    /// A stable hash of the name: what sticky choices see.
    pub key: u64,
    /// Its region.
    pub region: RegionId,
    /// Its check.
    pub check: Option<CheckId>,
    /// See [`PoolSpec::min_healthy`](crate::spec::PoolSpec::min_healthy).
    pub min_healthy: f32,
    /// Its endpoints, as positions in the table's list.
    pub endpoints: Range<u32>,
}

impl Pool {
    /// The ids of its endpoints.
    pub fn endpoint_ids(&self) -> impl ExactSizeIterator<Item = EndpointId> + use<> {
        self.endpoints.clone().map(EndpointId)
    }
}

/// A compiled endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Where the proxy and the checks connect.
    pub address: SocketAddr,
    /// Its share within the pool.
    pub weight: u16,
    /// A stable hash of the address.
    pub key: u64,
    /// The pool it belongs to.
    pub pool: PoolId,
    /// What probes of it are counted under.
    pub target: TargetId,
    /// What DNS says.
    pub publish: Publish,
}

impl Endpoint {
    /// Whether DNS can publish it in this family. A host name is published in either.
    #[inline]
    pub fn publishes(&self, family: crate::Family) -> bool {
        match (&self.publish, family) {
            (Publish::Addresses { v4, .. }, crate::Family::V4) => !v4.is_empty(),
            (Publish::Addresses { v6, .. }, crate::Family::V6) => !v6.is_empty(),
            (Publish::Name(_), _) => true,
        }
    }
}

/// One address under one check (or under none): what is probed and measured.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its identity over reloads; the check's name is empty for an unchecked endpoint.
    pub key: TargetKey,
    /// Its check.
    pub check: Option<CheckId>,
}

/// A compiled service. What a decision reads comes first and lies in one line of the cache: in a large table
/// every decision has to fetch it.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Service {
    /// The policy trees for DNS queries.
    pub dns: Roots,
    /// The policy trees for HTTP requests.
    pub http: Roots,
    /// The rule that pins some of its clients.
    pub residency: Option<ResidencyId>,
    /// See [`ServiceSpec::ttl`](crate::spec::ServiceSpec::ttl).
    pub ttl: u32,
    /// See [`ServiceSpec::ttl_failing`](crate::spec::ServiceSpec::ttl_failing).
    pub ttl_failing: u32,
    /// Whether it fails open when all is down.
    pub fail_open: bool,
    /// Whether the draw of a DNS query can change the pool, and not only the order of its endpoints.
    pub by_chance: bool,
    /// Its name.
    pub name: Arc<str>,
}

/// The two variants of a service's policy. The pinned one was made by pruning: what a pinned client
/// may not use is not in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Roots {
    /// For clients without a pin.
    pub free: Option<NodeId>,
    /// For pinned clients; `None` when pruning left nothing.
    pub pinned: Option<NodeId>,
}

/// A node of a policy tree. Its children have smaller ids than itself.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it chooses by.
    pub kind: NodeKind,
    /// What the operator calls it: a policy's name, a pool's name, or the place it was written.
    pub name: Arc<str>,
    /// A stable hash of its name and residency: seeds draws, and identifies it over reloads.
    pub key: u64,
    /// Its children, as positions in the table's list of edges.
    pub edges: Range<u32>,
}

/// What a node chooses by.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A leaf.
    Pool(PoolId),
    /// The first usable child; `slot` remembers the one in use unless failback is automatic.
    Failover {
        /// When to return to an earlier child.
        failback: Failback,
        /// Its memory in the snapshot.
        slot: Option<u32>,
    },
    /// By weight.
    Weighted {
        /// Whether the draw is the client's network instead of the query's.
        sticky: bool,
    },
    /// By location.
    Geo(Box<GeoIndex>),
    /// By round trip.
    Latency {
        /// Its memory in the snapshot: the incumbent.
        slot: u32,
    },
    /// By distance.
    Proximity,
    /// By network: the value found is a position in `chains`.
    Network(Box<NetworkIndex>),
    /// Several at once.
    Multivalue {
        /// The most endpoints.
        max: u8,
    },
}

impl NodeKind {
    /// The word of the config language.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pool(_) => "pool",
            Self::Failover { .. } => "failover",
            Self::Weighted { .. } => "weighted",
            Self::Geo(_) => "geo",
            Self::Latency { .. } => "latency",
            Self::Proximity => "proximity",
            Self::Network(_) => "network",
            Self::Multivalue { .. } => "multivalue",
        }
    }
}

/// A child of a node.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The child.
    pub node: NodeId,
    /// Its weight (`weighted`).
    pub weight: u32,
    /// Its bias in percent (`proximity`).
    pub bias: i8,
    /// The child's name as the policy spells it, hashed: what sticky choices see, so that the order of
    /// children means nothing to them.
    pub key: u64,
    /// Every pool below it, as positions in the table's list of leaves (`latency`, `proximity`).
    pub leaves: Range<u32>,
}

/// The rules of a `geo` node by how specific they are; values are child positions.
#[derive(Clone, Debug, Default)]
pub struct GeoIndex {
    /// Sorted by subdivision.
    pub subdivisions: Vec<(Subdivision, u32)>,
    /// Sorted by country.
    pub countries: Vec<(Country, u32)>,
    /// Smallest set first.
    pub sets: Vec<(CountrySet, u32)>,
    /// By [`Continent::index`].
    pub continents: [Option<u32>; Continent::ALL.len()],
    /// For clients that nothing matches.
    pub default: Option<u32>,
}

/// How specific a matching geo rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeoMatch {
    /// A subdivision.
    Subdivision,
    /// A country by its code.
    Country,
    /// A set of countries.
    Set,
    /// A continent.
    Continent,
    /// None; the default.
    Default,
}

impl GeoIndex {
    /// The children for a location, the most specific first.
    pub fn matches<'a>(
        &'a self,
        location: &'a Location,
    ) -> impl Iterator<Item = (GeoMatch, u32)> + 'a {
        let subdivision = location
            .subdivision
            .and_then(|s| find_sorted(&self.subdivisions, s));
        let country = location
            .country
            .and_then(|c| find_sorted(&self.countries, c));
        let sets = self
            .sets
            .iter()
            .filter(|(set, _)| location.country.is_some_and(|c| set.contains(c)))
            .map(|(_, child)| (GeoMatch::Set, *child));
        let continent = continent_of(location).and_then(|c| self.continents[c.index()]);
        subdivision
            .map(|child| (GeoMatch::Subdivision, child))
            .into_iter()
            .chain(country.map(|child| (GeoMatch::Country, child)))
            .chain(sets)
            .chain(continent.map(|child| (GeoMatch::Continent, child)))
            .chain(self.default.map(|child| (GeoMatch::Default, child)))
    }
}

/// The continent of a location; where the database has only a country, that country's.
pub(crate) fn continent_of(location: &Location) -> Option<Continent> {
    location
        .continent
        .or_else(|| location.country.and_then(Country::continent))
}

fn find_sorted<K: Ord + Copy>(sorted: &[(K, u32)], key: K) -> Option<u32> {
    sorted
        .binary_search_by_key(&key, |(k, _)| *k)
        .ok()
        .map(|i| sorted[i].1)
}

/// The rules of a `network` node.
#[derive(Clone, Debug, Default)]
pub struct NetworkIndex {
    /// From an address to a position in `chains`.
    pub cut: Partition,
    /// For each distinct nesting of prefixes, the children from the longest prefix to the shortest.
    pub chains: Vec<Vec<u32>>,
    /// For clients in no prefix.
    pub default: Option<u32>,
}

/// The compiled routing table.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) pop: Pop,
    pub(crate) regions: Vec<Region>,
    pub(crate) checks: Vec<Check>,
    pub(crate) pools: Vec<Pool>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) targets: Vec<Target>,
    pub(crate) target_ids: HashMap<TargetKey, TargetId>,
    pub(crate) policies: Vec<NamedPolicy>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    pub(crate) leaves: Vec<PoolId>,
    /// The key of the node that owns each memory slot.
    pub(crate) slots: Vec<Slot>,
    pub(crate) residencies: Vec<Residency>,
    pub(crate) services: Vec<Service>,
    pub(crate) service_ids: HashMap<Arc<str>, ServiceId>,
    pub(crate) latency_map: LatencyMap,
    pub(crate) planes: Planes,
    pub(crate) by_place: bool,
}

/// A memory slot of a table: which node it is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) key: u64,
    pub(crate) node: NodeId,
}

impl Table {
    /// This node.
    pub fn pop(&self) -> &Pop {
        &self.pop
    }

    /// All regions, by id.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// All checks, by id.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// All pools, by id.
    pub fn pools(&self) -> &[Pool] {
        &self.pools
    }

    /// All endpoints, by id.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Everything that is probed or measured, by id.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The target of a key.
    pub fn target(&self, key: &TargetKey) -> Option<TargetId> {
        self.target_ids.get(key).copied()
    }

    /// The named policies, as written.
    pub fn policies(&self) -> &[NamedPolicy] {
        &self.policies
    }

    /// All nodes of all policy trees, children before parents.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The children of a node.
    #[inline]
    pub fn children(&self, node: &Node) -> &[Edge] {
        self.edges
            .get(node.edges.start as usize..node.edges.end as usize)
            .unwrap_or(&[])
    }

    /// The pools below an edge of a `latency` or `proximity` node.
    #[inline]
    pub fn leaves(&self, edge: &Edge) -> &[PoolId] {
        self.leaves
            .get(edge.leaves.start as usize..edge.leaves.end as usize)
            .unwrap_or(&[])
    }

    /// All residency rules, by id.
    pub fn residencies(&self) -> &[Residency] {
        &self.residencies
    }

    /// All services, by id.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The service of a name.
    pub fn service(&self, name: &str) -> Option<ServiceId> {
        self.service_ids.get(name).copied()
    }

    /// The pool of a name. Linear: for operators' questions, not for the hot path.
    pub fn pool(&self, name: &str) -> Option<PoolId> {
        self.pools
            .iter()
            .position(|pool| &*pool.name == name)
            .map(PoolId::at)
    }

    /// The region of a name. Linear.
    pub fn region(&self, name: &str) -> Option<RegionId> {
        self.regions
            .iter()
            .position(|region| &*region.name == name)
            .map(RegionId::at)
    }

    /// Every pool a tree can reach, each once, in id order.
    pub fn reachable(&self, root: Option<NodeId>) -> Vec<PoolId> {
        let mut seen = vec![false; self.nodes.len()];
        let mut stack: Vec<NodeId> = root.into_iter().collect();
        let mut pools = Vec::new();
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut seen[id.index()], true) {
                continue;
            }
            let node = &self.nodes[id.index()];
            if let NodeKind::Pool(pool) = node.kind {
                pools.push(pool);
            }
            stack.extend(self.children(node).iter().map(|edge| edge.node));
        }
        pools.sort_unstable();
        pools.dedup();
        pools
    }

    /// The round trips the operator gave.
    pub fn latency_map(&self) -> &LatencyMap {
        &self.latency_map
    }

    /// Whether any decision can depend on where its client is.
    #[inline]
    pub fn by_place(&self) -> bool {
        self.by_place
    }

    /// What the planes compiled for this table.
    #[inline]
    pub fn planes(&self) -> &Planes {
        &self.planes
    }

    /// The same table beside other planes: what is chosen stays as it is.
    pub fn with_planes(&self, planes: Planes) -> Self {
        Self {
            planes,
            ..self.clone()
        }
    }
}
