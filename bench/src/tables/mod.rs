//! Routing tables of any size: regions around the world, pools spread over them, services that share a
//! handful of policies, as a platform's do. Here with policies of several kinds side by side; `shape`
//! makes tables of one kind, as deep and wide as wanted.

mod shape;

pub use shape::{Kind, MAX_LEAVES, Shape};

use crate::subject;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use steering::geo::{Continent, Coordinates, CountrySet};
use steering::health::{Check, Probe, Rules};
use steering::ids::{CheckId, JurisdictionId, PolicyId, PoolId, RegionId, ResidencyId};
use steering::spec::{
    EndpointSpec, Failback, GeoRule, NamedPolicy, Policy, PoolSpec, Publish, Region, Residency,
    ServiceSpec, TableSpec,
};
use steering::{LocationTable, Snapshot, Table, Timestamp};

/// How large a table is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Services.
    pub services: usize,
    /// Pools, of three endpoints each.
    pub pools: usize,
}

/// The policies that services take turns with.
pub const POLICIES: [&str; 5] = ["geo", "failover", "weighted", "latency", "nested"];

/// The jurisdiction of every third region.
const EU: JurisdictionId = JurisdictionId(0);
/// Regions of a table.
const REGIONS: usize = 12;

/// The spec of a table; every service is under a residency rule for EU clients.
pub fn spec(size: Size) -> TableSpec {
    TableSpec {
        policies: policies(size.pools),
        services: (0..size.services).map(|i| service(i, size.pools)).collect(),
        ..world(size.pools)
    }
}

/// Everything of a table but its policies and services: twelve regions, every third of them in the EU,
/// one check, one residency rule for EU clients, and so many pools, the regions in turn.
fn world(pools: usize) -> TableSpec {
    let rules = Rules {
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(3),
        rise: 2,
        fall: 3,
    };
    let check = Check {
        name: "tcp".into(),
        probe: Probe::Tcp,
        rules,
    };
    TableSpec {
        regions: (0..REGIONS).map(region).collect(),
        checks: vec![check],
        pools: (0..pools).map(pool).collect(),
        residencies: vec![Residency {
            name: "gdpr".into(),
            countries: CountrySet::builtin("EU").unwrap_or_default(),
            continents: Vec::new(),
            serve_in: vec![EU],
            pin_unknown: true,
            fail_open_inside: false,
        }],
        ..TableSpec::default()
    }
}

/// A snapshot of a table of this size in which every endpoint is up.
///
/// # Panics
/// When the generated spec does not compile: a defect of this module.
pub fn snapshot(size: Size, geo: Arc<LocationTable>) -> Snapshot {
    all_up(compiled(spec(size)), geo)
}

/// A snapshot of a table in which every endpoint is up.
pub fn all_up(table: Arc<Table>, geo: Arc<LocationTable>) -> Snapshot {
    subject::all_up(&Snapshot::new(table, geo, Timestamp(1)))
}

/// The table of a spec.
///
/// # Panics
/// When it does not compile.
pub fn compiled(spec: TableSpec) -> Arc<Table> {
    match Table::compile(spec) {
        Ok(table) => Arc::new(table),
        Err(problems) => panic!("the generated table does not compile: {problems:?}"),
    }
}

fn region(i: usize) -> Region {
    let (latitude, longitude) = [
        (38.9, -77.5),
        (53.3, -6.3),
        (1.35, 103.8),
        (45.8, -119.7),
        (50.1, 8.7),
        (35.7, 139.7),
        (-23.5, -46.6),
        (48.9, 2.4),
        (19.1, 72.9),
        (43.7, -79.4),
        (59.3, 18.1),
        (-33.9, 151.2),
    ][i % REGIONS];
    Region {
        name: format!("region-{i}").into(),
        place: Some(Coordinates {
            latitude,
            longitude,
        }),
        country: None,
        jurisdiction: (i % 3 == 1).then_some(EU),
        capacity: None,
    }
}

fn pool(i: usize) -> PoolSpec {
    let endpoint = |n: usize| {
        let number = i * 3 + n;
        let ip = [10, (number >> 16) as u8, (number >> 8) as u8, number as u8];
        let address = SocketAddr::from((ip, 443));
        EndpointSpec {
            address,
            weight: 1,
            publish: Publish::address(address),
        }
    };
    PoolSpec {
        name: format!("pool-{i}").into(),
        region: RegionId::at(i % REGIONS),
        check: Some(CheckId(0)),
        min_healthy: 0.0,
        endpoints: (0..3).map(endpoint).collect(),
    }
}

/// Twenty variants of each kind, over neighbouring pools.
const VARIANTS: usize = 20;

fn policies(pools: usize) -> Vec<NamedPolicy> {
    let mut list = Vec::new();
    for variant in 0..VARIANTS {
        let at = |n: usize| Policy::Pool(PoolId::at((variant * 3 + n) % pools));
        let failover = |order: [usize; 3]| Policy::Failover {
            children: order.map(at).to_vec(),
            failback: Failback::Automatic,
        };
        let weighted = || Policy::Weighted {
            children: vec![(at(0), 40), (at(1), 40), (at(2), 20)],
            sticky: false,
        };
        let geo = |to: Policy, default: Policy| Policy::Geo {
            rules: vec![
                rule(
                    CountrySet::builtin("EU").unwrap_or_default(),
                    Vec::new(),
                    failover([1, 0, 2]),
                ),
                rule(
                    CountrySet::default(),
                    vec![Continent::AS, Continent::OC],
                    to,
                ),
            ],
            default: Some(Box::new(default)),
        };
        let policies = [
            geo(failover([2, 0, 1]), failover([0, 1, 2])),
            failover([0, 1, 2]),
            weighted(),
            Policy::Latency {
                children: vec![at(0), at(1), at(2)],
            },
            geo(
                Policy::Latency {
                    children: vec![weighted(), at(0)],
                },
                Policy::Failover {
                    children: vec![weighted(), at(1)],
                    failback: Failback::Automatic,
                },
            ),
        ];
        for (kind, policy) in POLICIES.into_iter().zip(policies) {
            list.push(NamedPolicy {
                name: format!("{kind}-{variant}").into(),
                policy,
            });
        }
    }
    list
}

fn rule(set: CountrySet, continents: Vec<Continent>, to: Policy) -> GeoRule {
    let sets = if set.is_empty() {
        Vec::new()
    } else {
        vec![set]
    };
    GeoRule {
        subdivisions: Vec::new(),
        countries: Vec::new(),
        sets,
        continents,
        to,
    }
}

fn service(i: usize, pools: usize) -> ServiceSpec {
    let policy = PolicyId::at(i % (POLICIES.len() * VARIANTS.min(pools.max(1))));
    ServiceSpec {
        name: format!("service-{i}").into(),
        dns_policy: policy,
        http_policy: policy,
        residency: Some(ResidencyId(0)),
        fail_open: true,
        ttl: 60,
        ttl_failing: 10,
    }
}
