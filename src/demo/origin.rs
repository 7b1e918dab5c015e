//! The demo's own origin servers: one small HTTP server a region, so that a PoP on one machine has something to steer
//! to. It says where it is and what it was sent, and can be failed by hand.
//!
//! | request | answer |
//! |---|---|
//! | any | JSON: region, method, path, query, host, client, headers, body_bytes |
//! | `GET /health` | 200 `{"status":"up"}`, or 503 `{"status":"down"}` once failed |
//! | `PUT /health/down`, `PUT /health/up` | fails the origin, brings it back |
//! | `GET /ws` | WebSocket: every message comes back |
//! | `GET /chunked?n=10` | n chunks, one after another |
//! | `POST /echo` | the body, as it comes in, of any size |
//! | `GET /slow?ms=100` | the JSON, that much later |
//! | `GET /bytes?n=1000` | n zero bytes |
//!
//! It is no part of steering: it knows no config, no table and no health check, and a health that was set by hand is
//! all the health it has.

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// The most connections one origin holds; more wait in the listener's backlog.
const MAX_CONNECTIONS: usize = 4_096;
/// The most chunks of `/chunked`.
const MAX_CHUNKS: u32 = 1_000;
/// The pause between two chunks, so that whoever buffers them is seen to.
const CHUNK_PAUSE: Duration = Duration::from_millis(10);
/// The longest `/slow` waits, in milliseconds.
const MAX_SLOW_MS: u64 = 10_000;
/// The most bytes of `/bytes`: 1 GiB.
const MAX_BYTES: u64 = 1 << 30;
/// The largest WebSocket message that is echoed.
const MAX_MESSAGE: usize = 1 << 20;
/// How long requests in flight are waited for once asked to stop.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// A block of what `/bytes` is made of.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// One origin: where it says it is, and how it says it is.
struct Origin {
    region: Arc<str>,
    up: AtomicBool,
    stop: CancellationToken,
}

/// Serves as `region` on `listener` until `shutdown` is ready; requests in flight then have a second to end.
///
/// # Errors
/// When the listener has no address, which means it is no listener any more.
pub async fn serve(
    region: impl Into<Arc<str>>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let stop = CancellationToken::new();
    let origin = Arc::new(Origin {
        region: region.into(),
        up: AtomicBool::new(true),
        stop: stop.clone(),
    });
    let listener = Bounded::new(listener)?;
    let stopped = stop.clone();
    let server = axum::serve(listener, router(origin))
        .with_graceful_shutdown(async move { stopped.cancelled().await });
    let mut server = Box::pin(server.into_future());
    tokio::select! {
        ended = &mut server => return ended,
        () = shutdown => stop.cancel(),
    }
    // A body that its client does not read would keep the server here for good.
    tokio::time::timeout(STOP_WITHIN, server)
        .await
        .unwrap_or(Ok(()))
}

fn router(origin: Arc<Origin>) -> Router {
    Router::new()
        .route("/health", get(health).fallback(describe))
        .route("/health/{word}", put(set_health).fallback(describe))
        .route("/ws", get(web_socket).fallback(describe))
        .route("/chunked", get(chunked).fallback(describe))
        .route("/echo", post(echo).fallback(describe))
        .route("/slow", get(slow).fallback(describe))
        .route("/bytes", get(bytes).fallback(describe))
        .fallback(describe)
        .with_state(origin)
}

async fn health(State(origin): State<Arc<Origin>>) -> Response {
    health_of(&origin)
}

fn health_of(origin: &Origin) -> Response {
    let (status, word) = if origin.up.load(Ordering::Relaxed) {
        (StatusCode::OK, "up")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "down")
    };
    let body = Json(json!({ "status": word, "region": &*origin.region }));
    (status, body).into_response()
}

async fn set_health(State(origin): State<Arc<Origin>>, Path(word): Path<String>) -> Response {
    let up = match word.as_str() {
        "up" => true,
        "down" => false,
        _ => {
            let help = json!({ "error": "PUT /health/up or /health/down" });
            return (StatusCode::NOT_FOUND, Json(help)).into_response();
        }
    };
    origin.up.store(up, Ordering::Relaxed);
    let now = json!({ "region": &*origin.region, "status": word });
    Json(now).into_response()
}

/// Says where it came out, and what came in.
async fn describe(State(origin): State<Arc<Origin>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    let host = head
        .headers
        .get(header::HOST)
        .map(text)
        .or_else(|| head.uri.authority().map(ToString::to_string));
    let forwarded = ["x-forwarded-for", "forwarded"]
        .into_iter()
        .find_map(|name| joined(&head.headers, name));
    let body_bytes = match count(body).await {
        Ok(bytes) => bytes,
        Err(problem) => {
            let broken = json!({ "region": &*origin.region, "error": problem.to_string() });
            return (StatusCode::BAD_REQUEST, Json(broken)).into_response();
        }
    };
    Json(json!({
        "region": &*origin.region,
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": query,
        "host": host,
        "client": forwarded,
        "headers": headers(&head.headers),
        "body_bytes": body_bytes,
    }))
    .into_response()
}

