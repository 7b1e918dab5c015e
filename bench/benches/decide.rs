//! What a decision costs, location lookup included, for clients from all over the country table.
//! `cargo bench -p rhumb-bench --bench decide`
//!
//! | name | the time of one decision |
//! |---|---|
//! | `decide/KIND` | over a policy of this kind and depth 2, EU clients pinned, 1,000 services, 30 pools |
//! | `decide/KIND, free` | the same without a residency rule |
//! | `decide/N services/KIND` | for any of N services over 1,000 pools: what a large table adds |
//! | `decide/located` | with the location given: the policy alone |
//! | `decide/traced` | with every reason recorded, as `explain` does |
//!
//! `rhumb bench policies` varies more, and shows it side by side.

mod settings;

use bench::tables::{Kind, POLICIES, Shape, Size, all_up, compiled, snapshot};
use criterion::{Criterion, criterion_group, criterion_main};
use settings::CLIENTS;
use std::hint::black_box;
use steering::draw::{below, mix};
use steering::{Client, Recorder, ServiceId, Silent, Snapshot, Trace, Want};

const BASE: Shape = Shape {
    kind: Kind::Mixed,
    depth: 2,
    width: 3,
    services: 1_000,
    pools: 30,
    residency: true,
};

/// Times decisions for these clients, each for a service that `service` draws.
fn measure<R: Recorder>(
    c: &mut Criterion,
    name: &str,
    snapshot: &Snapshot,
    clients: &[Client],
    service: impl Fn(u64) -> usize,
    recorder: impl Fn() -> R,
) {
    let mut i = 0_u64;
    c.bench_function(name, |b| {
        b.iter(|| {
            i += 1;
            let service = ServiceId::at(service(mix(i, 3)));
            let client = &clients[i as usize % CLIENTS];
            let want = Want::dns(mix(i, 4));
            black_box(snapshot.decide(service, client, want, &mut recorder()))
        });
    });
}

fn decide(c: &mut Criterion) {
    let geo = geoip::embedded();
    let clients: Vec<Client> = settings::clients(&geo)
        .into_iter()
        .map(Client::from)
        .collect();
    let any = |services: usize| move |draw| below(draw, services as u64) as usize;
    for kind in Kind::ALL {
        for (suffix, residency) in [("", true), (", free", false)] {
            let shape = Shape {
                kind,
                residency,
                ..BASE
            };
            let snapshot = all_up(compiled(shape.spec()), geo.clone());
            let name = format!("decide/{}{suffix}", kind.name());
            measure(c, &name, &snapshot, &clients, any(shape.services), || {
                Silent
            });
        }
    }
    for services in [POLICIES.len(), 1_000, 100_000] {
        let pools = 1_000;
        let snapshot = snapshot(Size { services, pools }, geo.clone());
        for (kind, name) in POLICIES.iter().enumerate() {
            // Any service of this kind, so that a large table is really walked through.
            let rounds = (services / POLICIES.len()) as u64;
            let service = |draw| below(draw, rounds) as usize * POLICIES.len() + kind;
            let name = format!("decide/{services} services/{name}");
            measure(c, &name, &snapshot, &clients, service, || Silent);
        }
    }
    let snapshot = all_up(compiled(BASE.spec()), geo.clone());
    let located = clients.iter().map(|client| Client {
        located: Some(geo.locate(client.address)),
        ..*client
    });
    let located: Vec<Client> = located.collect();
    let services = any(BASE.services);
    measure(c, "decide/located", &snapshot, &located, services, || {
        Silent
    });
    measure(
        c,
        "decide/traced",
        &snapshot,
        &clients,
        services,
        Trace::default,
    );
}

criterion_group! { name = benches; config = settings::criterion(); targets = decide }
criterion_main!(benches);
