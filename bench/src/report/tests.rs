//! Reports of simulated runs: what they say (held by files in `golden/`, which `UPDATE_GOLDEN=1` writes
//! again), that nothing is wider than its page, and that the page is whole and stands alone.

use super::*;
use crate::asks::Asks;
use crate::clients::Population;
use crate::load::Pace;
use crate::procfs::Cpu;
use crate::record::{Answer, ErrorKind, Measured, Outcome, Recorder, RegionSet};
use crate::scenario::Failover;
use crate::shares::judge;
use crate::shares::tests::{PROMISED, RARE, config, subject_of};
use crate::subject::Subject;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;
use steering::draw::{below, mix};
use steering::{Client, Want};

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| {
    let wanted = ["split", "place", "pinned"].map(str::to_owned);
    let subject = subject_of(&config(PROMISED, RARE));
    subject.only(&wanted).expect("they are there")
});

const ANSWERS: u64 = 30_000;
const SECONDS: f64 = 30.0;

/// What becomes of one question.
enum Fate {
    Answered(Answer),
    Failed(ErrorKind),
}

fn asks() -> Asks {
    let population = Population::parse_mix("DE=40,US=30,SG=20,BR=10").expect("a mix");
    let mut asks = Asks::new(&SUBJECT, Plane::Dns, &population, 5_000, 3).expect("names");
    // Somebody of whom only a small network is known, beside somebody else.
    asks.list[0].client = Client {
        known_bits: Some(24),
        ..Client::from(std::net::IpAddr::from([8, 8, 8, 0]))
    };
    asks
}

/// Half a minute of answers, made by `fate` from what is right: (question, seconds, which, right answer).
fn run(asks: &Asks, fate: impl Fn(usize, f64, u64, Answer) -> Fate) -> Measured {
    let mut recorder = Recorder::new(asks, Some(Duration::from_millis(250)));
    for i in 0..ANSWERS {
        let question = (i % asks.list.len() as u64) as usize;
        let ask = &asks.list[question];
        let want = Want::dns(mix(i, 4));
        let service = asks.target(ask).service;
        let decision = SUBJECT
            .snapshot
            .decide(service, &ask.client, want, &mut steering::Silent);
        let right = Answer {
            scope: Some(decision.scope),
            ..SUBJECT.promise_whole(service, &ask.client, want)
        };
        let at = SECONDS * i as f64 / ANSWERS as f64;
        let moment = Duration::from_secs_f64(at);
        // Most are quick, one in a thousand is slow.
        let slow = match below(mix(i, 9), 1_000) {
            0 => 20_000,
            1..=9 => 3_000,
            n => n / 3,
        };
        let latency = Duration::from_micros(180 + slow + below(mix(i, 8), 60));
        match fate(question, at, i, right) {
            Fate::Answered(answer) => recorder.answered(question, moment, latency, answer),
            Fate::Failed(kind) => recorder.failed(question, moment, kind),
        }
    }
    let cpu = Cpu {
        user: 4.5,
        system: 7.5,
    };
    Measured::merge(
        vec![recorder],
        Duration::from_secs_f64(SECONDS),
        ANSWERS,
        cpu,
    )
}

fn about() -> About {
    About {
        title: "A <run> & its answers".to_owned(),
        command: "rhumb bench dns --server 127.0.0.1:5353 --config bench.yaml --clients DE=40,US=30,SG=20,BR=10"
            .to_owned(),
        server: "127.0.0.1:5353".to_owned(),
        config: "bench.yaml".to_owned(),
        plane: About::plane(Plane::Dns).to_owned(),
        transport: "UDP".to_owned(),
        machine: Machine {
            processor: "A processor of 2 GHz".to_owned(),
            processors: 2,
            memory: 8_000_000_000,
            kernel: "6.1.0".to_owned(),
            system: "Debian 12".to_owned(),
            ..Machine::default()
        },
        versions: vec![("rhumb".to_owned(), "0.1.0".to_owned())],
        date: "2026-02-03 04:05 UTC".to_owned(),
    }
}

fn load() -> Load {
    Load {
        pace: Pace::Open { rate: 1_000.0 },
        duration: Duration::from_secs_f64(SECONDS),
        ..Load::default()
    }
}

