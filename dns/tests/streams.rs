//! DNS over TCP (RFC 7766) as clients, well-meaning and not, use it; and behind a front end that sends PROXY
//! headers.

mod common;
mod serving;

use common::{option, packet, show};
use dns::{Connections, Messages, Transfers, Transport};
use serving::{CLOSED, OPEN, PATIENCE, Start, closed, exchange, framed, proxy_header, read_frame};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use steering::Reader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("connected")
}

#[tokio::test]
async fn a_client_that_has_said_all_is_still_answered() {
    let server = Start::default().run();
    let mut stream = connect(server.plain).await;
    let query = framed(&packet("mail.example. A", None));
    stream.write_all(&query.repeat(3)).await.expect("sent");
    stream.shutdown().await.expect("half closed");
    for _ in 0..3 {
        assert_eq!(show(&read_frame(&mut stream).await)[0], "NOERROR aa");
    }
    assert!(closed(&mut stream).await);
    server.until(OPEN, "tcp", 0.0).await;
    server.stop().await;
}

#[tokio::test]
async fn rfc7766_8_a_query_may_come_octet_by_octet() {
    let server = Start::default().run();
    let mut stream = connect(server.plain).await;
    stream.set_nodelay(true).expect("an option");
    for octet in framed(&packet("mail.example. A", None)) {
        stream.write_all(&[octet]).await.expect("sent");
    }
    assert_eq!(show(&read_frame(&mut stream).await)[0], "NOERROR aa");
    server.stop().await;
}

#[tokio::test]
async fn octets_that_never_make_a_query_do_not_hold_a_connection() {
    let server = Start::with(Connections {
        idle: Duration::from_millis(300),
        ..Connections::DEFAULT
    })
    .run();
    let mut stream = connect(server.plain).await;
    let trickle = async {
        // A query of 65,535 octets would take long at this pace.
        while stream.write_all(&[0xff]).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, trickle).await.expect("it is cut off");
    server.until(CLOSED, "idle", 1.0).await;
    server.stop().await;
}

#[tokio::test]
async fn slow_readers_are_dropped_and_counted() {
    let server = Start::with(Connections {
        idle: Duration::from_millis(300),
        ..Connections::DEFAULT
    })
    .run();
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("an option");
    let mut stream = socket.connect(server.plain).await.expect("connected");
    let queries = framed(&packet("example. ANY", None)).repeat(1_000);
    // It asks, and takes nothing: the system's buffers fill up, then the server waits, then it does not.
    let ask = async { while stream.write_all(&queries).await.is_ok() {} };
    timeout(PATIENCE, ask).await.expect("it is cut off");
    server.until(CLOSED, "slow_reader", 1.0).await;
    server.until(OPEN, "tcp", 0.0).await;
    server.stop().await;
}

#[tokio::test]
async fn a_connection_may_have_its_number_of_queries() {
    let server = Start::with(Connections {
        queries: Some(3),
        ..Connections::DEFAULT
    })
    .run();
    let mut stream = connect(server.plain).await;
    let query = framed(&packet("mail.example. A", None));
    stream.write_all(&query.repeat(50)).await.expect("sent");
    for _ in 0..3 {
        assert_eq!(show(&read_frame(&mut stream).await)[0], "NOERROR aa");
    }
    assert!(
        closed(&mut stream).await,
        "the answers come whole, then the end"
    );
    server.until(CLOSED, "queries", 1.0).await;
    server.stop().await;
}

#[tokio::test]
async fn rfc7828_3_3_2_the_idle_time_is_told_and_shorter_under_pressure() {
    let server = Start::with(Connections {
        most: 4,
        idle: Duration::from_secs(12),
        ..Connections::DEFAULT
    })
    .run();
    let query = packet("mail.example. A", Some(&option(11, &[])));
    let told = |answer: Vec<u8>| {
        let at = answer.windows(4).position(|w| w == [0, 11, 0, 2]);
        let at = at.expect("an option") + 4;
        u16::from_be_bytes([answer[at], answer[at + 1]])
    };
    let mut stream = connect(server.plain).await;
    assert_eq!(told(exchange(&mut stream, &query).await), 120);
    let _second = connect(server.plain).await;
    let _third = connect(server.plain).await;
    server.until(OPEN, "tcp", 3.0).await;
    assert_eq!(told(exchange(&mut stream, &query).await), 30);
    server.stop().await;
}

/// Answers every query with `count` messages of `size` octets, and counts those that were asked for.
struct Many {
    count: usize,
    size: usize,
    pulled: Arc<AtomicUsize>,
}

struct Given {
    left: usize,
    size: usize,
    pulled: Arc<AtomicUsize>,
}

impl Transfers for Many {
    fn open(
        &self,
        _: &Reader,
        packet: &[u8],
        _: IpAddr,
        _: Transport,
    ) -> Option<Box<dyn Messages>> {
        let wanted = packet.ends_with(&[0, 252, 0, 1]);
        wanted.then(|| {
            Box::new(Given {
                left: self.count,
                size: self.size,
                pulled: self.pulled.clone(),
            }) as Box<dyn Messages>
        })
    }
}

