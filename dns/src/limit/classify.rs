//! What kind of response this is, and which name it is counted under, read from its octets.
//!
//! What could be varied without end by who forges queries must not make a new key: names below a wildcard, names
//! that do not exist, types. What never happens here: nothing panics, whatever the octets; what cannot be read is
//! counted as an error.

use crate::query::HEADER;
use crate::rtype::RType;
use smallvec::SmallVec;

/// A name to count under, lower-cased; case must not make it another (a resolver may vary it at will).
pub(super) type Key = SmallVec<[u8; 64]>;

/// The most labels and pointers of a name: as many as 255 octets can have.
const MAX_STEPS: usize = 128;

/// Behind the key of a wildcard.
const WILDCARD: &[u8] = b"*";

/// A kind of response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// The name exists, with or without records of the type. By name.
    Answer = 1,
    /// The name does not exist. By zone.
    NxDomain = 2,
    /// The name is in a child zone. By child zone.
    Referral = 3,
    /// Anything else. By nothing.
    Error = 4,
    /// Any of them. By nothing.
    All = 5,
}

impl Class {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Answer => "responses",
            Self::NxDomain => "nxdomains",
            Self::Referral => "referrals",
            Self::Error => "errors",
            Self::All => "all",
        }
    }
}

/// The class of a response and its name. `covered`: how many leading octets of the question's name a wildcard
/// stood for.
pub(super) fn classify(response: &[u8], covered: u8) -> (Class, Key) {
    read(response, covered).unwrap_or((Class::Error, Key::new()))
}

fn read(response: &[u8], covered: u8) -> Option<(Class, Key)> {
    let header: &[u8; HEADER] = response.first_chunk()?;
    let [_, _, high, low, qd, _, an_high, an_low, ns_high, ns_low, ..] = *header;
    // At most one question is ever repeated, so its count is in the low octet.
    let (_, questions) = (qd, header.get(5)?);
    let answers = u16::from_be_bytes([an_high, an_low]);
    let authorities = u16::from_be_bytes([ns_high, ns_low]);
    let authoritative = high & crate::query::flags::AA != 0;
    if *questions != 1 {
        return None;
    }
    let question_end = skip_name(response, HEADER)? + 4;
    match low & 0x0f {
        0 if answers > 0 || authoritative => {
            let mut key = name_at(response, HEADER + usize::from(covered))?;
            if covered > 0 {
                // Not the name that the wildcard is below.
                key.extend_from_slice(WILDCARD);
            }
            Some((Class::Answer, key))
        }
        0 if authorities > 0 => Some((Class::Referral, name_at(response, question_end)?)),
        3 => {
            let mut at = question_end;
            for _ in 0..answers {
                at = skip_record(response, at)?.1;
            }
            Some((Class::NxDomain, name_at(response, at)?))
        }
        _ => None,
    }
}

/// The end of the name at `at`.
pub(super) fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            label @ 1..=63 => at += 1 + usize::from(label),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

/// The type of the record at `at`, and its end.
pub(super) fn skip_record(message: &[u8], at: usize) -> Option<(RType, usize)> {
    let fixed = skip_name(message, at)?;
    let [type_high, type_low, .., length_high, length_low]: &[u8; 10] =
        message.get(fixed..)?.first_chunk()?;
    let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
    let end = fixed + 10 + length;
    (end <= message.len()).then(|| (RType(u16::from_be_bytes([*type_high, *type_low])), end))
}

/// The name at `at`, pointers followed.
fn name_at(message: &[u8], mut at: usize) -> Option<Key> {
    let mut key = Key::new();
    for _ in 0..MAX_STEPS {
        match *message.get(at)? {
            0 => return Some(key),
            length @ 1..=63 => {
                let label = message.get(at..)?.get(..1 + usize::from(length))?;
                key.extend(label.iter().map(u8::to_ascii_lowercase));
                at += label.len();
            }
            high @ 0xc0.. => {
                let low = *message.get(at + 1)?;
                at = usize::from(u16::from_be_bytes([high & 0x3f, low]));
            }
            _ => return None,
        }
    }
    None
}
