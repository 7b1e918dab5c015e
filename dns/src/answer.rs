//! The answer to a query, as a value: which records, which code, on whose decision (RFC 1034 §4.3.2).
//!
//! Pure: no clock, no chance (the draw comes in), no IO. Nothing is encoded here, and no endpoint is
//! chosen here: [`Snapshot::decide`](steering::Snapshot::decide) does.

use crate::edns::Ede;
use crate::name::{Name, suffixes};
use crate::query::{IN, Query, Rcode};
use crate::rtype::RType;
use crate::steer;
use crate::store::{Found, Node, RrSet, Zone, Zones};
use crate::transfer::Peers;
use smallvec::SmallVec;
use std::net::{Ipv4Addr, Ipv6Addr};
use steering::{Decision, ServiceId, Snapshot};

/// The most CNAMEs that one answer follows, those made from a DNAME included.
pub const MAX_CHAIN: usize = 16;

/// What RFC 8482 §4.2 answers to ANY: HINFO with CPU "RFC8482" and no OS.
const ANY_HINFO: &[u8] = b"\x07RFC8482\x00";

/// An answer. Records borrow from the snapshot; only what was made for this query is owned.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The class of its records: IN, but for what the server tells of itself.
    pub class: u16,
    /// The response code.
    pub rcode: Rcode,
    /// AA: whether the answer section is ours to say (RFC 1034 §4.3.1: not so in a referral).
    pub authoritative: bool,
    /// The query name, then the targets of the CNAMEs that were followed.
    pub names: SmallVec<[Name; 1]>,
    /// The answer section.
    pub answer: SmallVec<[Record<'a>; 8]>,
    /// The authority section: a SOA with a negative answer, NS records with a referral.
    pub authority: SmallVec<[Record<'a>; 1]>,
    /// The additional section: glue, what is needed first.
    pub additional: SmallVec<[Record<'a>; 0]>,
    /// How many records of the additional section must be there, or the response is truncated (RFC 9471
    /// §3.1). The others are left out when they do not fit.
    pub needed: usize,
    /// Why there is no answer, for clients with EDNS.
    pub ede: Option<Ede>,
    /// The client subnet scope: how many leading bits of the address in the query's option this answer
    /// holds for (RFC 7871 §7.2.1). 0 when that address was not consulted.
    pub scope: u8,
    /// How many seconds the zone may still be served without its primary (RFC 7314), in an answer that is
    /// its SOA, to a query that asks for it: where the zone is kept, that is the whole EXPIRE.
    pub expire: Option<u32>,
    /// What was decided for the last steered name on the way, if there was one.
    pub decision: Option<(ServiceId, Decision)>,
    /// The zone of the query name, by its position among the [`Zones`]; `None` when it is in none.
    pub zone: Option<u32>,
    /// How many leading octets of the query name a wildcard (RFC 4592 §3.3.1) or a DNAME stood for, as it would for
    /// any others; 0 when the name itself exists or nothing does.
    pub covered: u8,
}

/// One record of an answer.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Its owner.
    pub owner: Owner<'a>,
    /// Its type.
    pub rtype: RType,
    /// Its TTL in seconds.
    pub ttl: u32,
    /// Its data.
    pub data: Data<'a>,
}

/// The owner of a record.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// A name of [`Answer::names`], by position.
    Chain(usize),
    /// A wire name of the zone.
    Zone(&'a [u8]),
}

/// The data of a record.
#[derive(Clone, Debug)]
pub enum Data<'a> {
    /// RDATA of the zone, names uncompressed.
    Wire(&'a [u8]),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// RDATA made for this query.
    Made(SmallVec<[u8; 96]>),
}

/// Answers one query. `draw` is where all chance of this answer comes from.
pub fn answer<'a>(snapshot: &'a Snapshot, query: &Query, draw: u64) -> Answer<'a> {
    let mut answer = Answer::new(query.name.clone());
    if let Some((rcode, ede)) = not_for_us(query) {
        answer.rcode = rcode;
        answer.ede = ede;
        return answer;
    }
    let Some(zones) = snapshot.table().planes().find::<Zones>() else {
        answer.refuse();
        return answer;
    };
    let mut lookup = Lookup {
        snapshot,
        zones,
        query,
        draw,
        answer,
    };
    lookup.run();
    lookup.answer
}

/// What is turned down before any zone is looked at.
fn not_for_us(query: &Query) -> Option<(Rcode, Option<Ede>)> {
    let refused = |text| Some((Rcode::Refused, Some(Ede::not_supported(text))));
    let not_implemented = |text| Some((Rcode::NotImp, Some(Ede::not_supported(text))));
    let malformed = |code, text| Some((Rcode::FormErr, Some(Ede { code, text })));
    if query.edns.is_some_and(|edns| edns.version > 0) {
        return Some((Rcode::BadVers, None));
    }
    if query.class != IN {
        return refused("only class IN is served");
    }
    match query.rtype {
        RType::ANY => None,
        RType::AXFR | RType::IXFR => refused("this zone is not transferred to you"),
        RType::OPT | RType(0) => malformed(Ede::OTHER, "not a type to ask for"),
        // RFC 9824 §3.5: it stands in NSEC records only.
        RType::NXNAME => malformed(Ede::INVALID_QUERY_TYPE, ""),
        rtype if rtype.is_meta() => not_implemented("this query type"),
        _ => None,
    }
}

