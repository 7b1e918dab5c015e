//! Every kind of policy as rows: what is written, who is down, who asks, and what comes out.

mod common;

use common::*;
use std::collections::BTreeMap;
use steering::health::{Status, TargetHealth};
use steering::{Change, Family, Forced, PoolId, Timestamp, Want};

/// Each row: policy, states, client, decision.
fn rows(rows: &[(&str, &str, &str, &str)]) {
    for (policy, states, client, expected) in rows {
        let mut spec = spec();
        serve(&mut spec, "web", policy);
        let snapshot = snapshot(&spec, states);
        let got = said(&snapshot, &decide(&snapshot, client, 7));
        assert_eq!(got, *expected, "{policy} with [{states}] for {client}");
    }
}

#[test]
fn failover_takes_the_first_usable_child() {
    rows(&[
        ("failover(us, eu, ap)", "", "de", "steered us 60s /0"),
        ("failover(us, eu, ap)", "us-", "de", "steered eu 60s /0"),
        ("failover(us, eu, ap)", "us- eu-", "de", "steered ap 60s /0"),
        (
            "failover(us, failover(eu, de), ap)",
            "us- eu-",
            "de",
            "steered de 60s /0",
        ),
        ("us", "", "de", "steered us 60s /0"),
    ]);
}

#[test]
fn what_is_unknown_serves_before_what_is_down_and_after_what_is_up() {
    rows(&[
        ("failover(us, eu)", "us?", "de", "steered eu 5s /0"),
        ("failover(us, eu)", "us? eu?", "de", "steered us 5s /0"),
        ("failover(us, eu)", "us- eu?", "de", "steered eu 5s /0"),
        ("failover(us, eu)", "us- eu-", "de", "fail_open us 5s /0"),
    ]);
}

#[test]
fn geo_takes_the_most_specific_rule_and_falls_back_to_less_specific_ones() {
    let policy = "geo(sub:US-CA=ap, country:US=us, set:EU=de, continent:EU=eu, us)";
    rows(&[
        (policy, "", "us", "steered ap 60s /16"),
        (policy, "ap-", "us", "steered us 60s /16"),
        (policy, "", "8.9.0.1", "steered us 60s /16"),
        (policy, "", "8.128.0.1", "steered us 60s /9"),
        (policy, "", "de", "steered de 60s /13"),
        (policy, "de-", "de", "steered eu 60s /13"),
        (policy, "de- eu-", "de", "steered us 60s /13"),
        (policy, "", "de6", "steered de 60s /48"),
        (policy, "", "203.0.113.9", "steered us 60s /1"),
    ]);
}

#[test]
fn geo_without_a_match_or_default_has_no_service() {
    let policy = "geo(country:US=us)";
    rows(&[
        (policy, "", "us", "steered us 60s /16"),
        (policy, "", "de", "no_service no_match 5s /13"),
        (policy, "us-", "de", "no_service no_match 5s /13"),
        (policy, "us-", "us", "fail_open us 5s /16"),
    ]);
}

#[test]
fn network_takes_the_longest_prefix_and_falls_back_to_shorter_ones() {
    let policy = "network(10.0.0.0/8=us, 10.1.0.0/16+2001:db8::/32=eu, 10.1.2.0/24=ap, de)";
    rows(&[
        (policy, "", "10.1.2.3", "steered ap 60s /24"),
        (policy, "ap-", "10.1.2.3", "steered eu 60s /24"),
        (policy, "ap- eu-", "10.1.2.3", "steered us 60s /24"),
        (policy, "ap- eu- us-", "10.1.2.3", "steered de 60s /24"),
        (policy, "", "10.2.0.1", "steered us 60s /15"),
        (policy, "", "11.0.0.1", "steered de 60s /8"),
        (policy, "", "2001:db8::7", "steered eu 60s /32"),
        // What a dual-stack socket gives for an IPv4 client is that client.
        (policy, "", "::ffff:10.1.2.3", "steered ap 60s /120"),
        (policy, "", "::1", "steered de 60s /81"),
    ]);
}

#[test]
fn proximity_takes_the_nearest_by_bias() {
    rows(&[
        ("proximity(us, eu, de, ap)", "", "de", "steered de 60s /13"),
        (
            "proximity(us, eu, de, ap)",
            "de-",
            "de",
            "steered eu 60s /13",
        ),
        ("proximity(us, eu, de, ap)", "", "sg", "steered ap 60s /16"),
        ("proximity(99=us, -99=de)", "", "de", "steered us 60s /13"),
        // Without a place the order as written holds.
        ("proximity(ap, us)", "", "nowhere", "steered ap 60s /1"),
        (
            "proximity(us, failover(ap, de))",
            "",
            "de",
            "steered ap 60s /13",
        ),
    ]);
}

