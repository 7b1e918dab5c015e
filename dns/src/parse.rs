//! How a query is read from a packet (RFC 1035 §4.1, RFC 6891 §6.1, RFC 8945 §5.1).
//!
//! Reading is strict: what is not exactly a query is refused here, so that [`answer`](crate::answer())
//! only ever sees well-formed ones. What never happens here: nothing panics, whatever the octets.

use crate::cookie;
use crate::edns::{Ede, Edns, Heeds};
use crate::name::{Name, name_len};
use crate::query::{Arrival, HEADER, Query, Rcode, flags};
use crate::rtype::RType;
use std::ops::Range;

/// A packet that was understood.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    pub(crate) query: Query,
    /// Where the question lies in the packet, to be repeated as it is.
    pub(crate) question: Range<usize>,
    /// Where its TSIG record begins, which is its last.
    pub(crate) tsig: Option<usize>,
    /// Whether its opcode is NOTIFY.
    pub(crate) notify: bool,
}

/// A packet that is not a query we can answer.
#[derive(Clone, Debug)]
pub(crate) enum Unanswerable {
    /// No response: shorter than a header, or a response itself.
    Drop,
    /// A response with nothing but a code.
    Say(Saying),
    /// There is no question, which is allowed for one purpose: to get a server cookie (RFC 7873 §5.4).
    NoQuestion(Edns),
}

/// What is said to a packet that could not be understood.
#[derive(Clone, Debug)]
pub(crate) struct Saying {
    pub(crate) rcode: Rcode,
    /// The question to repeat, if it was understood.
    pub(crate) question: Option<Range<usize>>,
    /// The OPT record, if one was understood by then.
    pub(crate) edns: Option<Edns>,
    /// Why.
    pub(crate) ede: Option<Ede>,
}

impl Saying {
    /// A header and nothing else: what is behind the query's is not ours to guess (RFC 8906 §3.1.4).
    pub(crate) fn not_implemented() -> Self {
        Self {
            rcode: Rcode::NotImp,
            question: None,
            edns: None,
            ede: None,
        }
    }

    fn malformed(question: Option<Range<usize>>, edns: Option<Edns>, text: &'static str) -> Self {
        Self {
            rcode: Rcode::FormErr,
            question,
            edns,
            ede: Some(Ede::other(text)),
        }
    }
}

/// The opcodes that are served (RFC 1035 §4.1.1, RFC 1996 §3.1), as they lie in the header.
const QUERY: u8 = 0;
const NOTIFY: u8 = 4 << 3;

/// Reads a packet. `heeds` says which options are looked at.
pub(crate) fn parse(
    packet: &[u8],
    arrival: &Arrival,
    heeds: Heeds,
) -> Result<Parsed, Unanswerable> {
    let header: &[u8; HEADER] = packet.first_chunk().ok_or(Unanswerable::Drop)?;
    let [_, _, high, low, qd_high, qd_low, counts @ ..] = *header;
    if high & flags::QR != 0 {
        // Answering a response could go on for ever between two servers.
        return Err(Unanswerable::Drop);
    }
    let notify = match high & flags::OPCODE {
        QUERY => false,
        NOTIFY => true,
        _ => return Err(Unanswerable::Say(Saying::not_implemented())),
    };
    let mut reader = Reader { packet, at: HEADER };
    let counts = Counts::new(counts);
    // RFC 9619 §4: exactly one question, or none to ask for a cookie.
    let (name, rtype, class) = match u16::from_be_bytes([qd_high, qd_low]) {
        1 => reader.question().ok_or_else(|| {
            Unanswerable::Say(Saying::malformed(None, None, "malformed question"))
        })?,
        questions => return Err(no_question(reader, questions, counts, heeds)),
    };
    let question = HEADER..reader.at;
    let most = Most::of(rtype, notify);
    let said = reader.records(counts, most, heeds);
    let Rest { edns, tsig } = said.map_err(|fault| {
        Unanswerable::Say(Saying::malformed(
            Some(question.clone()),
            fault.edns,
            fault.text,
        ))
    })?;
    let query = Query {
        name,
        rtype,
        class,
        recursion_desired: high & flags::RD != 0,
        checking_disabled: low & flags::CD != 0,
        edns,
        client: arrival.peer,
        transport: arrival.transport,
        cookie: cookie::Status::None,
    };
    Ok(Parsed {
        query,
        question,
        tsig,
        notify,
    })
}

fn no_question(
    mut reader: Reader<'_>,
    questions: u16,
    counts: Counts,
    heeds: Heeds,
) -> Unanswerable {
    let malformed = |edns, text| Unanswerable::Say(Saying::malformed(None, edns, text));
    if questions != 0 {
        return malformed(None, "more than one question");
    }
    match reader.records(counts, Most::default(), heeds) {
        Ok(Rest {
            edns: Some(edns), ..
        }) if edns.cookie.is_some() && edns.version == 0 => Unanswerable::NoQuestion(edns),
        Ok(Rest { edns, .. }) => malformed(edns, "no question"),
        Err(fault) => malformed(fault.edns, fault.text),
    }
}

