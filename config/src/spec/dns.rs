//! How DNS queries are answered, as written.

mod cookies;
mod query_log;
mod rate_limit;
mod tcp;

pub use cookies::*;
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
    /// What NSID (RFC 5001) tells: a text, in which {generation} is the generation of the table, or 0x and hexadecimal
    /// digits; off for nothing. Default: the PoP's name.
    pub nsid: Option<W<String>>,
    /// What version.bind and version.server tell in class CH; off to refuse. Default: rhumb.
    pub version: Option<W<String>>,
    /// What hostname.bind and id.server tell in class CH; off to refuse. Default: the PoP's name.
    pub hostname: Option<W<String>>,
    /// DNS cookies; default: on, with a random secret each run.
    pub cookies: Option<W<CookieSetting>>,
    /// How often a client's network may be told the same; default: as often as it asks.
    pub rate_limit: Option<W<RateLimit>>,
    /// A line for some or all queries; default: none.
    pub query_log: Option<W<QueryLog>>,
}