#[test]
fn kinds_nest() {
    let policy = "geo(set:EU=failover(eu, weighted(1=de, 0=us)), failover.manual(us, ap))";
    rows(&[
        (policy, "", "de", "steered eu 60s /13"),
        (policy, "eu-", "de", "steered de 60s /13"),
        (policy, "eu- de-", "de", "steered us 60s /13"),
        (policy, "us-", "sg", "steered ap 60s /16"),
        (
            "failover(geo(country:US=us), eu)",
            "",
            "de",
            "steered eu 60s /13",
        ),
        (
            "latency(geo(country:US=us), network(10.0.0.0/8=eu), ap)",
            "",
            "de",
            "steered ap 60s /13",
        ),
    ]);
}

#[test]
fn a_child_with_nothing_for_the_client_gives_way_to_others_reserves_included() {
    rows(&[
        (
            "weighted(9=geo(country:US=us), 1=eu)",
            "",
            "de",
            "steered eu 60s /13",
        ),
        (
            "weighted(9=geo(country:US=us), 0=eu)",
            "",
            "de",
            "steered eu 60s /13",
        ),
        (
            "sticky(9=geo(country:US=us), 0=eu)",
            "",
            "de",
            "steered eu 60s /24",
        ),
        (
            "multivalue(geo(country:US=us), eu)",
            "",
            "de",
            "steered eu 60s /13",
        ),
    ]);
}

#[test]
fn a_policy_nested_to_the_limit_is_walked_once() {
    // Had each level tried its only child twice, this would take 2^31 walks.
    for open in [
        "weighted(1=",
        "failover.manual(",
        "latency(",
        "geo(country:DE+set:EU+continent:EU=",
    ] {
        let policy = format!("{}geo(country:US=us){}", open.repeat(30), ")".repeat(30));
        let mut spec = spec();
        serve(&mut spec, "web", &policy);
        let snapshot = snapshot(&spec, "");
        assert_eq!(pool_of(&snapshot, "de", 1), "no_service", "{open}");
    }
}

/// How often each pool comes out of `n` draws.
fn shares(policy: &str, states: &str, n: u64) -> BTreeMap<String, u64> {
    let mut spec = spec();
    serve(&mut spec, "web", policy);
    let snapshot = snapshot(&spec, states);
    let mut counts = BTreeMap::new();
    for i in 0..n {
        let draw = steering::draw::mix(i, 0xfeed);
        *counts.entry(pool_of(&snapshot, "us", draw)).or_default() += 1;
    }
    counts
}

#[test]
fn weighted_shares_lie_in_the_99_9_percent_interval() {
    const N: u64 = 100_000;
    for (policy, states, expected) in [
        (
            "weighted(40=us, 40=eu, 20=ap)",
            "",
            vec![("us", 0.4), ("eu", 0.4), ("ap", 0.2)],
        ),
        (
            "weighted(40=us, 40=eu, 20=ap)",
            "us-",
            vec![("eu", 2.0 / 3.0), ("ap", 1.0 / 3.0)],
        ),
        (
            "weighted(65535=us, 1=eu)",
            "",
            vec![("us", 65535.0 / 65536.0)],
        ),
        ("weighted(1=us, 0=eu)", "", vec![("us", 1.0)]),
        (
            "weighted(1=us, 0=eu, 0=ap)",
            "us-",
            vec![("eu", 0.5), ("ap", 0.5)],
        ),
        (
            "weighted(1=weighted(1=us, 1=eu), 1=ap)",
            "",
            vec![("us", 0.25), ("eu", 0.25), ("ap", 0.5)],
        ),
    ] {
        let counts = shares(policy, states, N);
        for (pool, share) in expected {
            // The normal approximation of the binomial: 3.29 standard deviations.
            let slack = 3.29 * (N as f64 * share * (1.0 - share)).sqrt() + 0.5;
            let got = counts.get(pool).copied().unwrap_or(0) as f64;
            let off = (got - share * N as f64).abs();
            assert!(
                off <= slack,
                "{policy} [{states}]: {pool} {got} of {N}, expected {share}"
            );
        }
    }
}

