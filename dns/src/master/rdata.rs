//! RDATA from text to wire, by one grammar a type.
//!
//! What never happens here: no owner name, class or TTL is looked at, and a type without a grammar is
//! only taken in the generic form of RFC 3597 §5.

use super::lex::Token;
use super::svcb;
use crate::name::{Name, name_len, wire_from_text};
use crate::rtype::RType;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::slice::Iter;

/// The longest RDATA (RFC 1035 §3.2.1: RDLENGTH has 16 bits).
const MAX_RDATA: usize = 65_535;
/// The five numbers behind the names of a SOA (RFC 1035 §3.3.13).
pub(crate) const SOA_TAIL: usize = 20;

/// One field of an RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    U8,
    U16,
    U32,
    /// Seconds, also as `1h30m`.
    Seconds,
    Name,
    /// One `<character-string>`: at most 255 octets.
    Text,
    /// One or more of them, to the end.
    Texts,
    /// Octets without a length, to the end (CAA, URI).
    Octets,
    Hex,
    Base64,
    V4,
    V6,
    /// A set of types (RFC 4034 §4.1.2).
    Types,
    /// Service parameters, to the end (RFC 9460 §2.1).
    SvcParams,
}

/// The fields of each type that has a text form here, with the section that defines it.
fn grammar(rtype: RType) -> Option<&'static [Field]> {
    use Field::*;
    Some(match rtype {
        RType::A => &[V4],                                // RFC 1035 §3.4.1
        RType::AAAA => &[V6],                             // RFC 3596 §2.2
        RType::NS | RType::CNAME | RType::PTR => &[Name], // RFC 1035 §3.3
        RType::DNAME => &[Name],                          // RFC 6672 §2.1
        RType::SOA => &[Name, Name, U32, Seconds, Seconds, Seconds, Seconds], // RFC 1035 §3.3.13
        RType::MX | RType::AFSDB | RType::KX => &[U16, Name], // RFC 1035 §3.3.9, RFC 1183, RFC 2230
        RType::TXT | RType::SPF => &[Texts],              // RFC 1035 §3.3.14
        RType::HINFO => &[Text, Text],                    // RFC 1035 §3.3.2
        RType::RP => &[Name, Name],                       // RFC 1183 §2.2
        RType::SRV => &[U16, U16, U16, Name],             // RFC 2782
        RType::NAPTR => &[U16, U16, Text, Text, Text, Name], // RFC 3403 §4.1
        RType::CERT => &[U16, U16, U8, Base64],           // RFC 4398 §2
        RType::DS | RType::CDS => &[U16, U8, U8, Hex],    // RFC 4034 §5.1
        RType::DNSKEY | RType::CDNSKEY => &[U16, U8, U8, Base64], // RFC 4034 §2.1
        RType::SSHFP => &[U8, U8, Hex],                   // RFC 4255 §3.1
        RType::TLSA | RType::SMIMEA => &[U8, U8, U8, Hex], // RFC 6698 §2.1, RFC 8162 §2
        RType::DHCID | RType::OPENPGPKEY => &[Base64],    // RFC 4701 §3.1, RFC 7929 §2.1
        RType::CSYNC => &[U32, U16, Types],               // RFC 7477 §2.1
        RType::ZONEMD => &[U32, U8, U8, Hex],             // RFC 8976 §2.2
        RType::SVCB | RType::HTTPS => &[U16, Name, SvcParams], // RFC 9460 §2.1
        RType::URI => &[U16, U16, Octets],                // RFC 7553 §4.1
        RType::CAA => &[U8, Text, Octets],                // RFC 8659 §4.1
        _ => return None,
    })
}

