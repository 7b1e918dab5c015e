//! What a DNS query costs without its socket: parse, answer, encode into a buffer that is used again, as
//! a server does. `cargo bench -p rhumb-bench --bench dns`
//!
//! | name | the time of one packet to one packet |
//! |---|---|
//! | `respond/static` | A of a name in the zone: no decision |
//! | `respond/weighted` | A of a weighted service, one of 200 |
//! | `respond/geo, by peer` | A of a geo service under residency, one of 200, for the resolver's own address |
//! | `respond/geo, by ECS` | the same with EDNS, for the client subnet it tells; 65,536 different real ones |
//! | `respond/nodata` | AAAA of a service with IPv4 endpoints: decided, then SOA |
//! | `respond/nxdomain` | A of a name that is not there, 65,536 different ones |
//! | `respond/refused` | A of a name in no zone |
//!
//! `…, general` is the same without the fast encoder, and `…, N services` in a table of so many services with
//! a name of its own each, of which 20,000 are asked for.

mod settings;

use bench::asks::{ECS_V4, ECS_V6};
use bench::tables::{POLICIES, Size, all_up, compiled, spec};
use criterion::{Criterion, criterion_group, criterion_main};
use dns::fast::{self, Given};
use dns::{
    Arrival, Rules, SoaSpec, SteeredName, Transport, ZoneSpec, Zones, respond, respond_into,
};
use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use steering::draw::mix;
use steering::{ServiceId, Snapshot};

const SERVICES: usize = 1_000;
/// A large table, and how many of its services are asked for.
const MANY: usize = 100_000;
const ASKED: usize = 20_000;
const APEX: &str = "bench.test";
const A: u16 = 1;
const AAAA: u16 = 28;

/// What is asked, and what must come.
struct Case {
    name: String,
    packets: Vec<Vec<u8>>,
    rcode: u8,
    answers: u8,
}

fn world(services: usize) -> Snapshot {
    let steered = |i: usize| SteeredName {
        name: format!("service-{i}.{APEX}"),
        service: ServiceId::at(i),
        https: None,
        svcb: None,
        hostnames: false,
        place: "bench".into(),
    };
    let zone = ZoneSpec {
        apex: APEX.to_owned(),
        soa: Some(SoaSpec::new("ns1.bench.test", "hostmaster.bench.test")),
        ns: vec!["ns1.bench.test".to_owned()],
        records: ["ns1 300 IN A 192.0.2.53", "www 300 IN A 192.0.2.80"]
            .map(|record| ("bench".to_owned(), record.to_owned()))
            .to_vec(),
        ..ZoneSpec::default()
    };
    let zones = Zones::build(vec![zone], (0..services).map(steered).collect());
    let mut spec = spec(Size {
        services,
        pools: 30,
    });
    // A weighted answer that depends on nobody's place.
    for (i, service) in spec.services.iter_mut().enumerate() {
        if POLICIES[i % POLICIES.len()] == "weighted" {
            service.residency = None;
        }
    }
    spec.planes.insert(Arc::new(zones.expect("a sound zone")));
    all_up(compiled(spec), geoip::embedded())
}

/// A query; with EDNS and the client subnet (RFC 7871 §6) where a client is given.
fn query(name: &str, rtype: u16, client: Option<IpAddr>) -> Vec<u8> {
    let mut packet = vec![
        0x12,
        0x34,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        client.is_some().into(),
    ];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend(rtype.to_be_bytes());
    packet.extend([0, 1]);
    if let Some(client) = client {
        let (family, bits, octets) = match client {
            IpAddr::V4(v4) => (1, ECS_V4, v4.octets().to_vec()),
            IpAddr::V6(v6) => (2, ECS_V6, v6.octets().to_vec()),
        };
        let told = &octets[..usize::from(bits / 8)];
        let option = 4 + told.len() as u8;
        packet.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, option + 4]);
        packet.extend([0, 8, 0, option, 0, family, bits, 0]);
        packet.extend_from_slice(told);
    }
    packet
}

