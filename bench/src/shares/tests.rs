//! Right servers pass, wrong ones do not. The servers are simulated by drawing from a policy: the one
//! that is judged, or another.

use super::*;
use crate::asks::Asks;
use crate::clients::Population;
use crate::procfs::Cpu;
use crate::record::{Answer, Recorder, RegionSet};
use proptest::prelude::*;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;
use steering::draw::{below, mix};
use steering::{Client, Plane, Snapshot, Table, Timestamp, Want};

/// A config with every kind of policy; `weights` are those of `split`, `rare` those of `tail`.
pub(crate) fn config(weights: &str, rare: &str) -> String {
    let services = ["split", "tail", "sticky", "place", "nested", "fastest", "several"].map(|name| {
        format!(
            "  {name}: {{ policy: {name}, dns: {{ names: [{name}.test] }}, http: {{ hosts: [{name}.test] }} }}\n"
        )
    });
    format!(
        r#"version: 1
pop: {{ name: here, location: {{ country: DE, latitude: 50.1, longitude: 8.7 }} }}
regions:
  us: {{ location: {{ country: US, latitude: 38.9, longitude: -77.5 }} }}
  eu: {{ location: {{ country: IE, latitude: 53.3, longitude: -6.3 }}, jurisdiction: eu }}
  ap: {{ location: {{ country: SG, latitude: 1.35, longitude: 103.8 }} }}
jurisdictions:
  eu: {{ countries: [EU] }}
pools:
  us: {{ region: us, endpoints: [{{ address: "192.0.2.10:443" }}] }}
  eu: {{ region: eu, endpoints: [{{ address: "192.0.2.20:443" }}, {{ address: "192.0.2.21:443" }}] }}
  ap: {{ region: ap, endpoints: [{{ address: "192.0.2.30:443" }}] }}
policies:
  split: {{ weighted: {weights} }}
  tail: {{ weighted: {rare} }}
  sticky: {{ weighted: {{ us: 50, eu: 30, ap: 20 }}, sticky: client }}
  place:
    geo:
      rules:
        - {{ countries: [EU], to: eu }}
        - {{ continents: [AS, OC], to: ap }}
      default: us
  nested:
    geo:
      rules: [{{ countries: [EU], to: eu }}]
      default: split
  fastest: {{ latency: [us, eu, ap] }}
  several: {{ multivalue: [us, eu, ap] }}
residency:
  gdpr:
    clients: {{ countries: [EU] }}
    serve_in: [eu]
    unknown_clients: pin
    when_exhausted: refuse
services:
{}  pinned: {{ policy: split, residency: gdpr, dns: {{ names: [pinned.test, also.pinned.test] }}, http: {{ hosts: [pinned.test] }} }}
zones:
  test:
    soa: {{ mname: ns.test, rname: root.test }}
    ns: [ns.test]
    records: ["ns 300 IN A 192.0.2.1"]
"#,
        services.concat()
    )
}

pub(crate) fn subject_of(text: &str) -> Subject {
    let loaded = config::load_str("bench.yaml", text);
    let checked = loaded
        .checked
        .unwrap_or_else(|| panic!("{:?}", loaded.problems));
    let table = Table::compile(checked.table.clone()).expect("the config compiles");
    let snapshot = Snapshot::new(table.into(), geoip::embedded(), Timestamp(1));
    Subject::new(&checked, &snapshot).expect("few regions")
}

pub(crate) const PROMISED: &str = "{ us: 70, eu: 20, ap: 10 }";
pub(crate) const RARE: &str = "{ us: 65535, eu: 1 }";

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| subject_of(&config(PROMISED, RARE)));

fn only(subject: &Subject, service: &str) -> Subject {
    subject
        .clone()
        .only(&[service.to_owned()])
        .expect("it is there")
}

fn asks(subject: &Subject, plane: Plane, count: usize) -> Asks {
    Asks::new(subject, plane, &Population::World, count, 5).expect("there are names")
}

