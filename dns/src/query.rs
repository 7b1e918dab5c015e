//! A query as a value, and how it is read from a packet (RFC 1035 §4.1, RFC 6891 §6.1).
//!
//! Reading is strict: what is not exactly a query is refused here, so that [`answer`](crate::answer())
//! only ever sees well-formed ones. What never happens here: nothing panics, whatever the octets.

use crate::edns::Edns;
use crate::name::{Name, name_len};
use crate::rtype::RType;
use std::net::IpAddr;
use std::ops::Range;

/// How a query came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// One datagram, and the answer in one.
    Udp,
    /// A stream, with a length before each message (RFC 7766).
    Tcp,
    /// The same within TLS (RFC 7858).
    Tls,
    /// One HTTP exchange (RFC 8484).
    Https,
    /// One QUIC stream (RFC 9250).
    Quic,
}

impl Transport {
    /// All of them, in the order of [`Transport::index`].
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Https, Self::Quic];

    /// Its position in [`Transport::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "dot",
            Self::Https => "doh",
            Self::Quic => "doq",
        }
    }

    /// Whether what passes cannot be read on the way.
    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::Tls | Self::Https | Self::Quic)
    }
}

/// One query.
#[derive(Clone, Debug)]
pub struct Query {
    /// QNAME, lower-cased; the response repeats the question with its own case.
    pub name: Name,
    /// QTYPE.
    pub rtype: RType,
    /// QCLASS: 1 is IN.
    pub class: u16,
    /// RD, copied into the response.
    pub recursion_desired: bool,
    /// CD, copied into the response (RFC 4035 §3.1.6).
    pub checking_disabled: bool,
    /// EDNS, if the query has it.
    pub edns: Option<Edns>,
    /// Who sent it: the resolver, usually.
    pub client: IpAddr,
    /// How it came.
    pub transport: Transport,
}

/// QCLASS IN.
pub(crate) const IN: u16 = 1;
/// A header's length in octets.
pub(crate) const HEADER: usize = 12;

impl Query {
    /// A plain query of class IN over UDP, as tools and tests ask.
    pub fn new(name: Name, rtype: RType, client: IpAddr) -> Self {
        Self {
            name,
            rtype,
            class: IN,
            recursion_desired: false,
            checking_disabled: false,
            edns: None,
            client,
            transport: Transport::Udp,
        }
    }

    /// Reads a packet; `None` when it is not a query that could be answered. For tools and logs: the
    /// server's way is [`respond_into`](crate::respond_into()).
    pub fn read(
        packet: &[u8],
        client: IpAddr,
        transport: Transport,
        use_ecs: bool,
    ) -> Option<Self> {
        let parsed = parse(packet, client, transport, use_ecs).ok()?;
        Some(parsed.query)
    }

    /// The address to steer by, and whether it is the one of the client subnet option: that one when it
    /// tells anything, else the sender's (RFC 7871 §7.2.1).
    pub fn steer_by(&self) -> (IpAddr, bool) {
        match self
            .edns
            .and_then(|edns| edns.ecs)
            .and_then(|ecs| ecs.client())
        {
            Some(address) => (address, true),
            None => (self.client.to_canonical(), false),
        }
    }

    /// How many leading bits of its client's address the resolver told.
    pub(crate) fn told_bits(&self) -> Option<u8> {
        self.edns.and_then(|edns| edns.ecs).map(|ecs| ecs.source())
    }
}

/// A response code (RFC 1035 §4.1.1, RFC 6891 §9).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Rcode {
    /// No error.
    NoError = 0,
    /// The query could not be understood.
    FormErr = 1,
    /// The server failed.
    ServFail = 2,
    /// The name does not exist.
    NxDomain = 3,
    /// The kind of query is not implemented.
    NotImp = 4,
    /// The server will not answer this.
    Refused = 5,
    /// The EDNS version is not known.
    BadVers = 16,
}

impl Rcode {
    /// All of them, in the order of [`Rcode::index`].
    pub const ALL: [Self; 7] = [
        Self::NoError,
        Self::FormErr,
        Self::ServFail,
        Self::NxDomain,
        Self::NotImp,
        Self::Refused,
        Self::BadVers,
    ];

    /// Its position in [`Rcode::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::BadVers => 6,
            other => other as usize,
        }
    }

    /// The name in metrics and logs, as the registry spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::BadVers => "BADVERS",
        }
    }
}

/// A packet that was understood.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    pub(crate) query: Query,
    /// Where the question lies in the packet, to be repeated as it is.
    pub(crate) question: Range<usize>,
}