/// The counts of the sections behind the question.
#[derive(Clone, Copy)]
struct Counts {
    answers: u16,
    authorities: u16,
    additionals: u16,
}

impl Counts {
    fn new(counts: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = counts;
        let [answers, authorities, additionals] = [[a, b], [c, d], [e, f]].map(u16::from_be_bytes);
        Self {
            answers,
            authorities,
            additionals,
        }
    }
}

/// How many records there may be in the sections that a query leaves empty.
#[derive(Clone, Copy, Default)]
struct Most {
    answers: u16,
    authorities: u16,
}

impl Most {
    fn of(rtype: RType, notify: bool) -> Self {
        Self {
            // NOTIFY may tell the new SOA as a hint (RFC 1996 §3.7).
            answers: u16::from(notify),
            // IXFR names the version it has (RFC 1995 §3).
            authorities: u16::from(rtype == RType::IXFR),
        }
    }
}

/// What was behind the question.
struct Rest {
    edns: Option<Edns>,
    tsig: Option<usize>,
}

/// Why what is behind the question is malformed, and the OPT record if it had been understood by then.
struct Fault {
    edns: Option<Edns>,
    text: &'static str,
}

struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

/// One record, its name aside.
struct Raw<'a> {
    rtype: RType,
    class: u16,
    ttl: [u8; 4],
    data: &'a [u8],
    /// Whether its name is the root.
    is_root: bool,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.packet.get(self.at..).unwrap_or(&[])
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.rest().first_chunk().copied()?;
        self.at += N;
        Some(taken)
    }

    /// The question. Its name comes first in the packet, so it has nothing to point to.
    fn question(&mut self) -> Option<(Name, RType, u16)> {
        let rest = self.rest();
        let name = rest.get(..name_len(rest)?)?;
        self.at += name.len();
        let [type_high, type_low, class_high, class_low] = self.take()?;
        let rtype = RType(u16::from_be_bytes([type_high, type_low]));
        Some((
            Name::lowered(name),
            rtype,
            u16::from_be_bytes([class_high, class_low]),
        ))
    }

    /// What follows the question: at most one OPT, a TSIG only at the very end, and nothing that makes no
    /// sense in a query.
    fn records(&mut self, counts: Counts, most: Most, heeds: Heeds) -> Result<Rest, Fault> {
        let fault = |edns, text| Fault { edns, text };
        if counts.answers > most.answers || counts.authorities > most.authorities {
            return Err(fault(None, "records in a query"));
        }
        let before = u32::from(counts.answers) + u32::from(counts.authorities);
        let all = before + u32::from(counts.additionals);
        let mut rest = Rest {
            edns: None,
            tsig: None,
        };
        for i in 0..all {
            let begins = self.at;
            let record = self
                .record()
                .ok_or_else(|| fault(rest.edns, "a record is cut short"))?;
            match record.rtype {
                // RFC 6891 §6.1.1: one OPT, with the root as its name, in the additional section.
                RType::OPT if rest.edns.is_some() || !record.is_root || i < before => {
                    return Err(fault(rest.edns, "OPT out of place"));
                }
                RType::OPT => {
                    let bare = Edns::bare(record.class, record.ttl);
                    // Whatever is wrong with its options, the OPT itself was understood.
                    let read = bare.options(record.data, heeds);
                    rest.edns = Some(read.map_err(|error| fault(Some(bare), error.text()))?);
                }
                // RFC 8945 §5.1: the last record of the additional section.
                RType::TSIG if i + 1 < all || i < before => {
                    return Err(fault(rest.edns, "TSIG out of place"));
                }
                RType::TSIG => rest.tsig = Some(begins),
                // SIG(0) is not verified, so it says nothing (RFC 2931 §3.1); nor does anything else.
                _ => {}
            }
        }
        if self.at == self.packet.len() {
            Ok(rest)
        } else {
            Err(fault(rest.edns, "octets behind the message"))
        }
    }

    fn record(&mut self) -> Option<Raw<'a>> {
        let is_root = self.rest().first() == Some(&0);
        self.skip_name()?;
        let [type_high, type_low, class_high, class_low] = self.take()?;
        let ttl = self.take()?;
        let length = usize::from(u16::from_be_bytes(self.take()?));
        let data = self.rest().get(..length)?;
        self.at += length;
        Some(Raw {
            rtype: RType(u16::from_be_bytes([type_high, type_low])),
            class: u16::from_be_bytes([class_high, class_low]),
            ttl,
            data,
            is_root,
        })
    }

    /// Over a name that may end in a pointer; where that leads is not looked at.
    fn skip_name(&mut self) -> Option<()> {
        loop {
            let label = *self.packet.get(self.at)?;
            self.at += match label {
                0 => 1,
                1..=63 => 1 + usize::from(label),
                0xc0.. => 2,
                _ => return None,
            };
            if label == 0 || label >= 0xc0 {
                return (self.at <= self.packet.len()).then_some(());
            }
        }
    }
}
