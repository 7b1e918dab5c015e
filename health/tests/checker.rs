//! The checker over real probes: what becomes of outcomes, reloads, restarts, and what bounds it.
//! Tests wait for events with a bound and assert no duration.

mod common;

use common::{Origin, RULES, check, http, nobody, read_head, table, tcp, until};
use health::{Checker, Event, Plan, Restored, Settings, TargetReport};
use prometheus::Registry;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use steering::health::{Check, Probe, ProbeHttp, Rules, Status, TargetKey, Transition};
use steering::{Table, Timestamp};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A running checker and what comes out of it.
struct Rig {
    checker: Checker,
    events: mpsc::Receiver<Event>,
    registry: Registry,
}

impl Rig {
    fn start(table: &Table) -> Self {
        Self::with(table, &Restored::default(), Settings::default())
    }

    fn with(table: &Table, restored: &Restored, settings: Settings) -> Self {
        let (out, events) = mpsc::channel(1024);
        let registry = Registry::new();
        let plan = Plan::new(table).expect("usable checks");
        let checker = Checker::start(plan, restored, settings, out, &registry).expect("it starts");
        Self {
            checker,
            events,
            registry,
        }
    }

    fn retarget(&mut self, table: &Table) {
        self.checker
            .retarget(Plan::new(table).expect("usable checks"));
    }

    async fn event(&mut self) -> Event {
        let event = timeout(Duration::from_secs(30), self.events.recv()).await;
        event.expect("an event in time").expect("the checker lives")
    }

    /// The next transition; connect times are passed over.
    async fn transition(&mut self) -> Transition {
        loop {
            if let Event::Health(transition) = self.event().await {
                return transition;
            }
        }
    }

    async fn first_round(&self) {
        let round = timeout(Duration::from_secs(30), self.checker.first_round()).await;
        round.expect("a first outcome of every target");
    }

    fn report(&self, key: &TargetKey) -> TargetReport {
        self.checker
            .reports()
            .find(key)
            .expect("a target of the table")
    }

    /// The sum over all series of a metric whose labels contain `label`.
    fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().filter(|family| family.name() == name);
        let series = family.flat_map(|family| family.get_metric());
        let wanted = series.filter(|series| {
            label.is_empty() || series.get_label().iter().any(|pair| pair.value() == label)
        });
        wanted
            .map(|series| series.get_counter().value() + series.get_gauge().value())
            .sum()
    }
}

