//! Whole messages as a client sees them, for tools: a query is written, a response is read and shown as `dig` shows
//! it.
//!
//! What never happens here: nothing that serves reads or writes messages this way, and nothing panics, whatever the
//! octets.

mod options;

pub use options::EdnsOption;

use crate::ecs::Ecs;
use crate::master::Rdata;
use crate::name::{MAX_NAME, Name, write_text};
use crate::query::flags;
use crate::rtype::RType;
use std::fmt;

/// The most pointers in one name: each must lead backwards, so more cannot be.
const MAX_POINTERS: usize = 127;

/// A query to be sent.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The message's id.
    pub id: u16,
    /// QNAME.
    pub name: Name,
    /// QTYPE.
    pub rtype: RType,
    /// QCLASS.
    pub class: u16,
    /// RD.
    pub recursion_desired: bool,
    /// The OPT record, if there is to be one: the payload that can be taken, in octets.
    pub payload: Option<u16>,
    /// DO (RFC 3225); with an OPT record only.
    pub dnssec_ok: bool,
    /// Options, in their order; with an OPT record only.
    pub options: Vec<EdnsOption>,
}

impl Ask {
    /// A query of class IN with an OPT record of 1232 octets.
    pub fn new(id: u16, name: Name, rtype: RType) -> Self {
        Self {
            id,
            name,
            rtype,
            class: crate::query::IN,
            recursion_desired: false,
            payload: Some(crate::respond::DEFAULT_PAYLOAD),
            dnssec_ok: false,
            options: Vec::new(),
        }
    }

    /// With a client subnet option (RFC 7871 §6).
    #[must_use]
    pub fn subnet(mut self, subnet: Ecs) -> Self {
        self.options.push(EdnsOption::subnet(subnet));
        self
    }

    /// The packet.
    pub fn packet(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend(self.id.to_be_bytes());
        let high = if self.recursion_desired { flags::RD } else { 0 };
        out.extend([high, 0, 0, 1, 0, 0, 0, 0, 0]);
        out.push(u8::from(self.payload.is_some()));
        out.extend_from_slice(self.name.as_wire());
        out.extend(self.rtype.0.to_be_bytes());
        out.extend(self.class.to_be_bytes());
        if let Some(payload) = self.payload {
            out.extend([0, 0, 41]);
            out.extend(payload.to_be_bytes());
            out.extend([0, 0, if self.dnssec_ok { 0x80 } else { 0 }, 0]);
            let options: Vec<u8> = self.options.iter().flat_map(EdnsOption::octets).collect();
            out.extend((options.len() as u16).to_be_bytes());
            out.extend(options);
        }
        out
    }
}

/// A message that was read.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id.
    pub id: u16,
    /// The third and fourth octet of its header.
    pub flags: [u8; 2],
    /// The questions: name as it was asked, type, class.
    pub questions: Vec<(Vec<u8>, RType, u16)>,
    /// The answer, authority and additional sections, without the OPT record.
    pub sections: [Vec<Rr>; 3],
    /// The OPT record.
    pub opt: Option<OptRecord>,
    /// Its octets.
    pub size: usize,
}

/// A record of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rr {
    /// Its owner as a wire name, case kept.
    pub owner: Vec<u8>,
    /// Its type.
    pub rtype: RType,
    /// Its class.
    pub class: u16,
    /// Its TTL in seconds.
    pub ttl: u32,
    /// Its data, names uncompressed.
    pub data: Vec<u8>,
}

/// An OPT record (RFC 6891 §6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptRecord {
    /// The payload its sender can take, in octets.
    pub payload: u16,
    /// The upper eight bits of the response code.
    pub rcode_high: u8,
    /// The version.
    pub version: u8,
    /// DO.
    pub dnssec_ok: bool,
    /// The options.
    pub options: Vec<EdnsOption>,
}

