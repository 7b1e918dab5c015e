//! What a new generation costs: making it, and reading while it is swapped in.
//! `cargo bench -p rhumb-bench --bench generations`
//!
//! | name | the time of |
//! |---|---|
//! | `compile/N services` | one table of N services and 1,000 pools from its spec: the core's part of a reload |
//! | `compile/depth N` | one table of 1,000 services whose policies nest N deep |
//! | `next/tick, N services` | the next generation when nothing but time has passed |
//! | `next/health, N services` | the next generation after the transition of one endpoint |
//! | `load/quiet` | one load of the snapshot, as a DNS worker does for each batch of packets |
//! | `load/swapping` | the same while a writer on another processor swaps without a pause: about the worst it can be |
//! | `keep/quiet`, `keep/swapping` | one load to keep across awaits, as a request does |
//! | `load and decide/…` | a load for each single decision, as no one does: what a swap adds to a decision |

mod settings;

use bench::tables::{Kind, Shape, Size, all_up, compiled, snapshot, spec};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use steering::draw::mix;
use steering::health::{Status, TargetHealth, Transition};
use steering::{Change, Client, Publisher, Reader, ServiceId, Silent, Timestamp, Want};

const SERVICES: [usize; 3] = [1, 1_000, 100_000];
const POOLS: usize = 1_000;

fn compile(c: &mut Criterion) {
    for services in SERVICES {
        let pools = POOLS;
        let spec = spec(Size { services, pools });
        c.bench_function(&format!("compile/{services} services"), |b| {
            b.iter_batched(|| spec.clone(), compiled, BatchSize::PerIteration);
        });
    }
    for depth in [1, 3, 6] {
        let shape = Shape {
            kind: Kind::Mixed,
            depth,
            width: 3,
            services: 1_000,
            pools: 300,
            residency: true,
        };
        let spec = shape.spec();
        c.bench_function(&format!("compile/depth {depth}"), |b| {
            b.iter_batched(|| spec.clone(), compiled, BatchSize::PerIteration);
        });
    }
}

fn next(c: &mut Criterion) {
    let geo = geoip::embedded();
    for services in SERVICES {
        let pools = POOLS;
        let snapshot = snapshot(Size { services, pools }, geo.clone());
        let down = Transition {
            target: snapshot.table().targets()[0].key.clone(),
            health: TargetHealth {
                status: Status::Down,
                ..TargetHealth::default()
            },
        };
        for (name, change) in [
            ("tick", Change::Tick),
            ("health", Change::Health(vec![down])),
        ] {
            c.bench_function(&format!("next/{name}, {services} services"), |b| {
                b.iter_batched(
                    || change.clone(),
                    |change| snapshot.next(change, Timestamp(3)),
                    BatchSize::PerIteration,
                );
            });
        }
    }
}

fn load(c: &mut Criterion) {
    let geo = geoip::embedded();
    let clients = settings::clients(&geo);
    // A small table, so that the writer swaps as often as it can.
    let shape = Shape {
        kind: Kind::Weighted,
        depth: 1,
        width: 3,
        services: 1,
        pools: 3,
        residency: false,
    };
    let (mut publisher, reader) = steering::channel(all_up(compiled(shape.spec()), geo));
    let all = |c: &mut Criterion, how: &str| {
        c.bench_function(&format!("load/{how}"), |b| {
            b.iter(|| reader.load().generation());
        });
        c.bench_function(&format!("keep/{how}"), |b| {
            b.iter(|| black_box(reader.snapshot()));
        });
        let mut i = 0;
        c.bench_function(&format!("load and decide/{how}"), |b| {
            b.iter(|| {
                i += 1;
                decide(&reader, clients[i as usize % clients.len()].into(), i)
            });
        });
    };
    all(c, "quiet");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| swap(&mut publisher, &stop));
        all(c, "swapping");
        stop.store(true, Ordering::Relaxed);
    });
}

fn decide(reader: &Reader, client: Client, i: u64) {
    let snapshot = reader.load();
    let want = Want::dns(mix(i, 4));
    black_box(snapshot.decide(ServiceId(0), &client, want, &mut Silent));
}

fn swap(publisher: &mut Publisher, stop: &AtomicBool) {
    let mut now = 10;
    while !stop.load(Ordering::Relaxed) {
        now += 1;
        publisher.apply(Change::Tick, Timestamp(now));
    }
}

criterion_group! { name = benches; config = settings::criterion(); targets = compile, next, load }
criterion_main!(benches);
