//! From the operator's sources to one location table: database, AS numbers over it, overrides over all.

use crate::embedded;
use crate::error::LoadError;
use crate::mmdb::{self, limits};
use crate::overrides::{self, Override};
use serde::Serialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steering::cidr::Partition;
use steering::geo::{Location, LocationTable, LocationTableBuilder};

/// Where locations come from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// An mmdb file with places; without one, the embedded country table.
    pub database: Option<PathBuf>,
    /// An mmdb file with AS numbers, laid over the database.
    pub asn_database: Option<PathBuf>,
    /// Networks of the operator's, laid over both.
    pub networks: Vec<Override>,
}

impl Sources {
    /// The files to watch: when one is replaced, [`load`] again.
    pub fn files(&self) -> Vec<&Path> {
        self.database
            .iter()
            .chain(&self.asn_database)
            .map(PathBuf::as_path)
            .collect()
    }
}

/// A table and what it was made from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The table, ready to be published.
    pub table: Arc<LocationTable>,
    /// The databases, lowest layer first.
    pub databases: Vec<DatabaseInfo>,
    /// How many overrides lie over them.
    pub overrides: usize,
}

/// What a database says of itself and was found to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatabaseInfo {
    /// The path, or the name of the embedded table.
    pub name: String,
    /// Its own name of its kind, such as `GeoLite2-City`.
    pub database_type: String,
    /// When it was built, in seconds since 1970.
    pub build_epoch: u64,
    /// 4, or 6 for both families.
    pub ip_version: u16,
    /// How many networks have a record.
    pub networks: usize,
    /// Whether any record names a place.
    pub has_places: bool,
    /// Whether any record has an AS number.
    pub has_asns: bool,
}

/// The size of a table, for `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// What it was made from.
    pub source: String,
    /// IPv4 ranges, after equal neighbours were merged.
    pub ranges_v4: usize,
    /// IPv6 ranges.
    pub ranges_v6: usize,
    /// Different locations.
    pub locations: usize,
    /// Bytes on the heap.
    pub bytes: usize,
}

/// How large a table is, and what it was made from.
pub fn describe(table: &LocationTable) -> Description {
    let (ranges_v4, ranges_v6) = table.len();
    Description {
        source: table.source.clone(),
        ranges_v4,
        ranges_v6,
        locations: table.distinct(),
        bytes: table.heap_bytes(),
    }
}

/// Reads, checks and compiles the sources. Blocks for as long as that takes: some tens of milliseconds
/// for a country database, seconds for the largest.
///
/// # Errors
/// When a file can't be read, is damaged, or is not what it was given for; when an override can't be
/// honoured.
pub fn load(sources: &Sources) -> Result<LocationTable, LoadError> {
    open(sources).map(|loaded| Arc::unwrap_or_clone(loaded.table))
}

/// [`load`], with what the table was made from. Without files and overrides it is the embedded table
/// itself, not a copy.
///
/// # Errors
/// As [`load`].
pub fn open(sources: &Sources) -> Result<Loaded, LoadError> {
    if sources.files().is_empty() && sources.networks.is_empty() {
        return Ok(Loaded {
            table: embedded::embedded(),
            databases: vec![embedded::info()],
            overrides: 0,
        });
    }
    let (mut builder, places) = match &sources.database {
        Some(path) => {
            let mut builder = LocationTableBuilder::default();
            let info = lay_file(path, &mut builder, |_, above| above)?;
            require(
                info.has_places,
                &info,
                "it names no place",
                "give it as asn_database",
            )?;
            (builder, info)
        }
        None => (
            LocationTableBuilder::over(&embedded::embedded()),
            embedded::info(),
        ),
    };
    let mut databases = vec![places];
    if let Some(path) = &sources.asn_database {
        let info = lay_file(path, &mut builder, |below, above| Location {
            asn: above.asn,
            ..below
        })?;
        require(
            info.has_asns,
            &info,
            "it has no AS number",
            "give it as database",
        )?;
        databases.push(info);
    }
    overrides::insert(&sources.networks, &mut builder)?;
    builder.layer(overrides::laid_over);
    let overrides = sources.networks.len();
    let table = Arc::new(builder.build(named(&databases, overrides)));
    tracing::debug!(
        source = table.source,
        bytes = table.heap_bytes(),
        "location table compiled"
    );
    Ok(Loaded {
        table,
        databases,
        overrides,
    })
}

