//! Record types by number and mnemonic (IANA "Resource Record (RR) TYPEs").
//!
//! What never happens here: nothing is parsed but the type's own name.

use std::fmt;
use std::str::FromStr;

/// A record type. Any number is a type (RFC 3597 §5 writes those without a mnemonic as `TYPE65280`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RType(pub u16);

macro_rules! types {
    ($($name:ident = $number:literal),+ $(,)?) => {
        #[allow(missing_docs)] // each is its mnemonic
        impl RType {
            $(pub const $name: Self = Self($number);)+
        }

        const MNEMONICS: &[(u16, &str)] = &[$(($number, stringify!($name))),+];
    };
}

types! {
    A = 1, NS = 2, MD = 3, MF = 4, CNAME = 5, SOA = 6, MB = 7, MG = 8, MR = 9, NULL = 10, WKS = 11, PTR = 12,
    HINFO = 13, MINFO = 14, MX = 15, TXT = 16, RP = 17, AFSDB = 18, X25 = 19, ISDN = 20, RT = 21, NSAP = 22,
    SIG = 24, KEY = 25, PX = 26, GPOS = 27, AAAA = 28, LOC = 29, NXT = 30, EID = 31, NIMLOC = 32, SRV = 33,
    ATMA = 34, NAPTR = 35, KX = 36, CERT = 37, A6 = 38, DNAME = 39, SINK = 40, OPT = 41, APL = 42, DS = 43,
    SSHFP = 44, IPSECKEY = 45, RRSIG = 46, NSEC = 47, DNSKEY = 48, DHCID = 49, NSEC3 = 50, NSEC3PARAM = 51,
    TLSA = 52, SMIMEA = 53, HIP = 55, NINFO = 56, RKEY = 57, TALINK = 58, CDS = 59, CDNSKEY = 60,
    OPENPGPKEY = 61, CSYNC = 62, ZONEMD = 63, SVCB = 64, HTTPS = 65, DSYNC = 66, HHIT = 67, BRID = 68,
    SPF = 99, UINFO = 100, UID = 101, GID = 102, UNSPEC = 103, NID = 104, L32 = 105, L64 = 106, LP = 107,
    EUI48 = 108, EUI64 = 109, NXNAME = 128, TKEY = 249, TSIG = 250, IXFR = 251, AXFR = 252, MAILB = 253,
    MAILA = 254, ANY = 255, URI = 256, CAA = 257, AVC = 258, DOA = 259, AMTRELAY = 260, RESINFO = 261,
    WALLET = 262, CLA = 263, IPN = 264,
}

/// Mnemonics that are no identifiers, or so far beyond the others that those need not be looked up by number.
const ODD: [(u16, &str); 3] = [(23, "NSAP-PTR"), (32_768, "TA"), (32_769, "DLV")];

/// For each number up to the last with a mnemonic, where it is among those.
const POSITIONS: [u8; LAST + 1] = {
    let mut positions = [MNEMONICS.len() as u8; LAST + 1];
    let mut i = 0;
    while i < MNEMONICS.len() {
        positions[MNEMONICS[i].0 as usize] = i as u8;
        i += 1;
    }
    positions
};

/// The last number with a mnemonic.
const LAST: usize = MNEMONICS[MNEMONICS.len() - 1].0 as usize;

impl RType {
    /// `NSAP-PTR` (RFC 1706 §8).
    pub const NSAP_PTR: Self = Self(23);
    /// DNSSEC trust authorities.
    pub const TA: Self = Self(32_768);
    /// DNSSEC lookaside validation (RFC 4431).
    pub const DLV: Self = Self(32_769);

    /// How many types have a mnemonic here.
    pub(crate) const COUNT: usize = MNEMONICS.len();

    /// The types with a mnemonic, by number.
    pub(crate) fn named() -> impl ExactSizeIterator<Item = Self> {
        MNEMONICS.iter().map(|(number, _)| Self(*number))
    }

    /// Where it is among [`RType::named`]; [`RType::COUNT`] for all others.
    #[inline]
    pub(crate) fn position(self) -> usize {
        let position = POSITIONS.get(usize::from(self.0));
        position.map_or(Self::COUNT, |position| usize::from(*position))
    }

    /// Whether it is only ever asked for or only about one message (RFC 6895 §3.1): never in a zone.
    #[inline]
    pub const fn is_meta(self) -> bool {
        self.0 == 0 || self.0 == Self::OPT.0 || (self.0 >= 128 && self.0 <= 255)
    }
}

impl fmt::Display for RType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut known = MNEMONICS.iter().chain(&ODD);
        match known.find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for RType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a record type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a record type")]
pub struct UnknownType;

impl FromStr for RType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        let mut known = MNEMONICS.iter().chain(&ODD);
        if let Some((number, _)) = known.find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            return Ok(Self(*number));
        }
        let (head, digits) = text.split_at_checked(4).ok_or(UnknownType)?;
        if !head.eq_ignore_ascii_case("TYPE") || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(UnknownType);
        }
        digits.parse().map(Self).map_err(|_| UnknownType)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3597_types_without_a_mnemonic() {
        for (text, number, shown) in [
            ("aaaa", 28, "AAAA"),
            ("TYPE28", 28, "AAAA"),
            ("type65280", 65280, "TYPE65280"),
        ] {
            let rtype: RType = text.parse().expect(text);
            assert_eq!((rtype.0, rtype.to_string().as_str()), (number, shown));
        }
        for text in ["", "TYPE", "TYPE65536", "TYPE+1", "BOGUS", "TYP\u{e9}1"] {
            assert!(text.parse::<RType>().is_err(), "{text}");
        }
    }
    #[test]
    fn every_type_has_the_position_it_is_named_at() {
        for (i, rtype) in RType::named().enumerate() {
            assert_eq!(rtype.position(), i, "{rtype}");
        }
        for number in [0, 23, 120, 300, 65_535] {
            assert_eq!(RType(number).position(), RType::COUNT, "{number}");
        }
    }
}
