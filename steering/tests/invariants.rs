//! The invariants of the decision, each by its name, over random nested policies, health, clients.

mod common;

use common::random::*;
use common::*;
use proptest::prelude::*;
use std::net::IpAddr;
use std::sync::Arc;
use steering::draw::mix;
use steering::health::Status;
use steering::{
    Change, Client, Decision, Forced, Snapshot, TableSpec, Timestamp, Trace, Verdict, Want,
};

fn start(spec: &TableSpec, healths: &[Status]) -> Snapshot {
    let table = compile(spec).expect("a sound spec");
    Snapshot::new(table, locations(), NOW).next(turned(healths), NOW)
}

fn ask(snapshot: &Snapshot, client: IpAddr, want: Want) -> Decision {
    let client = Client::from(client);
    snapshot.decide(SERVICE, &client, want, &mut steering::Silent)
}

/// What another address in the scope must get too: everything but the location itself.
fn answer(decision: &Decision) -> impl PartialEq + std::fmt::Debug + use<> {
    let d = decision;
    let chosen = (d.pool, d.region, d.endpoints);
    (d.verdict, d.reason, chosen, d.ttl, d.scope, d.pinned)
}

/// `address` with all bits after the first `scope` taken from `noise`.
fn within(address: IpAddr, scope: u8, noise: u128) -> IpAddr {
    match address {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(scope)).unwrap_or(0);
            IpAddr::V4(((u32::from(a) & mask) | (noise as u32 & !mask)).into())
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(scope)).unwrap_or(0);
            IpAddr::V6(((u128::from(a) & mask) | (noise & !mask)).into())
        }
    }
}

/// Whether an endpoint is in a jurisdiction that the pin allows.
fn allowed(snapshot: &Snapshot, id: steering::EndpointId) -> bool {
    let table = snapshot.table();
    let pool = table.endpoints()[id.index()].pool;
    let region = table.pools()[pool.index()].region;
    table.regions()[region.index()].jurisdiction == Some(EU)
}

fn leaks(snapshot: &Snapshot, decision: &Decision) -> bool {
    decision.pinned && !decision.endpoints.iter().all(|id| allowed(snapshot, *id))
}