impl Messages for Given {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.pulled.fetch_add(1, Ordering::Relaxed);
        out.extend(std::iter::repeat_n(self.left as u8, self.size));
        true
    }
}

#[tokio::test]
async fn an_answer_of_many_messages_is_made_as_it_is_taken() {
    let pulled = Arc::new(AtomicUsize::new(0));
    let (count, size) = (4_000, 60_000);
    let server = Start {
        transfers: Arc::new(Many {
            count,
            size,
            pulled: pulled.clone(),
        }),
        ..Start::default()
    }
    .run();
    let mut stream = connect(server.plain).await;
    let queries = [
        packet("example. AXFR", None),
        packet("mail.example. A", None),
    ];
    for query in &queries {
        stream.write_all(&framed(query)).await.expect("sent");
    }
    for left in (0..count).rev() {
        let message = read_frame(&mut stream).await;
        assert!(message.len() == size && message[0] == left as u8);
        if left == count - 100 {
            // What was made is what was taken, what the system's buffers hold, and a turn.
            sleep(Duration::from_millis(200)).await;
            let ahead = pulled.load(Ordering::Relaxed);
            assert!(ahead < count / 2, "{ahead} made when 100 were taken");
        }
    }
    assert_eq!(show(&read_frame(&mut stream).await)[0], "NOERROR aa");
    server.stop().await;
}

/// The region that `geo.example` is answered with.
fn region(answer: &[u8]) -> String {
    show(answer)[1].clone()
}

const GEO: &str = "geo.example. A";
const IN_DE: &str = "an geo.example. 60 A 10.2.0.1";
const IN_US: &str = "an geo.example. 60 A 10.1.0.1";

#[tokio::test]
async fn a_front_end_says_who_the_client_is() {
    let server = Start {
        proxied: true,
        ..Start::default()
    }
    .run();
    for (header, expected) in [
        (proxy_header(common::DE, false), IN_DE),
        (proxy_header(common::US, false), IN_US),
        (
            format!("PROXY TCP4 {} 192.0.2.53 4711 53\r\n", common::DE).into_bytes(),
            IN_DE,
        ),
        // It speaks for itself: 127.0.0.1 is nowhere but in the default.
        (b"PROXY UNKNOWN\r\n".to_vec(), IN_US),
    ] {
        let mut stream = connect(server.plain).await;
        stream.write_all(&header).await.expect("sent");
        assert_eq!(
            region(&exchange(&mut stream, &packet(GEO, None)).await),
            expected
        );
    }
    // A query without a header is none.
    let mut stream = connect(server.plain).await;
    stream
        .write_all(&framed(&packet(GEO, None)))
        .await
        .expect("sent");
    assert!(closed(&mut stream).await);
    server.until(CLOSED, "proxy_header", 1.0).await;
    server.stop().await;
}

#[tokio::test]
async fn nobody_else_may_say_it() {
    let server = Start {
        proxied: true,
        trusts: "192.0.2.0/24",
        ..Start::default()
    }
    .run();
    let mut stream = connect(server.plain).await;
    let _ = stream.write_all(&proxy_header(common::DE, false)).await;
    let _ = stream.write_all(&framed(&packet(GEO, None))).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert_eq!(answer, []);
    server.until(CLOSED, "untrusted", 1.0).await;
    server.stop().await;
}

#[tokio::test]
async fn a_clients_share_is_counted_behind_a_front_end() {
    let server = Start {
        proxied: true,
        connections: Connections {
            per_client: 1,
            ..Connections::DEFAULT
        },
        ..Start::default()
    }
    .run();
    let mut held = Vec::new();
    for client in [common::DE, common::US] {
        let mut stream = connect(server.plain).await;
        let header = proxy_header(client, false);
        stream.write_all(&header).await.expect("sent");
        exchange(&mut stream, &packet(GEO, None)).await;
        held.push(stream);
    }
    let mut again = connect(server.plain).await;
    let header = proxy_header(common::DE, false);
    again.write_all(&header).await.expect("sent");
    assert!(closed(&mut again).await);
    server.until(CLOSED, "client_limit", 1.0).await;
    server.stop().await;
}

#[tokio::test]
async fn datagrams_say_it_each() {
    let server = Start {
        proxied: true,
        ..Start::default()
    }
    .run();
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.connect(server.plain).await.expect("connected");
    // Without a header there is no answer; it must not be taken for the next one's.
    let mut bare = packet(GEO, None);
    bare[0] = 0xff;
    socket.send(&bare).await.expect("sent");
    for (client, expected) in [(common::DE, IN_DE), (common::US, IN_US)] {
        let query = [proxy_header(client, true), packet(GEO, None)].concat();
        socket.send(&query).await.expect("sent");
        let mut answer = vec![0; 4096];
        let length = timeout(PATIENCE, socket.recv(&mut answer)).await;
        answer.truncate(length.expect("an answer").expect("received"));
        assert_eq!(region(&answer), expected);
        assert_eq!(answer[..2], [0x12, 0x34]);
    }
    server.stop().await;
}
