//! Looks at messages from outside: the records of a message, walked without reading what they say.
//!
//! Total: whatever the octets, the walk ends. What never happens here: nothing is answered or changed.

use crate::edns::code;
use crate::query::HEADER;
use crate::rtype::RType;

/// One record, as much of it as is looked at.
struct Seen<'a> {
    /// 0: answer, 1: authority, 2: additional.
    section: usize,
    rtype: RType,
    ttl: u32,
    data: &'a [u8],
}

/// The records of a message; it ends where the message does not make sense.
struct Records<'a> {
    rest: &'a [u8],
    left: [u16; 3],
}

impl<'a> Records<'a> {
    fn of(message: &'a [u8]) -> Option<Self> {
        let (header, mut rest) = message.split_first_chunk::<HEADER>()?;
        let [_, _, _, _, questions @ .., a, b, c, d, e, f] = *header;
        for _ in 0..u16::from_be_bytes(questions) {
            skip_name(&mut rest)?;
            take::<4>(&mut rest)?;
        }
        let left = [[a, b], [c, d], [e, f]].map(u16::from_be_bytes);
        Some(Self { rest, left })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Seen<'a>;

    fn next(&mut self) -> Option<Seen<'a>> {
        let section = self.left.iter().position(|left| *left > 0)?;
        if let Some(left) = self.left.get_mut(section) {
            *left -= 1;
        }
        skip_name(&mut self.rest)?;
        let [type_high, type_low, _, _] = take(&mut self.rest)?;
        let ttl = u32::from_be_bytes(take(&mut self.rest)?);
        let length = usize::from(u16::from_be_bytes(take(&mut self.rest)?));
        let (data, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Seen {
            section,
            rtype: RType(u16::from_be_bytes([type_high, type_low])),
            ttl,
            data,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn skip_name(rest: &mut &[u8]) -> Option<()> {
    loop {
        let [length] = take(rest)?;
        match length {
            0 => return Some(()),
            1..=63 => *rest = rest.get(usize::from(length)..)?,
            0xc0.. => return take::<1>(rest).map(|_| ()),
            _ => return None,
        }
    }
}

/// For how many seconds an HTTP cache may keep a response: the least TTL of its answers; without answers, as
/// long as the denial may be cached (RFC 8484 §5.1, RFC 2308 §5). `None`: not at all.
pub(super) fn freshness(response: &[u8]) -> Option<u32> {
    let rcode = response.get(3)? & 0x0f;
    // NOERROR and NXDOMAIN.
    if !matches!(rcode, 0 | 3) {
        return None;
    }
    let answers = Records::of(response)?.take_while(|record| record.section == 0);
    let least = answers.map(|record| record.ttl).min();
    least.or_else(|| {
        let mut denial = Records::of(response)?.filter(|record| record.section == 1);
        let soa = denial.find(|record| record.rtype == RType::SOA)?;
        let minimum = u32::from_be_bytes(*soa.data.last_chunk()?);
        Some(soa.ttl.min(minimum))
    })
}

/// Whether a query has the edns-tcp-keepalive option.
pub(super) fn asks_keepalive(query: &[u8]) -> bool {
    let Some(mut records) = Records::of(query) else {
        return false;
    };
    let Some(opt) = records.find(|record| record.rtype == RType::OPT) else {
        return false;
    };
    let mut rest = opt.data;
    while let Some([code_high, code_low, length_high, length_low]) = take(&mut rest) {
        if u16::from_be_bytes([code_high, code_low]) == code::KEEPALIVE {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        rest = rest.get(length..).unwrap_or(&[]);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A message with `rcode`, one question, and records of (section, type, TTL, data).
    fn message(rcode: u8, records: &[(usize, u16, u32, &[u8])]) -> Vec<u8> {
        let count = |section| records.iter().filter(|r| r.0 == section).count() as u8;
        let mut out = vec![0, 0, 0x84, rcode, 0, 1];
        for section in 0..3 {
            out.extend([0, count(section)]);
        }
        out.extend(b"\x01a\x07example\x00\x00\x01\x00\x01");
        for (_, rtype, ttl, data) in records {
            out.extend([0xc0, 12]);
            out.extend(rtype.to_be_bytes());
            out.extend([0, 1]);
            out.extend(ttl.to_be_bytes());
            out.extend((data.len() as u16).to_be_bytes());
            out.extend(*data);
        }
        out
    }

    #[test]
    fn rfc8484_5_1_freshness_is_the_least_ttl_of_the_answer() {
        let soa = [&[0; 18][..], &60_u32.to_be_bytes()].concat();
        let a = [192, 0, 2, 1];
        for (rcode, records, expected) in [
            (0, vec![(0, 1, 300, &a[..]), (0, 1, 120, &a)], Some(120)),
            (0, vec![(0, 1, 300, &a), (1, 2, 5, &a)], Some(300)),
            (0, vec![(1, 6, 3600, &soa)], Some(60)),
            (3, vec![(1, 6, 30, &soa)], Some(30)),
            (3, vec![(0, 5, 20, &a), (1, 6, 3600, &soa)], Some(20)),
            (0, vec![(1, 2, 300, &a)], None),
            (2, vec![(0, 1, 300, &a)], None),
            (5, vec![], None),
        ] {
            let message = message(rcode, &records);
            assert_eq!(freshness(&message), expected, "{rcode} {records:?}");
        }
    }

    #[test]
    fn keepalive_is_found_behind_other_options() {
        let cookie = [0, 10, 0, 2, 7, 7];
        let keepalive = [0, 11, 0, 0];
        let with = |options: &[u8]| message(0, &[(2, 41, 0, options)]);
        assert!(asks_keepalive(&with(&keepalive)));
        assert!(asks_keepalive(&with(&[&cookie[..], &keepalive].concat())));
        assert!(!asks_keepalive(&with(&cookie)));
        assert!(!asks_keepalive(&message(0, &[])));
        assert!(!asks_keepalive(&[0; 5]));
    }

    proptest! {
        #[test]
        fn any_octets_are_taken(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (freshness(&octets), asks_keepalive(&octets));
        }
    }
}
