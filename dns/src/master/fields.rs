//! Which fields the RDATA of each type has, and where in its octets each of them ends.
//!
//! One table for reading text, writing text, and holding octets that came without text against their type.
//! What never happens here: no text is read or written.

use super::{encoding, special, svcb};
use crate::name::name_len;
use crate::rtype::RType;
use smallvec::SmallVec;

/// One field of an RDATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    U8,
    U16,
    U32,
    /// Seconds, also as `1h30m`.
    Seconds,
    /// A date (RFC 4034 §3.2).
    Date,
    Name,
    /// One `<character-string>`: at most 255 octets.
    Text,
    /// One, or none at the end.
    MaybeText,
    /// One or more of them, to the end.
    Texts,
    /// One of letters and digits (RFC 8659 §4.1).
    Tag,
    /// Octets without a length, to the end (CAA, URI).
    Octets,
    Hex,
    Base64,
    /// Base64, or nothing at the end.
    MaybeBase64,
    /// Octets with their length in hexadecimal, `-` for none (RFC 5155 §3.3).
    Salt,
    /// Octets with their length in base32hex (RFC 5155 §3.3).
    Hash,
    V4,
    V6,
    /// Four groups of four hexadecimal digits (RFC 6742 §2.1.2).
    Locator64,
    /// Pairs of hexadecimal digits with dashes (RFC 7043 §3.2); how many.
    Eui(u8),
    /// `0x` and digits, dots among them ignored (RFC 1706 §7).
    Nsap,
    /// A record type by name.
    Type,
    /// An algorithm of DNSSEC, also by mnemonic (RFC 4034 appendix A.1).
    Algorithm,
    /// A kind of certificate, also by mnemonic (RFC 4398 §2.1).
    CertType,
    /// A scheme of notification, also by mnemonic (RFC 9859 §2.1).
    Scheme,
    /// A set of types (RFC 4034 §4.1.2).
    Types,
    /// Service parameters, to the end (RFC 9460 §2.1).
    SvcParams,
    /// What the second octet says: nothing, an address or a name (RFC 4025 §2.5).
    Gateway,
    /// Discovery bit, kind and relay (RFC 8777 §4.2).
    Relay,
    /// A place on earth (RFC 1876 §2).
    Loc,
    /// Address prefixes (RFC 3123 §4).
    Apl,
    /// A host identity and its servers (RFC 8005 §5).
    Hip,
}

/// The fields of each type that has a text form here, with the section that defines it.
pub(super) fn fields(rtype: RType) -> Option<&'static [Field]> {
    use Field::*;
    Some(match rtype {
        RType::A => &[V4],                                // RFC 1035 §3.4.1
        RType::AAAA => &[V6],                             // RFC 3596 §2.2
        RType::NS | RType::CNAME | RType::PTR => &[Name], // RFC 1035 §3.3
        RType::DNAME => &[Name],                          // RFC 6672 §2.1
        RType::MD | RType::MF | RType::MB | RType::MG | RType::MR => &[Name], // RFC 1035 §3.3
        RType::MINFO | RType::RP | RType::TALINK => &[Name, Name], // RFC 1035 §3.3.7, RFC 1183 §2.2
        RType::SOA => &[Name, Name, U32, Seconds, Seconds, Seconds, Seconds], // RFC 1035 §3.3.13
        RType::MX | RType::AFSDB | RType::RT | RType::KX => &[U16, Name], // RFC 1035 §3.3.9, RFC 1183, RFC 2230
        RType::LP => &[U16, Name],                                        // RFC 6742 §2.4
        RType::PX => &[U16, Name, Name],                                  // RFC 2163 §4
        RType::TXT | RType::SPF | RType::NINFO | RType::AVC => &[Texts],  // RFC 1035 §3.3.14
        RType::RESINFO | RType::WALLET | RType::CLA => &[Texts],          // RFC 9606 §4
        RType::HINFO => &[Text, Text],                                    // RFC 1035 §3.3.2
        RType::X25 => &[Text],                                            // RFC 1183 §3.1
        RType::ISDN => &[Text, MaybeText],                                // RFC 1183 §3.2
        RType::GPOS => &[Text, Text, Text],                               // RFC 1712 §3
        RType::NSAP => &[Nsap],                                           // RFC 1706 §7
        RType::NSAP_PTR => &[Name],                                       // RFC 1706 §8
        RType::SRV => &[U16, U16, U16, Name],                             // RFC 2782
        RType::NAPTR => &[U16, U16, Text, Text, Text, Name],              // RFC 3403 §4.1
        RType::LOC => &[Loc],                                             // RFC 1876 §2
        RType::APL => &[Apl],                                             // RFC 3123 §4
        RType::CERT => &[CertType, U16, Algorithm, Base64],               // RFC 4398 §2
        RType::DS | RType::CDS | RType::DLV | RType::TA => &[U16, Algorithm, U8, Hex], // RFC 4034 §5.1
        RType::DNSKEY | RType::CDNSKEY | RType::RKEY => &[U16, U8, Algorithm, Base64], // RFC 4034 §2.1
        RType::KEY => &[U16, U8, Algorithm, MaybeBase64], // RFC 2535 §3.1: may say that there is none
        RType::RRSIG | RType::SIG => {
            &[Type, Algorithm, U8, Seconds, Date, Date, U16, Name, Base64] // RFC 4034 §3.1
        }
        RType::NSEC => &[Name, Types], // RFC 4034 §4.1
        RType::NSEC3 => &[U8, U8, U16, Salt, Hash, Types], // RFC 5155 §3.2
        RType::NSEC3PARAM => &[U8, U8, U16, Salt], // RFC 5155 §4.2
        RType::SSHFP => &[U8, U8, Hex], // RFC 4255 §3.1
        RType::TLSA | RType::SMIMEA => &[U8, U8, U8, Hex], // RFC 6698 §2.1, RFC 8162 §2
        RType::DHCID | RType::OPENPGPKEY => &[Base64], // RFC 4701 §3.1, RFC 7929 §2.1
        RType::HHIT | RType::BRID => &[Base64], // RFC 9886 §5
        RType::IPSECKEY => &[U8, U8, U8, Gateway, MaybeBase64], // RFC 4025 §2.1
        RType::AMTRELAY => &[U8, Relay], // RFC 8777 §4.2
        RType::HIP => &[Hip],          // RFC 8005 §5
        RType::CSYNC => &[U32, U16, Types], // RFC 7477 §2.1
        RType::ZONEMD => &[U32, U8, U8, Hex], // RFC 8976 §2.2
        RType::SVCB | RType::HTTPS => &[U16, Name, SvcParams], // RFC 9460 §2.1
        RType::DSYNC => &[Type, Scheme, U16, Name], // RFC 9859 §2.1
        RType::EUI48 => &[Eui(6)],     // RFC 7043 §3
        RType::EUI64 => &[Eui(8)],     // RFC 7043 §4
        RType::NID | RType::L64 => &[U16, Locator64], // RFC 6742 §2.1, §2.3
        RType::L32 => &[U16, V4],      // RFC 6742 §2.2
        RType::URI => &[U16, U16, Octets], // RFC 7553 §4.1
        RType::CAA => &[U8, Tag, Octets], // RFC 8659 §4.1
        RType::DOA => &[U32, U32, U8, Text, MaybeBase64], // draft-durand-doa-over-dns §3.1
        _ => return None,
    })
}

