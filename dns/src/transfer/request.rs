//! Requests of other servers: signed messages, NOTIFY, AXFR and IXFR, from who may ask to what is answered.
//!
//! Pure, like [`respond`](crate::respond()): octets in, octets out, the time in [`Arrival`].
//! What never happens here: no message of a transfer but the one of a datagram is made, and nothing is fetched.

use super::access::Peers;
use super::journal::Journal;
use super::outgoing::{Content, Heading, Outgoing, datagram, since};
use super::tsig::{self, Key, Signer, TsigError, Unverified};
use super::{message, notify};
use crate::edns::Ede;
use crate::name::name_len;
use crate::parse::{self, Parsed, Saying};
use crate::query::{Arrival, HEADER, Query, Rcode, Transport, flags};
use crate::respond::{Asked, Notified, Outcome, Rules, Summary};
use crate::rtype::RType;
use crate::store::{Zone, Zones};
use crate::zone::Unavailable;
use std::net::IpAddr;
use std::sync::Arc;
use steering::Snapshot;

/// Answers what is about keeping zones in step: the packet is signed, a NOTIFY, or asks for a transfer.
pub(crate) fn respond(
    asked: &Asked<'_>,
    parsed: Parsed,
    draw: impl FnOnce(IpAddr, &[u8], RType) -> u64,
    out: &mut Vec<u8>,
) -> Outcome {
    if parsed.tsig.is_none() {
        return unsigned(asked, parsed, None, draw, out);
    }
    let start = out.len();
    let now = u64::from(asked.arrival.now);
    match verified(asked.snapshot, asked.packet, now) {
        Ok(Verified {
            packet, mut signer, ..
        }) => {
            let stripped = Asked {
                packet: &packet,
                reserved: signer.room(),
                ..*asked
            };
            let heeds = asked.rules.heeds();
            let outcome = match parse::parse(&packet, asked.arrival, heeds) {
                Ok(parsed) => {
                    let key = signer.key().clone();
                    unsigned(&stripped, parsed, Some(&key), draw, out)
                }
                Err(what) => stripped.unanswerable(&what, out),
            };
            if outcome != Outcome::Dropped {
                signer.sign(out, start, now);
            }
            outcome
        }
        Err(Unverified::Malformed) => {
            let saying = refusal(&parsed, Rcode::FormErr, Ede::other("malformed TSIG record"));
            asked.say(&saying, out)
        }
        Err(Unverified::Refused(error, reply)) => {
            let text = match error {
                TsigError::BadKey => "this TSIG key is not known here",
                TsigError::BadSig => "the TSIG signature does not hold",
                TsigError::BadTime => "the TSIG time is too far from ours",
                TsigError::BadTrunc => "the TSIG signature is cut too short",
            };
            let saying = refusal(&parsed, Rcode::NotAuth, Ede::other(text));
            let outcome = asked.say(&saying, out);
            reply.append(out, start);
            outcome
        }
    }
}

/// A request whose signature holds.
struct Verified {
    /// The request as if it had not been signed.
    packet: Vec<u8>,
    signer: Signer,
}

fn verified(snapshot: &Snapshot, packet: &[u8], now: u64) -> Result<Verified, Unverified> {
    let record = match tsig::locate(packet) {
        Ok(Some(record)) => record,
        Ok(None) | Err(tsig::Misplaced) => return Err(Unverified::Malformed),
    };
    let signer = tsig::verify(packet, &record, Peers::of(snapshot).keys(), now)?;
    Ok(Verified {
        packet: tsig::stripped(packet, &record),
        signer,
    })
}

fn refusal(parsed: &Parsed, rcode: Rcode, ede: Ede) -> Saying {
    Saying {
        rcode,
        question: Some(parsed.question.clone()),
        edns: parsed.query.edns,
        ede: Some(ede),
    }
}

/// What is not signed, or was, with this key.
fn unsigned(
    asked: &Asked<'_>,
    parsed: Parsed,
    key: Option<&Key>,
    draw: impl FnOnce(IpAddr, &[u8], RType) -> u64,
    out: &mut Vec<u8>,
) -> Outcome {
    if parsed.notify {
        notified(asked, &parsed, key, out)
    } else if is_transfer(&parsed.query) {
        transfer(asked, &parsed, key, out)
    } else {
        asked.answer(parsed, draw, out)
    }
}

