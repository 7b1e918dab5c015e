//! The Pingora service: routes a request, asks for its decision, connects to the decision's endpoints
//! in order, and says why when none of it worked.
//!
//! It chooses no endpoint: it asks `Snapshot::decide` once and walks what it was given. A request goes
//! on to the next endpoint only when nothing of it was sent.

use crate::access_log::AccessLog;
use crate::draws::Draws;
use crate::exchange::{Attempt, Exchange, Steered};
use crate::fault::Fault;
use crate::headers::{self, Forwarding};
use crate::load::Load;
use crate::metrics::Metrics;
use crate::observe::Observe;
use crate::settings::Settings;
use crate::upstream::Prepared;
use async_trait::async_trait;
use http::{Method, StatusCode};
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use steering::Reader;

/// How long the rest of a body may be read and thrown away, so that the connection can be kept.
const DRAIN: Duration = Duration::from_secs(5);

/// How often a request may be sent again because a kept connection was closed under it.
const MAX_RESENT: u8 = 2;

/// Set when the service has seen a request of a connection: what was never seen, Pingora refused.
pub(crate) type Seen = Arc<AtomicBool>;

/// The service.
pub(crate) struct Service {
    pub reader: Reader,
    pub settings: Arc<Settings>,
    pub metrics: Arc<Metrics>,
    pub log: Arc<AccessLog>,
    pub load: Arc<Load>,
    pub observer: Arc<dyn Observe>,
    pub draws: Draws,
}

impl Service {
    /// Answers with a problem document. The connection is kept only if the client may have the rest of
    /// its body read.
    async fn refuse(&self, session: &mut Session, ctx: &mut Exchange, fault: Fault) {
        ctx.fault = Some(fault);
        self.metrics
            .faults
            .with_label_values(&[fault.reason()])
            .inc();
        let body = fault.document(ctx.service());
        let Ok(header) = fault.header(&body) else {
            return;
        };
        if session.get_header(http::header::EXPECT).is_some() {
            session.set_keepalive(None);
        }
        let bare = session.req_header().method == Method::HEAD;
        let sent = session.write_response_header(Box::new(header), bare).await;
        if sent.is_ok() && !bare {
            // A client that is gone does not read this either.
            let _ = session.write_response_body(Some(body), true).await;
        }
    }

    /// The peer for the current try, and the request counted as in flight to it.
    fn connect(&self, session: &Session, ctx: &mut Exchange) -> Option<HttpPeer> {
        let steered = ctx.steered.as_ref()?;
        let next = ctx.attempt.next;
        let id = *steered.decision.endpoints.get(next)?;
        let address = steered.address(id)?;
        let upgrade = session.is_upgrade_req();
        let peer = match steered.upstream() {
            Some(upstream) => upstream.peer(address, upgrade),
            None => Prepared::default().peer(address, upgrade),
        };
        ctx.attempt = Attempt {
            next,
            endpoint: Some(id),
            in_flight: Some(self.load.enter(address)),
            began: Some(Instant::now()),
            ..Attempt::default()
        };
        Some(peer)
    }

    /// Tells metrics and observer of a new connection.
    fn connected(&self, ctx: &mut Exchange, digest: Option<&Digest>) {
        let took = ctx.attempt.began.map(|began| began.elapsed());
        ctx.attempt.connect = took;
        if let (Some(took), Some(region)) = (took, &ctx.region) {
            region.upstream_connect.observe(took.as_secs_f64());
        }
        let layers = digest
            .map(|digest| digest.timing_digest.as_slice())
            .unwrap_or_default();
        let tcp = layers
            .first()
            .and_then(|layer| layer.as_ref()?.establishment_duration);
        if let (Some(tcp), Some(steered), Some(id)) = (tcp, &ctx.steered, ctx.attempt.endpoint) {
            self.observer.on_connect(&steered.snapshot, id, tcp);
        }
    }
}

