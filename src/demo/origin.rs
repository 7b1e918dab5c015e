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
//! Every answer names the region in an `x-region` header, so that a load generator need not read bodies.
//!
//! It is no part of steering: it knows no config, no table and no health check, and a health that was set by hand is
//! all the health it has.

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response_with_state;
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
        .layer(map_response_with_state(origin.clone(), name_region))
        .with_state(origin)
}

/// Names the region where no body need be read.
async fn name_region(State(origin): State<Arc<Origin>>, mut response: Response) -> Response {
    // A name that can't be in a header is in the body alone.
    if let Ok(region) = HeaderValue::from_str(&origin.region) {
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-region"), region);
    }
    response
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
