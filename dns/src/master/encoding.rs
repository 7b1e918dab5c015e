//! How octets, times and sets of types are written in master files: hexadecimal, base64, base32hex,
//! seconds, dates, type bitmaps; from text and back.
//!
//! What never happens here: no record type is known.

use super::lex::Token;
use crate::rtype::RType;
use std::fmt::{self, Write};

/// A time: plain seconds, or numbers with `w`, `d`, `h`, `m`, `s` behind them, added up.
pub(super) fn seconds(text: &str) -> Option<u32> {
    if let Ok(plain) = text.parse() {
        return text.bytes().all(|b| b.is_ascii_digit()).then_some(plain);
    }
    let (mut total, mut number) = (0_u32, None);
    for byte in text.bytes() {
        let unit = match byte.to_ascii_lowercase() {
            b'0'..=b'9' => {
                let digit = u32::from(byte - b'0');
                let so_far = number.unwrap_or(0_u32).checked_mul(10)?;
                number = Some(so_far.checked_add(digit)?);
                continue;
            }
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    let complete = number.is_none() && !text.is_empty();
    complete.then_some(total)
}

pub(super) fn hex<'a>(texts: impl Iterator<Item = &'a str>) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = texts
        .flat_map(str::chars)
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    let octet = |pair: &[u8]| pair.iter().fold(0, |octet, digit| octet << 4 | digit);
    Some(digits.chunks_exact(2).map(octet).collect())
}

pub(super) fn write_hex(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
}

/// Digits of `alphabet` as octets, `bits` a digit; bits left over at the end are dropped.
fn digits(text: &[u8], alphabet: &[u8], bits: u32) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let (mut word, mut held) = (0_u32, 0);
    for byte in text {
        let digit = alphabet.iter().position(|digit| digit == byte)?;
        word = (word << bits | digit as u32) & 0xffff;
        held += bits;
        if held >= 8 {
            held -= 8;
            octets.push((word >> held) as u8);
        }
    }
    Some(octets)
}

/// The reverse of [`digits`], without padding; returns how many digits were written.
fn write_digits(
    octets: &[u8],
    alphabet: &[u8],
    bits: u32,
    out: &mut dyn Write,
) -> Result<usize, fmt::Error> {
    let (mut word, mut held, mut written) = (0_u32, 0, 0);
    let mut put = |word: u32| {
        let digit = alphabet.get(word as usize & ((1 << bits) - 1));
        out.write_char(char::from(*digit.unwrap_or(&b'?')))
    };
    for octet in octets {
        word = word << 8 | u32::from(*octet);
        held += 8;
        while held >= bits {
            held -= bits;
            put(word >> held)?;
            written += 1;
        }
        word &= 0xff;
    }
    if held > 0 {
        put(word << (bits - held))?;
        written += 1;
    }
    Ok(written)
}

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32HEX: &[u8] = b"0123456789abcdefghijklmnopqrstuv";

/// RFC 4648 §4, padded.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - body.len() > 2 {
        return None;
    }
    digits(body.as_bytes(), BASE64, 6)
}

pub(super) fn write_base64(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let written = write_digits(octets, BASE64, 6, f)?;
    (written..written.next_multiple_of(4)).try_for_each(|_| f.write_char('='))
}

/// RFC 4648 §7 without padding, as RFC 5155 §3.3 writes hashes.
pub(super) fn base32hex(text: &str) -> Option<Vec<u8>> {
    let whole = matches!(text.len() % 8, 0 | 2 | 4 | 5 | 7);
    let text = text.to_ascii_lowercase();
    digits(text.as_bytes(), BASE32HEX, 5).filter(|_| whole)
}

pub(super) fn write_base32hex(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write_digits(octets, BASE32HEX, 5, f).map(|_| ())
}

/// RFC 4034 §4.1.2: windows of 256 types, each with a bitmap as short as it can be.
pub(super) fn push_bitmap(mut types: Vec<RType>, wire: &mut Vec<u8>) {
    types.sort_unstable();
    for window in types.chunk_by(|a, b| a.0 >> 8 == b.0 >> 8) {
        let mut bitmap = [0_u8; 32];
        let mut used = 0;
        for rtype in window {
            let low = usize::from(rtype.0 & 0xff);
            if let Some(octet) = bitmap.get_mut(low / 8) {
                *octet |= 0x80 >> (low % 8);
            }
            used = low / 8 + 1;
        }
        wire.push(window.first().map_or(0, |rtype| (rtype.0 >> 8) as u8));
        wire.push(used as u8);
        wire.extend_from_slice(bitmap.get(..used).unwrap_or(&[]));
    }
}

