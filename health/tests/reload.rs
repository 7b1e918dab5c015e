//! What survives: states over a reload and over a restart. Tests wait for events with a bound and assert
//! no duration.

mod common;

use common::rig::{Rig, key, metric, now, switched};
use common::{Origin, RULES, check, http, nobody, table, tcp, until};
use health::{Restored, Settings};
use std::path::Path;
use std::time::Duration;
use steering::health::{Probe, ProbeHttp, Rules, Status};

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
    let (registry, checker) = (rig.registry.clone(), rig.checker);
    checker.stop().await;
    assert_eq!(
        metric(&registry, "rhumb_health_state_saves_total", "failure"),
        1.0
    );
    assert_eq!(
        metric(&registry, "rhumb_health_state_saves_total", "success"),
        0.0
    );
}
