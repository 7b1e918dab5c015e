//! A zone that comes in: the messages of an AXFR (RFC 5936 §2.2) or IXFR (RFC 1995 §4), one after the other.
//!
//! Total and bounded: any octets may come in, and what a peer can make us keep has a limit. What never happens
//! here: no socket is read, no signature verified, and the records are not held against each other.

use super::message::{Cursor, counts, is_later, serial_of, uncompressed};
use super::records::{Delta, OwnedRecord};
use crate::name::Name;
use crate::query::{HEADER, flags};
use crate::rtype::RType;

/// The most that is taken of one transfer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets that all records take here: uncompressed, and what holds each of them.
    pub octets: usize,
    /// Messages.
    pub messages: u32,
}

impl Default for Limits {
    /// 512 MiB in at most a million messages: several million records.
    fn default() -> Self {
        Self {
            octets: 512 << 20,
            messages: 1_000_000,
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The zone.
    pub zone: Name,
    /// The ID of the request.
    pub id: u16,
    /// With IXFR, the version that is there already.
    pub have: Option<u32>,
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// There is nothing newer than what is there.
    UpToDate,
    /// The whole zone, its SOA first.
    Whole(Vec<OwnedRecord>),
    /// What leads from the version that is there to the newest.
    Changes(Vec<Delta>),
    /// Over UDP: there is something newer, and it did not fit.
    TooLong,
}

/// Why a transfer is broken off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is not a response to what was asked.
    #[error("a message that is no response to the request")]
    Foreign,
    /// The primary refuses.
    #[error("the primary answers {}", rcode_name(*.0))]
    Rcode(u8),
    /// A message is cut short or not made of records.
    #[error("a message cannot be read")]
    Unreadable,
    /// A record is not of class IN or not one of a zone.
    #[error("a record that no zone has: {0}")]
    Record(String),
    /// It does not begin with the zone's SOA.
    #[error("it does not begin with the SOA of the zone")]
    NoSoa,
    /// Differences that do not follow from each other.
    #[error("its differences do not follow from each other: {0} where {1} was expected")]
    Sequence(u32, u32),
    /// Something follows the last SOA.
    #[error("something follows the last SOA")]
    Trailing,
    /// More than [`Limits`] allow.
    #[error("it has more than {0}")]
    TooMuch(String),
    /// It ended before the last SOA.
    #[error("it ends before the last SOA")]
    Short,
}

fn rcode_name(code: u8) -> String {
    let remedy = match code {
        5 => " (does it allow transfers to this address and key?)",
        9 => " (does it serve this zone, and know this key?)",
        _ => "",
    };
    crate::message::rcode_name(code.into()) + remedy
}

/// Where in a transfer the next record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before the first SOA.
    First,
    /// After the first SOA of an IXFR: whether what follows is whole or in differences.
    Second,
    /// In a whole zone.
    Whole,
    /// Among what a difference removes.
    Removing,
    /// Among what a difference adds.
    Adding,
    /// After the last SOA.
    Done,
}

/// A transfer on its way in.
#[derive(Clone, Debug)]
pub struct Incoming {
    asked: Asked,
    limits: Limits,
    stage: Stage,
    /// The first SOA: the version that all of it makes.
    newest: Option<OwnedRecord>,
    serial: u32,
    whole: Vec<OwnedRecord>,
    deltas: Vec<Delta>,
    up_to_date: bool,
    octets: usize,
    messages: u32,
    /// How many records were left out because they are of another zone.
    foreign: u64,
}

impl Incoming {
    /// The answer to this request, nothing of it read.
    pub fn new(asked: Asked, limits: Limits) -> Self {
        Self {
            asked,
            limits,
            stage: Stage::First,
            newest: None,
            serial: 0,
            whole: Vec::new(),
            deltas: Vec::new(),
            up_to_date: false,
            octets: 0,
            messages: 0,
            foreign: 0,
        }
    }

    /// How many records were left out because their owners are not within the zone.
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// Takes the next message in; `true` when it was the last.
    ///
    /// # Errors
    /// Why the transfer is to be broken off.
    pub fn message(&mut self, message: &[u8]) -> Result<bool, Malformed> {
        self.messages += 1;
        if self.messages > self.limits.messages {
            let limit = format!("{} messages", self.limits.messages);
            return Err(Malformed::TooMuch(limit));
        }
        let mut cursor = self.header(message)?;
        let answers = counts(message).map_or(0, |[_, answers, ..]| answers);
        for _ in 0..answers {
            if self.stage == Stage::Done {
                return Err(Malformed::Trailing);
            }
            let record = self.record(message, &mut cursor)?;
            self.take(record)?;
        }
        // RFC 1995 §2: the SOA alone, not newer than what is there, is all of the answer.
        if self.stage == Stage::Second
            && self
                .asked
                .have
                .is_some_and(|have| !is_later(self.serial, have))
        {
            (self.stage, self.up_to_date) = (Stage::Done, true);
        }
        Ok(self.stage == Stage::Done)
    }

    /// What came, once [`Incoming::message`] said that it is all; `datagram`: it came in one, so that nothing more can.
    ///
    /// # Errors
    /// [`Malformed::Short`] before that.
    pub fn finish(self, datagram: bool) -> Result<Received, Malformed> {
        match self.stage {
            Stage::Done if self.up_to_date => Ok(Received::UpToDate),
            Stage::Done if !self.deltas.is_empty() => Ok(Received::Changes(self.deltas)),
            Stage::Done => Ok(Received::Whole(self.whole)),
            Stage::Second if datagram => Ok(Received::TooLong),
            _ => Err(Malformed::Short),
        }
    }

