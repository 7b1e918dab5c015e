//! What passes through the proxy unharmed: bodies of any size both ways, chunk by chunk, WebSocket; what an endpoint is
//! told of the client; and what a client is told when there is nothing for it. And DNS over TCP, which must say what UDP
//! says.

use crate::harness::clients::{Ask, dns_over_tcp};
use crate::harness::pop::Pop;
use crate::harness::wire::{Question, Subnet};
use crate::parity::demo_config;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

fn connect(pop: &Pop) -> TcpStream {
    let stream = TcpStream::connect(pop.places.http).expect("a PoP that listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a bound");
    stream
}

/// Reads until what was read ends with `end`.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(end) {
        stream.read_exact(&mut byte).expect("more to read");
        seen.push(byte[0]);
    }
    seen
}

#[test]
fn what_clients_and_endpoints_send_passes_through() {
    let pop = Pop::start(&demo_config());
    a_body_streams_both_ways_at_once(&pop);
    chunks_come_one_by_one(&pop);
    a_long_body_comes_whole(&pop);
    web_socket_messages_come_back(&pop);
    the_endpoint_is_told_who_the_client_is(&pop);
    no_route_is_a_problem_document(&pop);
    tcp_says_what_udp_says(&pop);
}

/// 4 MiB, each part sent only after the part before it came back: nobody on the way may wait for the whole.
fn a_body_streams_both_ways_at_once(pop: &Pop) {
    const PART: usize = 64 * 1024;
    let mut stream = connect(pop);
    let total = 64 * PART;
    let head =
        format!("POST /echo HTTP/1.1\r\nHost: us.demo.test\r\nContent-Length: {total}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut part: Vec<u8> = (0..PART).map(|i| (i % 251) as u8).collect();
    stream.write_all(&part).expect("sent");
    let head = String::from_utf8(read_until(&mut stream, b"\r\n\r\n"))
        .expect("a head")
        .to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(
        head.contains("transfer-encoding: chunked"),
        "a body of no stated length: {head}"
    );
    let mut unread = chunked(&mut stream, PART);
    for number in 1..64 {
        assert_eq!(unread, part, "part {number} comes back as it was");
        part.rotate_left(1);
        stream.write_all(&part).expect("sent");
        unread = chunked(&mut stream, PART);
    }
    assert_eq!(unread, part);
    assert_eq!(read_until(&mut stream, b"0\r\n\r\n"), b"0\r\n\r\n");
}

/// Reads whole chunks until they hold `length` bytes.
fn chunked(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < length {
        let line = String::from_utf8(read_until(stream, b"\r\n")).expect("a chunk size");
        let size = usize::from_str_radix(line.trim(), 16).expect("a chunk size");
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).expect("a chunk");
        chunk.truncate(size);
        body.extend(chunk);
    }
    body
}

fn chunks_come_one_by_one(pop: &Pop) {
    let ask = Ask {
        method: "GET",
        host: "eu.demo.test",
        path: "/chunked?n=7",
        client: None,
    };
    let response = pop.http().ask(&ask).expect("a response");
    assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    let body = String::from_utf8(response.body).expect("text");
    assert_eq!(body.lines().count(), 7, "{body}");
    assert!(body.ends_with("eu-west-1 chunk 7 of 7\n"), "{body}");
}

fn a_long_body_comes_whole(pop: &Pop) {
    let ask = Ask {
        method: "GET",
        host: "ap.demo.test",
        path: "/bytes?n=33554432",
        client: None,
    };
    let response = pop.http().ask(&ask).expect("a response");
    assert_eq!((response.status, response.body.len()), (200, 32 << 20));
}

/// Many times, since Pingora 0.9.1 closes an upgraded connection now and then unless it is kept from it
/// (`proxy/src/upgrade.rs`).
fn web_socket_messages_come_back(pop: &Pop) {
    const CONNECTIONS: usize = 200;
    let lost = (0..CONNECTIONS)
        .filter(|_| !web_socket_echoes(pop, &["hi", "yo"]))
        .count();
    assert_eq!(lost, 0, "of {CONNECTIONS} WebSocket connections");
}

/// Whether each word comes back; false when the connection was closed instead.
fn web_socket_echoes(pop: &Pop, words: &[&str]) -> bool {
    let mut stream = connect(pop);
    let head = "GET /ws HTTP/1.1\r\nHost: us.demo.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("sent");
    let head = String::from_utf8(read_until(&mut stream, b"\r\n\r\n")).expect("a head");
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    words.iter().all(|word| {
        // RFC 6455 §5.2: a final text frame, masked with zeros; it comes back without a mask.
        let length = word.len() as u8;
        let frame = [&[0x81, 0x80 | length, 0, 0, 0, 0], word.as_bytes()].concat();
        let mut echo = vec![0; 2 + word.len()];
        let came = stream
            .write_all(&frame)
            .and_then(|()| stream.read_exact(&mut echo));
        if came.is_ok() {
            assert_eq!(echo, [&[0x81, length], word.as_bytes()].concat());
        }
        came.is_ok()
    })
}

fn the_endpoint_is_told_who_the_client_is(pop: &Pop) {
    let client: IpAddr = "8.8.8.8".parse().expect("an address");
    let ask = Ask {
        method: "DELETE",
        host: "us.demo.test",
        path: "/deep/path?q=1",
        client: Some(client),
    };
    let told = pop.http().ask(&ask).expect("a response").json();
    for (key, expected) in [
        ("method", "DELETE"),
        ("path", "/deep/path"),
        ("query", "q=1"),
        ("host", "us.demo.test"),
    ] {
        assert_eq!(told[key], expected, "{told:#}");
    }
    let headers = &told["headers"];
    let forwarded = headers["x-forwarded-for"].as_str().unwrap_or_default();
    assert!(forwarded.starts_with("8.8.8.8"), "{told:#}");
    assert_eq!(headers["x-forwarded-proto"], "http", "{told:#}");
    assert_eq!(headers["x-forwarded-host"], "us.demo.test", "{told:#}");
    assert!(
        headers["forwarded"]
            .as_str()
            .is_some_and(|value| value.contains("proto=http")),
        "{told:#}"
    );
}

fn no_route_is_a_problem_document(pop: &Pop) {
    let ask = Ask {
        method: "GET",
        host: "nobody.demo.test",
        path: "/",
        client: None,
    };
    let response = pop.http().ask(&ask).expect("a response");
    assert_eq!(
        (response.status, response.header("rhumb-reason")),
        (404, Some("no_route"))
    );
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(response.json()["status"], 404);
}

fn tcp_says_what_udp_says(pop: &Pop) {
    for client in ["46.4.0.0/24", "8.8.8.0/24", "2a01:4f8::/56"] {
        let subnet: Subnet = client.parse().expect("a network");
        let question = Question::a("api.demo.test").with(subnet);
        let udp = pop.dns().ask(&question).expect("an answer");
        let tcp = dns_over_tcp(pop.places.dns, &question).expect("an answer");
        assert_eq!(
            (udp.answers, udp.scope),
            (tcp.answers, tcp.scope),
            "{client}"
        );
    }
}
