//! A response made so small that nothing is won by forging queries for it, and a real client comes by TCP.

use super::classify::{skip_name, skip_record};
use crate::query::{HEADER, flags};
use crate::rtype::RType;

/// Cuts a response to its header with TC, its question and its OPT record, in place; gives the new length. The OPT
/// stays, since with it stays the cookie that takes the client out of all this (RFC 7873 §5.2.3).
pub(super) fn cut(response: &mut [u8]) -> usize {
    let question = response.get(5).copied().unwrap_or(0);
    let end = if question == 0 {
        Some(HEADER)
    } else {
        skip_name(response, HEADER).map(|end| end + 4)
    };
    let Some(end) = end.filter(|end| *end <= response.len()) else {
        return response.len();
    };
    let opt = opt(response, end);
    let (at, length) = opt.map_or((end, 0), |(from, to)| (from, to - from));
    response.copy_within(at..at + length, end);
    for (i, octet) in response.iter_mut().take(HEADER).enumerate() {
        match i {
            2 => *octet |= flags::TC,
            6..=10 => *octet = 0,
            11 => *octet = u8::from(opt.is_some()),
            _ => {}
        }
    }
    end + length
}

/// Where the OPT record is, among the records from `at` on.
fn opt(response: &[u8], mut at: usize) -> Option<(usize, usize)> {
    while at < response.len() {
        let (rtype, end) = skip_record(response, at)?;
        if rtype == RType::OPT {
            return Some((at, end));
        }
        at = end;
    }
    None
}