/// A packet that is not a query we can answer.
#[derive(Clone, Debug)]
pub(crate) enum Unanswerable {
    /// No response: shorter than a header, or a response itself.
    Drop,
    /// A response with nothing but a code.
    Say {
        rcode: Rcode,
        /// The question to repeat, if it was understood.
        question: Option<Range<usize>>,
        /// Whether the query had an OPT record we understood.
        edns: Option<Edns>,
    },
}

/// Flag bits in the third and fourth octet of a header (RFC 1035 §4.1.1, RFC 4035 §3.1.6).
pub(crate) mod flags {
    pub(crate) const QR: u8 = 0x80;
    pub(crate) const OPCODE: u8 = 0x78;
    pub(crate) const AA: u8 = 0x04;
    pub(crate) const TC: u8 = 0x02;
    pub(crate) const RD: u8 = 0x01;
    pub(crate) const CD: u8 = 0x10;
}

/// Reads a packet. `use_ecs` says whether client subnet is looked at.
pub(crate) fn parse(
    packet: &[u8],
    client: IpAddr,
    transport: Transport,
    use_ecs: bool,
) -> Result<Parsed, Unanswerable> {
    let header: &[u8; HEADER] = packet.first_chunk().ok_or(Unanswerable::Drop)?;
    let [_, _, high, low, qd_high, qd_low, counts @ ..] = *header;
    if high & flags::QR != 0 {
        // Answering a response could go on for ever between two servers.
        return Err(Unanswerable::Drop);
    }
    if high & flags::OPCODE != 0 {
        // What other opcodes put behind the header is not ours to guess (RFC 8906 §3.1.4).
        return Err(Unanswerable::Say {
            rcode: Rcode::NotImp,
            question: None,
            edns: None,
        });
    }
    let malformed = |question, edns| Unanswerable::Say {
        rcode: Rcode::FormErr,
        question,
        edns,
    };
    // RFC 9619: exactly one question.
    if [qd_high, qd_low] != [0, 1] {
        return Err(malformed(None, None));
    }
    let mut reader = Reader { packet, at: HEADER };
    let (name, rtype, class) = reader.question().ok_or_else(|| malformed(None, None))?;
    let question = HEADER..reader.at;
    let edns = reader
        .records(counts, rtype, use_ecs)
        .map_err(|edns| malformed(Some(question.clone()), edns))?;
    let query = Query {
        name,
        rtype,
        class,
        recursion_desired: high & flags::RD != 0,
        checking_disabled: low & flags::CD != 0,
        edns,
        client,
        transport,
    };
    Ok(Parsed { query, question })
}

struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
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

    /// What follows the question: at most one OPT, and nothing that makes no sense in a query. An error
    /// carries the OPT if it had been understood by then.
    fn records(
        &mut self,
        counts: [u8; 6],
        qtype: RType,
        use_ecs: bool,
    ) -> Result<Option<Edns>, Option<Edns>> {
        let [answers, authorities, additionals] = [
            [counts[0], counts[1]],
            [counts[2], counts[3]],
            [counts[4], counts[5]],
        ]
        .map(u16::from_be_bytes);
        // IXFR names the version it has in the authority section (RFC 1995 §3).
        let expected = u16::from(qtype == RType::IXFR);
        if answers != 0 || authorities > expected {
            return Err(None);
        }
        let mut edns = None;
        for i in 0..u32::from(authorities) + u32::from(additionals) {
            let is_additional = i >= u32::from(authorities);
            let (rtype, class, ttl, data, root) = self.record().ok_or(edns)?;
            if rtype != RType::OPT {
                continue;
            }
            // RFC 6891 §6.1.1: one OPT, with the root as its name, in the additional section.
            if edns.is_some() || !root || !is_additional {
                return Err(edns);
            }
            let parsed = Edns::parse(class, ttl, data, use_ecs);
            let bare = Edns {
                payload: class,
                version: 0,
                dnssec_ok: ttl[2] & 0x80 != 0,
                ecs: None,
            };
            edns = Some(parsed.map_err(|_| Some(bare))?);
        }
        if self.at == self.packet.len() {
            Ok(edns)
        } else {
            Err(edns)
        }
    }

    /// One record: type, class, TTL, RDATA, and whether its name is the root.
    #[allow(clippy::type_complexity)] // five fields of one record, read in one place
    fn record(&mut self) -> Option<(RType, u16, [u8; 4], &'a [u8], bool)> {
        let root = self.rest().first() == Some(&0);
        self.skip_name()?;
        let [type_high, type_low, class_high, class_low] = self.take()?;
        let ttl = self.take()?;
        let length = usize::from(u16::from_be_bytes(self.take()?));
        let data = self.rest().get(..length)?;
        self.at += length;
        let rtype = RType(u16::from_be_bytes([type_high, type_low]));
        Some((
            rtype,
            u16::from_be_bytes([class_high, class_low]),
            ttl,
            data,
            root,
        ))
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
