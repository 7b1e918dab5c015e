//! What is remembered between generations: failback, latency incumbents, health over a reload.

mod common;

use common::*;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;
use steering::health::Status;
use steering::latency::Measured;
use steering::{Change, PoolId, RegionId, Snapshot, TableSpec, Timestamp, Want};

fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// A story: at each second, what happens, and the pool a client then gets. `failback` and `tick` are
/// changes of that name, `reload` compiles `policy` again with another service before it, anything
/// else is health by pool.
fn story(policy: &str, steps: &[(u64, &str, &str)]) {
    let mut first = spec();
    serve(&mut first, "web", policy);
    let table = compile(&first).expect("sound");
    let mut now = Snapshot::new(table, locations(), NOW);
    for (second, event, pool) in steps {
        let change = match *event {
            "tick" => Change::Tick,
            "failback" => Change::Failback("web-policy".into()),
            "reload" => Change::Table(reordered(policy)),
            "" => Change::Health(Vec::new()),
            health => states(&now, health),
        };
        now = now.next(change, at(*second));
        let service = now.table().service("web").expect("the service");
        let client = address("us").into();
        let decision = now.decide(service, &client, Want::dns(1), &mut steering::Silent);
        let got = decision
            .pool
            .map(|id| now.table().pools()[id.index()].name.clone());
        assert_eq!(
            got.as_deref(),
            Some(*pool),
            "{policy} at {second} s: {event}"
        );
    }
}

/// The same policy in a table where every id is another.
fn reordered(policy: &str) -> Arc<steering::Table> {
    let mut spec = spec();
    pool(&mut spec, "new", "ap", 0.0, &[("192.0.2.99:443", 1)]);
    spec.pools.rotate_right(1);
    serve(&mut spec, "other", "sticky(1=new, 1=us)");
    serve(&mut spec, "latest", "latency(new, us)");
    serve(&mut spec, "web", policy);
    compile(&spec).expect("sound")
}

#[test]
fn automatic_failback_is_at_once() {
    story(
        "failover(us, eu)",
        &[(0, "all+", "us"), (1, "us-", "eu"), (2, "all+", "us")],
    );
}

#[test]
fn manual_failback_waits_for_the_word_or_for_a_failure() {
    story(
        "failover.manual(us, eu, ap)",
        &[
            (0, "all+", "us"),
            (1, "us-", "eu"),
            (2, "all+", "eu"),
            (3, "tick", "eu"),
            (999_999, "tick", "eu"),
            (1_000_000, "failback", "us"),
            (1_000_001, "us-", "eu"),
            (1_000_002, "us- eu-", "ap"),
            (1_000_003, "us-", "ap"),
            (1_000_004, "ap-", "us"),
        ],
    );
}

#[test]
fn manual_failback_does_not_hold_what_was_merely_probed_first() {
    let policy = "failover.manual(us, eu)";
    story(
        policy,
        &[
            (0, "us? eu? ap? de?", "us"),
            (1, "us?", "eu"),
            (2, "all+", "us"),
        ],
    );
    story(
        policy,
        &[
            (0, "us? eu?", "us"),
            (1, "us- eu?", "eu"),
            (2, "us-", "eu"),
            (3, "all+", "eu"),
        ],
    );
}

#[test]
fn all_down_keeps_what_was_in_use_to_return_to() {
    let policy = "failover.manual(us, eu)";
    story(
        policy,
        &[(0, "us-", "eu"), (1, "us- eu-", "eu"), (2, "all+", "eu")],
    );
}

#[test]
fn delayed_failback_waits_until_each_child_has_been_usable_for_the_delay() {
    story(
        "failover.after(us, eu, ap)",
        &[
            (0, "us- eu-", "ap"),
            (10, "us-", "ap"),
            // us is back shortly before eu is due: eu is taken, and us has its own delay.
            (69, "all+", "ap"),
            (70, "tick", "eu"),
            (129, "tick", "eu"),
            (130, "tick", "us"),
        ],
    );
    let flapping = [
        (0, "us-", "eu"),
        (10, "all+", "eu"),
        (60, "us-", "eu"),
        (65, "all+", "eu"),
        (124, "tick", "eu"),
        (125, "tick", "us"),
    ];
    story("failover.after(us, eu)", &flapping);
}

#[test]
fn failback_memory_survives_a_reload() {
    story(
        "failover.manual(us, eu)",
        &[
            (0, "us-", "eu"),
            (1, "all+", "eu"),
            (2, "reload", "eu"),
            (3, "failback", "us"),
        ],
    );
    story(
        "failover.after(us, eu)",
        &[
            (0, "us-", "eu"),
            (10, "all+", "eu"),
            (20, "reload", "eu"),
            (69, "tick", "eu"),
            (70, "tick", "us"),
        ],
    );
}

#[test]
fn wake_at_is_when_a_failback_is_due() {
    let mut spec = spec();
    serve(&mut spec, "web", "failover.after(us, eu)");
    let down = snapshot(&spec, "us-");
    assert_eq!(down.wake_at(), None);
    let back = down.next(states(&down, ""), at(5));
    assert_eq!(back.wake_at(), Some(at(65)));
    let done = back.next(Change::Tick, at(65));
    assert_eq!(
        (done.wake_at(), pool_of(&done, "us", 1).as_str()),
        (None, "us")
    );
}