/// The types of a bitmap, in order; `None` when it is malformed.
pub(super) fn bitmap(mut wire: &[u8]) -> Option<Vec<RType>> {
    let mut types = Vec::new();
    let mut last = None;
    while let Some(([window, length], rest)) = wire.split_first_chunk() {
        let (bits, rest) = rest.split_at_checked(usize::from(*length))?;
        if !(1..=32).contains(length) || last.is_some_and(|last| last >= *window) {
            return None;
        }
        // RFC 4034 §4.1.2: no zeros at the end. As text they would be lost.
        if bits.last() == Some(&0) {
            return None;
        }
        for (i, octet) in bits.iter().enumerate() {
            let set = (0..8_u16).filter(|bit| octet & (0x80 >> bit) != 0);
            types.extend(set.map(|bit| RType(u16::from(*window) << 8 | (i as u16) << 3 | bit)));
        }
        (last, wire) = (Some(*window), rest);
    }
    wire.is_empty().then_some(types)
}

/// RFC 4034 §3.2: seconds since 1970, or YYYYMMDDHHmmSS in UTC. Later times than 32 bits hold wrap.
pub(super) fn date(text: &str) -> Option<u32> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if text.len() != 14 {
        return text.parse().ok();
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !fits || hour > 23 || minute > 59 || second > 60 || year < 1970 {
        return None;
    }
    let seconds = days_before(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds as u32)
}

/// Writes a time as YYYYMMDDHHmmSS; times are taken to be from 1970 to 2106.
pub(super) fn write_date(time: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (days, rest) = (i64::from(time) / 86_400, time % 86_400);
    let mut year = 1970 + days / 366;
    while days_before(year + 1, 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_before(year, month + 1, 1) <= days {
        month += 1;
    }
    let day = days - days_before(year, month, 1) + 1;
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    write!(
        f,
        "{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}"
    )
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, 1970 or later.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_days = |year: i64| year / 4 - year / 100 + year / 400;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let before = usize::try_from(month - 1)
        .ok()
        .and_then(|month| BEFORE_MONTH.get(month));
    let days = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    days + before.unwrap_or(&0) + i64::from(is_leap && month > 2) + day - 1
}

/// Octets within quotes (RFC 1035 §5.1).
pub(super) fn write_quoted(octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('"')?;
    for octet in octets {
        match octet {
            b'"' | b'\\' => write!(f, "\\{}", char::from(*octet))?,
            0x20..=0x7e => f.write_char(char::from(*octet))?,
            other => write!(f, "\\{other:03}")?,
        }
    }
    f.write_char('"')
}

/// The octets a token stands for.
pub(super) fn octets(token: &Token<'_>) -> Result<Vec<u8>, String> {
    let bad = || format!("`{}` has a malformed escape", token.text);
    token.octets().ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shown<T: Fn(&mut fmt::Formatter<'_>) -> fmt::Result>(T);
    impl<T: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Shown<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (self.0)(f)
        }
    }

    #[test]
    fn rfc4034_4_1_2_a_bitmap_that_ends_in_zeros_has_no_text() {
        assert_eq!(bitmap(&[10, 1, 9]).map(|types| types.len()), Some(2));
        assert_eq!(bitmap(&[10, 2, 9, 0]), None);
    }

    #[test]
    fn rfc4648_10_vectors_both_ways() {
        for (plain, in64, in32) in [
            ("f", "Zg==", "co"),
            ("fo", "Zm8=", "cpng"),
            ("foo", "Zm9v", "cpnmu"),
            ("foob", "Zm9vYg==", "cpnmuog"),
            ("fooba", "Zm9vYmE=", "cpnmuoj1"),
            ("foobar", "Zm9vYmFy", "cpnmuoj1e8"),
        ] {
            assert_eq!(base64(in64).as_deref(), Some(plain.as_bytes()));
            assert_eq!(base32hex(in32).as_deref(), Some(plain.as_bytes()));
            let octets = plain.as_bytes();
            assert_eq!(Shown(|f| write_base64(octets, f)).to_string(), in64);
            assert_eq!(Shown(|f| write_base32hex(octets, f)).to_string(), in32);
        }
    }

    #[test]
    fn rfc4034_3_2_dates_both_ways() {
        for (text, seconds) in [
            ("19700101000000", 0),
            ("20040229235959", 1_078_099_199),
            ("20030322173103", 1_048_354_263),
            ("20991231235959", 4_102_444_799),
            ("21060207062815", u32::MAX),
        ] {
            assert_eq!(date(text), Some(seconds), "{text}");
            assert_eq!(Shown(|f| write_date(seconds, f)).to_string(), text);
        }
        assert_eq!(date("1048354263"), Some(1_048_354_263));
        for text in ["20041301000000", "20040100000000", "2004010100000x", ""] {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
