//! Bounds of DNS connections: ranges, and a client's share that fits all.

use super::super::Checker;
use crate::checked::Connections;
use crate::de::{Written, given};
use crate::spec::{self, defaults};

impl Checker<'_> {
    pub(super) fn connections(&mut self, written: &Option<Written<spec::Tcp>>) -> Connections {
        let default = spec::Tcp::default();
        let written = given(written).map_or(&default, |(tcp, _)| tcp);
        let most = self.within(
            &written.connections,
            defaults::CONNECTIONS,
            defaults::CONNECTION_COUNTS,
        );
        let per_client = self.within(
            &written.connections_per_client,
            defaults::CONNECTIONS_PER_CLIENT,
            defaults::CONNECTION_COUNTS,
        );
        if let Some((_, place)) = given(&written.connections_per_client)
            && per_client > most
        {
            self.findings
                .warning(
                    "out_of_range",
                    place,
                    format!("a client may have {per_client} connections of {most} in all"),
                )
                .hint("raise `connections`, or lower this");
        }
        Connections {
            most,
            per_client,
            ipv4_prefix: self.within(
                &written.ipv4_prefix,
                defaults::CONNECTION_IPV4_PREFIX,
                defaults::RATE_IPV4_PREFIXES,
            ) as u8,
            ipv6_prefix: self.within(
                &written.ipv6_prefix,
                defaults::CONNECTION_IPV6_PREFIX,
                defaults::RATE_IPV6_PREFIXES,
            ) as u8,
            idle: self.idle(written),
            queries: given(&written.queries_per_connection)
                .map(|_| self.within(&written.queries_per_connection, 1, 1..=u32::MAX) as u64),
        }
    }

    fn idle(&mut self, written: &spec::Tcp) -> std::time::Duration {
        let idle = self.at_least(
            &written.idle_timeout,
            defaults::CONNECTION_IDLE,
            defaults::MIN_INTERVAL,
        );
        if let Some((_, place)) = given(&written.idle_timeout)
            && idle > defaults::MAX_CONNECTION_IDLE
        {
            self.findings
                .error("out_of_range", place, "this is at most 10m")
                .hint("an idle connection is cheap for a client to make again");
        }
        idle
    }
}
