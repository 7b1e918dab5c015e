//! Tables of one kind of policy: as deep, as wide, with as many services and pools as wanted. What a
//! decision costs can then be told apart by each of them.

use super::{REGIONS, VARIANTS, rule, world};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Serialize;
use std::net::{Ipv4Addr, Ipv6Addr};
use steering::draw::mix;
use steering::geo::{Continent, Country, CountrySet};
use steering::ids::{PolicyId, PoolId, ResidencyId};
use steering::latency::LatencyMap;
use steering::spec::{Failback, GeoRule, NamedPolicy, Policy, ServiceSpec};
use steering::{MAX_MEASURED_CHILDREN, TableSpec};

/// The most pools that one policy names, counted as often as it names them. Bounds a table's size.
pub const MAX_LEAVES: usize = 4_096;

/// What the nodes of a policy are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The first usable child.
    Failover,
    /// A share for each child, drawn.
    Weighted,
    /// A share for each child, by the client's network.
    Sticky,
    /// By the client's country and continent.
    Geo,
    /// The least round trip by a map with a row for each country.
    LatencyMap,
    /// The least round trip by distance: there is no map.
    LatencyDistance,
    /// The least distance, with a bias.
    Proximity,
    /// By the client's network.
    Network,
    /// Endpoints of several children.
    Multivalue,
    /// From the outside in: geo, latency by map, weighted, failover, network, sticky.
    Mixed,
}

impl Kind {
    /// All, in the order of reports.
    pub const ALL: [Self; 10] = [
        Self::Failover,
        Self::Weighted,
        Self::Sticky,
        Self::Geo,
        Self::LatencyMap,
        Self::LatencyDistance,
        Self::Proximity,
        Self::Network,
        Self::Multivalue,
        Self::Mixed,
    ];

    /// What reports call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::Weighted => "weighted",
            Self::Sticky => "weighted, sticky",
            Self::Geo => "geo",
            Self::LatencyMap => "latency, by map",
            Self::LatencyDistance => "latency, by distance",
            Self::Proximity => "proximity",
            Self::Network => "network",
            Self::Multivalue => "multivalue",
            Self::Mixed => "mixed",
        }
    }

    /// The kind of a node with `around` nodes around it.
    fn at(self, around: usize) -> Self {
        const NESTED: [Kind; 6] = [
            Kind::Geo,
            Kind::LatencyMap,
            Kind::Weighted,
            Kind::Failover,
            Kind::Network,
            Kind::Sticky,
        ];
        match self {
            Self::Mixed => NESTED[around % NESTED.len()],
            kind => kind,
        }
    }
}

/// What a table of one kind is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// What the nodes of its policies are.
    pub kind: Kind,
    /// Nodes from the root to a pool, at least 1.
    pub depth: usize,
    /// Children of each node, 1 to [`MAX_MEASURED_CHILDREN`].
    pub width: usize,
    /// Services, which take turns with twenty policies over different pools.
    pub services: usize,
    /// Pools of three endpoints: a multiple of three, so that every third is in the EU.
    pub pools: usize,
    /// Whether EU clients are pinned to EU regions.
    pub residency: bool,
}

impl Shape {
    /// The pools that one policy names, each as often as it does; `None` for more than [`MAX_LEAVES`].
    pub fn leaves(&self) -> Option<usize> {
        let depth = u32::try_from(self.depth.max(1)).ok()?;
        let leaves = self.width().checked_pow(depth)?;
        (leaves <= MAX_LEAVES).then_some(leaves)
    }

    /// The table, to be compiled. A shape with too many leaves is made less deep.
    pub fn spec(mut self) -> TableSpec {
        self.depth = self.depth.max(1);
        while self.leaves().is_none() && self.depth > 1 {
            self.depth -= 1;
        }
        let pools = self.pools.max(3) / 3 * 3;
        let variants = VARIANTS.min(self.services.max(1));
        let policies = (0..variants).map(|variant| NamedPolicy {
            name: format!("policy-{variant}").into(),
            policy: self.policy(variant, variants, pools),
        });
        let mut spec = world(pools);
        spec.policies = policies.collect();
        spec.services = (0..self.services)
            .map(|i| self.service(i, variants))
            .collect();
        if matches!(self.kind, Kind::LatencyMap | Kind::Mixed) {
            spec.latency_map = map_by_country();
        }
        spec
    }

    fn width(&self) -> usize {
        self.width.clamp(1, MAX_MEASURED_CHILDREN)
    }

