//! What is fixed when the proxy starts: listeners, bounds and timeouts. Routes, upstreams and trusted
//! proxies are not here: they change with the routing table.

use crate::certificates::Certificates;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A TLS listener.
#[derive(Clone, Debug)]
pub struct HttpsListener {
    /// Where it listens; port 0 takes any free port.
    pub address: SocketAddr,
    /// Its certificates; replaced while it runs.
    pub certificates: Arc<Certificates>,
}

/// Where access log lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccessLogTarget {
    /// Nowhere.
    #[default]
    Off,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// Listeners, bounds and timeouts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Plain HTTP/1.1 listeners.
    pub http: Vec<SocketAddr>,
    /// HTTPS listeners: HTTP/2 and HTTP/1.1 by ALPN.
    pub https: Vec<HttpsListener>,
    /// How long the whole head of a request may take: from its first byte, or on a new connection from
    /// accept (from the end of the handshake under TLS, which has as long again).
    pub header_timeout: Duration,
    /// How long a connection may be idle between requests.
    pub keep_alive: Duration,
    /// How long a client may take over the next bytes of a body it sends, or to take the next bytes of
    /// a response.
    pub client_timeout: Duration,
    /// The largest head of a request, in bytes. HTTP/2 counts name, value and 32 for each field.
    pub max_header_bytes: usize,
    /// The most header fields of a request.
    pub max_headers: usize,
    /// The most connections at a time, over all listeners; more are closed at once.
    pub max_connections: usize,
    /// How long requests in flight may go on when the proxy stops.
    pub drain_time: Duration,
    /// Idle connections to endpoints kept for reuse, over all endpoints.
    pub upstream_keepalive: usize,
    /// Where access log lines go.
    pub access_log: AccessLogTarget,
    /// Lines waiting to be written; more are dropped and counted.
    pub access_log_queue: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            http: Vec::new(),
            https: Vec::new(),
            header_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
            client_timeout: Duration::from_secs(60),
            max_header_bytes: 64 * 1024,
            max_headers: 100,
            max_connections: 16_384,
            drain_time: Duration::from_secs(30),
            upstream_keepalive: 2048,
            access_log: AccessLogTarget::Off,
            access_log_queue: 8192,
        }
    }
}
