//! A zone as records one by one, how a version becomes the next, and the file it is kept in.
//!
//! What never happens here: records are not held against each other (the zone checks do that), and no file is
//! opened.

use crate::master::{self, At, Full, Rdata, Record, Sink, Text};
use crate::name::Name;
use crate::rtype::RType;
use crate::zone::NoFiles;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

/// One record of a zone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnedRecord {
    /// Its owner.
    pub owner: Name,
    /// Its type.
    pub rtype: RType,
    /// Its TTL in seconds.
    pub ttl: u32,
    /// Its RDATA, names uncompressed.
    pub data: Box<[u8]>,
}

impl OwnedRecord {
    /// How many octets it takes in an uncompressed message.
    pub fn len(&self) -> usize {
        self.owner.as_wire().len() + 10 + self.data.len()
    }

    /// Never: a record has at least its fixed fields.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// From one version of a zone to the next (RFC 1995 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The version it starts from.
    pub from: u32,
    /// The version it makes.
    pub to: u32,
    /// What goes, the old SOA first.
    pub removed: Vec<OwnedRecord>,
    /// What comes, the new SOA first.
    pub added: Vec<OwnedRecord>,
}

impl Delta {
    /// How many octets its records take, uncompressed.
    pub fn len(&self) -> usize {
        let sum = |records: &[OwnedRecord]| records.iter().map(OwnedRecord::len).sum::<usize>();
        sum(&self.removed) + sum(&self.added)
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }
}

/// A difference does not fit the version it is applied to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It removes what is not there.
    #[error("the difference from {from} to {to} removes {record}, which is not there")]
    Absent {
        /// The version it starts from.
        from: u32,
        /// The version it makes.
        to: u32,
        /// The record.
        record: String,
    },
    /// It adds what is there.
    #[error("the difference from {from} to {to} adds {record}, which is there")]
    Present {
        /// The version it starts from.
        from: u32,
        /// The version it makes.
        to: u32,
        /// The record.
        record: String,
    },
}

/// Applies differences, in order.
///
/// # Errors
/// The first that does not fit; then nothing is to be made of the result but to ask for the whole zone.
pub fn apply(records: Vec<OwnedRecord>, deltas: Vec<Delta>) -> Result<Vec<OwnedRecord>, Mismatch> {
    let mut kept: Vec<Option<OwnedRecord>> = records.into_iter().map(Some).collect();
    let mut places: HashMap<(Name, RType, Box<[u8]>), usize> = HashMap::with_capacity(kept.len());
    let owned = |record: &OwnedRecord| (record.owner.clone(), record.rtype, record.data.clone());
    for (at, record) in kept.iter().enumerate() {
        places.extend(record.as_ref().map(|record| (owned(record), at)));
    }
    for delta in deltas {
        let (from, to) = (delta.from, delta.to);
        for record in &delta.removed {
            let Some(at) = places.remove(&owned(record)) else {
                let record = called(record);
                return Err(Mismatch::Absent { from, to, record });
            };
            if let Some(slot) = kept.get_mut(at) {
                *slot = None;
            }
        }
        for record in delta.added {
            if places.insert(owned(&record), kept.len()).is_some() {
                let record = called(&record);
                return Err(Mismatch::Present { from, to, record });
            }
            kept.push(Some(record));
        }
    }
    Ok(kept.into_iter().flatten().collect())
}

fn called(record: &OwnedRecord) -> String {
    format!("{} {}", record.owner, record.rtype)
}

/// The zone as a master file, which [`ZoneSpec`](crate::ZoneSpec) takes: each record on a line of its own.
pub fn to_master_file(records: &[OwnedRecord]) -> String {
    let mut text = String::with_capacity(records.len() * 64);
    for record in records {
        let data = Rdata {
            rtype: record.rtype,
            wire: &record.data,
        };
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{} {} IN {} {data}",
            record.owner, record.ttl, record.rtype
        );
    }
    text
}

/// The records of a file that [`to_master_file`] wrote; `None` when it was changed into something else.
pub fn from_master_file(text: &str, apex: &Name) -> Option<Vec<OwnedRecord>> {
    let mut read = Read {
        records: Vec::new(),
        sound: true,
    };
    let text = Text {
        text,
        source: 0,
        path: None,
    };
    master::parse(text, apex, &NoFiles, &mut read);
    read.sound.then_some(read.records)
}

/// Takes what a master file holds.
struct Read {
    records: Vec<OwnedRecord>,
    sound: bool,
}

impl Sink for Read {
    fn file(&mut self, _path: &Path) -> u32 {
        0
    }

    fn record(&mut self, record: Record<'_>) -> Result<(), Full> {
        self.records.push(OwnedRecord {
            owner: record.owner.clone(),
            rtype: record.rtype,
            ttl: record.ttl.unwrap_or(0),
            data: record.data.into(),
        });
        Ok(())
    }

    fn problem(&mut self, _at: At, _message: String, _hint: Option<&'static str>) {
        self.sound = false;
    }
}
