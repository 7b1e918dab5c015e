//! Domain names as lists of labels, since the questions are about names that no text could be trusted with.
//!
//! Written apart from the server's own names on purpose: what both got wrong in the same way would pass.

use std::fmt;

/// A name, leftmost label first; the root has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub Vec<Vec<u8>>);

/// The most octets of a name on the wire (RFC 1035 §3.1).
const LONGEST: usize = 255;

impl Name {
    /// From plain text, without escapes.
    pub fn plain(text: &str) -> Self {
        let labels = text.split('.').filter(|label| !label.is_empty());
        Self(labels.map(|label| label.as_bytes().to_vec()).collect())
    }

    /// The name below this one.
    pub fn child(&self, label: &[u8]) -> Self {
        let mut labels = vec![label.to_vec()];
        labels.extend_from_slice(&self.0);
        Self(labels)
    }

    /// The name above this one; the root is above itself.
    pub fn parent(&self) -> Self {
        Self(self.0.get(1..).unwrap_or(&[]).to_vec())
    }

    /// Whether it is `other` or below it, letter case aside.
    pub fn is_within(&self, other: &Self) -> bool {
        let excess = self.0.len().checked_sub(other.0.len());
        excess.is_some_and(|excess| {
            let pairs = self.0[excess..].iter().zip(&other.0);
            pairs.into_iter().all(|(a, b)| a.eq_ignore_ascii_case(b))
        })
    }

    /// Whether it can be on the wire at all.
    pub fn fits(&self) -> bool {
        self.wire().len() <= LONGEST
    }

    /// As on the wire, uncompressed.
    pub fn wire(&self) -> Vec<u8> {
        let mut wire = Vec::new();
        for label in &self.0 {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        }
        wire.push(0);
        wire
    }

    /// In lower case.
    pub fn lowered(&self) -> Self {
        Self(
            self.0
                .iter()
                .map(|label| label.to_ascii_lowercase())
                .collect(),
        )
    }
}

/// As in a master file, with its last dot (RFC 1035 §5.1).
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        for label in &self.0 {
            for octet in label {
                match octet {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'*' => {
                        write!(f, "{}", char::from(*octet))?;
                    }
                    other => write!(f, "\\{other:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

#[test]
fn names_are_written_as_master_files_have_them() {
    let name = Name::plain("www.Example.test");
    assert_eq!(name.to_string(), "www.Example.test.");
    assert_eq!(name.wire(), b"\x03www\x07Example\x04test\0");
    assert_eq!(
        name.child(b"a.b\xff").to_string(),
        "a\\046b\\255.www.Example.test."
    );
    assert!(name.is_within(&Name::plain("EXAMPLE.test")) && name.is_within(&Name::default()));
    assert!(!Name::plain("test").is_within(&name));
    assert_eq!(name.parent(), Name::plain("Example.test"));
}
