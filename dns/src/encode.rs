//! From an answer to octets (RFC 1035 §4.1), with name compression (§4.1.4) and truncation (RFC 2181 §9).
//!
//! What never happens here: nothing is looked up or decided. A response that does not fit is cut to its
//! question and TC, so that no half of a record set is ever taken for the whole.

use crate::answer::{Answer, Data, Owner, Record};
use crate::edns::Opt;
use crate::master::rdata::SOA_TAIL;
use crate::name::{MAX_LABEL, labels, name_len, suffixes};
use crate::query::{HEADER, flags};
use crate::rtype::RType;
use smallvec::SmallVec;

/// The most names that later ones may point to; more are written out in full.
const MAX_TARGETS: usize = 32;
/// How far a compression pointer reaches (RFC 1035 §4.1.4: 14 bits).
const POINTER_REACH: usize = 0x3fff;
/// The most pointers followed while comparing: a message we write has few.
const MAX_JUMPS: usize = 32;

/// Whether names in the RDATA of this type are compressed: only those of RFC 1035 §3.3 may be (RFC 3597 §4).
pub(crate) const fn has_names(rtype: RType) -> bool {
    matches!(
        rtype,
        RType::NS | RType::CNAME | RType::PTR | RType::MX | RType::SOA
    )
}

/// What a response repeats from its query, and how large it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    /// The first four octets of the query.
    pub(crate) head: [u8; 4],
    /// The question as it was asked, case and all; empty when it was not understood.
    pub(crate) question: &'a [u8],
    /// The most octets.
    pub(crate) limit: usize,
    /// The OPT record, when the query had one.
    pub(crate) opt: Option<Opt<'a>>,
}

/// The header flags and code of a response.
#[derive(Clone, Copy, Debug, Default)]
struct Verdict {
    rcode_low: u8,
    authoritative: bool,
    truncated: bool,
    counts: [u16; 3],
}

/// Appends a response with no records. Returns its length.
pub(crate) fn bare(frame: &Frame<'_>, rcode_low: u8, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    head(frame, out);
    finish(
        frame,
        Verdict {
            rcode_low,
            ..Verdict::default()
        },
        start,
        out,
    );
    out.len() - start
}

