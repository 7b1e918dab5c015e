//! From a packet to a packet: parse, answer, encode. All that a server adds is sockets and counting.
//!
//! Pure and total: any octets may come in. What goes out is a well-formed response with the query's ID,
//! or nothing.

use crate::answer::{Answer, answer};
use crate::connections::Connections;
use crate::cookie::{Cookies, Status};
use crate::edns::{Edns, Heeds, Opt};
use crate::encode::{self, Frame};
use crate::limit;
use crate::nsid::{self, Chaos, Identity};
use crate::parse::{self, Parsed, Saying, Unanswerable};
use crate::query::{Arrival, CH, Query, Rcode, Transport};
use crate::rtype::RType;
use crate::transfer::request;
use ipnet::IpNet;
use std::net::IpAddr;
use std::ops::Range;
use steering::{Decision, RegionId, ServiceId, Snapshot, Verdict};

/// The UDP payload that every resolver must take without EDNS (RFC 1035 §4.2.1).
pub(crate) const MIN_PAYLOAD: u16 = 512;
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
    /// DNS cookies (RFC 7873); `None`: the option is as unknown as any other.
    pub cookies: Option<Cookies>,
    /// What the server calls itself when it is asked (RFC 5001); `None`: nothing.
    pub nsid: Option<Identity>,
    /// What is told in class CH.
    pub chaos: Chaos,
    /// The bounds of connections.
    pub connections: Connections,
    /// The front ends that are believed where a PROXY header is expected; all others are closed there.
    pub trusted_proxies: Vec<IpNet>,
    /// One in so many queries is told to [`Observe::on_query`](crate::Observe::on_query); 0: none.
    pub log_one_in: u32,
}

