//! One request and its response: what was decided, what was tried, and the access log line at the end.
//!
//! Keeps the snapshot it was decided with, so that a retry walks the same decision whatever is reloaded
//! meanwhile. Decides nothing.

use crate::access_log::{Record, clip, rfc3339, seconds};
use crate::client_address::ClientAddress;
use crate::fault::Fault;
use crate::load::InFlight;
use crate::metrics::RegionSeries;
use crate::route::{Route, Routes};
use crate::upstream::Prepared;
use pingora_proxy::Session;
use prometheus::IntGauge;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use steering::table::Endpoint;
use steering::{Decision, EndpointId, Located, Snapshot};

/// One request.
pub(crate) struct Exchange {
    pub began: Instant,
    pub time: SystemTime,
    pub client: Option<ClientAddress>,
    pub located: Option<Located>,
    /// The host the client asked for, as it wrote it.
    pub authority: String,
    pub steered: Option<Steered>,
    pub region: Option<Arc<RegionSeries>>,
    pub attempt: Attempt,
    /// Times it went on to another endpoint.
    pub retries: u8,
    /// Times it was sent again because a kept connection turned out to be closed.
    pub resent: u8,
    /// Why it was answered here.
    pub fault: Option<Fault>,
    _counted: Counted,
}

/// What a request was steered by.
pub(crate) struct Steered {
    pub snapshot: Arc<Snapshot>,
    pub route: Route,
    pub decision: Decision,
}

/// The current try.
#[derive(Default)]
pub(crate) struct Attempt {
    /// Position in the decision's endpoints.
    pub next: usize,
    pub endpoint: Option<EndpointId>,
    pub in_flight: Option<InFlight>,
    pub began: Option<Instant>,
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
}

/// Counts a request in flight as long as it lives.
struct Counted(IntGauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Exchange {
    pub(crate) fn begin(in_flight: &IntGauge) -> Self {
        in_flight.inc();
        Self {
            began: Instant::now(),
            time: SystemTime::now(),
            client: None,
            located: None,
            authority: String::new(),
            steered: None,
            region: None,
            attempt: Attempt::default(),
            retries: 0,
            resent: 0,
            fault: None,
            _counted: Counted(in_flight.clone()),
        }
    }

    /// The service's name, once routed.
    pub(crate) fn service(&self) -> Option<&str> {
        self.steered.as_ref().map(Steered::service)
    }

    /// The endpoint of the current try.
    pub(crate) fn endpoint(&self) -> Option<(EndpointId, &Endpoint)> {
        let id = self.attempt.endpoint?;
        let endpoint = self
            .steered
            .as_ref()?
            .snapshot
            .table()
            .endpoints()
            .get(id.index())?;
        Some((id, endpoint))
    }

    /// The verdict's name, as logs and metrics have it.
    pub(crate) fn verdict(&self) -> &'static str {
        self.steered
            .as_ref()
            .map_or("none", |steered| steered.decision.verdict.name())
    }

    /// The access log line.
    pub(crate) fn record<'a>(&'a self, session: &'a Session, status: u16) -> Record<'a> {
        let request = session.req_header();
        let digest = session.digest();
        let tls = digest
            .and_then(|digest| digest.ssl_digest.as_ref())
            .map(|tls| &*tls.version);
        let text = |address: std::net::IpAddr| address.to_string();
        let country = self.located.and_then(|located| located.location.country);
        let mut record = Record {
            time: rfc3339(self.time),
            client: self.client.map(|c| text(c.client)).unwrap_or_default(),
            peer: self.client.map(|c| text(c.peer)).unwrap_or_default(),
            country: country.map(|country| country.to_string()),
            reason: self.fault.map(Fault::reason),
            method: request.method.as_str(),
            host: clip(&self.authority),
            path: clip(std::str::from_utf8(request.raw_path()).unwrap_or_default()),
            protocol: protocol(request.version),
            status,
            request_bytes: session.body_bytes_read(),
            bytes: session.body_bytes_sent(),
            upstream_connect_seconds: self.attempt.connect.map(seconds),
            upstream_first_byte_seconds: self.attempt.first_byte.map(seconds),
            seconds: seconds(self.began.elapsed()),
            retries: self.retries,
            tls,
            ..Record::default()
        };
        if let Some(steered) = &self.steered {
            steered.fill(&mut record);
        }
        record.endpoint = self
            .endpoint()
            .map(|(_, endpoint)| endpoint.address.to_string());
        record
    }
}

impl Steered {
    fn service(&self) -> &str {
        let services = self.snapshot.table().services();
        services
            .get(self.route.service.index())
            .map_or("", |service| &service.name)
    }

    /// How to connect to the chosen pool.
    pub(crate) fn upstream(&self) -> Option<&Prepared> {
        let routes = self.snapshot.table().planes().find::<Routes>()?;
        routes.upstream(self.decision.pool?)
    }

    /// The address of an endpoint of this decision.
    pub(crate) fn address(&self, id: EndpointId) -> Option<SocketAddr> {
        self.snapshot
            .table()
            .endpoints()
            .get(id.index())
            .map(|endpoint| endpoint.address)
    }

    /// The region's name.
    pub(crate) fn region(&self) -> Option<&Arc<str>> {
        let regions = self.snapshot.table().regions();
        self.decision
            .region
            .and_then(|id| regions.get(id.index()))
            .map(|region| &region.name)
    }

    fn fill<'a>(&'a self, record: &mut Record<'a>) {
        let pools = self.snapshot.table().pools();
        let pool = self.decision.pool.and_then(|id| pools.get(id.index()));
        record.service = Some(self.service());
        record.region = self.region().map(|name| &**name);
        record.pool = pool.map(|pool| &*pool.name);
        record.verdict = Some(self.decision.verdict.name());
        record.generation = Some(self.snapshot.generation());
        record.pinned = self.decision.pinned;
    }
}

fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_11 => "HTTP/1.1",
        http::Version::HTTP_2 => "HTTP/2",
        _ => "unknown",
    }
}