#[test]
fn sticky_follows_the_network_and_not_the_draw() {
    let mut spec = spec();
    serve(&mut spec, "web", "sticky(1=us, 1=eu, 1=ap)");
    let snapshot = snapshot(&spec, "");
    for (client, neighbour, scope) in [
        ("8.8.8.8", "8.8.8.200", 24),
        ("2600:1:2:300::1", "2600:1:2:3ff::9", 56),
        ("::ffff:8.8.8.8", "::ffff:8.8.8.200", 120),
    ] {
        let first = decide(&snapshot, client, 1);
        assert_eq!(first.scope, scope, "{client}");
        for draw in 2..50 {
            assert_eq!(decide(&snapshot, client, draw).pool, first.pool, "{client}");
            assert_eq!(
                decide(&snapshot, neighbour, draw).pool,
                first.pool,
                "{neighbour}"
            );
        }
    }
    assert_eq!(
        decide(&snapshot, "::ffff:8.8.8.8", 1).pool,
        decide(&snapshot, "8.8.8.8", 1).pool
    );
}

#[test]
fn min_healthy_says_how_much_of_a_pool_must_be_up() {
    let endpoints = [
        ("192.0.2.50:1", 6),
        ("192.0.2.50:2", 3),
        ("192.0.2.50:3", 1),
        ("192.0.2.50:4", 0),
    ];
    for (min_healthy, down, expected) in [
        (0.0, &[1, 2, 3][..], "steered big"),
        (0.0, &[1, 2, 3, 4], "steered us"),
        (0.5, &[1], "steered us"),
        (0.5, &[2, 3], "steered big"),
        (0.4, &[1], "steered big"),
        (1.0, &[], "steered big"),
        (1.0, &[3], "steered us"),
        // A reserve has no share of the weight.
        (1.0, &[4], "steered big"),
    ] {
        let mut spec = spec();
        pool(&mut spec, "big", "eu", min_healthy, &endpoints);
        serve(&mut spec, "web", "failover(big, us)");
        let all_up = snapshot(&spec, "");
        let transitions = down
            .iter()
            .map(|port| transition(&format!("192.0.2.50:{port}"), Status::Down));
        let snapshot = all_up.next(Change::Health(transitions.collect()), NOW);
        let got = said(&snapshot, &decide(&snapshot, "us", 3));
        assert!(
            got.starts_with(expected),
            "{min_healthy} with {down:?} down: {got}"
        );
    }
}

#[test]
fn endpoints_are_ordered_by_weight_or_rotated_and_reserves_wait() {
    let mut spec = spec();
    pool(
        &mut spec,
        "even",
        "eu",
        0.0,
        &[
            ("192.0.2.60:1", 5),
            ("192.0.2.60:2", 5),
            ("192.0.2.60:3", 5),
        ],
    );
    pool(
        &mut spec,
        "odd",
        "eu",
        0.0,
        &[
            ("192.0.2.61:1", 3),
            ("192.0.2.61:2", 1),
            ("192.0.2.61:3", 0),
        ],
    );
    serve(&mut spec, "web", "even");
    serve(&mut spec, "odd", "odd");
    let snapshot = snapshot(&spec, "");
    let client = address("us").into();
    let (mut firsts, mut heavy) = ([0_u32; 3], 0_u32);
    for i in 0..30_000_u64 {
        let draw = steering::draw::mix(i, 1);
        let even = snapshot.decide(SERVICE, &client, Want::http(draw), &mut steering::Silent);
        let ports: Vec<u16> = even
            .endpoints
            .iter()
            .map(|id| snapshot.table().endpoints()[id.index()].address.port())
            .collect();
        let start = ports[0];
        assert_eq!(
            ports,
            [start, start % 3 + 1, (start + 1) % 3 + 1],
            "a rotation"
        );
        firsts[usize::from(start) - 1] += 1;
        let odd = snapshot.decide(
            steering::ServiceId(1),
            &client,
            Want::http(draw),
            &mut steering::Silent,
        );
        assert_eq!(odd.endpoints.len(), 2, "the reserve waits");
        let port = snapshot.table().endpoints()[odd.endpoints[0].index()]
            .address
            .port();
        heavy += u32::from(port == 1);
    }
    for count in firsts {
        assert!((9_700..10_300).contains(&count), "{firsts:?}");
    }
    assert!((22_200..22_800).contains(&heavy), "three quarters: {heavy}");
    let down = ["192.0.2.61:1", "192.0.2.61:2"].map(|a| transition(a, Status::Down));
    let snapshot = snapshot.next(Change::Health(down.to_vec()), NOW);
    let odd = snapshot.decide(
        steering::ServiceId(1),
        &client,
        Want::http(1),
        &mut steering::Silent,
    );
    assert_eq!(odd.endpoints.len(), 1, "the reserve serves");
}

