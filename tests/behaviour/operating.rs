//! A PoP as its operators hold it: metrics to scrape, a status to read, signals to reload and to stop.

use crate::harness::clients::Ask;
use crate::harness::edited;
use crate::harness::pop::Pop;
use crate::harness::wire::Question;
use crate::parity::demo_config;
use std::process::Command;
use std::thread;

/// The value of a series, by its name and labels as written.
pub(crate) fn series(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' '))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

pub(crate) fn metrics(pop: &Pop) -> String {
    String::from_utf8(pop.admin("/metrics").body).expect("text")
}

#[test]
fn metrics_say_what_regions_do_and_what_was_asked() {
    let renamed = edited(
        &demo_config(),
        "version: 1",
        "version: 1\nmetrics: { region_prefix: keiko }",
    );
    let pop = Pop::start(&renamed);
    let before = metrics(&pop);
    for region in ["us-east-1", "eu-west-1", "ap-southeast-1"] {
        let health = format!("keiko_health{{region=\"{region}\"}}");
        assert_eq!(series(&before, &health), Some(1.0), "{before}");
    }
    let queries = |metrics: &str| {
        series(metrics, "rhumb_dns_queries_total{transport=\"udp\"}").unwrap_or(0.0)
    };
    for _ in 0..10 {
        pop.dns()
            .ask(&Question::a("us.demo.test"))
            .expect("an answer");
    }
    let after = metrics(&pop);
    assert_eq!(queries(&after) - queries(&before), 10.0, "{after}");
    pop.flip("us-east-1", false);
    pop.wait("us-east-1 to be unusable", |status| {
        status["regions"][0]["usable"] == false
    });
    assert_eq!(
        series(&metrics(&pop), "keiko_health{region=\"us-east-1\"}"),
        Some(0.0)
    );
}

pub(crate) fn signal(pop: &Pop, name: &str) {
    let sent = Command::new("kill")
        .arg(name)
        .arg(pop.process_id().to_string())
        .status();
    assert!(sent.expect("kill is there").success());
}

#[test]
fn hup_reloads_and_term_lets_requests_end() {
    let pop = Pop::start(&demo_config());
    let before = pop.status()["reload"]["at"].clone();
    signal(&pop, "-HUP");
    let status = pop.wait("a reload on SIGHUP", |status| {
        status["reload"]["at"] != before
    });
    assert_eq!(status["reload"]["applied"], true, "{status:#}");
    let ended = thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let ask = Ask {
                method: "GET",
                host: "us.demo.test",
                path: "/slow?ms=1500",
                client: None,
            };
            pop.http().ask(&ask)
        });
        // The request must have reached the PoP before it is told to stop.
        pop.wait("the request to be counted", |_| {
            let metrics = metrics(&pop);
            metrics.lines().any(|line| {
                line.starts_with("rhumb_http_requests_in_flight") && line.ends_with(" 1")
            })
        });
        signal(&pop, "-TERM");
        slow.join().expect("a client")
    });
    let response = ended.expect("the request in flight is answered");
    assert_eq!(
        (response.status, response.region().as_deref()),
        (200, Some("us-east-1"))
    );
    assert!(pop.ended().success(), "it leaves with 0");
}
