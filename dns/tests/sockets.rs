//! The server on real sockets of the loopback network: UDP, TCP, limits, shutdown, counting.

mod common;

use common::{packet, show, world};
use dns::{Connections, Metrics, Observe, Rules, Server, Settings};
use prometheus::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use steering::{RegionId, Snapshot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Long enough for a loaded machine; no test waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    registry: Registry,
    decisions: Arc<Counting>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counting(AtomicU64);

impl Observe for Counting {
    fn on_decisions(&self, _snapshot: &Snapshot, _region: Option<RegionId>, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}

fn start(address: &str, settings: Settings) -> Running {
    start_with(address, settings, Connections::DEFAULT)
}

fn start_with(address: &str, settings: Settings, connections: Connections) -> Running {
    let rules = Rules {
        connections,
        ..Rules::default()
    };
    let (_publisher, reader) = steering::channel(common::ruled(rules));
    let registry = Registry::new();
    let metrics = Arc::new(Metrics::new(&registry).expect("fresh names"));
    let decisions = Arc::new(Counting::default());
    let address = address.parse().expect("an address");
    let server = Server::bind(&[address], reader, settings, metrics, decisions.clone())
        .expect("a free port");
    let address = server.addresses()[0];
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(server.run(shutdown.clone()));
    Running {
        address,
        registry,
        decisions,
        shutdown,
        task,
    }
}

impl Running {
    /// The value of a counter, over all its labels that contain `label`.
    fn counted(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let metrics = families
            .iter()
            .filter(|family| family.name() == name)
            .flat_map(|family| family.get_metric());
        metrics
            .filter(|metric| {
                label.is_empty() || metric.get_label().iter().any(|l| l.value() == label)
            })
            .map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
            .sum()
    }

    async fn until(&self, name: &str, label: &str, value: f64) {
        let wait = async {
            while self.counted(name, label) != value {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("{name} is {}", self.counted(name, label)));
    }

    async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task)
            .await
            .expect("it stops")
            .expect("without a panic");
    }
}

async fn udp(server: SocketAddr) -> UdpSocket {
    let local = if server.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    };
    let socket = UdpSocket::bind(local).await.expect("a socket");
    socket.connect(server).await.expect("connected");
    socket
}

async fn exchange(socket: &UdpSocket, packet: &[u8]) -> Vec<u8> {
    socket.send(packet).await.expect("sent");
    let mut buffer = vec![0; 4096];
    let read = timeout(PATIENCE, socket.recv(&mut buffer))
        .await
        .expect("an answer")
        .expect("received");
    buffer.truncate(read);
    buffer
}

fn framed(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes(), packet].concat()
}

async fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let read = async {
        let length = stream.read_u16().await.expect("a length");
        let mut frame = vec![0; usize::from(length)];
        stream.read_exact(&mut frame).await.expect("a message");
        frame
    };
    timeout(PATIENCE, read).await.expect("an answer")
}

/// Waits for the other side to close.
async fn closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .is_ok_and(|_| rest.is_empty())
}

#[tokio::test]
async fn udp_and_tcp_answer_on_one_port() {
    let server = start("127.0.0.1:0", Settings::default());
    let query = packet("mail.example. A", None);
    let expected = ["NOERROR aa", "an mail.example. 120 A 192.0.2.25"];
    assert_eq!(
        show(&exchange(&udp(server.address).await, &query).await),
        expected
    );
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    stream.write_all(&framed(&query)).await.expect("sent");
    assert_eq!(show(&read_frame(&mut stream).await), expected);
    assert_eq!(server.counted("rhumb_dns_queries_total", "udp"), 1.0);
    assert_eq!(server.counted("rhumb_dns_queries_total", "tcp"), 1.0);
    assert_eq!(server.counted("rhumb_dns_responses_total", "NOERROR"), 2.0);
    server.stop().await;
}

#[tokio::test]
async fn ipv6_answers_too() {
    let server = start("[::1]:0", Settings::default());
    let answer = exchange(&udp(server.address).await, &packet("mail.example. A", None)).await;
    assert_eq!(show(&answer)[0], "NOERROR aa");
    server.stop().await;
}