#[async_trait]
impl ProxyHttp for Service {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::begin(&self.metrics.in_flight)
    }

    /// None: bodies pass as they are.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    fn on_connection_reuse(
        &self,
        _session: &mut Session,
        _ctx: &mut Exchange,
        connection: Box<dyn Any + Send + Sync>,
    ) {
        if let Ok(seen) = connection.downcast::<Seen>() {
            seen.store(true, Ordering::Relaxed);
        }
    }

    async fn early_request_filter(&self, session: &mut Session, _ctx: &mut Exchange) -> Result<()> {
        session.set_read_timeout(Some(self.settings.client_timeout));
        session.set_write_timeout(Some(self.settings.client_timeout));
        session.set_total_drain_timeout(Some(DRAIN));
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Exchange) -> Result<bool> {
        match self.steer(session, ctx) {
            Ok(()) => Ok(false),
            Err(fault) => {
                self.refuse(session, ctx, fault).await;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut Exchange,
    ) -> Result<Box<HttpPeer>> {
        let peer = self.connect(session, ctx);
        peer.map(Box::new)
            .ok_or_else(|| Error::explain(ErrorType::InternalError, "no endpoint left"))
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::fd::RawFd,
        digest: Option<&Digest>,
        ctx: &mut Exchange,
    ) -> Result<()> {
        if !reused {
            self.connected(ctx, digest);
        }
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Exchange,
    ) -> Result<()> {
        let Some(client) = ctx.client else {
            return Ok(());
        };
        let tls = session
            .digest()
            .is_some_and(|digest| digest.ssl_digest.is_some());
        let upstream = ctx.steered.as_ref().and_then(Steered::upstream);
        let forwarding = Forwarding {
            client,
            authority: &ctx.authority,
            tls,
            host: upstream.and_then(|prepared| prepared.upstream.host.as_deref()),
        };
        forwarding.write(request, &session.req_header().headers)
    }

    async fn upstream_response_filter(
        &self,
        _session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Exchange,
    ) -> Result<()> {
        let informational = response.status.is_informational();
        if !informational || response.status == StatusCode::SWITCHING_PROTOCOLS {
            ctx.attempt.first_byte = ctx.attempt.began.map(|began| began.elapsed());
        }
        headers::strip_response(response);
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Exchange,
    ) -> Result<()> {
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            // From here on silence is for the pool's read timeout to judge, in either direction.
            let upstream = ctx.steered.as_ref().and_then(Steered::upstream);
            session.set_read_timeout(upstream.map(|prepared| prepared.upstream.read_timeout));
        }
        Ok(())
    }

    /// Nothing was sent: the next endpoint of the same decision may have it.
    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Exchange,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let fault = Fault::of(&error);
        self.metrics
            .connect_failures
            .with_label_values(&[fault.reason()])
            .inc();
        ctx.attempt.in_flight = None;
        let Some(steered) = &ctx.steered else {
            return error;
        };
        if let Some(id) = ctx.attempt.endpoint {
            self.observer.on_connect_failure(&steered.snapshot, id);
        }
        let next = ctx.attempt.next + 1;
        let again = ctx.retries < steered.route.retries && next < steered.decision.endpoints.len();
        if again {
            ctx.retries += 1;
            ctx.attempt.next = next;
            self.metrics.retries.inc();
        }
        error.set_retry(again);
        error
    }

    /// Something may have been sent: only an idempotent request whose body is still here may be sent
    /// again, and only when a kept connection was closed under it (RFC 9110 §9.2.2, RFC 9112 §9.3.1).
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        ctx: &mut Exchange,
        reused: bool,
    ) -> Box<Error> {
        let whole = session.req_header().method.is_idempotent()
            && !session.as_ref().retry_buffer_truncated()
            && session.response_written().is_none();
        if whole && ctx.resent < MAX_RESENT {
            error.retry.decide_reuse(reused);
        } else {
            error.set_retry(false);
        }
        if error.retry() {
            ctx.resent += 1;
        }
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Exchange,
    ) -> FailToProxy {
        let fault = Fault::of(error);
        let answered = session.response_written().is_some_and(|response| {
            !response.status.is_informational()
                || response.status == StatusCode::SWITCHING_PROTOCOLS
        });
        session.set_keepalive(None);
        if answered || fault == Fault::ClientClosed {
            ctx.fault = Some(fault);
            self.metrics
                .faults
                .with_label_values(&[fault.reason()])
                .inc();
        } else {
            self.refuse(session, ctx, fault).await;
        }
        FailToProxy {
            error_code: fault.status(),
            can_reuse_downstream: false,
        }
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, ctx: &mut Exchange) {
        let sent = session
            .response_written()
            .map(|response| response.status.as_u16());
        let unanswered = ctx.fault.map_or(0, Fault::status);
        let status = sent.unwrap_or(unanswered);
        let region = match &ctx.region {
            Some(region) => region.clone(),
            None => self.metrics.region(None),
        };
        self.metrics
            .finished(&region, ctx.verdict(), status, ctx.began.elapsed());
        if self.log.is_on() {
            self.log.write(&ctx.record(session, status));
        }
    }

    /// The access log has it; the text of the error is for whoever debugs.
    fn suppress_error_log(&self, _session: &Session, ctx: &Exchange, error: &Error) -> bool {
        tracing::debug!(service = ctx.service(), %error, "a request failed");
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        ctx: &Exchange,
        error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        tracing::debug!(service = ctx.service(), %error, "a request is tried again");
        true
    }
}