fn right() -> Report {
    let asks = asks();
    let measured = run(&asks, |_, _, _, right| Fate::Answered(right));
    let shares = judge(&SUBJECT, &asks, &measured, 1);
    Report::new(about(), &SUBJECT, &asks, &measured, shares, &[], &load())
}

fn failover(service: &str, last_wrong: f64, within: bool) -> Failover {
    let at = |seconds: f64| Some(Duration::from_secs_f64(seconds));
    Failover {
        service: service.to_owned(),
        plane: "dns",
        first_probe: at(0.412),
        decided: at(1.45),
        first_right: at(1.46),
        last_wrong: at(last_wrong),
        last_failed: at(0.0),
        wrong: 431,
        failed: 12,
        ttl: at(5.0),
        rto: at(10.0),
        within_rto: Some(within),
    }
}

/// Everything that can be wrong: shares, a leak, a scope, failures, an objective, a generator that limits.
fn wrong() -> Report {
    let mut asks = asks();
    asks.settled = Duration::from_secs(10);
    let us = SUBJECT.region_named("us");
    let eu = SUBJECT.region_named("eu");
    let german = |question: usize| {
        let country = asks.cells[asks.list[question].cell as usize].country;
        country.is_some_and(|country| country.code() == "DE")
    };
    let mut measured = run(&asks, |question, at, i, right| {
        let failing = (10.0..12.5).contains(&at) && right.first == eu;
        let free = asks.list[question].allowed == RegionSet::ALL;
        let moved = (12.5..20.0).contains(&at) && right.first == eu && free;
        let pinned = asks.list[question].allowed != RegionSet::ALL;
        let answer = match i % 1_000 {
            _ if failing && i % 3 == 0 => return Fate::Failed(ErrorKind::Timeout),
            _ if moved => Answer::of(us),
            17 if !german(question) => return Fate::Failed(ErrorKind::Rcode(2)),
            _ if i % 101 == 50 && pinned => Answer::of(us),
            600..700 => Answer {
                first: eu,
                ..Answer::of(eu)
            },
            800 => Answer::of(Outcome::Elsewhere),
            _ => right,
        };
        Fate::Answered(match question {
            1 => Answer {
                scope: Some(0),
                ..answer
            },
            _ => answer,
        })
    });
    measured.limited = Some("it took 97 % of its processor".to_owned());
    let shares = judge(&SUBJECT, &asks, &measured, 1);
    let step = |at: u64, what: &str, failovers: Vec<Failover>| Event {
        at: Duration::from_secs(at),
        what: what.to_owned(),
        failovers,
    };
    let events = [
        step(
            10,
            "fail region eu",
            vec![
                failover("place", 2.5, true),
                failover("pinned", 8.25, false),
            ],
        ),
        step(
            20,
            "heal region eu",
            vec![Failover {
                last_wrong: None,
                last_failed: None,
                ttl: None,
                rto: None,
                within_rto: None,
                ..failover("place", 0.0, true)
            }],
        ),
        step(21, "rate 2000", Vec::new()),
    ];
    Report::new(
        about(),
        &SUBJECT,
        &asks,
        &measured,
        shares,
        &events,
        &load(),
    )
}

static RIGHT: LazyLock<Report> = LazyLock::new(right);
static WRONG: LazyLock<Report> = LazyLock::new(wrong);

fn golden(name: &str, told: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/report/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, told).expect("the folder is there");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        told == expected,
        "{name} differs; if it should, write it again with UPDATE_GOLDEN=1:\n{told}"
    );
}

#[test]
fn reports_read_as_they_should() {
    golden("right.txt", &RIGHT.text(100));
    golden("wrong.txt", &WRONG.text(100));
    golden("wrong.md", &WRONG.markdown());
}

#[test]
fn what_fails_a_run() {
    assert_eq!(RIGHT.failures(), [] as [&str; 0]);
    assert!(!RIGHT.failed());
    let reasons = WRONG.failures().join("\n");
    let wanted = [
        "service split:",
        "residency forbids",
        "told a resolver more",
        "service pinned: after `fail",
    ];
    for reason in wanted {
        assert!(reasons.contains(reason), "{reason} in {reasons}");
    }
    let asks = asks();
    let nothing = run(&asks, |_, _, _, _| Fate::Failed(ErrorKind::Timeout));
    let shares = judge(&SUBJECT, &asks, &nothing, 1);
    let report = Report::new(about(), &SUBJECT, &asks, &nothing, shares, &[], &load());
    assert_eq!(report.failures(), ["no answer came from 127.0.0.1:5353"]);
    assert!(report.html().contains("no answer came"));
    assert!(report.text(80).contains("timeout"));
}

