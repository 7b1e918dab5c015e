//! UDP on real sockets of the loopback network: many clients, many addresses, bursts, swaps, a stop under
//! load, and that what is counted is what was answered.

mod common;

use common::{ip, packet, show, world};
use dns::{Listeners, Metrics, Observe, Plain, Rules, Server, Settings, SoaSpec, ZoneSpec, Zones};
use prometheus::Registry;
use socket2::{Domain, SockRef, Socket, Type};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use steering::{Change, Publisher, RegionId, Snapshot, Timestamp};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Long enough for a loaded machine; no test waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Counting(AtomicU64);

impl Observe for Counting {
    fn on_decisions(&self, _snapshot: &Snapshot, _region: Option<RegionId>, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

/// A server with a runtime of its own, so that its clients may block.
struct Live {
    addresses: Vec<SocketAddr>,
    publisher: Publisher,
    registry: Registry,
    decisions: Arc<Counting>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    runtime: Runtime,
}

fn workers(count: usize) -> Settings {
    Settings {
        udp_workers: NonZeroUsize::new(count).expect("some"),
    }
}

fn live(addresses: &[&str], snapshot: Snapshot, workers_: usize) -> Live {
    let addresses: Vec<SocketAddr> = addresses.iter().map(|a| a.parse().expect(a)).collect();
    listening(Listeners::from(&addresses), snapshot, workers_)
}

fn listening(listeners: Listeners, snapshot: Snapshot, count: usize) -> Live {
    let runtime = Runtime::new().expect("a runtime");
    let (publisher, reader) = steering::channel(snapshot);
    let registry = Registry::new();
    let metrics = Arc::new(Metrics::new(&registry).expect("fresh names"));
    let decisions = Arc::new(Counting::default());
    let shutdown = CancellationToken::new();
    let entered = runtime.enter();
    let server = Server::bind(
        listeners,
        reader,
        workers(count),
        metrics,
        decisions.clone(),
    )
    .expect("free ports");
    let addresses = server.addresses().to_vec();
    let task = tokio::spawn(server.run(shutdown.clone()));
    drop(entered);
    Live {
        addresses,
        publisher,
        registry,
        decisions,
        shutdown,
        task,
        runtime,
    }
}

impl Live {
    /// The sum of a counter over the series with this label value, or over all.
    fn counted(&self, name: &str, label: &str) -> u64 {
        let families = self.registry.gather();
        let metrics = families
            .iter()
            .filter(|family| family.name() == name)
            .flat_map(|family| family.get_metric());
        let wanted = metrics.filter(|metric| {
            label.is_empty() || metric.get_label().iter().any(|l| l.value() == label)
        });
        wanted
            .map(|metric| metric.get_counter().get_value() as u64)
            .sum()
    }

    fn stop(self) {
        self.shutdown.cancel();
        self.runtime
            .block_on(async { timeout(PATIENCE, self.task).await })
            .expect("it stops")
            .expect("without a panic");
    }
}

fn client(server: SocketAddr) -> UdpSocket {
    let local = if server.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    };
    let socket = UdpSocket::bind(local).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // A connected socket takes nothing from any other address.
    socket.connect(server).expect("connected");
    socket
}

fn numbered(question: &str, id: u16) -> Vec<u8> {
    let mut query = packet(question, None);
    query[..2].copy_from_slice(&id.to_be_bytes());
    query
}

fn exchange(socket: &UdpSocket, query: &[u8]) -> Vec<u8> {
    socket.send(query).expect("sent");
    receive(socket)
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let length = socket.recv(&mut buffer).expect("an answer");
    buffer.truncate(length);
    buffer
}

/// Asks `count` questions one after the other, and takes each answer.
fn converse(server: SocketAddr, question: &str, count: u16) {
    let socket = client(server);
    for id in 0..count {
        let answer = exchange(&socket, &numbered(question, id));
        assert_eq!(answer[..2], id.to_be_bytes());
        assert_eq!(show(&answer)[0], "NOERROR aa");
    }
}

#[test]
fn many_clients_of_both_families_are_answered_and_counted() {
    const CLIENTS: u64 = 60;
    const EACH: u16 = 20;
    let server = live(&["127.0.0.1:0", "[::1]:0"], world(), 3);
    thread::scope(|scope| {
        for i in 0..CLIENTS {
            let address = server.addresses[i as usize % 2];
            let question = ["mail.example. A", "geo.example. A"][i as usize / 2 % 2];
            scope.spawn(move || converse(address, question, EACH));
        }
    });
    let all = CLIENTS * u64::from(EACH);
    let sums = [
        ("rhumb_dns_queries_total", "udp", all),
        ("rhumb_dns_queries_total", "", all),
        ("rhumb_dns_query_types_total", "A", all),
        ("rhumb_dns_responses_total", "NOERROR", all),
        ("rhumb_dns_responses_total", "", all),
        ("rhumb_dns_zone_queries_total", "example.", all),
        ("rhumb_dns_service_queries_total", "geo", all / 2),
        ("rhumb_dns_steered_total", "us-east-1", all / 2),
        ("rhumb_dns_send_errors_total", "", 0),
    ];
    for (name, label, sum) in sums {
        assert_eq!(server.counted(name, label), sum, "{name} {label}");
    }
    assert_eq!(server.decisions.0.load(Ordering::Relaxed), all / 2);
    server.stop();
}

#[test]
#[cfg(target_os = "linux")] // elsewhere the system chooses the address
fn wildcard_sockets_answer_from_the_address_that_was_asked() {
    let server = live(&["0.0.0.0:0", "[::]:0"], world(), 2);
    let [v4, v6] = [0, 1].map(|i: usize| server.addresses[i].port());
    let asked = [
        ("127.0.0.1", v4),
        ("127.0.0.2", v4),
        ("127.9.8.7", v4),
        ("::1", v6),
    ];
    for (host, port) in asked {
        for _ in 0..8 {
            converse(SocketAddr::new(ip(host), port), "mail.example. A", 3);
        }
    }
    // IPv6 sockets are for IPv6 only.
    let mapped = SocketAddr::new(ip("127.0.0.1"), v6);
    let socket = client(mapped);
    let refused = socket.send(&numbered("mail.example. A", 1)).and_then(|_| {
        let mut buffer = [0; 512];
        socket.recv(&mut buffer)
    });
    assert_eq!(
        refused.expect_err("nobody there").kind(),
        ErrorKind::ConnectionRefused
    );
    server.stop();
}

#[test]
fn answers_of_any_size_go_out_whole() {
    let texts: String = (0..200)
        .map(|i| format!("big 60 TXT \"{i:0>200}\"\n"))
        .collect();
    let rules = Rules {
        payload: u16::MAX,
        ..Rules::default()
    };
    let snapshot = common::ruled_with(&texts, rules);
    let server = live(&["127.0.0.1:0"], snapshot, 1);
    let socket = client(server.addresses[0]);
    let mut query = packet("big.example. TXT", Some(&[]));
    // The payload that this client takes: the class of its OPT.
    let class = query.len() - 8;
    query[class..class + 2].copy_from_slice(&60_000_u16.to_be_bytes());
    for _ in 0..3 {
        let answer = exchange(&socket, &query);
        assert!(answer.len() > 40_000, "{}", answer.len());
        assert_eq!(answer[2] & 0x02, 0, "not truncated");
        assert_eq!(u16::from_be_bytes([answer[6], answer[7]]), 200);
    }
    server.stop();
}

#[test]
fn every_query_of_a_burst_is_answered_once() {
    const BURST: u16 = 150;
    let server = live(&["127.0.0.1:0"], world(), 2);
    let socket = client(server.addresses[0]);
    let _ = SockRef::from(&socket).set_recv_buffer_size(4 << 20);
    for round in 0..5 {
        for id in 0..BURST {
            let question = ["mail.example. A", "no.example. A"][usize::from(id % 2)];
            socket.send(&numbered(question, id)).expect("sent");
        }
        let answers = (0..BURST).map(|_| receive(&socket));
        let ids: BTreeSet<_> = answers.map(|answer| [answer[0], answer[1]]).collect();
        assert_eq!(ids.len(), usize::from(BURST), "round {round}");
    }
    server.stop();
}

#[test]
#[cfg(target_os = "linux")] // elsewhere the system does not tell
fn what_the_system_drops_is_counted() {
    // One worker, which a large answer keeps busy, and more than any buffer holds.
    const FLOOD: u64 = 40_000;
    let server = live(&["127.0.0.1:0"], world(), 1);
    let socket = client(server.addresses[0]);
    let query = packet("geo.example. A", None);
    let padded = [&query[..], &[0; 8_000]].concat();
    let mut sent = 0;
    let lost = || server.counted("rhumb_dns_udp_overflows_total", "");
    while lost() == 0 && sent < 50 * FLOOD {
        for _ in 0..FLOOD {
            socket.send(&padded).expect("sent");
        }
        sent += FLOOD;
    }
    let lost = server.counted("rhumb_dns_udp_overflows_total", "");
    assert!(lost > 0 && lost < sent, "{lost} of {sent}");
    assert_eq!(server.counted("rhumb_dns_udp_overflows_total", ""), lost);
    server.stop();
}

#[test]
fn no_answer_is_lost_while_tables_are_swapped() {
    let mut server = live(&["127.0.0.1:0", "[::1]:0"], world(), 2);
    let done = AtomicBool::new(false);
    let asked = AtomicU64::new(0);
    let addresses = server.addresses.clone();
    thread::scope(|scope| {
        for i in 0..8 {
            let (done, asked, address) = (&done, &asked, addresses[i % 2]);
            scope.spawn(move || {
                let socket = client(address);
                while !done.load(Ordering::Relaxed) {
                    let answer = exchange(&socket, &packet("geo.example. A", None));
                    assert_eq!(show(&answer)[0], "NOERROR aa");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for second in 0..40 {
            let table = world().table().clone();
            server
                .publisher
                .apply(Change::Table(table), Timestamp(second));
            thread::sleep(Duration::from_millis(10));
        }
        done.store(true, Ordering::Relaxed);
    });
    let asked = asked.into_inner();
    assert!(asked > 0);
    // What was counted with each of the tables is in the sums.
    for (name, label) in [
        ("rhumb_dns_queries_total", "udp"),
        ("rhumb_dns_service_queries_total", "geo"),
        ("rhumb_dns_steered_total", "steered"),
        ("rhumb_dns_zone_queries_total", "example."),
    ] {
        assert_eq!(server.counted(name, label), asked, "{name}");
    }
    server.stop();
}

#[test]
fn a_stop_under_load_answers_all_that_was_read() {
    let server = live(&["127.0.0.1:0", "0.0.0.0:0"], world(), 2);
    let done = AtomicBool::new(false);
    let addresses = server.addresses.clone();
    let registry = server.registry.clone();
    thread::scope(|scope| {
        for i in 0..6 {
            let (done, address) = (&done, addresses[i % 2]);
            let address = SocketAddr::new(ip("127.0.0.1"), address.port());
            scope.spawn(move || {
                let socket = client(address);
                let wait = Some(Duration::from_millis(5));
                socket.set_read_timeout(wait).expect("a timeout");
                let mut buffer = [0; 512];
                while !done.load(Ordering::Relaxed) {
                    // Refused once the server is gone.
                    let _ = socket.send(&packet("mail.example. A", None));
                    let _ = socket.recv(&mut buffer);
                }
            });
        }
        while server.counted("rhumb_dns_queries_total", "udp") < 500 {
            thread::sleep(Duration::from_millis(1));
        }
        server.stop();
        done.store(true, Ordering::Relaxed);
    });
    let sum = |name: &str| {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.into_iter().flat_map(|family| family.get_metric());
        metrics.map(|m| m.get_counter().get_value()).sum::<f64>()
    };
    assert_eq!(
        sum("rhumb_dns_queries_total"),
        sum("rhumb_dns_responses_total")
    );
    assert_eq!(sum("rhumb_dns_send_errors_total"), 0.0);
    for address in addresses {
        UdpSocket::bind(address).expect("the port is free again");
    }
}

#[test]
fn a_port_is_not_shared_with_others_who_would_share_it() {
    let bind = |address: SocketAddr| {
        let (_publisher, reader) = steering::channel(world());
        let metrics = Arc::new(Metrics::new(&Registry::new()).expect("fresh names"));
        Server::bind(&[address], reader, workers(2), metrics, Arc::new(())).err()
    };
    let sharing = |address: SocketAddr| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
        socket.set_reuse_port(true).expect("SO_REUSEPORT");
        socket.bind(&address.into()).map(|()| socket)
    };
    let runtime = Runtime::new().expect("a runtime");
    let _entered = runtime.enter();
    // Somebody of the same user has the port, and would let us in.
    let first = sharing("127.0.0.1:0".parse().expect("an address")).expect("any port");
    let address = first.local_addr().expect("bound");
    let address = address.as_socket().expect("an address");
    let text = bind(address).expect("taken").to_string();
    assert!(
        text.contains(&format!("{address} (udp); another process has it")),
        "{text}"
    );
    drop(first);
    assert!(bind(address).is_none(), "free again");
    // As many workers as there are share it among themselves.
    let server = live(&["127.0.0.1:0"], world(), 4);
    let error = UdpSocket::bind(server.addresses[0]).expect_err("ours");
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    server.stop();
}

#[test]
fn zones_beyond_the_bound_are_counted_together() {
    const ZONES: usize = dns::metrics::MAX_ZONES + 5;
    let spec = |i: usize| ZoneSpec {
        apex: format!("zone-{i}.test"),
        soa: Some(SoaSpec::new("ns.test", "host.test")),
        ns: vec!["ns.test".to_owned()],
        ..ZoneSpec::default()
    };
    let zones = Zones::build((0..ZONES).map(spec).collect(), Vec::new()).expect("zones");
    let server = live(&["127.0.0.1:0"], common::snapshot(zones), 1);
    let socket = client(server.addresses[0]);
    for i in [0, 0, ZONES - 6, ZONES - 5, ZONES - 1] {
        exchange(&socket, &packet(&format!("zone-{i}.test. SOA"), None));
    }
    let counted = |zone: &str| server.counted("rhumb_dns_zone_queries_total", zone);
    assert_eq!(counted("zone-0.test."), 2);
    assert_eq!(counted(&format!("zone-{}.test.", ZONES - 6)), 1);
    assert_eq!(counted("other"), 2);
    assert_eq!(counted(""), 5);
    server.stop();
}

/// PROXY protocol version 2 over IPv4, for a datagram (its specification, §2.2).
fn proxied(client: [u8; 4], query: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c".to_vec();
    header.extend(client);
    header.extend([127, 0, 0, 1, 0x30, 0x39, 0, 53]);
    [&header, query].concat()
}

#[test]
fn a_front_end_says_who_asks() {
    let start = |trusted: &str| {
        let rules = Rules {
            trusted_proxies: vec![trusted.parse().expect(trusted)],
            ..Rules::default()
        };
        let plain = Plain {
            address: "127.0.0.1:0".parse().expect("an address"),
            proxied: true,
        };
        let listeners = Listeners {
            plain: vec![plain],
            ..Listeners::default()
        };
        listening(listeners, common::ruled(rules), 1)
    };
    let server = start("127.0.0.1/32");
    let socket = client(server.addresses[0]);
    let IpAddr::V4(german) = ip(common::DE) else {
        panic!("{}", common::DE)
    };
    let query = packet("geo.example. A", None);
    let answer = exchange(&socket, &proxied(german.octets(), &query));
    assert_eq!(show(&answer)[1], "an geo.example. 60 A 10.2.0.1");
    // Without a header there is no answer, and the next one is not held up.
    socket.send(&query).expect("sent");
    exchange(&socket, &proxied(german.octets(), &query));
    assert_eq!(server.counted("rhumb_dns_dropped_total", ""), 1);
    server.stop();
    let server = start("192.0.2.0/24");
    let socket = client(server.addresses[0]);
    let wait = Some(Duration::from_millis(100));
    socket.set_read_timeout(wait).expect("a timeout");
    socket
        .send(&proxied(german.octets(), &query))
        .expect("sent");
    assert!(socket.recv(&mut [0; 512]).is_err(), "not one who may say");
    server.stop();
}
