//! What a query log tells of one query: put together only for those that the log picks.
//!
//! What never happens here: no line is written, and none is picked.

use crate::metrics::Limited;
use crate::query::{Query, Rcode, Transport};
use crate::respond::Outcome;
use std::net::IpAddr;
use std::time::Duration;
use steering::Snapshot;

/// One query that was picked for the log.
#[derive(Debug)]
pub struct Logged<'a> {
    /// What answered; the ids in `outcome` are its.
    pub snapshot: &'a Snapshot,
    /// The packet.
    pub packet: &'a [u8],
    /// Who sent it.
    pub peer: IpAddr,
    /// How it came.
    pub transport: Transport,
    /// What became of it.
    pub outcome: &'a Outcome,
    /// What rate limiting did to the response, if anything.
    pub limited: Option<Limited>,
    /// The octets of the response; 0 when none is sent.
    pub size: usize,
    /// From the packet to the response.
    pub took: Duration,
}

impl Logged<'_> {
    /// The query, read once more; `None` when it is malformed.
    pub fn query(&self) -> Option<Query> {
        Query::read(self.packet, self.peer, self.transport, true)
    }

    /// The response code; `None` when there is no response.
    pub fn rcode(&self) -> Option<Rcode> {
        match self.outcome {
            Outcome::Dropped => None,
            Outcome::Rejected(rcode) => Some(*rcode),
            Outcome::Notified(_) => Some(Rcode::NoError),
            Outcome::Answered(summary) => Some(summary.rcode),
        }
    }
}
