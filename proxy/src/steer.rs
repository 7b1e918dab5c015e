//! From a request's head to its decision: client, route, `Snapshot::decide`, and what a decision that
//! serves nobody is called. The only place of this crate that asks for a decision.

use crate::client_address::{ClientAddress, canonical};
use crate::exchange::{Exchange, Steered};
use crate::fault::Fault;
use crate::headers;
use crate::route::Routes;
use crate::service::Service;
use http::Method;
use pingora_core::protocols::http::authority::{RawTargetAuthority, raw_target_authority};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use steering::{Client, Decision, EndpointId, Reason, Silent, Verdict, Want};

impl Service {
    /// Routes and decides. After it the exchange holds a decision with at least one endpoint.
    pub(crate) fn steer(&self, session: &Session, ctx: &mut Exchange) -> Result<(), Fault> {
        let request = session.req_header();
        if request.headers.len() > self.settings.max_headers {
            return Err(Fault::HeaderTooLarge);
        }
        let snapshot = self.reader.snapshot();
        let routes = snapshot.table().planes().find::<Routes>();
        let trusted = routes.map(Routes::trusted_proxies).unwrap_or_default();
        let client = ClientAddress::of(peer_of(session), &request.headers, trusted);
        let located = snapshot.locate(client.client);
        (ctx.client, ctx.located) = (Some(client), Some(located));
        if request.method == Method::CONNECT {
            return Err(Fault::MethodNotAllowed);
        }
        let authority = headers::authority(request).ok_or(Fault::BadRequest)?;
        authority.clone_into(&mut ctx.authority);
        let route = routes
            .and_then(|routes| routes.find(authority, path_of(request)))
            .ok_or(Fault::NoRoute)?
            .clone();

        let draw = self.draws.next();
        let who = Client {
            address: client.client,
            located: Some(located),
            known_bits: None,
        };
        let mut decision = snapshot.decide(route.service, &who, Want::http(draw), &mut Silent);
        let endpoints = snapshot.table().endpoints();
        let load = |id: EndpointId| {
            endpoints
                .get(id.index())
                .map_or(0, |e| self.load.of(e.address))
        };
        decision.prefer_less_loaded(draw, load);
        self.observer.on_decision(&snapshot, &decision);

        let fault = fault_of(&decision);
        let steered = Steered {
            snapshot,
            route,
            decision,
        };
        ctx.region = Some(self.metrics.region(steered.region()));
        ctx.steered = Some(steered);
        fault.map_or(Ok(()), Err)
    }
}

/// Why a decision serves nobody; `None` when it does.
fn fault_of(decision: &Decision) -> Option<Fault> {
    match (decision.verdict, decision.reason) {
        (Verdict::Refused, Reason::ResidencyExhausted) => Some(Fault::ResidencyExhausted),
        (Verdict::Refused, _) => Some(Fault::PolicyExhausted),
        (Verdict::NoService, _) => Some(Fault::NoMatch),
        _ if decision.endpoints.is_empty() => Some(Fault::NoEndpoint),
        _ => None,
    }
}

/// The peer of the client's connection.
fn peer_of(session: &Session) -> IpAddr {
    let peer = session
        .client_addr()
        .and_then(|address| address.as_inet().copied());
    // Every stream of ours knows its peer; nothing is trusted that comes from nowhere.
    canonical(peer.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))).ip()
}

/// The path of a request target in origin or absolute form (RFC 9112 §3.2).
fn path_of(request: &RequestHeader) -> &str {
    match raw_target_authority(request.raw_path()) {
        RawTargetAuthority::Absolute { path_and_query, .. } => {
            let path = std::str::from_utf8(path_and_query).unwrap_or("/");
            if path.starts_with('/') { path } else { "/" }
        }
        _ => std::str::from_utf8(request.raw_path()).unwrap_or_else(|_| request.uri.path()),
    }
}