fn measured(spec: &TableSpec, times: &[(&str, f32)]) -> Change {
    let sample = |(name, ms): &(&str, f32)| {
        let pool = spec
            .pools
            .iter()
            .find(|p| &*p.name == *name)
            .expect("a pool");
        let target = transition(&pool.endpoints[0].address.to_string(), Status::Up).target;
        Measured { target, ms: *ms }
    };
    Change::Latency(times.iter().map(sample).collect())
}

#[test]
fn latency_over_http_moves_only_to_a_clearly_better_challenger() {
    let mut spec = spec();
    serve(&mut spec, "web", "latency(us, eu, ap)");
    let mut now = snapshot(&spec, "");
    for (times, states_after, expected) in [
        (&[("us", 50.0), ("eu", 80.0), ("ap", 200.0)][..], "", "us"),
        // 9 % and 4.5 ms: neither is enough.
        (&[("eu", 45.5)], "", "us"),
        // 5 ms and 10 %: both are.
        (&[("eu", 45.0)], "", "eu"),
        (&[("us", 41.0)], "", "eu"),
        (&[("eu", 8.0), ("us", 4.0)], "", "eu"),
        (&[("us", 2.0)], "", "us"),
        (&[], "us-", "eu"),
        (&[], "us- eu-", "ap"),
        (&[], "", "us"),
    ] {
        now = now
            .next(measured(&spec, times), NOW)
            .next(states(&now, states_after), NOW);
        let decision = decide_for(&now, "de", Want::http(1));
        let name = decision
            .pool
            .map(|id| now.table().pools()[id.index()].name.to_string());
        assert_eq!(
            name.as_deref(),
            Some(expected),
            "after {times:?} [{states_after}]"
        );
        assert_eq!(decision.scope, 0, "over HTTP the client is not looked at");
    }
    // A reload keeps both the times and the incumbent.
    let again = now.next(Change::Table(compile(&spec).expect("sound")), NOW);
    assert_eq!(again.pool_ms(PoolId(0)), now.pool_ms(PoolId(0)));
    assert_eq!(
        decide_for(&again, "de", Want::http(1)).pool,
        Some(PoolId(0))
    );
}

#[test]
fn latency_over_dns_goes_by_the_map_and_else_by_distance() {
    let mut spec = spec();
    let network = "5.9.0.0/16".parse().expect("a network");
    spec.latency_map.rows = vec![
        vec![10.0, 90.0, 95.0, f32::NAN],
        vec![99.0, 99.0, 99.0, 1.0],
    ];
    spec.latency_map.networks = steering::cidr::Partition::new([(network, 0)]);
    spec.latency_map
        .countries
        .insert("SG".parse().expect("a country"), 1);
    serve(&mut spec, "web", "latency(us, eu, ap, de)");
    let snapshot = snapshot(&spec, "");
    for (client, expected) in [
        ("de", "steered us 60s /16"),
        ("5.10.0.1", "steered de 60s /15"),
        ("sg", "steered ap 60s /16"),
        ("us", "steered us 60s /16"),
    ] {
        assert_eq!(
            said(&snapshot, &decide(&snapshot, client, 1)),
            expected,
            "{client}"
        );
    }
}

proptest! {
    #[test]
    fn generations_only_grow_and_a_reload_never_loses_health(
        marks in proptest::collection::vec("[-?+]", 4),
        keep in proptest::collection::vec(any::<bool>(), 4),
        rotate in 0_usize..4,
    ) {
        let mut before = spec();
        serve(&mut before, "web", "us");
        let words: Vec<String> = ["us", "eu", "de", "ap"].iter().zip(&marks).map(|(p, m)| format!("{p}{m}")).collect();
        let old = snapshot(&before, &words.join(" "));
        let mut after = spec();
        let mut kept = keep.iter();
        after.pools.retain(|_| *kept.next().unwrap_or(&true));
        pool(&mut after, "new", "us", 0.0, &[("192.0.2.77:1", 1)]);
        let turn = rotate % after.pools.len();
        after.pools.rotate_left(turn);
        serve(&mut after, "web", "new");
        let new = old.next(Change::Table(compile(&after).expect("sound")), at(9));
        prop_assert!(new.generation() > old.generation());
        for (i, endpoint) in new.table().endpoints().iter().enumerate() {
            let status = new.status(steering::EndpointId::at(i));
            let key = &new.table().targets()[endpoint.target.index()].key;
            match old.table().target(key) {
                Some(id) => prop_assert_eq!(new.health(endpoint.target), old.health(id)),
                None => prop_assert_eq!(status, Status::Unknown),
            }
        }
        let region = new.table().pools().first().map(|p| p.region);
        prop_assert!(region < Some(RegionId(9)));
    }
}

#[test]
fn readers_see_generations_that_only_grow() {
    let mut spec = spec();
    serve(&mut spec, "web", "failover.manual(us, eu)");
    let first = snapshot(&spec, "");
    let start = first.generation();
    let changes = [
        states(&first, "us-"),
        states(&first, ""),
        Change::Table(compile(&spec).expect("sound")),
    ];
    let (mut publisher, reader) = steering::channel(first);
    let last = start + 300;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let reader = reader.clone();
            scope.spawn(move || {
                let mut seen = start;
                while seen < last {
                    let now = reader.load();
                    assert!(
                        now.generation() >= seen,
                        "{} after {seen}",
                        now.generation()
                    );
                    seen = now.generation();
                    assert!(decide(&now, "us", 1).pool.is_some());
                }
            });
        }
        for change in changes.iter().cycle().take(300) {
            publisher.apply(change.clone(), NOW);
        }
    });
    assert_eq!(publisher.current().generation(), last);
}
