//! How DNS queries are answered: payloads, and what else is told beside the records.

mod identity;
mod query_log;
mod rate_limit;
mod tcp;

use super::Checker;
use crate::checked::{Dns, Told};
use crate::de::given;
use crate::spec::{self, defaults};

impl Checker<'_> {
    pub(super) fn dns(&mut self, config: &spec::Config) -> Dns {
        let default = spec::Dns::default();
        let written = given(&config.dns).map_or(&default, |(dns, _)| dns);
        let payload = self.within(
            &written.udp_payload,
            defaults::UDP_PAYLOAD,
            defaults::UDP_PAYLOADS,
        );
        Dns {
            udp_payload: payload as u16,
            connections: self.connections(&written.tcp),
            nsid: self.told(&written.nsid, Told::PopName),
            version: self.told(&written.version, Told::Program),
            hostname: self.told(&written.hostname, Told::PopName),
            cookies: self.cookies(&written.cookies),
            rate_limit: self.rate_limit(&written.rate_limit),
            query_log: self.query_log(&written.query_log),
        }
    }
}
