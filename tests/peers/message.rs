//! A response as sets of records, so that two of them can be held against each other: names without compression and in
//! lower case, also within the data of those types that may compress them (RFC 3597 §4).
//!
//! Nothing is judged here, and nothing of the server's own code is used.

use crate::name::Name;
use std::collections::BTreeSet;
use std::fmt;

/// Types by number, with the text of a master file.
pub const TYPES: [(&str, u16); 26] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("HINFO", 13),
    ("MX", 15),
    ("TXT", 16),
    ("RP", 17),
    ("AAAA", 28),
    ("LOC", 29),
    ("SRV", 33),
    ("NAPTR", 35),
    ("KX", 36),
    ("DNAME", 39),
    ("OPT", 41),
    ("DS", 43),
    ("SSHFP", 44),
    ("RRSIG", 46),
    ("NSEC", 47),
    ("DNSKEY", 48),
    ("TLSA", 52),
    ("HTTPS", 65),
    ("ANY", 255),
    ("CAA", 257),
    ("TYPE65280", 65_280),
];

/// The number of a type.
pub fn rtype(text: &str) -> u16 {
    let found = TYPES.iter().find(|(name, _)| *name == text);
    found.map_or_else(|| panic!("{text} is not in the list of types"), |one| one.1)
}

fn type_name(number: u16) -> String {
    let found = TYPES.iter().find(|(_, of)| *of == number);
    found.map_or_else(|| format!("TYPE{number}"), |one| one.0.to_owned())
}

/// One record. Its class is IN unless it is said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub owner: Name,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: Vec<u8>,
}

/// What a response says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub rcode: u16,
    /// QR, OPCODE, AA, TC, RD, RA, Z, AD, CD as they lie in the header; the code is not in it.
    pub flags: u16,
    /// The question's octets as they came.
    pub question: Vec<u8>,
    pub answer: BTreeSet<Record>,
    pub authority: BTreeSet<Record>,
    pub additional: BTreeSet<Record>,
    /// Whether there is an OPT record, and its flags.
    pub edns: Option<u16>,
    /// The scope of the client subnet option (RFC 7871 §6), when there is one.
    pub scope: Option<u8>,
    /// Records that came twice in one section: there may be none (RFC 2181 §5.5).
    pub doubles: usize,
    /// How many octets the message has.
    pub size: usize,
}

pub const AA: u16 = 0x0400;
pub const TC: u16 = 0x0200;

impl Message {
    pub fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Reads a response to the query with this id.
    pub fn read(octets: &[u8], id: u16) -> Result<Self, String> {
        let mut at = Reader { octets, at: 0 };
        if at.u16()? != id {
            return Err("the id is another".to_owned());
        }
        let word = at.u16()?;
        let [questions, answers, authorities, additionals] =
            [at.u16()?, at.u16()?, at.u16()?, at.u16()?];
        let mut message = Self {
            rcode: word & 0x000f,
            flags: word & 0xfff0,
            size: octets.len(),
            ..Self::default()
        };
        let begin = at.at;
        for _ in 0..questions {
            at.name()?;
            at.take(4)?;
        }
        message.question = octets[begin..at.at].to_vec();
        for _ in 0..answers {
            let record = at.record()?;
            message.doubles += usize::from(!message.answer.insert(record));
        }
        for _ in 0..authorities {
            let record = at.record()?;
            message.doubles += usize::from(!message.authority.insert(record));
        }
        for _ in 0..additionals {
            let record = at.record()?;
            if record.rtype == rtype("OPT") {
                // RFC 6891 §6.1.3: the upper bits of the code, the version and the flags are in the TTL.
                message.rcode |= (record.ttl >> 24 << 4) as u16;
                message.scope = scope(&record.data);
                if message.edns.replace(record.ttl as u16).is_some() {
                    return Err("two OPT records".to_owned());
                }
            } else {
                message.doubles += usize::from(!message.additional.insert(record));
            }
        }
        if at.at == octets.len() {
            Ok(message)
        } else {
            Err("octets after the last record".to_owned())
        }
    }
}

