//! HTTP/1.1 over plain sockets: well-behaved servers, slow ones, and bad ones.

use super::server::{Asked, Deed, Server};
use super::{asks, assert_all, closed, load, measure, region};
use crate::generate::http::{Connections, Options, Told};
use crate::load::Pace;
use crate::record::{ErrorKind, Outcome};
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::time::Duration;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nx-region: eu-west\r\ncontent-length: 2\r\n\r\nok";

fn always(deeds: Vec<Deed>) -> Server {
    Server::plain(move |_| deeds.clone())
}

fn errors(server: &Server, wanted: ErrorKind) {
    errors_at(server.address, wanted);
}

fn errors_at(server: SocketAddr, wanted: ErrorKind) {
    let load = crate::load::Load {
        timeout: Duration::from_millis(60),
        ..closed()
    };
    let measured = measure(&Options::new(server, 2), &load, &asks(10));
    assert_eq!(measured.answered, 0, "{:?}", measured.errors);
    let kinds: Vec<_> = measured.errors.keys().copied().collect();
    assert_eq!(kinds, [wanted]);
    assert_eq!(measured.sent, measured.failed());
}

#[test]
fn connections_are_kept_and_every_client_asks() {
    let server = always(vec![Deed::Send(OK.to_vec())]);
    let asks = asks(20);
    let measured = measure(&Options::new(server.address, 2), &closed(), &asks);
    assert_all(&measured, region("eu-west"));
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    let told: BTreeSet<String> = server.asked().iter().map(Asked::text).collect();
    for ask in &asks.list {
        let client = ask.client.address;
        let request =
            format!("GET / HTTP/1.1\r\nHost: api.test\r\nx-forwarded-for: {client}\r\n\r\n");
        assert!(told.contains(&request), "{request}");
    }
    assert!(measured.records.iter().all(|record| record.answered > 0));
    let timeline = measured.timeline.expect("it is on by default");
    let in_slices: u64 = timeline.slices.iter().map(|s| u64::from(s.answered)).sum();
    assert_eq!(in_slices, measured.answered);
}

