//! DNS over TLS (RFC 7858) and over QUIC (RFC 9250) on real sockets.

mod common;
mod serving;

use common::{option, packet, show};
use dns::{Connections, Messages, Transfers, Transport};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint};
use rustls::HandshakeKind;
use serving::{
    CLOSED, NAME, OPEN, PATIENCE, Running, Start, closed, exchange, framed, name, proxy_header,
    read_frame,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use steering::Reader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const MAIL: &str = "mail.example. A";

#[tokio::test]
async fn rfc7858_3_3_queries_are_answered_and_pipelined() {
    let server = Start::default().run();
    let mut stream = server.tls(server.dot, &["dot"], b"").await.expect("TLS");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"dot"[..]));
    let mut queries = Vec::new();
    for id in 0..200_u16 {
        let mut query = packet(MAIL, None);
        query[..2].copy_from_slice(&id.to_be_bytes());
        queries.extend(framed(&query));
    }
    stream.write_all(&queries).await.expect("sent");
    for id in 0..200_u16 {
        let answer = read_frame(&mut stream).await;
        assert_eq!(answer[..2], id.to_be_bytes());
        assert_eq!(show(&answer)[0], "NOERROR aa");
    }
    assert_eq!(server.counted("rhumb_dns_queries_total", "dot"), 200.0);
    assert_eq!(server.counted(OPEN, "dot"), 1.0);
    stream.shutdown().await.expect("closed");
    assert!(closed(&mut stream).await, "with a word of goodbye");
    server.until(OPEN, "dot", 0.0).await;
    // Leaving without a word is usual, and nobody's fault.
    let mut stream = server.tls(server.dot, &["dot"], b"").await.expect("TLS");
    exchange(&mut stream, &packet(MAIL, None)).await;
    drop(stream);
    server.until(OPEN, "dot", 0.0).await;
    assert_eq!(server.counted(CLOSED, "broken"), 0.0);
    server.stop().await;
}

#[tokio::test]
async fn rfc7858_alpn_may_be_left_out_but_not_be_another() {
    let server = Start::default().run();
    let mut stream = server.tls(server.dot, &[], b"").await.expect("TLS");
    let answer = exchange(&mut stream, &packet(MAIL, None)).await;
    assert_eq!(show(&answer)[0], "NOERROR aa");
    let other = server.tls(server.dot, &["h2"], b"").await;
    let other = other.expect_err("refused").to_string();
    assert!(other.contains("NoApplicationProtocol"), "{other}");
    server.until(CLOSED, "handshake", 1.0).await;
    server.stop().await;
}

#[tokio::test]
async fn sessions_resume() {
    let server = Start::default().run();
    let connector = TlsConnector::from(Arc::new(server.client(&["dot"])));
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let stream = TcpStream::connect(server.dot).await.expect("connected");
        let mut stream = connector.connect(name(), stream).await.expect("TLS");
        exchange(&mut stream, &packet(MAIL, None)).await;
        kinds.extend(stream.get_ref().1.handshake_kind());
    }
    let first = kinds.first().copied();
    assert!(matches!(
        first,
        Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest)
    ));
    assert_eq!(kinds.last().copied(), Some(HandshakeKind::Resumed));
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_handshake_ends_a_connection() {
    let server = Start::default().run();
    for address in [server.dot, server.doh] {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let query = framed(&packet(MAIL, None));
        stream.write_all(&query).await.expect("sent");
        let mut alert = Vec::new();
        let ended = timeout(PATIENCE, stream.read_to_end(&mut alert)).await;
        ended.expect("it ends").expect("orderly");
        // An alert record, or nothing.
        assert!(alert.first().is_none_or(|kind| *kind == 21), "{alert:?}");
    }
    server.until(CLOSED, "handshake", 2.0).await;
    assert_eq!(server.counted("rhumb_dns_queries_total", "dot"), 0.0);
    server.stop().await;
}

