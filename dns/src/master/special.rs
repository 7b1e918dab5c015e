//! The RDATA whose text has an order of its own: LOC, APL, HIP, and the gateways of IPSECKEY and AMTRELAY.
//!
//! What never happens here: nothing is known of other types.

use super::encoding::{base64, hex, write_base64, write_hex};
use super::rdata::{Reader, not};
use crate::name::{name_len, write_text};
use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The octets of a LOC of version 0 (RFC 1876 §2).
pub(super) const LOC_LEN: usize = 16;
/// What stands for the equator and the prime meridian; degrees are thousandths of a second from there.
const LOC_ORIGIN: i64 = 1 << 31;
/// Altitude is counted in centimetres from 100 km below the ellipsoid.
const LOC_DEPTH: i64 = 10_000_000;
/// Size, horizontal and vertical precision when not written, in centimetres.
const LOC_DEFAULTS: [i64; 3] = [100, 1_000_000, 1_000];

/// RFC 1876 §3: `d [m [s]] N|S d [m [s]] E|W alt[m] [size[m] [hp[m] [vp[m]]]]`.
pub(super) fn loc(reader: &mut Reader<'_, '_>) -> Result<(), String> {
    let latitude = degrees(reader, ["N", "S"], 90)?;
    let longitude = degrees(reader, ["E", "W"], 180)?;
    let altitude = metres(reader)?.ok_or("an altitude is missing at the end")?;
    let altitude = u32::try_from(altitude + LOC_DEPTH)
        .map_err(|_| "the altitude is out of range".to_owned())?;
    reader.wire.push(0);
    for default in LOC_DEFAULTS {
        let centimetres = metres(reader)?.unwrap_or(default);
        let octet = power(centimetres).ok_or("a size or precision is out of range")?;
        reader.wire.push(octet);
    }
    for number in [latitude, longitude, altitude] {
        reader.wire.extend(number.to_be_bytes());
    }
    Ok(())
}

fn degrees(reader: &mut Reader<'_, '_>, sides: [&str; 2], most: i64) -> Result<u32, String> {
    let mut total = 0;
    for (unit, below) in [(3_600_000, most + 1), (60_000, 60), (1_000, 60)] {
        let token = reader.token("a latitude or longitude")?;
        if unit < 3_600_000
            && let Some(side) = sides.iter().position(|side| token.is(side))
        {
            return around(total, side, most);
        }
        let digits = if unit == 1_000 { 3 } else { 0 };
        let bad = || not(token, "a number of degrees, minutes or seconds");
        let thousandths = decimal(&token.text, digits).ok_or_else(bad)?;
        let value = if digits > 0 {
            thousandths
        } else {
            thousandths * 1_000
        };
        if value < 0 || value >= below * 1_000 {
            return Err(bad());
        }
        total += value * (unit / 1_000);
    }
    let token = reader.token("a direction")?;
    let side = sides.iter().position(|side| token.is(side));
    let [positive, negative] = sides;
    around(
        total,
        side.ok_or_else(|| not(token, &format!("{positive} or {negative}")))?,
        most,
    )
}

fn around(thousandths: i64, side: usize, most: i64) -> Result<u32, String> {
    let signed = if side == 0 { thousandths } else { -thousandths };
    let within = thousandths <= most * 3_600_000;
    u32::try_from(LOC_ORIGIN + signed)
        .ok()
        .filter(|_| within)
        .ok_or_else(|| "the latitude or longitude is out of range".to_owned())
}

/// Metres as centimetres; `None` at the end.
fn metres(reader: &mut Reader<'_, '_>) -> Result<Option<i64>, String> {
    let Some(token) = reader.tokens.next() else {
        return Ok(None);
    };
    let number = token.text.strip_suffix(['m', 'M']).unwrap_or(&token.text);
    let centimetres = decimal(number, 2).ok_or_else(|| not(token, "a number of metres"))?;
    Ok(Some(centimetres))
}

/// A decimal number times ten to the power of `digits`; no more digits than that behind the point.
fn decimal(text: &str, digits: usize) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let sound = !whole.is_empty() && whole.len() <= 9 && part.len() <= digits;
    let all_digits = whole
        .bytes()
        .chain(part.bytes())
        .all(|b| b.is_ascii_digit());
    if !sound || !all_digits {
        return None;
    }
    let value: i64 = format!("{whole}{part:0<digits$}").parse().ok()?;
    Some(if negative { -value } else { value })
}