/// Reads the RDATA of one record; relative names are under `origin`.
///
/// # Errors
/// What is wrong, and with which token.
pub(crate) fn parse(rtype: RType, tokens: &[Token], origin: &Name) -> Result<Vec<u8>, String> {
    if let Some((first, rest)) = tokens.split_first()
        && first.text == "\\#"
        && !first.quoted
    {
        return generic(rtype, rest);
    }
    let Some(fields) = grammar(rtype) else {
        return Err(format!(
            "{rtype} has no text form here; write it as \\# LENGTH HEX (RFC 3597)"
        ));
    };
    let mut reader = Reader {
        tokens: tokens.iter(),
        origin,
        wire: Vec::new(),
    };
    for field in fields {
        reader
            .field(*field)
            .map_err(|problem| format!("{rtype}: {problem}"))?;
    }
    if let Some(extra) = reader.tokens.next() {
        return Err(format!("{rtype}: `{}` is one field too many", extra.text));
    }
    if reader.wire.len() > MAX_RDATA {
        return Err(format!(
            "{rtype}: the data is longer than {MAX_RDATA} octets"
        ));
    }
    Ok(reader.wire)
}

/// RFC 3597 §5: `\# 4 0a000001`.
fn generic(rtype: RType, tokens: &[Token]) -> Result<Vec<u8>, String> {
    let (length, rest) = tokens.split_first().ok_or("\\# needs a length")?;
    let length: u16 = length
        .text
        .parse()
        .map_err(|_| format!("`{}` is no length", length.text))?;
    let octets = hex(rest.iter())?;
    if octets.len() != usize::from(length) {
        return Err(format!(
            "\\# says {length} octets, and there are {}",
            octets.len()
        ));
    }
    if !is_sound(rtype, &octets) {
        return Err(format!("the octets are not what {rtype} is made of"));
    }
    Ok(octets)
}

/// Whether generic RDATA can be relied on for the types that answers look into.
fn is_sound(rtype: RType, wire: &[u8]) -> bool {
    let is_name = |wire: Option<&[u8]>| wire.is_some_and(|wire| name_len(wire) == Some(wire.len()));
    match rtype {
        RType::A => wire.len() == 4,
        RType::AAAA => wire.len() == 16,
        RType::NS | RType::CNAME | RType::PTR | RType::DNAME => is_name(Some(wire)),
        RType::MX => is_name(wire.get(2..)),
        RType::SOA => name_len(wire).is_some_and(|mname| {
            let rname = wire.get(mname..).and_then(name_len);
            rname.is_some_and(|rname| wire.len() == mname + rname + SOA_TAIL)
        }),
        _ => true,
    }
}

