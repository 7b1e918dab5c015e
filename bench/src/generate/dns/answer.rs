//! Reads an answer as far as the bench needs it: response code, truncation, the regions its addresses or
//! names stand for, the client subnet's scope, and whether an empty answer was meant. It is tolerant:
//! what it need not understand it steps over. It never allocates, and never panics on any octets.

use super::places::Places;
use crate::record::{Answer, ErrorKind, Outcome, RegionSet};

/// A (RFC 1035 §3.2.2).
pub const A: u16 = 1;
const CNAME: u16 = 5;
/// AAAA (RFC 3596 §2.1).
pub const AAAA: u16 = 28;
/// OPT (RFC 6891 §6.1.1).
pub const OPT: u16 = 41;
/// Client subnet (RFC 7871 §6).
pub const CLIENT_SUBNET: u16 = 8;
/// Extended DNS error (RFC 8914 §2).
const EXTENDED_ERROR: u16 = 15;
/// "Prohibited" (RFC 8914 §4.19): here, this client may be served by nobody who could.
const PROHIBITED: u16 = 18;
/// What Rhumb says beside "Other" when the policy refuses because nothing is usable.
const EXHAUSTED: &[u8] = b"policy_exhausted";

const NOERROR: u16 = 0;
const NXDOMAIN: u16 = 3;
const HEADER: usize = 12;
/// Octets of a name as text, at most.
const LONGEST_NAME: usize = 255;

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The response code, with the upper bits of an OPT record (RFC 6891 §6.1.3).
    pub rcode: u16,
    /// Whether it was cut off (TC).
    pub truncated: bool,
    /// Where it sends the client.
    pub answer: Answer,
}

impl Read {
    /// The answer, or why it is none that counts.
    ///
    /// # Errors
    /// When it was cut off, or is neither NOERROR nor NXDOMAIN.
    pub fn counted(self) -> Result<Answer, ErrorKind> {
        match self.rcode {
            _ if self.truncated => Err(ErrorKind::Truncated),
            NOERROR | NXDOMAIN => Ok(self.answer),
            other => Err(ErrorKind::Rcode(other)),
        }
    }
}

/// Reads a response; `None` for what is none. Question and ID are not looked at.
pub fn read(message: &[u8], places: &Places) -> Option<Read> {
    let (head, _) = message.split_first_chunk::<HEADER>()?;
    let [_, _, flags, code, counts @ ..] = *head;
    // A response (QR) to a standard query (OPCODE 0).
    if flags & 0xf8 != 0x80 {
        return None;
    }
    let truncated = flags & 0x02 != 0;
    let count = |i: usize| u16::from_be_bytes([counts[i], counts[i + 1]]);
    let mut rest = Reader {
        message,
        at: HEADER,
    };
    let mut seen = Seen::default();
    let whole = rest.walk([count(0), count(2), count(4), count(6)], places, &mut seen);
    // What is cut off may well end inside a record.
    if whole.is_none() && !truncated {
        return None;
    }
    Some(Read {
        rcode: u16::from(code & 0x0f) | seen.extended_rcode << 4,
        truncated,
        answer: seen.answer(),
    })
}

/// What the records of an answer said so far.
#[derive(Default)]
struct Seen {
    /// Where the first address, or the first name that stands for a region, sends the client.
    first: Option<Outcome>,
    /// There was another name.
    elsewhere: bool,
    regions: RegionSet,
    scope: Option<u8>,
    refused: bool,
    extended_rcode: u16,
}

impl Seen {
    fn outcome(&mut self, outcome: Outcome) {
        self.first.get_or_insert(outcome);
        if let Outcome::Region(region) = outcome {
            self.regions = self.regions.with(region);
        }
    }

    fn answer(&self) -> Answer {
        let without_address = match (self.elsewhere, self.refused) {
            (true, _) => Outcome::Elsewhere,
            (false, true) => Outcome::Refused,
            (false, false) => Outcome::Nothing,
        };
        Answer {
            first: self.first.unwrap_or(without_address),
            regions: self.regions,
            scope: self.scope,
        }
    }
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Through all sections; `None` when the message ends inside one.
    fn walk(&mut self, sections: [u16; 4], places: &Places, seen: &mut Seen) -> Option<()> {
        let [questions, answers, authorities, additionals] = sections;
        for _ in 0..questions {
            self.skip_name()?;
            self.take(4)?;
        }
        for _ in 0..answers {
            let (rtype, class, _, data) = self.record()?;
            if class == 1 {
                self.answered(rtype, data, places, seen)?;
            }
        }
        for _ in 0..authorities {
            self.record()?;
        }
        for _ in 0..additionals {
            let (rtype, _, ttl, data) = self.record()?;
            if rtype == OPT {
                seen.extended_rcode = (ttl >> 24) as u16;
                options(data, seen)?;
            }
        }
        Some(())
    }

