//! The fast encoder: common queries, from octets to octets without an [`Answer`](crate::Answer) between.
//!
//! What it does not cover falls to [`respond_into`](crate::respond_into()), which covers everything; where
//! both do, they say the same octets. What never happens here: nothing is allocated, locked or refused.

use crate::query::Transport;
use crate::respond::{Outcome, Rules};
use crate::rtype::RType;
use std::net::IpAddr;
use steering::Snapshot;

/// Answers one packet by appending the response to `out`, or leaves `out` as it is and gives `None`.
/// `draw` is called at most once, and only where something is decided; its arguments are those of
/// [`respond_into`](crate::respond_into()).
#[inline]
pub(crate) fn offer(
    _snapshot: &Snapshot,
    _packet: &[u8],
    _peer: IpAddr,
    _transport: Transport,
    _rules: &Rules,
    _draw: impl FnOnce(IpAddr, &[u8], RType) -> u64,
    _out: &mut Vec<u8>,
) -> Option<Outcome> {
    None
}