    /// Variants begin at pools as far apart as can be, each so that the last one it names is in the EU.
    fn policy(&self, variant: usize, variants: usize, pools: usize) -> Policy {
        let before_last = self.leaves().unwrap_or(1) - 1;
        let apart = (pools / variants / 3).max(1) * 3;
        let mut leaf = variant * apart + (1 + 2 * before_last) % 3;
        let mut next = || {
            leaf += 1;
            Policy::Pool(PoolId::at((leaf - 1) % pools))
        };
        self.node(0, &mut next)
    }

    /// The node with `around` nodes around it.
    fn node(&self, around: usize, next: &mut impl FnMut() -> Policy) -> Policy {
        let children: Vec<Policy> = (0..self.width())
            .map(|_| match around + 1 == self.depth {
                true => next(),
                false => self.node(around + 1, next),
            })
            .collect();
        over(self.kind.at(around), children)
    }

    fn service(&self, i: usize, variants: usize) -> ServiceSpec {
        let policy = PolicyId::at(i % variants);
        ServiceSpec {
            name: format!("service-{i}").into(),
            dns_policy: policy,
            http_policy: policy,
            residency: self.residency.then_some(ResidencyId(0)),
            fail_open: true,
            ttl: 60,
            ttl_failing: 10,
        }
    }
}

/// A node of a kind over these children.
fn over(kind: Kind, children: Vec<Policy>) -> Policy {
    match kind {
        Kind::Failover => Policy::Failover {
            children,
            failback: Failback::Automatic,
        },
        Kind::Weighted | Kind::Sticky => Policy::Weighted {
            children: children
                .into_iter()
                .zip([40, 40, 20].into_iter().cycle())
                .collect(),
            sticky: kind == Kind::Sticky,
        },
        // A mixture is one of the others at every level.
        Kind::Geo | Kind::Mixed => geo(children),
        Kind::LatencyMap | Kind::LatencyDistance => Policy::Latency { children },
        Kind::Proximity => Policy::Proximity {
            children: children
                .into_iter()
                .zip([0, 10, -10].into_iter().cycle())
                .collect(),
        },
        Kind::Network => network(children),
        Kind::Multivalue => Policy::Multivalue { children, max: 8 },
    }
}

/// The last child is for the EU, the first for everyone else; between them those for Asia and Oceania,
/// the other continents, and from there single countries.
fn geo(mut children: Vec<Policy>) -> Policy {
    let eu = CountrySet::builtin("EU").unwrap_or_default();
    let mut rules: Vec<GeoRule> = match children.len() {
        0 | 1 => Vec::new(),
        _ => children
            .pop()
            .map(|to| rule(eu, Vec::new(), to))
            .into_iter()
            .collect(),
    };
    let mut children = children.into_iter();
    let default = children.next().map(Box::new);
    let mut continents = vec![
        vec![Continent::AS, Continent::OC],
        vec![Continent::NA],
        vec![Continent::SA],
        vec![Continent::AF],
        vec![Continent::EU],
    ]
    .into_iter();
    let mut singles = countries().into_iter();
    rules.extend(children.map(|to| match continents.next() {
        Some(continents) => rule(CountrySet::default(), continents, to),
        None => GeoRule {
            countries: singles.next().into_iter().collect(),
            ..rule(CountrySet::default(), Vec::new(), to)
        },
    }));
    Policy::Geo { rules, default }
}

/// Four IPv4 and four IPv6 networks for each child; the last one is for everyone else.
fn network(mut children: Vec<Policy>) -> Policy {
    let default = children.pop().map(Box::new);
    let rules = children.into_iter().enumerate().map(|(child, to)| {
        let networks = (0..4).flat_map(|nth| {
            // Spread over what is in use: 1.0.0.0 to 223.0.0.0, and 2000::/3.
            let which = child * 4 + nth;
            let v4 = Ipv4Addr::new(1 + (which * 53 % 223) as u8, 0, 0, 0);
            let v6 = Ipv6Addr::new(0x2000 + (which * 0x25 % 0x1000) as u16, 0, 0, 0, 0, 0, 0, 0);
            let v4 = Ipv4Net::new_assert(v4, 8);
            [IpNet::V4(v4), IpNet::V6(Ipv6Net::new_assert(v6, 16))]
        });
        (networks.collect(), to)
    });
    Policy::Network {
        rules: rules.collect(),
        default,
    }
}

