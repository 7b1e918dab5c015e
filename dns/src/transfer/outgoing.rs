//! A zone that goes out: the messages of an AXFR (RFC 5936 §2.2) or IXFR (RFC 1995 §4), made one by one as the
//! client takes them.
//!
//! Static records go; steered names do not, since what they answer is decided for each client. What never happens
//! here: no access is granted (that is [`super::request`]'s), no socket is written.

use super::journal::Journal;
use super::metrics::Went;
use super::records::Delta;
use super::tsig::Signer;
use crate::name::Name;
use crate::query::{HEADER, IN, flags};
use crate::rtype::RType;
use crate::server::Messages;
use crate::store::{Zone, Zones};
use std::sync::Arc;
use std::time::SystemTime;
use steering::Snapshot;

/// The longest message, its signature included.
const MAX_MESSAGE: usize = 65_535;
/// Where the question's name is: the apex of the zone, in every message.
const TO_APEX: [u8; 2] = [0xc0, HEADER as u8];
/// How far into a message a compression pointer reaches (RFC 1035 §4.1.4).
const POINTER_REACH: usize = 0x3fff;

/// Which records go, and in what order.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// The SOA alone: there is nothing newer, or it would not fit into the datagram.
    Soa,
    /// The whole zone, between its SOA and its SOA.
    Whole,
    /// Differences, between the new SOA and the new SOA.
    Changes(Vec<Arc<Delta>>),
}

/// How the messages begin: what the request said.
#[derive(Clone, Debug)]
pub(super) struct Heading {
    /// The first four octets of the request.
    pub(super) head: [u8; 4],
    /// Its question, as it was written.
    pub(super) question: Vec<u8>,
    /// An OPT record for the first message, if the request had one (RFC 5936 §2.2.5).
    pub(super) opt: Option<Vec<u8>>,
}

/// Where the next record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The SOA that begins it.
    First,
    /// The record of this number at the name of this number.
    Name(u32, usize),
    /// The record of this number in the difference of this number, what is removed first.
    Delta(usize, usize),
    /// The SOA that ends it.
    Last,
    /// Behind it.
    End,
}

/// A transfer on its way out.
pub(super) struct Outgoing {
    /// Kept as long as the transfer takes, so that all of it is of one version.
    snapshot: Arc<Snapshot>,
    apex: Name,
    heading: Heading,
    content: Content,
    signer: Option<Signer>,
    at: At,
    /// The most octets of a message.
    limit: usize,
    failed: bool,
}

impl Outgoing {
    /// All of `content`; the zone is one of the snapshot's.
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        apex: Name,
        heading: Heading,
        content: Content,
        signer: Option<Signer>,
    ) -> Self {
        Self {
            snapshot,
            apex,
            heading,
            content,
            signer,
            at: At::First,
            limit: MAX_MESSAGE,
            failed: false,
        }
    }

    /// The zone.
    pub(super) fn apex(&self) -> &Name {
        &self.apex
    }

    /// Whether all of it was made.
    pub(super) fn is_complete(&self) -> bool {
        self.at == At::End && !self.failed
    }

    /// What goes.
    pub(super) fn kind(&self) -> Went {
        match self.content {
            Content::Soa => Went::Unchanged,
            Content::Whole => Went::Whole,
            Content::Changes(_) => Went::Changes,
        }
    }
}

impl Messages for Outgoing {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let snapshot = self.snapshot.clone();
        let zones = snapshot.table().planes().find::<Zones>();
        let Some(zone) = zones.and_then(|zones| zones.at(&self.apex)) else {
            return false;
        };
        if self.at == At::End {
            return false;
        }
        let start = out.len();
        let room = self.signer.as_ref().map_or(0, Signer::room);
        let opt = self.heading.opt.take();
        let limit = self.limit - room - opt.as_ref().map_or(0, Vec::len);
        let mut message = Message::begin(&self.heading, out);
        let before = self.at;
        self.at = fill(&mut message, zone, &self.content, self.at, limit);
        if self.at == before {
            // A record that no message can hold: the client sees a transfer that ends too early.
            out.truncate(start);
            (self.at, self.failed) = (At::End, true);
            tracing::warn!(zone = %self.apex, "a record is too long to be transferred");
            return false;
        }
        message.finish(opt.as_deref());
        if let Some(signer) = &mut self.signer {
            signer.sign(out, start, unix_now());
        }
        true
    }
}

/// The one response that an IXFR over UDP gets: all of `content` if it fits in `limit`, else the SOA alone (RFC 1995
/// §2). Signed by the caller.
pub(super) fn datagram(
    zone: &Zone,
    heading: &Heading,
    content: &Content,
    limit: usize,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let opt = heading.opt.as_deref();
    let limit = limit.saturating_sub(opt.map_or(0, <[u8]>::len));
    for content in [content, &Content::Soa] {
        out.truncate(start);
        let mut message = Message::begin(heading, out);
        if fill(&mut message, zone, content, At::First, limit) == At::End {
            message.finish(opt);
            return;
        }
    }
    // Not even the SOA fits, which takes a name of record length: the question alone.
    out.truncate(start);
    Message::begin(heading, out).finish(None);
}

