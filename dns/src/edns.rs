//! EDNS(0): the OPT record of a query and of its response (RFC 6891), option by option.
//!
//! What never happens here: unknown options and flags change nothing (RFC 6891 §6.1.2, §6.1.4).

use crate::cookie::{Cookie, Made};
use crate::ecs::Ecs;
use crate::nsid::Identity;
use std::time::Duration;

/// Option codes (IANA "DNS EDNS0 Option Codes").
pub(crate) mod code {
    /// RFC 5001 §2.3.
    pub(super) const NSID: u16 = 3;
    /// RFC 7871 §6.
    pub(crate) const CLIENT_SUBNET: u16 = 8;
    /// RFC 7314 §3.
    pub(super) const EXPIRE: u16 = 9;
    /// RFC 7873 §4.
    pub(crate) const COOKIE: u16 = 10;
    /// RFC 7828 §3.1.
    pub(crate) const KEEPALIVE: u16 = 11;
    /// RFC 7830 §3.
    pub(super) const PADDING: u16 = 12;
    /// RFC 8914 §2.
    pub(crate) const EXTENDED_ERROR: u16 = 15;
}

/// An OPT record without options: root, type, size, rcode and version, flags, length.
pub(crate) const BARE_OPT: usize = 11;
/// An option's code and length.
const OPTION: usize = 4;
/// RFC 8467 §4.1: responses are padded to a multiple of this.
const PADDING_BLOCK: usize = 468;
/// The unit of edns-tcp-keepalive (RFC 7828 §3.1).
const KEEPALIVE_UNIT_MS: u128 = 100;

/// Which part of a query's OPT record is malformed: FORMERR, with a text that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// An option is longer than what holds it, or there is less than an option.
    #[error("an EDNS option is cut short")]
    Options,
    /// Client subnet breaks RFC 7871 §6, or is there twice.
    #[error("malformed client subnet option")]
    Subnet,
    /// A cookie of a length that none has (RFC 7873 §5.2.2).
    #[error("malformed cookie option")]
    Cookie,
}

impl Malformed {
    /// What the Extended DNS Error says.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Options => "an EDNS option is cut short",
            Self::Subnet => "malformed client subnet option",
            Self::Cookie => "malformed cookie option",
        }
    }
}

/// The OPT record of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The UDP payload the sender can take, in octets, as sent.
    pub payload: u16,
    /// The version; only 0 exists.
    pub version: u8,
    /// The DO bit (RFC 3225 §3): copied into the response.
    pub dnssec_ok: bool,
    /// Client subnet; `None` also when the server was told to ignore it.
    pub ecs: Option<Ecs>,
    /// The DNS cookie; `None` also when cookies are off.
    pub cookie: Option<Cookie>,
    /// Whether the server's identity is asked for (RFC 5001).
    pub nsid: bool,
    /// Whether the connection's idle timeout is asked for (RFC 7828).
    pub keepalive: bool,
    /// Whether the time left until the zone expires is asked for (RFC 7314).
    pub expire: bool,
    /// Whether the query is padded, so that the response must be (RFC 7830 §4).
    pub padded: bool,
}

impl Default for Edns {
    fn default() -> Self {
        Self::bare(1232, [0; 4])
    }
}

/// Which options are looked at. The others are as unknown as any.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heeds {
    pub(crate) subnet: bool,
    pub(crate) cookie: bool,
}

impl Edns {
    /// What stands before the options: `class` and `ttl` as they lie in the record (RFC 6891 §6.1.3).
    pub(crate) fn bare(class: u16, ttl: [u8; 4]) -> Self {
        let [_, version, flags, _] = ttl;
        Self {
            payload: class,
            version,
            dnssec_ok: flags & 0x80 != 0,
            ecs: None,
            cookie: None,
            nsid: false,
            keepalive: false,
            expire: false,
            padded: false,
        }
    }

    /// Reads the options, which lie in the record's RDATA.
    ///
    /// # Errors
    /// The first that is malformed.
    pub(crate) fn options(mut self, data: &[u8], heeds: Heeds) -> Result<Self, Malformed> {
        // What a later version puts into its options is unknown; BADVERS says that this one is not.
        if self.version != 0 {
            return Ok(self);
        }
        let mut rest = data;
        while !rest.is_empty() {
            let ([code_high, code_low, length_high, length_low], after) =
                rest.split_first_chunk().ok_or(Malformed::Options)?;
            let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
            let (option, after) = after.split_at_checked(length).ok_or(Malformed::Options)?;
            rest = after;
            self.option(u16::from_be_bytes([*code_high, *code_low]), option, heeds)?;
        }
        Ok(self)
    }

    fn option(&mut self, code: u16, data: &[u8], heeds: Heeds) -> Result<(), Malformed> {
        match code {
            code::CLIENT_SUBNET if heeds.subnet => {
                let ecs = Ecs::parse(data).map_err(|_| Malformed::Subnet)?;
                // Two of them would leave open which one was answered.
                if self.ecs.replace(ecs).is_some() {
                    return Err(Malformed::Subnet);
                }
            }
            // RFC 7873 §5.2: of several only the first is looked at.
            code::COOKIE if heeds.cookie && self.cookie.is_none() => {
                self.cookie = Some(Cookie::parse(data)?);
            }
            code::NSID => self.nsid = true,
            code::KEEPALIVE => self.keepalive = true,
            code::EXPIRE => self.expire = true,
            code::PADDING => self.padded = true,
            _ => {}
        }
        Ok(())
    }
}

/// An Extended DNS Error (RFC 8914).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ede {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT.
    pub text: &'static str,
}

