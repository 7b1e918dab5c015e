//! Bounds of DNS connections, as written.

use crate::de::Written as W;
use crate::spec::Time;
use schemars::JsonSchema;
use serde::Deserialize;

/// Bounds of DNS connections: TCP, DNS over TLS, HTTPS and QUIC together.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// The most at a time, 1 to 1000000; when all are taken, the one that is idle for longest is closed for a new
    /// one; default 4096.
    pub connections: Option<W<u32>>,
    /// The most of one client network at a time, 1 to 1000000; further ones are closed at once; default 512.
    pub connections_per_client: Option<W<u32>>,
    /// How many bits of an IPv4 address make a client network, 8 to 32; default 32.
    pub ipv4_prefix: Option<W<u32>>,
    /// How many bits of an IPv6 address make a client network, 16 to 128; default 56.
    pub ipv6_prefix: Option<W<u32>>,
    /// How long a connection may be without a query, and how long a client may take to take an answer, 100ms to 10m;
    /// a quarter of it while three quarters of all connections are taken; default 10s. Clients that ask for it are
    /// told (edns-tcp-keepalive).
    pub idle_timeout: Option<W<Time>>,
    /// After how many queries a connection is closed, at least 1; default: never.
    pub queries_per_connection: Option<W<u32>>,
}
