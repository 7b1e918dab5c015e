//! The fast encoder: common queries, from octets to octets without an [`Answer`](crate::Answer) between.
//!
//! ```text
//! asked (the packet, read)  ->  zone and name  ->  a set as it lies in the zone
//!                                              ->  Snapshot::decide, then addresses or an HTTPS record
//!                                              ->  the zone's SOA, encoded when it was built
//! ```
//!
//! What it does not cover falls to [`respond_into`](crate::respond_into()), which covers everything: other
//! transports than UDP, other options than client subnet and cookies, delegations, aliases, types whose
//! RDATA is compressed, responses that do not fit, names in no zone. Where both answer, they say the same
//! octets. What never happens here: nothing is allocated (while `out` has room), locked or refused.

mod asked;
mod denial;

pub(crate) use denial::Denial;

use crate::cookie::{Made, Status};
use crate::ecs;
use crate::edns::{BARE_OPT, Ede, code};
use crate::encode;
use crate::query::{Arrival, HEADER, IN, Rcode, Transport, flags};
use crate::respond::{Decided, MIN_PAYLOAD, Outcome, Rules, Summary};
use crate::rtype::RType;
use crate::steer;
use crate::store::{Found, Node, Params, RrSet, Steered, Zone, Zones};
use asked::{Asked, Edns};
use std::net::{IpAddr, Ipv4Addr};
use steering::{Client, Family, Located, Snapshot};

/// The most packets that are looked at ahead at a time.
const MOST_AHEAD: usize = 64;

/// What is known of one packet before it is answered.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    /// A random number for this query alone.
    pub fresh: u64,
    /// What [`ahead`] found, from the same snapshot.
    pub ahead: Option<Ahead>,
}

/// Where the client of one packet is, looked up ahead of its answer: see [`ahead`].
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    address: IpAddr,
    located: Located,
}

/// Looks up ahead where the clients are that the client subnet options of some packets tell of, if a policy
/// may ask: by the packets' positions, for those before the end of `found`.
///
/// Most of a lookup is waiting for memory. Done for all packets of a batch together, they wait together; done
/// one by one between whole answers, each waits alone.
pub fn ahead<'p>(
    snapshot: &Snapshot,
    packets: impl Iterator<Item = (usize, &'p [u8])>,
    rules: &Rules,
    found: &mut [Option<Ahead>],
) {
    if !snapshot.table().by_place() {
        return;
    }
    let told = packets.filter_map(|(i, packet)| Some((i, asked::subnet(packet, rules.heeds())?)));
    let mut places = [0; MOST_AHEAD];
    let mut addresses = [IpAddr::V4(Ipv4Addr::UNSPECIFIED); MOST_AHEAD];
    let mut count = 0;
    for ((i, address), (place, slot)) in told.zip(places.iter_mut().zip(&mut addresses)) {
        (*place, *slot) = (i, address);
        count += 1;
    }
    let addresses = addresses.get(..count).unwrap_or(&[]);
    snapshot.geo().locate_all(addresses, |nth, located| {
        let place = places.get(nth).and_then(|place| found.get_mut(*place));
        if let (Some(place), Some(address)) = (place, addresses.get(nth)) {
            let address = *address;
            *place = Some(Ahead { address, located });
        }
    });
}

/// Answers one packet by appending the response to `out`, or leaves `out` as it is and gives `None`.
/// `draw` is called at most once, and only where chance can choose between pools; its arguments are those of
/// [`respond_into`](crate::respond_into()). Elsewhere `given` has the draw.
#[inline]
pub fn offer(
    snapshot: &Snapshot,
    packet: &[u8],
    arrival: &Arrival,
    rules: &Rules,
    given: Given,
    draw: impl FnOnce(IpAddr, &[u8], RType) -> u64,
    out: &mut Vec<u8>,
) -> Option<Outcome> {
    if arrival.transport != Transport::Udp {
        return None;
    }
    let asked = Asked::read(packet, rules.heeds())?;
    if asked.rtype.is_meta() || asked.rtype == RType::DS || asked.name() == [0] {
        return None;
    }
    let begin = out.len();
    let mut reply = Reply {
        snapshot,
        asked: &asked,
        arrival,
        rules,
        given,
        begin,
        out,
        rcode: Rcode::NoError,
        answers: 0,
        authorities: 0,
        ede: None,
        summary: Summary {
            rtype: asked.rtype,
            rcode: Rcode::NoError,
            truncated: false,
            scope: 0,
            covered: 0,
            zone: None,
            cookie: Status::None,
            decided: None,
        },
    };
    let made = reply.make(draw);
    if made.is_none() {
        out.truncate(begin);
    }
    made.map(Outcome::Answered)
}

