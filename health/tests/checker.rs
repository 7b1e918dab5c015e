//! The checker over real probes: what becomes of outcomes and connect times, and what bounds it.
//! Tests wait for events with a bound and assert no duration.

mod common;

use common::rig::{Rig, key, switched};
use common::{Origin, RULES, check, http, nobody, table, tcp, until};
use health::{Checker, Event, Plan, Restored, Settings};
use prometheus::Registry;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;
use steering::health::{Probe, ProbeHttp, Rules, Status, TargetKey, Transition};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

#[tokio::test]
async fn a_target_falls_after_fall_and_rises_after_rise() {
    let (origin, healthy) = switched().await;
    let check = check("api", Probe::Http(http()), RULES);
    let mut rig = Rig::start(&table(&[(Some(&check), &[origin.address])]));
    let state = |t: Transition| (t.health.status, t.health.against);
    assert_eq!(
        state(rig.transition().await),
        (Status::Up, 0),
        "the first success is enough"
    );
    healthy.store(false, Ordering::SeqCst);
    assert_eq!(
        state(rig.transition().await),
        (Status::Up, 1),
        "on its way: TTLs shrink"
    );
    assert_eq!(state(rig.transition().await), (Status::Up, 2));
    assert_eq!(
        state(rig.transition().await),
        (Status::Down, 0),
        "the third failure"
    );
    healthy.store(true, Ordering::SeqCst);
    assert_eq!(state(rig.transition().await), (Status::Down, 1));
    assert_eq!(
        state(rig.transition().await),
        (Status::Up, 0),
        "the second success"
    );
    let report = rig.report(&key(&check, origin.address));
    let error = report.last_error.clone().expect("kept after the recovery");
    assert_eq!(
        (error.kind, &*error.message),
        ("status", "status 503, expected 200-299")
    );
    assert!(report.probes_total >= 6, "{report:?}");
    assert_eq!(rig.metric("rhumb_health_probes_total", "status"), 3.0);
    assert_eq!(rig.metric("rhumb_health_transitions_total", "down"), 1.0);
    assert_eq!(rig.metric("rhumb_health_transitions_total", "up"), 2.0);
}

#[tokio::test]
async fn the_first_round_ends_with_an_outcome_of_every_target() {
    let origin = Origin::silent().await;
    let (tcp, nobody) = (tcp("tcp"), nobody().await);
    let unchecked: SocketAddr = "127.0.0.1:1".parse().expect("an address");
    let table = table(&[
        (Some(&tcp), &[origin.address, nobody]),
        (None, &[unchecked]),
    ]);
    let rig = Rig::start(&table);
    rig.first_round().await;
    let status = |address| rig.report(&key(&tcp, address)).health.status;
    assert_eq!(
        (status(origin.address), status(nobody)),
        (Status::Up, Status::Down)
    );
    let reports = rig.checker.reports().all();
    let checked: Vec<_> = reports.iter().map(|report| report.checked).collect();
    assert_eq!(
        checked,
        [true, true, false],
        "reports come in the order of the table"
    );
    assert_eq!(
        reports[2].probes_total, 0,
        "an unchecked endpoint is never probed"
    );
}

#[tokio::test]
async fn a_table_without_checks_has_no_first_round_to_wait_for() {
    Rig::start(&table(&[])).first_round().await;
}

#[tokio::test]
async fn probes_of_one_target_never_overlap() {
    let origin = Origin::silent().await;
    let rules = Rules {
        interval: Duration::from_millis(5),
        timeout: Duration::from_millis(60),
        ..RULES
    };
    let check = check("slow", Probe::Http(http()), rules);
    let _rig = Rig::start(&table(&[(Some(&check), &[origin.address])]));
    until("several probes ran into their timeout", || {
        origin.accepted() >= 5
    })
    .await;
    // The origin may see a closed connection later than it accepts the next: two is the overlap of its
    // own view; overlapping probes would come every 5 ms of 60.
    assert!(origin.peak() <= 2, "{} connections at once", origin.peak());
}

#[tokio::test]
async fn no_more_probes_are_in_flight_than_stated() {
    let origins: Vec<Origin> = {
        let mut all = Vec::new();
        for _ in 0..12 {
            all.push(Origin::silent().await);
        }
        all
    };
    let addresses: Vec<SocketAddr> = origins.iter().map(|origin| origin.address).collect();
    let check = check("api", Probe::Http(http()), RULES);
    let settings = Settings {
        max_in_flight: 3,
        ..Settings::default()
    };
    let rig = Rig::with(
        &table(&[(Some(&check), &addresses)]),
        &Restored::default(),
        settings,
    );
    let accepted = || origins.iter().map(Origin::accepted).sum::<usize>();
    until("the others wait", || {
        accepted() == 3 && rig.metric("rhumb_health_waited_total", "") == 9.0
    })
    .await;
    assert_eq!(rig.metric("rhumb_health_in_flight", ""), 3.0);
    rig.checker.stop().await;
    assert_eq!(accepted(), 3, "stopping starts no probe");
}