/// The octets are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what came back is no DNS message: it breaks off, or a name leads nowhere")]
pub struct NoMessage;

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// When it is not exactly one message.
    pub fn read(octets: &[u8]) -> Result<Self, NoMessage> {
        Reader { octets, at: 0 }.message().ok_or(NoMessage)
    }

    /// The response code, with the bits of the OPT record.
    pub fn rcode(&self) -> u16 {
        let high = self.opt.as_ref().map_or(0, |opt| opt.rcode_high);
        u16::from(high) << 4 | u16::from(self.flags[1] & 0x0f)
    }

    /// Whether TC is set.
    pub fn is_truncated(&self) -> bool {
        self.flags[0] & flags::TC != 0
    }

    /// The names of the flags that are set, as `dig` prints them.
    pub fn flag_names(&self) -> Vec<&'static str> {
        let [high, low] = self.flags;
        let known = [
            (high, flags::QR, "qr"),
            (high, flags::AA, "aa"),
            (high, flags::TC, "tc"),
            (high, flags::RD, "rd"),
            (low, 0x80, "ra"),
            (low, 0x20, "ad"),
            (low, flags::CD, "cd"),
        ];
        let set = known.iter().filter(|(octet, bit, _)| octet & bit != 0);
        set.map(|(_, _, name)| *name).collect()
    }
}

struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = self.octets.get(self.at..)?.first_chunk().copied()?;
        self.at += N;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn message(mut self) -> Option<Message> {
        let id = self.number()?;
        let flags = self.take()?;
        let [questions, answers, authorities, additionals] = [
            self.number()?,
            self.number()?,
            self.number()?,
            self.number()?,
        ];
        let mut message = Message {
            id,
            flags,
            questions: Vec::new(),
            sections: Default::default(),
            opt: None,
            size: self.octets.len(),
        };
        for _ in 0..questions {
            let name = self.name()?;
            let (rtype, class) = (RType(self.number()?), self.number()?);
            message.questions.push((name, rtype, class));
        }
        let counts = [answers, authorities, additionals];
        for (count, section) in counts.into_iter().zip(&mut message.sections) {
            for _ in 0..count {
                let record = self.record()?;
                match OptRecord::of(&record) {
                    Some(opt) => message.opt = Some(opt),
                    None => section.push(record),
                }
            }
        }
        (self.at == self.octets.len()).then_some(message)
    }

    /// A name, pointers followed (RFC 1035 §4.1.4).
    fn name(&mut self) -> Option<Vec<u8>> {
        let (name, end) = name_at(self.octets, self.at)?;
        self.at = end;
        Some(name)
    }

    fn record(&mut self) -> Option<Rr> {
        let owner = self.name()?;
        let (rtype, class) = (RType(self.number()?), self.number()?);
        let ttl = self.take().map(u32::from_be_bytes)?;
        let length = usize::from(self.number()?);
        let end = self.at.checked_add(length)?;
        self.octets.get(self.at..end)?;
        let data = self.data(rtype, end)?;
        self.at = end;
        Some(Rr {
            owner,
            rtype,
            class,
            ttl,
            data,
        })
    }

    /// RDATA, its names uncompressed: those types that may have compressed ones (RFC 3597 §4), or where servers of
    /// old compressed them all the same.
    fn data(&mut self, rtype: RType, end: usize) -> Option<Vec<u8>> {
        let (before, names) = match rtype {
            RType::NS | RType::CNAME | RType::PTR | RType::DNAME => (0, 1),
            RType::MX | RType::AFSDB | RType::KX => (2, 1),
            RType::SRV => (6, 1),
            RType::SOA | RType::RP => (0, 2),
            _ => (0, 0),
        };
        let mut data = self.octets.get(self.at..self.at + before)?.to_vec();
        self.at += before;
        for _ in 0..names {
            data.extend(self.name()?);
        }
        data.extend_from_slice(self.octets.get(self.at..end)?);
        Some(data)
    }
}