struct Reader<'a> {
    tokens: Iter<'a, Token>,
    origin: &'a Name,
    wire: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn token(&mut self, wanted: &str) -> Result<&'a Token, String> {
        self.tokens
            .next()
            .ok_or_else(|| format!("{wanted} is missing at the end"))
    }

    fn number<T: std::str::FromStr>(&mut self, wanted: &str) -> Result<T, String> {
        let token = self.token(wanted)?;
        token
            .text
            .parse()
            .map_err(|_| format!("`{}` is not {wanted}", token.text))
    }

    fn field(&mut self, field: Field) -> Result<(), String> {
        match field {
            Field::U8 => {
                let value: u8 = self.number("a number from 0 to 255")?;
                self.wire.push(value);
            }
            Field::U16 => {
                let value: u16 = self.number("a number from 0 to 65535")?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::U32 => {
                let value: u32 = self.number("a number below 2^32")?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::Seconds => {
                let token = self.token("a time")?;
                let value = seconds(&token.text)
                    .ok_or_else(|| not(token, "a time in seconds or like 1h30m"))?;
                self.wire.extend(value.to_be_bytes());
            }
            Field::V4 => {
                let value: Ipv4Addr = self.number("an IPv4 address")?;
                self.wire.extend(value.octets());
            }
            Field::V6 => {
                let value: Ipv6Addr = self.number("an IPv6 address")?;
                self.wire.extend(value.octets());
            }
            Field::Name => {
                let token = self.token("a name")?;
                let name = wire_from_text(&token.text, self.origin)
                    .map_err(|problem| format!("`{}` is not a name: {problem}", token.text))?;
                self.wire.extend_from_slice(&name);
            }
            Field::Text => {
                let token = self.token("a string")?;
                self.text(token)?;
            }
            Field::Texts => {
                let first = self.token("a string")?;
                self.text(first)?;
                while let Some(token) = self.tokens.next() {
                    self.text(token)?;
                }
            }
            Field::Octets => {
                let token = self.token("a string")?;
                self.wire.extend(octets(token)?);
            }
            Field::Hex => {
                let octets = hex(self.tokens.by_ref())?;
                self.wire.extend(some(octets, "hexadecimal digits")?);
            }
            Field::Base64 => {
                let text: String = self.tokens.by_ref().map(|t| t.text.as_str()).collect();
                let octets = base64(&text).ok_or("the end is not base64")?;
                self.wire.extend(some(octets, "base64 data")?);
            }
            Field::Types => {
                let types = self
                    .tokens
                    .by_ref()
                    .map(|t| t.text.parse().map_err(|_| not(t, "a record type")));
                let types = types.collect::<Result<Vec<RType>, String>>()?;
                type_bitmap(types, &mut self.wire);
            }
            Field::SvcParams => svcb::params(self.tokens.by_ref(), &mut self.wire)?,
        }
        Ok(())
    }

    fn text(&mut self, token: &Token) -> Result<(), String> {
        let octets = octets(token)?;
        let length = u8::try_from(octets.len()).map_err(|_| {
            "a string is longer than 255 octets; split it into several strings".to_owned()
        })?;
        self.wire.push(length);
        self.wire.extend(octets);
        Ok(())
    }
}

fn not(token: &Token, wanted: &str) -> String {
    format!("`{}` is not {wanted}", token.text)
}

fn some(octets: Vec<u8>, wanted: &str) -> Result<Vec<u8>, String> {
    if octets.is_empty() {
        Err(format!("{wanted} are missing at the end"))
    } else {
        Ok(octets)
    }
}

fn octets(token: &Token) -> Result<Vec<u8>, String> {
    token
        .octets()
        .ok_or_else(|| format!("`{}` has a malformed escape", token.text))
}

/// A time: plain seconds, or numbers with `w`, `d`, `h`, `m`, `s` behind them, added up.
pub(super) fn seconds(text: &str) -> Option<u32> {
    if let Ok(plain) = text.parse() {
        return text.bytes().all(|b| b.is_ascii_digit()).then_some(plain);
    }
    let (mut total, mut number) = (0_u32, None);
    for byte in text.bytes() {
        let unit = match byte.to_ascii_lowercase() {
            b'0'..=b'9' => {
                let digit = u32::from(byte - b'0');
                number = Some(
                    number
                        .unwrap_or(0_u32)
                        .checked_mul(10)?
                        .checked_add(digit)?,
                );
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    number
        .is_none()
        .then_some(total)
        .filter(|_| !text.is_empty())
}

fn hex<'a>(tokens: impl Iterator<Item = &'a Token>) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u8>> = tokens
        .flat_map(|token| token.text.chars())
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect();
    match digits {
        Some(digits) if digits.len().is_multiple_of(2) => Ok(digits
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |octet, digit| octet << 4 | digit))
            .collect()),
        _ => Err("the end is not pairs of hexadecimal digits".to_owned()),
    }
}

/// RFC 4648 §4, padded.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - body.len() > 2 {
        return None;
    }
    let mut octets = Vec::with_capacity(body.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in body.bytes() {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(sextet)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            octets.push((bits >> held) as u8);
        }
    }
    Some(octets)
}

/// RFC 4034 §4.1.2: windows of 256 types, each with a bitmap as short as it can be.
fn type_bitmap(mut types: Vec<RType>, wire: &mut Vec<u8>) {
    types.sort_unstable();
    for window in types.chunk_by(|a, b| a.0 >> 8 == b.0 >> 8) {
        let mut bitmap = [0_u8; 32];
        let mut used = 0;
        for rtype in window {
            let low = usize::from(rtype.0 & 0xff);
            if let Some(octet) = bitmap.get_mut(low / 8) {
                *octet |= 0x80 >> (low % 8);
            }
            used = low / 8 + 1;
        }
        wire.push(window.first().map_or(0, |rtype| (rtype.0 >> 8) as u8));
        wire.push(used as u8);
        wire.extend_from_slice(bitmap.get(..used).unwrap_or(&[]));
    }
}