/// What stands at a name for the type that was asked for.
enum Content<'a> {
    Set(RrSet<'a>),
    Steered(&'a Steered, Option<Family>),
    NoData,
}

/// What answers a question of type `rtype` at `node`; `None` where that is more than one set.
#[inline]
fn content<'a>(node: Node<'a>, rtype: RType) -> Option<Content<'a>> {
    if let Some(steered) = node.steered {
        let family = match rtype {
            _ if steered.hostnames => return None,
            RType::A => Some(Some(Family::V4)),
            RType::AAAA => Some(Some(Family::V6)),
            _ if steered.params(rtype).is_some() => Some(None),
            _ => None,
        };
        if let Some(family) = family {
            return match node.set(RType::CNAME) {
                None => Some(Content::Steered(steered, family)),
                Some(_) => None,
            };
        }
    }
    let mut content = Content::NoData;
    for set in node.sets() {
        if set.rtype == RType::CNAME {
            return None;
        }
        if set.rtype == rtype {
            content = Content::Set(set);
        }
    }
    Some(content)
}

/// One response in the making, behind `begin` in `out`.
struct Reply<'r> {
    snapshot: &'r Snapshot,
    asked: &'r Asked<'r>,
    arrival: &'r Arrival,
    rules: &'r Rules,
    given: Given,
    begin: usize,
    out: &'r mut Vec<u8>,
    rcode: Rcode,
    answers: u16,
    authorities: u16,
    ede: Option<Ede>,
    summary: Summary,
}