/// Reads a body to its end and keeps none of it.
async fn count(body: Body) -> Result<u64, axum::Error> {
    let mut blocks = body.into_data_stream();
    let mut bytes = 0;
    while let Some(block) = blocks.next().await {
        bytes += block?.len() as u64;
    }
    Ok(bytes)
}

fn headers(headers: &HeaderMap) -> Map<String, Value> {
    headers
        .keys()
        .filter_map(|name| Some((name.as_str().to_owned(), joined(headers, name.as_str())?)))
        .map(|(name, value)| (name, Value::String(value)))
        .collect()
}

/// All values of a header, in order, joined as one (RFC 9110 §5.3).
fn joined(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<String> = headers.get_all(name).iter().map(text).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

async fn web_socket(State(origin): State<Arc<Origin>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .max_message_size(MAX_MESSAGE)
        .on_upgrade(move |socket| echo_messages(socket, origin))
}

async fn echo_messages(mut socket: WebSocket, origin: Arc<Origin>) {
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            () = origin.stop.cancelled() => return,
        };
        // Pings are answered below us; a close or a broken connection ends the echo.
        match message {
            Some(Ok(message)) => {
                use axum::extract::ws::Message;
                let data = matches!(message, Message::Text(_) | Message::Binary(_));
                if data && socket.send(message).await.is_err() {
                    return;
                }
            }
            Some(Err(_)) | None => return,
        }
    }
}

#[derive(Deserialize)]
struct Chunks {
    n: Option<u32>,
}

async fn chunked(State(origin): State<Arc<Origin>>, Query(asked): Query<Chunks>) -> Response {
    let chunks = asked.n.unwrap_or(5).min(MAX_CHUNKS);
    let body = stream::unfold(0_u32, move |sent| {
        let origin = origin.clone();
        async move {
            if sent == chunks {
                return None;
            }
            if sent > 0 {
                tokio::time::sleep(CHUNK_PAUSE).await;
            }
            let line = format!("{} chunk {} of {chunks}\n", origin.region, sent + 1);
            Some((Ok::<_, Infallible>(Bytes::from(line)), sent + 1))
        }
    });
    let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    (kind, Body::from_stream(body)).into_response()
}

async fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut response = Body::from_stream(body.into_data_stream()).into_response();
    let kind = head.headers.get(header::CONTENT_TYPE).cloned();
    let default = HeaderValue::from_static("application/octet-stream");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, kind.unwrap_or(default));
    response
}

#[derive(Deserialize)]
struct Pause {
    ms: Option<u64>,
}

async fn slow(state: State<Arc<Origin>>, Query(asked): Query<Pause>, request: Request) -> Response {
    let ms = asked.ms.unwrap_or(100).min(MAX_SLOW_MS);
    tokio::time::sleep(Duration::from_millis(ms)).await;
    describe(state, request).await
}

#[derive(Deserialize)]
struct Amount {
    n: Option<u64>,
}

async fn bytes(Query(asked): Query<Amount>) -> Response {
    let total = asked.n.unwrap_or(1_000).min(MAX_BYTES);
    let body = stream::unfold(total, |left| async move {
        let block = left.min(ZEROS.len() as u64);
        let zeros = ZEROS.get(..usize::try_from(block).unwrap_or(0))?;
        (block > 0).then(|| (Ok::<_, Infallible>(Bytes::from_static(zeros)), left - block))
    });
    let about = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, total.to_string()),
    ];
    (about, Body::from_stream(body)).into_response()
}

/// A listener that holds no more than [`MAX_CONNECTIONS`] at once.
struct Bounded {
    listener: TcpListener,
    address: SocketAddr,
    room: Arc<Semaphore>,
}

impl Bounded {
    fn new(listener: TcpListener) -> io::Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            listener,
            room: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        })
    }
}

impl axum::serve::Listener for Bounded {
    type Io = Held;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Held, SocketAddr) {
        // The semaphore is never closed; without a permit the connection would only go uncounted.
        let permit = self.room.clone().acquire_owned().await.ok();
        let (stream, peer) = axum::serve::Listener::accept(&mut self.listener).await;
        if let Err(problem) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %problem, "small answers may wait for others: no TCP_NODELAY");
        }
        let held = Held {
            stream,
            _permit: permit,
        };
        (held, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// A connection, and its place among those that may be held.
struct Held {
    stream: TcpStream,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

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
        let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
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
}