#[tokio::test]
async fn connect_times_are_measured_and_told_before_the_state() {
    let origin = Origin::silent().await;
    let check = tcp("tcp");
    let mut rig = Rig::start(&table(&[(Some(&check), &[origin.address])]));
    let Event::Latency(measured) = rig.event().await else {
        panic!("a target that comes up is already measured")
    };
    assert_eq!(measured[0].target, key(&check, origin.address));
    assert!(
        measured[0].ms.is_finite() && measured[0].ms >= 0.0,
        "{measured:?}"
    );
    assert!(matches!(rig.event().await, Event::Health(_)));
}

#[tokio::test]
async fn connect_times_of_the_proxy_count_also_for_unchecked_targets() {
    let unchecked: SocketAddr = "127.0.0.1:1".parse().expect("an address");
    let table = table(&[(None, &[unchecked])]);
    let mut rig = Rig::start(&table);
    let target = table.targets()[0].key.clone();
    let unknown = TargetKey {
        address: unchecked,
        check: "no such check".into(),
    };
    let sampler = rig.checker.sampler();
    sampler.sample(&unknown, 1.0);
    sampler.sample(&target, f32::NAN);
    sampler.sample(&target, 42.0);
    let Event::Latency(measured) = rig.event().await else {
        panic!("nothing else is told")
    };
    assert_eq!(measured.len(), 1);
    assert_eq!((&measured[0].target, measured[0].ms), (&target, 42.0));
    assert_eq!(rig.report(&target).latency_ms, Some(42.0));
}

#[tokio::test]
async fn a_full_sample_queue_drops_and_counts() {
    let table = table(&[(None, &["127.0.0.1:1".parse().expect("an address")])]);
    let rig = Rig::start(&table);
    let sampler = rig.checker.sampler();
    // Without an await in between, nobody takes them in.
    for _ in 0..health::SAMPLE_QUEUE + 7 {
        sampler.sample(&table.targets()[0].key, 1.0);
    }
    assert_eq!(rig.metric("rhumb_health_samples_dropped_total", ""), 7.0);
}

#[tokio::test]
async fn a_writer_that_is_behind_loses_no_transition() {
    let origins = [
        Origin::silent().await,
        Origin::silent().await,
        Origin::silent().await,
    ];
    let addresses: Vec<SocketAddr> = origins.iter().map(|origin| origin.address).collect();
    let rare = Rules {
        interval: Duration::from_secs(3600),
        ..RULES
    };
    let check = check("tcp", Probe::Tcp, rare);
    let (out, mut events) = mpsc::channel(1);
    let registry = Registry::new();
    let plan = Plan::new(&table(&[(Some(&check), &addresses)])).expect("usable checks");
    let none = Restored::default();
    let checker = Checker::start(plan, &none, Settings::default(), out, &registry);
    let checker = checker.expect("it starts");
    until("all have connected", || {
        origins.iter().all(|origin| origin.accepted() == 1)
    })
    .await;
    let mut told = Vec::new();
    while told.len() < addresses.len() {
        let event = timeout(Duration::from_secs(30), events.recv())
            .await
            .expect("in time");
        if let Some(Event::Health(transition)) = event {
            told.push(transition.target.address);
        }
    }
    told.sort_unstable();
    let mut wanted = addresses;
    wanted.sort_unstable();
    assert_eq!(told, wanted);
    checker.stop().await;
}

#[tokio::test]
async fn it_stops_while_nobody_reads_or_probes_hang() {
    let (silent, open) = (Origin::silent().await, Origin::silent().await);
    let slow = check("slow", Probe::Http(http()), RULES);
    let rig = Rig::start(&table(&[
        (Some(&slow), &[silent.address]),
        (Some(&tcp("tcp")), &[open.address]),
    ]));
    until("a probe hangs", || silent.accepted() == 1).await;
    drop(rig.events);
    timeout(Duration::from_secs(30), rig.checker.stop())
        .await
        .expect("it stops");
}

#[tokio::test]
async fn two_checkers_on_one_registry_are_refused() {
    let rig = Rig::start(&table(&[]));
    let plan = Plan::new(&table(&[])).expect("nothing to check");
    let (out, _events) = mpsc::channel(1);
    let none = Restored::default();
    let second = Checker::start(plan, &none, Settings::default(), out, &rig.registry);
    assert!(
        second
            .expect_err("refused")
            .to_string()
            .contains("one checker a registry")
    );
}

#[tokio::test]
async fn every_problem_of_every_check_is_told_at_once() {
    let bad = ProbeHttp {
        path: "health".into(),
        statuses: Vec::new(),
        ..http()
    };
    let worse = ProbeHttp {
        method: "CONNECT".into(),
        ..http()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = [listener.local_addr().expect("a bound listener")];
    let problems = Plan::new(&table(&[
        (Some(&check("one", Probe::Http(bad), RULES)), &address),
        (Some(&check("two", Probe::Http(worse), RULES)), &address),
    ]))
    .expect_err("refused");
    let named: Vec<_> = problems.iter().map(|problem| &*problem.check).collect();
    assert_eq!(named, ["one", "one", "two"]);
}