/// SCOPE PREFIX-LENGTH of the client subnet option among the options of an OPT record.
fn scope(mut options: &[u8]) -> Option<u8> {
    while let [_, code, high, low, rest @ ..] = options {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let option = rest.get(..length)?;
        if *code == 8 {
            return option.get(3).copied();
        }
        options = &rest[length..];
    }
    None
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            owner, ttl, data, ..
        } = self;
        write!(f, "{owner} {ttl} {}", type_name(self.rtype))?;
        if self.class != 1 {
            write!(f, " CLASS{}", self.class)?;
        }
        let shown: Vec<u8> = data
            .iter()
            .flat_map(|b| std::ascii::escape_default(*b))
            .collect();
        write!(f, " {}", String::from_utf8_lossy(&shown))
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rcode, flags, edns, ..
        } = self;
        writeln!(
            f,
            "  code {rcode}, flags {flags:04x}, OPT {edns:?}, {} octets",
            self.size
        )?;
        for (section, records) in [
            ("answer", &self.answer),
            ("authority", &self.authority),
            ("additional", &self.additional),
        ] {
            for record in records {
                writeln!(f, "  {section}: {record}")?;
            }
        }
        Ok(())
    }
}

/// Where names lie in the data of types whose names may come compressed: octets before, then how many names.
fn names_in(rtype: u16) -> Option<(usize, usize)> {
    Some(match rtype {
        2 | 5 | 12 | 39 => (0, 1),
        6 | 17 => (0, 2),
        15 | 36 => (2, 1),
        33 => (6, 1),
        _ => return None,
    })
}

struct Reader<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let taken = self.octets.get(self.at..self.at + n);
        self.at += n;
        taken.ok_or_else(|| "it ends too early".to_owned())
    }

    fn u16(&mut self) -> Result<u16, String> {
        let octets = self.take(2)?;
        Ok(u16::from_be_bytes([octets[0], octets[1]]))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// A name in lower case; pointers only lead back, so this ends.
    fn name(&mut self) -> Result<Name, String> {
        let (mut labels, mut resume) = (Vec::new(), None);
        loop {
            let start = self.at;
            match self.take(1)?[0] {
                0 => break,
                length @ 1..=63 => labels.push(self.take(usize::from(length))?.to_vec()),
                high @ 0xc0.. => {
                    let target = usize::from(high & 0x3f) << 8 | usize::from(self.take(1)?[0]);
                    if target >= start {
                        return Err("a pointer leads forward".to_owned());
                    }
                    resume.get_or_insert(self.at);
                    self.at = target;
                }
                _ => return Err("a label of no known kind".to_owned()),
            }
        }
        self.at = resume.unwrap_or(self.at);
        let name = Name(labels).lowered();
        if name.fits() {
            Ok(name)
        } else {
            Err("a name is too long".to_owned())
        }
    }

    fn record(&mut self) -> Result<Record, String> {
        let owner = self.name()?;
        let (rtype, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        let length = usize::from(self.u16()?);
        let end = self.at + length;
        let mut data = Vec::new();
        if let Some((before, names)) = names_in(rtype) {
            data.extend_from_slice(self.take(before)?);
            for _ in 0..names {
                data.extend(self.name()?.wire());
            }
        }
        if rtype == 35 {
            // A NAPTR's name comes as it was written, and is lowered here: order, preference, three texts, the name.
            data.extend_from_slice(self.take(4)?);
            for _ in 0..3 {
                let length = self.take(1)?[0];
                data.push(length);
                data.extend_from_slice(self.take(usize::from(length))?);
            }
            data.extend(self.name()?.wire());
        }
        let rest = end
            .checked_sub(self.at)
            .ok_or("a name leads beyond its record")?;
        data.extend_from_slice(self.take(rest)?);
        Ok(Record {
            owner,
            rtype,
            class,
            ttl,
            data,
        })
    }
}

#[test]
fn a_message_is_read_without_its_compression() {
    let octets = [
        &[0, 7, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 1][..],
        b"\x02aB\x04test\x00\x00\x0f\x00\x01",
        &[
            0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 60, 0, 8, 0, 9, 3, b'M', b'x', b'1', 0xc0, 15,
        ],
        &[0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0],
    ]
    .concat();
    let message = Message::read(&octets, 7).expect("a response");
    let record = message.answer.first().expect("a record");
    assert_eq!(record.owner, Name::plain("ab.test"));
    assert_eq!(record.data, b"\0\x09\x03mx1\x04test\0");
    assert_eq!(message.edns, Some(0x8000));
    assert!(message.is(AA) && !message.is(TC));
    assert!(Message::read(&octets[..octets.len() - 1], 7).is_err());
}
