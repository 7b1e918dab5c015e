//! Response codes (IANA "DNS RCODEs"): those this server says.
//!
//! What never happens here: nothing decides which one is said.

/// A response code (RFC 1035 §4.1.1, RFC 2136 §2.2, RFC 6891 §9, RFC 7873 §8).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Rcode {
    /// No error.
    NoError = 0,
    /// The query could not be understood.
    FormErr = 1,
    /// The server failed.
    ServFail = 2,
    /// The name does not exist.
    NxDomain = 3,
    /// The kind of query is not implemented.
    NotImp = 4,
    /// The server will not answer this.
    Refused = 5,
    /// A name that should not exist does: a DNAME made a name too long (RFC 6672 §2.2).
    YxDomain = 6,
    /// Not authoritative for the zone, or not authorised by TSIG (RFC 8945 §5.2).
    NotAuth = 9,
    /// The EDNS version is not known.
    BadVers = 16,
    /// The server cookie is missing or not valid (RFC 7873 §5.2.3).
    BadCookie = 23,
}

impl Rcode {
    /// All of them, in the order of [`Rcode::index`].
    pub const ALL: [Self; 10] = [
        Self::NoError,
        Self::FormErr,
        Self::ServFail,
        Self::NxDomain,
        Self::NotImp,
        Self::Refused,
        Self::YxDomain,
        Self::NotAuth,
        Self::BadVers,
        Self::BadCookie,
    ];

    /// Its position in [`Rcode::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::NotAuth => 7,
            Self::BadVers => 8,
            Self::BadCookie => 9,
            other => other as usize,
        }
    }

    /// The name in metrics and logs, as the registry spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::YxDomain => "YXDOMAIN",
            Self::NotAuth => "NOTAUTH",
            Self::BadVers => "BADVERS",
            Self::BadCookie => "BADCOOKIE",
        }
    }

    /// The four bits that lie in the header.
    pub(crate) const fn low(self) -> u8 {
        self as u8 & 0x0f
    }

    /// The eight bits that lie in the OPT record (RFC 6891 §6.1.3).
    pub(crate) const fn high(self) -> u8 {
        (self as u16 >> 4) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_where_its_index_says() {
        for (i, rcode) in Rcode::ALL.into_iter().enumerate() {
            assert_eq!(rcode.index(), i, "{}", rcode.name());
            assert_eq!(
                u16::from(rcode.high()) << 4 | u16::from(rcode.low()),
                rcode as u16
            );
        }
    }
}
