//! The SOA record of a negative answer (RFC 2308 §2, §3), encoded once for each zone.
//!
//! In the message it comes right behind the question, and all its compression pointers lead into itself or
//! into the zone's name at the end of the question; so they only move with the length of that name. What
//! never happens here: no TTL is worked out.

use crate::answer::Answer;
use crate::encode::{Frame, encode};
use crate::master::rdata::SOA_TAIL;
use crate::name::{Name, name_len, suffixes};
use crate::query::{HEADER, IN};
use crate::rtype::RType;
use crate::store::Zone;

/// The SOA of a zone as it lies in a response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Denial {
    /// The record, as behind a question for the apex itself.
    octets: Box<[u8]>,
    /// Where its TTL is.
    ttl: usize,
    /// Where its compression pointers are.
    pointers: [Option<u8>; 3],
    /// The labels right above the apex in the names of its RDATA: a question that has one of them there
    /// shares more than the apex with the record, which then is compressed further.
    above: [Option<Box<[u8]>>; 2],
}

/// How long the name at the beginning of `wire` is, which may end in a pointer, and where that is.
fn compressed_len(wire: &[u8]) -> Option<(usize, Option<usize>)> {
    let mut at = 0;
    loop {
        match *wire.get(at)? {
            0 => return Some((at + 1, None)),
            0xc0.. => return Some((at + 2, Some(at))),
            label => at += 1 + usize::from(label),
        }
    }
}

/// The label of `name` right above `apex`, its length before it.
#[inline]
fn label_above<'n>(name: &'n [u8], apex: &[u8]) -> Option<&'n [u8]> {
    let longer = suffixes(name).take_while(|suffix| suffix.len() > apex.len());
    let last = longer.last()?;
    last.get(..last.len() - apex.len())
}

impl Denial {
    /// Encodes the SOA of `zone`. Empty when it is none that can be read.
    pub(crate) fn new(zone: &Zone) -> Self {
        Self::encoded(zone).unwrap_or_default()
    }

    fn encoded(zone: &Zone) -> Option<Self> {
        let mut answer = Answer::new(zone.apex.clone());
        answer.deny(zone, u32::MAX);
        let mut question = zone.apex.as_wire().to_vec();
        question.extend([RType::SOA.0, IN].into_iter().flat_map(u16::to_be_bytes));
        let frame = Frame {
            head: [0; 4],
            question: &question,
            limit: usize::from(u16::MAX),
            opt: None,
        };
        let mut message = Vec::new();
        encode(&answer, &frame, &mut message);
        let octets = message.get(HEADER + question.len()..)?;
        let (owner, first) = compressed_len(octets)?;
        let rdata = owner + 10;
        let (mname, second) = compressed_len(octets.get(rdata..)?)?;
        let (_, third) = compressed_len(octets.get(rdata + mname..)?)?;
        let pointer = |at: Option<usize>, from: usize| at.map(|at| u8::try_from(from + at));
        // Two names and some numbers: the pointers are within the first 255 octets unless the names are
        // the longest there are, and then every denial goes the general way.
        let pointers = [
            pointer(first, 0),
            pointer(second, rdata),
            pointer(third, rdata + mname),
        ];
        let pointers = pointers.map(Option::transpose);
        let [Ok(first), Ok(second), Ok(third)] = pointers else {
            return None;
        };
        let names = zone.soa.get(..zone.soa.len().checked_sub(SOA_TAIL)?)?;
        let (mname, rname) = names.split_at_checked(name_len(names)?)?;
        let apex = zone.apex.as_wire();
        let above = [mname, rname].map(|name| {
            let name = Name::from_wire(name).filter(|name| name.is_within(&zone.apex))?;
            label_above(name.as_wire(), apex).map(Box::from)
        });
        Some(Self {
            octets: octets.into(),
            ttl: owner + 4,
            pointers: [first, second, third],
            above,
        })
    }

    /// Appends the record as it is behind a question for `name`, a name of the zone. `None`: it is
    /// compressed in another way there, and nothing was appended.
    #[inline]
    pub(super) fn write(
        &self,
        name: &[u8],
        apex: &[u8],
        ttl: u32,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        if self.octets.is_empty() {
            return None;
        }
        let above = label_above(name, apex);
        if above.is_some() && self.above.iter().any(|label| label.as_deref() == above) {
            return None;
        }
        let moved = name.len().checked_sub(apex.len())? as u16;
        let begin = out.len();
        out.extend_from_slice(&self.octets);
        let record = out.get_mut(begin..)?;
        *record.get_mut(self.ttl..)?.first_chunk_mut()? = ttl.to_be_bytes();
        for at in self.pointers.iter().flatten() {
            let pointer: &mut [u8; 2] = record.get_mut(usize::from(*at)..)?.first_chunk_mut()?;
            *pointer = (u16::from_be_bytes(*pointer) + moved).to_be_bytes();
        }
        Some(())
    }
}
