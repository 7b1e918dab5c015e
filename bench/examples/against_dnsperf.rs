//! This generator beside dnsperf: the same names of one config asked of one server, in alternating
//! rounds, from the same processor. For each round: answers a second, and the processor time that the
//! generator spent on each, in its own code and in the kernel. The server is yours to start, best bound
//! to another processor: `taskset -c 0 rhumb demo`.
//!
//! `cargo run --release -p rhumb-bench --example against_dnsperf -- SERVER CONFIG [IN_FLIGHT] [ROUNDS] [SECONDS] [SOCKETS] [PID] [tcp]`
//!
//! With the server's process ID (not 0) its processor time is told, too; with `tcp` the sockets are
//! connections that stay.

#![expect(clippy::print_stdout, reason = "a program whose output is its purpose")]

use bench::asks::Asks;
use bench::clients::Population;
use bench::generate::dns::{Options, Transport, Types, run};
use bench::load::{Live, Load, Pace};
use bench::procfs::{Cpu, tree_cpu};
use bench::subject::Subject;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use std::error::Error;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;
use steering::{Plane, Snapshot, Table, Timestamp};

/// Where both generators run.
const PROCESSOR: usize = 1;
const CLIENTS: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, config, rest @ ..] = &arguments[..] else {
        return Err("give SERVER and CONFIG".into());
    };
    let number = |i: usize, default: u64| rest.get(i).map_or(Ok(default), |text| text.parse());
    let (in_flight, rounds, seconds) = (number(0, 100)?, number(1, 5)?, number(2, 5)?);
    let (sockets, pid) = (number(3, 4)?, number(4, 0)? as u32);
    let server: SocketAddr = server.parse()?;
    let subject = subject(config)?;
    let asks = Asks::new(&subject, Plane::Dns, &Population::World, CLIENTS, 1)?;
    let options = Options {
        ecs: false,
        edns: None,
        types: Types::A,
        sockets: sockets as usize,
        transport: match rest.get(5).map(String::as_str) {
            Some("tcp") => Transport::Tcp {
                connections: sockets as usize,
                queries: None,
            },
            _ => Transport::Udp,
        },
        ..Options::new(server)
    };
    let load = Load {
        pace: Pace::Closed {
            in_flight: in_flight as usize,
        },
        duration: Duration::from_secs(seconds),
        processors: vec![PROCESSOR],
        slice: None,
        warmup: Duration::ZERO,
        ..Load::default()
    };
    println!(
        "| round | generator | answers/s | user us | system us | server us | server busy | lost |\n\
         |---|---|---|---|---|---|---|---|"
    );
    for round in 1..=rounds {
        let row = |who: &str, answers: u64, cpu: Cpu, server: Cpu, lost: u64| {
            let each = cpu.micros_each(answers);
            println!(
                "| {round} | {who} | {:.0} | {:.2} | {:.2} | {:.2} | {:.0} % | {lost} |",
                answers as f64 / seconds as f64,
                each.user,
                each.system,
                server.micros_each(answers).total(),
                server.share_of(Duration::from_secs(seconds)) * 100.0
            );
        };
        let before = tree_cpu(pid);
        let ours = run(&subject, &asks, &options, &load, &Live::new(&load))?;
        let spent = tree_cpu(pid) - before;
        row("ours", ours.answered, ours.own_cpu, spent, ours.failed());
        if let Some(why) = &ours.limited {
            println!("| | | {why} | | | | | |");
        }
        let before = tree_cpu(pid);
        let (answers, lost, cpu) = dnsperf(&options, &asks, in_flight, seconds)?;
        row("dnsperf", answers, cpu, tree_cpu(pid) - before, lost);
    }
    Ok(())
}

fn subject(path: &str) -> Result<Subject, Box<dyn Error>> {
    let loaded = config::load(std::path::Path::new(path));
    let checked = loaded
        .checked
        .ok_or_else(|| format!("{:?}", loaded.problems))?;
    let table = Table::compile(checked.table.clone()).map_err(|e| format!("{e:?}"))?;
    let snapshot = Snapshot::new(table.into(), geoip::embedded(), Timestamp(1));
    Ok(Subject::new(&checked, &snapshot)?)
}

/// Answers, losses, and what the child spent.
fn dnsperf(
    options: &Options,
    asks: &Asks,
    in_flight: u64,
    seconds: u64,
) -> Result<(u64, u64, Cpu), Box<dyn Error>> {
    let mut names = String::new();
    for ask in &asks.list {
        writeln!(names, "{} A", asks.target(ask).name)?;
    }
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), names)?;
    let (address, sockets) = (options.server, options.sockets);
    let mode = match options.transport {
        Transport::Udp => "udp",
        Transport::Tcp { .. } => "tcp",
        Transport::Dot { .. } => "dot",
    };
    let command = format!(
        "-c {PROCESSOR} dnsperf -s {} -p {} -m {mode} -l {seconds} -q {in_flight} -c {sockets} -T 1 -d",
        address.ip(),
        address.port()
    );
    let before = children();
    let output = Command::new("taskset")
        .args(command.split(' '))
        .arg(file.path())
        .output()?;
    let spent = children() - before;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let count = |what: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(what));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
    };
    let answers = count("Queries completed:").ok_or_else(|| format!("dnsperf said: {text}"))?;
    Ok((answers, count("Queries lost:").unwrap_or(0), spent))
}

/// What ended children have spent.
fn children() -> Cpu {
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    getrusage(UsageWho::RUSAGE_CHILDREN).map_or_else(
        |_| Cpu::default(),
        |usage| Cpu {
            user: seconds(usage.user_time()),
            system: seconds(usage.system_time()),
        },
    )
}