fn is_transfer(query: &Query) -> bool {
    query.class == crate::query::IN && matches!(query.rtype, RType::AXFR | RType::IXFR)
}

/// RFC 1996 §3.10, §4.7: taken from the zone's primaries only, by address and key.
fn notified(asked: &Asked<'_>, parsed: &Parsed, key: Option<&Key>, out: &mut Vec<u8>) -> Outcome {
    let query = &parsed.query;
    if query.edns.is_some_and(|edns| edns.version > 0) {
        return asked.say(&refusal(parsed, Rcode::BadVers, bad_version()), out);
    }
    if query.rtype != RType::SOA || query.class != crate::query::IN {
        return asked.say(&refusal(parsed, Rcode::NotImp, only_soa()), out);
    }
    let apex = &query.name;
    let peers = Peers::of(asked.snapshot);
    let zones = asked.snapshot.table().planes().find::<Zones>();
    let zone = zones.and_then(|zones| zones.at(apex));
    let Some(zone) = zone else {
        let ede = Ede {
            code: Ede::NOT_AUTHORITATIVE,
            text: "no such zone here",
        };
        return asked.say(&refusal(parsed, Rcode::NotAuth, ede), out);
    };
    let Some(primary) = peers.primary(apex, query.client, key) else {
        return asked.say(&refusal(parsed, Rcode::Refused, not_primary()), out);
    };
    let start = out.len();
    let saying = Saying {
        rcode: Rcode::NoError,
        question: Some(parsed.question.clone()),
        edns: query.edns,
        ede: None,
    };
    asked.say(&saying, out);
    if let Some(third) = out.get_mut(start + 2) {
        *third |= flags::AA;
    }
    Outcome::Notified(Notified {
        zone: zone.position,
        primary: primary as u16,
        serial: notify::hint(asked.packet, apex),
    })
}

fn bad_version() -> Ede {
    Ede::not_supported("EDNS version")
}

fn only_soa() -> Ede {
    Ede::not_supported("NOTIFY is for SOA")
}

fn not_primary() -> Ede {
    Ede {
        code: Ede::PROHIBITED,
        text: "not from a primary of this zone, or without its key",
    }
}

/// The one response to a request for a transfer: a refusal, or over UDP an IXFR's. Over a stream what is granted was
/// taken by [`open`] before; what comes here all the same found no free slot.
fn transfer(asked: &Asked<'_>, parsed: &Parsed, key: Option<&Key>, out: &mut Vec<u8>) -> Outcome {
    let query = &parsed.query;
    match granted(asked.snapshot, asked.packet, query, key) {
        Err((rcode, ede)) => asked.say(&refusal(parsed, rcode, ede), out),
        Ok(_) if query.transport != Transport::Udp => {
            asked.say(&refusal(parsed, Rcode::ServFail, busy()), out)
        }
        Ok((zone, content)) => {
            let heading = heading(asked, parsed);
            datagram(zone, &heading, &content, asked.limit(query), out);
            Outcome::Answered(Summary {
                rtype: query.rtype,
                rcode: Rcode::NoError,
                truncated: false,
                scope: 0,
                covered: 0,
                zone: Some(zone.position),
                cookie: query.cookie,
                decided: None,
            })
        }
    }
}

fn busy() -> Ede {
    Ede {
        code: Ede::NOT_READY,
        text: "too many transfers at this time; try again",
    }
}

fn heading(asked: &Asked<'_>, parsed: &Parsed) -> Heading {
    let question = asked.packet.get(parsed.question.clone()).unwrap_or(&[]);
    Heading {
        head: asked.packet.first_chunk().copied().unwrap_or_default(),
        question: question.to_vec(),
        opt: parsed.query.edns.map(|edns| {
            let mut opt = Vec::new();
            let mut said = asked.opt(&edns, Rcode::NoError);
            said.padded = false;
            said.write(0, usize::from(u16::MAX), &mut opt);
            opt
        }),
    }
}

