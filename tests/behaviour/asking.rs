//! `rhumb dns query`: what it prints is what is answered, with the reasons of the snapshot that answers.

use crate::harness::pop::Pop;
use crate::parity::demo_config;
use serde_json::Value;
use std::process::{Command, Output};

const EXAMPLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/deploy/examples/authoritative.yaml"
);

fn query(args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_rhumb"))
        .args(["dns", "query"])
        .args(args)
        .env_remove("RHUMB_CONFIG")
        .output();
    output.expect("the binary runs")
}

fn json(args: &[&str]) -> Value {
    let output = query(&[args, &["--format", "json"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn of_example(args: &[&str]) -> Value {
    json(&[args, &["--config", EXAMPLE]].concat())
}

/// What was found of a kind.
fn found<'a>(told: &'a Value, what: &str) -> &'a str {
    let found = told["why"]["found"].as_array().expect("reasons");
    let line = found.iter().find(|line| line[0] == what);
    line.and_then(|line| line[1].as_str()).unwrap_or_default()
}

#[test]
fn a_config_answers_with_its_reasons() {
    let told = of_example(&["www.example.com", "A", "--subnet", "8.8.8.0/24"]);
    assert_eq!(told["status"], "NOERROR");
    assert_eq!(told["answer"][0], "www.example.com. 60 IN A 192.0.2.10");
    assert_eq!(found(&told, "name"), "steered, by service www");
    assert!(told["why"]["decision"].to_string().contains("pool us"));
    assert!(
        told["edns"][0]
            .to_string()
            .contains("CLIENT-SUBNET: 8.8.8.0/24/"),
        "{told:#}"
    );
    for (args, status, name) in [
        (&["nope.example.com"][..], "NXDOMAIN", "does not exist"),
        (
            &["mail.example.com", "TXT"],
            "NOERROR",
            "exists, without TXT records",
        ),
        (&["mail.example.com", "AAAA"], "NOERROR", "static records"),
        (
            &["x.lab.example.com"],
            "NOERROR",
            "delegated to lab.example.com. by its NS records",
        ),
        (
            &["a.b.apps.example.com"],
            "NOERROR",
            "static records; not there itself, the wildcard *.apps.example.com. stands for it",
        ),
        (
            &["shop.example.com"],
            "NOERROR",
            "an alias; where it leads: steered, by service www",
        ),
        (
            &["static.example.com"],
            "NOERROR",
            "steered, by service static",
        ),
        (&["www.example.org"], "REFUSED", ""),
    ] {
        let told = of_example(args);
        assert_eq!(
            (told["status"].as_str(), found(&told, "name")),
            (Some(status), name)
        );
    }
    let refused = of_example(&["x.files.example.com", "--from", "46.4.0.1", "--down", "eu"]);
    let edns = refused["edns"].to_string();
    assert!(
        edns.contains("EDE: 18 (Prohibited): (residency_exhausted)"),
        "{edns}"
    );
}

#[test]
fn what_cannot_be_asked_is_said() {
    for (args, code, says) in [
        (&["a..b", "--config", EXAMPLE][..], 2, "a label is empty"),
        (
            &["a.test", "BOGUS", "--config", EXAMPLE],
            2,
            "BOGUS: not a record type",
        ),
        (
            &["a.test", "--subnet", "8.8.8", "--config", EXAMPLE],
            2,
            "8.8.8.0/24",
        ),
        (&["a.test", "--server", "here"], 2, "--server here"),
        (
            &["a.test", "--down", "nobody", "--config", EXAMPLE],
            1,
            "nobody",
        ),
        // Nobody listens there: the discard port of loopback.
        (
            &["a.test", "--server", "127.0.0.1:9"],
            9,
            "no reply from 127.0.0.1:9",
        ),
    ] {
        let output = query(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
        assert!(error.contains(says), "{args:?}: {error}");
    }
}

#[test]
fn a_running_pop_answers_and_gives_the_reasons_of_that_answer() {
    let pop = Pop::start(&demo_config());
    let (server, admin) = (pop.places.dns.to_string(), pop.places.admin.to_string());
    for name in ["us.demo.test", "weighted.demo.test", "api.demo.test"] {
        for subnet in ["8.8.8.0/24", "46.4.0.0/16"] {
            let told = json(&[
                name, "--server", &server, "--admin", &admin, "--subnet", subnet,
            ]);
            assert_eq!(told["status"], "NOERROR");
            let answer = told["answer"][0].as_str().expect("an answer");
            let address = answer.rsplit(' ').next().expect("an address");
            let why = told["why"]["decision"].to_string();
            assert!(why.contains(&format!("{address}:")), "{told:#}");
            assert_eq!(told["why"]["generation"], pop.generation());
        }
    }
    let over_tcp = query(&["us.demo.test", "--server", &server, "--tcp"]);
    let text = String::from_utf8_lossy(&over_tcp.stdout);
    assert!(
        over_tcp.status.success() && text.contains("over tcp"),
        "{text}"
    );
    assert!(
        !text.contains("WHY"),
        "no admin address, no reasons: {text}"
    );
}
