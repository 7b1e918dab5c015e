//! A query as a value: what was asked, by whom, and how it came.
//!
//! What never happens here: no octets are read (that is `parse`'s), nothing is looked up.

use crate::cookie;
use crate::ecs::{SteerBy, steer_by};
use crate::edns::{Edns, Heeds};
use crate::name::Name;
use crate::parse::parse;
use crate::rtype::RType;
use std::net::IpAddr;
use std::time::Duration;

pub use crate::rcode::Rcode;

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
    /// What its DNS cookie is worth.
    pub cookie: cookie::Status,
}

/// What is known of a packet beside its octets. The only way for time to come in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Who sent it: the resolver, usually.
    pub peer: IpAddr,
    /// How it came.
    pub transport: Transport,
    /// Unix time in seconds. Cookies and signatures allow for minutes, so it may be some seconds old; a `u32`
    /// goes round in 2106, which the serial arithmetic of cookies takes as it comes (RFC 9018 §4.3).
    pub now: u32,
    /// How long its connection may be idle after the answer: what edns-tcp-keepalive tells (RFC 7828).
    /// `None` where there is no connection, or no promise.
    pub idle: Option<Duration>,
}

impl Arrival {
    /// A packet at time 0, of no promised idle time: enough for all but cookies, signatures and keepalive.
    pub fn new(peer: IpAddr, transport: Transport) -> Self {
        Self {
            peer,
            transport,
            now: 0,
            idle: None,
        }
    }
}

/// QCLASS IN.
pub(crate) const IN: u16 = 1;
/// QCLASS CH, for questions about the server itself.
pub(crate) const CH: u16 = 3;
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
            cookie: cookie::Status::None,
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
        let heeds = Heeds {
            subnet: use_ecs,
            cookie: true,
        };
        let parsed = parse(packet, &Arrival::new(client, transport), heeds).ok()?;
        Some(parsed.query)
    }

    /// The address to steer by, and whether it is the one of the client subnet option: that one when it
    /// tells anything, else the sender's (RFC 7871 §7.2.1).
    pub fn steer_by(&self) -> (IpAddr, bool) {
        let by = self.steered_by();
        (by.address, by.told.is_some())
    }

    /// [`Query::steer_by`], and how many leading bits of its client's address the resolver told.
    pub(crate) fn steered_by(&self) -> SteerBy {
        steer_by(self.edns.and_then(|edns| edns.ecs), self.client)
    }
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