/// What of which zone this client may have, or why not.
fn granted<'s>(
    snapshot: &'s Snapshot,
    packet: &[u8],
    query: &Query,
    key: Option<&Key>,
) -> Result<(&'s Zone, Content), (Rcode, Ede)> {
    if query.edns.is_some_and(|edns| edns.version > 0) {
        return Err((Rcode::BadVers, bad_version()));
    }
    if query.transport == Transport::Https {
        let ede = Ede::not_supported("zones are transferred over TCP, TLS and QUIC");
        return Err((Rcode::Refused, ede));
    }
    let zones = snapshot.table().planes().find::<Zones>();
    let Some(zone) = zones.and_then(|zones| zones.at(&query.name)) else {
        let ede = Ede {
            code: Ede::NOT_AUTHORITATIVE,
            text: "no zone begins at this name",
        };
        return Err((Rcode::NotAuth, ede));
    };
    if !Peers::of(snapshot).may_take(&query.name, query.client, key) {
        let ede = Ede {
            code: Ede::PROHIBITED,
            text: "this zone is not transferred to you",
        };
        return Err((Rcode::Refused, ede));
    }
    // RFC 5936 §4.2: there is no AXFR over UDP.
    if query.transport == Transport::Udp && query.rtype == RType::AXFR {
        return Err((Rcode::FormErr, Ede::not_supported("AXFR is over TCP")));
    }
    if let Some(why) = zone.unavailable() {
        return Err((Rcode::ServFail, Ede::unavailable(why)));
    }
    let content = if query.rtype == RType::AXFR {
        Content::Whole
    } else {
        let from = version_in(packet, query);
        let from = from.ok_or((Rcode::FormErr, Ede::other("IXFR names no version")))?;
        since(Journal::of(snapshot), zone, from)
    };
    Ok((zone, content))
}

/// The version an IXFR says it has: the serial of the SOA in its authority section (RFC 1995 §3).
fn version_in(packet: &[u8], query: &Query) -> Option<u32> {
    let [_, answers, authorities, _] = message::counts(packet)?;
    let mut cursor = message::Cursor::new(packet, HEADER);
    cursor.skip_name()?;
    cursor.skip(4)?;
    if answers != 0 || authorities != 1 {
        return None;
    }
    let owner = cursor.name()?;
    let record = cursor.record_after_name()?;
    (record.rtype == RType::SOA && owner == query.name)
        .then(|| message::uncompressed(packet, &record))
        .flatten()
        .and_then(|soa| message::serial_of(&soa))
}

impl Ede {
    /// Why a zone cannot be answered from.
    pub(crate) const fn unavailable(why: Unavailable) -> Self {
        match why {
            Unavailable::NotTransferred => Self {
                code: Self::NOT_READY,
                text: "the zone has not been transferred yet",
            },
            Unavailable::Expired => Self {
                code: Self::INVALID_DATA,
                text: "the zone has expired: no primary was reached in time",
            },
        }
    }
}

/// Whether a packet asks for a transfer, by its first question alone; quick, since every message over a stream is put
/// to it.
pub(super) fn asks_for_transfer(packet: &[u8]) -> bool {
    let Some([_, _, high, _, 0, 1, ..]) = packet.first_chunk::<HEADER>() else {
        return false;
    };
    if high & (flags::QR | flags::OPCODE) != 0 {
        return false;
    }
    let question = packet.get(HEADER..).unwrap_or(&[]);
    let rtype = name_len(question).and_then(|name| question.get(name..)?.first_chunk::<2>());
    rtype
        .is_some_and(|rtype| matches!(RType(u16::from_be_bytes(*rtype)), RType::AXFR | RType::IXFR))
}

/// A transfer over a stream: `None` when it is refused, which [`respond`](crate::respond())
/// then says.
pub(super) fn open(snapshot: &Arc<Snapshot>, packet: &[u8], arrival: &Arrival) -> Option<Outgoing> {
    let rules = Rules::of(snapshot);
    let parsed = parse::parse(packet, arrival, rules.heeds()).ok()?;
    let (packet, signer) = match parsed.tsig {
        Some(_) => {
            let verified = verified(snapshot, packet, u64::from(arrival.now)).ok()?;
            (verified.packet, Some(verified.signer))
        }
        None => (packet.to_vec(), None),
    };
    let asked = Asked::new(snapshot, &packet, arrival, rules);
    let parsed = parse::parse(&packet, arrival, rules.heeds()).ok()?;
    if !is_transfer(&parsed.query) {
        return None;
    }
    let key = signer.as_ref().map(|signer| &**signer.key());
    let (zone, content) = granted(snapshot, &packet, &parsed.query, key).ok()?;
    let heading = heading(&asked, &parsed);
    let apex = zone.apex().clone();
    Some(Outgoing::new(
        snapshot.clone(),
        apex,
        heading,
        content,
        signer,
    ))
}