#[test]
fn every_shape_of_answer_is_read() {
    let slow = b"HTTP/1.1 200 OK\r\nx-region: eu-west\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";
    for deeds in [
        vec![Deed::Trickle(OK.to_vec())],
        vec![Deed::Trickle(slow.to_vec())],
        vec![Deed::Send(slow[..70].to_vec()), Deed::Wait(Duration::from_millis(1)), Deed::Send(slow[70..].to_vec())],
        vec![Deed::Send(b"HTTP/1.1 204 None\r\nx-region: eu-west\r\n\r\n".to_vec())],
        vec![Deed::Send(b"HTTP/1.1 200 OK\r\nx-region: eu-west\r\n\r\nuntil the end".to_vec()), Deed::Close],
        vec![Deed::Send(b"HTTP/1.1 200 OK\r\nx-region: eu-west\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec()), Deed::Close],
        vec![Deed::Send(interim.to_vec()), Deed::Send(OK.to_vec())],
        vec![Deed::Send([interim.as_slice(), OK].concat())],
    ] {
        let server = always(deeds.clone());
        let measured = measure(&Options::new(server.address, 2), &closed(), &asks(10));
        assert_eq!(measured.errors, Default::default(), "{deeds:?}");
        assert_all(&measured, region("eu-west"));
    }
}

#[test]
fn a_large_body_is_read_to_its_end() {
    let body = vec![b'x'; 3_000_000];
    let head = format!(
        "HTTP/1.1 200 OK\r\nx-region: us-east\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let server = always(vec![Deed::Send([head.into_bytes(), body].concat())]);
    let measured = measure(&Options::new(server.address, 2), &closed(), &asks(10));
    assert_all(&measured, region("us-east"));
}

#[test]
fn failures_are_named() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhalf".to_vec();
    errors(
        &always(vec![Deed::Send(half), Deed::Close]),
        ErrorKind::Broken,
    );
    errors(&always(vec![Deed::Close]), ErrorKind::Broken);
    errors(
        &always(vec![Deed::Send(b"garbage\r\n\r\n".to_vec())]),
        ErrorKind::Malformed,
    );
    let late = Duration::from_millis(300);
    errors(
        &always(vec![Deed::Wait(late), Deed::Send(OK.to_vec())]),
        ErrorKind::Timeout,
    );
    let no = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";
    errors(
        &always(vec![Deed::Send(no.to_vec())]),
        ErrorKind::Status(502),
    );
    let unheard = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    errors_at(unheard.expect("a port was free"), ErrorKind::Connect);
}

#[test]
fn refusals_are_answers() {
    let no = b"HTTP/1.1 503 No\r\nrhumb-reason: policy-exhausted\r\ncontent-length: 0\r\n\r\n";
    let server = always(vec![Deed::Send(no.to_vec())]);
    let measured = measure(&Options::new(server.address, 2), &closed(), &asks(10));
    assert_all(&measured, Outcome::Refused);
}

#[test]
fn a_connection_that_the_server_had_just_closed_costs_no_request() {
    // Every second request on a connection is met by its end, not by an answer.
    let server = Server::plain(|asked| match asked.nth {
        0 => vec![Deed::Send(OK.to_vec())],
        _ => vec![Deed::Close],
    });
    let measured = measure(&Options::new(server.address, 2), &closed(), &asks(10));
    assert_all(&measured, region("eu-west"));
    assert!(server.connections.load(Ordering::SeqCst) > 2);
}

#[test]
fn a_connection_a_request_asks_the_server_to_close() {
    let server = always(vec![Deed::Send(OK.to_vec())]);
    let mut options = Options::new(server.address, 2);
    options.connection = Connections::PerRequest;
    let measured = measure(&options, &closed(), &asks(10));
    assert_all(&measured, region("eu-west"));
    let asked = server.asked();
    assert!(asked.iter().all(|asked| asked.nth == 0));
    assert!(asked[0].text().contains("\r\nConnection: close\r\n"));
}

#[test]
fn clients_are_told_in_every_way() {
    let asks = asks(6);
    let clients: BTreeSet<String> = asks
        .list
        .iter()
        .map(|a| a.client.address.to_string())
        .collect();
    for told in [Told::Forwarded, Told::ProxyV1, Told::ProxyV2, Told::Nothing] {
        let server = always(vec![Deed::Send(OK.to_vec())]);
        let mut options = Options::new(server.address, 2);
        options.told = told;
        options.path = Some("/bytes?n=2".to_owned());
        assert_all(&measure(&options, &closed(), &asks), region("eu-west"));
        for asked in server.asked() {
            let text = asked.text();
            let request = "GET /bytes?n=2 HTTP/1.1\r\nHost: api.test\r\n";
            let port = server.address.port();
            match told {
                Told::Forwarded => {
                    let client = text.split("for=").nth(1).expect("it is told");
                    let client = client.trim().trim_matches(['"', '[', ']']);
                    assert!(clients.contains(client), "{text}");
                }
                Told::ProxyV1 if asked.nth == 0 => {
                    let line = text.split(' ').collect::<Vec<_>>();
                    assert!(clients.contains(line[2]), "{text}");
                    assert!(
                        text.contains(&format!(" 49152 {port}\r\n{request}")),
                        "{text}"
                    );
                }
                Told::ProxyV2 if asked.nth == 0 => {
                    assert_proxy_v2(&asked.head, request.as_bytes(), port, &clients);
                }
                _ => assert_eq!(text, format!("{request}\r\n")),
            }
        }
    }
}

/// The header of version 2 as the specification of the PROXY protocol lays it out (§2.2).
fn assert_proxy_v2(head: &[u8], request: &[u8], port: u16, clients: &BTreeSet<String>) {
    assert_eq!(&head[..12], b"\r\n\r\n\0\r\nQUIT\n");
    assert_eq!(head[12], 0x21, "version 2, PROXY");
    let octets = match head[13] {
        0x11 => 4,
        0x21 => 16,
        other => panic!("no family of TCP: {other:#x}"),
    };
    assert_eq!(head[14..16], [0, octets * 2 + 4]);
    let octets = usize::from(octets);
    let client: std::net::IpAddr = match octets {
        4 => <[u8; 4]>::try_from(&head[16..20]).expect("4 octets").into(),
        _ => <[u8; 16]>::try_from(&head[16..32])
            .expect("16 octets")
            .into(),
    };
    assert!(clients.contains(&client.to_string()), "{client}");
    let ports = 16 + 2 * octets;
    assert_eq!(head[ports + 2..ports + 4], port.to_be_bytes());
    assert!(head[ports + 4..].starts_with(request));
}

#[test]
fn an_open_loop_asks_as_often_as_it_says() {
    let server = always(vec![Deed::Send(OK.to_vec())]);
    let load = load(Pace::Open { rate: 400.0 });
    let measured = measure(&Options::new(server.address, 4), &load, &asks(10));
    assert_eq!(measured.sent, 60, "400 a second for 150 ms");
    assert_all(&measured, region("eu-west"));
}

#[test]
fn a_stalled_server_hides_no_request_of_an_open_loop() {
    let stall = Duration::from_millis(100);
    let server = Server::plain(move |_| vec![Deed::Wait(stall), Deed::Send(OK.to_vec())]);
    let load = load(Pace::Open { rate: 200.0 });
    let measured = measure(&Options::new(server.address, 1), &load, &asks(10));
    assert_eq!(measured.sent, 30);
    assert_all(&measured, region("eu-west"));
    // One connection, and one on top; each answers one request a stall, so the last waited for many.
    let waited = Duration::from_nanos(measured.latency.max());
    assert!(
        waited > 3 * stall,
        "latency counts from the intended moment: {waited:?}"
    );
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[test]
fn what_waited_too_long_for_a_connection_is_counted() {
    let server = always(vec![Deed::Wait(Duration::from_secs(2))]);
    let mut load = load(Pace::Open { rate: 200.0 });
    load.timeout = Duration::from_millis(50);
    let measured = measure(&Options::new(server.address, 1), &load, &asks(10));
    assert_eq!((measured.sent, measured.answered), (30, 0));
    assert_eq!(measured.errors[&ErrorKind::Timeout], 30);
}

#[test]
fn idle_connections_stay() {
    let server = always(vec![Deed::Send(OK.to_vec())]);
    let mut options = Options::new(server.address, 2);
    options.idle_connections = 5;
    assert_all(&measure(&options, &closed(), &asks(10)), region("eu-west"));
    assert_eq!(server.connections.load(Ordering::SeqCst), 7);
    options.server = "127.0.0.1:1".parse().expect("an address");
    let refused = super::run(
        &super::SUBJECT,
        &asks(1),
        &options,
        &closed(),
        &crate::load::Live::new(&closed()),
    );
    assert!(refused.is_err());
}

#[test]
fn more_connections_than_requests_in_flight_take_turns() {
    let server = always(vec![Deed::Send(OK.to_vec())]);
    let measured = measure(&Options::new(server.address, 5), &closed(), &asks(10));
    assert_all(&measured, region("eu-west"));
    assert_eq!(server.connections.load(Ordering::SeqCst), 5);
    let asked = server.asked();
    let on: BTreeSet<usize> = asked
        .iter()
        .filter(|a| a.nth > 0)
        .map(|a| a.connection)
        .collect();
    assert_eq!(on.len(), 5);
}