/// Pins, if the policy leaves a pinned client anything; the compiler refuses it otherwise.
fn pinned_if_possible(spec: &TableSpec, unknown: bool, inside: bool) -> TableSpec {
    let mut pinned = spec.clone();
    pin(&mut pinned, unknown, inside);
    if compile(&pinned).is_ok() {
        pinned
    } else {
        spec.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn decide_is_total_repeatable_and_the_same_whether_or_not_listened_to(
        policy in policies(false), healths in healths(), client in addresses(), draw in any::<u64>(),
        fail_open in any::<bool>(), pin in any::<bool>(),
    ) {
        let mut spec = world(&policy);
        spec.services[0].fail_open = fail_open;
        if pin {
            spec = pinned_if_possible(&spec, fail_open, draw % 2 == 0);
        }
        let snapshot = start(&spec, &healths);
        for want in [Want::dns(draw), Want::http(draw)] {
            let silent = ask(&snapshot, client, want);
            let mut trace = Trace::default();
            let traced = snapshot.decide(SERVICE, &client.into(), want, &mut trace);
            prop_assert_eq!(silent, traced);
            prop_assert_eq!(silent, ask(&snapshot, client, want));
            let chosen = matches!(silent.verdict, Verdict::Steered | Verdict::FailOpen);
            prop_assert_eq!(silent.pool.is_some(), chosen);
            prop_assert_eq!(silent.endpoints.is_empty(), !chosen);
            prop_assert!((5..=60).contains(&silent.ttl));
        }
        let none = snapshot.decide(steering::ServiceId(9), &client.into(), Want::dns(draw), &mut steering::Silent);
        prop_assert_eq!(none.verdict, Verdict::NoService);
    }

    #[test]
    fn the_same_scope_and_draw_give_the_same_decision_to_every_address_in_it(
        policy in policies(false), healths in healths(), client in addresses(), draw in any::<u64>(),
        noise in any::<u128>(), near in 0_u32..128, fail_open in any::<bool>(), pin in any::<bool>(),
    ) {
        let mut spec = world(&policy);
        spec.services[0].fail_open = fail_open;
        if pin {
            spec = pinned_if_possible(&spec, fail_open, true);
        }
        let snapshot = start(&spec, &healths);
        for want in [Want::dns(draw), Want::http(draw)] {
            let one = ask(&snapshot, client, want);
            // Anywhere in the prefix, a neighbour, and the ranges that stand for IPv4.
            let mapped = (0xffff << 32) | (noise & 0xffff_ffff);
            let six_to_four = (0x2002 << 112) | (noise >> 16);
            for noise in [noise, !noise >> near, noise ^ (1 << near), mapped, six_to_four] {
                let other = within(client, one.scope, noise);
                let two = ask(&snapshot, other, want);
                prop_assert_eq!(answer(&one), answer(&two), "{} and {}", client, other);
            }
        }
    }

    #[test]
    fn a_down_endpoint_is_never_chosen_unless_failing_open(
        policy in policies(false), healths in healths(), client in addresses(), draw in any::<u64>(),
    ) {
        let snapshot = start(&world(&policy), &healths);
        for want in [Want::dns(draw), Want::http(draw)] {
            let decision = ask(&snapshot, client, want);
            if decision.verdict != Verdict::FailOpen {
                let down = |id: &steering::EndpointId| snapshot.status(*id) == Status::Down;
                prop_assert!(!decision.endpoints.iter().any(down), "{:?}", decision);
            }
        }
    }

    #[test]
    fn dns_and_http_give_the_same_region_unless_a_latency_decides(
        policy in policies(true), healths in healths(), client in addresses(), draw in any::<u64>(),
        pin in any::<bool>(),
    ) {
        let mut spec = world(&policy);
        if pin {
            spec = pinned_if_possible(&spec, true, true);
        }
        let snapshot = start(&spec, &healths);
        let (dns, http) = (ask(&snapshot, client, Want::dns(draw)), ask(&snapshot, client, Want::http(draw)));
        prop_assert_eq!(dns, http);
    }

    #[test]
    fn a_pinned_client_never_leaves_its_jurisdiction_through_any_change(
        policy in policies(false), reloaded in policies(false), unknown in any::<bool>(),
        steps in proptest::collection::vec((0_u8..6, healths(), any::<u64>()), 1..8), client in addresses(),
    ) {
        let pinned = |policy: &str| {
            // A way for pinned clients, so that every policy compiles under the pin.
            let mut spec = world(&format!("failover({policy}, de)"));
            pin(&mut spec, unknown, true);
            spec
        };
        let mut now = start(&pinned(&policy), &[Status::Up; 6]);
        for (i, (what, healths, draw)) in steps.into_iter().enumerate() {
            let at = Timestamp(NOW.0 + 45_000 * i as u64);
            now = match what {
                0 => now.next(Change::Table(compile(&pinned(&reloaded)).expect("sound")), at),
                1 => now.next(Change::Failback("web-policy".into()), at),
                2 => now.next(Change::Tick, at),
                3 => now.what_if(&[Forced::All(Status::Down), Forced::Pool(steering::PoolId(0), Status::Up)], at),
                4 => now.next(Change::Geo(Arc::new(steering::LocationTable::default())), at),
                _ => now.next(turned(&healths), at),
            };
            for want in [Want::dns(draw), Want::http(draw)] {
                let decision = ask(&now, client, want);
                let country = now.locate(client).location.country;
                let eu = |c| steering::geo::CountrySet::builtin("EU").is_some_and(|set| set.contains(c));
                prop_assert_eq!(decision.pinned, country.map_or(unknown, eu));
                prop_assert!(!leaks(&now, &decision), "{:?}", decision);
            }
        }
    }
}

/// Every one of the 3^6 states of six endpoints, for policies of every kind.
#[test]
fn no_state_of_health_leaks_a_pinned_client() {
    for policy in [
        "failover(us, eu, ap, de)",
        "failover.manual(us, eu, ap)",
        "weighted(40=us, 0=eu, 20=ap)",
        "sticky(1=us, 1=de, 1=ap)",
        "geo(set:EU=failover(us, eu), country:US=de, ap)",
        "latency(us, eu, ap)",
        "proximity(99=us, eu, 50=failover(ap, de))",
        "network(0.0.0.0/0=us, ::/0=weighted(1=us, 1=eu), eu)",
        "multivalue(us, eu, ap, de)",
    ] {
        for inside in [true, false] {
            let mut spec = world(policy);
            pin(&mut spec, true, inside);
            let first = start(&spec, &[Status::Up; 6]);
            let mut previous = first.clone();
            for state in 0..3_usize.pow(6) {
                let status = |i: u32| {
                    [Status::Up, Status::Unknown, Status::Down][state / 3_usize.pow(i) % 3]
                };
                let healths: Vec<Status> = (0..6).map(status).collect();
                // From all up, and from whatever was before: memory differs.
                previous = previous.next(turned(&healths), NOW);
                for snapshot in [&first.next(turned(&healths), NOW), &previous] {
                    no_leak(snapshot, inside, policy);
                }
            }
        }
    }
}

fn no_leak(snapshot: &Snapshot, inside: bool, policy: &str) {
    for client in ["de", "de6", "nowhere", "us", "sg"] {
        for draw in [0, u64::MAX / 2, u64::MAX] {
            for want in [Want::dns(draw), Want::http(draw)] {
                let decision = ask(snapshot, address(client), want);
                assert!(
                    !leaks(snapshot, &decision),
                    "{policy} {client} {decision:?}"
                );
                let pinned = !matches!(client, "us" | "sg");
                assert_eq!(decision.pinned, pinned, "{policy} {client}");
                let open = decision.verdict == Verdict::FailOpen;
                assert!(!(pinned && open && !inside), "{policy} {client} fails open");
            }
        }
    }
}

/// The pool each of many networks sticks to.
fn stuck(policy: &str, states: &str) -> Vec<String> {
    let mut spec = spec();
    serve(&mut spec, "web", policy);
    let snapshot = snapshot(&spec, states);
    let networks = (0..20_000_u64).map(|i| IpAddr::V4((mix(i, 3) as u32).into()));
    networks
        .map(|client| {
            let pool = ask(&snapshot, client, Want::dns(0)).pool.expect("a pool");
            snapshot.table().pools()[pool.index()].name.to_string()
        })
        .collect()
}

#[test]
fn removing_a_child_moves_only_its_share() {
    let all = stuck("sticky(3=us, 2=eu, 1=ap, 2=de)", "");
    for after in [
        stuck("sticky(3=us, 2=eu, 2=de)", ""),
        stuck("sticky(2=de, 3=us, 2=eu)", ""),
        stuck("sticky(3=us, 2=eu, 1=ap, 2=de)", "ap-"),
    ] {
        for (before, after) in all.iter().zip(&after) {
            assert!(
                before == after || before == "ap",
                "{before} moved to {after}"
            );
            assert_ne!(after, "ap");
        }
    }
}

#[test]
fn changing_a_weight_moves_clients_only_to_or_from_that_child() {
    let before = stuck("sticky(40=us, 40=eu, 20=ap)", "");
    // The shares differ by 7.3, 8.9 and 20 of 100; well beyond 99.9 % of samples lie within `most`.
    for (policy, towards, most) in [
        ("sticky(40=us, 40=eu, 30=ap)", true, 0.09),
        ("sticky(40=us, 40=eu, 10=ap)", false, 0.11),
        ("sticky(40=us, 40=eu, 0=ap)", false, 0.22),
    ] {
        let after = stuck(policy, "");
        let mut moved = 0_u32;
        for (before, after) in before.iter().zip(&after).filter(|(b, a)| b != a) {
            let (from, to) = (before == "ap", after == "ap");
            assert!(
                if towards { to } else { from },
                "{policy}: {before} to {after}"
            );
            moved += 1;
        }
        assert!(
            f64::from(moved) < most * before.len() as f64,
            "{policy}: {moved} moved"
        );
    }
}
