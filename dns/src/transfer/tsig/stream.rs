//! Both sides of a signed conversation: one message, or a stream of them (RFC 8945 §5.3.1).
//!
//! What never happens here: no request of a client is verified (that is the module above).

use super::key::{Code, Key};
use super::record::{Record, Says, locate};
use super::{FUDGE, signed_octets};
use std::sync::Arc;

/// The most messages in a stream between two with a record (RFC 8945 §5.3.1).
const MAX_UNSIGNED: u32 = 99;

/// Signs the messages of one conversation, in order.
#[derive(Clone, Debug)]
pub struct Signer {
    key: Arc<Key>,
    /// The code of what came before: the request's, or that of the last message.
    prior: Code,
    /// Whether a message of this stream was signed already.
    later: bool,
}

impl Signer {
    /// For the response to a request that had this code.
    pub(super) fn response(key: Arc<Key>, request: &[u8]) -> Self {
        Self {
            key,
            prior: Code::from_slice(request),
            later: false,
        }
    }

    /// Signs a request of our own, which is all of `message`; gives what its answer is verified with.
    pub fn request(key: Arc<Key>, message: &mut Vec<u8>, now: u64) -> Verifier {
        let mut signer = Self {
            key,
            prior: Code::new(),
            later: false,
        };
        signer.sign(message, 0, now);
        Verifier {
            key: signer.key,
            prior: signer.prior,
            later: false,
            unsigned: Vec::new(),
            count: 0,
        }
    }

    /// The key.
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// How many octets a signature takes.
    pub(crate) fn room(&self) -> usize {
        super::room(&self.key)
    }

    /// Signs the message that begins at `start` and goes to the end of `message`.
    pub fn sign(&mut self, message: &mut Vec<u8>, start: usize, now: u64) {
        let says = Says {
            key: self.key.name().as_wire(),
            algorithm: self.key.algorithm().wire(),
            time: now,
            fudge: FUDGE,
            error: 0,
            other: &[],
        };
        let length = (self.prior.len() as u16).to_be_bytes();
        let body = message.get(start..).unwrap_or(&[]);
        let (variables, timers) = (says.variables(), says.timers());
        let tail: &[u8] = if self.later { &timers } else { &variables };
        let code = if self.prior.is_empty() {
            self.key.code(&[body, tail])
        } else {
            self.key.code(&[&length, &self.prior, body, tail])
        };
        says.append(&code, message, start);
        self.prior = code;
        self.later = true;
    }
}

/// Why an answer to a signed request is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// The answer has no signature, or the stream ended without one.
    #[error("the answer is not signed")]
    Missing,
    /// The record is not where or what it must be.
    #[error("the signature is malformed")]
    Malformed,
    /// It is signed with another key.
    #[error("the answer is signed with another key")]
    OtherKey,
    /// The primary says what is wrong with ours.
    #[error("the primary refuses our signature: {}", error_name(*.0))]
    Refused(u16),
    /// The code is wrong.
    #[error("the signature does not hold")]
    Wrong,
    /// The clocks differ too much.
    #[error("the answer was signed at another time; compare the two clocks")]
    Time,
    /// Too many messages in a row without a record.
    #[error("more than {MAX_UNSIGNED} messages in a row are not signed")]
    TooLong,
}

fn error_name(code: u16) -> String {
    match code {
        16 => "BADSIG: the secrets differ".to_owned(),
        17 => "BADKEY: it does not know the key, or under another algorithm".to_owned(),
        18 => "BADTIME: the clocks differ".to_owned(),
        22 => "BADTRUNC".to_owned(),
        other => format!("error {other}"),
    }
}

/// Verifies the answer to a request of our own: one message, or a stream.
#[derive(Clone, Debug)]
pub struct Verifier {
    key: Arc<Key>,
    prior: Code,
    later: bool,
    /// The messages since the last record, as they are.
    unsigned: Vec<u8>,
    count: u32,
}

impl Verifier {
    /// Takes the next message in; gives it without its record. What came without one is only believed once
    /// [`Verifier::finish`] says so.
    ///
    /// # Errors
    /// Why this answer is not to be believed.
    pub fn message(&mut self, message: &[u8], now: u64) -> Result<Vec<u8>, BadSignature> {
        let record = match locate(message).map_err(|_| BadSignature::Malformed)? {
            Some(record) => record,
            None if self.later => {
                self.count += 1;
                if self.count > MAX_UNSIGNED {
                    return Err(BadSignature::TooLong);
                }
                self.unsigned.extend_from_slice(message);
                return Ok(message.to_vec());
            }
            // RFC 8945 §5.3.1: the first message always has one.
            None => return Err(BadSignature::Missing),
        };
        self.signed(message, &record, now)?;
        Ok(super::stripped(message, &record))
    }

    fn signed(
        &mut self,
        message: &[u8],
        record: &Record<'_>,
        now: u64,
    ) -> Result<(), BadSignature> {
        let key = &self.key;
        if record.error != 0 && record.code.is_empty() {
            return Err(BadSignature::Refused(record.error));
        }
        if record.key != *key.name() || record.algorithm.as_wire() != key.algorithm().wire() {
            return Err(BadSignature::OtherKey);
        }
        let says = record.says();
        let length = (self.prior.len() as u16).to_be_bytes();
        let (head, body) = signed_octets(message, record);
        let (variables, timers) = (says.variables(), says.timers());
        let tail: &[u8] = if self.later { &timers } else { &variables };
        let pieces: [&[u8]; 6] = [&length, &self.prior, &self.unsigned, &head, body, tail];
        if record.code.len() != key.algorithm().len() || !key.holds(&pieces, record.code) {
            return Err(BadSignature::Wrong);
        }
        if record.error != 0 {
            return Err(BadSignature::Refused(record.error));
        }
        if now.abs_diff(record.time) > u64::from(record.fudge) {
            return Err(BadSignature::Time);
        }
        self.prior = Code::from_slice(record.code);
        (self.later, self.count) = (true, 0);
        self.unsigned.clear();
        Ok(())
    }

    /// The stream is over: its last message must have had a record (RFC 8945 §5.3.1).
    ///
    /// # Errors
    /// [`BadSignature::Missing`].
    pub fn finish(&self) -> Result<(), BadSignature> {
        if self.later && self.count == 0 {
            Ok(())
        } else {
            Err(BadSignature::Missing)
        }
    }
}
