//! Walking over a message that another server made: names with pointers followed, records by their bounds.
//!
//! Total: any octets may come in. What never happens here: nothing is interpreted beyond names and lengths,
//! and a pointer never leads forwards, so that no walk goes round.

use crate::name::{MAX_LABEL, MAX_NAME, Name, name_len};
use crate::query::HEADER;
use crate::rtype::RType;
use smallvec::SmallVec;
use std::ops::Range;

/// How many records each section says it has: question, answer, authority, additional.
pub(crate) fn counts(message: &[u8]) -> Option<[u16; 4]> {
    let header: &[u8; HEADER] = message.first_chunk()?;
    let at = |i: usize| u16::from_be_bytes([header[i], header[i + 1]]);
    Some([at(4), at(6), at(8), at(10)])
}

/// One record, by where it lies.
#[derive(Clone, Debug)]
pub(crate) struct RawRecord {
    pub(crate) rtype: RType,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Range<usize>,
}

/// A place in a message.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(message: &'a [u8], at: usize) -> Self {
        Self { message, at }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn skip(&mut self, octets: usize) -> Option<()> {
        let to = self.at.checked_add(octets)?;
        (to <= self.message.len()).then(|| self.at = to)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.message.get(self.at..)?.first_chunk().copied()?;
        self.at += N;
        Some(taken)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    /// Over a name that may end in a pointer; where that leads is not looked at.
    pub(crate) fn skip_name(&mut self) -> Option<()> {
        loop {
            let label = *self.message.get(self.at)?;
            match label {
                0 => return self.skip(1),
                0xc0.. => return self.skip(2),
                1..=63 => self.skip(1 + usize::from(label))?,
                _ => return None,
            }
        }
    }

    /// A name, lower-cased, and over it.
    pub(crate) fn name(&mut self) -> Option<Name> {
        self.name_as_is().map(|wire| Name::lowered(&wire))
    }

    /// A name with its case kept, uncompressed, and over it (RFC 1035 §4.1.4).
    pub(crate) fn name_as_is(&mut self) -> Option<SmallVec<[u8; 64]>> {
        let mut wire = SmallVec::new();
        let mut from = self.at;
        // Each pointer leads before where the one before it led to: the walk ends.
        let mut before = self.at;
        let mut jumped = false;
        loop {
            let label = *self.message.get(from)?;
            if label >= 0xc0 {
                let low = *self.message.get(from + 1)?;
                if !jumped {
                    self.at = from + 2;
                    jumped = true;
                }
                let to = usize::from(label & 0x3f) << 8 | usize::from(low);
                if to >= before {
                    return None;
                }
                (before, from) = (to, to);
                continue;
            }
            let length = 1 + usize::from(label);
            if length > 1 + MAX_LABEL || wire.len() + length > MAX_NAME {
                return None;
            }
            wire.extend_from_slice(self.message.get(from..from + length)?);
            from += length;
            if label == 0 {
                if !jumped {
                    self.at = from;
                }
                return Some(wire);
            }
        }
    }

    /// Over one record; `None` when it is cut short.
    pub(crate) fn record(&mut self) -> Option<RawRecord> {
        self.skip_name()?;
        self.record_after_name()
    }

    /// The rest of a record whose name was read.
    pub(crate) fn record_after_name(&mut self) -> Option<RawRecord> {
        let rtype = RType(self.u16()?);
        let class = self.u16()?;
        let ttl = u32::from_be_bytes(self.take()?);
        let length = usize::from(self.u16()?);
        let start = self.at;
        self.skip(length)?;
        Some(RawRecord {
            rtype,
            class,
            ttl,
            data: start..self.at,
        })
    }
}

