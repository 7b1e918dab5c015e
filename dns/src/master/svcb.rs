//! The parameters of SVCB and HTTPS records, from text to wire (RFC 9460 §2.1, §2.2, appendix A).
//!
//! What never happens here: no parameter is believed to be self-consistent; `mandatory` keys that are
//! missing are an error.

use super::lex::Token;
use super::rdata::base64;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// `mandatory` (RFC 9460 §8).
const MANDATORY: u16 = 0;
/// `alpn` (RFC 9460 §7.1).
pub(crate) const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
/// `ipv4hint` (RFC 9460 §7.3).
pub(crate) const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
/// `ipv6hint` (RFC 9460 §7.3).
pub(crate) const IPV6HINT: u16 = 6;

/// Appends the parameters in the order of their keys, as RFC 9460 §2.2 demands.
pub(super) fn params<'a>(
    tokens: impl Iterator<Item = &'a Token>,
    wire: &mut Vec<u8>,
) -> Result<(), String> {
    let mut params: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    for token in tokens {
        let (name, value) = match token.text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (token.text.as_str(), None),
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
    Some(match name {
        "mandatory" => MANDATORY,
        "alpn" => ALPN,
        "no-default-alpn" => NO_DEFAULT_ALPN,
        "port" => PORT,
        "ipv4hint" => IPV4HINT,
        "ech" => ECH,
        "ipv6hint" => IPV6HINT,
        // 65535 is reserved as the invalid key (RFC 9460 §14.3.2).
        other => other
            .strip_prefix("key")?
            .parse()
            .ok()
            .filter(|key| *key != u16::MAX)?,
    })
}

fn encoded(key: u16, value: Option<&str>) -> Result<Vec<u8>, String> {
    let value = match (key, value) {
        (NO_DEFAULT_ALPN, None) => return Ok(Vec::new()),
        (NO_DEFAULT_ALPN, Some(_)) => return Err("takes no value".to_owned()),
        (0..=ECH | IPV6HINT, None | Some("")) => return Err("needs a value".to_owned()),
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
        _ => {
            let token = Token {
                text: value.to_owned(),
                quoted: true,
            };
            token
                .octets()
                .ok_or_else(|| "a malformed escape".to_owned())
        }
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
    let token = Token {
        text: value.to_owned(),
        quoted: true,
    };
    let mut items = vec![Vec::new()];
    let mut octets = token.octets()?.into_iter();
    while let Some(octet) = octets.next() {
        match octet {
            b',' => items.push(Vec::new()),
            b'\\' => items.last_mut()?.push(octets.next()?),
            other => items.last_mut()?.push(other),
        }
    }
    Some(items)
}
