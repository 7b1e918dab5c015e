//! How long a large table takes: 100,000 services over 20 policies and 1,000 pools, compiled, made a
//! snapshot, and changed once. A measurement to read, not a test: run it with `--release`.

use std::sync::Arc;
use std::time::{Instant, SystemTime};
use steering::ids::PolicyId;
use steering::spec::{
    EndpointSpec, NamedPolicy, Policy, PoolSpec, Publish, Region, ServiceSpec, TableSpec,
};
use steering::{
    Change, LocationTable, PoolId, RegionId, ServiceId, Silent, Snapshot, Table, Timestamp, Want,
};

const SERVICES: u32 = 100_000;
const POLICIES: u32 = 20;
const POOLS: u32 = 1_000;

fn spec() -> TableSpec {
    let mut spec = TableSpec::default();
    spec.regions.push(Region {
        name: "here".into(),
        place: None,
        country: None,
        jurisdiction: None,
        capacity: None,
    });
    for i in 0..POOLS {
        let [_, _, high, low] = i.to_be_bytes();
        let address = ([10, 0, high, low], 443).into();
        spec.pools.push(PoolSpec {
            name: format!("pool-{i}").into(),
            region: RegionId(0),
            check: None,
            min_healthy: 0.0,
            endpoints: vec![EndpointSpec {
                address,
                weight: 1,
                publish: Publish::address(address),
            }],
        });
    }
    for i in 0..POLICIES {
        let own = POOLS / POLICIES;
        let pools = (i * own..(i + 1) * own).map(|pool| (Policy::Pool(PoolId(pool)), 1));
        spec.policies.push(NamedPolicy {
            name: format!("policy-{i}").into(),
            policy: Policy::Weighted {
                children: pools.collect(),
                sticky: false,
            },
        });
    }
    for i in 0..SERVICES {
        let policy = PolicyId(i % POLICIES);
        spec.services.push(ServiceSpec {
            name: format!("service-{i}").into(),
            dns_policy: policy,
            http_policy: policy,
            residency: None,
            fail_open: true,
            ttl: 60,
            ttl_failing: 10,
        });
    }
    spec
}

fn main() -> std::process::ExitCode {
    let spec = spec();
    let now = Timestamp::from(SystemTime::now());
    let begun = Instant::now();
    let Ok(table) = Table::compile(spec) else {
        return std::process::ExitCode::FAILURE;
    };
    let compiled = begun.elapsed();
    let begun = Instant::now();
    let first = Snapshot::new(Arc::new(table), Arc::new(LocationTable::default()), now);
    let made = begun.elapsed();
    let begun = Instant::now();
    let next = first.next(Change::Tick, now);
    let changed = begun.elapsed();
    let client = std::net::IpAddr::from([192, 0, 2, 1]).into();
    let begun = Instant::now();
    let decisions = 1_000_000_u32;
    for i in 0..decisions {
        let service = ServiceId(i.wrapping_mul(0x9e37_79b1) % SERVICES);
        let decision = next.decide(service, &client, Want::dns(u64::from(i) << 32), &mut Silent);
        std::hint::black_box(decision);
    }
    let each = begun.elapsed() / decisions;
    eprintln!("compile {compiled:?}, first snapshot {made:?}, next {changed:?}, decide {each:?}");
    std::process::ExitCode::SUCCESS
}
