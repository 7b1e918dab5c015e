//! What is written: the config language, version 1, as serde types.
//!
//! Names are not resolved and ranges not checked here; see [`check`](crate::check). The doc comments
//! of keys are what the JSON Schema says of them.

pub mod defaults;
mod dns;
mod expect;
mod leaf;
mod listen;
mod node;
mod places;
mod policy;
mod pools;
mod services;
mod transfers;

pub use dns::*;
pub use expect::*;
pub use leaf::*;
pub use listen::*;
pub use node::*;
pub use places::*;
pub use policy::*;
pub use pools::*;
pub use services::*;
pub use transfers::*;

use crate::de::{Names, Written as W};
use schemars::JsonSchema;
use serde::Deserialize;

/// A Rhumb config.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Rhumb config")]
pub struct Config {
    /// The version of this language: 1.
    pub version: Option<W<u32>>,
    /// Other files (paths or globs, relative to this file) that are read as if they stood here.
    pub include: Option<W<Vec<W<String>>>>,
    /// This node.
    pub pop: Option<W<Pop>>,
    /// Threads that serve; default: the machine's cores.
    pub workers: Option<W<u32>>,
    /// A directory where health and latency are kept over restarts.
    pub state_dir: Option<W<String>>,
    /// How long the first round of health checks is waited for at start; default 5s.
    pub startup_grace: Option<W<Time>>,
    /// How long requests in flight are waited for at stop; default 30s.
    pub drain_time: Option<W<Time>>,
    /// Proxies whose X-Forwarded-For and Forwarded headers are believed.
    pub trusted_proxies: Option<W<Vec<W<Network>>>>,
    /// Whether the client subnet option (RFC 7871) locates DNS clients; default true.
    pub edns_client_subnet: Option<W<bool>>,
    /// How clients are located.
    pub geoip: Option<W<Geoip>>,
    /// Places that serve.
    pub regions: Option<W<Names<Region>>>,
    /// Areas of one law, by country.
    pub jurisdictions: Option<W<Names<Jurisdiction>>>,
    /// Sets of countries, usable wherever countries are.
    pub country_sets: Option<W<Names<Vec<W<String>>>>>,
    /// How endpoints are probed.
    pub health_checks: Option<W<Names<HealthCheck>>>,
    /// Endpoints of one region behind one health check.
    pub pools: Option<W<Names<Pool>>>,
    /// Trees of choices over pools.
    pub policies: Option<W<Names<Policy>>>,
    /// Rules for which jurisdictions may serve which clients.
    pub residency: Option<W<Names<Residency>>>,
    /// What clients ask for.
    pub services: Option<W<Names<Service>>>,
    /// Keys that zone transfers are signed with.
    pub keys: Option<W<Names<Key>>>,
    /// Zones that are answered for.
    pub zones: Option<W<Names<Zone>>>,
    /// Round trips from clients to regions, for `latency` over DNS.
    pub latency_map: Option<W<Vec<W<LatencyRow>>>>,
    /// Where Rhumb listens.
    pub listen: Option<W<Listen>>,
    /// How DNS queries are answered.
    pub dns: Option<W<Dns>>,
    /// Bounds of client requests.
    pub http: Option<W<HttpLimits>>,
    /// Names of metrics.
    pub metrics: Option<W<Metrics>>,
    /// The log of what Rhumb does.
    pub log: Option<W<Log>>,
    /// Where access log lines go: stdout, off, or a file; default off.
    pub access_log: Option<W<AccessLog>>,
    /// Your own tests: what a client is to be given.
    pub expect: Option<W<Vec<W<Expectation>>>>,
}
