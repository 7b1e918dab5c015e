//! Whole runs on loopback against responders that behave as they are told; here what the tests of both
//! transports share.

use super::*;
use crate::asks::Ask;
use crate::load::Pace;
use crate::record::{ErrorKind, Outcome, RegionSet};
use crate::subject::Target;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use steering::{Client, RegionId, ServiceId};

mod tcp;
mod udp;

/// UDP to nobody, with everything on.
pub fn options() -> Options {
    Options::new("127.0.0.1:9".parse().expect("an address"))
}

/// A client that a resolver tells `bits` of.
pub fn client(address: &str, bits: u8) -> Client {
    let address: IpAddr = address.parse().expect("an address");
    Client {
        known_bits: Some(bits),
        ..Client::from(address)
    }
}

/// `count` questions for these names in turn, of IPv4 and IPv6 clients in turn.
pub fn dns_asks(names: &[&str], count: usize) -> Asks {
    let targets = names.iter().map(|name| Target {
        service: ServiceId::at(0),
        name: (*name).to_owned(),
        path: "/".to_owned(),
    });
    let list = (0..count).map(|i| Ask {
        target: (i % names.len()) as u16,
        client: match i % 2 {
            0 => client("198.51.100.0", 24),
            _ => client("2001:db8:7::", 56),
        },
        allowed: RegionSet::ALL,
        cell: 0,
    });
    Asks {
        plane: Plane::Dns,
        list: list.collect(),
        targets: targets.collect(),
        cells: Vec::new(),
        regions: 0,
        settled: Duration::ZERO,
    }
}

/// A server on loopback that answers question `n` with the messages that `reply` makes of it.
struct Responder {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<u64>>,
}

impl Responder {
    fn udp(reply: impl Fn(u64, &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket on loopback");
        let tick = Duration::from_millis(10);
        socket.set_read_timeout(Some(tick)).expect("a timeout");
        let address = socket.local_addr().expect("it is bound");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut buffer = [0; 2048];
            let mut n = 0;
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                for message in reply(n, &buffer[..len]) {
                    let _ = socket.send_to(&message, from);
                }
                n += 1;
            }
            n
        });
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }

    /// Over TCP: what `reply` makes of question `n` of a connection goes out as it is, and then the
    /// connection is closed if it says so.
    fn tcp(reply: impl Fn(u64, &[u8]) -> (Vec<u8>, bool) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket on loopback");
        listener.set_nonblocking(true).expect("it can be polled");
        let address = listener.local_addr().expect("it is bound");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut connections = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(1));
                    continue;
                };
                let reply = reply.clone();
                connections.push(thread::spawn(move || serve(stream, reply)));
            }
            connections.into_iter().map(|c| c.join().unwrap_or(0)).sum()
        });
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }

    /// How many questions came.
    fn finish(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is finished once");
        thread.join().expect("the responder does not panic")
    }
}

/// Octets of the header and the question.
fn question_end(query: &[u8]) -> usize {
    let mut at = 12;
    while query[at] != 0 {
        at += 1 + usize::from(query[at]);
    }
    at + 5
}

/// An answer with address number `n` of the family that was asked for.
fn answered(query: &[u8], n: u8) -> Vec<u8> {
    let end = question_end(query);
    let mut message = query[..end].to_vec();
    message[2..12].copy_from_slice(&[0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
    let rtype = query[end - 3];
    let address: Vec<u8> = match rtype {
        1 => vec![192, 0, 2, n],
        _ => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n.into())
            .octets()
            .to_vec(),
    };
    message.extend([
        0xc0,
        12,
        0,
        rtype,
        0,
        1,
        0,
        0,
        0,
        60,
        0,
        address.len() as u8,
    ]);
    message.extend(address);
    message
}

/// An answer with this code and nothing else.
fn coded(query: &[u8], rcode: u8) -> Vec<u8> {
    let mut message = query[..question_end(query)].to_vec();
    message[2..12].copy_from_slice(&[0x84, rcode, 0, 1, 0, 0, 0, 0, 0, 0]);
    message
}

/// Addresses 1 and 2 of both families are regions 1 and 2.
fn places() -> Places {
    let addresses = [1u8, 2].into_iter().flat_map(|n| {
        let region = RegionId::at(n.into());
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n.into());
        [
            (IpAddr::from([192, 0, 2, n]), region),
            (IpAddr::from(v6), region),
        ]
    });
    Places::new(addresses, std::iter::empty())
}

/// So many a second for half a second, without a warm-up.
fn open(rate: f64) -> Load {
    Load {
        pace: Pace::Open { rate },
        duration: Duration::from_millis(500),
        warmup: Duration::ZERO,
        timeout: Duration::from_millis(300),
        ..Load::default()
    }
}

fn asked(server: SocketAddr, load: &Load) -> Measured {
    let options = Options {
        server,
        ..options()
    };
    asked_with(&options, load)
}

fn asked_with(options: &Options, load: &Load) -> Measured {
    let asks = dns_asks(&["a.test", "b.test"], 10);
    let live = Live::new(load);
    let measured = ask(&places(), &asks, options, load, &live).expect("loopback can be asked");
    let told = live.answered.load(Ordering::Relaxed) + live.failed.load(Ordering::Relaxed);
    assert_eq!(
        told,
        live.sent.load(Ordering::Relaxed),
        "every question has an end"
    );
    assert_eq!(
        measured.answered + measured.failed(),
        measured.sent,
        "recorded ones too"
    );
    measured
}

fn went_to(measured: &Measured, outcome: Outcome) -> u64 {
    (0..2).map(|target| measured.outcome(target, outcome)).sum()
}

fn errors(measured: &Measured, kind: ErrorKind) -> u64 {
    measured.errors.get(&kind).copied().unwrap_or(0)
}

/// One connection, until either side closes it. How many questions came.
fn serve(mut stream: TcpStream, reply: impl Fn(u64, &[u8]) -> (Vec<u8>, bool)) -> u64 {
    stream.set_nonblocking(false).expect("it may block");
    let mut n = 0;
    let mut len = [0; 2];
    while stream.read_exact(&mut len).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
        if stream.read_exact(&mut query).is_err() {
            break;
        }
        let (message, close) = reply(n, &query);
        n += 1;
        if stream.write_all(&message).is_err() || close {
            break;
        }
    }
    n
}

/// With its length before it.
fn framed(message: Vec<u8>) -> Vec<u8> {
    let mut frame = (message.len() as u16).to_be_bytes().to_vec();
    frame.extend(message);
    frame
}

#[test]
fn questions_of_the_other_plane_are_refused() {
    let mut asks = dns_asks(&["a.test"], 1);
    asks.plane = Plane::Http;
    let load = open(1.0);
    let outcome = ask(&places(), &asks, &options(), &load, &Live::new(&load));
    assert!(matches!(outcome, Err(GenerateError::WrongPlane("DNS"))));
    asks.plane = Plane::Dns;
    asks.list.clear();
    let outcome = ask(&places(), &asks, &options(), &load, &Live::new(&load));
    assert!(matches!(outcome, Err(GenerateError::NothingToAsk)));
}
