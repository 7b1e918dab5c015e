//! What the rest of the daemon may want to know of each request: an interface, nothing done here.

use std::time::Duration;
use steering::{Decision, EndpointId, Snapshot};

/// Told of decisions and connections as they happen. Called on the request's own task: must not block.
pub trait Observe: Send + Sync + 'static {
    /// A request was decided (traffic shares by region).
    fn on_decision(&self, snapshot: &Snapshot, decision: &Decision) {
        let _ = (snapshot, decision);
    }

    /// A new connection to an endpoint was established; `took` is the TCP handshake alone, a measure
    /// of the round trip (latency steering).
    fn on_connect(&self, snapshot: &Snapshot, endpoint: EndpointId, took: Duration) {
        let _ = (snapshot, endpoint, took);
    }

    /// An endpoint could not be connected to.
    fn on_connect_failure(&self, snapshot: &Snapshot, endpoint: EndpointId) {
        let _ = (snapshot, endpoint);
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observe for Unobserved {}
