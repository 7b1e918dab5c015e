//! What a location lookup costs: the first thing most decisions do. `cargo bench -p rhumb-bench --bench locate`
//!
//! | name | the time of one lookup for |
//! |---|---|
//! | `locate/v4`, `locate/v6` | a client drawn from the whole embedded country table: cold caches, as for a resolver of many clients |
//! | `locate/v4, 256 clients`, … | the same few clients again and again: warm caches, the least it can cost |
//! | `locate/v4 as v6` | an IPv4 client as a dual-stack socket tells it (`::ffff:a.b.c.d`) |

mod settings;

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::IpAddr;

fn locate(c: &mut Criterion) {
    let geo = geoip::embedded();
    let (v4, v6) = geo.len();
    eprintln!("{v4} + {v6} ranges in {} octets", geo.heap_bytes());
    let all = settings::clients(&geo);
    let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = all.into_iter().partition(IpAddr::is_ipv4);
    let mapped: Vec<IpAddr> = v4
        .iter()
        .map(|address| match address {
            IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
            v6 => *v6,
        })
        .collect();
    for (name, clients) in [
        ("v4", &v4[..]),
        ("v6", &v6[..]),
        ("v4, 256 clients", &v4[..256]),
        ("v6, 256 clients", &v6[..256]),
        ("v4 as v6", &mapped[..]),
    ] {
        let mut next = clients.iter().cycle();
        c.bench_function(&format!("locate/{name}"), |b| {
            b.iter(|| next.next().map(|client| black_box(geo.locate(*client))));
        });
    }
}

criterion_group! { name = benches; config = settings::criterion(); targets = locate }
criterion_main!(benches);