fn name_at(octets: &[u8], start: usize) -> Option<(Vec<u8>, usize)> {
    let (mut at, mut end) = (start, None);
    let mut name = Vec::new();
    let mut pointers = 0;
    loop {
        match *octets.get(at)? {
            0 => {
                name.push(0);
                return (name.len() <= MAX_NAME).then(|| (name, end.unwrap_or(at + 1)));
            }
            length @ 1..=63 => {
                let next = at + 1 + usize::from(length);
                name.extend_from_slice(octets.get(at..next)?);
                at = next;
            }
            high @ 0xc0.. => {
                let low = *octets.get(at + 1)?;
                end = end.or(Some(at + 2));
                at = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                pointers += 1;
            }
            _ => return None,
        }
        if pointers > MAX_POINTERS || name.len() > MAX_NAME {
            return None;
        }
    }
}

impl OptRecord {
    fn of(record: &Rr) -> Option<Self> {
        if record.rtype != RType::OPT {
            return None;
        }
        let [rcode_high, version, flags, _] = record.ttl.to_be_bytes();
        Some(Self {
            payload: record.class,
            rcode_high,
            version,
            dnssec_ok: flags & 0x80 != 0,
            options: EdnsOption::all(&record.data),
        })
    }
}

/// The name of a class (RFC 1035 §3.2.4, RFC 3597 §5).
pub fn class_name(class: u16) -> String {
    match class {
        1 => "IN".to_owned(),
        3 => "CH".to_owned(),
        4 => "HS".to_owned(),
        254 => "NONE".to_owned(),
        255 => "ANY".to_owned(),
        other => format!("CLASS{other}"),
    }
}

/// The name of any response code (IANA "DNS RCODEs").
pub fn rcode_name(rcode: u16) -> String {
    let known = crate::query::Rcode::ALL
        .into_iter()
        .find(|known| *known as u16 == rcode);
    known.map_or_else(|| format!("RCODE{rcode}"), |known| known.name().to_owned())
}

/// A wire name as text.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(self.0, f)
    }
}

impl Rr {
    /// Its data as text.
    pub fn text(&self) -> String {
        Rdata {
            rtype: self.rtype,
            wire: &self.data,
        }
        .to_string()
    }
}

impl fmt::Display for Rr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = class_name(self.class);
        let (owner, rtype) = (Shown(&self.owner), self.rtype);
        write!(
            f,
            "{owner}\t{}\t{class}\t{rtype}\t{}",
            self.ttl,
            self.text()
        )
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opcode = match self.flags[0] >> 3 & 0x0f {
            0 => "QUERY".to_owned(),
            4 => "NOTIFY".to_owned(),
            5 => "UPDATE".to_owned(),
            other => format!("OPCODE{other}"),
        };
        let rcode = rcode_name(self.rcode());
        let [answers, authorities, additionals] = self.sections.each_ref().map(Vec::len);
        let additionals = additionals + usize::from(self.opt.is_some());
        writeln!(
            f,
            ";; ->>HEADER<<- opcode: {opcode}, status: {rcode}, id: {}",
            self.id
        )?;
        writeln!(
            f,
            ";; flags: {}; QUERY: {}, ANSWER: {answers}, AUTHORITY: {authorities}, ADDITIONAL: {additionals}",
            self.flag_names().join(" "),
            self.questions.len(),
        )?;
        if let Some(opt) = &self.opt {
            let flags = if opt.dnssec_ok { " do" } else { "" };
            writeln!(f, "\n;; OPT PSEUDOSECTION:")?;
            writeln!(
                f,
                "; EDNS: version: {}, flags:{flags}; udp: {}",
                opt.version, opt.payload
            )?;
            for option in &opt.options {
                writeln!(f, "; {option}")?;
            }
        }
        writeln!(f, "\n;; QUESTION SECTION:")?;
        for (name, rtype, class) in &self.questions {
            writeln!(f, ";{}\t{}\t{rtype}", Shown(name), class_name(*class))?;
        }
        for (section, title) in self
            .sections
            .iter()
            .zip(["ANSWER", "AUTHORITY", "ADDITIONAL"])
        {
            if section.is_empty() {
                continue;
            }
            writeln!(f, "\n;; {title} SECTION:")?;
            for record in section {
                writeln!(f, "{record}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