/// Appends the response to `out`; returns whether it had to be truncated.
pub(crate) fn encode(answer: &Answer<'_>, frame: &Frame<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    head(frame, out);
    let questions_end = out.len();
    // An explanation makes room for records, if it must.
    let opt = frame.opt.map_or(0, |opt| opt.least_len());
    let mut writer = Writer {
        start,
        end: start + frame.limit.saturating_sub(opt),
        class: answer.class,
        targets: SmallVec::new(),
        out,
    };
    writer.targets.push(HEADER as u16);
    let mut verdict = Verdict {
        rcode_low: answer.rcode as u8 & 0x0f,
        authoritative: answer.authoritative,
        ..Verdict::default()
    };
    let needed = answer.additional.get(..answer.needed).unwrap_or(&[]);
    let sections: [&[Record<'_>]; 3] = [&answer.answer, &answer.authority, needed];
    for (section, count) in sections.iter().zip(&mut verdict.counts) {
        for record in *section {
            if !writer.record(answer, record) {
                verdict.truncated = true;
                verdict.counts = [0; 3];
                out.truncate(questions_end);
                finish(frame, verdict, start, out);
                return true;
            }
            *count += 1;
        }
    }
    let [_, _, additionals] = &mut verdict.counts;
    *additionals += writer.optional(answer);
    finish(frame, verdict, start, out);
    false
}

fn head(frame: &Frame<'_>, out: &mut Vec<u8>) {
    out.extend([0; HEADER]);
    out.extend_from_slice(frame.question);
}

/// Adds the OPT and fills in the header.
fn finish(frame: &Frame<'_>, verdict: Verdict, start: usize, out: &mut Vec<u8>) {
    if let Some(mut opt) = frame.opt {
        let before = out.len() - start;
        opt.fit(frame.limit.saturating_sub(before));
        opt.write(before, frame.limit, out);
    }
    let [id_high, id_low, high, low] = frame.head;
    let mut third = flags::QR | (high & (flags::OPCODE | flags::RD));
    third |= if verdict.authoritative { flags::AA } else { 0 };
    third |= if verdict.truncated { flags::TC } else { 0 };
    // RA is off: there is no recursion here. AD is off: nothing was validated.
    let fourth = (low & flags::CD) | verdict.rcode_low;
    let [answers, authorities, additionals] = verdict.counts;
    let additionals = additionals + u16::from(frame.opt.is_some());
    let questions = u16::from(!frame.question.is_empty());
    let counts = [questions, answers, authorities, additionals]
        .into_iter()
        .flat_map(u16::to_be_bytes);
    let header = [id_high, id_low, third, fourth].into_iter().chain(counts);
    for (to, from) in out.iter_mut().skip(start).zip(header) {
        *to = from;
    }
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// Where the message begins in `out`: pointers count from there.
    start: usize,
    /// Where it must end.
    end: usize,
    /// The class of its records.
    class: u16,
    /// Where names begin that can be pointed to.
    targets: SmallVec<[u16; MAX_TARGETS]>,
}

impl Writer<'_> {
    /// Writes one record; `false` when it does not fit, and then what was written is void.
    fn record<'a>(&mut self, answer: &'a Answer<'_>, record: &Record<'a>) -> bool {
        match record.owner {
            // The question's name is where every message has it.
            Owner::Chain(0) if answer.owner(record) != [0] => self.out.extend([0xc0, HEADER as u8]),
            _ => self.name(answer.owner(record)),
        }
        self.out.extend(record.rtype.0.to_be_bytes());
        self.out.extend(self.class.to_be_bytes());
        self.out.extend(record.ttl.to_be_bytes());
        let length_at = self.out.len();
        self.out.extend([0, 0]);
        match &record.data {
            Data::V4(address) => self.out.extend(address.octets()),
            Data::V6(address) => self.out.extend(address.octets()),
            Data::Wire(wire) => self.data(record.rtype, wire),
            Data::Made(wire) => self.data(record.rtype, wire),
        }
        let length = (self.out.len() - length_at - 2) as u16;
        for (to, from) in self
            .out
            .iter_mut()
            .skip(length_at)
            .zip(length.to_be_bytes())
        {
            *to = from;
        }
        self.out.len() <= self.end
    }

    /// Writes those records of the additional section that nobody has to have, a whole set at a time, as
    /// long as they fit. Returns how many.
    fn optional(&mut self, answer: &Answer<'_>) -> u16 {
        let optional = answer.additional.get(answer.needed..).unwrap_or(&[]);
        let same = |a: &Record<'_>, b: &Record<'_>| {
            a.rtype == b.rtype && answer.owner(a) == answer.owner(b)
        };
        let mut written = 0;
        for set in optional.chunk_by(same) {
            let (begins, targets) = (self.out.len(), self.targets.len());
            if !set.iter().all(|record| self.record(answer, record)) {
                self.out.truncate(begins);
                self.targets.truncate(targets);
                break;
            }
            written += set.len() as u16;
        }
        written
    }

    /// RDATA; only names in the types of RFC 1035 §3.3 may be compressed (RFC 3597 §4).
    fn data(&mut self, rtype: RType, wire: &[u8]) {
        match rtype {
            _ if !has_names(rtype) => self.out.extend_from_slice(wire),
            RType::NS | RType::CNAME | RType::PTR => self.name(wire),
            RType::MX => match wire.split_at_checked(2) {
                Some((preference, exchange)) => {
                    self.out.extend_from_slice(preference);
                    self.name(exchange);
                }
                None => self.out.extend_from_slice(wire),
            },
            RType::SOA => {
                let mname = name_len(wire).unwrap_or(0);
                let tail = wire.len().saturating_sub(SOA_TAIL).max(mname);
                self.name(wire.get(..mname).unwrap_or(&[]));
                self.name(wire.get(mname..tail).unwrap_or(&[]));
                self.out.extend_from_slice(wire.get(tail..).unwrap_or(&[]));
            }
            _ => self.out.extend_from_slice(wire),
        }
    }

    /// Writes a name, with a pointer for its longest ending that is already there.
    fn name(&mut self, wire: &[u8]) {
        let known = suffixes(wire)
            .take_while(|suffix| suffix.first().is_some_and(|label| *label != 0))
            .find_map(|suffix| Some((suffix, self.find(suffix)?)));
        let fresh = known.map_or(wire.len(), |(suffix, _)| wire.len() - suffix.len());
        let begins = self.out.len() - self.start;
        if fresh > 1 && begins <= POINTER_REACH && self.targets.len() < MAX_TARGETS {
            self.targets.push(begins as u16);
        }
        self.out
            .extend_from_slice(wire.get(..fresh).unwrap_or(wire));
        if let Some((_, at)) = known {
            self.out.extend((0xc000 | at).to_be_bytes());
        }
    }

    /// Where `suffix` is already written: within one of the targets, at a label's beginning.
    fn find(&self, suffix: &[u8]) -> Option<u16> {
        let wanted = labels(suffix);
        self.targets.iter().find_map(|target| {
            let mut at = usize::from(*target);
            // Endings of a target that were themselves pointers belong to an earlier target.
            for _ in 0..=MAX_LABEL * 2 {
                let label = *self.message().get(at)?;
                if label == 0 || label > MAX_LABEL as u8 {
                    return None;
                }
                if at <= POINTER_REACH && self.same(at, suffix, wanted) {
                    return Some(at as u16);
                }
                at += 1 + usize::from(label);
            }
            None
        })
    }

    fn message(&self) -> &[u8] {
        self.out.get(self.start..).unwrap_or(&[])
    }

    /// Whether the name at `at` is `wanted`, letter case aside.
    fn same(&self, mut at: usize, wanted: &[u8], labels: usize) -> bool {
        let message = self.message();
        let mut rest = wanted;
        let mut jumps = 0;
        for _ in 0..=labels + MAX_JUMPS {
            let Some(label) = message.get(at).copied() else {
                return false;
            };
            if label >= 0xc0 {
                let low = message.get(at + 1).copied().unwrap_or(0);
                at = usize::from(label & 0x3f) << 8 | usize::from(low);
                jumps += 1;
                if jumps > MAX_JUMPS {
                    return false;
                }
                continue;
            }
            let length = 1 + usize::from(label);
            let (Some(here), Some(there)) = (message.get(at..at + length), rest.get(..length))
            else {
                return false;
            };
            if !here.eq_ignore_ascii_case(there) {
                return false;
            }
            if label == 0 {
                return true;
            }
            at += length;
            rest = rest.get(length..).unwrap_or(&[]);
        }
        false
    }
}