/// What holds where nothing was set.
static DEFAULT: Rules = Rules {
    client_subnet: true,
    payload: DEFAULT_PAYLOAD,
    rate_limit: None,
    cookies: None,
    nsid: None,
    chaos: Chaos {
        version: None,
        hostname: None,
    },
    connections: Connections::DEFAULT,
    trusted_proxies: Vec::new(),
    log_one_in: 0,
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

    /// Which options of a query are looked at.
    pub(crate) fn heeds(&self) -> Heeds {
        Heeds {
            subnet: self.client_subnet,
            cookie: self.cookies.is_some(),
        }
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
    /// A NOTIFY of a primary, with its response.
    Notified(Notified),
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
    /// What the query's cookie is worth.
    pub cookie: Status,
    /// What was decided, when the name is steered.
    pub decided: Option<Decided>,
}

/// A NOTIFY that was taken (RFC 1996): the zone is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notified {
    /// The zone, by its position among the snapshot's [`Zones`](crate::Zones).
    pub zone: u32,
    /// Which of its primaries sent it.
    pub primary: u16,
    /// The serial it told, if any; it proves nothing.
    pub serial: Option<u32>,
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
    pub fn new(rtype: RType, cookie: Status, answer: &Answer<'_>, truncated: bool) -> Self {
        let decided = answer.decision.as_ref();
        Self {
            rtype,
            rcode: answer.rcode,
            truncated,
            scope: answer.scope,
            covered: answer.covered,
            zone: answer.zone,
            cookie,
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
    let arrival = Arrival::new(peer, transport);
    let draw = |_: IpAddr, _: &[u8], _: RType| draw;
    match respond_into(snapshot, packet, &arrival, rules, draw, &mut out) {
        Outcome::Dropped => None,
        Outcome::Rejected(_) | Outcome::Answered(_) | Outcome::Notified(_) => Some(out),
    }
}

/// Answers one packet by appending the response to `out`. `draw` gives the random number of the query,
/// once it is parsed: for the address that is steered by, the lower-cased wire name and the type.
pub fn respond_into(
    snapshot: &Snapshot,
    packet: &[u8],
    arrival: &Arrival,
    rules: &Rules,
    draw: impl FnOnce(IpAddr, &[u8], RType) -> u64,
    out: &mut Vec<u8>,
) -> Outcome {
    let asked = Asked::new(snapshot, packet, arrival, rules);
    match parse::parse(packet, arrival, rules.heeds()) {
        Ok(parsed) if is_of_servers(&parsed) => request::respond(&asked, parsed, draw, out),
        Ok(parsed) => asked.answer(parsed, draw, out),
        Err(other) => asked.unanswerable(&other, out),
    }
}

/// Whether it is about keeping zones in step with other servers: signed, NOTIFY, or for a transfer.
fn is_of_servers(parsed: &Parsed) -> bool {
    let query = &parsed.query;
    parsed.tsig.is_some()
        || parsed.notify
        || (query.class == crate::query::IN && matches!(query.rtype, RType::AXFR | RType::IXFR))
}

/// One packet, with all that an answer may depend on.
pub(crate) struct Asked<'r> {
    pub(crate) snapshot: &'r Snapshot,
    pub(crate) packet: &'r [u8],
    pub(crate) arrival: &'r Arrival,
    pub(crate) rules: &'r Rules,
    /// How many octets of the response are to be left free, for a signature.
    pub(crate) reserved: usize,
}

impl<'r> Asked<'r> {
    pub(crate) fn new(
        snapshot: &'r Snapshot,
        packet: &'r [u8],
        arrival: &'r Arrival,
        rules: &'r Rules,
    ) -> Self {
        Self {
            snapshot,
            packet,
            arrival,
            rules,
            reserved: 0,
        }
    }

    pub(crate) fn answer(
        &self,
        parsed: Parsed,
        draw: impl FnOnce(IpAddr, &[u8], RType) -> u64,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let Parsed {
            mut query,
            question,
            ..
        } = parsed;
        query.cookie = query.edns.map_or(Status::None, |edns| self.worth(&edns));
        let made = if self.is_bad_cookie(query.edns.as_ref(), query.cookie) {
            let mut answer = Answer::new(query.name.clone());
            answer.rcode = Rcode::BadCookie;
            answer
        } else if query.class == CH && query.edns.is_none_or(|edns| edns.version == 0) {
            nsid::chaos(&query, &self.rules.chaos)
        } else {
            let draw = draw(query.steer_by().0, query.name.as_wire(), query.rtype);
            answer(self.snapshot, &query, draw)
        };
        let opt = query.edns.map(|edns| Opt {
            // RFC 7871 §7.2.1: an option that was understood is answered, whatever the answer.
            ecs: edns.ecs.map(|ecs| (ecs, made.scope)),
            ede: made.ede,
            expire: made.expire.filter(|_| edns.expire),
            ..self.opt(&edns, made.rcode)
        });
        let frame = Frame {
            limit: self.limit(&query),
            ..self.frame(Some(question), opt)
        };
        let truncated = encode::encode(&made, &frame, out);
        Outcome::Answered(Summary::new(query.rtype, query.cookie, &made, truncated))
    }

    pub(crate) fn unanswerable(&self, what: &Unanswerable, out: &mut Vec<u8>) -> Outcome {
        match what {
            Unanswerable::Drop => Outcome::Dropped,
            Unanswerable::Say(saying) => self.say(saying, out),
            // RFC 7873 §5.4: the cookie is all that was asked for.
            Unanswerable::NoQuestion(edns) => {
                let rcode = match self.worth(edns) {
                    Status::Bad => Rcode::BadCookie,
                    _ => Rcode::NoError,
                };
                let saying = Saying {
                    rcode,
                    question: None,
                    edns: Some(*edns),
                    ede: None,
                };
                self.say(&saying, out)
            }
        }
    }

    /// A response without records.
    pub(crate) fn say(&self, saying: &Saying, out: &mut Vec<u8>) -> Outcome {
        let opt = saying.edns.map(|edns| Opt {
            ede: saying.ede,
            ..self.opt(&edns, saying.rcode)
        });
        encode::bare(
            &self.frame(saying.question.clone(), opt),
            saying.rcode.low(),
            out,
        );
        Outcome::Rejected(saying.rcode)
    }

    fn frame(&self, question: Option<Range<usize>>, opt: Option<Opt<'r>>) -> Frame<'r> {
        let question = question.and_then(|range| self.packet.get(range));
        Frame {
            head: self.packet.first_chunk().copied().unwrap_or_default(),
            question: question.unwrap_or(&[]),
            limit: match self.arrival.transport {
                Transport::Udp => usize::from(MIN_PAYLOAD).saturating_sub(self.reserved),
                _ => usize::from(u16::MAX).saturating_sub(self.reserved),
            },
            opt,
        }
    }

    /// What a query's cookie is worth.
    fn worth(&self, edns: &Edns) -> Status {
        match (&self.rules.cookies, &edns.cookie) {
            (Some(cookies), Some(cookie)) => {
                cookies.check(cookie, self.arrival.peer, self.arrival.now)
            }
            _ => Status::None,
        }
    }

    /// RFC 7873 §5.2.3, §5.2.4: where cookies are required, a client that speaks them and has none of ours
    /// gets one first. Over a stream its address is proven already.
    fn is_bad_cookie(&self, edns: Option<&Edns>, cookie: Status) -> bool {
        let is_required = self.rules.cookies.as_ref().is_some_and(|c| c.require);
        is_required
            && self.arrival.transport == Transport::Udp
            && edns.is_some_and(|edns| edns.version == 0)
            && matches!(cookie, Status::Client | Status::Bad)
    }

    /// What the OPT record says whatever the answer is.
    pub(crate) fn opt(&self, edns: &Edns, rcode: Rcode) -> Opt<'r> {
        let Arrival {
            peer,
            transport,
            now,
            idle,
        } = *self.arrival;
        let cookies = self.rules.cookies.as_ref().zip(edns.cookie);
        let identity = self.rules.nsid.as_ref().filter(|_| edns.nsid);
        Opt {
            rcode_high: rcode.high(),
            payload: self.rules.payload.max(MIN_PAYLOAD),
            dnssec_ok: edns.dnssec_ok,
            cookie: cookies.map(|(cookies, cookie)| cookies.make(cookie.client, peer, now)),
            nsid: identity.map(|identity| (identity, self.snapshot.generation())),
            // RFC 7828 §3.3.1: not over UDP; DoH and DoQ have ways of their own (RFC 9250 §5.5.2).
            keepalive: idle
                .filter(|_| edns.keepalive)
                .filter(|_| matches!(transport, Transport::Tcp | Transport::Tls)),
            // RFC 7830 §6: where anyone can read the message, its length hides nothing.
            padded: edns.padded && transport.is_encrypted(),
            ..Opt::default()
        }
    }

    /// The most octets of the answer to a query, a signature aside.
    pub(crate) fn limit(&self, query: &Query) -> usize {
        limit(query, self.rules).saturating_sub(self.reserved)
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
