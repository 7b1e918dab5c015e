//! Random worlds for property tests: policies as the short text of the rows, so that a failing case
//! reads like one; health, locations and clients beside them.

use super::*;
use proptest::prelude::*;
use proptest::sample::select;

/// The endpoints of [`world`], in id order.
pub const ENDPOINTS: [&str; 6] = [
    "192.0.2.1:443",
    "192.0.2.1:444",
    "192.0.2.2:443",
    "192.0.2.2:444",
    "192.0.2.3:443",
    "192.0.2.4:443",
];

/// Four pools with six endpoints, weights, a reserve and a `min_healthy`; one service.
pub fn world(policy: &str) -> TableSpec {
    let mut spec = spec();
    spec.pools.clear();
    let [a, b, c, d, e, f] = ENDPOINTS;
    pool(&mut spec, "us", "us", 0.5, &[(a, 3), (b, 1)]);
    pool(&mut spec, "eu", "eu", 0.0, &[(c, 1), (d, 0)]);
    pool(&mut spec, "de", "de", 0.0, &[(e, 1)]);
    pool(&mut spec, "ap", "ap", 0.0, &[(f, 1)]);
    serve(&mut spec, "web", policy);
    spec
}

/// A policy nested up to four levels deep. `timeless` leaves out `latency`, which differs by plane.
pub fn policies(timeless: bool) -> impl Strategy<Value = String> {
    let leaf = select(vec!["us", "eu", "de", "ap"]).prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let list = proptest::collection::vec(inner.clone(), 1..4);
        let geo = select(vec![
            "sub:US-CA",
            "country:US",
            "country:DE+continent:EU",
            "set:EU",
            "continent:AS",
        ]);
        let networks = select(vec![
            "0.0.0.0/1",
            "8.0.0.0/8",
            "8.8.8.0/24",
            "5.8.0.0/14+2600::/17",
            "2000::/3",
            "2001:db8:1::/49",
        ]);
        let plain = move |kinds: Vec<&'static str>| {
            (select(kinds), list.clone()).prop_map(|(kind, list)| format!("{kind}({})", list.join(", ")))
        };
        let kinds = vec![
            "failover",
            "failover.manual",
            "failover.after",
            "multivalue",
            "multivalue.2",
        ];
        let compared = if timeless { "failover" } else { "latency" };
        prop_oneof![
            2 => plain(kinds),
            1 => plain(vec![compared]),
            2 => labelled(vec!["weighted", "sticky"], (0_u16..4).prop_map(|w| w.to_string()), inner.clone()),
            1 => labelled(vec!["proximity"], (-60_i8..60).prop_map(|b| b.to_string()), inner.clone()),
            2 => with_default("geo", geo.prop_map(str::to_owned), inner.clone()),
            2 => with_default("network", networks.prop_map(str::to_owned), inner),
        ]
    })
}

fn items(
    label: impl Strategy<Value = String>,
    child: impl Strategy<Value = String>,
) -> impl Strategy<Value = Vec<String>> {
    let item = (label, child).prop_map(|(label, child)| format!("{label}={child}"));
    proptest::collection::vec(item, 1..4)
}

fn labelled(
    kinds: Vec<&'static str>,
    label: impl Strategy<Value = String>,
    child: impl Strategy<Value = String>,
) -> impl Strategy<Value = String> {
    (select(kinds), items(label, child))
        .prop_map(|(kind, items)| format!("{kind}({})", items.join(", ")))
}

fn with_default(
    kind: &'static str,
    label: impl Strategy<Value = String>,
    child: impl Strategy<Value = String> + Clone,
) -> impl Strategy<Value = String> {
    (items(label, child.clone()), proptest::option::of(child)).prop_map(
        move |(mut items, default)| {
            items.extend(default);
            format!("{kind}({})", items.join(", "))
        },
    )
}

/// An address: anywhere, near a border of [`NETWORKS`] or of the networks of [`policies`], or one
/// that embeds such an IPv4 address.
pub fn addresses() -> impl Strategy<Value = IpAddr> {
    let near = select(vec![
        0x0808_0808_u32,
        0x0509_0101,
        0x0102_0304,
        0xcb00_7109,
        0x0810_0000,
        0x7fff_ffff,
    ]);
    let v4 = prop_oneof![
        (near, 0_u32..24, any::<bool>()).prop_map(|(a, bit, flip)| a ^ (u32::from(flip) << bit)),
        any::<u32>(),
    ];
    let v6 = select(vec![
        0x2001_0db8_0001_u128 << 80,
        0x2600_u128 << 112,
        0,
        0xfe80 << 112,
    ]);
    prop_oneof![
        3 => v4.clone().prop_map(|a| IpAddr::V4(a.into())),
        1 => v4.clone().prop_map(|a| IpAddr::V6(((0xffff_u128 << 32) | u128::from(a)).into())),
        1 => v4.clone().prop_map(|a| IpAddr::V6(((0x2002_u128 << 112) | (u128::from(a) << 80) | 1).into())),
        1 => v4.prop_map(|a| IpAddr::V6(((0x2001_0000_u128 << 96) | u128::from(!a)).into())),
        2 => (v6, 0_u32..127, any::<bool>()).prop_map(|(a, bit, flip)| IpAddr::V6((a ^ (u128::from(flip) << bit)).into())),
    ]
}

/// One status an endpoint.
pub fn healths() -> impl Strategy<Value = Vec<Status>> {
    let status = select(vec![Status::Up, Status::Up, Status::Unknown, Status::Down]);
    proptest::collection::vec(status, ENDPOINTS.len())
}

/// The change to these statuses, with some on their way to another.
pub fn turned(healths: &[Status]) -> Change {
    let endpoints = ENDPOINTS.iter().zip(healths).enumerate();
    let transitions = endpoints.map(|(i, (address, status))| {
        let mut change = transition(address, *status);
        change.health.against = (i % 2) as u16;
        change
    });
    Change::Health(transitions.collect())
}