fn key(check: &Check, address: SocketAddr) -> TargetKey {
    TargetKey {
        address,
        check: check.name.clone(),
    }
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// An origin that answers 200 while the switch is on, else 503.
async fn switched() -> (Origin, Arc<AtomicBool>) {
    let healthy = Arc::new(AtomicBool::new(true));
    let switch = healthy.clone();
    let origin = Origin::start(move |mut stream| {
        let status = if switch.load(Ordering::SeqCst) {
            "200 OK"
        } else {
            "503 No"
        };
        async move {
            read_head(&mut stream).await;
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (origin.await, healthy)
}

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
    let error = report.last_error.expect("kept after the recovery");
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
async fn a_reload_keeps_states_starts_new_targets_and_ends_removed_ones() {
    let (stays, goes, comes) = (
        Origin::silent().await,
        Origin::silent().await,
        Origin::silent().await,
    );
    let check = tcp("tcp");
    let mut rig = Rig::start(&table(&[(Some(&check), &[stays.address, goes.address])]));
    rig.first_round().await;
    let before = rig.report(&key(&check, stays.address));
    rig.retarget(&table(&[(Some(&check), &[stays.address, comes.address])]));
    let after = rig.report(&key(&check, stays.address));
    assert_eq!(after.health.since, before.health.since, "a state survives");
    assert!(after.probes_total >= before.probes_total);
    assert_eq!(rig.checker.reports().find(&key(&check, goes.address)), None);
    rig.first_round().await;
    assert_eq!(
        rig.report(&key(&check, comes.address)).health.status,
        Status::Up
    );
    let gone = goes.accepted();
    let going_on = stays.accepted() + 5;
    until("the others are probed on", || stays.accepted() >= going_on).await;
    assert!(goes.accepted() <= gone + 1, "one may have been under way");
}

#[tokio::test]
async fn a_changed_check_is_probed_at_once_and_an_equal_one_disturbs_nothing() {
    let (origin, _healthy) = switched().await;
    let rare = Rules {
        interval: Duration::from_secs(3600),
        fall: 1,
        ..RULES
    };
    let good = check("api", Probe::Http(http()), rare);
    let strict = Probe::Http(ProbeHttp {
        statuses: vec![(204, 204)],
        ..http()
    });
    let mut rig = Rig::start(&table(&[(Some(&good), &[origin.address])]));
    assert_eq!(rig.transition().await.health.status, Status::Up);
    rig.retarget(&table(&[(Some(&good), &[origin.address])]));
    rig.retarget(&table(&[(
        Some(&check("api", strict, rare)),
        &[origin.address],
    )]));
    assert_eq!(
        rig.transition().await.health.status,
        Status::Down,
        "long before the interval"
    );
    assert_eq!(origin.accepted(), 2, "the equal check was not probed again");
}

#[tokio::test]
async fn a_removed_target_is_not_waited_for() {
    let silent = Origin::silent().await;
    let check = check("api", Probe::Http(http()), RULES);
    let mut rig = Rig::start(&table(&[(Some(&check), &[silent.address])]));
    until("its first probe hangs", || silent.accepted() == 1).await;
    rig.retarget(&table(&[]));
    rig.first_round().await;
    until("the probe has ended", || {
        rig.metric("rhumb_health_in_flight", "") == 0.0
    })
    .await;
}

#[tokio::test]
async fn the_series_of_a_check_go_with_it() {
    let origin = Origin::silent().await;
    let mut rig = Rig::start(&table(&[(Some(&tcp("old")), &[origin.address])]));
    rig.first_round().await;
    assert!(rig.metric("rhumb_health_probes_total", "old") > 0.0);
    rig.retarget(&table(&[(Some(&tcp("new")), &[origin.address])]));
    rig.first_round().await;
    assert!(rig.metric("rhumb_health_probes_total", "new") > 0.0);
    assert_eq!(rig.metric("rhumb_health_probes_total", "old"), 0.0);
}

fn keeping(dir: &Path) -> Settings {
    Settings {
        state_dir: Some(dir.to_owned()),
        ..Settings::default()
    }
}

#[tokio::test]
async fn a_restart_begins_with_what_was_known() {
    let dir = tempfile::tempdir().expect("a directory");
    let (up, down) = (Origin::silent().await, nobody().await);
    let check = tcp("tcp");
    let table = table(&[(Some(&check), &[up.address, down])]);
    let rig = Rig::with(&table, &Restored::default(), keeping(dir.path()));
    rig.first_round().await;
    let known = rig.report(&key(&check, up.address)).health.since;
    rig.checker.stop().await;

    let restored = Restored::load(dir.path(), now());
    let transitions = restored.transitions(&table);
    let statuses: Vec<_> = transitions.iter().map(|t| t.health.status).collect();
    assert_eq!(
        statuses,
        [Status::Up, Status::Down],
        "for the first snapshot"
    );
    let measured = restored.measured(&table);
    assert_eq!(measured.len(), 1, "only one ever accepted a connection");
    assert_eq!(measured[0].target, transitions[0].target);

    // Nobody answers now: what was known is told before any probe, and holds until `fall`.
    let silent = Probe::Http(http());
    let held = common::check("tcp", silent, RULES);
    let table = common::table(&[(Some(&held), &[up.address])]);
    let mut rig = Rig::with(&table, &restored, keeping(dir.path()));
    let first = rig.transition().await;
    assert_eq!(
        (first.health.status, first.health.since),
        (Status::Up, known)
    );
    assert_eq!(rig.report(&first.target).health.status, Status::Up);
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_written_stops_nothing() {
    let file = tempfile::NamedTempFile::new().expect("a file, not a directory");
    let origin = Origin::silent().await;
    let table = table(&[(Some(&tcp("tcp")), &[origin.address])]);
    let rig = Rig::with(&table, &Restored::default(), keeping(file.path()));
    rig.first_round().await;
    let registry = rig.registry.clone();
    rig.checker.stop().await;
    let families = registry.gather();
    assert!(
        families
            .iter()
            .any(|f| f.name() == "rhumb_health_state_saves_total"),
        "counted"
    );
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
