//! DNS over HTTPS (RFC 8484) on real sockets: HTTP/2 and HTTP/1.1, GET and POST, and who does not keep to it.

mod common;
mod serving;

use bytes::Bytes;
use common::{option, packet, show};
use data_encoding::BASE64URL_NOPAD;
use dns::Connections;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serving::{CLOSED, OPEN, PATIENCE, Running, Start, closed, proxy_header};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

const MAIL: &str = "mail.example. A";
const MEDIA: &str = "application/dns-message";

/// A client's connection of either version.
enum Client {
    H1(http1::SendRequest<Full<Bytes>>),
    H2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    async fn connect(server: &Running, protocol: &str, first: &[u8]) -> Self {
        let stream = server.tls(server.doh, &[protocol], first).await;
        let stream = stream.expect("TLS");
        let chosen = stream.get_ref().1.alpn_protocol();
        assert_eq!(chosen, Some(protocol.as_bytes()));
        let io = TokioIo::new(stream);
        if protocol == "h2" {
            let made = http2::handshake(TokioExecutor::new(), io).await;
            let (client, connection) = made.expect("HTTP/2");
            tokio::spawn(connection);
            Self::H2(client)
        } else {
            let (client, connection) = http1::handshake(io).await.expect("HTTP/1.1");
            tokio::spawn(connection);
            Self::H1(client)
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        let sent = async {
            match self {
                Self::H1(client) => client.send_request(request).await,
                Self::H2(client) => client.send_request(request).await,
            }
        };
        let response = timeout(PATIENCE, sent).await.expect("in time");
        Answer::of(response.expect("a response")).await
    }

    async fn get(&mut self, query: &str) -> Answer {
        self.send(request(Method::GET, query, None, b"")).await
    }

    async fn post(&mut self, media: Option<&str>, body: &[u8]) -> Answer {
        self.send(request(Method::POST, "/dns-query", media, body))
            .await
    }
}

fn request(method: Method, path: &str, media: Option<&str>, body: &[u8]) -> Request<Full<Bytes>> {
    let uri = format!("https://{}{path}", serving::NAME);
    let mut request = Request::builder().method(method).uri(uri);
    request = request.header("host", serving::NAME);
    if let Some(media) = media {
        request = request.header("content-type", media);
    }
    let body = Full::from(Bytes::copy_from_slice(body));
    request.body(body).expect("a request")
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    media: String,
    kept: String,
    allow: String,
    body: Bytes,
}

impl Answer {
    async fn of(response: Response<Incoming>) -> Self {
        let text = |name| {
            let value = response.headers().get(name);
            let text = value.map(|value| value.to_str().expect("text").to_owned());
            text.unwrap_or_default()
        };
        Self {
            status: response.status(),
            media: text("content-type"),
            kept: text("cache-control"),
            allow: text("allow"),
            body: response
                .into_body()
                .collect()
                .await
                .expect("a body")
                .to_bytes(),
        }
    }
}

fn path(packet: &[u8]) -> String {
    format!("/dns-query?dns={}", BASE64URL_NOPAD.encode(packet))
}

#[tokio::test]
async fn rfc8484_4_1_get_and_post_over_both_versions() {
    let server = Start::default().run();
    for protocol in ["h2", "http/1.1"] {
        let mut client = Client::connect(&server, protocol, b"").await;
        for _ in 0..2 {
            let query = packet(MAIL, None);
            for answer in [
                client.get(&path(&query)).await,
                client.post(Some(MEDIA), &query).await,
            ] {
                assert_eq!(answer.status, StatusCode::OK);
                assert_eq!(answer.media, MEDIA);
                assert_eq!(show(&answer.body)[0], "NOERROR aa");
                assert_eq!(answer.kept, "max-age=120");
            }
        }
    }
    assert_eq!(server.counted("rhumb_dns_queries_total", "doh"), 8.0);
    assert_eq!(
        server.counted("rhumb_dns_connections_accepted_total", "doh"),
        2.0
    );
    server.stop().await;
}

#[tokio::test]
async fn rfc8484_5_1_how_long_an_answer_may_be_kept() {
    let server = Start::default().run();
    let mut client = Client::connect(&server, "h2", b"").await;
    for (question, kept) in [
        ("www.example. A", "max-age=300"),
        ("mail.example. AAAA", "max-age=60"),
        ("nothing.example. A", "max-age=60"),
        ("geo.example. A", "private, max-age=60"),
        ("elsewhere.test. A", "no-store"),
    ] {
        let answer = client.post(Some(MEDIA), &packet(question, None)).await;
        assert_eq!(
            (answer.status, &*answer.kept),
            (StatusCode::OK, kept),
            "{question}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn rfc8484_4_2_1_what_is_no_query_has_its_status() {
    let server = Start::default().run();
    let mut response = packet(MAIL, None);
    response[2] |= 0x80;
    for protocol in ["h2", "http/1.1"] {
        let mut client = Client::connect(&server, protocol, b"").await;
        let query = packet(MAIL, None);
        for bad in [
            "/dns-query",
            "/dns-query?dns=",
            "/dns-query?dns=A",
            "/dns-query?dns=AAAA",
        ] {
            assert_eq!(
                client.get(bad).await.status,
                StatusCode::BAD_REQUEST,
                "{bad}"
            );
        }
        let answered = client.post(Some(MEDIA), &response).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST);
        let missing = client.get("/").await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND);
        assert_eq!(missing.kept, "no-store");
        for media in [None, Some("text/plain"), Some("application/dns-json")] {
            let refused = client.post(media, &query).await;
            assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
        let put = client
            .send(request(Method::PUT, "/dns-query", Some(MEDIA), &query))
            .await;
        assert_eq!(put.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(put.allow, "GET, HEAD, POST");
        // A malformed query is an answer of DNS, not of HTTP.
        let mut two = packet(MAIL, None);
        two[5] = 2;
        let malformed = client.post(Some(MEDIA), &two).await;
        assert_eq!(malformed.status, StatusCode::OK);
        assert_eq!(show(&malformed.body), ["FORMERR"]);
    }
    let mut client = Client::connect(&server, "h2", b"").await;
    let long = client.post(Some(MEDIA), &[0; 65_536]).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    server.stop().await;
}

#[tokio::test]
async fn many_at_a_time_on_one_connection() {
    let server = Start::default().run();
    let client = Client::connect(&server, "h2", b"").await;
    let Client::H2(client) = client else {
        panic!("HTTP/2")
    };
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let mut client = Client::H2(client.clone());
        asked.spawn(async move { client.post(Some(MEDIA), &packet(MAIL, None)).await });
    }
    while let Some(answer) = asked.join_next().await {
        let answer = answer.expect("no panic");
        assert_eq!(show(&answer.body)[0], "NOERROR aa");
    }
    server.stop().await;
}

#[tokio::test]
async fn of_long_bodies_only_a_few_at_a_time_are_taken() {
    let server = Start::default().run();
    let mut client = Client::connect(&server, "h2", b"").await;
    let query = packet(MAIL, Some(&option(12, &[0; 60_000])));
    let answer = client.post(Some(MEDIA), &query).await;
    assert_eq!(answer.status, StatusCode::OK, "one of any length");
    let Client::H2(client) = client else {
        panic!("HTTP/2 was asked for")
    };
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..90 {
        let (mut client, query) = (Client::H2(client.clone()), query.clone());
        asked.spawn(async move { client.post(Some(MEDIA), &query).await });
    }
    while let Some(answer) = asked.join_next().await {
        let answer = answer.expect("no panic");
        match answer.status {
            StatusCode::OK => assert_eq!(show(&answer.body)[0], "NOERROR aa"),
            other => assert_eq!(other, StatusCode::SERVICE_UNAVAILABLE),
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_front_end_says_who_the_client_is() {
    let server = Start {
        proxied: true,
        ..Start::default()
    }
    .run();
    let header = proxy_header(common::DE, false);
    let mut client = Client::connect(&server, "h2", &header).await;
    let answer = client
        .post(Some(MEDIA), &packet("geo.example. A", None))
        .await;
    assert_eq!(show(&answer.body)[1], "an geo.example. 60 A 10.2.0.1");
    server.stop().await;
}

#[tokio::test]
async fn idle_connections_are_closed_and_so_are_heads_that_never_end() {
    let server = Start::with(Connections {
        idle: Duration::from_millis(200),
        ..Connections::DEFAULT
    })
    .run();
    let mut client = Client::connect(&server, "h2", b"").await;
    client.get(&path(&packet(MAIL, None))).await;
    server.until(CLOSED, "idle", 1.0).await;
    server.until(OPEN, "doh", 0.0).await;
    let slow = server.tls(server.doh, &["http/1.1"], b"").await;
    let mut slow = slow.expect("TLS");
    slow.write_all(b"GET /dns-query?dns=").await.expect("sent");
    let trickle = async {
        while slow.write_all(b"A").await.is_ok() && slow.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, trickle).await.expect("it is cut off");
    server.until(OPEN, "doh", 0.0).await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_http_ends_a_connection() {
    let server = Start::default().run();
    let stream = server.tls(server.doh, &["http/1.1"], b"").await;
    let mut stream = stream.expect("TLS");
    stream
        .write_all(b"\x00\x1e nonsense\r\n\r\n")
        .await
        .expect("sent");
    let mut rest = Vec::new();
    let ended = timeout(
        PATIENCE,
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest),
    );
    let _ = ended.await.expect("it ends");
    server.until(CLOSED, "malformed", 1.0).await;
    let mut refused = tokio::net::TcpStream::connect(server.doh)
        .await
        .expect("connected");
    refused.shutdown().await.expect("closed");
    assert!(closed(&mut refused).await);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_may_have_its_number_of_queries() {
    let server = Start::with(Connections {
        queries: Some(2),
        ..Connections::DEFAULT
    })
    .run();
    let mut client = Client::connect(&server, "h2", b"").await;
    for _ in 0..2 {
        let answer = client.get(&path(&packet(MAIL, None))).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
    server.until(CLOSED, "queries", 1.0).await;
    server.stop().await;
}