impl<'a> Answer<'a> {
    pub(crate) fn new(name: Name) -> Self {
        Self {
            class: IN,
            rcode: Rcode::NoError,
            authoritative: false,
            names: SmallVec::from_buf([name]),
            answer: SmallVec::new(),
            authority: SmallVec::new(),
            additional: SmallVec::new(),
            needed: 0,
            ede: None,
            scope: 0,
            expire: None,
            decision: None,
            zone: None,
            covered: 0,
        }
    }

    /// The owner of a record, as a wire name.
    pub fn owner<'s>(&'s self, record: &Record<'s>) -> &'s [u8] {
        match record.owner {
            Owner::Zone(wire) => wire,
            Owner::Chain(i) => self.names.get(i).map_or(&[0], |name| name.as_wire()),
        }
    }

    fn refuse(&mut self) {
        self.rcode = Rcode::Refused;
        self.ede = Some(Ede {
            code: Ede::NOT_AUTHORITATIVE,
            text: "",
        });
    }

    /// RFC 2308 §2, §3: the SOA tells how long a "no" may be kept; `at_most` bounds it further, where the
    /// "no" was decided and may soon be a "yes".
    pub(crate) fn deny(&mut self, zone: &'a Zone, at_most: u32) {
        self.authority.push(Record {
            owner: Owner::Zone(zone.apex.as_wire()),
            rtype: RType::SOA,
            ttl: zone.negative_ttl.min(at_most),
            data: Data::Wire(&zone.soa),
        });
    }

    pub(crate) fn push(&mut self, rtype: RType, ttl: u32, data: Data<'a>) {
        let owner = Owner::Chain(self.names.len() - 1);
        self.answer.push(Record {
            owner,
            rtype,
            ttl,
            data,
        });
    }

    fn push_set(&mut self, set: RrSet<'a>) {
        for data in set.data() {
            self.push(set.rtype, set.ttl, Data::Wire(data));
        }
    }
}

/// Where a lookup goes on.
pub(crate) enum Next {
    /// At this name: a CNAME was added.
    Follow(Name),
    /// The answer is complete.
    Done,
}

/// One answer in the making.
pub(crate) struct Lookup<'a, 'q> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) zones: &'a Zones,
    pub(crate) query: &'q Query,
    pub(crate) draw: u64,
    pub(crate) answer: Answer<'a>,
}

