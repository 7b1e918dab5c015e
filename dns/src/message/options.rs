//! EDNS options as a client sees them, with names and values as `dig` shows them.

use crate::ecs::Ecs;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An option of an OPT record (RFC 6891 §6.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdnsOption {
    /// Its code.
    pub code: u16,
    /// Its data.
    pub data: Vec<u8>,
}

impl EdnsOption {
    /// A request for the server's identity (RFC 5001 §2.1).
    pub const fn nsid() -> Self {
        Self {
            code: 3,
            data: Vec::new(),
        }
    }

    /// A cookie of the client alone (RFC 7873 §4).
    pub fn cookie(client: [u8; 8]) -> Self {
        Self {
            code: 10,
            data: client.to_vec(),
        }
    }

    /// A client subnet as a query has it (RFC 7871 §6).
    pub(super) fn subnet(subnet: Ecs) -> Self {
        let mut data = Vec::new();
        subnet.write(0, &mut data);
        Self { code: 8, data }
    }

    pub(super) fn octets(&self) -> Vec<u8> {
        let mut octets = self.code.to_be_bytes().to_vec();
        octets.extend((self.data.len() as u16).to_be_bytes());
        octets.extend_from_slice(&self.data);
        octets
    }

    /// Those of an OPT record's RDATA, as far as they are whole.
    pub(super) fn all(mut data: &[u8]) -> Vec<Self> {
        let mut options = Vec::new();
        while let Some(([code_high, code_low, high, low], rest)) = data.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some((value, rest)) = rest.split_at_checked(length) else {
                break;
            };
            options.push(Self {
                code: u16::from_be_bytes([*code_high, *code_low]),
                data: value.to_vec(),
            });
            data = rest;
        }
        options
    }

    /// A client subnet: address, source and scope prefix.
    pub fn as_subnet(&self) -> Option<(IpAddr, u8, u8)> {
        if self.code != 8 {
            return None;
        }
        let ([_, family, source, scope], octets) = self.data.split_first_chunk()?;
        let mut padded = [0; 16];
        for (to, from) in padded.iter_mut().zip(octets) {
            *to = *from;
        }
        let [a, b, c, d, ..] = padded;
        let address = match family {
            2 => IpAddr::V6(Ipv6Addr::from(padded)),
            _ => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        };
        Some((address, *source, *scope))
    }

    /// An Extended DNS Error (RFC 8914): its code, the code's meaning and the text.
    pub fn as_error(&self) -> Option<(u16, &'static str, String)> {
        let ([high, low], text) = self.data.split_first_chunk().filter(|_| self.code == 15)?;
        let code = u16::from_be_bytes([*high, *low]);
        let text = String::from_utf8_lossy(text).into_owned();
        Some((code, error_name(code), text))
    }
}

/// What an Extended DNS Error means (IANA "Extended DNS Error Codes").
fn error_name(code: u16) -> &'static str {
    const NAMES: [&str; 31] = [
        "Other Error",
        "Unsupported DNSKEY Algorithm",
        "Unsupported DS Digest Type",
        "Stale Answer",
        "Forged Answer",
        "DNSSEC Indeterminate",
        "DNSSEC Bogus",
        "Signature Expired",
        "Signature Not Yet Valid",
        "DNSKEY Missing",
        "RRSIGs Missing",
        "No Zone Key Bit Set",
        "NSEC Missing",
        "Cached Error",
        "Not Ready",
        "Blocked",
        "Censored",
        "Filtered",
        "Prohibited",
        "Stale NXDOMAIN Answer",
        "Not Authoritative",
        "Not Supported",
        "No Reachable Authority",
        "Network Error",
        "Invalid Data",
        "Signature Expired before Valid",
        "Too Early",
        "Unsupported NSEC3 Iterations Value",
        "Unable to conform to policy",
        "Synthesized",
        "Invalid Query Type",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("unknown")
}

fn hex(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}

impl fmt::Display for EdnsOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((address, source, scope)) = self.as_subnet() {
            return write!(f, "CLIENT-SUBNET: {address}/{source}/{scope}");
        }
        if let Some((code, name, text)) = self.as_error() {
            write!(f, "EDE: {code} ({name})")?;
            return if text.is_empty() {
                Ok(())
            } else {
                write!(f, ": ({text})")
            };
        }
        match (self.code, self.data.as_slice()) {
            (3, data) => {
                f.write_str("NSID: ")?;
                hex(data, f)?;
                write!(f, " (\"{}\")", String::from_utf8_lossy(data).escape_debug())
            }
            (9, [a, b, c, d]) => {
                write!(f, "EXPIRE: {}", u32::from_be_bytes([*a, *b, *c, *d]))
            }
            (10, data) => {
                f.write_str("COOKIE: ")?;
                hex(data, f)
            }
            (11, [high, low]) => {
                let tenths = u16::from_be_bytes([*high, *low]);
                write!(f, "TCP-KEEPALIVE: {}.{} secs", tenths / 10, tenths % 10)
            }
            (12, data) => write!(f, "PAD: ({} bytes)", data.len()),
            (code, data) => {
                write!(f, "OPT={code}: ")?;
                hex(data, f)
            }
        }
    }
}
