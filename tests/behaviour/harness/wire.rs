//! DNS messages as a client sees them: enough of RFC 1035, EDNS (RFC 6891), the client subnet option (RFC 7871) and
//! extended errors (RFC 8914) to ask and to read what comes back.
//!
//! Written apart from the server's own code on purpose: what both got wrong in the same way would pass.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const AAAA: u16 = 28;
pub const OPT: u16 = 41;
pub const HTTPS: u16 = 65;

const IN: u16 = 1;
const ECS: u16 = 8;
const EDE: u16 = 15;

/// A network that a resolver asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Subnet {
    /// The /24 or /56 that resolvers usually send (RFC 7871 §11.1).
    pub fn usual(address: IpAddr) -> Self {
        let prefix = if address.is_ipv4() { 24 } else { 56 };
        Self {
            address: masked(address, prefix),
            prefix,
        }
    }
}

/// The address with all but the first `prefix` bits cleared.
pub fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let kept = u32::MAX
                .checked_shl(32 - u32::from(prefix.min(32)))
                .unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & kept).into()
        }
        IpAddr::V6(v6) => {
            let kept = u128::MAX
                .checked_shl(128 - u32::from(prefix.min(128)))
                .unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & kept).into()
        }
    }
}

impl std::str::FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is no network");
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        Ok(Self {
            address: address.parse().map_err(|_| wrong())?,
            prefix: prefix.parse().map_err(|_| wrong())?,
        })
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    pub name: String,
    pub rtype: u16,
    pub subnet: Option<Subnet>,
}

impl Question {
    pub fn a(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            rtype: A,
            subnet: None,
        }
    }

    pub fn with(self, subnet: Subnet) -> Self {
        Self {
            subnet: Some(subnet),
            ..self
        }
    }

    /// The message, with EDNS and this id.
    pub fn encode(&self, id: u16) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        for word in [id, 0, 1, 0, 0, 1] {
            out.extend(u16::to_be_bytes(word));
        }
        for label in self.name.split('.').filter(|label| !label.is_empty()) {
            out.push(u8::try_from(label.len()).expect("a label has at most 63 bytes"));
            out.extend(label.as_bytes());
        }
        out.push(0);
        out.extend(self.rtype.to_be_bytes());
        out.extend(IN.to_be_bytes());
        // RFC 6891 §6.1.2: the root, OPT, our UDP payload size, no extended code or flags.
        out.push(0);
        out.extend(OPT.to_be_bytes());
        out.extend(1232_u16.to_be_bytes());
        out.extend([0; 4]);
        let option = self.subnet.map(ecs).unwrap_or_default();
        out.extend((option.len() as u16).to_be_bytes());
        out.extend(option);
        out
    }
}

/// RFC 7871 §6: family, source prefix, scope 0, and as many bytes as the prefix needs.
fn ecs(subnet: Subnet) -> Vec<u8> {
    let (family, octets) = match masked(subnet.address, subnet.prefix) {
        IpAddr::V4(v4) => (1_u16, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2_u16, v6.octets().to_vec()),
    };
    let sent = usize::from(subnet.prefix.div_ceil(8));
    let mut out = Vec::new();
    for word in [ECS, 4 + sent as u16, family] {
        out.extend(word.to_be_bytes());
    }
    out.extend([subnet.prefix, 0]);
    out.extend(&octets[..sent]);
    out
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    pub id: u16,
    pub rcode: u16,
    pub truncated: bool,
    pub answers: Vec<Record>,
    /// The TTL of the SOA in the authority section: how long a "no" may be kept (RFC 2308 §5).
    pub negative_ttl: Option<u32>,
    /// The scope of the client subnet option, when it was echoed.
    pub scope: Option<u8>,
    /// The first extended error: code and text.
    pub ede: Option<(u16, String)>,
}

impl Reply {
    /// The addresses of the answer, in order.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.answers
            .iter()
            .filter_map(|record| record.address)
            .collect()
    }

    /// How long it may be kept: the least TTL of its answers, else that of the denial.
    pub fn ttl(&self) -> Option<u32> {
        let least = self.answers.iter().map(|record| record.ttl).min();
        least.or(self.negative_ttl)
    }
}

/// One record of the answer section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub name: String,
    pub rtype: u16,
    pub ttl: u32,
    /// Of an A or AAAA.
    pub address: Option<IpAddr>,
    /// Of a CNAME.
    pub target: Option<String>,
}

/// Why a message cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(&'static str);

impl Malformed {
    pub const fn new(what: &'static str) -> Self {
        Self(what)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed DNS message: {}", self.0)
    }
}