impl<'a> Lookup<'a, '_> {
    fn run(&mut self) {
        for link in 0..=MAX_CHAIN {
            let Some(name) = self.answer.names.last() else {
                return;
            };
            let Some(zone) = self.zones.zone(name.as_wire(), self.query.rtype) else {
                // A CNAME led out of our zones: the resolver goes on by itself.
                if link == 0 {
                    self.answer.refuse();
                }
                return;
            };
            if link == 0 {
                self.answer.zone = Some(zone.position);
            }
            let found = zone.find(name.as_wire(), self.query.rtype);
            if link == 0 {
                self.answer.covered = found.covers(name.as_wire());
            }
            let next = match found {
                Found::Node(node) => self.node(zone, node),
                Found::Delegation(cut) => self.referral(zone, cut),
                Found::Dname(above) => self.dname(above),
                Found::Unavailable(why) => {
                    self.answer.rcode = Rcode::ServFail;
                    self.answer.ede = Some(Ede::unavailable(why));
                    Next::Done
                }
                Found::Nothing => {
                    self.authoritative();
                    // RFC 6604 §2: the code is that of the last name.
                    self.answer.rcode = Rcode::NxDomain;
                    self.answer.deny(zone, u32::MAX);
                    Next::Done
                }
            };
            match next {
                // A name that came up before would only come up again.
                Next::Follow(target)
                    if link < MAX_CHAIN && !self.answer.names.contains(&target) =>
                {
                    self.answer.names.push(target);
                }
                _ => return,
            }
        }
    }

    fn authoritative(&mut self) {
        self.answer.authoritative = true;
    }

    /// The name exists, or a wildcard stands for it.
    fn node(&mut self, zone: &'a Zone, node: Node<'a>) -> Next {
        self.authoritative();
        let qtype = self.query.rtype;
        if let Some(cname) = node.set(RType::CNAME)
            && qtype != RType::CNAME
        {
            return self.cname(cname);
        }
        if let Some(steered) = node.steered
            && let Some(next) = steer::steered(self, zone, node, steered)
        {
            return next;
        }
        if qtype == RType::ANY && (node.has_records() || node.steered.is_some()) {
            // RFC 8482 §4.2: the question is answered, with nothing worth amplifying.
            self.answer.push(
                RType::HINFO,
                crate::zone::DEFAULT_TTL,
                Data::Wire(ANY_HINFO),
            );
            return Next::Done;
        }
        match node.set(qtype) {
            Some(set) => {
                if qtype == RType::SOA && self.query.edns.is_some_and(|edns| edns.expire) {
                    self.answer.expire = self.expire(zone);
                }
                self.answer.push_set(set);
            }
            None => self.answer.deny(zone, u32::MAX),
        }
        Next::Done
    }

    /// RFC 7314 §3.2: where the zone is kept, the SOA's EXPIRE. What is left of it where it comes from a primary moves
    /// with every look at that primary, which no snapshot tells; a server may leave the option out.
    fn expire(&self, zone: &Zone) -> Option<u32> {
        let exchanged = Peers::of(self.snapshot).zone(zone.apex());
        let is_ours = exchanged.is_none_or(|exchanged| exchanged.primaries.is_empty());
        is_ours.then(|| zone.expire()).flatten()
    }

    fn cname(&mut self, cname: RrSet<'a>) -> Next {
        self.answer.push_set(cname);
        match cname.data().next().and_then(Name::from_wire) {
            // RFC 8482 §4.2 is for names without a CNAME; with one, that is the answer to ANY.
            Some(target) if self.query.rtype != RType::ANY => Next::Follow(target),
            _ => Next::Done,
        }
    }

    /// RFC 6672 §3.2 step 3C: what is below `above` is found below the DNAME's target.
    fn dname(&mut self, above: Node<'a>) -> Next {
        self.authoritative();
        let Some((dname, target)) = above
            .set(RType::DNAME)
            .and_then(|set| Some((set, set.data().next()?)))
        else {
            return Next::Done;
        };
        let is_here = |record: &Record<'_>| {
            record.rtype == RType::DNAME
                && matches!(record.owner, Owner::Zone(name) if name == above.name)
        };
        // One that moves a name twice is still one record (RFC 2181 §5).
        if !self.answer.answer.iter().any(is_here) {
            self.answer.answer.push(Record {
                owner: Owner::Zone(above.name),
                rtype: RType::DNAME,
                ttl: dname.ttl,
                data: Data::Wire(target),
            });
        }
        let Some(moved) = self
            .answer
            .names
            .last()
            .and_then(|name| name.moved(above.name, target))
        else {
            self.answer.rcode = Rcode::YxDomain;
            self.answer.ede = Some(Ede::other("the name that DNAME makes is too long"));
            return Next::Done;
        };
        // RFC 6672 §3.1: the CNAME's TTL is the DNAME's.
        self.answer
            .push(RType::CNAME, dname.ttl, Data::Made(moved.clone()));
        match Name::from_wire(&moved) {
            // What was asked for is there.
            Some(target) if !matches!(self.query.rtype, RType::CNAME | RType::ANY) => {
                Next::Follow(target)
            }
            _ => Next::Done,
        }
    }

    /// RFC 1034 §4.3.2 step 3b: the name servers of the child zone, and their addresses if we have them.
    /// Behind a CNAME of ours AA stays set: it is about the first name (RFC 1034 §4.3.1).
    fn referral(&mut self, zone: &'a Zone, cut: Node<'a>) -> Next {
        let Some(servers) = cut.set(RType::NS) else {
            return Next::Done;
        };
        for data in servers.data() {
            self.answer.authority.push(Record {
                owner: Owner::Zone(cut.name),
                rtype: RType::NS,
                ttl: servers.ttl,
                data: Data::Wire(data),
            });
        }
        // RFC 9471 §3.1: without the addresses of servers below the cut nobody finds the child zone;
        // §3.2: those of other names (sibling glue) help, but can be asked for.
        for is_needed in [true, false] {
            for data in servers.data() {
                let server = Name::from_wire(data).filter(|name| name.is_within(&zone.apex));
                let Some(server) = server else { continue };
                let is_below = suffixes(server.as_wire()).any(|suffix| suffix == cut.name);
                if is_below == is_needed {
                    self.glue(zone, &server);
                }
            }
            if is_needed {
                self.answer.needed = self.answer.additional.len();
            }
        }
        Next::Done
    }

    fn glue(&mut self, zone: &'a Zone, server: &Name) {
        let Some(node) = zone.node(server.as_wire()) else {
            return;
        };
        for set in node
            .sets()
            .filter(|set| matches!(set.rtype, RType::A | RType::AAAA))
        {
            for data in set.data() {
                self.answer.additional.push(Record {
                    owner: Owner::Zone(node.name),
                    rtype: set.rtype,
                    ttl: set.ttl,
                    data: Data::Wire(data),
                });
            }
        }
    }
}
