//! NOTIFY (RFC 1996) as messages: ours to secondaries, their answers, and those that primaries send us.
//!
//! What never happens here: nothing is sent or waited for; when is [`RETRIES`]' to say and the binary's to do.

use super::message::{Cursor, counts, serial_of, uncompressed};
use crate::name::Name;
use crate::query::{HEADER, IN, flags};
use crate::rtype::RType;
use std::time::Duration;

/// The opcode, as it lies in a header.
pub(crate) const OPCODE: u8 = 4 << 3;

/// How long each try waits for an answer before the next (RFC 1996 §3.6: the interval grows, the tries end).
pub const RETRIES: [Duration; 5] = [
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(30),
];

/// The question for a zone's SOA in a message of this opcode; `soa`, TTL and RDATA, is told as a hint
/// (RFC 1996 §3.7).
fn question(id: u16, flags: u8, zone: &Name, soa: Option<(u32, &[u8])>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend(id.to_be_bytes());
    out.extend([flags, 0, 0, 1, 0, u8::from(soa.is_some()), 0, 0, 0, 0]);
    out.extend_from_slice(zone.as_wire());
    out.extend(RType::SOA.0.to_be_bytes());
    out.extend(IN.to_be_bytes());
    if let Some((ttl, data)) = soa {
        out.extend([0xc0, HEADER as u8]);
        out.extend(RType::SOA.0.to_be_bytes());
        out.extend(IN.to_be_bytes());
        out.extend(ttl.to_be_bytes());
        out.extend((data.len() as u16).to_be_bytes());
        out.extend_from_slice(data);
    }
    out
}

/// A NOTIFY that the zone has a new version.
pub fn notify(id: u16, zone: &Name, soa: Option<(u32, &[u8])>) -> Vec<u8> {
    question(id, OPCODE | flags::AA, zone, soa)
}

/// A question for the zone's SOA, as a secondary asks it (RFC 1034 §4.3.5).
pub fn soa_query(id: u16, zone: &Name) -> Vec<u8> {
    question(id, 0, zone, None)
}

/// A request for the zone: IXFR from the version that `have` is the SOA of, TTL and RDATA, else AXFR.
pub fn transfer_query(id: u16, zone: &Name, have: Option<(u32, &[u8])>) -> Vec<u8> {
    let rtype = match have {
        Some(_) => RType::IXFR,
        None => RType::AXFR,
    };
    let mut out = question(id, 0, zone, have);
    // The SOA stands in the authority section (RFC 1995 §3), which for these counts is the same place.
    if have.is_some() {
        for (at, octet) in [(7, 0), (9, 1)] {
            if let Some(to) = out.get_mut(at) {
                *to = octet;
            }
        }
    }
    let at = HEADER + zone.as_wire().len();
    for (to, from) in out.iter_mut().skip(at).zip(rtype.0.to_be_bytes()) {
        *to = from;
    }
    out
}

/// What an answer to one of our questions says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The response code, its lower four bits.
    pub rcode: u8,
    /// Whether it was cut short.
    pub truncated: bool,
    /// Whether the server says it is authoritative.
    pub authoritative: bool,
    /// The serial of the zone's SOA, when it is in the answer section.
    pub serial: Option<u32>,
}

/// Reads an answer to [`notify`] or [`soa_query`]; `None` when it is none: another ID, another zone.
pub fn reply(message: &[u8], id: u16, zone: &Name) -> Option<Reply> {
    let header: &[u8; HEADER] = message.first_chunk()?;
    let [id_high, id_low, high, low, ..] = *header;
    if u16::from_be_bytes([id_high, id_low]) != id || high & flags::QR == 0 {
        return None;
    }
    let [questions, answers, ..] = counts(message)?;
    let mut cursor = Cursor::new(message, HEADER);
    if questions == 1 {
        if cursor.name()? != *zone {
            return None;
        }
        cursor.skip(4)?;
    }
    let rcode = low & 0x0f;
    // Servers that refuse may leave out what they were asked.
    if questions == 0 && rcode == 0 {
        return None;
    }
    let mut serial = None;
    for _ in 0..answers {
        let owner = cursor.name()?;
        let record = cursor.record_after_name()?;
        if record.rtype == RType::SOA && owner == *zone {
            serial = serial_of(&uncompressed(message, &record)?);
        }
    }
    Some(Reply {
        rcode,
        truncated: high & flags::TC != 0,
        authoritative: high & flags::AA != 0,
        serial,
    })
}

/// The serial that a NOTIFY tells, if it tells one for this zone. It proves nothing (RFC 1996 §3.7).
pub(crate) fn hint(packet: &[u8], zone: &Name) -> Option<u32> {
    let [_, answers, ..] = counts(packet)?;
    let mut cursor = Cursor::new(packet, HEADER);
    cursor.skip_name()?;
    cursor.skip(4)?;
    let owner = (answers > 0).then(|| cursor.name())??;
    let record = cursor.record_after_name()?;
    (record.rtype == RType::SOA && owner == *zone)
        .then(|| uncompressed(packet, &record))
        .flatten()
        .and_then(|soa| serial_of(&soa))
}
