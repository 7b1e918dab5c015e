//! What the admin address answers.

use super::metrics::RegionMetrics;
use super::status::Status;
use crate::cli::dns::why::{self, Asking};
use crate::cli::explain::{explanation, unknown_service};
use crate::daemon::State;
use crate::daemon::conductor::Message;
use axum::extract::{Query, State as From};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use prometheus::{Encoder, TextEncoder};
use serde::Deserialize;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use steering::Plane;
use steering::table::NodeKind;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Answers on `listener` until `stop` is done.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = axum::Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route(
            "/status",
            get(|From(state): From<Arc<State>>| async move { Json(Status::new(&state)) }),
        )
        .route("/explain", get(explain))
        .route("/query", get(query))
        .route("/failback", post(failback))
        .with_state(state);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await
}

async fn index() -> &'static str {
    "rhumb admin\n\
     GET  /metrics    Prometheus\n\
     GET  /healthz    200 while the process lives\n\
     GET  /readyz     200 while it takes clients\n\
     GET  /status     JSON: generation, last reload, regions, endpoints\n\
     GET  /explain?service=NAME&client=ADDRESS[&plane=dns|http][&draw=N][&format=text|json]\n\
     GET  /query?name=NAME&client=ADDRESS[&type=A][&subnet=CIDR][&transport=udp|tcp][&draw=N]\n\
     POST /failback?policy=NAME    a held failover returns to its first usable child\n"
}

async fn ready(From(state): From<Arc<State>>) -> Response {
    if state.is_ready() {
        "ready\n".into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: starting or stopping\n",
        )
            .into_response()
    }
}

async fn metrics(From(state): From<Arc<State>>) -> Response {
    let regions = RegionMetrics {
        prefix: &state.region_prefix,
    }
    .gather(&state.reader.load(), &state.traffic);
    let mut families = state.registry.gather();
    families.extend(regions.unwrap_or_default());
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&families, &mut text) {
        Ok(()) => {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4");
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[derive(Deserialize)]
struct Ask {
    service: String,
    client: IpAddr,
    #[serde(default)]
    plane: Option<String>,
    #[serde(default)]
    draw: u64,
    #[serde(default)]
    format: Option<String>,
}

async fn explain(From(state): From<Arc<State>>, Query(ask): Query<Ask>) -> Response {
    let plane = match ask.plane.as_deref() {
        None | Some("dns") => Plane::Dns,
        Some("http") => Plane::Http,
        Some(other) => {
            return (
                StatusCode::BAD_REQUEST,
                format!("plane={other}: dns or http\n"),
            )
                .into_response();
        }
    };
    let snapshot = state.reader.snapshot();
    match explanation(&snapshot, &ask.service, ask.client, plane, ask.draw) {
        Some(explanation) if ask.format.as_deref() == Some("text") => {
            format!("{explanation}\n").into_response()
        }
        Some(explanation) => Json(explanation).into_response(),
        None => {
            let message = unknown_service(&snapshot, &ask.service);
            (StatusCode::NOT_FOUND, format!("{message}\n")).into_response()
        }
    }
}

#[derive(Deserialize)]
struct AskName {
    name: String,
    client: IpAddr,
    #[serde(default, rename = "type")]
    rtype: Option<String>,
    #[serde(default)]
    subnet: Option<ipnet::IpNet>,
    #[serde(default)]
    transport: Option<String>,
    #[serde(default)]
    draw: u64,
}

impl AskName {
    fn asking(&self) -> Result<Asking, String> {
        let name = self
            .name
            .parse()
            .map_err(|e| format!("name={}: {e}", self.name))?;
        let rtype = self.rtype.as_deref().unwrap_or("A");
        let rtype = rtype.parse().map_err(|e| format!("type={rtype}: {e}"))?;
        let transport = self.transport.as_deref().unwrap_or("udp");
        let transport = dns::Transport::ALL
            .into_iter()
            .find(|t| t.name() == transport);
        Ok(Asking {
            packet: why::ask(0, name, rtype, self.subnet).packet(),
            client: self.client,
            transport: transport.ok_or("transport: udp, tcp, dot, doh or doq")?,
            draw: self.draw,
        })
    }
}

async fn query(From(state): From<Arc<State>>, Query(ask): Query<AskName>) -> Response {
    let asking = match ask.asking() {
        Ok(asking) => asking,
        Err(message) => return (StatusCode::BAD_REQUEST, format!("{message}\n")).into_response(),
    };
    match why::why(&state.reader.snapshot(), &asking) {
        Some((_, why)) => Json(why).into_response(),
        None => (
            StatusCode::NOT_FOUND,
            "there is no response to this query\n",
        )
            .into_response(),
    }
}

#[derive(Deserialize)]
struct Failback {
    policy: String,
}

async fn failback(From(state): From<Arc<State>>, Query(ask): Query<Failback>) -> Response {
    let held = |node: &steering::table::Node| {
        matches!(node.kind, NodeKind::Failover { slot: Some(_), .. }) && *node.name == *ask.policy
    };
    if !state.reader.load().table().nodes().iter().any(held) {
        let message = format!(
            "no failover policy {} with failback: manual or after\n",
            ask.policy
        );
        return (StatusCode::NOT_FOUND, message).into_response();
    }
    let (done, applied) = oneshot::channel();
    let message = Message::Failback(ask.policy.as_str().into(), done);
    if state.conductor.send(message).await.is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match applied.await {
        Ok(snapshot) => {
            tracing::info!(
                policy = ask.policy,
                generation = snapshot.generation(),
                "failed back on an operator's word"
            );
            format!("generation {}\n", snapshot.generation()).into_response()
        }
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response(),
    }
}
