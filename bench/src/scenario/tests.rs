//! Scenarios without a server: what each stretch promises, and what is told from slices of time. The
//! examples' stand-ins start for real, on loopback.

use super::classes::Classes;
use super::event::Failover;
use super::judge::Stretch;
use super::loaded::Configs;
use super::phases::{Phase, phases};
use super::standins::StandIns;
use super::watch::Said;
use crate::asks::Asks;
use crate::origin::tls::Authority;
use crate::procfs::Cpu;
use crate::record::{Answer, ErrorKind, Measured, Outcome, Recorder};
use crate::subject::Subject;
use config::rehearsal::Plan;
use config::scenario::{Action, Scenario};
use std::path::Path;
use std::time::{Duration, Instant};
use steering::health::Status;
use steering::{Client, Plane};
use tempfile::TempDir;

const CONFIG: &str = r#"
version: 1
geoip: { networks: [{ cidr: 198.51.100.0/24, country: SE }, { cidr: 203.0.113.0/24, country: US }] }
regions:
  a: { location: { country: SE }, jurisdiction: eu }
  b: { location: { country: US } }
  c: { location: { country: JP } }
jurisdictions: { eu: { countries: [EU] } }
health_checks: { up: { type: tcp } }
pools:
  a: { region: a, health_check: up, endpoints: [{ address: "192.0.2.10:80" }, { address: "192.0.2.11:80" }] }
  b: { region: b, health_check: up, endpoints: [{ address: "192.0.2.20:80" }] }
  c: { region: c, health_check: up, endpoints: [{ address: "192.0.2.30:80" }] }
policies:
  first: { failover: [a, b], failback: manual }
  split: { weighted: { a: 98, b: 2 } }
  near: { latency: [b, c] }
residency:
  pinned: { clients: { countries: [EU] }, serve_in: [eu], unknown_clients: free, when_exhausted: refuse }
services:
  first: { policy: first, rto: 10s, residency: pinned, dns: { names: [first.example.com], ttl: 2s, ttl_failing: 1s }, http: { hosts: [first.example.com] } }
  split: { policy: SPLIT, dns: { names: [split.example.com] } }
  near: { policy: near, http: { hosts: [near.example.com] } }
zones:
  example.com:
    soa: { mname: ns1.example.com, rname: hostmaster.example.com }
    ns: [ns1.example.com]
listen: { dns: [{ address: "127.0.0.1:5353" }], http: [{ address: "127.0.0.1:8080" }] }
"#;

const SWEDE: &str = "198.51.100.7";
const AMERICAN: &str = "203.0.113.7";

/// A scenario of these steps, read from files.
struct Story {
    scenario: Scenario,
    configs: Configs,
    subject: Subject,
    phases: Vec<Phase>,
    _folder: TempDir,
}

fn story(steps: &str) -> Story {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
    };
    write("config.yaml", &CONFIG.replace("SPLIT", "split"));
    write("other.yaml", &CONFIG.replace("SPLIT", "c"));
    write(
        "scenario.yaml",
        &format!("version: 1\nconfig: config.yaml\nsteps:\n{steps}"),
    );
    let loaded = config::scenario::load(&folder.path().join("scenario.yaml"));
    let problems = config::problem::render(&loaded.problems);
    let scenario = loaded.scenario.expect(&problems);
    let configs = Configs::load(&scenario, None).expect("configs");
    let first = configs.first();
    let mut subject = Subject::new(&first.checked, &first.snapshot()).expect("a subject");
    configs.all().for_each(|one| subject.learn(&one.table));
    let phases = phases(&scenario, &configs, &subject);
    Story {
        scenario,
        configs,
        subject,
        phases,
        _folder: folder,
    }
}

impl Story {
    /// By phase: what a client may be given, by name.
    fn promised(&self, service: &str, client: &str, plane: Plane) -> Vec<Vec<String>> {
        let client = Client::from(client.parse::<std::net::IpAddr>().expect("an address"));
        let phases = self.phases.iter().map(|phase| {
            let id = phase.service(service).expect("a service");
            let all = phase.possible(id, &client, plane);
            let names = all.iter().map(|o| self.subject.outcome_name(o).to_owned());
            names.collect()
        });
        phases.collect()
    }