/// A load of `answers` answers, each made by `server`: (question, which answer of the run).
fn run(asks: &Asks, answers: usize, mut server: impl FnMut(usize, u64) -> Answer) -> Measured {
    let mut recorder = Recorder::new(asks, Some(Duration::from_millis(100)));
    for i in 0..answers {
        let question = i % asks.list.len();
        let at = Duration::from_micros(i as u64);
        let latency = Duration::from_micros(50 + i as u64 % 100);
        recorder.answered(question, at, latency, server(question, i as u64));
    }
    let sent = answers as u64;
    Measured::merge(vec![recorder], Duration::from_secs(1), sent, Cpu::default())
}

/// A server that does what `policy` says, with draws and scopes of its own.
fn right<'a>(
    policy: &'a Subject,
    asks: &'a Asks,
    seed: u64,
) -> impl FnMut(usize, u64) -> Answer + 'a {
    move |question, i| {
        let ask = &asks.list[question];
        let want = Want {
            plane: asks.plane,
            draw: mix(i, seed),
            family: None,
        };
        let service = asks.target(ask).service;
        let decision = policy
            .snapshot
            .decide(service, &ask.client, want, &mut steering::Silent);
        Answer {
            scope: Some(decision.scope),
            ..policy.promise_whole(service, &ask.client, want)
        }
    }
}

fn service<'a>(shares: &'a Shares, name: &str) -> &'a ServiceShares {
    let mut services = shares.services.iter();
    services.find(|s| s.service == name).expect("it was asked")
}

#[test]
fn a_right_server_keeps_every_promise() {
    for plane in [Plane::Dns, Plane::Http] {
        let asks = asks(&SUBJECT, plane, 3_000);
        let measured = run(&asks, 20_000, right(&SUBJECT, &asks, 77));
        let shares = judge(&SUBJECT, &asks, &measured, 1);
        for service in &shares.services {
            let measures = plane == Plane::Http && service.service == "fastest";
            let by_load = plane == Plane::Http && service.service == "several";
            let expected = match measures || by_load {
                true => Verdict::NotJudged,
                false => Verdict::AsPromised,
            };
            assert_eq!(service.verdict, expected, "{plane:?}: {service:#?}");
            assert_eq!(service.impossible, 0, "{plane:?} {}", service.service);
        }
        assert_eq!(shares.services.len(), 8);
        assert_eq!(shares.answers, 20_000);
        assert_eq!(shares.leaks.answers, 0);
        assert_eq!(shares.scopes.violations, 0, "{:#?}", shares.scopes);
        assert!(shares.scopes.checked > 500, "{}", shares.scopes.checked);
    }
}

#[test]
fn shares_of_a_right_server_are_told() {
    let asks = asks(&SUBJECT, Plane::Dns, 3_000);
    let measured = run(&asks, 24_000, right(&SUBJECT, &asks, 3));
    let shares = judge(&SUBJECT, &asks, &measured, 1);
    let split = service(&shares, "split");
    let told: Vec<&str> = split.outcomes.iter().map(|o| o.outcome.as_str()).collect();
    assert_eq!(told, ["us", "eu", "ap"]);
    for (outcome, share) in split.outcomes.iter().zip([0.7, 0.2, 0.1]) {
        assert!((outcome.expected_share - share).abs() < 0.02, "{outcome:?}");
        assert!((outcome.observed_share - share).abs() < 0.03, "{outcome:?}");
    }
    let answers: u64 = split.countries.iter().map(|c| c.answers).sum();
    assert_eq!(answers, split.answers);
    assert!(split.countries.len() > 50);
    // Two names of one service are one service.
    let twice = service(&shares, "pinned");
    assert!(
        twice.answers > split.answers,
        "{} and {}",
        twice.answers,
        split.answers
    );
    assert_eq!(
        service(&shares, "place").chi_square,
        None,
        "no chance, no test"
    );
}