/// Checks and compiles one database that is in memory, called `name` in errors.
///
/// # Errors
/// When it is damaged or in no layout known here.
pub fn load_bytes(bytes: &[u8], name: &str) -> Result<LocationTable, LoadError> {
    compile_one(bytes, name, |cut| cut).map(|(table, _)| table)
}

/// [`load_bytes`], with what the database says of itself; `adapt` may change the cut.
pub(crate) fn compile_one(
    bytes: &[u8],
    name: &str,
    adapt: impl FnOnce(Partition) -> Partition,
) -> Result<(LocationTable, DatabaseInfo), LoadError> {
    let mut builder = LocationTableBuilder::default();
    let compiled = mmdb::compile(bytes, name, &mut builder)?;
    builder.lay(adapt(compiled.cut), |_, above| above);
    let info = compiled.info;
    Ok((builder.build(named(std::slice::from_ref(&info), 0)), info))
}

fn lay_file(
    path: &Path,
    builder: &mut LocationTableBuilder,
    combine: impl FnMut(Location, Location) -> Location,
) -> Result<DatabaseInfo, LoadError> {
    let bytes = read(path)?;
    let compiled = mmdb::compile(&bytes, &path.display().to_string(), builder)?;
    builder.lay(compiled.cut, combine);
    Ok(compiled.info)
}

/// The whole file, read at once: mapping it would let whoever writes into it change the table's input
/// between check and use.
fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
    let file = || path.display().to_string();
    let failed = |error: std::io::Error| LoadError::Read {
        file: file(),
        reason: error.to_string(),
    };
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(failed)?;
    opened
        .take(limits::MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limits::MAX_FILE_BYTES {
        return Err(LoadError::TooLarge {
            file: file(),
            limit: limits::MAX_FILE_BYTES,
        });
    }
    Ok(bytes)
}

fn require(
    holds: bool,
    info: &DatabaseInfo,
    found: &'static str,
    remedy: &'static str,
) -> Result<(), LoadError> {
    if holds {
        return Ok(());
    }
    let database_type = Some(info.database_type.clone());
    Err(LoadError::Kind {
        file: info.name.clone(),
        database_type,
        found,
        remedy,
    })
}

/// The sources in one line: `/x/GeoLite2-City.mmdb (GeoLite2-City, built 2026-06-17), 3 overrides`.
fn named(databases: &[DatabaseInfo], overrides: usize) -> String {
    let mut parts: Vec<String> = databases
        .iter()
        .map(|d| {
            format!(
                "{} ({}, built {})",
                d.name,
                d.database_type,
                date(d.build_epoch)
            )
        })
        .collect();
    match overrides {
        0 => {}
        1 => parts.push("1 override".to_owned()),
        n => parts.push(format!("{n} overrides")),
    }
    parts.join(", ")
}

/// The UTC date of a Unix time, as `2026-06-17`: days to years in the Gregorian calendar, whose
/// cycle is 146,097 days in 400 years. Years are counted from March, so that leap days come last.
fn date(epoch: u64) -> String {
    let days = epoch / 86_400 + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}-{month:02}-{day_of_month:02}",
        cycle * 400 + year + carry
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_gregorian() {
        for (epoch, text) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_781_725_900, "2026-06-17"),
            (4_107_542_399, "2100-02-28"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(epoch), text, "{epoch}");
        }
        assert!(!date(u64::MAX).is_empty(), "no overflow");
    }

    #[test]
    fn files_are_those_to_watch() {
        let mut sources = Sources::default();
        assert!(sources.files().is_empty());
        sources.asn_database = Some("asn.mmdb".into());
        sources.database = Some("city.mmdb".into());
        assert_eq!(
            sources.files(),
            [Path::new("city.mmdb"), Path::new("asn.mmdb")]
        );
    }
}