impl Reply<'_> {
    #[inline]
    fn make(&mut self, draw: impl FnOnce(IpAddr, &[u8], RType) -> u64) -> Option<Summary> {
        let cookie = self.cookie()?;
        let zones: &Zones = self.snapshot.table().planes().find()?;
        let (asked, name) = (self.asked, self.asked.name());
        let zone = zones.zone(name, asked.rtype)?;
        self.summary.zone = Some(zone.position);
        let found = zone.find(name, asked.rtype);
        self.summary.covered = found.covers(name);
        self.out.extend_from_slice(&[0; HEADER]);
        self.out.extend_from_slice(asked.question);
        match found {
            Found::Node(node) => match content(node, asked.rtype)? {
                Content::Set(set) => self.set(set)?,
                Content::Steered(steered, family) => self.steered(zone, steered, family, draw)?,
                Content::NoData => self.deny(zone, u32::MAX)?,
            },
            Found::Nothing => {
                self.rcode = Rcode::NxDomain;
                self.deny(zone, u32::MAX)?;
            }
            Found::Delegation(_) | Found::Dname(_) | Found::Unavailable(_) => return None,
        }
        self.finish(cookie)?;
        self.summary.rcode = self.rcode;
        Some(self.summary)
    }

    /// The cookie to answer with; the outer `None` where the client needs a new one first.
    #[inline]
    fn cookie(&mut self) -> Option<Option<Made>> {
        let asked = self.asked.edns.as_ref().and_then(|edns| edns.cookie);
        let Some((cookies, cookie)) = self.rules.cookies.as_ref().zip(asked) else {
            return Some(None);
        };
        let Arrival { peer, now, .. } = *self.arrival;
        self.summary.cookie = cookies.check(&cookie, peer, now);
        if cookies.require && matches!(self.summary.cookie, Status::Client | Status::Bad) {
            return None;
        }
        Some(Some(cookies.make(cookie.client, peer, now)))
    }

    /// A set as it lies in the zone: its owner is a pointer to the question.
    #[inline]
    fn set(&mut self, set: RrSet<'_>) -> Option<()> {
        if encode::has_names(set.rtype) {
            return None;
        }
        self.out.extend_from_slice(set.wire);
        self.answers = set.count;
        Some(())
    }

    #[inline]
    fn steered(
        &mut self,
        zone: &Zone,
        steered: &Steered,
        family: Option<Family>,
        draw: impl FnOnce(IpAddr, &[u8], RType) -> u64,
    ) -> Option<()> {
        let asked = self.asked;
        let ecs = asked.edns.as_ref().and_then(|edns| edns.ecs);
        let by = ecs::steer_by(ecs.map(|(ecs, _)| ecs), self.arrival.peer);
        let service = self
            .snapshot
            .table()
            .services()
            .get(steered.service.index())?;
        // What a name's other types would have to agree with is the pool.
        let draw = match service.by_chance {
            true => draw(by.address, asked.name(), asked.rtype),
            false => self.given.fresh,
        };
        let ahead = self.given.ahead.filter(|ahead| ahead.address == by.address);
        let client = Client {
            located: ahead.map(|ahead| ahead.located),
            ..by.client()
        };
        let decision = steer::ask(self.snapshot, steered.service, &client, family, draw);
        if by.told.is_some() {
            self.summary.scope = decision.scope;
        }
        self.summary.decided = Some(Decided::new(steered.service, &decision));
        let ttl = decision.ttl;
        match family {
            Some(Family::V4) => {
                for address in steer::v4(self.snapshot, &decision) {
                    let fixed = fixed(RType::A, ttl, 4);
                    self.record(&fixed, &address.octets());
                }
            }
            Some(Family::V6) => {
                for address in steer::v6(self.snapshot, &decision) {
                    let fixed = fixed(RType::AAAA, ttl, 16);
                    self.record(&fixed, &address.octets());
                }
            }
            None => self.binding(&decision, steered.params(asked.rtype)?)?,
        }
        if self.answers == 0 {
            self.ede = steer::ede(decision.reason);
            // The "no" is this client's and this moment's: it is kept no longer than a "yes" would be.
            self.deny(zone, ttl)?;
        }
        Some(())
    }

    #[inline]
    fn record(&mut self, fixed: &[u8; 12], data: &[u8]) {
        self.out.extend_from_slice(fixed);
        self.out.extend_from_slice(data);
        self.answers += 1;
    }

    fn binding(&mut self, decision: &steering::Decision, params: &Params) -> Option<()> {
        let begin = self.out.len();
        self.out
            .extend_from_slice(&fixed(self.asked.rtype, decision.ttl, 0));
        let data = self.out.len();
        if !steer::binding(self.snapshot, decision, params, self.out) {
            self.out.truncate(begin);
            return Some(());
        }
        let length = u16::try_from(self.out.len() - data).ok()?;
        let at = self.out.get_mut(data.checked_sub(2)?..data)?;
        at.copy_from_slice(&length.to_be_bytes());
        self.answers = 1;
        Some(())
    }

    /// The zone's SOA, for no longer than `at_most` seconds.
    #[inline]
    fn deny(&mut self, zone: &Zone, at_most: u32) -> Option<()> {
        let ttl = zone.negative_ttl.min(at_most);
        let (name, apex) = (self.asked.name(), zone.apex.as_wire());
        zone.denial.write(name, apex, ttl, self.out)?;
        self.authorities = 1;
        Some(())
    }

    /// Adds the OPT record and fills in the header; `None` when the response is too long.
    #[inline]
    fn finish(&mut self, cookie: Option<Made>) -> Option<()> {
        let most = self.rules.payload.max(MIN_PAYLOAD);
        let limit = match &self.asked.edns {
            Some(edns) => {
                self.opt(edns, most, cookie);
                edns.payload.max(MIN_PAYLOAD).min(most)
            }
            None => MIN_PAYLOAD,
        };
        let response = self.out.get_mut(self.begin..)?;
        if response.len() > usize::from(limit) {
            return None;
        }
        let [id_high, id_low, high, low] = self.asked.head;
        let third = flags::QR | (high & flags::RD) | flags::AA;
        let fourth = (low & flags::CD) | self.rcode.low();
        let [answers_high, answers_low] = self.answers.to_be_bytes();
        let (authorities, additionals) = (self.authorities as u8, self.asked.edns.is_some().into());
        *response.first_chunk_mut::<HEADER>()? = [
            id_high,
            id_low,
            third,
            fourth,
            0,
            1,
            answers_high,
            answers_low,
            0,
            authorities,
            0,
            additionals,
        ];
        Some(())
    }

    /// RFC 6891 §6.1.2, with the options in the order in which they always come.
    #[inline]
    fn opt(&mut self, edns: &Edns<'_>, payload: u16, cookie: Option<Made>) {
        let begin = self.out.len();
        let [payload_high, payload_low] = payload.to_be_bytes();
        let flags = if edns.dnssec_ok { 0x80 } else { 0 };
        let bare = [0, 0, 41, payload_high, payload_low, 0, 0, flags, 0, 0, 0];
        self.out.extend_from_slice(&bare);
        if let Some((ecs, octets)) = edns.ecs {
            let [_, code] = code::CLIENT_SUBNET.to_be_bytes();
            let (length, scope) = (4 + octets.len() as u8, self.summary.scope);
            let option = [
                0,
                code,
                0,
                length,
                0,
                ecs.family() as u8,
                ecs.source(),
                scope,
            ];
            self.out.extend_from_slice(&option);
            self.out.extend_from_slice(octets);
        }
        if let Some(cookie) = cookie {
            let [_, code] = code::COOKIE.to_be_bytes();
            self.out
                .extend_from_slice(&[0, code, 0, cookie.len() as u8]);
            self.out.extend_from_slice(&cookie);
        }
        if let Some(ede) = self.ede {
            let [_, code] = code::EXTENDED_ERROR.to_be_bytes();
            let [info_high, info_low] = ede.code.to_be_bytes();
            let length = 2 + ede.text.len() as u8;
            self.out
                .extend_from_slice(&[0, code, 0, length, info_high, info_low]);
            self.out.extend_from_slice(ede.text.as_bytes());
        }
        let length = (self.out.len() - begin - BARE_OPT) as u16;
        if let Some(at) = self.out.get_mut(begin + BARE_OPT - 2..begin + BARE_OPT) {
            at.copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// All of a record before its RDATA: its owner is the question's name, in a pointer (RFC 1035 §4.1.4).
#[inline]
fn fixed(rtype: RType, ttl: u32, length: u16) -> [u8; 12] {
    let [type_high, type_low] = rtype.0.to_be_bytes();
    let [class_high, class_low] = IN.to_be_bytes();
    let [a, b, c, d] = ttl.to_be_bytes();
    let [length_high, length_low] = length.to_be_bytes();
    let to_question = [0xc0, HEADER as u8];
    [
        to_question[0],
        to_question[1],
        type_high,
        type_low,
        class_high,
        class_low,
        a,
        b,
        c,
        d,
        length_high,
        length_low,
    ]
}