#[test]
fn other_weights_are_caught_with_ten_thousand_answers() {
    let served = only(&SUBJECT, "split");
    let edited = only(
        &subject_of(&config("{ us: 60, eu: 30, ap: 10 }", RARE)),
        "split",
    );
    for plane in [Plane::Dns, Plane::Http] {
        let asks = asks(&edited, plane, 10_000);
        let measured = run(&asks, 10_000, right(&served, &asks, 9));
        let shares = judge(&edited, &asks, &measured, 2);
        let split = service(&shares, "split");
        assert_eq!(split.verdict, Verdict::NotAsPromised, "{split:#?}");
        let worst = split.worst.as_ref().expect("something is wrong");
        assert_eq!(worst.country, None, "all together are the strangest");
        assert!(!worst.impossible);
        assert_eq!(worst.share.outcome, "eu");
        assert!(
            worst.share.deviations.is_some_and(|d| d < -10.0),
            "{worst:?}"
        );
    }
}

#[test]
fn one_wrong_country_is_caught() {
    let served = only(&SUBJECT, "split");
    let population = Population::parse_mix("DE=10,US=50,SG=40").expect("a mix");
    for wrong in [false, true] {
        let asks = Asks::new(&served, Plane::Dns, &population, 20_000, 4).expect("asked");
        let mut server = right(&served, &asks, 5);
        let measured = run(&asks, 20_000, |question, i| {
            let country = asks.cells[asks.list[question].cell as usize].country;
            let german = country.is_some_and(|c| c.code() == "DE");
            match wrong && german && i % 3 == 0 {
                true => Answer::of(SUBJECT.region_named("ap")),
                false => server(question, i),
            }
        });
        let shares = judge(&served, &asks, &measured, 2);
        let split = service(&shares, "split");
        assert_eq!(split.verdict == Verdict::NotAsPromised, wrong);
        let bad = split
            .countries
            .iter()
            .filter(|c| c.verdict == Verdict::NotAsPromised);
        let bad: Vec<&str> = bad.map(|c| c.country.as_str()).collect();
        assert_eq!(bad, if wrong { vec!["DE"] } else { vec![] });
    }
}

#[test]
fn an_impossible_answer_is_wrong_at_once() {
    // The wrong answer, the service, what it is called.
    let rows = [
        (Answer::of(Outcome::Elsewhere), "split", "elsewhere"),
        (Answer::of(Outcome::Elsewhere), "place", "elsewhere"),
        (Answer::of(Outcome::Nothing), "sticky", "no answer"),
        (Answer::of(SUBJECT.region_named("ap")), "tail", "ap"),
    ];
    for (wrong, name, told) in rows {
        let subject = only(&SUBJECT, name);
        let asks = asks(&subject, Plane::Dns, 1_000);
        let mut server = right(&subject, &asks, 5);
        let measured = run(&asks, 10_000, |question, i| match i {
            777 => wrong,
            _ => server(question, i),
        });
        let shares = judge(&subject, &asks, &measured, 2);
        let found = service(&shares, name);
        assert_eq!(found.verdict, Verdict::NotAsPromised, "{name}");
        assert_eq!(found.impossible, 1, "{name}");
        let worst = found.worst.as_ref().expect("something is wrong");
        assert!(worst.impossible && worst.country.is_some(), "{worst:?}");
        let outcomes = found.outcomes.iter().map(|o| o.outcome.as_str());
        assert!(
            outcomes.into_iter().any(|outcome| outcome == told),
            "{name}"
        );
    }
}

#[test]
fn swapped_answers_do_not_cancel() {
    let subject = only(&SUBJECT, "sticky");
    let asks = asks(&subject, Plane::Dns, 2_000);
    let mut server = right(&subject, &asks, 5);
    let mut first: Vec<Answer> = (0..2_000).map(|i| server(i, 0)).collect();
    let german = |i: &usize| {
        let country = asks.cells[asks.list[*i].cell as usize].country;
        country.is_some_and(|c| c.code() == "US")
    };
    let a = (0..2_000).find(german).expect("there are some");
    let b = (a + 1..2_000)
        .filter(german)
        .find(|i| first[*i].first != first[a].first);
    first.swap(a, b.expect("they differ"));
    let measured = run(&asks, 2_000, |question, _| first[question]);
    let shares = judge(&subject, &asks, &measured, 2);
    assert_eq!(service(&shares, "sticky").impossible, 2);
}

