//! The country table in the binary: what serves when the operator names no database.
//!
//! `data/country.mmdb.xz` is kept as published (see `data/README.md`) and compiled on first use: about
//! 0.3 s on one core, once a process.

use crate::error::LoadError;
use crate::load::{self, DatabaseInfo};
use crate::special;
use lzma_rust2::XzReader;
use std::io::Read;
use std::sync::{Arc, LazyLock};
use steering::geo::LocationTable;

/// The compressed database.
const COMPRESSED: &[u8] = include_bytes!("../data/country.mmdb.xz");

/// What it is called in logs and errors.
const NAME: &str = "embedded country table";

/// The most it may unpack to, in bytes.
const MAX_BYTES: u64 = 64 << 20;

static TABLE: LazyLock<(Arc<LocationTable>, DatabaseInfo)> = LazyLock::new(|| match compile() {
    Ok((table, info)) => (Arc::new(table), info),
    // The bytes are a part of this binary, and a test compiles them.
    Err(error) => panic!("this binary was built with a country table that it can't read: {error}"),
});

/// The embedded country table, compiled on the first call. It knows countries and continents, for
/// IPv4 and IPv6. Private, documentation and other special addresses are nowhere.
pub fn embedded() -> Arc<LocationTable> {
    Arc::clone(&TABLE.0)
}

/// What the embedded table is.
pub(crate) fn info() -> DatabaseInfo {
    TABLE.1.clone()
}

fn compile() -> Result<(LocationTable, DatabaseInfo), LoadError> {
    let mut bytes = Vec::new();
    XzReader::new(COMPRESSED, false)
        .take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| LoadError::Read {
            file: NAME.to_owned(),
            reason: error.to_string(),
        })?;
    load::compile_one(&bytes, NAME, |cut| special::removed_from(&cut))
}
