//! A scenario is rehearsed with the binary: stand-ins play the endpoints of a config that names public ones, a region
//! fails and heals under load, a reload shifts the traffic, and every event happens in its order. Durations are never
//! held against anything.

use bench::scenario::{Event, Failover, Options, Played, play};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Endpoints that are nowhere near this machine, over TLS, with certificates that it does not have.
const CONFIG: &str = r#"
version: 1
state_dir: /nonexistent/rhumb
pop: { name: rehearsed, region: north }
regions:
  north: { location: { country: SE }, jurisdiction: eu }
  south: { location: { country: US } }
jurisdictions:
  eu: { countries: [EU] }
health_checks:
  up: { type: https, path: /up?deep=1, host: checks.example.com, interval: 300ms, timeout: 200ms, fall: 2, rise: 2, expect: { status: [204-299], body: fine } }
pools:
  n: { region: north, health_check: up, endpoints: [{ address: "192.0.2.10:443" }, { address: "192.0.2.11:443" }] }
  s: { region: south, health_check: up, endpoints: [{ address: "192.0.2.20:443", publish: [203.0.113.20] }] }
policies:
  first: { failover: [n, s] }
  last: { failover: [s, n] }
  both: { weighted: { n: 50, s: 50 } }
residency:
  pinned: { clients: { countries: [EU] }, serve_in: [eu], when_exhausted: refuse }
services:
  api:  { policy: POLICY, rto: 30s, residency: pinned, dns: { names: [api.example.com], ttl: 1s }, http: { hosts: [api.example.com] } }
  both: { policy: both, dns: { names: [both.example.com], ttl: 1s }, http: { hosts: [both.example.com] } }
zones:
  example.com:
    soa: { mname: ns1.example.com, rname: hostmaster.example.com }
    ns: [ns1.example.com]
listen:
  dns: [{ address: "0.0.0.0:53" }]
  https: [{ address: "0.0.0.0:443", certificates: [{ cert: /nonexistent/a.pem, key: /nonexistent/a.key }] }]
  admin: { address: "127.0.0.1:9900" }
expect:
  - { service: api, client: 8.8.8.8, when: { down: ["192.0.2.10:443"] }, plane: dns, region: REGION }
"#;

const SCENARIO: &str = "
version: 1
config: first.yaml
load: { dns: { rate: 400 }, http: { rate: 200 }, clients: { US: 50, SE: 50 } }
duration: 5s
steps:
  - { at: 500ms, fail: region north }
  - { at: 2500ms, heal: region north }
  - { at: 4s, reload: second.yaml }
  - { at: 4500ms, rate: 100 }
expect: { within_rto: true, leaks: 0 }
";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
    let config = |policy, region| CONFIG.replace("POLICY", policy).replace("REGION", region);
    write("first.yaml", &config("first", "north"));
    write("second.yaml", &config("last", "south"));
    write("scenario.yaml", SCENARIO);
    folder
}

/// A debug build asks the policy slowly: a few clients are enough here.
fn options() -> Options {
    Options {
        questions: 256,
        ..Options::new(PathBuf::from(env!("CARGO_BIN_EXE_rhumb")))
    }
}

fn played(scenario: &Path) -> Played {
    let loaded = config::scenario::load(scenario);
    let problems = config::problem::render(&loaded.problems);
    let scenario = loaded.scenario.expect(&problems);
    let mut told = Vec::new();
    let played = play(&scenario, &options(), &mut |progress| {
        told.extend(progress.told.map(str::to_owned));
    });
    let played = played.unwrap_or_else(|error| panic!("{error}"));
    assert!(told.contains(&"fail region north".to_owned()), "{told:?}");
    played
}

/// How a service came through a step over a plane.
fn of<'a>(event: &'a Event, service: &str, plane: &str) -> &'a Failover {
    let mut failovers = event.failovers.iter();
    let found = failovers.find(|one| one.service == service && one.plane == plane);
    found.unwrap_or_else(|| panic!("{service} over {plane}: {event:#?}"))
}

#[test]
fn a_region_fails_heals_and_is_shifted_away_from_in_that_order() {
    let folder = folder();
    let played = played(&folder.path().join("scenario.yaml"));
    assert_eq!(played.missed, Vec::<String>::new(), "{:#?}", played.events);
    let what: Vec<&str> = played.events.iter().map(|event| &*event.what).collect();
    assert_eq!(
        what,
        [
            "fail region north",
            "heal region north",
            "reload second.yaml",
            "rate dns 100/s, http 100/s"
        ]
    );
    for plane in ["dns", "http"] {
        let failed = of(&played.events[0], "api", plane);
        assert!(failed.first_probe <= failed.decided, "{failed:?}");
        assert!(failed.decided <= failed.first_right, "{failed:?}");
        assert!(failed.first_probe.is_some() && failed.first_right.is_some());
        assert_eq!(failed.within_rto, Some(true), "{failed:?}");
        // While it was not yet known, DNS sent clients there, and HTTP got 503 from there.
        let noticed = if plane == "dns" {
            failed.wrong
        } else {
            failed.failed
        };
        assert!(noticed > 0, "{failed:?}");

        let healed = of(&played.events[1], "api", plane);
        assert!(healed.first_probe <= healed.decided, "{healed:?}");
        assert!(healed.decided.is_some() && healed.decided <= healed.first_right);
        assert_eq!(
            (healed.rto, healed.within_rto),
            (None, None),
            "only failures have one"
        );

        let shifted = of(&played.events[2], "api", plane);
        assert!(shifted.first_right.is_some(), "{shifted:?}");
        let spread = of(&played.events[0], "both", plane);
        assert_eq!(
            spread.first_right, None,
            "what is left was there before: {spread:?}"
        );
    }
    let dns = played.dns.as_ref().expect("a load over DNS");
    assert_eq!(dns.asks.targets.len(), 2, "counted by what is asked for");
    for plane in played.planes() {
        let measured = &plane.measured;
        assert_eq!(measured.leaks, 0);
        let counted: u64 = measured.outcomes.iter().sum();
        assert_eq!(
            counted, measured.answered,
            "nothing is lost in sorting and folding"
        );
        let timeline = measured.timeline.as_ref().expect("a timeline");
        let in_slices = timeline.slices.iter().flat_map(|slice| &slice.outcomes);
        assert_eq!(
            in_slices.map(|n| u64::from(*n)).sum::<u64>(),
            measured.answered
        );
    }
}

#[test]
fn a_config_that_is_refused_says_why_and_leaves_nothing_running() {
    let folder = folder();
    let broken = CONFIG.replace("POLICY", "first").replace("REGION", "south");
    fs::write(folder.path().join("first.yaml"), broken).expect("a file");
    let loaded = config::scenario::load(&folder.path().join("scenario.yaml"));
    let scenario = loaded
        .scenario
        .expect("a scenario: expectations are the server's to run");
    let refused = play(&scenario, &options(), &mut |_| {});
    let Err(error) = refused else {
        panic!("an expectation does not hold");
    };
    assert!(
        error.to_string().contains("expected region south"),
        "{error}"
    );
}