#[test]
fn a_leak_is_counted_and_named() {
    let subject = only(&SUBJECT, "pinned");
    let population = Population::parse_mix("DE=1,US=1").expect("a mix");
    let asks = Asks::new(&subject, Plane::Dns, &population, 1_000, 4).expect("asked");
    let mut server = right(&subject, &asks, 5);
    let german = |question: usize| {
        let country = asks.cells[asks.list[question].cell as usize].country;
        country.is_some_and(|c| c.code() == "DE")
    };
    let leaked = (0..1_000).find(|q| german(*q)).expect("half of them");
    let measured = run(&asks, 5_000, |question, i| match question == leaked {
        true => Answer::of(SUBJECT.region_named("us")),
        false => server(question, i),
    });
    let shares = judge(&subject, &asks, &measured, 2);
    assert_eq!((shares.leaks.answers, shares.leaks.questions), (5, 1));
    let [leak] = &shares.leaks.told[..] else {
        panic!("{:?}", shares.leaks);
    };
    assert_eq!((leak.country.as_str(), leak.region.as_str()), ("DE", "us"));
    assert_eq!(leak.allowed, ["eu"]);
    assert_eq!(service(&shares, "pinned").verdict, Verdict::NotAsPromised);
}

/// Questions of `place` by these clients (written `address/bits`).
fn asked_by(clients: &[&str]) -> (Subject, Asks) {
    let subject = only(&SUBJECT, "place");
    let clients: Vec<(u16, Client)> = clients
        .iter()
        .map(|text| {
            let (address, bits) = text.split_once('/').expect("address/bits");
            let address: IpAddr = address.parse().expect("an address");
            let known_bits = Some(bits.parse().expect("bits"));
            (
                0,
                Client {
                    known_bits,
                    ..Client::from(address)
                },
            )
        })
        .collect();
    let asks = Asks::listed(&subject, Plane::Dns, subject.names.clone(), clients);
    (subject, asks)
}

