//! Answers of more than one message: what a zone transfer gives to a stream.
//!
//! Messages are pulled, one at a time, as the client takes them: nothing is made before there is room for
//! it, so a slow reader costs one message and not a zone. What never happens here: nothing waits.

use crate::query::Transport;
use std::net::IpAddr;
use steering::Reader;

/// An answer that is made message by message.
pub trait Messages: Send {
    /// Appends the next message (without its length, at most 65,535 octets) to `out`. `false`: the answer is
    /// complete, and nothing was appended.
    fn next(&mut self, out: &mut Vec<u8>) -> bool;
}

/// Who gives such answers. Asked for every message that comes over TCP, DoT or DoQ, before it is answered
/// like any other; so it must see quickly what is none of its business.
pub trait Transfers: Send + Sync + 'static {
    /// The answer to `packet`, or `None` when it is one message and left to [`respond`](crate::respond()).
    /// A snapshot of `reader` may be kept as long as the answer takes.
    fn open(
        &self,
        reader: &Reader,
        packet: &[u8],
        peer: IpAddr,
        transport: Transport,
    ) -> Option<Box<dyn Messages>>;
}

/// No transfers.
impl Transfers for () {
    fn open(&self, _: &Reader, _: &[u8], _: IpAddr, _: Transport) -> Option<Box<dyn Messages>> {
        None
    }
}
