//! The TSIG record (RFC 8945 §4.2): where it is in a message, what it says, and how it is written.
//!
//! What never happens here: no code is computed or compared.

use super::key::Key;
use crate::name::{Name, name_len};
use crate::query::HEADER;
use crate::rtype::RType;
use crate::transfer::message::{Cursor, counts};

/// The class of a TSIG record: ANY.
const CLASS_ANY: u16 = 255;

/// A TSIG record, read.
#[derive(Clone, Debug)]
pub(crate) struct Record<'a> {
    /// Where it begins: everything before it is what was signed.
    pub(crate) at: usize,
    /// The name of the key.
    pub(crate) key: Name,
    /// The algorithm's name, lower case, in wire form.
    pub(crate) algorithm: Name,
    /// When it was signed, in seconds since 1970 (48 bits).
    pub(crate) time: u64,
    /// How many seconds the clocks may differ.
    pub(crate) fudge: u16,
    /// The code.
    pub(crate) code: &'a [u8],
    /// The message's ID when it was signed.
    pub(crate) id: [u8; 2],
    /// An extended RCODE; 0 in requests.
    pub(crate) error: u16,
    /// With BADTIME the server's time.
    pub(crate) other: &'a [u8],
}

/// The record is not where or what it must be: FORMERR (RFC 8945 §5.1, §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Misplaced;

/// Finds the TSIG record of a message: the last record there is (RFC 8945 §5.1). `Ok(None)`: there is none,
/// or the message cannot be walked (which is for its reader to say).
pub(crate) fn locate(message: &[u8]) -> Result<Option<Record<'_>>, Misplaced> {
    let Some([questions, answers, authorities, additionals]) = counts(message) else {
        return Ok(None);
    };
    let mut cursor = Cursor::new(message, HEADER);
    for _ in 0..questions {
        if cursor.skip_name().and_then(|()| cursor.skip(4)).is_none() {
            return Ok(None);
        }
    }
    let all = u32::from(answers) + u32::from(authorities) + u32::from(additionals);
    let signable = u32::from(answers) + u32::from(authorities);
    for i in 0..all {
        let at = cursor.at();
        let Some(record) = cursor.record() else {
            return Ok(None);
        };
        if record.rtype != RType::TSIG {
            continue;
        }
        let last = i + 1 == all && i >= signable && cursor.at() == message.len();
        if !last || record.class != CLASS_ANY || record.ttl != 0 {
            return Err(Misplaced);
        }
        return read(message, at, record.data.clone())
            .map(Some)
            .ok_or(Misplaced);
    }
    Ok(None)
}

fn read(message: &[u8], at: usize, data: std::ops::Range<usize>) -> Option<Record<'_>> {
    let key = Cursor::new(message, at).name()?;
    let data = message.get(data)?;
    let (algorithm, rest) = data.split_at_checked(name_len(data)?)?;
    let (time, rest) = rest.split_first_chunk::<6>()?;
    let (fudge, rest) = rest.split_first_chunk::<2>()?;
    let (code, rest) = counted(rest)?;
    let (id, rest) = rest.split_first_chunk::<2>()?;
    let (error, rest) = rest.split_first_chunk::<2>()?;
    let (other, rest) = counted(rest)?;
    rest.is_empty().then(|| Record {
        at,
        key,
        algorithm: Name::lowered(algorithm),
        time: be48(*time),
        fudge: u16::from_be_bytes(*fudge),
        code,
        id: *id,
        error: u16::from_be_bytes(*error),
        other,
    })
}

/// A length of two octets, and so many octets.
fn counted(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

fn be48(octets: [u8; 6]) -> u64 {
    octets
        .into_iter()
        .fold(0, |sum, octet| sum << 8 | u64::from(octet))
}

/// The six octets of a time.
pub(super) fn to_be48(time: u64) -> [u8; 6] {
    let [_, _, rest @ ..] = time.to_be_bytes();
    rest
}

/// How many octets a record made with this key takes, a BADTIME's included.
pub(crate) fn room(key: &Key) -> usize {
    key.name().as_wire().len() + 10 + key.algorithm().wire().len() + 16 + key.algorithm().len() + 6
}

/// What a record says beside its code.
pub(super) struct Says<'a> {
    pub(super) key: &'a [u8],
    pub(super) algorithm: &'a [u8],
    pub(super) time: u64,
    pub(super) fudge: u16,
    pub(super) error: u16,
    pub(super) other: &'a [u8],
}

impl Record<'_> {
    /// All of it but the code.
    pub(super) fn says(&self) -> Says<'_> {
        Says {
            key: self.key.as_wire(),
            algorithm: self.algorithm.as_wire(),
            time: self.time,
            fudge: self.fudge,
            error: self.error,
            other: self.other,
        }
    }
}

impl Says<'_> {
    /// What of the record the code covers (RFC 8945 §4.3.3).
    pub(super) fn variables(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.key.len());
        out.extend_from_slice(self.key);
        out.extend(CLASS_ANY.to_be_bytes());
        out.extend([0; 4]);
        out.extend_from_slice(self.algorithm);
        out.extend(to_be48(self.time));
        out.extend(self.fudge.to_be_bytes());
        out.extend(self.error.to_be_bytes());
        out.extend((self.other.len() as u16).to_be_bytes());
        out.extend_from_slice(self.other);
        out
    }

    /// What the code covers in the later messages of a stream (RFC 8945 §5.3.1).
    pub(super) fn timers(&self) -> [u8; 8] {
        let mut out = [0; 8];
        let octets = to_be48(self.time)
            .into_iter()
            .chain(self.fudge.to_be_bytes());
        for (to, from) in out.iter_mut().zip(octets) {
            *to = from;
        }
        out
    }

    /// Appends the record to a message and counts it there. `message` begins at the header.
    pub(super) fn append(&self, code: &[u8], message: &mut Vec<u8>, start: usize) {
        let id = [0, 1].map(|i| message.get(start + i).copied().unwrap_or(0));
        message.extend_from_slice(self.key);
        message.extend(RType::TSIG.0.to_be_bytes());
        message.extend(CLASS_ANY.to_be_bytes());
        message.extend([0; 4]);
        let length = self.algorithm.len() + 16 + code.len() + self.other.len();
        message.extend((length as u16).to_be_bytes());
        message.extend_from_slice(self.algorithm);
        message.extend(to_be48(self.time));
        message.extend(self.fudge.to_be_bytes());
        message.extend((code.len() as u16).to_be_bytes());
        message.extend_from_slice(code);
        message.extend(id);
        message.extend(self.error.to_be_bytes());
        message.extend((self.other.len() as u16).to_be_bytes());
        message.extend_from_slice(self.other);
        if let Some([high, low]) = message
            .get_mut(start + 10..start + 12)
            .and_then(|count| <&mut [u8; 2]>::try_from(count).ok())
        {
            let count = u16::from_be_bytes([*high, *low]).saturating_add(1);
            [*high, *low] = count.to_be_bytes();
        }
    }
}
