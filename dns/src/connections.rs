//! The bounds of connections: TCP, DoT, DoH and DoQ together.

use std::time::Duration;

/// How many connections there may be, and for how long. Part of [`Rules`](crate::Rules): a reload changes it
/// for the connections that are open, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// The most at a time. Beyond it the one that is idle for longest gives way, unless even that one has only
    /// just come; then the new one is closed.
    pub most: usize,
    /// The most of one client network at a time; further ones are closed.
    pub per_client: usize,
    /// How many leading bits of an IPv4 address make a client network, at most 32.
    pub ipv4_prefix: u8,
    /// How many leading bits of an IPv6 address make a client network, at most 128.
    pub ipv6_prefix: u8,
    /// How long a connection may take from one complete query to the next, and for an answer to be taken off
    /// our hands (RFC 7766 §6.2.3). A quarter of it once three quarters of `most` are taken.
    pub idle: Duration,
    /// After how many queries a connection is closed; `None` for no bound.
    pub queries: Option<u64>,
}

impl Connections {
    /// What holds where nothing was set.
    pub const DEFAULT: Self = Self {
        most: 4_096,
        per_client: 512,
        ipv4_prefix: 32,
        ipv6_prefix: 56,
        idle: Duration::from_secs(10),
        queries: None,
    };
}

impl Default for Connections {
    fn default() -> Self {
        Self::DEFAULT
    }
}