/// RFC 1876 §2: one digit and a power of ten, four bits each; rounded down.
fn power(centimetres: i64) -> Option<u8> {
    let (mut base, mut exponent) = (u64::try_from(centimetres).ok()?, 0_u8);
    while base > 9 {
        base /= 10;
        exponent += 1;
    }
    (exponent <= 9).then_some((base as u8) << 4 | exponent)
}

pub(super) fn show_loc(wire: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let number = |at: usize| {
        let octets = wire.get(at..).and_then(|rest| rest.first_chunk());
        octets.map_or(0, |octets| i64::from(u32::from_be_bytes(*octets)))
    };
    for (at, sides) in [(4, ["N", "S"]), (8, ["E", "W"])] {
        let from_origin = number(at) - LOC_ORIGIN;
        let [positive, negative] = sides;
        let side = if from_origin < 0 { negative } else { positive };
        let ms = from_origin.abs();
        let (d, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        write!(f, "{d} {m} {s}.{:03} {side} ", ms % 1_000)?;
    }
    let altitude = number(12) - LOC_DEPTH;
    let sign = if altitude < 0 { "-" } else { "" };
    write!(
        f,
        "{sign}{}.{:02}m",
        altitude.abs() / 100,
        altitude.abs() % 100
    )?;
    for octet in wire.get(1..4).unwrap_or(&[]) {
        let centimetres = u64::from(octet >> 4) * 10_u64.pow(u32::from(octet & 0xf));
        write!(f, " {}.{:02}m", centimetres / 100, centimetres % 100)?;
    }
    Ok(())
}

/// RFC 4025 §2.5: the gateway whose kind was written `at` octets into the data.
pub(super) fn gateway(reader: &mut Reader<'_, '_>, at: usize) -> Result<(), String> {
    let kind = reader.wire.get(at).copied().unwrap_or(0) & 0x7f;
    let token = reader.token("a gateway")?;
    let address = token.text.parse::<IpAddr>().ok();
    match (kind, address) {
        (0, None) if token.text == "." => Ok(()),
        (1, Some(IpAddr::V4(address))) => {
            reader.wire.extend(address.octets());
            Ok(())
        }
        (2, Some(IpAddr::V6(address))) => {
            reader.wire.extend(address.octets());
            Ok(())
        }
        (3, _) => reader.name(token),
        _ => Err(not(token, &format!("a gateway of type {kind}"))),
    }
}

/// RFC 8777 §4.3.1: `D type relay`.
pub(super) fn relay(reader: &mut Reader<'_, '_>) -> Result<(), String> {
    let (discovery, kind) = (reader.u8()?, reader.u8()?);
    if discovery > 1 || kind > 0x7f {
        return Err("the discovery bit is 0 or 1, and the type below 128".to_owned());
    }
    reader.wire.push(discovery << 7 | kind);
    gateway(reader, 1)
}

/// How many octets a gateway of this kind takes.
pub(super) fn gateway_len(kind: u8, rest: &[u8]) -> Option<usize> {
    match kind {
        0 => Some(0),
        1 => Some(4),
        2 => Some(16),
        3 => name_len(rest),
        _ => None,
    }
}

pub(super) fn show_gateway(kind: u8, wire: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (v4, v6) = (<[u8; 4]>::try_from(wire), <[u8; 16]>::try_from(wire));
    match (kind, v4, v6) {
        (1, Ok(octets), _) => write!(f, "{}", Ipv4Addr::from(octets)),
        (2, _, Ok(octets)) => write!(f, "{}", Ipv6Addr::from(octets)),
        (3, ..) => write_text(wire, f),
        _ => f.write_char('.'),
    }
}

/// RFC 3123 §5: `[!]afi:address/prefix`, none or more.
pub(super) fn apl(reader: &mut Reader<'_, '_>) -> Result<(), String> {
    for token in reader.tokens.by_ref() {
        let bad = || {
            not(
                token,
                "an address prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32",
            )
        };
        let (negated, item) = match token.text.strip_prefix('!') {
            Some(rest) => (0x80, rest),
            None => (0, &*token.text),
        };
        let (family, prefix) = item.split_once(':').ok_or_else(bad)?;
        let (address, bits) = prefix.split_once('/').ok_or_else(bad)?;
        let bits: u8 = bits.parse().map_err(|_| bad())?;
        let (family, octets): (u16, Vec<u8>) = match (family, address.parse().map_err(|_| bad())?) {
            ("1", IpAddr::V4(address)) if bits <= 32 => (1, address.octets().to_vec()),
            ("2", IpAddr::V6(address)) if bits <= 128 => (2, address.octets().to_vec()),
            _ => return Err(bad()),
        };
        // RFC 3123 §4: octets that are zero at the end are left out.
        let used = octets
            .iter()
            .rposition(|octet| *octet != 0)
            .map_or(0, |last| last + 1);
        reader.wire.extend(family.to_be_bytes());
        reader.wire.extend([bits, negated | used as u8]);
        reader.wire.extend(octets.into_iter().take(used));
    }
    Ok(())
}

/// One address prefix: whether it is negated, its network and length.
pub(super) type Prefix = (bool, IpAddr, u8);

/// The prefixes of an APL; `None` when it is malformed or has an address family that is not known.
pub(super) fn prefixes(mut wire: &[u8]) -> Option<Vec<Prefix>> {
    let mut prefixes = Vec::new();
    while let Some(([f1, f0, bits, length], rest)) = wire.split_first_chunk() {
        let (used, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        let mut octets = [0; 16];
        octets.get_mut(..used.len())?.copy_from_slice(used);
        let [a, b, c, d, ..] = octets;
        let address: IpAddr = match u16::from_be_bytes([*f1, *f0]) {
            1 if used.len() <= 4 && *bits <= 32 => Ipv4Addr::new(a, b, c, d).into(),
            2 if *bits <= 128 => Ipv6Addr::from(octets).into(),
            _ => return None,
        };
        if used.last() == Some(&0) {
            return None;
        }
        prefixes.push((length & 0x80 != 0, address, *bits));
        wire = rest;
    }
    wire.is_empty().then_some(prefixes)
}

pub(super) fn show_apl(wire: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, (negated, address, bits)) in prefixes(wire).unwrap_or_default().iter().enumerate() {
        let space = if i > 0 { " " } else { "" };
        let negated = if *negated { "!" } else { "" };
        let family = if address.is_ipv4() { 1 } else { 2 };
        write!(f, "{space}{negated}{family}:{address}/{bits}")?;
    }
    Ok(())
}

/// RFC 8005 §6: `algorithm hit key [server …]`.
pub(super) fn hip(reader: &mut Reader<'_, '_>) -> Result<(), String> {
    let algorithm = reader.u8()?;
    let token = reader.token("a host identity tag")?;
    let tag = hex(std::iter::once(&*token.text)).filter(|tag| !tag.is_empty() && tag.len() <= 255);
    let tag = tag.ok_or_else(|| not(token, "a host identity tag in hexadecimal digits"))?;
    let token = reader.token("a public key")?;
    let key = base64(&token.text).filter(|key| !key.is_empty() && key.len() <= 65_535);
    let key = key.ok_or_else(|| not(token, "a public key in base64"))?;
    reader.wire.extend([tag.len() as u8, algorithm]);
    reader.wire.extend((key.len() as u16).to_be_bytes());
    reader.wire.extend(tag);
    reader.wire.extend(key);
    while let Some(server) = reader.tokens.next() {
        reader.name(server)?;
    }
    Ok(())
}

/// A HIP record taken apart.
pub(super) struct Hip<'a> {
    algorithm: u8,
    tag: &'a [u8],
    key: &'a [u8],
    servers: Vec<&'a [u8]>,
}

impl<'a> Hip<'a> {
    pub(super) fn cut(wire: &'a [u8]) -> Option<Self> {
        let ([tag_len, algorithm, k1, k0], rest) = wire.split_first_chunk()?;
        let (tag, rest) = rest.split_at_checked(usize::from(*tag_len))?;
        let key_len = usize::from(u16::from_be_bytes([*k1, *k0]));
        let (key, mut rest) = rest.split_at_checked(key_len)?;
        let mut servers = Vec::new();
        while !rest.is_empty() {
            let (server, after) = rest.split_at_checked(name_len(rest)?)?;
            servers.push(server);
            rest = after;
        }
        let whole = !tag.is_empty() && !key.is_empty();
        whole.then_some(Self {
            algorithm: *algorithm,
            tag,
            key,
            servers,
        })
    }

    pub(super) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.algorithm)?;
        write_hex(self.tag, f)?;
        f.write_char(' ')?;
        write_base64(self.key, f)?;
        self.servers.iter().try_for_each(|server| {
            f.write_char(' ')?;
            write_text(server, f)
        })
    }
}
