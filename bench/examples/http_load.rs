//! Puts load on an HTTP server and prints what it cost: for side-by-side looks at the generator itself.
//! `cargo run --release -p rhumb-bench --example http_load -- CONFIG ADDRESS [name=value …]`

use bench::asks::Asks;
use bench::clients::Population;
use bench::generate::http::{Connections, Options, Prepared, Tls, Told, Version};
use bench::load::{Live, Load, Pace};
use bench::subject::Subject;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use steering::{Plane, Snapshot, Table, Timestamp};

type Problem = Box<dyn std::error::Error>;

fn main() -> Result<(), Problem> {
    let mut words = std::env::args().skip(1);
    let (Some(config), Some(server)) = (words.next(), words.next()) else {
        return Err("usage: http_load CONFIG ADDRESS [connections=64 in_flight=64 rate=R seconds=5 \
                    threads=1 cpu=1 path=/ tls h2=STREAMS per_request told=xff|forwarded|v1|v2|none \
                    idle=N body service=NAME client=ADDRESS]"
            .into());
    };
    let given: HashMap<String, String> = words
        .map(|word| {
            let (name, value) = word.split_once('=').unwrap_or((&word, ""));
            (name.to_owned(), value.to_owned())
        })
        .collect();
    let number = |name: &str| given.get(name).and_then(|n| n.parse::<f64>().ok());
    let count = |name: &str, otherwise: usize| number(name).map_or(otherwise, |n| n as usize);
    let subject = subject(&config)?.only(
        &given
            .get("service")
            .cloned()
            .into_iter()
            .collect::<Vec<_>>(),
    )?;
    let clients = match given.get("client") {
        Some(client) => Population::Listed(vec![client.parse()?]),
        None => Population::World,
    };
    let asks = Asks::new(&subject, Plane::Http, &clients, 50_000, 1)?;
    let connections = count("connections", 64);
    let mut options = Options::new(server.parse()?, connections);
    options.path = given.get("path").cloned();
    options.tls = given.contains_key("tls").then(Tls::default);
    options.region_in_body = given.contains_key("body");
    options.idle_connections = count("idle", 0);
    if given.contains_key("per_request") {
        options.connection = Connections::PerRequest;
    }
    if given.contains_key("h2") {
        options.version = Version::H2 {
            streams: count("h2", 1),
        };
    }
    options.told = match given.get("told").map(String::as_str) {
        Some("forwarded") => Told::Forwarded,
        Some("v1") => Told::ProxyV1,
        Some("v2") => Told::ProxyV2,
        Some("none") => Told::Nothing,
        _ => Told::XForwardedFor,
    };
    let in_flight = count("in_flight", connections);
    let load = Load {
        pace: number("rate").map_or(Pace::Closed { in_flight }, |rate| Pace::Open { rate }),
        duration: Duration::from_secs_f64(number("seconds").unwrap_or(5.0)),
        threads: count("threads", 1),
        processors: number("cpu").map(|cpu| cpu as usize).into_iter().collect(),
        ..Load::default()
    };
    let prepared = Prepared::new(&subject, &asks, &options, load.timeout)?;
    let measured = prepared.run(&load, &Live::new(&load))?;
    let cpu = measured.own_cpu.micros_each(measured.answered);
    eprintln!(
        "{:.0}/s  own cpu {:.2} us ({:.2} user, {:.2} system)  p50 {} us  p99 {} us  max {} us  sent {} answered {}  {:?}  {}",
        measured.rate(),
        cpu.total(),
        cpu.user,
        cpu.system,
        measured.latency.value_at_quantile(0.5) / 1000,
        measured.latency.value_at_quantile(0.99) / 1000,
        measured.latency.max() / 1000,
        measured.sent,
        measured.answered,
        measured.errors,
        measured.limited.as_deref().unwrap_or("")
    );
    Ok(())
}

fn subject(config: &str) -> Result<Subject, Problem> {
    let loaded = config::load(Path::new(config));
    let checked = loaded
        .checked
        .ok_or_else(|| format!("{:?}", loaded.problems))?;
    let table = Table::compile(checked.table.clone()).map_err(|e| format!("{e:?}"))?;
    let snapshot = Snapshot::new(table.into(), geoip::embedded(), Timestamp(1));
    Ok(Subject::new(&checked, &snapshot)?)
}
