//! Transaction signatures (RFC 8945): requests verified, responses and streams of messages signed.
//!
//! ```text
//! request  --locate--> record --verify(keys, now)--> Verified -> Signer -> response, or many messages
//! our own  --Signer::request--> sent          answer -> Verifier (one message, or a stream with gaps)
//! ```
//!
//! Pure: the time comes in, in seconds since 1970. What never happens here: no key is read from a file, and
//! nothing says by how much a wrong code differs.

mod key;
mod record;
mod stream;
#[cfg(test)]
mod tests;

pub use key::{Algorithm, Key, Keys, UnknownAlgorithm};
pub(crate) use record::{Misplaced, Record, locate, room};
pub use stream::{BadSignature, Signer, Verifier};

use record::{Says, to_be48};
use std::sync::Arc;

/// How many seconds the clocks of two servers may differ (RFC 8945 §10 recommends it).
pub const FUDGE: u16 = 300;

/// What is wrong with a request's signature (RFC 8945 §5.2), as TSIG ERROR has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum TsigError {
    /// The code is not that of this message.
    BadSig = 16,
    /// The key or its algorithm is not known here.
    BadKey = 17,
    /// It was signed too long ago, or by a clock that is ahead.
    BadTime = 18,
    /// The code was cut shorter than is accepted here.
    BadTrunc = 22,
}

impl TsigError {
    /// The name in metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadSig => "BADSIG",
            Self::BadKey => "BADKEY",
            Self::BadTime => "BADTIME",
            Self::BadTrunc => "BADTRUNC",
        }
    }
}

/// Why a request is not answered as asked.
#[derive(Clone, Debug)]
pub(crate) enum Unverified {
    /// The record itself makes no sense: FORMERR without a signature.
    Malformed,
    /// NOTAUTH with this record (RFC 8945 §5.3.2).
    Refused(TsigError, ErrorReply),
}

/// The record of a NOTAUTH response.
#[derive(Clone, Debug)]
pub(crate) struct ErrorReply {
    key_name: Vec<u8>,
    algorithm: Vec<u8>,
    time: u64,
    fudge: u16,
    error: TsigError,
    other: Vec<u8>,
    /// The key and the request's code, when those were right.
    signed_by: Option<(Arc<Key>, Vec<u8>)>,
}

impl ErrorReply {
    /// Appends the record to the response that begins at `start`: signed only when the request's code was
    /// right (RFC 8945 §5.3.2).
    pub(crate) fn append(&self, message: &mut Vec<u8>, start: usize) {
        let says = Says {
            key: &self.key_name,
            algorithm: &self.algorithm,
            time: self.time,
            fudge: self.fudge,
            error: self.error as u16,
            other: &self.other,
        };
        let code = self.signed_by.as_ref().map(|(key, request)| {
            let length = (request.len() as u16).to_be_bytes();
            let body = message.get(start..).unwrap_or(&[]);
            key.code(&[&length, request, body, &says.variables()])
        });
        says.append(code.as_deref().unwrap_or(&[]), message, start);
    }
}

/// Verifies a request that has this record (RFC 8945 §5.2: key, code, time, truncation, in that order). On success
/// gives what signs its response.
pub(crate) fn verify(
    message: &[u8],
    record: &Record<'_>,
    keys: &Keys,
    now: u64,
) -> Result<Signer, Unverified> {
    let reply = |error: TsigError| ErrorReply {
        key_name: record.key.as_wire().to_vec(),
        algorithm: record.algorithm.as_wire().to_vec(),
        time: record.time,
        fudge: record.fudge,
        error,
        other: Vec::new(),
        signed_by: None,
    };
    let unsigned = |error| Err(Unverified::Refused(error, reply(error)));
    let known = keys
        .find(&record.key)
        .filter(|key| key.algorithm().wire() == record.algorithm.as_wire());
    let Some(key) = known else {
        return unsigned(TsigError::BadKey);
    };
    // RFC 8945 §5.2.2.1: never longer than the hash, nor shorter than half of it or ten octets.
    let whole = key.algorithm().len();
    if record.code.len() > whole || record.code.len() < (whole / 2).max(10) {
        return Err(Unverified::Malformed);
    }
    let says = record.says();
    let (head, body) = signed_octets(message, record);
    if !key.holds(&[&head, body, &says.variables()], record.code) {
        return unsigned(TsigError::BadSig);
    }
    let signed = |error, other: Vec<u8>| {
        let reply = ErrorReply {
            other,
            signed_by: Some((key.clone(), record.code.to_vec())),
            ..reply(error)
        };
        Err(Unverified::Refused(error, reply))
    };
    if now.abs_diff(record.time) > u64::from(record.fudge) {
        return signed(TsigError::BadTime, to_be48(now).to_vec());
    }
    if record.code.len() < whole {
        return signed(TsigError::BadTrunc, Vec::new());
    }
    Ok(Signer::response(key.clone(), record.code))
}

/// A message as it was before its TSIG record was added: its header with the original ID and one record less, and
/// what follows up to the record.
fn signed_octets<'a>(message: &'a [u8], record: &Record<'_>) -> ([u8; 12], &'a [u8]) {
    let mut head = [0; 12];
    for (to, from) in head.iter_mut().zip(message) {
        *to = *from;
    }
    [head[0], head[1]] = record.id;
    let count = u16::from_be_bytes([head[10], head[11]]).saturating_sub(1);
    [head[10], head[11]] = count.to_be_bytes();
    (head, message.get(12..record.at).unwrap_or(&[]))
}

/// The message without its TSIG record, as if it had never been signed. Its ID stays the one it came with.
pub(crate) fn stripped(message: &[u8], record: &Record<'_>) -> Vec<u8> {
    let (mut head, body) = signed_octets(message, record);
    for (to, from) in head.iter_mut().zip(message).take(2) {
        *to = *from;
    }
    let mut out = Vec::with_capacity(record.at);
    out.extend(head);
    out.extend_from_slice(body);
    out
}