impl Ede {
    /// Other (RFC 8914 §4.1): the text says what.
    pub const OTHER: u16 = 0;
    /// Not Ready (RFC 8914 §4.15): the server is not yet, or not now, able to answer.
    pub const NOT_READY: u16 = 14;
    /// Prohibited (RFC 8914 §4.19): this client may not have an answer.
    pub const PROHIBITED: u16 = 18;
    /// Not Authoritative (RFC 8914 §4.21).
    pub const NOT_AUTHORITATIVE: u16 = 20;
    /// Not Supported (RFC 8914 §4.22).
    pub const NOT_SUPPORTED: u16 = 21;
    /// Invalid Query Type (RFC 9824 §3.5).
    pub const INVALID_QUERY_TYPE: u16 = 30;
    /// Invalid Data (RFC 8914 §4.25): the data of a zone cannot be used, such as after it expired.
    pub const INVALID_DATA: u16 = 24;

    /// Not supported, and what is not.
    pub const fn not_supported(text: &'static str) -> Self {
        Self {
            code: Self::NOT_SUPPORTED,
            text,
        }
    }

    /// What no other code says.
    pub const fn other(text: &'static str) -> Self {
        Self {
            code: Self::OTHER,
            text,
        }
    }

    fn len(self) -> usize {
        OPTION + 2 + self.text.len()
    }
}

/// What the OPT record of a response says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opt<'r> {
    /// The upper eight bits of the RCODE.
    pub(crate) rcode_high: u8,
    /// The payload this server can take.
    pub(crate) payload: u16,
    pub(crate) dnssec_ok: bool,
    /// Client subnet to echo, with its scope.
    pub(crate) ecs: Option<(Ecs, u8)>,
    /// The client's cookie and one of ours.
    pub(crate) cookie: Option<Made>,
    /// Who answers, and by which generation.
    pub(crate) nsid: Option<(&'r Identity, u64)>,
    /// How long the connection may be idle.
    pub(crate) keepalive: Option<Duration>,
    /// The seconds until the zone expires.
    pub(crate) expire: Option<u32>,
    pub(crate) ede: Option<Ede>,
    /// Whether the whole message is padded.
    pub(crate) padded: bool,
}

impl Opt<'_> {
    /// How many octets it takes, padding aside.
    pub(crate) fn len(&self) -> usize {
        BARE_OPT + self.options_len()
    }

    fn options_len(&self) -> usize {
        let fixed = |is_there: bool, length: usize| if is_there { OPTION + length } else { 0 };
        self.ecs.map_or(0, |(ecs, _)| OPTION + ecs.len())
            + fixed(self.cookie.is_some(), size_of::<Made>())
            + self.nsid.map_or(0, |(identity, generation)| {
                OPTION + identity.len(generation)
            })
            + fixed(self.keepalive.is_some(), 2)
            + fixed(self.expire.is_some(), 4)
            + self.ede.map_or(0, Ede::len)
    }

    /// Leaves out what is only an explanation, first its text, then all of it, when the message would
    /// be longer than `room` otherwise.
    pub(crate) fn fit(&mut self, room: usize) {
        if self.len() > room
            && let Some(ede) = &mut self.ede
        {
            ede.text = "";
            if self.len() > room {
                self.ede = None;
            }
        }
    }

    /// The least it can take, if it must.
    pub(crate) fn least_len(&self) -> usize {
        self.len() - self.ede.map_or(0, Ede::len)
    }

    /// Appends it to a message that has `before` octets and may have `limit`.
    pub(crate) fn write(&self, before: usize, limit: usize, out: &mut Vec<u8>) {
        let padding = self.padding(before, limit);
        let length = self.options_len() + padding.map_or(0, |padding| OPTION + padding);
        out.extend([0, 0, 41]);
        out.extend(self.payload.to_be_bytes());
        out.extend([self.rcode_high, 0, if self.dnssec_ok { 0x80 } else { 0 }, 0]);
        out.extend((length as u16).to_be_bytes());
        if let Some((ecs, scope)) = self.ecs {
            option(code::CLIENT_SUBNET, ecs.len(), out);
            ecs.write(scope, out);
        }
        if let Some(cookie) = self.cookie {
            option(code::COOKIE, cookie.len(), out);
            out.extend(cookie);
        }
        if let Some((identity, generation)) = self.nsid {
            option(code::NSID, identity.len(generation), out);
            identity.write(generation, out);
        }
        if let Some(idle) = self.keepalive {
            option(code::KEEPALIVE, 2, out);
            let units = idle.as_millis() / KEEPALIVE_UNIT_MS;
            out.extend(u16::try_from(units).unwrap_or(u16::MAX).to_be_bytes());
        }
        if let Some(seconds) = self.expire {
            option(code::EXPIRE, 4, out);
            out.extend(seconds.to_be_bytes());
        }
        if let Some(ede) = self.ede {
            option(code::EXTENDED_ERROR, 2 + ede.text.len(), out);
            out.extend(ede.code.to_be_bytes());
            out.extend_from_slice(ede.text.as_bytes());
        }
        if let Some(padding) = padding {
            option(code::PADDING, padding, out);
            // RFC 7830 §3: the octets SHOULD be 0.
            out.resize(out.len() + padding, 0);
        }
    }

    /// How many octets of padding make the message a multiple of [`PADDING_BLOCK`], as far as `limit`
    /// lets it.
    fn padding(&self, before: usize, limit: usize) -> Option<usize> {
        let unpadded = before + self.len() + OPTION;
        let most = limit.checked_sub(unpadded).filter(|_| self.padded)?;
        Some((unpadded.next_multiple_of(PADDING_BLOCK) - unpadded).min(most))
    }
}

fn option(code: u16, length: usize, out: &mut Vec<u8>) {
    out.extend(code.to_be_bytes());
    out.extend((length as u16).to_be_bytes());
}