/// Puts in as many records as fit; gives where the next one is.
fn fill(message: &mut Message<'_>, zone: &Zone, content: &Content, from: At, limit: usize) -> At {
    let mut at = from;
    loop {
        let (next, record) = match at {
            At::First => {
                let next = match content {
                    Content::Soa => At::End,
                    Content::Whole => At::Name(0, 0),
                    Content::Changes(_) => At::Delta(0, 0),
                };
                (next, soa(zone))
            }
            At::Last => (At::End, soa(zone)),
            At::Name(position, nth) => return names(message, zone, position, nth, limit),
            At::Delta(position, nth) => {
                let Content::Changes(deltas) = content else {
                    return At::End;
                };
                let Some(delta) = deltas.get(position) else {
                    at = At::Last;
                    continue;
                };
                let added = || delta.added.get(nth.checked_sub(delta.removed.len())?);
                let Some(record) = delta.removed.get(nth).or_else(added) else {
                    at = At::Delta(position + 1, 0);
                    continue;
                };
                let wire = (
                    record.owner.as_wire(),
                    record.rtype,
                    record.ttl,
                    &*record.data,
                );
                (At::Delta(position, nth + 1), wire)
            }
            At::End => return At::End,
        };
        if !message.record(record, limit) {
            return at;
        }
        at = next;
    }
}

/// The records of the zone from this one on, the SOA aside, and then the SOA.
fn names(message: &mut Message<'_>, zone: &Zone, from: u32, skip: usize, limit: usize) -> At {
    let mut skip = skip;
    for position in from..zone.entries.len() as u32 {
        let Some(node) = zone.at(position) else {
            continue;
        };
        let records = node
            .sets()
            .filter(|set| set.rtype != RType::SOA)
            .flat_map(|set| set.data().map(move |data| (set.rtype, set.ttl, data)));
        for (nth, (rtype, ttl, data)) in records.enumerate().skip(skip) {
            if !message.record((node.name, rtype, ttl, data), limit) {
                return At::Name(position, nth);
            }
        }
        skip = 0;
    }
    if message.record(soa(zone), limit) {
        At::End
    } else {
        At::Last
    }
}

type Wire<'a> = (&'a [u8], RType, u32, &'a [u8]);

fn soa(zone: &Zone) -> Wire<'_> {
    (zone.apex.as_wire(), RType::SOA, zone.soa_ttl, &zone.soa)
}

/// A message while records are put into it.
struct Message<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    apex: usize,
    records: u16,
    /// The owner of the record before, and where it is.
    last: Option<(Vec<u8>, u16)>,
}

impl<'a> Message<'a> {
    fn begin(heading: &Heading, out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        let [id_high, id_low, high, _] = heading.head;
        // RFC 5936 §2.2.1: AA is set; RD is copied.
        let high = flags::QR | flags::AA | high & (flags::OPCODE | flags::RD);
        out.extend([id_high, id_low, high, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(&heading.question);
        let apex = crate::name::name_len(&heading.question).unwrap_or(0);
        Self {
            out,
            start,
            apex,
            records: 0,
            last: None,
        }
    }

    /// Appends a record, or leaves everything as it is when it does not fit.
    fn record(&mut self, (owner, rtype, ttl, data): Wire<'_>, limit: usize) -> bool {
        let at = self.out.len();
        self.owner(owner);
        self.out.extend(rtype.0.to_be_bytes());
        self.out.extend(IN.to_be_bytes());
        self.out.extend(ttl.to_be_bytes());
        self.out.extend((data.len() as u16).to_be_bytes());
        self.out.extend_from_slice(data);
        if self.out.len() - self.start > limit || self.records == u16::MAX {
            self.out.truncate(at);
            return false;
        }
        self.records += 1;
        if self.last.as_ref().is_none_or(|(last, _)| *last != *owner) {
            let begins = at - self.start;
            self.last = (begins <= POINTER_REACH).then(|| (owner.to_vec(), begins as u16));
        }
        true
    }

    /// An owner: a pointer to the record before, or its own labels and a pointer to the apex.
    fn owner(&mut self, owner: &[u8]) {
        if let Some((last, at)) = &self.last
            && *last == *owner
        {
            self.out.extend((0xc000 | at).to_be_bytes());
            return;
        }
        // Every owner is within the zone, whose apex the question names; the root is no shorter as a pointer.
        match owner.len().checked_sub(self.apex) {
            Some(labels) if self.apex > 1 => {
                self.out
                    .extend_from_slice(owner.get(..labels).unwrap_or(&[]));
                self.out.extend(TO_APEX);
            }
            _ => self.out.extend_from_slice(owner),
        }
    }

    fn finish(self, opt: Option<&[u8]>) {
        let [high, low] = self.records.to_be_bytes();
        for (at, octet) in [(6, high), (7, low), (11, u8::from(opt.is_some()))] {
            if let Some(to) = self.out.get_mut(self.start + at) {
                *to = octet;
            }
        }
        self.out.extend_from_slice(opt.unwrap_or(&[]));
    }
}

/// Seconds since 1970, for signatures.
pub(super) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// What an IXFR from this version is answered with (RFC 1995 §2, §4).
pub(super) fn since(journal: Option<&Journal>, zone: &Zone, from: u32) -> Content {
    let to = zone.serial();
    if !super::message::is_later(to, from) {
        return Content::Soa;
    }
    match journal.and_then(|journal| journal.between(zone.apex(), from, to)) {
        Some(deltas) => Content::Changes(deltas.to_vec()),
        None => Content::Whole,
    }
}