#[tokio::test]
async fn an_answer_leaves_from_the_address_that_was_asked() {
    let server = start("0.0.0.0:0", Settings::default());
    for host in ["127.0.0.1", "127.0.0.2", "127.3.2.1"] {
        let address = SocketAddr::new(common::ip(host), server.address.port());
        // A connected socket takes nothing from any other address.
        let answer = exchange(&udp(address).await, &packet("mail.example. A", None)).await;
        assert_eq!(show(&answer)[0], "NOERROR aa", "{host}");
    }
    server.stop().await;
}

#[tokio::test]
async fn malformed_packets_are_answered_or_dropped_and_nothing_breaks() {
    let server = start("127.0.0.1:0", Settings::default());
    let socket = udp(server.address).await;
    let mut response = packet("mail.example. A", None);
    response[2] |= 0x80;
    for dropped in [&[][..], &[1, 2, 3], &response, &[0xff; 11]] {
        socket.send(dropped).await.expect("sent");
    }
    let mut two = packet("mail.example. A", None);
    two[5] = 2;
    assert_eq!(
        show(&exchange(&socket, &two).await),
        ["FORMERR"],
        "the dropped ones left nothing behind"
    );
    let mut update = packet("example. SOA", None);
    update[2] = 5 << 3;
    assert_eq!(exchange(&socket, &update).await[3], 4, "NOTIMP");
    assert_eq!(
        show(&exchange(&socket, &packet("mail.example. A", None)).await)[0],
        "NOERROR aa"
    );
    assert_eq!(server.counted("rhumb_dns_dropped_total", ""), 4.0);
    assert_eq!(server.counted("rhumb_dns_malformed_total", ""), 1.0);
    assert_eq!(server.counted("rhumb_dns_responses_total", "NOTIMP"), 1.0);
    server.stop().await;
}

#[tokio::test]
async fn rfc7766_queries_are_pipelined_and_may_come_in_pieces() {
    let server = start("127.0.0.1:0", Settings::default());
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    let mut sent = Vec::new();
    for id in 0..300_u16 {
        let mut query = packet("www.example. A", None);
        query[..2].copy_from_slice(&id.to_be_bytes());
        sent.extend(framed(&query));
    }
    for piece in sent.chunks(97) {
        stream.write_all(piece).await.expect("sent");
    }
    for id in 0..300_u16 {
        let answer = read_frame(&mut stream).await;
        assert_eq!(answer[..2], id.to_be_bytes(), "in order");
        assert_eq!(show(&answer).len(), 4);
    }
    server.stop().await;
}

