//! Who answers: the name server identifier (RFC 5001), and the names of class CH (RFC 4892).
//!
//! What never happens here: nothing is told that the operator turned off.

use crate::answer::{Answer, Data};
use crate::edns::Ede;
use crate::query::{CH, Query, Rcode};
use crate::rtype::RType;
use smallvec::SmallVec;

/// The longest identifier, in octets, without its generation.
pub const MAX_IDENTITY: usize = 128;
/// What stands for the generation in a written identifier.
const GENERATION: &str = "{generation}";
/// The longest string in a TXT record (RFC 1035 §3.3).
const MAX_TEXT: usize = 255;

/// What a server calls itself: octets, and perhaps the generation of the snapshot that answers, so that
/// whoever asks can tell which table served them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    before: Box<[u8]>,
    /// What follows the generation; `None` when it is not told.
    after: Option<Box<[u8]>>,
}

impl Identity {
    /// Reads one as an operator writes it: text, in which `{generation}` stands for the generation, or
    /// octets as `0x` and hexadecimal digits.
    ///
    /// # Errors
    /// What is wrong with it, with the remedy.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let made = match (text.strip_prefix("0x"), text.split_once(GENERATION)) {
            (Some(digits), _) => Self {
                before: octets(digits)
                    .ok_or("after 0x there must be pairs of hexadecimal digits")?,
                after: None,
            },
            (None, Some((before, after))) => Self {
                before: before.as_bytes().into(),
                after: Some(after.as_bytes().into()),
            },
            (None, None) => Self {
                before: text.as_bytes().into(),
                after: None,
            },
        };
        match made.before.len() + made.after.as_ref().map_or(0, |after| after.len()) {
            0 if made.after.is_none() => Err("it is empty; `off` tells nothing"),
            0..=MAX_IDENTITY => Ok(made),
            _ => Err("it is longer than 128 octets"),
        }
    }

    /// How many octets [`Self::write`] appends.
    pub(crate) fn len(&self, generation: u64) -> usize {
        self.before.len()
            + self.after.as_ref().map_or(0, |after| {
                generation.checked_ilog10().unwrap_or(0) as usize + 1 + after.len()
            })
    }

    pub(crate) fn write(&self, generation: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.before);
        let Some(after) = &self.after else { return };
        let digits = 1 + generation.checked_ilog10().unwrap_or(0);
        out.extend(
            (0..digits)
                .rev()
                .map(|digit| b'0' + (generation / 10_u64.pow(digit) % 10) as u8),
        );
        out.extend_from_slice(after);
    }
}

fn octets(digits: &str) -> Option<Box<[u8]>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    digits
        .as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// What class CH is answered with (RFC 4892 §3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chaos {
    /// `version.bind` and `version.server`; at most 255 octets. `None`: refused.
    pub version: Option<Box<str>>,
    /// `hostname.bind` and `id.server`; at most 255 octets. `None`: refused.
    pub hostname: Option<Box<str>>,
}

/// Answers a question of class CH.
pub(crate) fn chaos<'a>(query: &Query, chaos: &Chaos) -> Answer<'a> {
    let mut answer = Answer::new(query.name.clone());
    answer.class = CH;
    let text = match query.name.as_wire() {
        b"\x07version\x04bind\x00" | b"\x07version\x06server\x00" => &chaos.version,
        b"\x08hostname\x04bind\x00" | b"\x02id\x06server\x00" => &chaos.hostname,
        _ => &None,
    };
    let Some(text) = text else {
        answer.rcode = Rcode::Refused;
        answer.ede = Some(Ede::not_supported("of class CH little is told here"));
        return answer;
    };
    answer.authoritative = true;
    if matches!(query.rtype, RType::TXT | RType::ANY) {
        let text = text.as_bytes();
        let text = text.get(..MAX_TEXT).unwrap_or(text);
        let mut data: SmallVec<[u8; 96]> = SmallVec::from_slice(&[text.len() as u8]);
        data.extend_from_slice(text);
        answer.push(RType::TXT, 0, Data::Made(data));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_text_or_octets_and_may_name_the_generation() {
        for (text, generation, written) in [
            ("fra1", 7, &b"fra1"[..]),
            ("fra1 {generation}", 0, b"fra1 0"),
            ("{generation}", 1_234_567_890, b"1234567890"),
            ("a{generation}b", u64::MAX, b"a18446744073709551615b"),
            ("0x00fF10", 7, &[0, 255, 16]),
        ] {
            let identity = Identity::parse(text).expect(text);
            let mut out = Vec::new();
            identity.write(generation, &mut out);
            assert_eq!(out, written, "{text}");
            assert_eq!(identity.len(generation), written.len(), "{text}");
        }
        for text in ["", "0x", "0x0", "0xgg", &"x".repeat(129)] {
            assert!(Identity::parse(text).is_err(), "{text}");
        }
    }
}
