//! RDATA from wire to text, by the fields of its type: what `dig` would print, and what can be read back.
//!
//! What never happens here: nothing fails. Octets that are not what their type is made of are written in the
//! generic form of RFC 3597 §5.

use super::encoding::{bitmap, write_base32hex, write_base64, write_date, write_hex, write_quoted};
use super::fields::{Field, pieces};
use super::{special, svcb};
use crate::name::write_text;
use crate::rtype::RType;
use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

/// RDATA that is shown as master files have it (RFC 1035 §5.1), all names absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rdata<'a> {
    /// The type of the record.
    pub rtype: RType,
    /// The data in wire form, names uncompressed.
    pub wire: &'a [u8],
}

impl fmt::Display for Rdata<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(pieces) = pieces(self.rtype, self.wire) else {
            return generic(self.wire, f);
        };
        let mut first = true;
        for (field, piece) in pieces {
            if is_left_out(field, piece) {
                continue;
            }
            if !first {
                f.write_char(' ')?;
            }
            first = false;
            show(field, piece, self.wire, f)?;
        }
        Ok(())
    }
}

/// RFC 3597 §5.
fn generic(wire: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\\# {}", wire.len())?;
    if !wire.is_empty() {
        f.write_char(' ')?;
    }
    write_hex(wire, f)
}

/// Whether there is nothing to write, not even quotes.
fn is_left_out(field: Field, piece: &[u8]) -> bool {
    let may_be = matches!(
        field,
        Field::MaybeText | Field::MaybeBase64 | Field::Types | Field::SvcParams | Field::Apl
    );
    may_be && piece.is_empty()
}

fn number(piece: &[u8]) -> u32 {
    let octets = piece.iter();
    octets.fold(0, |number, octet| number << 8 | u32::from(*octet))
}

/// What is behind the length of a string.
fn string(piece: &[u8]) -> &[u8] {
    piece.get(1..).unwrap_or(&[])
}

fn show(field: Field, piece: &[u8], whole: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match field {
        Field::U8
        | Field::U16
        | Field::U32
        | Field::Seconds
        | Field::Algorithm
        | Field::CertType
        | Field::Scheme => write!(f, "{}", number(piece)),
        Field::Type => write!(f, "{}", RType(number(piece) as u16)),
        Field::Date => write_date(number(piece), f),
        Field::Name => write_text(piece, f),
        Field::Text | Field::MaybeText => write_quoted(string(piece), f),
        Field::Texts => texts(piece, f),
        Field::Tag => f.write_str(&String::from_utf8_lossy(string(piece))),
        Field::Octets => write_quoted(piece, f),
        Field::Hex => write_hex(piece, f),
        Field::Base64 | Field::MaybeBase64 => write_base64(piece, f),
        Field::Salt if piece.len() == 1 => f.write_char('-'),
        Field::Salt => write_hex(string(piece), f),
        Field::Hash => write_base32hex(string(piece), f),
        Field::V4 => write!(f, "{}", Ipv4Addr::from(number(piece))),
        Field::V6 => match <[u8; 16]>::try_from(piece) {
            Ok(octets) => write!(f, "{}", Ipv6Addr::from(octets)),
            Err(_) => generic(piece, f),
        },
        Field::Locator64 => separated(piece.chunks(2), ':', f),
        Field::Eui(_) => separated(piece.chunks(1), '-', f),
        Field::Nsap => {
            f.write_str("0x")?;
            write_hex(piece, f)
        }
        Field::Types => {
            let types = bitmap(piece).unwrap_or_default();
            let mut types = types.iter().enumerate();
            types.try_for_each(|(i, rtype)| {
                let space = if i > 0 { " " } else { "" };
                write!(f, "{space}{rtype}")
            })
        }
        Field::SvcParams => svcb::show(piece, f),
        Field::Gateway => special::show_gateway(whole.get(1).copied().unwrap_or(0), piece, f),
        Field::Relay => {
            let (kind, relay) = piece.split_first().unwrap_or((&0, &[]));
            write!(f, "{} {} ", kind >> 7, kind & 0x7f)?;
            special::show_gateway(kind & 0x7f, relay, f)
        }
        Field::Loc => special::show_loc(piece, f),
        Field::Apl => special::show_apl(piece, f),
        Field::Hip => match special::Hip::cut(piece) {
            Some(hip) => hip.show(f),
            None => generic(piece, f),
        },
    }
}

fn texts(mut piece: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut first = true;
    while let Some((length, rest)) = piece.split_first() {
        let (text, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        if !first {
            f.write_char(' ')?;
        }
        first = false;
        write_quoted(text, f)?;
        piece = rest;
    }
    Ok(())
}

fn separated<'a>(
    groups: impl Iterator<Item = &'a [u8]>,
    separator: char,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    for (i, group) in groups.enumerate() {
        if i > 0 {
            f.write_char(separator)?;
        }
        write_hex(group, f)?;
    }
    Ok(())
}