/// Reads a response.
pub fn decode(message: &[u8]) -> Result<Reply, Malformed> {
    let mut at = Reader { message, at: 0 };
    let id = at.u16()?;
    let flags = at.u16()?;
    if flags & 0x8000 == 0 {
        return Err(Malformed("not a response"));
    }
    let [questions, answers, authorities, additionals] =
        [at.u16()?, at.u16()?, at.u16()?, at.u16()?];
    let mut reply = Reply {
        id,
        rcode: flags & 0xf,
        truncated: flags & 0x0200 != 0,
        ..Reply::default()
    };
    for _ in 0..questions {
        at.name()?;
        at.take(4)?;
    }
    for _ in 0..answers {
        let record = at.record()?.0;
        reply.answers.push(record);
    }
    for _ in 0..authorities {
        let (record, _) = at.record()?;
        if record.rtype == SOA {
            reply.negative_ttl = Some(record.ttl);
        }
    }
    for _ in 0..additionals {
        let (record, data) = at.record()?;
        if record.rtype == OPT {
            // RFC 6891 §6.1.3: the upper bits of the code are where a TTL would be.
            reply.rcode |= ((record.ttl >> 24) as u16) << 4;
            options(data, &mut reply)?;
        }
    }
    if at.at == message.len() {
        Ok(reply)
    } else {
        Err(Malformed("bytes after the last record"))
    }
}

fn options(data: &[u8], reply: &mut Reply) -> Result<(), Malformed> {
    let mut at = Reader {
        message: data,
        at: 0,
    };
    while at.at < data.len() {
        let (code, length) = (at.u16()?, at.u16()?);
        let value = at.take(usize::from(length))?;
        match (code, value) {
            (ECS, [_, _, _, scope, ..]) => reply.scope = Some(*scope),
            (EDE, [high, low, text @ ..]) if reply.ede.is_none() => {
                let text = String::from_utf8_lossy(text).into_owned();
                reply.ede = Some((u16::from_be_bytes([*high, *low]), text));
            }
            (ECS | EDE, _) => return Err(Malformed("an option is too short")),
            _ => {}
        }
    }
    Ok(())
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Malformed> {
        let taken = self
            .message
            .get(self.at..self.at + n)
            .ok_or(Malformed("it ends too early"))?;
        self.at += n;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok((u32::from(self.u16()?) << 16) | u32::from(self.u16()?))
    }

    /// A name, compressed or not (RFC 1035 §4.1.4). Pointers only lead back, so this ends.
    fn name(&mut self) -> Result<String, Malformed> {
        let mut labels = Vec::new();
        let mut resume = None;
        loop {
            let start = self.at;
            let length = self.u8()?;
            match length {
                0 => break,
                1..=63 => {
                    let label = self.take(usize::from(length))?;
                    labels.push(String::from_utf8_lossy(label).into_owned());
                }
                192.. => {
                    let target = (usize::from(length & 0x3f) << 8) | usize::from(self.u8()?);
                    if target >= start {
                        return Err(Malformed("a pointer leads forward"));
                    }
                    resume.get_or_insert(self.at);
                    self.at = target;
                }
                _ => return Err(Malformed("a label of no known kind")),
            }
        }
        self.at = resume.unwrap_or(self.at);
        Ok(labels.join("."))
    }

    fn record(&mut self) -> Result<(Record, &'a [u8]), Malformed> {
        let name = self.name()?;
        let (rtype, _class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        let length = usize::from(self.u16()?);
        let start = self.at;
        let data = self.take(length)?;
        let address = match rtype {
            A => Some(
                <[u8; 4]>::try_from(data)
                    .map_err(|_| Malformed("an A of no 4 bytes"))?
                    .into(),
            ),
            AAAA => Some(
                <[u8; 16]>::try_from(data)
                    .map_err(|_| Malformed("an AAAA of no 16 bytes"))?
                    .into(),
            ),
            _ => None,
        };
        let mut target = None;
        if rtype == CNAME {
            self.at = start;
            target = Some(self.name()?);
            self.at = start + length;
        }
        Ok((
            Record {
                name,
                rtype,
                ttl,
                address,
                target,
            },
            data,
        ))
    }
}

#[test]
fn a_question_is_the_bytes_of_the_rfcs() {
    let subnet = "2.16.0.0/20".parse().expect("a network");
    let bytes = Question::a("ab.test").with(subnet).encode(0x1234);
    let expected = [
        &[0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1][..],
        b"\x02ab\x04test\x00\x00\x01\x00\x01",
        &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11],
        &[0, 8, 0, 7, 0, 1, 20, 0, 2, 16, 0],
    ]
    .concat();
    assert_eq!(bytes, expected);
}

#[test]
fn a_reply_is_read_and_a_bent_one_is_not() {
    let message = [
        &[0, 7, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 1][..],
        b"\x02ab\x04test\x00\x00\x01\x00\x01",
        &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 2, 1],
        &[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 19],
        &[0, 8, 0, 7, 0, 1, 20, 11, 2, 16, 0],
        &[0, 15, 0, 4, 0, 18, b'n', b'o'],
    ]
    .concat();
    let reply = decode(&message).expect("a reply");
    assert_eq!(
        reply.addresses(),
        ["127.0.2.1".parse::<IpAddr>().expect("an address")]
    );
    assert_eq!((reply.ttl(), reply.scope), (Some(60), Some(11)));
    assert_eq!(reply.ede, Some((18, "no".to_owned())));
    assert_eq!(reply.answers[0].name, "ab.test");
    for cut in 0..message.len() {
        decode(&message[..cut]).expect_err("half a message");
    }
}
