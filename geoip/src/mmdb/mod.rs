//! One mmdb database to one cut of the address space: opened, checked whole, compiled.
//!
//! The format is MaxMind DB 2.0 (<https://maxmind.github.io/MaxMind-DB/>). The `maxminddb` crate reads
//! metadata and decodes records; the search tree is walked here, since the walk must be bounded on
//! hostile trees and must come in address order with IPv4 told from IPv6.

pub mod limits;
mod location;
mod records;
mod survey;
mod tree;

use crate::error::LoadError;
use crate::load::DatabaseInfo;
use maxminddb::Reader;
use records::Records;
use steering::cidr::{Partition, Sweep};
use steering::geo::LocationTableBuilder;
use tree::{Family, Tree};

/// Between the search tree and the data section.
const SEPARATOR_BYTES: usize = 16;

/// What the metadata begins with; the last one in the file counts.
const METADATA_MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// A reason, still without the name of the file.
pub(crate) type Fault = String;

/// A database, compiled: the values of the cut are numbers of the builder's.
pub(crate) struct Compiled {
    pub cut: Partition,
    pub info: DatabaseInfo,
}

/// Checks and compiles the whole database in `bytes`, called `name` in errors and logs.
pub(crate) fn compile(
    bytes: &[u8],
    name: &str,
    builder: &mut LocationTableBuilder,
) -> Result<Compiled, LoadError> {
    let damaged = |database_type: Option<&str>, reason: Fault| LoadError::Damaged {
        file: name.to_owned(),
        database_type: database_type.map(str::to_owned),
        reason,
    };
    let reader = Reader::from_source(bytes).map_err(|error| damaged(None, error.to_string()))?;
    let database_type = printable(&reader.metadata().database_type);
    let tree = open_tree(&reader, bytes).map_err(|fault| damaged(Some(&database_type), fault))?;
    let mut records = Records::new(&reader, builder);
    let (cut, networks) =
        sweep(&tree, &mut records).map_err(|fault| damaged(Some(&database_type), fault))?;
    let metadata = reader.metadata();
    let info = DatabaseInfo {
        name: name.to_owned(),
        database_type: database_type.clone(),
        build_epoch: metadata.build_epoch,
        ip_version: metadata.ip_version,
        networks,
        has_places: records.seen.places > 0,
        has_asns: records.seen.asns > 0,
    };
    if !info.has_places && !info.has_asns {
        let keys = records
            .first_keys
            .take()
            .unwrap_or_else(|| "there are none".to_owned());
        return Err(LoadError::Layout {
            file: info.name,
            database_type: Some(database_type),
            keys,
        });
    }
    Ok(Compiled { cut, info })
}

/// The search tree, once the layout around it has been checked.
fn open_tree<'a>(reader: &Reader<&'a [u8]>, bytes: &'a [u8]) -> Result<Tree<'a>, Fault> {
    let metadata = reader.metadata();
    let node_count = metadata.node_count as usize;
    let tree_bytes = node_count
        .checked_mul(usize::from(metadata.record_size) / 4)
        .ok_or("the search tree has no end")?;
    let data_start = tree_bytes.saturating_add(SEPARATOR_BYTES);
    let data_end = bytes
        .windows(METADATA_MARKER.len())
        .rposition(|window| window == METADATA_MARKER)
        .ok_or("there is no metadata")?;
    let (Some(nodes), Some(separator)) =
        (bytes.get(..tree_bytes), bytes.get(tree_bytes..data_start))
    else {
        return Err("the search tree reaches beyond the file".to_owned());
    };
    if data_start > data_end {
        return Err("the search tree reaches into the metadata".to_owned());
    }
    if separator.iter().any(|byte| *byte != 0) {
        return Err(format!(
            "the 16 bytes between tree and data, at offset {tree_bytes}, are not zero"
        ));
    }
    let family = if metadata.ip_version == 6 {
        Family::V6
    } else {
        Family::V4
    };
    Ok(Tree {
        nodes,
        node_count,
        record_bits: metadata.record_size,
        family,
        data_bytes: data_end - data_start,
    })
}

/// Walks the tree; what the records say becomes the cut. Networks without a location are left unsaid,
/// so that they merge. Gives the cut and how many networks had a record.
fn sweep(tree: &Tree<'_>, records: &mut Records<'_, '_>) -> Result<(Partition, usize), Fault> {
    let mut sweep = Sweep::new();
    let mut networks = 0;
    tree.walk(&mut |leaf| {
        networks += 1;
        if networks > limits::MAX_NETWORKS {
            return Err(format!("more than {} networks", limits::MAX_NETWORKS));
        }
        let Some(number) = records.number(&leaf)? else {
            return Ok(());
        };
        let in_order = match leaf.v4() {
            Some((first, last)) => sweep.v4(first, last, number),
            None => Ok(()),
        };
        let in_order = in_order.and_then(|()| match leaf.v6() {
            Some((first, last)) => sweep.v6(first, last, number),
            None => Ok(()),
        });
        in_order.map_err(|error| error.to_string())
    })?;
    Ok((sweep.finish(), networks))
}

/// What a database calls itself, fit for a log line whatever it is.
fn printable(database_type: &str) -> String {
    database_type
        .chars()
        .filter(|c| !c.is_control())
        .take(64)
        .collect()
}