/// An RDATA taken apart.
pub(super) type Pieces<'a> = SmallVec<[(Field, &'a [u8]); 9]>;

/// The octets of each field; `None` when they are not what the type is made of, or the type has no fields
/// here.
pub(super) fn pieces(rtype: RType, wire: &[u8]) -> Option<Pieces<'_>> {
    let mut pieces = Pieces::new();
    let mut at = 0;
    for field in fields(rtype)? {
        let rest = wire.get(at..)?;
        let piece = rest.get(..length(*field, rest, wire)?)?;
        pieces.push((*field, piece));
        at += piece.len();
    }
    (at == wire.len()).then_some(pieces)
}

/// How many octets a field takes at the beginning of `rest`, which is the end of `whole`.
fn length(field: Field, rest: &[u8], whole: &[u8]) -> Option<usize> {
    let string = |rest: &[u8]| Some(1 + usize::from(*rest.first()?));
    let all = |is_sound: bool| is_sound.then_some(rest.len());
    Some(match field {
        Field::U8 | Field::Algorithm | Field::Scheme => 1,
        Field::U16 | Field::Type | Field::CertType => 2,
        Field::U32 | Field::Seconds | Field::Date | Field::V4 => 4,
        Field::Locator64 => 8,
        Field::V6 => 16,
        Field::Eui(octets) => usize::from(octets),
        Field::Name => name_len(rest)?,
        Field::Text | Field::Salt => string(rest)?,
        Field::MaybeText if rest.is_empty() => 0,
        Field::MaybeText => string(rest)?,
        Field::Hash => string(rest).filter(|length| *length > 1)?,
        Field::Tag => {
            let tag = rest.get(1..string(rest)?)?;
            let is_tag = !tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric);
            is_tag.then_some(1 + tag.len())?
        }
        Field::Texts => {
            let mut at = 0;
            while at < rest.len() {
                at += string(rest.get(at..)?)?;
            }
            (at == rest.len() && at > 0).then_some(at)?
        }
        Field::Octets | Field::MaybeBase64 => rest.len(),
        Field::Hex | Field::Base64 | Field::Nsap => all(!rest.is_empty())?,
        Field::Types => all(encoding::bitmap(rest).is_some())?,
        Field::SvcParams => all(svcb::is_sound(rest))?,
        Field::Gateway => special::gateway_len(*whole.get(1)?, rest)?,
        Field::Relay => 1 + special::gateway_len(rest.first()? & 0x7f, rest.get(1..)?)?,
        // Version 0 is the only one (RFC 1876 §2).
        Field::Loc => all(rest.len() == special::LOC_LEN && rest.first() == Some(&0))?,
        Field::Apl => all(special::prefixes(rest).is_some())?,
        Field::Hip => all(special::Hip::cut(rest).is_some())?,
    })
}
