//! Domain names in wire form (RFC 1035 §3.1), lower-cased, and their text form (RFC 1035 §5.1).
//!
//! What never happens here: no compression pointer is followed or written (that is the wire's), and no
//! internationalised name is converted: labels are bytes.

use smallvec::SmallVec;
use std::fmt;

/// The longest name in octets, length octets and root included (RFC 1035 §2.3.4).
pub const MAX_NAME: usize = 255;
/// The longest label in octets (RFC 1035 §2.3.4).
pub const MAX_LABEL: usize = 63;

/// An absolute domain name, lower-cased, in wire form. Names up to 47 octets live on the stack.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(SmallVec<[u8; 48]>);

/// Why a text is not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Two dots in a row, or one at the beginning.
    #[error("a label is empty: two dots in a row, or one at the beginning")]
    EmptyLabel,
    /// A label is too long.
    #[error("a label is longer than {MAX_LABEL} octets")]
    LongLabel,
    /// The name is too long.
    #[error("the name is longer than {MAX_NAME} octets")]
    LongName,
    /// A backslash with nothing sensible behind it.
    #[error("a backslash must be followed by a character or by three digits up to 255")]
    BadEscape,
}

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self(SmallVec::from_slice(&[0]))
    }

    /// Reads an absolute name; the last dot may be left out.
    ///
    /// # Errors
    /// What keeps `text` from being a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::parse_in(text, &Self::root())
    }

    /// Reads a name as a master file has it: without a last dot it is relative to `origin`, and `@` is
    /// `origin` itself.
    ///
    /// # Errors
    /// What keeps `text` from being a name.
    pub fn parse_in(text: &str, origin: &Self) -> Result<Self, NameError> {
        wire_from_text(text, origin).map(|wire| Self::lowered(&wire))
    }

    /// Takes an uncompressed wire name of any case; `None` unless it is exactly one well-formed name.
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        (name_len(wire)? == wire.len()).then(|| Self::lowered(wire))
    }

    /// Lower-cases what is already known to be a name.
    pub(crate) fn lowered(wire: &[u8]) -> Self {
        let mut lowered: SmallVec<[u8; 48]> = SmallVec::from_slice(wire);
        // Length octets are below 64, so they are never mistaken for letters.
        lowered.make_ascii_lowercase();
        Self(lowered)
    }

    /// The wire form, root label included.
    #[inline]
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Whether this name is `zone` or below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        suffixes(&self.0).any(|suffix| suffix == zone.as_wire())
    }

    /// The wire name with its ending `from` replaced by `to` (RFC 6672 §2.2), its case kept; `None` when
    /// that is longer than a name may be, or `from` is not its ending.
    pub(crate) fn moved(&self, from: &[u8], to: &[u8]) -> Option<SmallVec<[u8; 96]>> {
        let head = self.0.strip_suffix(from)?;
        if head.len() + to.len() > MAX_NAME {
            return None;
        }
        let mut moved = SmallVec::from_slice(head);
        moved.extend_from_slice(to);
        Some(moved)
    }

    /// The name one label up; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        parent(&self.0).map(|wire| Self(SmallVec::from_slice(wire)))
    }

    /// Whether the leftmost label is `*` (RFC 4592 §2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }
}

/// The wire form of a text name with its case kept, as RDATA wants it. See [`Name::parse_in`].
pub(crate) fn wire_from_text(text: &str, origin: &Name) -> Result<SmallVec<[u8; 48]>, NameError> {
    let mut wire: SmallVec<[u8; 48]> = SmallVec::new();
    if text == "@" {
        wire.extend_from_slice(origin.as_wire());
        return Ok(wire);
    }
    if text == "." {
        wire.push(0);
        return Ok(wire);
    }
    let mut bytes = text.bytes();
    let mut label: SmallVec<[u8; MAX_LABEL]> = SmallVec::new();
    let mut absolute = false;
    loop {
        absolute = match bytes.next() {
            Some(b'.') => {
                end_label(&mut wire, &mut label)?;
                true
            }
            Some(b'\\') => {
                label.push(unescape(&mut bytes)?);
                false
            }
            Some(other) => {
                label.push(other);
                false
            }
            None => break,
        };
    }
    if absolute {
        wire.push(0);
    } else {
        end_label(&mut wire, &mut label)?;
        wire.extend_from_slice(origin.as_wire());
    }
    if wire.len() > MAX_NAME {
        Err(NameError::LongName)
    } else {
        Ok(wire)
    }
}

