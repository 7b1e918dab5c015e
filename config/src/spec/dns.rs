//! How DNS queries are answered, as written.

use crate::de::Written as W;
use schemars::JsonSchema;
use serde::Deserialize;

/// How DNS queries are answered.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// The most octets of an answer over UDP, whatever the client can take, 512 to 65535; default 1232.
    pub udp_payload: Option<W<u32>>,
}
