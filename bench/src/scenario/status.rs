//! What a running Rhumb says of itself on its admin address, as far as a scenario needs it.

use super::ScenarioError;
use super::call::call;
use serde::Deserialize;
use std::net::SocketAddr;

/// `GET /status`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Status {
    /// The version of the server.
    pub(super) version: String,
    /// How the last reload ended.
    pub(super) reload: Reload,
    /// Regions.
    pub(super) regions: Vec<Region>,
    /// Endpoints.
    pub(super) endpoints: Vec<Endpoint>,
}

/// How the last reload ended.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Reload {
    pub(super) applied: bool,
    /// Milliseconds since 1970.
    pub(super) at: u64,
    pub(super) problems: Vec<String>,
}

/// One region.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Region {
    pub(super) name: String,
    pub(super) usable: bool,
}

/// One endpoint.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Endpoint {
    pub(super) region: String,
    pub(super) address: SocketAddr,
    /// `up`, `down` or `unknown`.
    pub(super) state: String,
    /// Milliseconds since 1970; none where nothing is checked.
    pub(super) since: Option<u64>,
    /// Consecutive outcomes against the state.
    pub(super) against: u16,
    /// Milliseconds since 1970.
    pub(super) last_probe: Option<u64>,
    pub(super) last_error: Option<String>,
}

impl Status {
    /// Asks.
    ///
    /// # Errors
    /// When nobody answers there, or not as Rhumb does.
    pub(super) fn of(admin: SocketAddr) -> Result<Self, ScenarioError> {
        let strange = |reason: String| ScenarioError::Admin(admin, reason);
        let answer = call(admin, "GET", "/status").map_err(|error| strange(error.to_string()))?;
        if answer.status != 200 {
            return Err(strange(format!("it answers {}", answer.status)));
        }
        serde_json::from_str(&answer.body).map_err(|error| strange(error.to_string()))
    }
}