#[tokio::test]
async fn what_gets_no_response_ends_a_connection() {
    let server = start("127.0.0.1:0", Settings::default());
    for nonsense in [vec![0, 0], framed(&[1, 2, 3])] {
        let mut stream = TcpStream::connect(server.address).await.expect("connected");
        stream.write_all(&nonsense).await.expect("sent");
        assert!(closed(&mut stream).await, "{nonsense:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn idle_connections_are_closed_and_counted() {
    let connections = Connections {
        idle: Duration::from_millis(50),
        ..Connections::DEFAULT
    };
    let server = start_with("127.0.0.1:0", Settings::default(), connections);
    let mut stream = TcpStream::connect(server.address).await.expect("connected");
    // Half a query does not keep it open.
    stream.write_all(&[0, 30, 1]).await.expect("sent");
    assert!(closed(&mut stream).await);
    server.until("rhumb_dns_connections", "tcp", 0.0).await;
    assert_eq!(
        server.counted("rhumb_dns_connections_closed_total", "idle"),
        1.0
    );
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_share_of_a_client_are_closed_and_counted() {
    let connections = Connections {
        per_client: 2,
        ..Connections::DEFAULT
    };
    let server = start_with("127.0.0.1:0", Settings::default(), connections);
    let query = framed(&packet("mail.example. A", None));
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.expect("connected");
        stream.write_all(&query).await.expect("sent");
        read_frame(&mut stream).await;
        open.push(stream);
    }
    let mut third = TcpStream::connect(server.address)
        .await
        .expect("accepted by the system");
    assert!(closed(&mut third).await);
    let refused = "rhumb_dns_connections_closed_total";
    assert_eq!(server.counted(refused, "client_limit"), 1.0);
    // A place that becomes free is given again.
    drop(open.pop());
    server.until("rhumb_dns_connections", "tcp", 1.0).await;
    let mut fourth = TcpStream::connect(server.address).await.expect("connected");
    fourth.write_all(&query).await.expect("sent");
    assert_eq!(show(&read_frame(&mut fourth).await)[0], "NOERROR aa");
    server.stop().await;
}

#[tokio::test]
async fn beyond_all_connections_the_one_idle_for_longest_gives_way() {
    let connections = Connections {
        most: 2,
        ..Connections::DEFAULT
    };
    let server = start_with("127.0.0.1:0", Settings::default(), connections);
    let query = framed(&packet("mail.example. A", None));
    let mut first = TcpStream::connect(server.address).await.expect("connected");
    server.until("rhumb_dns_connections", "tcp", 1.0).await;
    let mut second = TcpStream::connect(server.address).await.expect("connected");
    second.write_all(&query).await.expect("sent");
    read_frame(&mut second).await;
    // Newcomers are refused until the first one has had its moment.
    let wait = async {
        loop {
            let mut third = TcpStream::connect(server.address).await.expect("connected");
            let _ = third.write_all(&query).await;
            let mut length = [0; 2];
            if third.read_exact(&mut length).await.is_ok() {
                return third;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let third = timeout(PATIENCE, wait).await.expect("a place");
    assert!(closed(&mut first).await);
    second.write_all(&query).await.expect("sent");
    assert_eq!(show(&read_frame(&mut second).await)[0], "NOERROR aa");
    let closed = "rhumb_dns_connections_closed_total";
    assert_eq!(server.counted(closed, "evicted"), 1.0);
    drop((second, third));
    server.stop().await;
}

#[tokio::test]
async fn decisions_are_counted_by_region_verdict_and_service() {
    let server = start("127.0.0.1:0", Settings::default());
    let socket = udp(server.address).await;
    for ecs in ["192.0.2.0/24", "192.0.2.0/24", "8.8.8.0/24"] {
        exchange(
            &socket,
            &packet("geo.example. A", Some(&common::subnet(ecs))),
        )
        .await;
    }
    exchange(&socket, &packet("mail.example. A", None)).await;
    assert_eq!(server.counted("rhumb_dns_steered_total", "eu-west-1"), 2.0);
    assert_eq!(server.counted("rhumb_dns_steered_total", "us-east-1"), 1.0);
    assert_eq!(server.counted("rhumb_dns_steered_total", "steered"), 3.0);
    assert_eq!(
        server.counted("rhumb_dns_service_queries_total", "geo"),
        3.0
    );
    assert_eq!(
        server.decisions.0.load(Ordering::Relaxed),
        3,
        "static answers decide nothing"
    );
    server.stop().await;
}

#[tokio::test]
async fn shutdown_answers_what_has_come_and_frees_the_port() {
    let server = start("127.0.0.1:0", Settings::default());
    let address = server.address;
    let socket = udp(address).await;
    let idle = TcpStream::connect(address).await.expect("connected");
    for _ in 0..50 {
        socket
            .send(&packet("mail.example. A", None))
            .await
            .expect("sent");
    }
    server.stop().await;
    let mut buffer = [0; 512];
    for _ in 0..50 {
        timeout(PATIENCE, socket.recv(&mut buffer))
            .await
            .expect("an answer")
            .expect("received");
    }
    drop(idle);
    UdpSocket::bind(address)
        .await
        .expect("the port is free again");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let server = start("127.0.0.1:0", Settings::default());
    let (_publisher, reader) = steering::channel(world());
    let metrics = Arc::new(Metrics::new(&Registry::new()).expect("fresh names"));
    let error = Server::bind(
        &[server.address],
        reader,
        Settings::default(),
        metrics,
        Arc::new(()),
    );
    let text = error.err().expect("taken").to_string();
    assert!(
        text.contains(&server.address.to_string()) && text.contains("another process has it"),
        "{text}"
    );
    server.stop().await;
}
