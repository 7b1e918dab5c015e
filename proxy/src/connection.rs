//! One client connection from accept to its end: TLS, the heads of its requests, and what a client is
//! told when a head is at fault. HTTP/2 is Pingora's after the handshake.

use crate::access_log::{AccessLog, Record, rfc3339, seconds};
use crate::fault::Fault;
use crate::head::{HeadLimits, HeadTimes, NoHead, read_head};
use crate::metrics::Metrics;
use crate::service::{Seen, Service};
use crate::settings::Settings;
use crate::stream::ClientStream;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, ServerApp};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_proxy::HttpProxy;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How long and how much a client that was told off may still send, so that it gets to read why.
const LINGER: Duration = Duration::from_secs(1);
/// See [`LINGER`]; bytes.
const LINGER_BYTES: usize = 256 * 1024;

/// What all connections share.
pub(crate) struct Shared {
    pub proxy: Arc<HttpProxy<Service>>,
    pub settings: Arc<Settings>,
    pub metrics: Arc<Metrics>,
    pub log: Arc<AccessLog>,
    /// Cancelled when no new request may begin.
    pub stop: CancellationToken,
    /// The same for Pingora, which then sends GOAWAY and ends connections after their request.
    pub shutdown: watch::Receiver<bool>,
}

impl Shared {
    /// Serves one connection until it ends.
    pub(crate) async fn serve(
        self: &Arc<Self>,
        tcp: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) {
        // Without it small responses wait for the client's acknowledgements.
        let _ = tcp.set_nodelay(true);
        let stream = match tls {
            None => ClientStream::plain(tcp, peer),
            Some(acceptor) => {
                match timeout(self.settings.header_timeout, acceptor.accept(tcp)).await {
                    Ok(Ok(tls)) => ClientStream::tls(tls, peer),
                    failed => {
                        self.metrics.tls_failures.inc();
                        let error = failed.map(|r| r.err().map(|e| e.to_string()));
                        tracing::debug!(%peer, ?error, "TLS handshake failed");
                        return;
                    }
                }
            }
        };
        if stream.is_h2() {
            ServerApp::process_new(&self.proxy, Box::new(stream), &self.shutdown).await;
        } else {
            self.http1(Box::new(stream), peer).await;
        }
    }

    async fn http1(&self, mut stream: Stream, peer: SocketAddr) {
        let seen: Seen = Arc::new(AtomicBool::new(false));
        let mut kept: Option<HttpPersistentSettings> = None;
        let mut fresh = true;
        loop {
            let head =
                match read_head(&mut stream, self.limits(), self.times(fresh), &self.stop).await {
                    Ok(head) => head,
                    Err(NoHead::Closed) => return,
                    Err(NoHead::Fault(fault)) => return self.tell_off(stream, peer, fault).await,
                };
            fresh = false;
            let began = Instant::now();
            let mut session = ServerSession::new_http1(stream);
            match kept.take() {
                Some(settings) => settings.apply_to_session(&mut session),
                None => session.set_keepalive(Some(self.settings.keep_alive.as_secs().max(1))),
            }
            session.set_pipelined_prefix(head);
            seen.store(false, Ordering::Relaxed);
            session.set_connection_user_context(Some(Box::new(seen.clone())));
            match self.proxy.process_new_http(session, &self.shutdown).await {
                Some(reused) => (stream, kept) = reused.consume(),
                None => {
                    if !seen.load(Ordering::Relaxed) {
                        self.refused(peer, Fault::BadRequest, began.elapsed());
                    }
                    return;
                }
            }
        }
    }

    fn limits(&self) -> HeadLimits {
        HeadLimits {
            bytes: self.settings.max_header_bytes,
            fields: self.settings.max_headers,
        }
    }

    fn times(&self, fresh: bool) -> HeadTimes {
        let total = self.settings.header_timeout;
        let begin = Instant::now()
            + if fresh {
                total
            } else {
                self.settings.keep_alive
            };
        HeadTimes {
            begin,
            total,
            fresh,
        }
    }

    /// Says why and closes, reading on for a moment: bytes left unread would make the kernel reset the
    /// connection, and the client might never see the answer.
    async fn tell_off(&self, mut stream: Stream, peer: SocketAddr, fault: Fault) {
        if fault == Fault::HeaderTimeout {
            self.metrics.header_timeouts.inc();
        }
        self.refused(peer, fault, Duration::ZERO);
        let answer = async {
            stream.write_all(&fault.raw_response()).await?;
            stream.flush().await?;
            AsyncWriteExt::shutdown(&mut stream).await?;
            let mut sink = [0_u8; 4096];
            let mut left = LINGER_BYTES;
            while left > 0 {
                match stream.read(&mut sink).await? {
                    0 => break,
                    n => left = left.saturating_sub(n),
                }
            }
            Ok::<_, std::io::Error>(())
        };
        // A client that is gone, or still sends, is not waited for.
        let _ = timeout(LINGER, answer).await;
    }

    /// Counts and logs a request that never reached the service.
    fn refused(&self, peer: SocketAddr, fault: Fault, took: Duration) {
        self.metrics
            .faults
            .with_label_values(&[fault.reason()])
            .inc();
        let region = self.metrics.region(None);
        self.metrics.finished(&region, "none", fault.status(), took);
        if self.log.is_on() {
            self.log.write(&Record {
                time: rfc3339(SystemTime::now()),
                client: peer.ip().to_string(),
                peer: peer.ip().to_string(),
                status: fault.status(),
                reason: Some(fault.reason()),
                seconds: seconds(took),
                ..Record::default()
            });
        }
    }
}
