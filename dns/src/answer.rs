//! The answer to a query, as a value: which records, which code, on whose decision (RFC 1034 §4.3.2).
//!
//! Pure: no clock, no chance (the draw comes in), no IO. Nothing is encoded here, and no endpoint is
//! chosen here: [`Snapshot::decide`](steering::Snapshot::decide) does.

use crate::edns::Ede;
use crate::name::Name;
use crate::query::{IN, Query, Rcode};
use crate::rtype::RType;
use crate::steer;
use crate::store::{Found, Node, RrSet, Zone, Zones};
use smallvec::SmallVec;
use std::net::{Ipv4Addr, Ipv6Addr};
use steering::{Decision, ServiceId, Snapshot};

/// The most CNAMEs that one answer follows.
pub const MAX_CHAIN: usize = 8;

/// What RFC 8482 §4.2 answers to ANY: HINFO with CPU "RFC8482" and no OS.
const ANY_HINFO: &[u8] = b"\x07RFC8482\x00";

/// An answer. Records borrow from the snapshot; only what was made for this query is owned.
#[derive(Debug)]
pub struct Answer<'a> {
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
    /// The additional section: glue.
    pub additional: SmallVec<[Record<'a>; 0]>,
    /// Why there is no answer, for clients with EDNS.
    pub ede: Option<Ede>,
    /// The client subnet scope: how many leading bits of the address in the query's option this answer
    /// holds for (RFC 7871 §7.2.1). 0 when that address was not consulted.
    pub scope: u8,
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
    let not_supported = |text| {
        Some(Ede {
            code: Ede::NOT_SUPPORTED,
            text,
        })
    };
    if query.edns.is_some_and(|edns| edns.version > 0) {
        return Some((Rcode::BadVers, None));
    }
    if query.class != IN {
        return Some((Rcode::Refused, not_supported("only class IN is served")));
    }
    match query.rtype {
        RType::ANY => None,
        RType::AXFR | RType::IXFR => {
            Some((Rcode::Refused, not_supported("zones are not transferred")))
        }
        RType::OPT | RType(0) => Some((Rcode::FormErr, None)),
        rtype if rtype.is_meta() => Some((Rcode::NotImp, None)),
        _ => None,
    }
}

impl<'a> Answer<'a> {
    fn new(name: Name) -> Self {
        Self {
            rcode: Rcode::NoError,
            authoritative: false,
            names: SmallVec::from_buf([name]),
            answer: SmallVec::new(),
            authority: SmallVec::new(),
            additional: SmallVec::new(),
            ede: None,
            scope: 0,
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
                Found::Delegation(cut) => self.referral(zone, cut, link == 0),
                // A DNAME is not followed yet: zones with one are refused.
                Found::Dname(_) | Found::Nothing => {
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
            Some(set) => self.answer.push_set(set),
            None => self.answer.deny(zone, u32::MAX),
        }
        Next::Done
    }

    fn cname(&mut self, cname: RrSet<'a>) -> Next {
        self.answer.push_set(cname);
        match cname.data().next().and_then(Name::from_wire) {
            // RFC 8482 §4.2 is for names without a CNAME; with one, that is the answer to ANY.
            Some(target) if self.query.rtype != RType::ANY => Next::Follow(target),
            _ => Next::Done,
        }
    }

    /// RFC 1034 §4.3.2 step 3b: the name servers of the child zone, and their addresses if we have them.
    fn referral(&mut self, zone: &'a Zone, cut: Node<'a>, is_first: bool) -> Next {
        // Behind a CNAME of ours the resolver asks again by itself; AA stays with the answer section.
        let Some(servers) = cut.set(RType::NS).filter(|_| is_first) else {
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
        for data in servers.data() {
            self.glue(zone, data);
        }
        Next::Done
    }

    fn glue(&mut self, zone: &'a Zone, server: &[u8]) {
        let Some(server) = Name::from_wire(server).filter(|name| name.is_within(&zone.apex)) else {
            return;
        };
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
