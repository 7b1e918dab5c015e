//! The load bench against a real PoP: an honest one passes on both planes, a wrong share and a planted leak are caught.
//! Verdicts and counts are looked at; speeds never.

use crate::cli::{file_with, path, rhumb, said};
use crate::harness::edited;
use crate::harness::pop::Pop;
use crate::parity::demo_config;
use serde_json::Value;
use std::fs;
use std::process::Output;

/// The demo's config without its own expectations, which a wrong config would not pass.
fn config() -> String {
    let config = demo_config();
    let (kept, _) = config
        .split_once("\nexpect:")
        .expect("the demo expects something");
    format!("{kept}\n")
}

/// Half a second of load on a plane of a PoP, judged by `promised`.
fn bench(pop: &Pop, plane: &str, promised: &str, more: &[&str]) -> (Output, Value) {
    let (folder, file) = file_with(&pop.origins.apply(promised));
    let report = folder.path().join("report.json");
    let place = match plane {
        "dns" => format!("--server={}", pop.places.dns),
        _ => format!("--target=http://{}", pop.places.http),
    };
    let mut arguments = vec![
        "bench",
        plane,
        &place,
        "--config",
        path(&file),
        "--duration=1s",
        "--questions=2000",
        "--output",
        path(&report),
    ];
    arguments.extend(more);
    let output = rhumb(&arguments);
    let report = fs::read_to_string(&report)
        .unwrap_or_else(|_| panic!("there is a report:\n{}", said(&output)));
    (output, serde_json::from_str(&report).expect("JSON"))
}

fn answers(report: &Value) -> u64 {
    report["answered"].as_u64().expect("a count")
}

fn leaks(report: &Value) -> u64 {
    report["shares"]["leaks"]["answers"]
        .as_u64()
        .expect("a count")
}

#[test]
fn an_honest_pop_keeps_its_promises_on_both_planes() {
    let pop = Pop::start(&config());
    for (plane, more) in [
        ("dns", &[][..]),
        ("dns", &["--transport=tcp", "--type=both"][..]),
        ("dns", &["--rate=2000", "--clients=DE=20,US=50,SG=30"][..]),
        ("http", &[][..]),
        ("http", &["--rate=500"][..]),
        (
            "http",
            &["--per-request", "--clients=DE=20,US=50,SG=30"][..],
        ),
    ] {
        let (output, report) = bench(&pop, plane, &config(), more);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(0), "{plane} {more:?}\n{told}");
        assert!(answers(&report) > 100, "{plane} {more:?}\n{told}");
        assert_eq!(leaks(&report), 0, "{told}");
    }
}

#[test]
fn shares_of_other_weights_than_promised_are_caught() {
    let served = edited(
        &config(),
        "{ us: 40, eu: 40, ap: 20 }",
        "{ us: 70, eu: 20, ap: 10 }",
    );
    let promised = edited(
        &config(),
        "{ us: 40, eu: 40, ap: 20 }",
        "{ us: 60, eu: 30, ap: 10 }",
    );
    let pop = Pop::start(&served);
    for plane in ["dns", "http"] {
        let more = ["--service=weighted"];
        let (honest, _) = bench(&pop, plane, &served, &more);
        assert_eq!(honest.status.code(), Some(0), "{plane}\n{}", said(&honest));
        let (output, _) = bench(&pop, plane, &promised, &more);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{plane}\n{told}");
        assert!(
            told.contains("weighted: not as promised"),
            "{plane}\n{told}"
        );
    }
}

#[test]
fn a_planted_leak_is_caught() {
    let served = edited(&config(), "    residency: gdpr\n", "");
    let served = edited(
        &served,
        "{ countries: [EU], to: eu-first }",
        "{ countries: [EU], to: us-first }",
    );
    let pop = Pop::start(&served);
    for plane in ["dns", "http"] {
        let more = ["--service=api", "--clients=DE=50,US=50"];
        let (output, report) = bench(&pop, plane, &config(), &more);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{plane}\n{told}");
        let (answers, leaks) = (answers(&report), leaks(&report));
        assert!(
            leaks * 10 > answers * 4 && leaks * 10 < answers * 6,
            "{plane}: half the clients are German: {leaks} of {answers}\n{told}"
        );
    }
}

#[test]
fn what_can_not_be_asked_is_said_and_is_no_verdict() {
    let (_folder, file) = file_with(&config());
    let config = ["--config", path(&file)];
    for (arguments, told) in [
        (
            &["dns", "--server=127.0.0.1:1", "--service=nobody"][..],
            "there is no service `nobody`",
        ),
        (&["dns", "--server=127.0.0.1:1", "--clients=DE"][..], "DE"),
        (&["dns", "--server=127.0.0.1:1", "--clients=XX=1"][..], "XX"),
        (&["dns", "--server=nonsense"][..], "ADDRESS:PORT"),
        (
            &["http", "--target=ftp://127.0.0.1"][..],
            "https://ADDRESS:PORT",
        ),
        (
            &["http", "--target=http://127.0.0.1:1", "--output=report.pdf"][..],
            ".html",
        ),
    ] {
        let mut all = vec!["bench"];
        all.extend(arguments);
        all.extend(config);
        let output = rhumb(&all);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}\n{}",
            said(&output)
        );
        assert!(
            said(&output).contains(told),
            "{arguments:?}\n{}",
            said(&output)
        );
    }
}

#[test]
fn a_config_or_scenario_that_is_not_there_can_not_be_asked() {
    for arguments in [
        &["dns", "--server=127.0.0.1:1", "--config=/nowhere.yaml"][..],
        &[
            "http",
            "--target=http://127.0.0.1:1",
            "--config=/nowhere.yaml",
        ][..],
        &["scenario", "/nowhere.yaml"][..],
    ] {
        let mut all = vec!["bench"];
        all.extend(arguments);
        let output = rhumb(&all);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}\n{}",
            said(&output)
        );
        assert!(said(&output).contains("/nowhere.yaml"), "{}", said(&output));
    }
}

#[test]
fn nobody_there_is_a_failure() {
    let (_folder, file) = file_with(&config());
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let server = format!("--server={}", silent.local_addr().expect("an address"));
    let output = rhumb(&[
        "bench",
        "dns",
        &server,
        "--config",
        path(&file),
        "--duration=300ms",
        "--timeout=100ms",
        "--questions=100",
    ]);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("timeout"), "{told}");
}

/// Every command of the pages is understood as it stands. (`--help` at its end is reached only when all before it is
/// right.)
#[test]
fn the_commands_of_the_pages_are_understood() {
    let mut seen = 0;
    for page in [
        "README.md",
        "docs/bench.md",
        "docs/scenarios.md",
        "docs/performance.md",
    ] {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let text = fs::read_to_string(file).expect("a page");
        for line in text.lines() {
            let line = line.split(" #").next().unwrap_or_default();
            let bench = ["./dev bench ", "rhumb bench "]
                .iter()
                .find_map(|word| line.strip_prefix(word));
            let Some(arguments) = bench else {
                continue;
            };
            let mut all = vec!["bench"];
            all.extend(arguments.split_whitespace());
            all.push("--help");
            let output = rhumb(&all);
            assert_eq!(
                output.status.code(),
                Some(0),
                "{page}: {line}\n{}",
                said(&output)
            );
            seen += 1;
        }
    }
    assert!(seen >= 8, "the pages name commands: {seen} were found");
}
