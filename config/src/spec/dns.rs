//! How DNS queries are answered, as written.

mod query_log;
mod rate_limit;
mod tcp;

pub use query_log::*;
pub use rate_limit::*;
pub use tcp::*;

use crate::de::Written as W;
use schemars::JsonSchema;
use serde::Deserialize;

/// How DNS queries are answered.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The most octets of an answer over UDP, whatever the client can take, 512 to 65535; default 1232.
    pub udp_payload: Option<W<u32>>,
    /// Bounds of connections.
    pub tcp: Option<W<Tcp>>,
    /// How often a client's network may be told the same; default: as often as it asks.
    pub rate_limit: Option<W<RateLimit>>,
    /// A line for some or all queries; default: none.
    pub query_log: Option<W<QueryLog>>,
}
