//! Response rate limiting, as written.

use crate::de::Written as W;
use crate::spec::Network;
use schemars::JsonSchema;
use serde::Deserialize;

/// How often a client's network may be told the same over UDP, where a sender's address can be forged. What comes
/// by TCP, TLS, HTTPS or QUIC, or with a valid cookie, is not limited.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Responses a second for one name (all names of a wildcard count as one), 0 to 100000; 0 for no limit.
    pub responses_per_second: Option<W<u32>>,
    /// Errors a second; default: `responses_per_second`.
    pub errors_per_second: Option<W<u32>>,
    /// Responses a second that a name of one zone does not exist; default: `responses_per_second`.
    pub nxdomains_per_second: Option<W<u32>>,
    /// Referrals a second to one child zone; default: `responses_per_second`.
    pub referrals_per_second: Option<W<u32>>,
    /// Responses of all kinds a second, together; default 0, no limit.
    pub all_per_second: Option<W<u32>>,
    /// Of so many responses beyond the rate one is sent, without records and with TC, so that a real client comes by
    /// TCP; 1 sends each, 0 none; 0 to 10, default 2.
    pub slip: Option<W<u32>>,
    /// How many bits of an IPv4 address make a network, 8 to 32; default 24.
    pub ipv4_prefix: Option<W<u32>>,
    /// How many bits of an IPv6 address make a network, 16 to 128; default 56.
    pub ipv6_prefix: Option<W<u32>>,
    /// Networks that are never limited.
    pub exempt: Option<W<Vec<W<Network>>>>,
    /// Count and log what would be done, and send everything; default false.
    pub dry_run: Option<W<bool>>,
}
