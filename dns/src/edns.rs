//! EDNS(0): the OPT record of a query and of its response (RFC 6891), Extended DNS Errors (RFC 8914).
//!
//! What never happens here: unknown options and flags change nothing (RFC 6891 §6.1.2, §6.1.4).

use crate::ecs::{Ecs, Malformed};

/// The option code of client subnet (RFC 7871 §6).
const CLIENT_SUBNET: u16 = 8;
/// The option code of Extended DNS Errors (RFC 8914 §2).
const EXTENDED_ERROR: u16 = 15;
/// An OPT record without options: root, type, size, rcode and version, flags, length.
const BARE_OPT: usize = 11;

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
}

impl Default for Edns {
    fn default() -> Self {
        Self {
            payload: 1232,
            version: 0,
            dnssec_ok: false,
            ecs: None,
        }
    }
}

impl Edns {
    /// Reads an OPT record: `class` and `ttl` as they lie in the record, and its RDATA.
    pub(crate) fn parse(
        class: u16,
        ttl: [u8; 4],
        data: &[u8],
        use_ecs: bool,
    ) -> Result<Self, Malformed> {
        let [_, version, flags, _] = ttl;
        let mut edns = Self {
            payload: class,
            version,
            dnssec_ok: flags & 0x80 != 0,
            ecs: None,
        };
        // What a later version puts into its options is unknown; BADVERS says that this one is not.
        if version != 0 {
            return Ok(edns);
        }
        let mut rest = data;
        while !rest.is_empty() {
            let ([code_high, code_low, length_high, length_low], after) =
                rest.split_first_chunk().ok_or(Malformed)?;
            let length = usize::from(u16::from_be_bytes([*length_high, *length_low]));
            let (option, after) = after.split_at_checked(length).ok_or(Malformed)?;
            rest = after;
            if use_ecs && u16::from_be_bytes([*code_high, *code_low]) == CLIENT_SUBNET {
                // Two of them would leave open which one was answered.
                if edns.ecs.replace(Ecs::parse(option)?).is_some() {
                    return Err(Malformed);
                }
            }
        }
        Ok(edns)
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
    /// Prohibited (RFC 8914 §4.19): this client may not have an answer.
    pub const PROHIBITED: u16 = 18;
    /// Not Authoritative (RFC 8914 §4.21).
    pub const NOT_AUTHORITATIVE: u16 = 20;
    /// Not Supported (RFC 8914 §4.22).
    pub const NOT_SUPPORTED: u16 = 21;

    fn len(self) -> usize {
        4 + 2 + self.text.len()
    }
}

/// What the OPT record of a response says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opt {
    /// The upper eight bits of the RCODE.
    pub(crate) rcode_high: u8,
    /// The payload this server can take.
    pub(crate) payload: u16,
    pub(crate) dnssec_ok: bool,
    /// Client subnet to echo, with its scope.
    pub(crate) ecs: Option<(Ecs, u8)>,
    pub(crate) ede: Option<Ede>,
}

impl Opt {
    /// How many octets it takes.
    pub(crate) fn len(&self) -> usize {
        BARE_OPT + self.ecs.map_or(0, |(ecs, _)| 4 + ecs.len()) + self.ede.map_or(0, Ede::len)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend([0, 0, 41]);
        out.extend(self.payload.to_be_bytes());
        out.extend([self.rcode_high, 0, if self.dnssec_ok { 0x80 } else { 0 }, 0]);
        out.extend(((self.len() - BARE_OPT) as u16).to_be_bytes());
        if let Some((ecs, scope)) = self.ecs {
            out.extend(CLIENT_SUBNET.to_be_bytes());
            out.extend((ecs.len() as u16).to_be_bytes());
            ecs.write(scope, out);
        }
        if let Some(ede) = self.ede {
            out.extend(EXTENDED_ERROR.to_be_bytes());
            out.extend(((2 + ede.text.len()) as u16).to_be_bytes());
            out.extend(ede.code.to_be_bytes());
            out.extend_from_slice(ede.text.as_bytes());
        }
    }
}
