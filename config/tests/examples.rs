//! The examples are what operators copy: each loads without a problem, and its own tests hold.
//!
//! Locations come from a small table made here; `rhumb check` runs the same tests over real ones.

use config::{Checked, Disk, Files, Loaded};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steering::geo::{Location, LocationTable, LocationTableBuilder};
use steering::{Snapshot, Table, Timestamp};

/// The disk, where the demo's certificate is taken to exist.
struct WithDemoCertificate;

impl Files for WithDemoCertificate {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        Disk.read(path, limit)
    }

    fn exists(&self, path: &Path) -> bool {
        path.parent().is_some_and(|folder| folder.ends_with("demo")) || Disk.exists(path)
    }

    fn matching(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        Disk.matching(pattern)
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples")
}

/// The networks that the examples' clients are in.
fn locations() -> LocationTable {
    let mut builder = LocationTableBuilder::default();
    for (network, country) in [
        ("8.8.8.0/24", "US"),
        ("46.4.0.0/16", "DE"),
        ("2a01:4f8::/32", "DE"),
        ("202.166.0.0/16", "SG"),
        ("133.11.0.0/16", "JP"),
        ("140.112.0.0/16", "TW"),
    ] {
        let country = country.parse().expect("a country");
        builder.insert(
            network.parse().expect("a network"),
            Location::in_country(country),
        );
    }
    builder.build("test")
}

fn snapshot(checked: &Checked) -> Snapshot {
    let table = Table::compile(checked.table.clone()).expect("a checked table compiles");
    Snapshot::new(Arc::new(table), Arc::new(locations()), Timestamp(0))
}

fn load(name: &str) -> Loaded {
    config::load_with(&examples().join(name), &WithDemoCertificate)
}

#[test]
fn every_example_loads_without_a_problem_and_its_tests_hold() {
    for name in [
        "authoritative",
        "demo",
        "keiko",
        "kaldrix",
        "kaldrix-staging",
        "eagle",
        "eden",
        "eden/shifted",
        "eden/isolated",
        "genai-demo",
    ] {
        let loaded = load(&format!("{name}.yaml"));
        assert!(
            loaded.problems.is_empty(),
            "{name}:\n{}",
            config::problem::render(&loaded.problems)
        );
        let checked = loaded.checked.expect("no problem, so a config");
        assert!(!checked.expectations.is_empty(), "{name} tests itself");
        let failed = config::expectations::run(&checked, &snapshot(&checked));
        assert!(
            failed.is_empty(),
            "{name}:\n{}",
            config::problem::render(&failed)
        );
    }
}

#[test]
fn what_is_watched_is_everything_a_config_depends_on() {
    let relative = |loaded: &Loaded| -> Vec<String> {
        let inside = |path: &PathBuf| {
            path.components()
                .rev()
                .take(2)
                .map(|c| c.as_os_str().to_owned())
                .collect::<Vec<_>>()
        };
        loaded
            .files
            .iter()
            .map(|path| {
                inside(path)
                    .iter()
                    .rev()
                    .map(|p| p.to_string_lossy())
                    .collect::<Vec<_>>()
                    .join("/")
            })
            .collect()
    };
    assert_eq!(
        relative(&load("keiko.yaml")),
        ["examples/keiko.yaml", "zones/keiko.zone"]
    );
    assert_eq!(
        relative(&load("kaldrix.yaml")),
        ["kaldrix/common.yaml", "examples/kaldrix.yaml"]
    );
    assert_eq!(
        relative(&load("demo.yaml")),
        ["demo/cert.pem", "demo/key.pem", "examples/demo.yaml"]
    );
}

#[test]
fn an_expectation_that_does_not_hold_says_what_came_instead() {
    let text = std::fs::read_to_string(examples().join("demo.yaml")).expect("the demo's config");
    let broken = text
        .replace(
            "client: 46.4.0.1,    region: eu-west-1",
            "client: 46.4.0.1,    region: us-east-1",
        )
        .replace("# - { service: weighted", "- { service: weighted")
        .replace("share: { us-east-1: 40%", "share: { us-east-1: 50%");
    let loaded = config::load_str("demo.yaml", &broken);
    let checked = loaded.checked.expect("still a config");
    let failed = config::expectations::run(&checked, &snapshot(&checked));
    let messages: Vec<&str> = failed
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    assert_eq!(messages.len(), 4, "two tests on two planes: {messages:?}");
    assert_eq!(
        messages[0],
        "api for 46.4.0.1 over DNS: expected region us-east-1, got region eu-west-1 (pool eu)"
    );
    assert!(messages[2].starts_with(
        "weighted for 8.8.8.8 over DNS: expected region us-east-1 in 50% of draws, got it in"
    ));
    assert!(failed.iter().all(|problem| problem.line > 0
        && problem.frame.contains('^')
        && problem.code == "expectation_failed"));
    assert_eq!(failed[0].path, "expect[0]");
}

#[test]
fn a_diff_names_each_change_and_what_needs_a_restart() {
    let text = std::fs::read_to_string(examples().join("demo.yaml")).expect("the demo's config");
    let checked = |text: &str| {
        config::load_str("demo.yaml", text)
            .checked
            .expect("a config")
    };
    let old = checked(&text);
    assert!(config::diff(&old, &checked(&text)).is_empty());
    assert!(
        config::diff(&old, &checked(&format!("# a comment\n{text}"))).is_empty(),
        "comments are no change"
    );
    let new = text
        .replace(
            "weighted: { us: 40, eu: 40, ap: 20 }",
            "weighted: { us: 50, eu: 50 }",
        )
        .replace("127.0.0.1:5353", "127.0.0.1:5354")
        .replace("demo/cert.pem, key", "demo/other.pem, key")
        .replace("version: 1\n", "version: 1\nworkers: 2\n")
        .replace(
            "plane: dns, region: ap-southeast-1",
            "plane: dns, regions: [ap-southeast-1]",
        );
    let diff = config::diff(&old, &checked(&new));
    let lines: Vec<String> = diff.changes.iter().map(ToString::to_string).collect();
    for expected in [
        "+ workers: 2",
        "- policies.split.weighted.ap: 20",
        "~ policies.split.weighted.us: 40 -> 50",
        "~ listen.dns[0].address: 127.0.0.1:5353 -> 127.0.0.1:5354",
        "~ listen.https[0].certificates[0].cert: demo/cert.pem -> demo/other.pem",
        "].regions: [ap-southeast-1]",
    ] {
        assert!(
            lines.iter().any(|line| line.ends_with(expected)),
            "{expected} in {lines:#?}"
        );
    }
    assert_eq!(
        diff.restart,
        ["workers", "listen.dns"],
        "a certificate is read again without a restart"
    );
}
