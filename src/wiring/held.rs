//! The zones that other servers keep, as they were last transferred: in memory, and as master files in the state
//! directory so that a start has them before a primary is reached.
//!
//! Nothing is transferred here, and no zone is built but to see whether a file that was found is sound.

use config::checked;
use dns::Name;
use dns::transfer::records::from_master_file;
use dns::transfer::{OwnedRecord, Version};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use steering::Timestamp;

/// The folder in the state directory.
const FOLDER: &str = "zones";

/// A zone as it was transferred.
#[derive(Clone, Debug)]
pub struct HeldZone {
    /// It as a master file.
    pub text: Arc<str>,
    /// Where that is kept, or would be.
    pub file: PathBuf,
    /// Its version.
    pub version: Version,
    /// When a primary last said that this is the newest version.
    pub checked: Timestamp,
    /// Whether it is too old to be answered from.
    pub expired: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Held(Mutex<HashMap<String, Option<Arc<HeldZone>>>>);

impl Held {
    /// A zone; looked for in the state directory when it is asked for the first time.
    pub fn zone(&self, apex: &str, state_dir: Option<&Path>) -> Option<Arc<HeldZone>> {
        let mut zones = self.0.lock();
        if let Some(known) = zones.get(apex) {
            return known.clone();
        }
        let found = state_dir.and_then(|dir| found(apex, dir)).map(Arc::new);
        zones.insert(apex.to_owned(), found.clone());
        found
    }

    /// Holds this from now on.
    pub fn put(&self, apex: &str, zone: Arc<HeldZone>) {
        self.0.lock().insert(apex.to_owned(), Some(zone));
    }
}

/// Where a zone is kept.
pub fn file(apex: &str, state_dir: Option<&Path>) -> PathBuf {
    // No label of a config has an at sign, so no other zone has the root's file.
    let name = if apex.is_empty() { "@" } else { apex };
    let file = Path::new(FOLDER).join(format!("{name}.zone"));
    state_dir.map_or_else(|| file.clone(), |dir| dir.join(&file))
}

/// What a former run kept; `None`, with a word in the log, when it is of no use.
fn found(apex: &str, state_dir: &Path) -> Option<HeldZone> {
    let file = file(apex, Some(state_dir));
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "a transferred zone can't be read; it is transferred again");
            return None;
        }
    };
    let name = Name::parse(&crate::wiring::peers::dotted(apex)).ok()?;
    let records = from_master_file(&text, &name);
    let Some(version) = records
        .as_deref()
        .and_then(|records| version(records, &name))
    else {
        tracing::warn!(file = %file.display(), "this is no transferred zone; it is transferred again");
        return None;
    };
    let modified = fs::metadata(&file).and_then(|data| data.modified());
    let checked: Timestamp = modified.unwrap_or(SystemTime::UNIX_EPOCH).into();
    let zone = HeldZone {
        text: text.into(),
        file,
        version,
        checked,
        expired: checked.plus(version.expire) <= SystemTime::now().into(),
    };
    if let Err(problems) = dns::Zones::build(vec![bare_spec(apex, &zone)], Vec::new()) {
        let first = problems.first().map(ToString::to_string);
        tracing::warn!(
            zone = apex,
            problem = first,
            "a transferred zone is not sound; it is transferred again"
        );
        return None;
    }
    Some(zone)
}

/// The version of a zone, by its SOA.
pub fn version(records: &[OwnedRecord], apex: &Name) -> Option<Version> {
    soa(records, apex).and_then(|soa| Version::of(&soa.data))
}

/// The SOA of a zone.
pub fn soa<'r>(records: &'r [OwnedRecord], apex: &Name) -> Option<&'r OwnedRecord> {
    let is_soa = |record: &&OwnedRecord| record.rtype == dns::RType::SOA && record.owner == *apex;
    records.iter().find(is_soa)
}

fn bare_spec(apex: &str, zone: &HeldZone) -> dns::ZoneSpec {
    dns::ZoneSpec {
        apex: crate::wiring::peers::dotted(apex),
        master_file: Some((zone.file.clone(), zone.text.to_string())),
        overlay: true,
        ..dns::ZoneSpec::default()
    }
}

/// What `dns` is to make of a zone that another server keeps: what is held of it, if that may be answered from, with
/// the records of the config over it.
pub fn spec(
    written: &checked::Zone,
    records: Vec<(String, String)>,
    held: Option<&HeldZone>,
) -> dns::ZoneSpec {
    let unavailable = match held {
        None => Some(dns::Unavailable::NotTransferred),
        Some(zone) if zone.expired => Some(dns::Unavailable::Expired),
        Some(_) => None,
    };
    match held.filter(|_| unavailable.is_none()) {
        Some(zone) => dns::ZoneSpec {
            apex: written.apex.clone(),
            records,
            ..bare_spec(&written.apex, zone)
        },
        None => dns::ZoneSpec {
            apex: written.apex.clone(),
            overlay: true,
            unavailable,
            ..dns::ZoneSpec::default()
        },
    }
}

/// Keeps a zone for the next start: whole or not at all.
///
/// # Errors
/// As the system says.
pub fn keep(zone: &HeldZone) -> std::io::Result<()> {
    if let Some(folder) = zone.file.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = zone.file.with_extension("new");
    let mut file = fs::File::create(&new)?;
    file.write_all(zone.text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, &zone.file)
}

/// Notes that the zone that is kept is still the newest.
///
/// # Errors
/// As the system says.
pub fn touch(zone: &HeldZone) -> std::io::Result<()> {
    fs::File::options()
        .append(true)
        .open(&zone.file)?
        .set_modified(SystemTime::now())
}
