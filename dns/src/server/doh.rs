//! DNS over HTTPS (RFC 8484): HTTP/2 and HTTP/1.1 around one query and its answer. The framing is hyper's.
//!
//! Bounds: streams a connection, octets of a head, of a body and of what waits to be sent, how many bodies of a
//! connection may be long at a time, the time of a head and the idle time of the connection. What never happens here: no path but the one is served, nothing is
//! redirected, no file is read.

use super::places::Place;
use super::{Shared, wire};
use crate::metrics::Closed;
use crate::query::Transport;
use crate::respond::{Outcome, Rules};
use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use request::{Asked, MEDIA_TYPE, asked};
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

mod request;

/// The most exchanges at a time on one HTTP/2 connection (RFC 9113 §6.5.2 recommends no less than 100).
const STREAMS: u32 = 100;
/// The most octets of a request's head. A query in a GET is a few hundred octets in base64url.
const HEAD: usize = 16 << 10;
/// The most octets of answers that wait for an HTTP/2 client to take them.
const UNSENT: usize = 128 << 10;
/// The most octets that were not read yet: of one body, and of all bodies of a connection.
const WINDOWS: (u32, u32) = (64 << 10, 256 << 10);
/// From how many octets on a body is long: hardly any query ever is.
const SHORT: usize = 2_048;
/// The most long bodies at a time of one connection. Further ones are refused: if they waited, what was sent of them
/// would take the windows that the others need to end.
const LONG: usize = 4;
/// How long a head may take once its connection is made.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// How long exchanges may end in, once no more are taken.
const GOODBYE: Duration = Duration::from_secs(1);

/// What an exchange needs.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) shared: Arc<Shared>,
    pub(super) place: Arc<Place>,
    pub(super) peer: IpAddr,
    pub(super) path: Arc<str>,
    /// Places for bodies that are long; of this connection alone.
    pub(super) long: Arc<Semaphore>,
}

/// The places of a new connection.
pub(super) fn long() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(LONG))
}

/// Serves one connection. `None`: the client's closing, or the server's stop.
pub(super) async fn serve(
    stream: TlsStream<TcpStream>,
    asker: Asker,
    shutdown: &CancellationToken,
) -> Option<Closed> {
    let place = asker.place.clone();
    let shared = asker.shared.clone();
    let exchange = service_fn(move |request| {
        let asker = asker.clone();
        async move { Ok::<_, Infallible>(asker.answer(request).await) }
    });
    let builder = builder();
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), exchange));
    let mut closed = None;
    let mut going = false;
    loop {
        let limits = Rules::of(&shared.reader.load()).connections;
        let left = if going {
            GOODBYE
        } else {
            place.may_idle(&limits).saturating_sub(place.idle_for())
        };
        let enough = limits.queries.is_some_and(|most| place.asked() >= most);
        tokio::select! {
            biased;
            ended = connection.as_mut() => return closed.or_else(|| fault(ended.err()?)),
            () = shutdown.cancelled(), if !going => {}
            () = place.asked_more(), if !going && !enough && limits.queries.is_some() => continue,
            () = sleep(left) => {
                if going {
                    return closed;
                }
                if place.idle_for() < place.may_idle(&limits) {
                    continue;
                }
                closed = Some(Closed::Idle);
            }
            () = std::future::ready(()), if enough && !going => closed = Some(Closed::Queries),
        }
        going = true;
        connection.as_mut().graceful_shutdown();
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD);
    let (stream, connection) = WINDOWS;
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD as u32)
        .max_send_buf_size(UNSENT)
        .initial_stream_window_size(stream)
        .initial_connection_window_size(connection);
    builder
}

/// What hyper says of a connection that broke.
fn fault(error: Box<dyn Error + Send + Sync>) -> Option<Closed> {
    let Some(error) = error.downcast_ref::<hyper::Error>() else {
        return Some(Closed::Broken);
    };
    let mut source = error.source();
    while let Some(cause) = source {
        let io = cause.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof) {
            // Many clients leave TLS without a word.
            return None;
        }
        source = cause.source();
    }
    Some(match () {
        () if error.is_parse() => Closed::Malformed,
        () if error.is_timeout() => Closed::Idle,
        () => Closed::Broken,
    })
}

impl Asker {
    /// Answers one request.
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        self.place.ask();
        let (parts, body) = request.into_parts();
        let packet = match asked(&parts, &self.path) {
            Ok(Asked::Packet(packet)) => Bytes::from(packet),
            Ok(Asked::Body(most)) => match self.body(body, most).await {
                Ok(packet) => packet,
                Err(status) => return refusal(status),
            },
            Err(status) => return refusal(status),
        };
        let mut out = Vec::new();
        let outcome = self
            .shared
            .turn(|batch| batch.exchange(&packet, self.peer, Transport::Https, &mut out));
        self.place.touch();
        match outcome {
            Outcome::Dropped => refusal(StatusCode::BAD_REQUEST),
            Outcome::Rejected(_) | Outcome::Notified(_) => response(out, false),
            Outcome::Answered(summary) => response(out, summary.decided.is_some()),
        }
    }

    /// The body of a POST, within its bounds.
    async fn body(&self, body: Incoming, most: usize) -> Result<Bytes, StatusCode> {
        let idle = Rules::of(&self.shared.reader.load()).connections.idle;
        match timeout(idle, self.whole(Limited::new(body, most))).await {
            Ok(Ok(whole)) => Ok(whole),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
            Ok(Err(error)) if error.is::<TryAcquireError>() => Err(StatusCode::SERVICE_UNAVAILABLE),
            Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
            Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
        }
    }

    /// All of a body. One that grows long takes a place of its connection's, so that many that never end hold little.
    async fn whole(
        &self,
        mut body: Limited<Incoming>,
    ) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        let (mut whole, mut place) = (BytesMut::new(), None);
        while let Some(frame) = body.frame().await {
            // Trailers say nothing here.
            if let Ok(octets) = frame?.into_data() {
                whole.extend_from_slice(&octets);
            }
            if whole.len() > SHORT && place.is_none() {
                place = Some(self.long.try_acquire()?);
            }
        }
        Ok(whole.freeze())
    }
}

/// An answer, with how long it may be kept (RFC 8484 §5.1). A steered one only by its own client: another would
/// be given another.
fn response(message: Vec<u8>, steered: bool) -> Response<Full<Bytes>> {
    let kept = match wire::freshness(&message) {
        Some(seconds) if steered => format!("private, max-age={seconds}"),
        Some(seconds) => format!("max-age={seconds}"),
        None => "no-store".to_owned(),
    };
    let mut response = Response::new(Full::from(message));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    if let Ok(kept) = HeaderValue::from_str(&kept) {
        headers.insert(CACHE_CONTROL, kept);
    }
    response
}

fn refusal(status: StatusCode) -> Response<Full<Bytes>> {
    let text = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(Full::from(format!("{text}\n")));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = [Method::GET, Method::HEAD, Method::POST].map(|method| method.to_string());
        if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
            headers.insert(ALLOW, allowed);
        }
    }
    response
}