    /// The header and question (RFC 5936 §2.2.1, §2.2.2: later messages may leave the question out).
    fn header<'a>(&self, message: &'a [u8]) -> Result<Cursor<'a>, Malformed> {
        let header: &[u8; HEADER] = message.first_chunk().ok_or(Malformed::Unreadable)?;
        let [id_high, id_low, high, low, ..] = *header;
        if u16::from_be_bytes([id_high, id_low]) != self.asked.id
            || high & flags::QR == 0
            || high & flags::OPCODE != 0
        {
            return Err(Malformed::Foreign);
        }
        if low & 0x0f != 0 {
            return Err(Malformed::Rcode(low & 0x0f));
        }
        let [questions, ..] = counts(message).ok_or(Malformed::Unreadable)?;
        let mut cursor = Cursor::new(message, HEADER);
        if questions > 1 || (questions == 0 && self.messages == 1) {
            return Err(Malformed::Foreign);
        }
        if questions == 1 {
            let name = cursor.name().ok_or(Malformed::Unreadable)?;
            let rtype = cursor.u16().map(RType).ok_or(Malformed::Unreadable)?;
            cursor.skip(2).ok_or(Malformed::Unreadable)?;
            let expected = match self.asked.have {
                Some(_) => RType::IXFR,
                None => RType::AXFR,
            };
            if name != self.asked.zone || rtype != expected {
                return Err(Malformed::Foreign);
            }
        }
        Ok(cursor)
    }

    fn record(&self, message: &[u8], cursor: &mut Cursor<'_>) -> Result<OwnedRecord, Malformed> {
        let owner = cursor.name().ok_or(Malformed::Unreadable)?;
        let raw = cursor.record_after_name().ok_or(Malformed::Unreadable)?;
        if raw.class != crate::query::IN || raw.rtype.is_meta() {
            return Err(Malformed::Record(format!(
                "{owner} CLASS{} {}",
                raw.class, raw.rtype
            )));
        }
        let data = uncompressed(message, &raw).ok_or(Malformed::Unreadable)?;
        Ok(OwnedRecord {
            owner,
            rtype: raw.rtype,
            // RFC 2181 §8: with the highest bit set it counts as zero.
            ttl: if raw.ttl >> 31 == 0 { raw.ttl } else { 0 },
            data: data.into(),
        })
    }

    fn take(&mut self, record: OwnedRecord) -> Result<(), Malformed> {
        self.octets += record.len() + size_of::<OwnedRecord>();
        if self.octets > self.limits.octets {
            let limit = format!("{} octets", self.limits.octets);
            return Err(Malformed::TooMuch(limit));
        }
        if record.rtype == RType::SOA && record.owner == self.asked.zone {
            let serial = serial_of(&record.data).ok_or(Malformed::Unreadable)?;
            return self.soa(record, serial);
        }
        if self.stage == Stage::First {
            return Err(Malformed::NoSoa);
        }
        if !record.owner.is_within(&self.asked.zone) {
            self.foreign += 1;
            return Ok(());
        }
        match self.stage {
            Stage::Removing => self.deltas.last_mut().map(|delta| &mut delta.removed),
            Stage::Adding => self.deltas.last_mut().map(|delta| &mut delta.added),
            _ => {
                self.stage = Stage::Whole;
                Some(&mut self.whole)
            }
        }
        .map_or(Err(Malformed::Unreadable), |records| {
            records.push(record);
            Ok(())
        })
    }

    fn soa(&mut self, record: OwnedRecord, serial: u32) -> Result<(), Malformed> {
        let newest = self.serial;
        match self.stage {
            Stage::First => {
                self.serial = serial;
                self.newest = Some(record.clone());
                self.whole.push(record);
                self.stage = match self.asked.have {
                    Some(_) => Stage::Second,
                    None => Stage::Whole,
                };
            }
            Stage::Second if Some(serial) == self.asked.have && serial != newest => {
                self.whole.clear();
                self.begin(record, serial);
            }
            Stage::Second | Stage::Whole if serial == newest => self.stage = Stage::Done,
            Stage::Second | Stage::Whole => return Err(Malformed::Sequence(serial, newest)),
            Stage::Removing => {
                if let Some(delta) = self.deltas.last_mut() {
                    delta.to = serial;
                    delta.added.push(record);
                }
                self.stage = Stage::Adding;
            }
            Stage::Adding => {
                let reached = self.deltas.last().map_or(newest, |delta| delta.to);
                if serial != reached {
                    return Err(Malformed::Sequence(serial, reached));
                }
                if reached == newest {
                    self.stage = Stage::Done;
                } else {
                    self.begin(record, serial);
                }
            }
            Stage::Done => return Err(Malformed::Trailing),
        }
        Ok(())
    }

    /// A difference begins with the SOA it starts from.
    fn begin(&mut self, soa: OwnedRecord, from: u32) {
        self.deltas.push(Delta {
            from,
            to: from,
            removed: vec![soa],
            added: Vec::new(),
        });
        self.stage = Stage::Removing;
    }
}