/// A row of round trips for each country, 5 to 255 ms.
fn map_by_country() -> LatencyMap {
    let countries = countries();
    let rtt = |row: usize, region: usize| 5.0 + (mix(row as u64, region as u64) % 250) as f32;
    let rows = (0..countries.len()).map(|row| (0..REGIONS).map(|r| rtt(row, r)).collect());
    LatencyMap {
        rows: rows.collect(),
        countries: countries.into_iter().zip(0..).collect(),
        ..LatencyMap::default()
    }
}

/// Every country there is, by code.
fn countries() -> Vec<Country> {
    let letters = || b'A'..=b'Z';
    letters()
        .flat_map(|first| letters().filter_map(move |second| Country::from_bytes([first, second])))
        .filter(|country| country.is_assigned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::{all_up, compiled};
    use steering::{Client, Location, LocationTableBuilder, ServiceId, Silent, Verdict, Want};

    const SMALL: Shape = Shape {
        kind: Kind::Geo,
        depth: 2,
        width: 3,
        services: 7,
        pools: 30,
        residency: true,
    };

    /// The nodes from a root to its deepest pool.
    fn depth(table: &steering::Table, node: steering::NodeId) -> usize {
        let node = &table.nodes()[node.index()];
        let children = table.children(node).iter();
        children
            .map(|edge| 1 + depth(table, edge.node))
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn a_table_is_as_deep_wide_and_large_as_its_shape_says() {
        for kind in Kind::ALL {
            for deep in 1..=6 {
                let shape = Shape {
                    kind,
                    depth: deep,
                    ..SMALL
                };
                let table = compiled(shape.spec());
                assert_eq!(table.services().len(), 7);
                assert_eq!(table.pools().len(), 30);
                let roots = table.services()[3].dns;
                let free = roots.free.expect("a policy");
                assert_eq!(depth(&table, free), deep, "{kind:?}");
                let root = &table.nodes()[free.index()];
                assert_eq!(table.children(root).len(), 3, "{kind:?}");
                assert!(roots.pinned.is_some(), "{kind:?} has pools in the EU");
            }
        }
    }

    /// A German, an American, a Japanese, and one from nowhere known.
    const CLIENTS: [(&str, &str); 4] = [
        ("1.0.0.0/8", "DE"),
        ("223.0.0.0/8", "US"),
        ("2001:db8::/32", "JP"),
        ("10.0.0.0/8", ""),
    ];

    fn locations() -> std::sync::Arc<steering::LocationTable> {
        let mut builder = LocationTableBuilder::default();
        for (network, country) in CLIENTS {
            if let Ok(country) = country.parse() {
                let network = network.parse().expect("a network");
                builder.insert(network, Location::in_country(country));
            }
        }
        std::sync::Arc::new(builder.build("four clients"))
    }

    #[test]
    fn clients_of_every_kind_are_served_in_the_eu_where_they_are_pinned() {
        let geo = locations();
        for kind in Kind::ALL {
            for (residency, pools, width, depth) in [
                (true, 3, 3, 1),
                (false, 3, 3, 3),
                (true, 300, 30, 1),
                (true, 30, 10, 2),
            ] {
                let shape = Shape {
                    kind,
                    depth,
                    width,
                    pools,
                    residency,
                    ..SMALL
                };
                let snapshot = all_up(compiled(shape.spec()), geo.clone());
                for (i, (network, country)) in CLIENTS.into_iter().enumerate() {
                    let network: IpNet = network.parse().expect("a network");
                    let client = Client::from(network.addr());
                    let want = Want::dns(i as u64);
                    let got = snapshot.decide(ServiceId::at(i), &client, want, &mut Silent);
                    let told = format!("{shape:?} {country}");
                    assert_eq!(
                        got.pinned,
                        residency && matches!(country, "DE" | ""),
                        "{told}"
                    );
                    // Nowhere is in no rule of a geo policy, and what is left for it is not in the EU.
                    let excluded = got.pinned && country.is_empty();
                    if !(excluded && matches!(kind, Kind::Geo | Kind::Mixed)) {
                        assert_eq!(got.verdict, Verdict::Steered, "{told}");
                        let region = got.region.expect("a region").index();
                        assert!(!got.pinned || region % 3 == 1, "{told}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_shape_that_is_too_large_is_bounded() {
        let shape = Shape {
            depth: 20,
            width: 64,
            ..SMALL
        };
        assert_eq!(shape.leaves(), None);
        let table = compiled(shape.spec());
        let root = table.services()[0].dns.free.expect("a policy");
        assert_eq!(depth(&table, root), 2);
        assert_eq!(SMALL.leaves(), Some(9));
    }
}