#[test]
fn multivalue_gathers_over_pools_and_nested_limits_hold() {
    let mut spec = spec();
    let many: Vec<String> = (1..=12).map(|i| format!("192.0.2.70:{i}")).collect();
    let many: Vec<(&str, u16)> = many.iter().map(|a| (a.as_str(), 1)).collect();
    pool(&mut spec, "many", "eu", 0.0, &many);
    for (policy, states, count) in [
        ("multivalue(us, eu, ap)", "", 3),
        ("multivalue(us, eu, ap)", "eu-", 2),
        ("multivalue.2(us, eu, ap)", "", 2),
        ("multivalue(us, many)", "", 8),
        ("many", "", 8),
        ("multivalue.4(us, multivalue.2(eu, ap, de))", "", 3),
        ("multivalue.2(multivalue.8(us, eu, ap))", "", 2),
        (
            "multivalue(multivalue.1(us, eu), multivalue.1(ap, de))",
            "",
            2,
        ),
        ("multivalue(us, eu)", "us- eu-", 2),
    ] {
        let mut spec = spec.clone();
        serve(&mut spec, "web", policy);
        let snapshot = snapshot(&spec, states);
        for draw in [0, u64::MAX / 3, u64::MAX] {
            let got = decide(&snapshot, "us", draw);
            assert_eq!(got.endpoints.len(), count, "{policy} with [{states}]");
        }
    }
}

#[test]
fn the_family_filters_endpoints_and_never_the_pool() {
    let mut spec = spec();
    pool(
        &mut spec,
        "dual",
        "eu",
        0.0,
        &[("192.0.2.80:1", 1), ("[2001:db8::80]:1", 2)],
    );
    for policy in [
        "failover(dual, us)",
        "weighted(1=dual, 1=us, 1=ap)",
        "multivalue(dual, us)",
    ] {
        let mut spec = spec.clone();
        serve(&mut spec, "web", policy);
        let snapshot = snapshot(&spec, "");
        for draw in (0..64).map(|i| steering::draw::mix(i, 5)) {
            let any = decide(&snapshot, "us", draw);
            for family in [Family::V4, Family::V6] {
                let want = Want {
                    family: Some(family),
                    ..Want::dns(draw)
                };
                let one = decide_for(&snapshot, "us", want);
                assert_eq!(
                    (one.pool, one.region, one.scope),
                    (any.pool, any.region, any.scope),
                    "{policy}"
                );
                let publishes = |id: &steering::EndpointId| {
                    snapshot.table().endpoints()[id.index()].publishes(family)
                };
                assert!(one.endpoints.iter().all(publishes), "{policy}");
            }
        }
    }
}

#[test]
fn the_ttl_shrinks_while_a_consulted_endpoint_may_change() {
    for (against, pool, ttl) in [
        (0, "us", 60),
        (1, "us", 10),
        (2, "us", 5),
        // ap is never consulted.
        (2, "ap", 60),
    ] {
        let mut spec = spec();
        serve(&mut spec, "web", "failover(us, eu, ap)");
        let all_up = snapshot(&spec, "");
        let address = if pool == "us" {
            "192.0.2.1:443"
        } else {
            "192.0.2.4:443"
        };
        let mut change = transition(address, Status::Up);
        change.health = TargetHealth {
            against,
            ..change.health
        };
        let next = all_up.next(Change::Health(vec![change]), NOW);
        assert_eq!(decide(&next, "us", 1).ttl, ttl, "{pool} {against} failures");
    }
    // A primary on its way back shortens what the secondary's answer is worth.
    let mut spec = spec();
    serve(&mut spec, "web", "failover(us, eu)");
    let mut back = transition("192.0.2.1:443", Status::Down);
    back.health.against = 1;
    let next = snapshot(&spec, "").next(Change::Health(vec![back]), NOW);
    assert_eq!(said(&next, &decide(&next, "us", 1)), "steered eu 5s /0");
}

#[test]
fn what_if_lays_statuses_over_and_they_do_not_change_by_themselves() {
    let mut spec = spec();
    serve(&mut spec, "web", "failover(us, eu, ap)");
    let table = compile(&spec).expect("sound");
    let unknown = steering::Snapshot::new(table, locations(), Timestamp(1));
    let us = PoolId(0);
    for (forced, expected) in [
        (vec![Forced::All(Status::Up)], "steered us 60s /0"),
        (
            vec![Forced::All(Status::Up), Forced::Pool(us, Status::Down)],
            "steered eu 60s /0",
        ),
        (vec![Forced::All(Status::Down)], "fail_open us 5s /0"),
        (
            vec![Forced::Region(steering::RegionId(3), Status::Up)],
            "steered ap 5s /0",
        ),
        (
            vec![Forced::Endpoint(steering::EndpointId(1), Status::Up)],
            "steered eu 5s /0",
        ),
    ] {
        let laid = unknown.what_if(&forced, Timestamp(2));
        assert_eq!(said(&laid, &decide(&laid, "us", 1)), expected, "{forced:?}");
        assert_eq!(laid.generation(), unknown.generation());
    }
}
