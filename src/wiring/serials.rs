//! Serials that are made (`soa.serial: auto`): what they were, from the table that serves or, at a start, from the
//! state directory.
//!
//! A serial is kept while the zone's content is the same. New content gets the time of the newest file it was written
//! in, or one more than before where that is not later: so it grows with each change, and a start that finds no
//! state makes the same serial of the same files. Nothing is made here: see [`dns::AutoSerial`].

use config::checked::{Checked, Zone};
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use steering::Table;

/// The file in the state directory: a line for each zone with its name, the fingerprint of its content, its serial.
const FILE: &str = "serials";

/// What the serials of zones were: content and serial by apex.
pub struct Before {
    known: HashMap<String, (u64, u32)>,
    /// When the config was last written, in seconds since 1970.
    config: u32,
}

impl Before {
    /// Looks in the table that serves, else on disk.
    pub fn new(checked: &Checked, serving: Option<&Table>) -> Self {
        let known = match serving.and_then(|table| table.planes().find::<dns::Zones>()) {
            Some(zones) => zones.iter().map(of_zone).collect(),
            None => checked.state_dir.as_deref().map(read).unwrap_or_default(),
        };
        let files = checked.sources.iter().map(|(path, _)| modified(path));
        Self {
            known,
            config: files.max().unwrap_or(0),
        }
    }

    /// What the serial of a zone is made from; `None` where it is served as written.
    pub fn of(&self, zone: &Zone) -> Option<dns::AutoSerial> {
        let is_made = zone.soa.as_ref().is_some_and(|soa| soa.serial.is_none());
        let file = zone.file.as_deref().map_or(0, modified);
        is_made.then(|| dns::AutoSerial {
            now: self.config.max(file).max(1),
            before: self.known.get(&zone.apex).copied(),
        })
    }
}

/// Keeps the serials that were made for the next start, where there is a state directory.
///
/// # Errors
/// As the system says.
pub fn keep(checked: &Checked, table: &Table) -> io::Result<()> {
    let is_made = |zone: &&Zone| zone.soa.as_ref().is_some_and(|soa| soa.serial.is_none());
    let made: Vec<&Zone> = checked.zones.iter().filter(is_made).collect();
    let (Some(dir), Some(zones)) = (&checked.state_dir, table.planes().find::<dns::Zones>()) else {
        return Ok(());
    };
    if made.is_empty() {
        return Ok(());
    }
    let known: HashMap<String, (u64, u32)> = zones.iter().map(of_zone).collect();
    let mut text = String::new();
    for zone in made {
        if let Some((content, serial)) = known.get(&zone.apex) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}. {content:016x} {serial}", zone.apex);
        }
    }
    let file = file(dir);
    if fs::read_to_string(&file).is_ok_and(|same| same == text) {
        return Ok(());
    }
    fs::create_dir_all(dir)?;
    let new = file.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, &file)
}

fn file(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// What a former run kept; lines that are no such thing are passed over.
fn read(dir: &Path) -> HashMap<String, (u64, u32)> {
    let text = fs::read_to_string(file(dir)).unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split(' ');
        let apex = words.next()?.strip_suffix('.')?;
        let content = u64::from_str_radix(words.next()?, 16).ok()?;
        let serial = words.next()?.parse().ok()?;
        Some((apex.to_owned(), (content, serial)))
    };
    text.lines().filter_map(line).collect()
}

fn of_zone(zone: &dns::Zone) -> (String, (u64, u32)) {
    let apex = zone.apex().to_string();
    let apex = apex.trim_end_matches('.').to_owned();
    (apex, (zone.content(), zone.serial()))
}

/// When a file was last written, in seconds since 1970; 0 when that is not known.
fn modified(path: &Path) -> u32 {
    let time = fs::metadata(path).and_then(|data| data.modified());
    let since = time
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_secs() as u32)
}
