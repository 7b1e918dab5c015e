//! The demo's origins, asked directly: what later tests take them to be.

use crate::harness::origins::origin::serve;
use serde_json::{Value, json};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An origin on a free port; stops when dropped.
struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<io::Result<()>>,
}

impl Running {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let server = tokio::spawn(serve("eu-west-1", listener, async move {
            stopped.cancelled().await
        }));
        Self {
            address,
            stop,
            server,
        }
    }

    async fn open(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("connect");
        stream.write_all(text.as_bytes()).await.expect("write");
        stream
    }

    /// Sends these bytes on a connection of their own and returns all that comes back, as (status, head, body).
    async fn ask(&self, text: &str) -> (u16, String, Vec<u8>) {
        let mut stream = self.open(text).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        let end = answer
            .windows(4)
            .position(|at| at == b"\r\n\r\n")
            .expect("a head");
        let body = answer.split_off(end + 4);
        let head = String::from_utf8(answer).expect("a head in ASCII");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        (status.expect("a status"), head.to_lowercase(), body)
    }

    async fn get(&self, path: &str) -> (u16, String, Vec<u8>) {
        let host = "Host: api.demo.test\r\nConnection: close";
        self.ask(&format!("GET {path} HTTP/1.1\r\n{host}\r\n\r\n"))
            .await
    }

    async fn put(&self, path: &str) -> u16 {
        let host = "Host: whatever\r\nContent-Length: 0\r\nConnection: close";
        self.ask(&format!("PUT {path} HTTP/1.1\r\n{host}\r\n\r\n"))
            .await
            .0
    }
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

#[tokio::test]
async fn any_path_and_method_is_told_where_it_came_out_and_what_it_was() {
    let origin = Running::start().await;
    let (status, _, body) = origin
        .ask(
            "PATCH /deep/path?a=1 HTTP/1.1\r\nHost: api.demo.test\r\nX-Forwarded-For: 2.16.0.7\r\n\
             X-Forwarded-For: 10.0.0.1\r\nX-Two: b\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        )
        .await;
    let said = parsed(&body);
    assert_eq!(status, 200);
    for (key, expected) in [
        ("region", json!("eu-west-1")),
        ("method", json!("PATCH")),
        ("path", json!("/deep/path")),
        ("query", json!("a=1")),
        ("host", json!("api.demo.test")),
        ("client", json!("2.16.0.7, 10.0.0.1")),
        ("body_bytes", json!(5)),
    ] {
        assert_eq!(said[key], expected, "{key}");
    }
    assert_eq!(said["headers"]["x-two"], json!("b"));
}

#[tokio::test]
async fn health_is_what_was_set_by_hand() {
    let origin = Running::start().await;
    assert_eq!(origin.get("/health").await.0, 200);
    assert_eq!(origin.put("/health/down").await, 200);
    let (status, _, body) = origin.get("/health").await;
    assert_eq!((status, &parsed(&body)["status"]), (503, &json!("down")));
    assert_eq!(origin.get("/").await.0, 200, "only its health is down");
    assert_eq!(origin.put("/health/sideways").await, 404);
    assert_eq!(origin.put("/health/up").await, 200);
    assert_eq!(origin.get("/health").await.0, 200);
}

#[tokio::test]
async fn every_answer_names_the_region_in_its_head() {
    let origin = Running::start().await;
    for path in ["/", "/health", "/chunked?n=1", "/bytes?n=10", "/slow?ms=1"] {
        let (_, head, _) = origin.get(path).await;
        assert!(
            head.contains("\r\nx-region: eu-west-1\r\n"),
            "{path}: {head}"
        );
    }
    origin.put("/health/down").await;
    let (status, head, _) = origin.get("/health").await;
    assert_eq!(status, 503);
    assert!(head.contains("\r\nx-region: eu-west-1\r\n"), "{head}");
}

#[tokio::test]
async fn chunks_are_chunks() {
    let origin = Running::start().await;
    let (status, head, body) = origin.get("/chunked?n=3").await;
    assert_eq!(status, 200);
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let body = String::from_utf8(body).expect("text");
    for chunk in 1..=3 {
        assert!(
            body.contains(&format!("eu-west-1 chunk {chunk} of 3\n")),
            "{body}"
        );
    }
    assert!(body.ends_with("0\r\n\r\n"), "{body}");
}

#[tokio::test]
async fn a_body_comes_back_while_it_still_comes_in() {
    let origin = Running::start().await;
    let head =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    let mut stream = origin.open(head).await;
    let mut seen = String::new();
    for piece in ["first", "again"] {
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        stream.write_all(chunk.as_bytes()).await.expect("write");
        while !seen.contains(piece) {
            let mut block = [0; 512];
            let read = stream.read(&mut block).await.expect("read");
            assert!(read > 0, "ended after {seen:?}");
            seen.push_str(&String::from_utf8_lossy(&block[..read]));
        }
    }
    stream.write_all(b"0\r\n\r\n").await.expect("write");
}

#[tokio::test]
async fn bytes_are_as_many_as_asked_for() {
    let origin = Running::start().await;
    for asked in [0, 1, 65_536, 200_001] {
        let (status, head, body) = origin.get(&format!("/bytes?n={asked}")).await;
        assert_eq!((status, body.len()), (200, asked), "{head}");
    }
}

#[tokio::test]
async fn slow_answers_like_any_other_path() {
    let origin = Running::start().await;
    let (status, _, body) = origin.get("/slow?ms=1").await;
    assert_eq!((status, &parsed(&body)["path"]), (200, &json!("/slow")));
}

#[tokio::test]
async fn a_web_socket_echoes() {
    let origin = Running::start().await;
    let mut stream = origin
        .open(
            "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    // RFC 6455 §5.2: a final text frame of two bytes, masked by the client with a mask of zeros.
    stream
        .write_all(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i'])
        .await
        .expect("write");
    let mut frame = [0; 4];
    stream.read_exact(&mut frame).await.expect("a frame");
    assert_eq!(&frame, &[0x81, 0x02, b'h', b'i']);
}

#[tokio::test]
async fn it_stops_when_told_even_with_a_socket_open() {
    let origin = Running::start().await;
    let _idle = origin
        .open("GET /bytes?n=1000000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    origin.stop.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(60), origin.server).await;
    ended
        .expect("it stops")
        .expect("no panic")
        .expect("no error");
}
