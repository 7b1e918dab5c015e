//! The fast encoder and the general way say the same octets, over random zones, queries, rules and health;
//! and the common queries do go the fast way, without allocating.

mod common;

use common::{DE, SG, US, ip, option, packet, subnet, world};
use dns::fast::Given;
use dns::{Arrival, Cookies, RType, Rules, Secret, SteeredName, Transport, ZoneSpec, Zones};
use proptest::prelude::*;
use proptest::sample::select;
use std::net::IpAddr;
use std::sync::LazyLock;
use steering::health::Status;
use steering::{Forced, PoolId, ServiceId, Snapshot, Timestamp};

/// What stands at a name.
#[derive(Clone, Debug)]
enum Kind {
    Static(&'static str),
    Steered { service: u32, alpn: bool },
}

fn kinds() -> impl Strategy<Value = Kind> {
    let records = select(vec![
        "A 192.0.2.1",
        "A 192.0.2.1\n A 192.0.2.2\n A 192.0.2.3",
        "AAAA 2001:db8::1\n TXT \"text\"",
        "CAA 0 issue \"ca.test\"\n MX 10 mail",
        "CNAME a",
        "CNAME elsewhere.test.",
        "DNAME other.test.",
        "NS ns.b\n NS ns.far.test.",
        "NS ns1\n DS 1 13 2 00",
        "TYPE65280 \\# 4 0a000001",
        "HTTPS 1 . alpn=h2",
        "TXT \"a text that is so long that a handful of them is more than a datagram can have, 1\"\n \
         TXT \"a text that is so long that a handful of them is more than a datagram can have, 2\"\n \
         TXT \"a text that is so long that a handful of them is more than a datagram can have, 3\"\n \
         TXT \"a text that is so long that a handful of them is more than a datagram can have, 4\"\n \
         TXT \"a text that is so long that a handful of them is more than a datagram can have, 5\"",
    ]);
    // Services by `common::STEERED`: geo, pinned, named (a host name), many, star, nowhere, refusing.
    let steered = (0..7_u32, any::<bool>());
    prop_oneof![
        records.prop_map(Kind::Static),
        steered.prop_map(|(service, alpn)| Kind::Steered { service, alpn }),
    ]
}

fn names() -> impl Strategy<Value = String> {
    let label = || select(vec!["a", "b", "ns1", "www", "mail"]);
    let labels = (
        prop::bool::weighted(0.2),
        prop::collection::vec(label(), 1..4),
    );
    labels.prop_map(|(wildcard, labels)| {
        let star = if wildcard { "*." } else { "" };
        format!("{star}{}", labels.join("."))
    })
}

/// Zones that go together, or nothing where what was drawn does not.
fn build(apex: &str, mname: &str, rname: &str, names: &[(String, Kind)]) -> Option<Snapshot> {
    let mut text =
        format!("$TTL 300\n@ SOA {mname} {rname} 7 3600 600 86400 60\n@ NS ns.far.test.\n");
    let mut steered = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for (name, kind) in names {
        // The first of a name stands; nothing is put under an alias, nor a host name's service beside others.
        if seen.contains(&&**name) {
            continue;
        }
        seen.push(name);
        match kind {
            Kind::Static(records) => {
                for record in records.lines() {
                    text.push_str(&format!("{name} {}\n", record.trim()));
                }
            }
            Kind::Steered { service, alpn } => steered.push(SteeredName {
                name: format!("{name}.{apex}"),
                service: ServiceId(*service),
                https: alpn.then(|| common::offering(&["h2"])),
                svcb: alpn.then(|| dns::Binding {
                    port: Some(853),
                    doh_path: Some("/dns-query{?dns}".to_owned()),
                    ..common::offering(&["dot"])
                }),
                hostnames: *service == 2,
                place: "test".into(),
            }),
        }
    }
    let spec = ZoneSpec {
        apex: apex.to_owned(),
        master_file: Some(("test.zone".into(), text)),
        ..ZoneSpec::default()
    };
    let zones = Zones::build(vec![spec], steered).ok()?;
    Some(common::snapshot(zones))
}

fn edns() -> impl Strategy<Value = Option<Vec<u8>>> {
    let address = || {
        select(vec![
            "192.0.2.77",
            "203.0.113.9",
            "8.8.8.8",
            "10.1.2.3",
            "2001:db8:de::1",
            "::1",
        ])
    };
    let ecs = (address(), 0..=64_u8).prop_map(|(address, bits)| {
        let most = if address.contains(':') { 64 } else { 32 };
        subnet_of(address, bits.min(most))
    });
    let options = prop_oneof![
        4 => ecs,
        1 => Just(option(8, &[0, 0, 0, 0])),
        1 => Just(option(8, &[0, 1, 24, 0, 1])),
        2 => Just(option(10, &[1, 2, 3, 4, 5, 6, 7, 8])),
        1 => Just(option(10, &[7; 24])),
        1 => Just(option(10, &[7; 5])),
        1 => select(vec![3_u16, 9, 11, 12, 14, 65_001]).prop_map(|code| option(code, &[])),
    ];
    let head = (
        select(vec![0_u16, 512, 600, 1232, 4096]),
        select(vec![0_u8, 0, 0, 0, 1]),
        select(vec![0_u8, 0x80, 0x40]),
    );
    let opt = (head, prop::collection::vec(options, 0..3));
    prop::option::weighted(0.8, opt).prop_map(|opt| {
        let ((payload, version, flags), options) = opt?;
        Some(common::opt(
            payload,
            [0, version, flags, 0],
            &options.concat(),
        ))
    })
}

/// A client subnet option with the bits beyond its prefix cleared.
fn subnet_of(address: &str, bits: u8) -> Vec<u8> {
    let net: ipnet::IpNet = format!("{address}/{bits}").parse().expect("a network");
    subnet(&net.trunc().to_string())
}

fn rules() -> impl Strategy<Value = Rules> {
    let cookies = select(vec![None, Some(false), Some(true)]);
    let payload = select(vec![0_u16, 512, 700, 1232]);
    (any::<bool>(), payload, cookies).prop_map(|(client_subnet, payload, cookies)| Rules {
        client_subnet,
        payload,
        cookies: cookies.map(|require| Cookies {
            require,
            ..Cookies::new(Secret::new([7; 16]))
        }),
        ..Rules::default()
    })
}

/// A question for a name of the zone or one near it, in any case.
fn question(
    name: &str,
    below: &str,
    case: u64,
    rtype: u16,
    flags: [u8; 2],
    opt: Option<&[u8]>,
) -> Vec<u8> {
    let text = format!("{below}{name}");
    let mixed: String = text
        .chars()
        .enumerate()
        .map(|(i, c)| {
            if case >> (i % 64) & 1 == 1 {
                c.to_ascii_uppercase()
            } else {
                c
            }
        })
        .collect();
    let mut packet = packet(&format!("{mixed} A"), None);
    let at = packet.len() - 4;
    packet[at..at + 2].copy_from_slice(&rtype.to_be_bytes());
    packet[2..4].copy_from_slice(&flags);
    if let Some(opt) = opt {
        packet[11] = 1;
        packet.extend_from_slice(opt);
    }
    packet
}

/// As in a batch, of which the packets with even draws are looked up ahead.
fn given(snapshot: &Snapshot, packet: &[u8], rules: &Rules, fresh: u64) -> Given {
    let mut ahead = [None];
    if fresh.is_multiple_of(2) {
        dns::fast::ahead(snapshot, [(0, packet)].into_iter(), rules, &mut ahead);
    }
    let [ahead] = ahead;
    Given { fresh, ahead }
}

/// Both ways of one packet, behind other octets; whether the fast one was taken.
fn agree(
    snapshot: &Snapshot,
    packet: &[u8],
    peer: IpAddr,
    rules: &Rules,
    draw: u64,
) -> Result<bool, TestCaseError> {
    let arrival = Arrival {
        now: 1_700_000_000,
        ..Arrival::new(peer, Transport::Udp)
    };
    let draw = |_: IpAddr, _: &[u8], _: RType| draw;
    let (mut fast, mut general) = (vec![9; 3], vec![9; 3]);
    let given = given(snapshot, packet, rules, draw(peer, &[], RType::A));
    let offered = dns::fast::offer(snapshot, packet, &arrival, rules, given, draw, &mut fast);
    let Some(outcome) = offered else {
        prop_assert_eq!(fast, vec![9; 3], "what is not taken is left as it was");
        return Ok(false);
    };
    let expected = dns::respond_into(snapshot, packet, &arrival, rules, draw, &mut general);
    prop_assert_eq!(outcome, expected, "{:02x?}", packet);
    prop_assert_eq!(fast, general, "{:02x?}", packet);
    Ok(true)
}

type Asked = (
    prop::sample::Index,
    &'static str,
    u64,
    u16,
    [u8; 2],
    Option<Vec<u8>>,
);

fn asked() -> impl Strategy<Value = Asked> {
    (
        any::<prop::sample::Index>(),
        select(vec!["", "", "", "a.", "x.", "ns1.", "x.y.", "*."]),
        prop_oneof![Just(0), any::<u64>()],
        select(vec![
            1_u16, 1, 1, 28, 28, 65, 65, 16, 15, 2, 6, 5, 12, 39, 43, 46, 255, 257, 65_280, 0, 41,
            250,
        ]),
        (any::<u8>(), any::<u8>()).prop_map(|(high, low)| [high & 0x07, low]),
        edns(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn the_fast_way_says_what_the_general_way_says(
        apex in select(vec!["example.", "b.example.", "."]),
        mname in select(vec!["ns1", "a.ns1", "@", "ns.far.test.", "b.test.", "example."]),
        rname in select(vec!["hostmaster", "a.ns1", "mail.far.test.", "x.www"]),
        names in prop::collection::vec((names(), kinds()), 0..8),
        asked in prop::collection::vec(asked(), 1..24),
        down in prop::collection::vec(0..5_u32, 0..4),
        rules in rules(), peer in select(vec![US, DE, SG, "::ffff:192.0.2.1", "2001:db8:de::9"]),
        draw in any::<u64>(),
    ) {
        let snapshot = build(apex, mname, rname, &names);
        prop_assume!(snapshot.is_some());
        let snapshot = snapshot.expect("just looked");
        let forced: Vec<Forced> = down.iter().map(|pool| Forced::Pool(PoolId(*pool), Status::Down)).collect();
        let snapshot = snapshot.what_if(&forced, Timestamp(0));
        let origin = if apex == "." { "" } else { apex };
        for (which, below, case, rtype, flags, opt) in &asked {
            let name = match which.index(names.len() + 2) {
                0 => origin.to_owned(),
                i => names.get(i - 1).map_or("test.".to_owned(), |(name, _)| format!("{name}.{origin}")),
            };
            let name = name.replace("*.", "");
            let packet = question(&name, below, *case, *rtype, *flags, opt.as_deref());
            agree(&snapshot, &packet, ip(peer), &rules, draw)?;
        }
    }

    #[test]
    fn damaged_queries_are_not_taken_for_others(
        text in select(vec!["geo.example A", "web.example A", "nothing.example AAAA", "x.wild.example A"]),
        ecs in any::<bool>(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        static WORLD: LazyLock<Snapshot> = LazyLock::new(world);
        let mut octets = packet(text, ecs.then(|| subnet("192.0.2.0/24")).as_deref());
        for (at, octet) in &damage {
            let at = at.index(octets.len());
            octets[at] = *octet;
        }
        if let Some(cut) = cut {
            octets.truncate(cut.index(octets.len() + 1));
        }
        agree(&WORLD, &octets, ip(DE), &Rules::default(), 3)?;
    }
}

/// Questions that make up nearly all of what is asked, and whether they carry EDNS.
fn common_queries() -> Vec<Vec<u8>> {
    let questions = [
        "geo.example A",
        "GEO.example AAAA",
        "geo.example HTTPS",
        "pinned.example A",
        "many.example A",
        "many.example AAAA",
        "x.star.example A",
        "nowhere.example A",
        "refusing.example A",
        "web.example A",
        "ns1.example AAAA",
        "example TXT",
        "raw.example TYPE65280",
        "x.wild.example A",
        "x.wild.example TXT",
        "b.ent.example A",
        "web.example TXT",
        "nothing.example A",
        "second.test A",
    ];
    let cookie = option(10, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let options = [
        None,
        Some(Vec::new()),
        Some(subnet("192.0.2.0/24")),
        Some(subnet("2001:db8:de::/56")),
        Some(cookie.clone()),
        Some([cookie, subnet("203.0.113.0/24")].concat()),
    ];
    let with = |question: &&str| {
        options
            .each_ref()
            .map(|options| packet(question, options.as_deref()))
    };
    questions.iter().flat_map(with).collect()
}

fn with_cookies() -> Rules {
    Rules {
        cookies: Some(Cookies::new(Secret::new([7; 16]))),
        ..Rules::default()
    }
}

#[test]
fn common_queries_go_the_fast_way() {
    for down in [&[][..], &[1], &[0, 1, 2, 4]] {
        let snapshot = common::with_down(down);
        for packet in common_queries() {
            let taken =
                agree(&snapshot, &packet, ip(US), &with_cookies(), 5).expect("the same octets");
            assert!(taken, "{}", String::from_utf8_lossy(&packet));
        }
    }
}

#[test]
fn what_is_not_common_is_left_alone() {
    let snapshot = world();
    for question in [
        "www.example A",
        "child.example A",
        "named.example A",
        "geo.example ANY",
        "geo.example DS",
        "example SOA",
        "example NS",
        "com A",
        "geo.example AXFR",
    ] {
        let taken = agree(
            &snapshot,
            &packet(question, None),
            ip(US),
            &Rules::default(),
            5,
        );
        assert!(!taken.expect("nothing to compare"), "{question}");
    }
}

#[test]
fn the_fast_way_allocates_nothing() {
    let (snapshot, rules) = (common::with_down(&[1]), with_cookies());
    let queries = common_queries();
    let mut out = Vec::with_capacity(4_096);
    let arrival = Arrival::new(ip(US), Transport::Udp);
    let allocations = allocation_counter::measure(|| {
        for packet in &queries {
            out.clear();
            let draw = |_: IpAddr, _: &[u8], _: RType| 6;
            let given = given(&snapshot, packet, &rules, 6);
            let taken =
                dns::fast::offer(&snapshot, packet, &arrival, &rules, given, draw, &mut out);
            assert!(taken.is_some());
        }
    });
    assert_eq!(allocations.count_total, 0);
}