    /// Type, class, TTL and data of the next record (RFC 1035 §4.1.3).
    #[inline]
    fn record(&mut self) -> Option<(u16, u16, u32, &'a [u8])> {
        self.skip_name()?;
        let head = self.take(10)?.first_chunk::<10>()?;
        let [t0, t1, c0, c1, ttl0, ttl1, ttl2, ttl3, l0, l1] = *head;
        let data = self.take(usize::from(u16::from_be_bytes([l0, l1])))?;
        Some((
            u16::from_be_bytes([t0, t1]),
            u16::from_be_bytes([c0, c1]),
            u32::from_be_bytes([ttl0, ttl1, ttl2, ttl3]),
            data,
        ))
    }

    #[inline]
    fn answered(&self, rtype: u16, data: &[u8], places: &Places, seen: &mut Seen) -> Option<()> {
        match rtype {
            A => {
                let octets: [u8; 4] = data.try_into().ok()?;
                seen.outcome(places.v4(octets.into()));
            }
            AAAA => {
                let octets: [u8; 16] = data.try_into().ok()?;
                seen.outcome(places.v6(octets.into()));
            }
            CNAME => {
                let mut text = [0; LONGEST_NAME];
                let name = self.name(self.at - data.len(), &mut text)?;
                // A name that stands for no region is a step on the way to an address, if one follows.
                match places.name(name) {
                    Some(region) => seen.outcome(Outcome::Region(region)),
                    None => seen.elsewhere = true,
                }
            }
            _ => {}
        }
        Some(())
    }

    #[inline]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..self.at + len)?;
        self.at += len;
        Some(taken)
    }

    /// Over a name: to its end, or behind its first pointer (RFC 1035 §4.1.4).
    #[inline]
    fn skip_name(&mut self) -> Option<()> {
        loop {
            match *self.message.get(self.at)? {
                0 => {
                    self.at += 1;
                    return Some(());
                }
                len @ 1..=63 => self.at += 1 + usize::from(len),
                192.. => {
                    self.take(2)?;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// The name at `at` as text in lower case without the last dot. Pointers only ever lead backwards, so
    /// it ends.
    fn name<'t>(&self, mut at: usize, text: &'t mut [u8; LONGEST_NAME]) -> Option<&'t [u8]> {
        let mut len = 0;
        let mut bound = at;
        loop {
            match *self.message.get(at)? {
                0 => return text.get(..len),
                label @ 1..=63 => {
                    let label = self.message.get(at + 1..at + 1 + usize::from(label))?;
                    if len > 0 {
                        *text.get_mut(len)? = b'.';
                        len += 1;
                    }
                    let room = text.get_mut(len..len + label.len())?;
                    room.copy_from_slice(label);
                    room.make_ascii_lowercase();
                    len += label.len();
                    at += 1 + label.len();
                }
                high @ 192.. => {
                    let low = *self.message.get(at + 1)?;
                    at = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    if at >= bound {
                        return None;
                    }
                    bound = at;
                }
                _ => return None,
            }
        }
    }
}

/// The options of an OPT record (RFC 6891 §6.1.2).
fn options(mut data: &[u8], seen: &mut Seen) -> Option<()> {
    while let Some((head, rest)) = data.split_first_chunk::<4>() {
        let [c0, c1, l0, l1] = *head;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let (value, rest) = rest.split_at_checked(len)?;
        match u16::from_be_bytes([c0, c1]) {
            // FAMILY, SOURCE PREFIX-LENGTH, SCOPE PREFIX-LENGTH.
            CLIENT_SUBNET => seen.scope = value.get(3).copied(),
            EXTENDED_ERROR => {
                let (code, text) = value.split_first_chunk::<2>()?;
                let code = u16::from_be_bytes(*code);
                // Some end the text with a zero (RFC 8914 §2).
                let text = text.strip_suffix(&[0]).unwrap_or(text);
                seen.refused |= code == PROHIBITED || code == 0 && text == EXHAUSTED;
            }
            _ => {}
        }
        data = rest;
    }
    data.is_empty().then_some(())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