#[test]
fn scopes_that_hold_and_that_do_not() {
    // Clients with the scope and region they are told, and how many contradictions that makes.
    type Told<'a> = (&'a str, u8, &'a str);
    let rows: [(&[Told<'_>], u64); 8] = [
        (&[("8.8.8.0/24", 24, "us"), ("8.8.9.0/24", 24, "eu")], 0),
        (&[("8.8.8.0/24", 16, "us"), ("8.8.9.0/24", 24, "eu")], 1),
        (&[("8.8.8.0/24", 16, "us"), ("8.8.9.0/24", 16, "eu")], 2),
        (&[("8.8.8.0/24", 16, "us"), ("8.8.9.0/24", 16, "us")], 0),
        // For everyone: also for those far away, but not for the other family.
        (&[("8.8.8.0/24", 0, "us"), ("200.1.1.0/24", 24, "eu")], 1),
        (&[("8.8.8.0/24", 0, "us"), ("2a01:4f8::/56", 56, "eu")], 0),
        // Longer than what was told: for the told network only.
        (&[("8.8.8.0/24", 32, "us"), ("8.8.9.0/24", 32, "eu")], 0),
        // A network between two that differ from it.
        (
            &[
                ("8.8.7.0/24", 24, "us"),
                ("8.8.8.0/24", 22, "eu"),
                ("8.8.8.128/25", 25, "eu"),
                ("8.8.9.0/24", 24, "ap"),
            ],
            1,
        ),
    ];
    for (told, violations) in rows {
        let clients: Vec<&str> = told.iter().map(|row| row.0).collect();
        let (subject, asks) = asked_by(&clients);
        let measured = run(&asks, told.len(), |question, _| Answer {
            scope: Some(told[question].1),
            ..Answer::of(subject.region_named(told[question].2))
        });
        let shares = judge(&subject, &asks, &measured, 2);
        assert_eq!(shares.scopes.violations, violations, "{told:?}");
        assert_eq!(shares.scopes.told.len() as u64, violations);
    }
}

#[test]
fn a_contradiction_is_named() {
    let (subject, asks) = asked_by(&["8.8.8.0/24", "46.4.0.0/24"]);
    let measured = run(&asks, 2, |question, _| Answer {
        scope: Some([0, 24][question]),
        ..Answer::of(subject.region_named(["us", "eu"][question]))
    });
    let shares = judge(&subject, &asks, &measured, 2);
    let witness = |client: &str, region: &str| Witness {
        client: client.to_owned(),
        regions: vec![region.to_owned()],
    };
    let expected = Contradiction {
        service: "place".to_owned(),
        scope: 0,
        first: witness("8.8.8.0/24", "us"),
        second: witness("46.4.0.0/24", "eu"),
    };
    assert_eq!(shares.scopes.told, [expected]);
}

#[test]
fn only_what_came_before_the_first_step_is_judged() {
    let subject = only(&SUBJECT, "place");
    let mut asks = asks(&subject, Plane::Dns, 500);
    asks.settled = Duration::from_micros(1_000);
    let mut server = right(&subject, &asks, 5);
    let measured = run(&asks, 2_000, |question, i| match i < 1_000 {
        true => server(question, i),
        false => Answer::of(Outcome::Nothing),
    });
    let shares = judge(&subject, &asks, &measured, 2);
    assert_eq!(shares.answers, 1_000);
    assert_eq!(service(&shares, "place").verdict, Verdict::AsPromised);
}

#[test]
fn no_answers_no_judgement() {
    let asks = asks(&SUBJECT, Plane::Dns, 500);
    let shares = judge(&SUBJECT, &asks, &run(&asks, 0, |_, _| unreachable!()), 2);
    let verdicts = shares.services.iter().map(|s| s.verdict);
    assert!(verdicts.into_iter().all(|v| v == Verdict::NotJudged));
}

#[test]
fn a_right_server_is_seldom_called_wrong() {
    // A rare tail, small countries and uneven counts; 25 runs, of which one in a thousand may fail.
    let alarms = (0..25).filter(|seed| {
        let count = 200 + below(mix(*seed, 1), 3_000) as usize;
        let asks = Asks::new(&SUBJECT, Plane::Dns, &Population::World, count, *seed);
        let asks = asks.expect("there are names");
        let answers = 1_000 + below(mix(*seed, 2), 12_000) as usize;
        let measured = run(&asks, answers, right(&SUBJECT, &asks, 1_000 + seed));
        judge(&SUBJECT, &asks, &measured, *seed).broken().count() > 0
    });
    assert!(alarms.count() <= 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever the weights, a right server passes.
    #[test]
    fn any_weights_pass(us in 1_u32..500, eu in 0_u32..500, ap in 1_u32..65_535, seed: u64) {
        let text = config(&format!("{{ us: {us}, eu: {eu}, ap: {ap} }}"), RARE);
        let subject = only(&subject_of(&text), "split");
        let asks = Asks::new(&subject, Plane::Dns, &Population::World, 700, seed).expect("asked");
        let measured = run(&asks, 4_000, right(&subject, &asks, seed ^ 1));
        let shares = judge(&subject, &asks, &measured, seed ^ 2);
        let split = service(&shares, "split");
        prop_assert_eq!(split.verdict, Verdict::AsPromised, "{:?}", split.why);
    }

    /// Neighbours are found whatever the order of the questions, and never where there are none.
    #[test]
    fn every_contradiction_is_found(networks in prop::collection::vec((0_u8..8, 20_u8..=24, 0_usize..2), 1..12)) {
        let texts: Vec<String> = networks.iter().map(|(third, _, _)| format!("8.8.{third}.0/24")).collect();
        let (subject, asks) = asked_by(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let region = |i: usize| ["us", "eu"][networks[i].2];
        let measured = run(&asks, networks.len(), |question, _| Answer {
            scope: Some(networks[question].1),
            ..Answer::of(subject.region_named(region(question)))
        });
        let shares = judge(&subject, &asks, &measured, 2);
        let inside = |a: usize, b: usize| {
            let shift = 24 - networks[a].1;
            networks[a].0 >> shift == networks[b].0 >> shift
        };
        let all = 0..networks.len();
        let wrong = all.clone().filter(|a| all.clone().any(|b| inside(*a, b) && region(*a) != region(b)));
        prop_assert_eq!(shares.scopes.violations, wrong.count() as u64);
    }
}

#[test]
fn answers_that_say_nothing_are_held_against_nothing() {
    let subject = only(&SUBJECT, "pinned");
    let asks = asks(&subject, Plane::Dns, 500);
    let pinned = asks
        .list
        .iter()
        .position(|ask| ask.allowed != RegionSet::ALL);
    let pinned = pinned.expect("Europeans");
    let us = Answer::of(subject.region_named("us"));
    let mut recorder = Recorder::new(&asks, None);
    let (at, latency) = (Duration::ZERO, Duration::from_micros(9));
    // An empty AAAA answer, and a leak in one that not every region publishes.
    recorder.answered_in_part(0, at, latency, Answer::of(Outcome::Nothing));
    recorder.answered_in_part(pinned, at, latency, us);
    let measured = Measured::merge(vec![recorder], Duration::from_secs(1), 2, Cpu::default());
    let shares = judge(&subject, &asks, &measured, 2);
    assert_eq!(service(&shares, "pinned").verdict, Verdict::NotJudged);
    assert_eq!((shares.answers, shares.leaks.answers), (0, 1));
    assert_eq!(shares.leaks.told.len(), 1);

    let of_nobody = run(&asks, 1_000, |_, _| us).of_nobody();
    let shares = judge(&subject, &asks, &of_nobody, 2);
    assert_eq!(service(&shares, "pinned").verdict, Verdict::NotJudged);
    assert_eq!((shares.answers, shares.leaks.answers), (0, 0));
    assert_eq!(shares.leaks.told, []);
    assert_eq!(of_nobody.answered, 1_000);
}

#[test]
fn answers_that_share_a_draw_give_no_false_alarm() {
    // Each draw is answered twice, as A and AAAA of one client are: twice the variance.
    let subject = only(&SUBJECT, "split");
    let alarms = (0..12).filter(|seed| {
        let asks = asks(&subject, Plane::Dns, 2_000);
        let mut server = right(&subject, &asks, *seed);
        let mut measured = run(&asks, 20_000, |question, i| {
            let draw = i % 2_000 + i / 4_000 * 2_000;
            server(question, draw)
        });
        measured.answers_a_draw = 2;
        judge(&subject, &asks, &measured, *seed).broken().count() > 0
    });
    assert_eq!(alarms.count(), 0);
}

#[test]
fn families_that_every_region_publishes() {
    let text = config(PROMISED, RARE);
    let both = text.replace(
        "{ address: \"192.0.2.10:443\" }",
        "{ address: \"192.0.2.10:443\", publish: [192.0.2.10, \"2001:db8::10\"] }",
    );
    let subject = subject_of(&both);
    let id = |name: &str| subject.snapshot.table().service(name).expect("it is there");
    assert!(subject.publishes(id("split"), Family::V4));
    assert!(
        !subject.publishes(id("split"), Family::V6),
        "only one region does"
    );
    let us = text.replace("split: { policy: split", "split: { policy: us");
    let subject = subject_of(&us.replace("192.0.2.10:443", "[2001:db8::10]:443"));
    assert!(subject.publishes(id("split"), Family::V6));
    assert!(!subject.publishes(id("split"), Family::V4));
}
