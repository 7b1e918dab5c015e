//! RDATA as text.

use super::Shown;
use crate::name::name_len;
use crate::rtype::RType;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) struct Rdata<'a> {
    pub(super) rtype: RType,
    pub(super) wire: &'a [u8],
}

impl fmt::Display for Rdata<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.rtype, self.wire) {
            (RType::A, &[a, b, c, d]) => write!(f, "{}", Ipv4Addr::new(a, b, c, d)),
            (RType::AAAA, wire) if wire.len() == 16 => {
                let octets: [u8; 16] = wire.try_into().unwrap_or_default();
                write!(f, "{}", Ipv6Addr::from(octets))
            }
            (RType::NS | RType::CNAME | RType::PTR | RType::DNAME, wire) => {
                write!(f, "{}", Shown(wire))
            }
            (RType::MX, [high, low, name @ ..]) => {
                write!(f, "{} {}", u16::from_be_bytes([*high, *low]), Shown(name))
            }
            (RType::SOA, wire) => {
                let mname = name_len(wire).unwrap_or(0);
                let (mname, rest) = wire.split_at(mname.min(wire.len()));
                let rname = name_len(rest).unwrap_or(0);
                let (rname, rest) = rest.split_at(rname.min(rest.len()));
                write!(f, "{} {}", Shown(mname), Shown(rname))?;
                rest.chunks_exact(4).try_for_each(|n| {
                    let n = u32::from_be_bytes(n.try_into().unwrap_or_default());
                    write!(f, " {n}")
                })
            }
            (RType::TXT, mut wire) => {
                while let Some((length, rest)) = wire.split_first() {
                    let (text, after) = rest.split_at(usize::from(*length).min(rest.len()));
                    write!(f, "\"{}\"", String::from_utf8_lossy(text))?;
                    f.write_str(if after.is_empty() { "" } else { " " })?;
                    wire = after;
                }
                Ok(())
            }
            (_, wire) => {
                write!(f, "\\# {} ", wire.len())?;
                wire.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
        }
    }
}
