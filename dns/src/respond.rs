//! From a packet to a packet: parse, answer, encode. All that a server adds is sockets and counting.
//!
//! Pure and total: any octets may come in. What goes out is a well-formed response with the query's ID,
//! or nothing.

use crate::answer::{Answer, answer};
use crate::edns::{Edns, Opt};
use crate::encode::{self, Frame};
use crate::limit;
use crate::query::{self, Parsed, Query, Rcode, Transport, Unanswerable};
use crate::rtype::RType;
use std::net::IpAddr;
use std::ops::Range;
use steering::{Decision, RegionId, ServiceId, Snapshot, Verdict};

/// The UDP payload that every resolver must take without EDNS (RFC 1035 §4.2.1).
const MIN_PAYLOAD: u16 = 512;
/// The UDP payload that survives without fragmentation almost anywhere.
pub const DEFAULT_PAYLOAD: u16 = 1232;

/// How packets are answered. Stored in [`steering::Planes`] beside the zones, so that a reload changes both
/// at once.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether client subnet (RFC 7871) is used. If not, the option is as unknown as any other.
    pub client_subnet: bool,
    /// The most octets in a datagram, whatever the client says it can take; at least 512.
    pub payload: u16,
    /// How often a network may be told the same; `None`: as often as it asks. Held to by the server.
    pub rate_limit: Option<Box<limit::Rules>>,
}

/// What holds where nothing was set.
static DEFAULT: Rules = Rules {
    client_subnet: true,
    payload: DEFAULT_PAYLOAD,
    rate_limit: None,
};

impl Default for Rules {
    fn default() -> Self {
        DEFAULT.clone()
    }
}

impl Rules {
    /// Those that came with a snapshot.
    pub fn of(snapshot: &Snapshot) -> &Self {
        snapshot.table().planes().find().unwrap_or(&DEFAULT)
    }
}

/// What became of one packet: what is counted, and nothing that would have to be allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No response: shorter than a header, or a response itself.
    Dropped,
    /// A response without records: not a query that could be answered.
    Rejected(Rcode),
    /// An answer.
    Answered(Summary),
}

/// What is told of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The type that was asked for.
    pub rtype: RType,
    /// The response code.
    pub rcode: Rcode,
    /// Whether the response was cut to its question.
    pub truncated: bool,
    /// The client subnet scope of the answer, in bits.
    pub scope: u8,
    /// See [`Answer::covered`].
    pub covered: u8,
    /// The zone that the question's name is in, by its position among the snapshot's
    /// [`Zones`](crate::Zones); `None` when we have none.
    pub zone: Option<u32>,
    /// What was decided, when the name is steered.
    pub decided: Option<Decided>,
}

/// What is told of a decision; the ids are those of the snapshot that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The service.
    pub service: ServiceId,
    /// The chosen region.
    pub region: Option<RegionId>,
    /// How the decision ended.
    pub verdict: Verdict,
}

impl Decided {
    /// The countable part of a decision.
    pub fn new(service: ServiceId, decision: &Decision) -> Self {
        Self {
            service,
            region: decision.region,
            verdict: decision.verdict,
        }
    }
}

impl Summary {
    /// What a finished answer to a question of type `rtype` tells.
    pub fn new(rtype: RType, answer: &Answer<'_>, truncated: bool) -> Self {
        let decided = answer.decision.as_ref();
        Self {
            rtype,
            rcode: answer.rcode,
            truncated,
            scope: answer.scope,
            covered: answer.covered,
            zone: answer.zone,
            decided: decided.map(|(service, decision)| Decided::new(*service, decision)),
        }
    }
}

/// Answers one packet; `None`: no response. The entry for fuzzing and for transports that count nothing.
pub fn respond(
    snapshot: &Snapshot,
    packet: &[u8],
    peer: IpAddr,
    transport: Transport,
    rules: &Rules,
    draw: u64,
) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let draw = |_: IpAddr, _: &[u8], _: RType| draw;
    match respond_into(snapshot, packet, peer, transport, rules, draw, &mut out) {
        Outcome::Dropped => None,
        Outcome::Rejected(_) | Outcome::Answered(_) => Some(out),
    }
}

/// Answers one packet by appending the response to `out`. `draw` gives the random number of the query,
/// once it is parsed: for the address that is steered by, the lower-cased wire name and the type.
pub fn respond_into(
    snapshot: &Snapshot,
    packet: &[u8],
    peer: IpAddr,
    transport: Transport,
    rules: &Rules,
    draw: impl FnOnce(IpAddr, &[u8], RType) -> u64,
    out: &mut Vec<u8>,
) -> Outcome {
    let Some(head) = packet.first_chunk().copied() else {
        return Outcome::Dropped;
    };
    let question = |range: Range<usize>| packet.get(range).unwrap_or(&[]);
    match query::parse(packet, peer, transport, rules.client_subnet) {
        Err(Unanswerable::Drop) => Outcome::Dropped,
        Err(Unanswerable::Say {
            rcode,
            question: asked,
            edns,
        }) => {
            let opt = edns.map(|edns| opt(&edns, rules, rcode, None));
            let question = asked.map_or(&[][..], question);
            let limit = usize::from(MIN_PAYLOAD);
            encode::bare(
                &Frame {
                    head,
                    question,
                    limit,
                    opt,
                },
                rcode as u8 & 0x0f,
                out,
            );
            Outcome::Rejected(rcode)
        }
        Ok(Parsed {
            query,
            question: asked,
        }) => {
            let draw = draw(query.steer_by().0, query.name.as_wire(), query.rtype);
            let answer = answer(snapshot, &query, draw);
            let opt = query
                .edns
                .map(|edns| opt(&edns, rules, answer.rcode, Some(&answer)));
            let frame = Frame {
                head,
                question: question(asked),
                limit: limit(&query, rules),
                opt,
            };
            let truncated = encode::encode(&answer, &frame, out);
            Outcome::Answered(Summary::new(query.rtype, &answer, truncated))
        }
    }
}

/// The most octets of the response (RFC 6891 §6.2.3: less than 512 means 512).
fn limit(query: &Query, rules: &Rules) -> usize {
    let payload = match (query.transport, query.edns) {
        (Transport::Tcp | Transport::Tls | Transport::Https | Transport::Quic, _) => u16::MAX,
        (Transport::Udp, Some(edns)) => edns
            .payload
            .max(MIN_PAYLOAD)
            .min(rules.payload.max(MIN_PAYLOAD)),
        (Transport::Udp, None) => MIN_PAYLOAD,
    };
    usize::from(payload)
}

fn opt(edns: &Edns, rules: &Rules, rcode: Rcode, answer: Option<&Answer<'_>>) -> Opt {
    Opt {
        rcode_high: (rcode as u16 >> 4) as u8,
        payload: rules.payload.max(MIN_PAYLOAD),
        dnssec_ok: edns.dnssec_ok,
        // RFC 7871 §7.2.1: an option that was understood is answered, whatever the answer.
        ecs: edns.ecs.zip(answer.map(|answer| answer.scope)),
        ede: answer.and_then(|answer| answer.ede),
    }
}