/// RDATA of a record with every name in it uncompressed. Names may be compressed in the types of RFC 1035 and in
/// some that were made before RFC 3597 §4 forbade it; a sender may still do so. `None`: malformed.
pub(crate) fn uncompressed(message: &[u8], record: &RawRecord) -> Option<Vec<u8>> {
    let data = message.get(record.data.clone())?;
    // What comes before the names, how many names, and whether something follows.
    let (before, names, follows) = match record.rtype {
        RType::NS | RType::CNAME | RType::PTR | RType::DNAME => (0, 1, false),
        // MD, MF, MB, MG, MR.
        RType(3 | 4 | 7 | 8 | 9) => (0, 1, false),
        RType::SOA => (0, 2, true),
        // MINFO and RP.
        RType(14) | RType::RP => (0, 2, false),
        RType::MX | RType::AFSDB | RType(21) | RType::KX => (2, 1, false),
        RType(26) => (2, 2, false),
        RType::SRV => (6, 1, false),
        RType::NAPTR => (naptr_texts(data)?, 1, false),
        RType::RRSIG | RType::SIG => (18, 1, true),
        RType::NSEC | RType(30) => (0, 1, true),
        _ => return Some(data.to_vec()),
    };
    let mut out = data.get(..before)?.to_vec();
    // Bounded by the record: what a name says literally must lie within it.
    let within = message.get(..record.data.end)?;
    let mut cursor = Cursor::new(within, record.data.start + before);
    for _ in 0..names {
        out.extend_from_slice(&cursor.name_as_is()?);
    }
    let rest = within.get(cursor.at()..)?;
    if !follows && !rest.is_empty() {
        return None;
    }
    out.extend_from_slice(rest);
    (record.rtype != RType::SOA || rest.len() == 20).then_some(out)
}

/// How long order, preference and the three texts of a NAPTR are.
fn naptr_texts(data: &[u8]) -> Option<usize> {
    let mut at = 4;
    for _ in 0..3 {
        at += 1 + usize::from(*data.get(at)?);
    }
    (at <= data.len()).then_some(at)
}

/// The version in a SOA's RDATA (names uncompressed).
pub(crate) fn serial_of(soa: &[u8]) -> Option<u32> {
    timers_of(soa).map(|[serial, ..]| serial)
}

/// SERIAL, REFRESH, RETRY, EXPIRE and MINIMUM of a SOA's RDATA (names uncompressed).
pub(crate) fn timers_of(soa: &[u8]) -> Option<[u32; 5]> {
    let mname = name_len(soa)?;
    let rname = name_len(soa.get(mname..)?)?;
    let numbers: &[u8; 20] = soa.get(mname + rname..)?.try_into().ok()?;
    let at = |i: usize| {
        numbers
            .get(i * 4..i * 4 + 4)
            .and_then(|four| four.try_into().ok())
            .map_or(0, u32::from_be_bytes)
    };
    Some([at(0), at(1), at(2), at(3), at(4)])
}

/// Whether `new` is a later version than `old` (RFC 1982 §3.2).
pub fn is_later(new: u32, old: u32) -> bool {
    let ahead = new.wrapping_sub(old);
    ahead != 0 && ahead < 1 << 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc1982_3_2_later_is_by_half_the_circle() {
        for (new, old, later) in [
            (2, 1, true),
            (1, 1, false),
            (1, 2, false),
            (0, u32::MAX, true),
            (1 << 31, 0, false),
            ((1 << 31) - 1, 0, true),
        ] {
            assert_eq!(is_later(new, old), later, "{new} after {old}");
        }
    }

    #[test]
    fn rfc1035_4_1_4_pointers_lead_backwards_only() {
        let mut message = vec![0; 12];
        message.extend(b"\x01a\x00\x01b\xc0\x0c\xc0\x12\xc0\x14");
        let at = |from| Cursor::new(&message, from).name();
        assert_eq!(at(15).map(|n| n.to_string()).as_deref(), Some("b.a."));
        assert_eq!(at(19), None, "to itself is round and round: {message:?}");
        assert_eq!(at(21), None);
        assert_eq!(at(99), None);
    }
}
