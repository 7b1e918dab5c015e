//! What an operator sets about DNS clients: how often they may be told the same, and which of their queries are logged.

use crate::harness::clients::dns_over_tcp;
use crate::harness::edited;
use crate::harness::pop::Pop;
use crate::harness::wire::Question;
use crate::operating::{metrics, series, signal};
use crate::parity::demo_config;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long lines are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

fn with_dns(dns: &str) -> String {
    edited(
        &demo_config(),
        "version: 1",
        &format!("version: 1\ndns: {{ {dns} }}"),
    )
}

fn limited(pop: &Pop, action: &str) -> f64 {
    let name = format!("rhumb_dns_rate_limited_total{{action=\"{action}\"}}");
    series(&metrics(pop), &name).unwrap_or(0.0)
}

#[test]
fn who_asks_too_often_is_sent_to_tcp_until_a_reload_says_otherwise() {
    let limit = "rate_limit: { responses_per_second: 1, slip: 1 }";
    let pop = Pop::start(&with_dns(limit));
    let question = Question::a("us.demo.test");
    let mut dns = pop.dns();
    let first = dns.ask(&question).expect("an answer");
    assert!(!first.truncated && !first.addresses().is_empty());
    let cut = (0..50).find_map(|_| {
        let reply = dns.ask(&question).expect("each is answered");
        reply.truncated.then_some(reply)
    });
    let cut = cut.expect("one of 50 is beyond one a second");
    assert!(cut.addresses().is_empty(), "{cut:?}");
    assert!(limited(&pop, "slipped") >= 1.0);
    let whole = dns_over_tcp(pop.places.dns, &question).expect("TCP is not limited");
    assert_eq!(whole.addresses(), first.addresses());

    let dry = "rate_limit: { responses_per_second: 1, slip: 1, dry_run: true }";
    assert_eq!(pop.reload(&with_dns(dry))["applied"], true);
    for _ in 0..50 {
        assert!(!dns.ask(&question).expect("an answer").truncated);
    }
    assert!(limited(&pop, "dry_run") >= 1.0, "{}", metrics(&pop));

    let exempt = "rate_limit: { responses_per_second: 1, slip: 1, exempt: [127.0.0.0/8] }";
    assert_eq!(pop.reload(&with_dns(exempt))["applied"], true);
    for _ in 0..50 {
        assert!(!dns.ask(&question).expect("an answer").truncated);
    }
}

/// Waits until a line of the file holds `text`; gives that line.
fn line_with(file: &Path, text: &str) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let lines = std::fs::read_to_string(file).unwrap_or_default();
        if let Some(line) = lines.lines().find(|line| line.contains(text)) {
            return line.to_owned();
        }
        assert!(Instant::now() < end, "no line with {text} in:\n{lines}");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn queries_are_logged_where_and_how_a_reload_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("queries.log");
    let log = |more: &str| with_dns(&format!("query_log: {{ to: {}{more} }}", file.display()));
    let pop = Pop::start(&log(""));
    let ask = |name: &str| pop.dns().ask(&Question::a(name)).expect("an answer");
    ask("us.demo.test");
    let line: serde_json::Value =
        serde_json::from_str(&line_with(&file, "us.demo.test.")).expect("a JSON line");
    for (key, value) in [
        ("client", "127.0.0.1"),
        ("transport", "udp"),
        ("name", "us.demo.test."),
        ("type", "A"),
        ("class", "IN"),
        ("rcode", "NOERROR"),
        ("zone", "demo.test."),
        ("verdict", "steered"),
        ("region", "us-east-1"),
    ] {
        assert_eq!(line[key], value, "{line:#}");
    }
    ask("no-such-name.demo.test");
    assert!(line_with(&file, "no-such-name").contains("\"rcode\":\"NXDOMAIN\""));

    std::fs::rename(&file, folder.path().join("queries.log.1")).expect("moved away");
    // The same signal reloads: what comes next must not be taken for that.
    let before = pop.status()["reload"]["at"].clone();
    signal(&pop, "-HUP");
    pop.wait("the file to be opened again", |status| {
        file.exists() && status["reload"]["at"] != before
    });
    ask("eu.demo.test");
    line_with(&file, "eu.demo.test.");

    assert_eq!(pop.reload(&log(", format: text"))["applied"], true);
    ask("ap.demo.test");
    let text = line_with(&file, "ap.demo.test.");
    assert!(
        text.contains(" 127.0.0.1 udp ap.demo.test. IN A NOERROR zone=demo.test. service="),
        "{text}"
    );

    let nowhere = with_dns("query_log: { to: /no-such-folder/queries.log }");
    let refused = pop.reload(&nowhere);
    assert_eq!(refused["applied"], false);
    assert!(refused.to_string().contains("/no-such-folder/queries.log"));

    assert_eq!(pop.reload(&demo_config())["applied"], true, "off");
    let length = || std::fs::metadata(&file).expect("the log").len();
    let before = length();
    ask("us.demo.test");
    sleep(Duration::from_millis(100));
    assert_eq!(length(), before);
}
