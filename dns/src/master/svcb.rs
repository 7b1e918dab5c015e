//! The parameters of SVCB and HTTPS records, from text to wire and back (RFC 9460 §2.1, §2.2, appendix A).
//!
//! What never happens here: no parameter is believed to be self-consistent; `mandatory` keys that are
//! missing are an error.

use super::encoding::{self, base64};
use super::lex::{self, Token};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

/// `mandatory` (RFC 9460 §8).
const MANDATORY: u16 = 0;
/// `alpn` (RFC 9460 §7.1).
pub(crate) const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
/// `port` (RFC 9460 §7.2).
pub(crate) const PORT: u16 = 3;
/// `ipv4hint` (RFC 9460 §7.3).
pub(crate) const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
/// `ipv6hint` (RFC 9460 §7.3).
pub(crate) const IPV6HINT: u16 = 6;
/// `dohpath` (RFC 9461 §5).
pub(crate) const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;
const TLS_SUPPORTED_GROUPS: u16 = 9;

/// The keys by name (IANA "Service Parameter Keys"), each at its number.
const NAMES: [&str; 10] = [
    "mandatory",
    "alpn",
    "no-default-alpn",
    "port",
    "ipv4hint",
    "ech",
    "ipv6hint",
    "dohpath",
    "ohttp",
    "tls-supported-groups",
];

/// Appends the parameters in the order of their keys, as RFC 9460 §2.2 demands.
pub(super) fn params<'a, 't: 'a>(
    tokens: impl Iterator<Item = &'a Token<'t>>,
    wire: &mut Vec<u8>,
) -> Result<(), String> {
    let mut params: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    for token in tokens {
        let (name, value) = match token.text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (&*token.text, None),
        };
        let key = key(name).ok_or_else(|| {
            format!("`{name}` is not a service parameter known here; write it as keyNNNNN")
        })?;
        let value = encoded(key, value).map_err(|problem| format!("{name}: {problem}"))?;
        if params.insert(key, value).is_some() {
            return Err(format!("`{name}` is there twice"));
        }
    }
    let missing = params.get(&MANDATORY).is_some_and(|keys| {
        keys.chunks_exact(2)
            .any(|k| !params.contains_key(&k.iter().fold(0, |key, b| key << 8 | u16::from(*b))))
    });
    if missing {
        return Err("mandatory names a parameter that is missing".to_owned());
    }
    if params.contains_key(&NO_DEFAULT_ALPN) && !params.contains_key(&ALPN) {
        return Err("no-default-alpn needs alpn beside it".to_owned());
    }
    for (key, value) in params {
        push(wire, key, &value);
    }
    Ok(())
}

/// Appends one parameter. A value longer than a parameter can be is cut (the grammar bounds them).
pub(crate) fn push(wire: &mut impl Extend<u8>, key: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    wire.extend(key.to_be_bytes());
    wire.extend(length.to_be_bytes());
    wire.extend(value.iter().copied().take(usize::from(length)));
}

/// The wire value of `alpn`: each protocol with its length before it; `None` when one has none or more
/// than 255 octets.
pub(crate) fn alpn<'a>(protocols: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    for protocol in protocols {
        let length = u8::try_from(protocol.len())
            .ok()
            .filter(|length| *length > 0)?;
        value.push(length);
        value.extend_from_slice(protocol);
    }
    Some(value)
}

fn key(name: &str) -> Option<u16> {
    let known = NAMES.iter().position(|known| *known == name);
    match known {
        Some(number) => u16::try_from(number).ok(),
        // 65535 is reserved as the invalid key (RFC 9460 §14.3.2).
        None => name
            .strip_prefix("key")?
            .parse()
            .ok()
            .filter(|key| *key != u16::MAX),
    }
}

fn encoded(key: u16, value: Option<&str>) -> Result<Vec<u8>, String> {
    let value = match (key, value) {
        // RFC 9460 §7.1.1, RFC 9540 §4: their being there is all they say.
        (NO_DEFAULT_ALPN | OHTTP, None) => return Ok(Vec::new()),
        (NO_DEFAULT_ALPN | OHTTP, Some(_)) => return Err("takes no value".to_owned()),
        (0..=TLS_SUPPORTED_GROUPS, None | Some("")) => return Err("needs a value".to_owned()),
        (_, value) => value.unwrap_or(""),
    };
    match key {
        MANDATORY => mandatory(value),
        ALPN => {
            let list = list(value).ok_or("a malformed escape")?;
            alpn(list.iter().map(Vec::as_slice))
                .ok_or_else(|| "a protocol has 1 to 255 octets".to_owned())
        }
        PORT => value
            .parse()
            .map(|port: u16| port.to_be_bytes().to_vec())
            .map_err(|_| "not a port".to_owned()),
        IPV4HINT => each(value, |address: Ipv4Addr| address.octets()),
        IPV6HINT => each(value, |address: Ipv6Addr| address.octets()),
        ECH => base64(value).ok_or_else(|| "not base64".to_owned()),
        TLS_SUPPORTED_GROUPS => {
            let groups: Result<Vec<u16>, _> = value.split(',').map(str::parse).collect();
            let groups = groups.map_err(|_| "not a list of numbers".to_owned())?;
            Ok(groups.into_iter().flat_map(u16::to_be_bytes).collect())
        }
        _ => lex::octets(value).ok_or_else(|| "a malformed escape".to_owned()),
    }
}

