//! Micro-benchmarks of the core: a location lookup, a decision of each policy kind, a decision in a
//! large table, and making the next generation. `cargo bench -p rhumb-bench`.

use bench::clients::addresses;
use bench::tables::{POLICIES, Size, snapshot};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::IpAddr;
use steering::draw::mix;
use steering::{Change, Client, ServiceId, Silent, Timestamp, Want};

/// How many different clients a measurement walks through.
const CLIENTS: usize = 1 << 16;

fn locate(c: &mut Criterion) {
    let geo = geoip::embedded();
    let all = addresses(&geo, 2 * CLIENTS, 1);
    for (name, is_v4) in [("locate/v4", true), ("locate/v6", false)] {
        let clients: Vec<IpAddr> = all
            .iter()
            .copied()
            .filter(|a| a.is_ipv4() == is_v4)
            .collect();
        let mut i = 0;
        c.bench_function(name, |b| {
            b.iter(|| {
                i = (i + 1) % clients.len();
                black_box(geo.locate(clients[i]))
            });
        });
    }
}

fn decide(c: &mut Criterion) {
    let geo = geoip::embedded();
    let clients = addresses(&geo, CLIENTS, 2);
    for services in [POLICIES.len(), 1_000, 100_000] {
        let snapshot = snapshot(
            Size {
                services,
                pools: 1_000,
            },
            geo.clone(),
        );
        for (kind, name) in POLICIES.iter().enumerate() {
            let mut i = 0_u64;
            c.bench_function(&format!("decide/{services} services/{name}"), |b| {
                b.iter(|| {
                    i += 1;
                    // Any service of this kind, so that a large table is really walked through.
                    let rounds = (services / POLICIES.len()) as u64;
                    let nth = steering::draw::below(mix(i, 3), rounds) as usize;
                    let service = ServiceId::at(nth * POLICIES.len() + kind);
                    let client = Client::from(clients[i as usize % CLIENTS]);
                    black_box(snapshot.decide(service, &client, Want::dns(mix(i, 4)), &mut Silent))
                });
            });
        }
    }
}

fn next(c: &mut Criterion) {
    let geo = geoip::embedded();
    for services in [1_000, 100_000] {
        let snapshot = snapshot(
            Size {
                services,
                pools: 1_000,
            },
            geo.clone(),
        );
        c.bench_function(&format!("next/{services} services, 1000 pools"), |b| {
            b.iter_batched(
                || Change::Tick,
                |change| black_box(snapshot.next(change, Timestamp(3))),
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, locate, decide, next);
criterion_main!(benches);