    /// Questions for `first` over DNS by a Swede and an American, in this order.
    fn classes(&self) -> Classes {
        let targets = self.subject.targets(Plane::Dns).to_vec();
        let first = targets.iter().position(|t| t.name == "first.example.com");
        let first = first.expect("a target") as u16;
        let clients = [SWEDE, AMERICAN].map(|text| {
            let address: std::net::IpAddr = text.parse().expect("an address");
            (first, Client::from(address))
        });
        let plain = Asks::listed(&self.subject, Plane::Dns, targets, clients);
        Classes::sort(&self.subject, plain, &self.phases)
    }

    fn region(&self, name: &str) -> Outcome {
        self.subject.region_named(name)
    }

    /// What the first step did to the service `first`, of these answers (question, milliseconds after the
    /// start, region; none for a failure).
    fn judged(&self, answers: &[(usize, u64, Option<&str>)]) -> (Failover, Measured) {
        self.judged_by(answers, Instant::now(), &[])
    }

    /// The same, where the server said something after the step began.
    fn judged_by(
        &self,
        answers: &[(usize, u64, Option<&str>)],
        began: Instant,
        said: &[Said],
    ) -> (Failover, Measured) {
        let classes = self.classes();
        let mut recorder = Recorder::new(&classes.asks, Some(Duration::from_millis(10)));
        for (ask, at, region) in answers {
            let at = Duration::from_millis(*at);
            match region {
                Some(name) => {
                    let answer = Answer::of(self.region(name));
                    recorder.answered(*ask, at, Duration::from_millis(1), answer);
                }
                None => recorder.failed(*ask, at, ErrorKind::Timeout),
            }
        }
        let until = Duration::from_secs(8);
        let sent = answers.len() as u64;
        let measured = Measured::merge(vec![recorder], until, sent, Cpu::default());
        let stretch = Stretch {
            phase: 1,
            action: &self.scenario.steps[0].action,
            at: Duration::from_secs(1),
            until,
            first_probe: None,
            decided: None,
            before: Some((&self.phases[0], said)),
            began,
        };
        let failovers = stretch.failovers(&self.subject, &classes, &measured);
        let [failover] = failovers.as_slice() else {
            panic!("one service is concerned: {failovers:#?}");
        };
        (failover.clone(), classes.fold(measured, 10))
    }
}

#[test]
fn each_stretch_promises_what_the_server_will_decide() {
    let story = story(
        "  - { at: 1s, fail: region a }\n  - { at: 2s, rate: 5 }\n  - { at: 3s, heal: all }\n  \
         - { at: 4s, failback: first }\n",
    );
    assert_eq!(story.phases.len(), 4, "a rate changes no promise");
    assert_eq!(
        story.promised("first", AMERICAN, Plane::Dns),
        [["a"], ["b"], ["b"], ["a"]],
        "manual failback waits for its word"
    );
    assert_eq!(
        story.promised("first", SWEDE, Plane::Dns),
        [["a"], ["refused"], ["a"], ["a"]],
        "a pinned client is refused meanwhile"
    );
    assert_eq!(
        story.promised("split", SWEDE, Plane::Dns),
        [vec!["a", "b"], vec!["b"], vec!["a", "b"], vec!["a", "b"]],
        "a share of 2 % is seen"
    );
    assert_eq!(
        story.promised("near", SWEDE, Plane::Http)[0],
        ["b", "c"],
        "which is nearer to the PoP can't be known"
    );
}

#[test]
fn one_endpoint_is_not_its_region_and_a_reload_keeps_what_failed() {
    let story = story(
        "  - { at: 1s, fail: \"endpoint 192.0.2.10:80\" }\n  - { at: 2s, fail: pool a }\n  \
         - { at: 3s, reload: other.yaml }\n",
    );
    assert_eq!(
        story.promised("first", AMERICAN, Plane::Dns),
        [["a"], ["a"], ["b"], ["b"]]
    );
    assert_eq!(story.promised("split", AMERICAN, Plane::Dns)[3], ["c"]);
    assert!(story.configs.at(Path::new("nowhere.yaml")).is_none());
}