fn mandatory(value: &str) -> Result<Vec<u8>, String> {
    let keys: Option<Vec<u16>> = value.split(',').map(key).collect();
    let mut keys = keys.ok_or("not a list of service parameters")?;
    keys.sort_unstable();
    let repeats = keys.windows(2).any(|pair| pair.first() == pair.last());
    if repeats || keys.contains(&MANDATORY) {
        return Err("names a parameter twice, or itself".to_owned());
    }
    Ok(keys.into_iter().flat_map(u16::to_be_bytes).collect())
}

fn each<T: std::str::FromStr, const N: usize>(
    value: &str,
    octets: impl Fn(T) -> [u8; N],
) -> Result<Vec<u8>, String> {
    let mut wire = Vec::new();
    for item in value.split(',') {
        wire.extend(octets(
            item.parse()
                .map_err(|_| format!("`{item}` is not an address"))?,
        ));
    }
    Ok(wire)
}

/// A comma-separated list (RFC 9460 appendix A.1): unescaped twice, `\\,` is a comma within an item.
fn list(value: &str) -> Option<Vec<Vec<u8>>> {
    let mut items = vec![Vec::new()];
    let mut octets = lex::octets(value)?.into_iter();
    while let Some(octet) = octets.next() {
        match octet {
            b',' => items.push(Vec::new()),
            b'\\' => items.last_mut()?.push(octets.next()?),
            other => items.last_mut()?.push(other),
        }
    }
    Some(items)
}

/// The parameters one by one: key and value. Ends at the first that is cut short.
fn each_param(mut wire: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let ([k1, k0, l1, l0], rest) = wire.split_first_chunk()?;
        let length = u16::from_be_bytes([*l1, *l0]);
        let (value, rest) = rest.split_at_checked(usize::from(length))?;
        wire = rest;
        Some((u16::from_be_bytes([*k1, *k0]), value))
    })
}

/// Whether the parameters are in order, each of the form its key has (RFC 9460 §2.2, §7, §8).
pub(super) fn is_sound(wire: &[u8]) -> bool {
    let (mut length, mut last) = (0, None);
    for (key, value) in each_param(wire) {
        let in_order = last.is_none_or(|last| last < key);
        let sound = match key {
            MANDATORY | TLS_SUPPORTED_GROUPS => !value.is_empty() && value.len().is_multiple_of(2),
            ALPN => protocols(value).is_some_and(|protocols| !protocols.is_empty()),
            NO_DEFAULT_ALPN | OHTTP => value.is_empty(),
            PORT => value.len() == 2,
            IPV4HINT => !value.is_empty() && value.len().is_multiple_of(4),
            IPV6HINT => !value.is_empty() && value.len().is_multiple_of(16),
            ECH | DOHPATH => !value.is_empty(),
            _ => key != u16::MAX,
        };
        if !in_order || !sound {
            return false;
        }
        (length, last) = (length + 4 + value.len(), Some(key));
    }
    length == wire.len()
}

fn protocols(mut value: &[u8]) -> Option<Vec<&[u8]>> {
    let mut protocols = Vec::new();
    while let Some((length, rest)) = value.split_first() {
        let (protocol, rest) = rest.split_at_checked(usize::from(*length))?;
        if protocol.is_empty() {
            return None;
        }
        protocols.push(protocol);
        value = rest;
    }
    Some(protocols)
}

/// Writes parameters that are sound.
pub(super) fn show(wire: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, (key, value)) in each_param(wire).enumerate() {
        if i > 0 {
            f.write_char(' ')?;
        }
        show_key(key, f)?;
        if !value.is_empty() {
            f.write_char('=')?;
            show_value(key, value, f)?;
        }
    }
    Ok(())
}

fn show_key(key: u16, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match NAMES.get(usize::from(key)) {
        Some(name) => f.write_str(name),
        None => write!(f, "key{key}"),
    }
}

fn show_value(key: u16, value: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let number = |pair: &[u8]| {
        pair.iter()
            .fold(0, |number, octet| number << 8 | u16::from(*octet))
    };
    let comma = |i: usize| if i > 0 { "," } else { "" };
    match key {
        MANDATORY => value.chunks_exact(2).enumerate().try_for_each(|(i, pair)| {
            f.write_str(comma(i))?;
            show_key(number(pair), f)
        }),
        PORT | TLS_SUPPORTED_GROUPS => {
            let mut numbers = value.chunks_exact(2).enumerate();
            numbers.try_for_each(|(i, pair)| write!(f, "{}{}", comma(i), number(pair)))
        }
        IPV4HINT => value
            .chunks_exact(4)
            .enumerate()
            .try_for_each(|(i, octets)| {
                let address = <[u8; 4]>::try_from(octets).map(Ipv4Addr::from);
                address.map_or(Err(fmt::Error), |a| write!(f, "{}{a}", comma(i)))
            }),
        IPV6HINT => value
            .chunks_exact(16)
            .enumerate()
            .try_for_each(|(i, octets)| {
                let address = <[u8; 16]>::try_from(octets).map(Ipv6Addr::from);
                address.map_or(Err(fmt::Error), |a| write!(f, "{}{a}", comma(i)))
            }),
        ECH => encoding::write_base64(value, f),
        ALPN => {
            // A comma or backslash within an item is escaped once for the list, once for the string.
            let mut list = Vec::new();
            for (i, protocol) in protocols(value).unwrap_or_default().into_iter().enumerate() {
                list.extend_from_slice(comma(i).as_bytes());
                for octet in protocol {
                    if matches!(octet, b',' | b'\\') {
                        list.push(b'\\');
                    }
                    list.push(*octet);
                }
            }
            encoding::write_quoted(&list, f)
        }
        _ => encoding::write_quoted(value, f),
    }
}