fn cases(clients: &[IpAddr]) -> Vec<Case> {
    let service = |i: usize, kind: &str| {
        let at = POLICIES.iter().position(|name| *name == kind).unwrap_or(0);
        let round = mix(i as u64, 7) as usize % (SERVICES / POLICIES.len());
        format!("service-{}.{APEX}", round * POLICIES.len() + at)
    };
    let case = |name: &str, rcode, answers, packet: &dyn Fn(usize, IpAddr) -> Vec<u8>| Case {
        name: name.to_owned(),
        packets: clients
            .iter()
            .enumerate()
            .map(|(i, client)| packet(i, *client))
            .collect(),
        rcode,
        answers,
    };
    vec![
        case("static", 0, 1, &|_, _| query("www.bench.test", A, None)),
        case("weighted", 0, 3, &|i, _| {
            query(&service(i, "weighted"), A, None)
        }),
        case("geo, by peer", 0, 3, &|i, _| {
            query(&service(i, "geo"), A, None)
        }),
        case("geo, by ECS", 0, 3, &|i, client| {
            query(&service(i, "geo"), A, Some(client))
        }),
        case("nodata", 0, 0, &|i, _| {
            query(&service(i, "weighted"), AAAA, None)
        }),
        case("nxdomain", 3, 0, &|i, _| {
            query(&format!("no-{i}.{APEX}"), A, None)
        }),
        case("refused", 5, 0, &|i, _| {
            query(&format!("no-{i}.test"), A, None)
        }),
    ]
}

fn answer(c: &mut Criterion) {
    let snapshot = world(SERVICES);
    let peers = settings::clients(snapshot.geo());
    for case in cases(&peers) {
        check(&snapshot, &case, &peers);
        measure(c, &snapshot, &case, &peers, true);
        if case.name == "static" || case.name == "geo, by ECS" {
            measure(c, &snapshot, &case, &peers, false);
        }
    }
    for services in [POLICIES.len(), MANY] {
        let snapshot = world(services);
        let geos = services / POLICIES.len();
        let case = Case {
            name: format!("geo, by ECS, {services} services"),
            packets: (0..peers.len())
                .map(|i| {
                    let nth = i % ASKED.min(geos) * (geos / ASKED.min(geos));
                    let name = format!("service-{}.{APEX}", nth * POLICIES.len());
                    query(&name, A, Some(peers[i]))
                })
                .collect(),
            rcode: 0,
            answers: 3,
        };
        check(&snapshot, &case, &peers);
        measure(c, &snapshot, &case, &peers, true);
    }
}

/// Times the responses to the packets of a case, the fast encoder first where `fast` says so.
fn measure(c: &mut Criterion, snapshot: &Snapshot, case: &Case, peers: &[IpAddr], fast: bool) {
    let rules = Rules::default();
    let mut out = Vec::with_capacity(4_096);
    let mut i = 0;
    let suffix = if fast { "" } else { ", general" };
    c.bench_function(&format!("respond/{}{suffix}", case.name), |b| {
        b.iter(|| {
            i = (i + 1) % case.packets.len();
            out.clear();
            let draw = |_: IpAddr, _: &[u8], _: dns::RType| mix(i as u64, 4);
            let packet = black_box(&case.packets[i]);
            let arrival = Arrival::new(peers[i], Transport::Udp);
            let offered = match fast {
                true => {
                    let given = Given {
                        fresh: mix(i as u64, 4),
                        ahead: None,
                    };
                    fast::offer(snapshot, packet, &arrival, &rules, given, draw, &mut out)
                }
                false => None,
            };
            let outcome = offered.unwrap_or_else(|| {
                respond_into(snapshot, packet, &arrival, &rules, draw, &mut out)
            });
            black_box(outcome);
            out.len()
        });
    });
}

/// That what is timed is what its name says.
fn check(snapshot: &Snapshot, case: &Case, peers: &[IpAddr]) {
    for (i, (packet, peer)) in case.packets.iter().zip(peers).enumerate().take(1_000) {
        let rules = Rules::default();
        let response = respond(snapshot, packet, *peer, Transport::Udp, &rules, i as u64);
        let response = response.expect("every query is answered");
        let got = (response[3] & 0x0f, response[7]);
        assert_eq!(got, (case.rcode, case.answers), "{} for {peer}", case.name);
    }
}

criterion_group! { name = benches; config = settings::criterion(); targets = answer }
criterion_main!(benches);