#[test]
fn right_and_wrong_are_told_by_what_changed_for_each_kind_of_client() {
    let story = story("  - { at: 1s, fail: region a }\n");
    assert!(matches!(story.scenario.steps[0].action, Action::Fail(..)));
    let (failover, folded) = story.judged(&[
        (0, 500, Some("a")),
        (1, 990, Some("a")),
        (1, 1_500, Some("a")),
        (1, 2_004, Some("b")),
        (0, 2_501, Some("a")),
        (1, 2_700, Some("b")),
    ]);
    assert_eq!((failover.wrong, failover.failed), (2, 0));
    assert_eq!(failover.first_right, Some(Duration::from_millis(1_010)));
    assert_eq!(failover.last_wrong, Some(Duration::from_millis(1_510)));
    assert_eq!(failover.last_failed, Some(Duration::ZERO));
    assert_eq!(failover.ttl, Some(Duration::from_secs(2)));
    assert_eq!(
        failover.within_rto,
        Some(true),
        "1.51 s and 2 s are within 10 s"
    );

    let timeline = folded.timeline.expect("a timeline");
    assert_eq!(timeline.width, Duration::from_millis(100));
    assert_eq!(timeline.slices[25].answered, 1);
    let target = story.classes().plain.list[0].target.into();
    assert_eq!(timeline.slices[25].outcome(target, story.region("a")), 1);
    assert_eq!(folded.outcomes.iter().sum::<u64>(), 6);
    assert_eq!(folded.cells.iter().sum::<u64>(), 6);
}

#[test]
fn answers_given_while_a_failure_was_counted_live_shorter() {
    let story = story("  - { at: 1s, fail: region a }\n");
    let began = Instant::now();
    let addresses = ["192.0.2.10:80", "192.0.2.11:80"].map(|a| a.parse().expect("an address"));
    let said = |ms: u64, status, against| Said {
        at: began + Duration::from_millis(ms),
        health: addresses.map(|a| (a, status, against)).to_vec(),
    };
    // With two of three failures counted, the third may come at any moment: `ttl_failing`, 1 s.
    let said = [
        said(0, Status::Up, 0),
        said(1_000, Status::Up, 2),
        said(4_000, Status::Down, 0),
    ];
    let answers = [
        (1, 1_500, Some("a")),
        (1, 4_990, Some("a")),
        (1, 5_100, Some("b")),
    ];
    let (failover, _) = story.judged_by(&answers, began, &said);
    assert_eq!(failover.last_wrong, Some(Duration::from_secs(4)));
    assert_eq!(failover.ttl, Some(Duration::from_secs(1)));
}

#[test]
fn what_goes_on_until_the_end_has_no_end_to_tell() {
    let story = story("  - { at: 1s, fail: region a }\n");
    let (failover, _) = story.judged(&[(1, 1_500, Some("a")), (1, 7_900, Some("a"))]);
    assert_eq!((failover.last_wrong, failover.within_rto), (None, None));
    assert_eq!(failover.first_right, None);

    let (failover, _) = story.judged(&[(0, 3_000, None), (1, 2_000, Some("b"))]);
    assert_eq!(failover.last_wrong, Some(Duration::ZERO));
    assert_eq!(failover.last_failed, Some(Duration::from_millis(2_010)));
    assert_eq!(failover.within_rto, Some(true));
}

#[test]
fn every_example_has_stand_ins_for_all_of_its_endpoints() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples");
    let authority = Authority::new().expect("an authority");
    for name in ["demo", "keiko", "kaldrix", "eagle", "eden", "genai-demo"] {
        let path = examples.join(format!("{name}.yaml"));
        let checked = config::rehearsal::load(&path).checked.expect("an example");
        let stand_ins = StandIns::start(&[checked], &authority).expect("stand-ins");
        let plan = Plan {
            endpoints: stand_ins.endpoints.clone(),
            ..Plan::default()
        };
        let loaded = plan.load(&path);
        let problems = config::problem::render(&loaded.problems);
        assert!(loaded.checked.is_some(), "{name}:\n{problems}");
    }
}
