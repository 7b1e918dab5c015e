//! RDATA from text to wire, by the fields of its type.
//!
//! What never happens here: no owner name, class or TTL is looked at, and a type without fields is
//! only taken in the generic form of RFC 3597 §5.

use super::encoding::{base64, date, hex, octets, push_bitmap, seconds};
use super::fields::{Field, fields, pieces};
use super::lex::Token;
use super::{special, svcb};
use crate::name::{Name, wire_from_text};
use crate::rtype::RType;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::slice::Iter;

/// The longest RDATA (RFC 1035 §3.2.1: RDLENGTH has 16 bits).
const MAX_RDATA: usize = 65_535;
/// The five numbers behind the names of a SOA (RFC 1035 §3.3.13).
pub(crate) const SOA_TAIL: usize = 20;
/// The longest `<character-string>` (RFC 1035 §3.3).
const MAX_STRING: usize = 255;

/// Reads the RDATA of one record into `wire`, which is empty; relative names are under `origin`.
///
/// # Errors
/// What is wrong, and with which token.
pub(super) fn parse(
    rtype: RType,
    tokens: &[Token<'_>],
    origin: &Name,
    wire: &mut Vec<u8>,
) -> Result<(), String> {
    if let Some((first, rest)) = tokens.split_first()
        && first.text == "\\#"
        && !first.quoted
    {
        return generic(rtype, rest, wire);
    }
    let Some(fields) = fields(rtype) else {
        return Err(format!(
            "{rtype} has no text form here; write it as \\# LENGTH HEX (RFC 3597)"
        ));
    };
    let mut reader = Reader {
        tokens: tokens.iter(),
        origin,
        wire,
    };
    for field in fields {
        reader
            .field(*field)
            .map_err(|problem| format!("{rtype}: {problem}"))?;
    }
    if let Some(extra) = reader.tokens.next() {
        return Err(format!("{rtype}: `{}` is one field too many", extra.text));
    }
    if wire.len() > MAX_RDATA {
        return Err(format!(
            "{rtype}: the data is longer than {MAX_RDATA} octets"
        ));
    }
    Ok(())
}

/// RFC 3597 §5: `\# 4 0a000001`.
fn generic(rtype: RType, tokens: &[Token<'_>], wire: &mut Vec<u8>) -> Result<(), String> {
    let (length, rest) = tokens.split_first().ok_or("\\# needs a length")?;
    let bad = |_| format!("`{}` is no length", length.text);
    let length: u16 = length.text.parse().map_err(bad)?;
    let octets = hex(texts(rest)).ok_or(NO_HEX)?;
    if octets.len() != usize::from(length) {
        return Err(format!(
            "\\# says {length} octets, and there are {}",
            octets.len()
        ));
    }
    if !is_sound(rtype, &octets) {
        return Err(format!("the octets are not what {rtype} is made of"));
    }
    wire.extend(octets);
    Ok(())
}

/// Whether RDATA that came as octets is what its type is made of, names uncompressed. Any octets are, for
/// a type that is not known here (RFC 3597 §3).
pub(crate) fn is_sound(rtype: RType, wire: &[u8]) -> bool {
    fields(rtype).is_none() || pieces(rtype, wire).is_some()
}

/// What a reader of one RDATA is at.
pub(super) struct Reader<'a, 't> {
    pub(super) tokens: Iter<'a, Token<'t>>,
    origin: &'a Name,
    pub(super) wire: &'a mut Vec<u8>,
}

impl<'a, 't> Reader<'a, 't> {
    pub(super) fn token(&mut self, wanted: &str) -> Result<&'a Token<'t>, String> {
        self.tokens
            .next()
            .ok_or_else(|| format!("{wanted} is missing at the end"))
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self, wanted: &str) -> Result<T, String> {
        let token = self.token(wanted)?;
        token.text.parse().map_err(|_| not(token, wanted))
    }

    pub(super) fn u8(&mut self) -> Result<u8, String> {
        self.number("a number from 0 to 255")
    }

    fn field(&mut self, field: Field) -> Result<(), String> {
        match field {
            Field::U8 => {
                let value = self.u8()?;
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
            Field::V4 => {
                let value: Ipv4Addr = self.number("an IPv4 address")?;
                self.wire.extend(value.octets());
            }
            Field::V6 => {
                let value: Ipv6Addr = self.number("an IPv6 address")?;
                self.wire.extend(value.octets());
            }
            Field::Seconds => self.converted("a time in seconds or like 1h30m", |text| {
                Some(seconds(text)?.to_be_bytes())
            })?,
            Field::Date => self.converted("a date as YYYYMMDDHHmmSS", |text| {
                Some(date(text)?.to_be_bytes())
            })?,
            Field::Type => self.converted("a record type", |text| {
                Some(text.parse::<RType>().ok()?.0.to_be_bytes())
            })?,
            Field::Algorithm => self.converted("an algorithm", |text| {
                Some([u8::try_from(mnemonic(text, ALGORITHMS)?).ok()?])
            })?,
            Field::CertType => self.converted("a kind of certificate", |text| {
                Some(mnemonic(text, CERTIFICATES)?.to_be_bytes())
            })?,
            Field::Scheme => self.converted("a scheme", |text| {
                Some([u8::try_from(mnemonic(text, SCHEMES)?).ok()?])
            })?,
            Field::Locator64 => self.converted("four groups of hexadecimal digits", |text| {
                let groups: Vec<&str> = text.split(':').collect();
                let sound = groups.len() == 4 && groups.iter().all(|g| (1..=4).contains(&g.len()));
                let groups = groups.iter().map(|g| u16::from_str_radix(g, 16).ok());
                let groups: Option<Vec<u16>> = groups.collect();
                Some(
                    groups
                        .filter(|_| sound)?
                        .into_iter()
                        .flat_map(u16::to_be_bytes),
                )
            })?,
            Field::Eui(octets) => self.converted("pairs of hexadecimal digits", |text| {
                let pairs: Vec<&str> = text.split('-').collect();
                let sound =
                    pairs.len() == usize::from(octets) && pairs.iter().all(|p| p.len() == 2);
                hex(pairs.into_iter()).filter(|_| sound)
            })?,
            Field::Nsap => self.converted("0x and hexadecimal digits", |text| {
                let digits = text.strip_prefix("0x").or(text.strip_prefix("0X"))?;
                hex(digits.split('.')).filter(|octets| !octets.is_empty())
            })?,
            Field::Salt => self.converted("a salt in hexadecimal digits, or -", |text| {
                let digits = if text == "-" { "" } else { text };
                with_length(hex(std::iter::once(digits))?)
            })?,
            Field::Hash => self.converted("a hash in base32hex", |text| {
                with_length(super::encoding::base32hex(text)?).filter(|wire| wire.len() > 1)
            })?,
            Field::Tag => self.converted("a tag of letters and digits", |text| {
                let is_tag = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
                with_length(text.as_bytes().to_vec()).filter(|_| is_tag)
            })?,
            Field::Name => {
                let token = self.token("a name")?;
                self.name(token)?;
            }
            Field::Text => {
                let token = self.token("a string")?;
                self.text(token)?;
            }
            Field::MaybeText => {
                if let Some(token) = self.tokens.next() {
                    self.text(token)?;
                }
            }
            Field::Texts => {
                let first = self.token("a string")?;
                self.strings(first)?;
                while let Some(token) = self.tokens.next() {
                    self.strings(token)?;
                }
            }
            Field::Octets => {
                let token = self.token("a string")?;
                self.wire.extend(octets(token)?);
            }
            Field::Hex => {
                let octets = hex(texts(self.tokens.by_ref().as_slice())).ok_or(NO_HEX)?;
                self.tokens = [].iter();
                self.wire.extend(some(octets, "hexadecimal digits")?);
            }
            Field::Base64 => {
                let octets = self.base64()?;
                self.wire.extend(some(octets, "base64 data")?);
            }
            Field::MaybeBase64 => {
                let octets = self.base64()?;
                self.wire.extend(octets);
            }
            Field::Types => {
                let types = self.tokens.by_ref();
                let types = types.map(|t| t.text.parse().map_err(|_| not(t, "a record type")));
                let types = types.collect::<Result<Vec<RType>, String>>()?;
                push_bitmap(types, self.wire);
            }
            Field::SvcParams => svcb::params(self.tokens.by_ref(), self.wire)?,
            Field::Gateway => special::gateway(self, 1)?,
            Field::Relay => special::relay(self)?,
            Field::Loc => special::loc(self)?,
            Field::Apl => special::apl(self)?,
            Field::Hip => special::hip(self)?,
        }
        Ok(())
    }

    /// One token that `convert` knows the octets of.
    fn converted<O: IntoIterator<Item = u8>>(
        &mut self,
        wanted: &str,
        convert: impl Fn(&str) -> Option<O>,
    ) -> Result<(), String> {
        let token = self.token(wanted)?;
        let octets = convert(&token.text).ok_or_else(|| not(token, wanted))?;
        self.wire.extend(octets);
        Ok(())
    }

    pub(super) fn name(&mut self, token: &Token<'_>) -> Result<(), String> {
        let name = wire_from_text(&token.text, self.origin)
            .map_err(|problem| format!("`{}` is not a name: {problem}", token.text))?;
        self.wire.extend_from_slice(&name);
        Ok(())
    }

    fn text(&mut self, token: &Token<'_>) -> Result<(), String> {
        let octets = octets(token)?;
        let too_long = || "a string is longer than 255 octets".to_owned();
        self.wire.extend(with_length(octets).ok_or_else(too_long)?);
        Ok(())
    }

    /// A string of TXT: a longer one becomes several, which is what every reader of TXT joins again.
    fn strings(&mut self, token: &Token<'_>) -> Result<(), String> {
        let octets = octets(token)?;
        if octets.is_empty() {
            self.wire.push(0);
        }
        for part in octets.chunks(MAX_STRING) {
            self.wire.push(part.len() as u8);
            self.wire.extend_from_slice(part);
        }
        Ok(())
    }

    fn base64(&mut self) -> Result<Vec<u8>, String> {
        let text: String = texts(self.tokens.as_slice()).collect();
        self.tokens = [].iter();
        base64(&text).ok_or_else(|| "the end is not base64".to_owned())
    }
}

const NO_HEX: &str = "the end is not pairs of hexadecimal digits";

/// IANA "DNS Security Algorithm Numbers".
const ALGORITHMS: &[(&str, u16)] = &[
    ("DELETE", 0),
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("NSEC3DSA", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("NSEC3RSASHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECCGOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];
/// RFC 4398 §2.1.
const CERTIFICATES: &[(&str, u16)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];
/// RFC 9859 §6.2.
const SCHEMES: &[(&str, u16)] = &[("NOTIFY", 1)];

/// A number, or a word that stands for one.
fn mnemonic(text: &str, words: &[(&str, u16)]) -> Option<u16> {
    let known = words
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(text));
    known
        .map(|(_, number)| *number)
        .or_else(|| text.parse().ok())
}

pub(super) fn not(token: &Token<'_>, wanted: &str) -> String {
    format!("`{}` is not {wanted}", token.text)
}

fn texts<'a>(tokens: &'a [Token<'_>]) -> impl Iterator<Item = &'a str> {
    tokens.iter().map(|token| &*token.text)
}

fn with_length(octets: Vec<u8>) -> Option<Vec<u8>> {
    let length = u8::try_from(octets.len()).ok()?;
    Some(std::iter::once(length).chain(octets).collect())
}

fn some(octets: Vec<u8>, wanted: &str) -> Result<Vec<u8>, String> {
    if octets.is_empty() {
        Err(format!("{wanted} are missing at the end"))
    } else {
        Ok(octets)
    }
}