#[tokio::test]
async fn a_handshake_that_is_not_ended_is() {
    let server = Start::default().run();
    let mut stream = TcpStream::connect(server.dot).await.expect("connected");
    // The beginning of a ClientHello.
    stream
        .write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])
        .await
        .expect("sent");
    assert!(closed(&mut stream).await);
    server.until(CLOSED, "handshake", 1.0).await;
    server.until(OPEN, "dot", 0.0).await;
    server.stop().await;
}

#[tokio::test]
async fn idle_encrypted_connections_are_closed() {
    let server = Start::with(Connections {
        idle: Duration::from_millis(100),
        ..Connections::DEFAULT
    })
    .run();
    let mut dot = server.tls(server.dot, &["dot"], b"").await.expect("TLS");
    exchange(&mut dot, &packet(MAIL, None)).await;
    assert!(closed(&mut dot).await);
    let doq = quic(&server, &["doq"]).await.expect("QUIC");
    let ended = timeout(PATIENCE, doq.closed()).await.expect("it is closed");
    assert_eq!(code(&ended), Some(0), "{ended}");
    server.until(CLOSED, "idle", 2.0).await;
    server.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_served_from_the_next_handshake_on() {
    let server = Start::default().run();
    let mut before = server.tls(server.dot, &["dot"], b"").await.expect("TLS");
    let old = server.client(&["dot"]);
    server.certificate.replace();
    // Who trusts only the old one is told no, who has a connection keeps it.
    let stream = TcpStream::connect(server.dot).await.expect("connected");
    let refused = TlsConnector::from(Arc::new(old))
        .connect(name(), stream)
        .await;
    assert!(refused.is_err());
    exchange(&mut before, &packet(MAIL, None)).await;
    let mut after = server.tls(server.dot, &["dot"], b"").await.expect("TLS");
    exchange(&mut after, &packet(MAIL, None)).await;
    quic(&server, &["doq"]).await.expect("QUIC");
    server.stop().await;
}

#[tokio::test]
async fn a_front_end_says_who_the_client_is_before_tls() {
    let server = Start {
        proxied: true,
        ..Start::default()
    }
    .run();
    for (client, address) in [(common::DE, "10.2.0.1"), (common::US, "10.1.0.1")] {
        let header = proxy_header(client, false);
        let stream = server.tls(server.dot, &["dot"], &header).await;
        let mut stream = stream.expect("TLS");
        let answer = exchange(&mut stream, &packet("geo.example. A", None)).await;
        let expected = format!("an geo.example. 60 A {address}");
        assert_eq!(show(&answer)[1], expected);
    }
    server.stop().await;
}

#[tokio::test]
async fn rfc8467_4_1_encrypted_answers_are_padded_when_asked() {
    let server = Start::default().run();
    let query = packet(MAIL, Some(&option(12, &[0; 60])));
    let mut dot = server.tls(server.dot, &["dot"], b"").await.expect("TLS");
    assert_eq!(exchange(&mut dot, &query).await.len() % 468, 0);
    let doq = quic(&server, &["doq"]).await.expect("QUIC");
    let answer = ask(&doq, &zeroed(query)).await.expect("an answer");
    assert_eq!(answer.len() % 468, 0);
    server.stop().await;
}

/// A QUIC connection to a server, from a socket of its own.
async fn quic(server: &Running, protocols: &[&str]) -> Result<Connection, ConnectionError> {
    let tls = QuicClientConfig::try_from(server.client(protocols)).expect("TLS 1.3");
    let local = (Ipv4Addr::LOCALHOST, 0).into();
    let endpoint = Endpoint::client(local).expect("a socket");
    let config = ClientConfig::new(Arc::new(tls));
    let connecting = endpoint.connect_with(config, server.doq, NAME);
    let made = timeout(PATIENCE, connecting.expect("a client")).await;
    made.expect("in time")
}

/// With ID 0, as QUIC wants it.
fn zeroed(mut packet: Vec<u8>) -> Vec<u8> {
    packet[..2].copy_from_slice(&[0, 0]);
    packet
}

/// Sends octets on a stream of their own; what comes back.
async fn send(connection: &Connection, octets: &[u8]) -> Result<Vec<u8>, String> {
    let exchange = async {
        let (mut send, mut receive) = connection.open_bi().await.map_err(text)?;
        send.write_all(octets).await.map_err(text)?;
        send.finish().map_err(text)?;
        receive.read_to_end(1 << 20).await.map_err(text)
    };
    timeout(PATIENCE, exchange).await.expect("in time")
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Asks on a stream of its own.
async fn ask(connection: &Connection, packet: &[u8]) -> Result<Vec<u8>, String> {
    let octets = send(connection, &framed(packet)).await?;
    let (length, message) = octets.split_at(2);
    assert_eq!(length, (message.len() as u16).to_be_bytes(), "one message");
    Ok(message.to_vec())
}

/// The code that the other side closed a connection with.
fn code(ended: &ConnectionError) -> Option<u64> {
    match ended {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        _ => None,
    }
}

#[tokio::test]
async fn rfc9250_4_2_each_query_has_a_stream() {
    let server = Start::default().run();
    let connection = quic(&server, &["doq"]).await.expect("QUIC");
    let query = zeroed(packet(MAIL, None));
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let (connection, query) = (connection.clone(), query.clone());
        asked.spawn(async move { ask(&connection, &query).await });
    }
    while let Some(answer) = asked.join_next().await {
        let answer = answer.expect("no panic").expect("an answer");
        assert_eq!(answer[..2], [0, 0]);
        assert_eq!(show(&answer)[0], "NOERROR aa");
    }
    assert_eq!(server.counted("rhumb_dns_queries_total", "doq"), 300.0);
    assert_eq!(server.counted(OPEN, "doq"), 1.0);
    connection.close(0_u32.into(), b"");
    server.until(OPEN, "doq", 0.0).await;
    server.stop().await;
}

#[tokio::test]
async fn rfc9250_4_1_1_alpn_is_demanded() {
    let server = Start::default().run();
    for protocols in [&["h3"][..], &["dot"], &[]] {
        let refused = quic(&server, protocols).await;
        assert!(refused.is_err(), "{protocols:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn rfc9250_4_3_3_protocol_errors_end_the_connection() {
    let server = Start::default().run();
    let good = framed(&zeroed(packet(MAIL, None)));
    let mut response = zeroed(packet(MAIL, None));
    response[2] |= 0x80;
    let keepalive = zeroed(packet(MAIL, Some(&option(11, &[]))));
    let broken: [(&str, Vec<u8>); 7] = [
        ("a message ID", framed(&packet(MAIL, None))),
        ("two queries", [&good[..], &good].concat()),
        ("an end within the query", good[..good.len() - 1].to_vec()),
        ("an end within the length", vec![0]),
        ("nothing", Vec::new()),
        ("a response", framed(&response)),
        ("edns-tcp-keepalive", framed(&keepalive)),
    ];
    for (i, (what, octets)) in broken.iter().enumerate() {
        let connection = quic(&server, &["doq"]).await.expect("QUIC");
        let _ = send(&connection, octets).await;
        let ended = timeout(PATIENCE, connection.closed()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{what}: still open"));
        assert_eq!(code(&ended), Some(2), "{what}: {ended}");
        server.until(CLOSED, "malformed", i as f64 + 1.0).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_may_change_its_mind() {
    let server = Start::default().run();
    let connection = quic(&server, &["doq"]).await.expect("QUIC");
    let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
    send.write_all(&[0]).await.expect("sent");
    // DOQ_REQUEST_CANCELLED (RFC 9250 §4.3.1).
    send.reset(3_u32.into()).expect("reset");
    let told = timeout(PATIENCE, receive.read_to_end(100)).await;
    assert!(told.expect("in time").is_err(), "no answer");
    let answer = ask(&connection, &zeroed(packet(MAIL, None))).await;
    assert_eq!(show(&answer.expect("an answer"))[0], "NOERROR aa");
    server.stop().await;
}

#[tokio::test]
async fn a_client_has_its_share_over_all_transports() {
    let server = Start::with(Connections {
        per_client: 2,
        ..Connections::DEFAULT
    })
    .run();
    let first = quic(&server, &["doq"]).await.expect("QUIC");
    let mut second = server.tls(server.dot, &["dot"], b"").await.expect("TLS");
    exchange(&mut second, &packet(MAIL, None)).await;
    assert!(quic(&server, &["doq"]).await.is_err());
    assert!(server.tls(server.dot, &["dot"], b"").await.is_err());
    assert_eq!(server.counted(CLOSED, "client_limit"), 2.0);
    first.close(0_u32.into(), b"");
    server.until(OPEN, "doq", 0.0).await;
    quic(&server, &["doq"]).await.expect("a place again");
    server.stop().await;
}

#[tokio::test]
async fn rfc9000_8_1_2_addresses_are_proven_while_places_run_out() {
    let server = Start::with(Connections {
        most: 4,
        ..Connections::DEFAULT
    })
    .run();
    let mut held = Vec::new();
    for _ in 0..4 {
        let connection = quic(&server, &["doq"]).await.expect("QUIC");
        held.push(connection);
    }
    // The fourth came through a Retry, which a client of quinn answers by itself.
    let answer = ask(&held[3], &zeroed(packet(MAIL, None))).await;
    assert_eq!(show(&answer.expect("an answer"))[0], "NOERROR aa");
    assert_eq!(server.counted(OPEN, "doq"), 4.0);
    server.stop().await;
}

struct Three;
struct Given(u8);

impl Transfers for Three {
    fn open(&self, _: &Reader, _: &[u8], _: IpAddr, _: Transport) -> Option<Box<dyn Messages>> {
        Some(Box::new(Given(3)))
    }
}

impl Messages for Given {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let left = self.0;
        self.0 = left.saturating_sub(1);
        out.extend((left > 0).then_some(left));
        left > 0
    }
}

#[tokio::test]
async fn an_answer_may_be_many_messages() {
    let server = Start {
        transfers: Arc::new(Three),
        ..Start::default()
    }
    .run();
    let mut dot = server.tls(server.dot, &["dot"], b"").await.expect("TLS");
    dot.write_all(&framed(&packet("example. AXFR", None)))
        .await
        .expect("sent");
    for message in [3, 2, 1] {
        assert_eq!(read_frame(&mut dot).await, [message]);
    }
    let doq = quic(&server, &["doq"]).await.expect("QUIC");
    let query = framed(&zeroed(packet("example. AXFR", None)));
    let answer = send(&doq, &query).await.expect("an answer");
    assert_eq!(answer, [0, 1, 3, 0, 1, 2, 0, 1, 1]);
    server.stop().await;
}

#[tokio::test]
async fn many_long_queries_at_a_time_wait_for_each_other() {
    let server = Start::default().run();
    let connection = quic(&server, &["doq"]).await.expect("QUIC");
    let padding = option(12, &[0; 60_000]);
    let query = zeroed(packet(MAIL, Some(&padding)));
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let (connection, query) = (connection.clone(), query.clone());
        asked.spawn(async move { ask(&connection, &query).await });
    }
    while let Some(answer) = asked.join_next().await {
        let answer = answer.expect("no panic").expect("an answer");
        assert_eq!(show(&answer)[0], "NOERROR aa");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_stop_is_told() {
    let server = Start::default().run();
    let doq = quic(&server, &["doq"]).await.expect("QUIC");
    let mut dot = server.tls(server.dot, &["dot"], b"").await.expect("TLS");
    exchange(&mut dot, &packet(MAIL, None)).await;
    server.stop().await;
    let ended = timeout(PATIENCE, doq.closed()).await.expect("it is closed");
    assert_eq!(code(&ended), Some(0), "{ended}");
    assert!(closed(&mut dot).await);
}