#[test]
fn text_keeps_to_its_width() {
    for width in [60, 80, 100, 140] {
        for report in [&RIGHT, &WRONG] {
            let text = report.text(width);
            let widest = text.lines().max_by_key(|line| line.chars().count());
            let widest = widest.expect("there are lines");
            // A word that is longer than the page is not broken.
            assert!(widest.chars().count() <= width.max(78), "{width}: {widest}");
        }
    }
}

#[test]
fn json_is_versioned_and_whole() {
    let text = WRONG.json().expect("plain data");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["report"], 1);
    assert_eq!(json["latency"]["from"], "due");
    assert_eq!(json["events"][0]["failovers"][1]["within_rto"], false);
    assert_eq!(json["shares"]["services"][0]["verdict"], "not_as_promised");
    assert!(
        json["shares"]["leaks"]["answers"]
            .as_u64()
            .is_some_and(|n| n > 0)
    );
    let slices = json["timeline"]["answered"].as_array().map(Vec::len);
    assert_eq!(slices, Some(120));
}

/// Elements that HTML does not close.
const VOID: [&str; 2] = ["meta", "!DOCTYPE"];

/// Every element is closed in its place, and every attribute is quoted.
fn well_formed(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, next) = after.split_once('>').expect("every tag ends");
        rest = next;
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop(),
                Some(name),
                "before {}",
                &next[..next.len().min(80)]
            );
        } else if !tag.ends_with('/') {
            let name = tag.split([' ', '\n']).next().unwrap_or_default();
            if !VOID.contains(&name) {
                open.push(name);
            }
        }
    }
    assert_eq!(open, [] as [&str; 0]);
}

#[test]
fn the_page_is_whole_and_stands_alone() {
    for (name, report) in [("right", &RIGHT), ("wrong", &WRONG)] {
        let html = report.html();
        if let Some(folder) = std::env::var_os("PAGES") {
            let path = Path::new(&folder).join(format!("{name}.html"));
            std::fs::write(path, &html).expect("the folder is there");
        }
        well_formed(&html);
        let alone = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for outside in [
            "http:", "https:", "<script", "<link", "<img", "@import", "url(", "src=",
        ] {
            assert!(!alone.contains(outside), "{outside}");
        }
        assert!(html.contains("A &lt;run&gt; &amp; its answers"));
        assert_eq!(
            html.matches("<svg").count(),
            html.matches("<title>").count() - 1
        );
        assert_eq!(html.matches("<desc>").count(), html.matches("<svg").count());
        assert!(html.matches("<svg").count() >= 12, "charts in both widths");
    }
}

#[test]
fn a_region_has_one_colour_everywhere() {
    let html = WRONG.html();
    for (i, _) in WRONG.regions.iter().enumerate() {
        let class = chart::Ink::Region(i).class();
        assert!(
            html.matches(&format!("class=\"{class}\"")).count() >= 4,
            "{class}"
        );
    }
    // No colour is left that does not follow light and dark.
    assert!(!html.contains("fill=\"#") && !html.contains("stroke=\"#"));
}

#[test]
fn charts_of_next_to_nothing_are_charts() {
    let none = chart::latency(&[], &[], chart::Width::Wide);
    let zero = [0.0, 0.0];
    let line = chart::Line {
        name: "none",
        ink: chart::Ink::Main,
        values: &zero,
        filled: true,
    };
    let lines = chart::lines(
        "none",
        1.0,
        &[line],
        &[0.5],
        chart::short,
        chart::Width::Narrow,
    );
    let part = chart::Part {
        name: "none".to_owned(),
        ink: chart::Ink::Nowhere,
        counts: vec![0, 3, 0],
    };
    let parts = chart::parts("none", 1.0, &[part], &[0.5, 0.5, 9.0], chart::Width::Narrow);
    let bars = chart::bars("none", "s", &[]);
    for svg in [none, lines, parts, bars] {
        well_formed(&svg);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
