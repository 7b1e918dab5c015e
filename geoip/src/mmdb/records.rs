//! The records that a search tree points to: each different one is decoded once.

use super::location::{Flat, Nested};
use super::survey::Survey;
use super::tree::{Family, Leaf};
use super::{Fault, limits};
use maxminddb::{LookupResult, Reader};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use steering::geo::{Location, LocationTableBuilder};

/// How many different records said what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// A country, continent or coordinates.
    pub places: usize,
    /// An AS number.
    pub asns: usize,
}

/// Decodes records and numbers the locations they give.
pub(super) struct Records<'r, 'a> {
    reader: &'r Reader<&'a [u8]>,
    builder: &'r mut LocationTableBuilder,
    /// By offset: the number of the location, `None` where the record says none.
    known: HashMap<usize, Option<u32>>,
    /// Most networks have the record of the one before them or a new one.
    last: Option<(usize, Option<u32>)>,
    work_left: u64,
    pub seen: Seen,
    /// The keys of the first record, for an error.
    pub first_keys: Option<String>,
}

impl<'r, 'a> Records<'r, 'a> {
    pub fn new(reader: &'r Reader<&'a [u8]>, builder: &'r mut LocationTableBuilder) -> Self {
        Self {
            reader,
            builder,
            known: HashMap::new(),
            last: None,
            work_left: limits::MAX_RECORD_WORK,
            seen: Seen::default(),
            first_keys: None,
        }
    }

    /// The number of the location of `leaf`; `None` when its record says nothing of use here.
    pub fn number(&mut self, leaf: &Leaf) -> Result<Option<u32>, Fault> {
        if let Some((offset, number)) = self.last
            && offset == leaf.offset
        {
            return Ok(number);
        }
        let number = match self.known.get(&leaf.offset) {
            Some(number) => *number,
            None => {
                let address = address(leaf);
                let location = self
                    .decode(leaf, address)
                    .map_err(|fault| format!("record of {address}: {fault}"))?;
                self.seen.places += usize::from(!location.is_unknown());
                self.seen.asns += usize::from(location.asn.is_some());
                let number = (location != Location::UNKNOWN).then(|| self.builder.number(location));
                self.known.insert(leaf.offset, number);
                number
            }
        };
        self.last = Some((leaf.offset, number));
        Ok(number)
    }

    fn decode(&mut self, leaf: &Leaf, address: IpAddr) -> Result<Location, Fault> {
        let found = self
            .reader
            .lookup(address)
            .map_err(|error| error.to_string())?;
        if found.offset() != Some(leaf.offset) {
            return Err(format!(
                "the tree leads to it once at {} and once at {:?}",
                leaf.offset,
                found.offset()
            ));
        }
        let survey = self.survey(&found)?;
        if survey.flat {
            parsed::<Flat<'_>>(&found)?.map_or(Ok(Location::UNKNOWN), |record| record.location())
        } else if survey.nested || survey.asn {
            parsed::<Nested<'_>>(&found)?.map_or(Ok(Location::UNKNOWN), |record| record.location())
        } else {
            Ok(Location::UNKNOWN)
        }
    }

    /// Decodes every value of the record, so that none is found damaged later.
    fn survey(&mut self, found: &LookupResult<'_, &[u8]>) -> Result<Survey, Fault> {
        let survey: Survey = parsed(found)?.unwrap_or_default();
        self.work_left = self.work_left.checked_sub(survey.work).ok_or_else(|| {
            format!(
                "the records together hold more than {} values",
                limits::MAX_RECORD_WORK
            )
        })?;
        if self.first_keys.is_none() {
            self.first_keys = Some(survey.keys.join(", "));
        }
        Ok(survey)
    }
}

fn parsed<'de, T: serde::Deserialize<'de>>(
    found: &LookupResult<'de, &[u8]>,
) -> Result<Option<T>, Fault> {
    found.decode().map_err(|error| error.to_string())
}

/// The first address of a leaf, as the tree has it: IPv4 in a tree for IPv6 is under `::/96`.
fn address(leaf: &Leaf) -> IpAddr {
    match leaf.family {
        Family::V4 => Ipv4Addr::from(leaf.first as u32).into(),
        Family::V6 => Ipv6Addr::from(leaf.first).into(),
    }
}