fn end_label(
    wire: &mut SmallVec<[u8; 48]>,
    label: &mut SmallVec<[u8; MAX_LABEL]>,
) -> Result<(), NameError> {
    match label.len() {
        0 => return Err(NameError::EmptyLabel),
        1..=MAX_LABEL => wire.push(label.len() as u8),
        _ => return Err(NameError::LongLabel),
    }
    wire.extend_from_slice(label);
    label.clear();
    Ok(())
}

/// What a backslash stands for (RFC 1035 §5.1): `\DDD` is an octet, `\X` is X itself.
pub(crate) fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, NameError> {
    let first = bytes.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes
            .next()
            .filter(u8::is_ascii_digit)
            .ok_or(NameError::BadEscape)?;
        value = value * 10 + u32::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

/// How long the uncompressed name at the beginning of `wire` is, root label included; `None` when it
/// is cut short, too long, or has a pointer or an unknown label type (RFC 1035 §4.1.4, RFC 6891 §5).
#[inline]
pub(crate) fn name_len(wire: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let label = usize::from(*wire.get(at)?);
        at += 1 + label;
        if label > MAX_LABEL || at > MAX_NAME {
            return None;
        }
        if label == 0 {
            return Some(at);
        }
    }
}

/// The wire name one label up; `None` for the root.
#[inline]
pub(crate) fn parent(wire: &[u8]) -> Option<&[u8]> {
    match wire.first() {
        None | Some(0) => None,
        Some(label) => wire.get(1 + usize::from(*label)..),
    }
}

/// The wire name itself, then one label up at a time, down to the root.
#[inline]
pub(crate) fn suffixes(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(wire), |wire| parent(wire))
}

/// How many labels a wire name has, the root not counted.
#[inline]
pub(crate) fn labels(wire: &[u8]) -> usize {
    suffixes(wire).count() - 1
}

/// Writes a wire name in text (RFC 1035 §5.1), with its last dot.
pub(crate) fn write_text(wire: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if wire == [0] {
        return f.write_str(".");
    }
    for suffix in suffixes(wire) {
        let Some((len, rest)) = suffix.split_first() else {
            continue;
        };
        let label = rest.get(..usize::from(*len)).unwrap_or(rest);
        for byte in label {
            match byte {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    write!(f, "\\{}", char::from(*byte))?
                }
                0x21..=0x7e => write!(f, "{}", char::from(*byte))?,
                other => write!(f, "\\{other:03}")?,
            }
        }
        if !label.is_empty() {
            f.write_str(".")?;
        }
    }
    Ok(())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(&self.0, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_text(&self.0, f)
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_wire_agree() {
        for (text, shown, wire) in [
            (".", ".", &b"\x00"[..]),
            ("Example.COM", "example.com.", b"\x07example\x03com\x00"),
            ("a\\.b.c.", "a\\.b.c.", b"\x03a.b\x01c\x00"),
            ("a\\046b.c.", "a\\.b.c.", b"\x03a.b\x01c\x00"),
            ("*.x", "*.x.", b"\x01*\x01x\x00"),
            ("a\\000.", "a\\000.", b"\x02a\x00\x00"),
        ] {
            let name = Name::parse(text).expect(text);
            assert_eq!(name.as_wire(), wire, "{text}");
            assert_eq!(name.to_string(), shown, "{text}");
            assert_eq!(Name::from_wire(wire), Some(name), "{text}");
        }
    }

    #[test]
    fn a_relative_name_is_under_the_origin() {
        let origin = Name::parse("example.").expect("a name");
        for (text, full) in [("www", "www.example."), ("@", "example."), ("a.b.", "a.b.")] {
            assert_eq!(Name::parse_in(text, &origin).expect(text).to_string(), full);
        }
    }

    #[test]
    fn rfc1035_2_3_4_limits_hold() {
        let long = "a".repeat(64);
        let many = "a.".repeat(128);
        for (text, error) in [
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            ("", NameError::EmptyLabel),
            (long.as_str(), NameError::LongLabel),
            (many.as_str(), NameError::LongName),
            ("a\\", NameError::BadEscape),
            ("a\\999", NameError::BadEscape),
            ("a\\1x", NameError::BadEscape),
        ] {
            assert_eq!(Name::parse(text), Err(error), "{text}");
        }
        assert!(
            Name::parse(&"a.".repeat(127)).is_ok(),
            "255 octets are allowed"
        );
    }

    #[test]
    fn within_is_by_label() {
        let zone = Name::parse("le.com").expect("a name");
        for (text, within) in [
            ("le.com", true),
            ("a.le.com", true),
            ("example.com", false),
            ("com", false),
        ] {
            assert_eq!(
                Name::parse(text).expect("a name").is_within(&zone),
                within,
                "{text}"
            );
        }
    }
}
