//! Reloads under load: clients of both planes see no error and lose no answer while the config is swapped again and again;
//! a broken config and a restart-only key change nothing and are named.

use crate::harness::clients::Ask;
use crate::harness::edited;
use crate::harness::pop::Pop;
use crate::harness::wire::{Question, Subnet};
use crate::parity::demo_config;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(8, 8, 8, 8));
/// How often the config is swapped, and how many times.
const EVERY: Duration = Duration::from_millis(100);
const SWAPS: usize = 30;

#[test]
fn no_client_sees_an_error_while_the_config_is_swapped() {
    let pop = Pop::start(&demo_config());
    let first = pop.generation();
    let (stop, answers, responses) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let regions = ["us-east-1", "eu-west-1", "ap-southeast-1"];
    thread::scope(|scope| {
        for name in ["weighted.demo.test", "failover.demo.test"] {
            let (pop, stop, answers, responses) = (&pop, &stop, &answers, &responses);
            scope.spawn(move || {
                let mut dns = pop.dns();
                let question = Question::a(name).with(Subnet::usual(CLIENT));
                while !stop.load(Ordering::Relaxed) {
                    let reply = dns
                        .ask(&question)
                        .unwrap_or_else(|failed| panic!("DNS: {failed}"));
                    assert!(pop.regions.contains_key(&reply.addresses()[0]), "{reply:?}");
                    answers.fetch_add(1, Ordering::Relaxed);
                }
            });
            scope.spawn(move || {
                let mut http = pop.http();
                let ask = Ask {
                    method: "GET",
                    host: name,
                    path: "/",
                    client: Some(CLIENT),
                };
                while !stop.load(Ordering::Relaxed) {
                    let response = http
                        .ask(&ask)
                        .unwrap_or_else(|failed| panic!("HTTP: {failed}"));
                    let region = response.region();
                    assert!(
                        region.is_some_and(|region| regions.contains(&region.as_str())),
                        "{}",
                        response.status
                    );
                    responses.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for swap in 0..SWAPS {
            let (us, ap) = (40 - swap % 20, 20 + swap % 20);
            let split = format!("us: {us}, eu: 40, ap: {ap}");
            pop.write_config(&edited(&demo_config(), "us: 40, eu: 40, ap: 20", &split));
            thread::sleep(EVERY);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (answers, responses) = (answers.into_inner(), responses.into_inner());
    assert!(
        answers > 100 && responses > 100,
        "{answers} answers and {responses} responses are no load"
    );
    let status = pop.wait("a reload", |status| {
        status["generation"].as_u64() > Some(first)
    });
    assert_eq!(status["reload"]["applied"], true, "{status:#}");
    let endpoints = status["endpoints"].as_array().expect("endpoints");
    assert!(
        endpoints.iter().all(|endpoint| endpoint["state"] == "up"),
        "health is kept: {status:#}"
    );
}

#[test]
fn a_broken_config_serves_on_and_the_status_says_where() {
    let pop = Pop::start(&demo_config());
    let broken = edited(
        &demo_config(),
        "weighted: { us: 40, eu:",
        "weighted: { us: 40, ue:",
    );
    let line = broken
        .lines()
        .position(|line| line.contains("ue: "))
        .expect("the broken line")
        + 1;
    let reload = pop.reload(&broken);
    assert_eq!(reload["applied"], false, "{reload:#}");
    let problems = reload["problems"].to_string();
    assert!(
        problems.contains(&format!("rhumb.yaml:{line}")) && problems.contains("ue"),
        "{problems}"
    );
    let reply = pop
        .dns()
        .ask(&Question::a("failover.demo.test"))
        .expect("an answer");
    assert_eq!(pop.regions[&reply.addresses()[0]], "us-east-1");
    let reload = pop.reload(&demo_config());
    assert_eq!(reload["applied"], true, "mended: {reload:#}");
}

#[test]
fn a_restart_only_key_is_named_and_refused() {
    let pop = Pop::start(&demo_config());
    let reload = pop.reload(&format!("workers: 1\n{}", demo_config()));
    assert_eq!(reload["applied"], false, "{reload:#}");
    assert!(
        reload["problems"].to_string().contains("workers"),
        "{reload:#}"
    );
    let response = pop.http().ask(&Ask {
        method: "GET",
        host: "us.demo.test",
        path: "/",
        client: None,
    });
    assert_eq!(
        response.expect("a response").region().as_deref(),
        Some("us-east-1"),
        "the old table serves"
    );
}
