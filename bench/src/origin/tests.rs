//! Origins asked over real sockets on loopback: what they answer, in whatever pieces they are asked, in
//! every condition, over TCP and TLS.

use super::tls::Authority;
use super::*;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long silence is listened to.
const MOMENT: Duration = Duration::from_millis(100);

fn spec(region: &str) -> OriginSpec {
    let health = HealthPath {
        path: "/health?deep=1".to_owned(),
        status: 202,
        body: "fine".to_owned(),
    };
    OriginSpec {
        region: region.into(),
        listen: ([127, 0, 0, 1], 0).into(),
        health: vec![health],
        tls: None,
    }
}

fn one() -> Origins {
    Origins::start(vec![spec("eu-west-1")], None).expect("a port on loopback")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    let patience = Some(PATIENCE);
    stream.set_read_timeout(patience).expect("a timeout");
    stream.set_write_timeout(patience).expect("a timeout");
    stream
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")
}

/// Status, head and body of the next answer.
fn answer(stream: &mut impl Read) -> (u16, String, Vec<u8>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("ASCII");
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |l| l.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    (status.expect("a status"), head, body)
}

fn ask(stream: &mut (impl Read + Write), request: &str) -> (u16, String, Vec<u8>) {
    stream.write_all(request.as_bytes()).expect("sent");
    answer(stream)
}

