//! Opens very many DNS connections (TCP, or DoT) to a server, asks once on each, and holds them: how many are served,
//! refused and closed, and what the server's memory does.
//! `cargo run --release -p rhumb-bench --example crowd -- SERVER NAME [count=100000 pid=PID tls addresses=5000]`
//!
//! Clients come from addresses all over 127.0.0.0/8, so the server must be on this machine. A process may have only so
//! many connections; for more, this one starts others of itself.

use rustls::pki_types::ServerName;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

type Problem = Box<dyn std::error::Error + Send + Sync>;

/// How many connections one process has at most.
const PER_PROCESS: usize = 15_000;
/// How many handshakes a process makes at a time.
const AT_ONCE: usize = 128;
/// How long one connection may take to be made and to answer.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<(), Problem> {
    let mut words = std::env::args().skip(1);
    let (Some(server), Some(name)) = (words.next(), words.next()) else {
        return Err("usage: crowd SERVER NAME [count=100000 pid=PID tls addresses=5000]".into());
    };
    let given: HashMap<String, String> = words
        .map(|word| {
            let (name, value) = word.split_once('=').unwrap_or((&word, ""));
            (name.to_owned(), value.to_owned())
        })
        .collect();
    let number = |name: &str, otherwise: usize| {
        let written = given.get(name).and_then(|n| n.parse().ok());
        written.unwrap_or(otherwise)
    };
    let count = number("count", 100_000);
    let crowd = Crowd {
        server: server.parse()?,
        query: query(&name),
        tls: given.contains_key("tls"),
        first: number("first", 0),
        addresses: number("addresses", 5_000),
        count,
    };
    if given.contains_key("first") {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        return runtime.block_on(crowd.hold());
    }
    let memory = || {
        let pid = given.get("pid")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    parent(&server, &name, &crowd, memory)
}

/// Starts as many of itself as are needed, and sums up what they say.
fn parent(
    server: &str,
    name: &str,
    crowd: &Crowd,
    memory: impl Fn() -> Option<u64>,
) -> Result<(), Problem> {
    let before = memory();
    let started = Instant::now();
    let mut children: Vec<Child> = Vec::new();
    for first in (0..crowd.count).step_by(PER_PROCESS) {
        let count = PER_PROCESS.min(crowd.count - first);
        let mut command = Command::new(std::env::current_exe()?);
        command.args([server, name]);
        command.args([format!("first={first}"), format!("count={count}")]);
        command.arg(format!("addresses={}", crowd.addresses));
        command.args(crowd.tls.then_some("tls"));
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        children.push(child);
    }
    let sum = |children: &mut Vec<Child>| -> Result<[usize; 4], Problem> {
        let mut sums = [0; 4];
        for child in children {
            let mut line = String::new();
            // Unbuffered beyond the line: there is one line at a time.
            let out = child.stdout.as_mut().ok_or("a child without output")?;
            BufReader::with_capacity(1, out).read_line(&mut line)?;
            for (sum, number) in sums.iter_mut().zip(line.split_whitespace()) {
                *sum += number.parse::<usize>()?;
            }
        }
        Ok(sums)
    };
    let [connected, answered, refused, _] = sum(&mut children)?;
    let took = started.elapsed();
    let with = memory();
    for child in &mut children {
        let input = child.stdin.as_mut().ok_or("a child without input")?;
        input.write_all(b"look\n")?;
    }
    let [open, ..] = sum(&mut children)?;
    for mut child in children {
        drop(child.stdin.take());
        child.wait()?;
    }
    std::thread::sleep(Duration::from_secs(1));
    let after = memory();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{connected} connected, {answered} answered, {refused} refused or broken off, in {took:.1?}"
    )?;
    writeln!(out, "{open} still open when all had come")?;
    if let (Some(before), Some(with), Some(after)) = (before, with, after) {
        writeln!(
            out,
            "server's memory: {before} KiB before, {with} KiB with them, {after} KiB after"
        )?;
        let each = with.saturating_sub(before) as f64 * 1024.0 / open.max(1) as f64;
        writeln!(out, "{each:.0} octets for each open connection")?;
    }
    Ok(())
}

/// Connections of one process.
struct Crowd {
    server: SocketAddr,
    query: Vec<u8>,
    tls: bool,
    first: usize,
    addresses: usize,
    count: usize,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Crowd {
    /// Opens all, says how that went, looks again when told, and ends when told.
    async fn hold(self) -> Result<(), Problem> {
        let crowd = Arc::new(self);
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let mut opening = JoinSet::new();
        for i in crowd.first..crowd.first + crowd.count {
            let (crowd, permits) = (crowd.clone(), permits.clone());
            opening.spawn(async move {
                let _permit = permits.acquire().await;
                timeout(PATIENCE, crowd.open(i)).await.ok()?.ok()
            });
        }
        let (mut streams, mut connected, mut answered) = (Vec::new(), 0, 0);
        while let Some(opened) = opening.join_next().await {
            if let Some((stream, is_answered)) = opened? {
                connected += 1;
                answered += usize::from(is_answered);
                streams.push(stream);
            }
        }
        say([connected, answered, crowd.count - answered, 0])?;
        let mut word = [0; 5];
        tokio::task::spawn_blocking(move || std::io::stdin().read_exact(&mut word)).await??;
        let mut open = 0;
        for stream in &mut streams {
            let mut octet = [0];
            let read = timeout(Duration::from_micros(50), stream.read(&mut octet)).await;
            open += usize::from(read.is_err());
        }
        say([open, 0, 0, 0])?;
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
        Ok(())
    }

    /// The `i`th connection, and whether it was answered.
    async fn open(&self, i: usize) -> Result<(Box<dyn Stream>, bool), Problem> {
        let socket = TcpSocket::new_v4()?;
        let [b, c] = ((i % self.addresses) as u16).to_be_bytes();
        socket.bind((Ipv4Addr::new(127, 77, b, c), 0).into())?;
        let stream = socket.connect(self.server).await?;
        let mut stream: Box<dyn Stream> = if self.tls {
            let connector = TlsConnector::from(bench::generate::dns::dot()?);
            let name = ServerName::try_from("dns.test")?;
            Box::new(connector.connect(name, stream).await?)
        } else {
            Box::new(stream)
        };
        let asked = async {
            stream.write_all(&self.query).await?;
            stream.flush().await?;
            let length = stream.read_u16().await?;
            let mut answer = vec![0; usize::from(length)];
            stream.read_exact(&mut answer).await
        };
        let answered = asked.await.is_ok();
        Ok((stream, answered))
    }
}

fn say(numbers: [usize; 4]) -> std::io::Result<()> {
    let text: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.join(" "))?;
    out.flush()
}

/// A query for an address, with its length.
fn query(name: &str) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.trim_end_matches('.').split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    [&(packet.len() as u16).to_be_bytes(), &packet[..]].concat()
}
