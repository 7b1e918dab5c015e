//! Keys that messages are signed with, and the message authentication code itself (RFC 8945 §6).
//!
//! What never happens here: no message is read, no file is opened, and a secret is never shown.

use crate::name::Name;
use hmac::{Hmac, KeyInit, Mac};
use smallvec::SmallVec;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How a message is signed (RFC 8945 §6). HMAC-MD5 is not spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// For peers that know nothing better (RFC 8945 §6: not recommended).
    HmacSha1,
    /// Truncated SHA-256.
    HmacSha224,
    /// What every implementation has.
    #[default]
    HmacSha256,
    /// Truncated SHA-512.
    HmacSha384,
    /// The longest.
    HmacSha512,
}

/// A code of any of the algorithms, in octets: at most 64.
pub(crate) type Code = SmallVec<[u8; 64]>;

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::HmacSha1,
        Self::HmacSha224,
        Self::HmacSha256,
        Self::HmacSha384,
        Self::HmacSha512,
    ];

    /// The name, as configs and key files write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "hmac-sha1",
            Self::HmacSha224 => "hmac-sha224",
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
        }
    }

    /// The name as a domain name in wire form, as the record has it.
    pub(crate) const fn wire(self) -> &'static [u8] {
        match self {
            Self::HmacSha1 => b"\x09hmac-sha1\x00",
            Self::HmacSha224 => b"\x0bhmac-sha224\x00",
            Self::HmacSha256 => b"\x0bhmac-sha256\x00",
            Self::HmacSha384 => b"\x0bhmac-sha384\x00",
            Self::HmacSha512 => b"\x0bhmac-sha512\x00",
        }
    }

    /// How long a whole code is, in octets.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::HmacSha1 => 20,
            Self::HmacSha224 => 28,
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
        }
    }
}

/// The text is not an algorithm's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an algorithm: hmac-sha256, hmac-sha512, hmac-sha384, hmac-sha224 or hmac-sha1")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        let text = text.strip_suffix('.').unwrap_or(text);
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(text))
            .ok_or(UnknownAlgorithm)
    }
}

/// A key that two servers share.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    name: Name,
    algorithm: Algorithm,
    secret: Box<[u8]>,
}

impl Key {
    /// A key of this name; both ends must call it the same (RFC 8945 §4.2).
    pub fn new(name: Name, algorithm: Algorithm, secret: impl Into<Box<[u8]>>) -> Self {
        Self {
            name,
            algorithm,
            secret: secret.into(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The code over these pieces, one after the other.
    pub(crate) fn code(&self, pieces: &[&[u8]]) -> Code {
        fn of<M: Mac + KeyInit>(secret: &[u8], pieces: &[&[u8]]) -> Code {
            match absorbed::<M>(secret, pieces) {
                Some(mac) => Code::from_slice(&mac.finalize().into_bytes()),
                None => Code::new(),
            }
        }
        match self.algorithm {
            Algorithm::HmacSha1 => of::<Hmac<sha1::Sha1>>(&self.secret, pieces),
            Algorithm::HmacSha224 => of::<Hmac<sha2::Sha224>>(&self.secret, pieces),
            Algorithm::HmacSha256 => of::<Hmac<sha2::Sha256>>(&self.secret, pieces),
            Algorithm::HmacSha384 => of::<Hmac<sha2::Sha384>>(&self.secret, pieces),
            Algorithm::HmacSha512 => of::<Hmac<sha2::Sha512>>(&self.secret, pieces),
        }
    }

    /// Whether `code`, perhaps truncated, is the one over these pieces; in a time that tells nothing.
    pub(crate) fn holds(&self, pieces: &[&[u8]], code: &[u8]) -> bool {
        fn of<M: Mac + KeyInit>(secret: &[u8], pieces: &[&[u8]], code: &[u8]) -> bool {
            absorbed::<M>(secret, pieces).is_some_and(|mac| mac.verify_truncated_left(code).is_ok())
        }
        match self.algorithm {
            Algorithm::HmacSha1 => of::<Hmac<sha1::Sha1>>(&self.secret, pieces, code),
            Algorithm::HmacSha224 => of::<Hmac<sha2::Sha224>>(&self.secret, pieces, code),
            Algorithm::HmacSha256 => of::<Hmac<sha2::Sha256>>(&self.secret, pieces, code),
            Algorithm::HmacSha384 => of::<Hmac<sha2::Sha384>>(&self.secret, pieces, code),
            Algorithm::HmacSha512 => of::<Hmac<sha2::Sha512>>(&self.secret, pieces, code),
        }
    }
}

/// HMAC takes a secret of any length, so this is never `None`.
fn absorbed<M: Mac + KeyInit>(secret: &[u8], pieces: &[&[u8]]) -> Option<M> {
    let mut mac = <M as KeyInit>::new_from_slice(secret).ok()?;
    for piece in pieces {
        mac.update(piece);
    }
    Some(mac)
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", self.name, self.algorithm.name())
    }
}

/// The keys a server knows.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Arc<Key>>);

impl Keys {
    /// These keys; of two with one name the first is used.
    pub fn new(keys: Vec<Arc<Key>>) -> Self {
        Self(keys)
    }

    /// The key of this name.
    pub fn find(&self, name: &Name) -> Option<&Arc<Key>> {
        self.0.iter().find(|key| key.name == *name)
    }
}