/// Whether the peer ended the connection, rather than saying something.
fn is_over(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(read) => read == 0,
        Err(problem) => problem.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn an_origin_says_where_it_is_and_how_it_is() {
    let origins = one();
    let mut stream = connect(origins.address(0));
    let (status, head, body) = ask(&mut stream, &get("/anything?x=y"));
    assert_eq!(status, 200);
    assert!(head.contains("\r\nx-region: eu-west-1\r\n"), "{head}");
    assert_eq!(body, b"{\"region\":\"eu-west-1\"}\n");
    let (status, _, body) = ask(&mut stream, &get("/health?deep=1"));
    assert_eq!((status, &body[..]), (202, &b"fine"[..]));
    let (status, _, _) = ask(&mut stream, &get("/health?deep=2"));
    assert_eq!(status, 200, "another query is another target");
    let probes = origins.probes(0);
    assert_eq!(probes.len(), 1);
    assert!(probes[0].passed && probes[0].at <= Instant::now());
    assert_eq!(origins.answered(0), 3);
}

#[test]
fn head_has_no_body_and_close_ends() {
    let origins = one();
    let mut stream = connect(origins.address(0));
    stream
        .write_all(b"HEAD /bytes?n=5 HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut all = String::new();
    stream.read_to_string(&mut all).expect("both, then the end");
    assert!(
        all.contains("content-length: 5\r\n\r\nHTTP/1.1 200"),
        "{all}"
    );
    assert!(all.contains("connection: close\r\n\r\n{"), "{all}");
    let mut stream = connect(origins.address(0));
    ask(&mut stream, "GET / HTTP/1.0\r\n\r\n");
    assert!(is_over(&mut stream));
}

#[test]
fn pipelined_requests_are_answered_in_order_in_whatever_pieces_they_come() {
    let origins = one();
    let text = format!(
        "{}POST /a HTTP/1.1\r\ncontent-length: 5\r\n\r\nhello{}POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n{}",
        get("/bytes?n=3"),
        get("/health?deep=1"),
        get("/bytes?n=70000"),
    );
    for step in [1, 2, 7, 64, text.len()] {
        let mut stream = connect(origins.address(0));
        for piece in text.as_bytes().chunks(step) {
            stream.write_all(piece).expect("sent");
        }
        let answers: Vec<(u16, usize)> = (0..5)
            .map(|_| answer(&mut stream))
            .map(|(status, _, body)| (status, body.len()))
            .collect();
        let small = b"{\"region\":\"eu-west-1\"}\n".len();
        assert_eq!(
            answers,
            [
                (200, 3),
                (200, small),
                (202, 4),
                (200, small),
                (200, 70_000)
            ],
            "pieces of {step}"
        );
    }
}

#[test]
fn thousands_of_pipelined_requests_and_large_bodies_pass_through_small_buffers() {
    let origins = one();
    let mut stream = connect(origins.address(0));
    let mut writer = stream.try_clone().expect("a second handle");
    const REQUESTS: usize = 5_000;
    const LARGE: usize = 3 << 20;
    let sender = std::thread::spawn(move || {
        let many = get("/").repeat(REQUESTS);
        writer.write_all(many.as_bytes()).expect("sent");
        let head = format!("PUT / HTTP/1.1\r\ncontent-length: {LARGE}\r\n\r\n");
        writer.write_all(head.as_bytes()).expect("sent");
        writer.write_all(&vec![7; LARGE]).expect("sent");
        writer
            .write_all(get(&format!("/bytes?n={LARGE}")).as_bytes())
            .expect("sent");
    });
    for _ in 0..REQUESTS + 1 {
        assert_eq!(answer(&mut stream).0, 200);
    }
    let (_, _, body) = answer(&mut stream);
    assert_eq!(body.len(), LARGE);
    assert!(body.iter().all(|byte| *byte == 0));
    sender.join().expect("all sent");
}

#[test]
fn large_bodies_take_turns_with_small_answers() {
    let origins = one();
    let address = origins.address(0);
    const LARGE: usize = 64 << 20;
    let large: Vec<_> = (0..3)
        .map(|i| {
            std::thread::spawn(move || {
                let mut stream = connect(address);
                if i == 0 {
                    let head = format!("PUT / HTTP/1.1\r\ncontent-length: {LARGE}\r\n\r\n");
                    stream.write_all(head.as_bytes()).expect("sent");
                    stream.write_all(&vec![7; LARGE]).expect("sent");
                    return answer(&mut stream).0 == 200;
                }
                ask(&mut stream, &get(&format!("/bytes?n={LARGE}"))).2.len() == LARGE
            })
        })
        .collect();
    let mut stream = connect(address);
    for _ in 0..1_000 {
        assert_eq!(ask(&mut stream, &get("/")).0, 200);
    }
    for large in large {
        assert!(large.join().expect("no panic"));
    }
}

#[test]
fn a_client_that_waits_for_a_word_gets_it() {
    let origins = one();
    let mut stream = connect(origins.address(0));
    let head = "POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    assert_eq!(ask(&mut stream, head).0, 100);
    assert_eq!(ask(&mut stream, "hi").0, 200);
}

#[test]
fn what_cannot_be_read_is_refused_and_the_connection_ends() {
    let origins = one();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(20_000));
    for (request, expected) in [
        ("nonsense\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            400,
        ),
        ("POST / HTTP/1.1\r\ncontent-length: 9000000000\r\n\r\n", 413),
        (&long, 431),
    ] {
        let mut stream = connect(origins.address(0));
        let (status, head, _) = ask(&mut stream, request);
        assert_eq!(status, expected);
        assert!(head.contains("x-region: eu-west-1"), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        assert!(is_over(&mut stream), "{expected}");
    }
}

#[test]
fn failing_answers_503_to_everything_and_heals() {
    let origins = one();
    let mut stream = connect(origins.address(0));
    origins.set(0, Condition::Failing).expect("set");
    assert_eq!(ask(&mut stream, &get("/health?deep=1")).0, 503);
    let (status, head, _) = ask(&mut stream, &get("/"));
    assert_eq!(status, 503);
    assert!(head.contains("x-region: eu-west-1"), "{head}");
    origins.set(0, Condition::Up).expect("set");
    assert_eq!(ask(&mut stream, &get("/health?deep=1")).0, 202);
    let passed: Vec<bool> = origins.probes(0).iter().map(|p| p.passed).collect();
    assert_eq!(passed, [false, true]);
}

#[test]
fn refusing_closes_the_listener_and_keeps_the_port() {
    let origins = one();
    let address = origins.address(0);
    let mut before = connect(address);
    ask(&mut before, &get("/"));
    origins.set(0, Condition::Refusing).expect("set");
    assert!(is_over(&mut before));
    for _ in 0..20 {
        let refused = TcpStream::connect(address).expect_err("nothing listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
    origins.set(0, Condition::Failing).expect("set");
    assert_eq!(ask(&mut connect(address), &get("/")).0, 503);
    origins.set(0, Condition::Up).expect("set");
    assert_eq!(ask(&mut connect(address), &get("/")).0, 200);
}

#[test]
fn resetting_accepts_and_sees_the_probe() {
    let origins = one();
    origins.set(0, Condition::Resetting).expect("set");
    let mut stream = connect(origins.address(0));
    stream
        .write_all(get("/health?deep=1").as_bytes())
        .expect("sent");
    assert!(is_over(&mut stream));
    let passed: Vec<bool> = origins.probes(0).iter().map(|p| p.passed).collect();
    assert_eq!(passed, [false]);
}

#[test]
fn silent_never_answers_what_it_was_asked_even_once_healed() {
    let origins = one();
    origins.set(0, Condition::Silent).expect("set");
    let mut asked = connect(origins.address(0));
    asked
        .write_all(get("/health?deep=1").as_bytes())
        .expect("sent");
    while origins.probes(0).is_empty() {
        std::thread::yield_now();
    }
    asked.set_read_timeout(Some(MOMENT)).expect("a timeout");
    let silence = asked.read(&mut [0]).expect_err("no answer");
    assert_eq!(silence.kind(), ErrorKind::WouldBlock);
    let mut idle = connect(origins.address(0));
    origins.set(0, Condition::Up).expect("set");
    asked.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    assert!(
        is_over(&mut asked),
        "its answer would be taken for another's"
    );
    assert_eq!(ask(&mut idle, &get("/")).0, 200);
    assert!(!origins.probes(0)[0].passed);
}

#[test]
fn each_origin_of_several_is_as_it_was_told() {
    let mut specs: Vec<OriginSpec> = ["a", "b", "c"].into_iter().map(spec).collect();
    specs[1].health.clear();
    let origins = Origins::start(specs, None).expect("ports on loopback");
    origins.set(2, Condition::Failing).expect("set");
    let statuses = [0, 1, 2].map(|i| ask(&mut connect(origins.address(i)), &get("/")).0);
    assert_eq!(statuses, [200, 200, 503]);
    drop(connect(origins.address(1)));
    while origins.probes(1).is_empty() {
        std::thread::yield_now();
    }
    assert!(
        origins.probes(0).is_empty(),
        "a check with a path asks for it"
    );
    let missing = origins.set(3, Condition::Up).expect_err("there are three");
    assert!(missing.to_string().contains("origin 3 of 3"), "{missing}");
}

#[test]
fn an_address_that_is_taken_and_a_name_that_cannot_be_are_named() {
    let origins = one();
    let mut second = spec("x");
    second.listen = origins.address(0);
    let taken = Origins::start(vec![second], None).expect_err("taken");
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    let port = origins.address(0).port().to_string();
    assert!(taken.to_string().contains(&port), "{taken}");
    let mut empty = spec("x");
    empty.health[0].status = 204;
    let origins = Origins::start(vec![empty], None).expect("a port on loopback");
    let head = ask(&mut connect(origins.address(0)), &get("/health?deep=1")).1;
    assert!(
        !head.contains("content-length"),
        "204 has no content: {head}"
    );
    let wrong = Origins::start(vec![spec("a\r\nb")], None).expect_err("no header");
    assert_eq!(wrong.kind(), ErrorKind::InvalidInput);
}

#[test]
fn they_run_where_they_are_told_to_and_end_when_dropped() {
    let origins = Origins::start(vec![spec("a")], Some(0)).expect("there is a processor 0");
    let mut stream = connect(origins.address(0));
    assert_eq!(ask(&mut stream, &get("/")).0, 200);
    drop(origins);
    assert!(is_over(&mut stream));
    Origins::start(vec![spec("a")], Some(100_000)).expect_err("no such processor");
}

#[test]
fn tls_is_spoken_with_a_certificate_that_its_authority_vouches_for() {
    let authority = Authority::new().expect("an authority");
    let identity = authority.identity(&["localhost", "127.0.0.1"]);
    let identity = identity.expect("an identity");
    assert!(identity.chain_pem.ends_with(&authority.ca_pem()));
    assert!(identity.key_pem.contains("PRIVATE KEY"));
    let mut secure = spec("eu-west-1");
    secure.tls = Some(identity.server(&["http/1.1"]).expect("sound"));
    let origins = Origins::start(vec![secure], None).expect("a port on loopback");
    let connect = |authority: &Authority| {
        let config = authority.client(&["h2", "http/1.1"]).expect("sound");
        let name = "localhost".try_into().expect("a name");
        let client = rustls::ClientConnection::new(config, name).expect("sound");
        rustls::StreamOwned::new(client, connect(origins.address(0)))
    };
    let mut stream = connect(&authority);
    assert_eq!(ask(&mut stream, &get("/")).0, 200);
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    let body = "x".repeat(300_000);
    let post = format!("POST / HTTP/1.1\r\ncontent-length: 300000\r\n\r\n{body}");
    assert_eq!(ask(&mut stream, &post).0, 200);
    assert_eq!(
        ask(&mut stream, &get("/bytes?n=1000000")).2.len(),
        1_000_000
    );
    origins.set(0, Condition::Failing).expect("set");
    let closing = "GET / HTTP/1.1\r\nconnection: close\r\n\r\n";
    assert_eq!(ask(&mut stream, closing).0, 503);
    let ended = stream.read(&mut [0]).expect("a clean end, not a cut");
    assert_eq!(ended, 0);
    let stranger = Authority::new().expect("another authority");
    let mut distrustful = connect(&stranger);
    distrustful
        .write_all(get("/").as_bytes())
        .and_then(|()| distrustful.flush())
        .expect_err("not vouched for");
}

#[test]
fn a_health_path_is_what_the_check_expects() {
    let mut check = steering::health::ProbeHttp {
        method: "GET".into(),
        path: "/actuator/health".into(),
        host: None,
        statuses: vec![(200, 299), (401, 401)],
        body: Some("\"UP\"".into()),
        tls: None,
    };
    let expected = HealthPath {
        path: "/actuator/health".to_owned(),
        status: 200,
        body: "\"UP\"".to_owned(),
    };
    assert_eq!(HealthPath::expected_by(&check), expected);
    check.statuses = vec![(100, 204)];
    assert_eq!(HealthPath::expected_by(&check).status, 200);
}
