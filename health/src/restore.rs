//! What a restart knows of the targets: the state file, read back. A file that is missing, damaged, of
//! another version or too old is as good as none; it never keeps a PoP from starting.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;
use steering::health::{TargetHealth, TargetKey, Transition};
use steering::latency::Measured;
use steering::{Table, Timestamp};
use thiserror::Error;

/// The name of the state file in the state directory.
pub const STATE_FILE: &str = "health.json";
/// States older than this say nothing of now.
pub const MAX_AGE: Duration = Duration::from_secs(60 * 60);

pub(crate) const VERSION: u32 = 1;
/// A larger file was not written by us: a target takes some 200 bytes.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The state file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StateFile {
    pub(crate) version: u32,
    pub(crate) saved_at: Timestamp,
    pub(crate) targets: Vec<Saved>,
}

/// Its version alone: another one may have another form.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// What is kept of one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Saved {
    pub(crate) target: TargetKey,
    /// `None` while unknown, or not checked.
    pub(crate) health: Option<TargetHealth>,
    pub(crate) latency_ms: Option<f32>,
}

#[derive(Debug, Error)]
enum Unusable {
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("it has more than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("it is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
    #[error("it is of version {0}, this is version {VERSION}")]
    Version(u32),
    #[error("it was saved {0:?} ago, more than {MAX_AGE:?}")]
    TooOld(Duration),
}

/// States and connect times of the run before, by target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restored {
    targets: HashMap<TargetKey, Saved>,
}

impl Restored {
    /// Reads the state file of a state directory. Blocks on the disk; call it at start. Whatever is
    /// wrong with the file is logged with its path, and nothing is restored then.
    pub fn load(state_dir: &Path, now: Timestamp) -> Self {
        let path = state_dir.join(STATE_FILE);
        match read(&path, now) {
            Ok(file) => {
                let targets = file
                    .targets
                    .into_iter()
                    .map(|s| (s.target.clone(), s))
                    .collect();
                Self { targets }
            }
            Err(Unusable::Read(e)) if e.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(reason @ Unusable::TooOld(_)) => {
                tracing::info!(path = %path.display(), %reason, "saved health is not used");
                Self::default()
            }
            Err(reason) => {
                tracing::warn!(
                    path = %path.display(), %reason,
                    "saved health is not used; the next save replaces the file"
                );
                Self::default()
            }
        }
    }

    /// How many targets it knows.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// What it knows of a table's health: for the first snapshot, before the first probe.
    pub fn transitions(&self, table: &Table) -> Vec<Transition> {
        let checked = table
            .targets()
            .iter()
            .filter(|target| target.check.is_some());
        let known = checked.filter_map(|target| {
            let health = self.find(&target.key)?.health?;
            Some(Transition {
                target: target.key.clone(),
                health,
            })
        });
        known.collect()
    }

    /// What it knows of a table's connect times: for the first snapshot.
    pub fn measured(&self, table: &Table) -> Vec<Measured> {
        let known = table.targets().iter().filter_map(|target| {
            let ms = self.find(&target.key)?.latency_ms?;
            (ms.is_finite() && ms >= 0.0).then(|| Measured {
                target: target.key.clone(),
                ms,
            })
        });
        known.collect()
    }

    pub(crate) fn find(&self, key: &TargetKey) -> Option<&Saved> {
        self.targets.get(key)
    }
}

fn read(path: &Path, now: Timestamp) -> Result<StateFile, Unusable> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Unusable::TooLarge);
    }
    let Versioned { version } = serde_json::from_slice(&bytes)?;
    if version != VERSION {
        return Err(Unusable::Version(version));
    }
    let file: StateFile = serde_json::from_slice(&bytes)?;
    let age = now.since(file.saved_at);
    if age > MAX_AGE {
        return Err(Unusable::TooOld(age));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::save::write;
    use std::fs;
    use steering::health::Status;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn file() -> StateFile {
        let target = TargetKey {
            address: ([192, 0, 2, 1], 443).into(),
            check: "api".into(),
        };
        let health = TargetHealth {
            status: Status::Down,
            against: 1,
            since: NOW,
            last_probe: NOW,
        };
        let saved = Saved {
            target,
            health: Some(health),
            latency_ms: Some(12.5),
        };
        StateFile {
            version: VERSION,
            saved_at: NOW,
            targets: vec![saved],
        }
    }

    #[test]
    fn what_was_saved_is_restored() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = file();
        write(dir.path(), &file).expect("written");
        let restored = Restored::load(dir.path(), NOW);
        let saved = &file.targets[0];
        assert_eq!(restored.find(&saved.target), Some(saved));
        let names: Vec<_> = fs::read_dir(dir.path())
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, [STATE_FILE], "no temporary file is left behind");
    }

    #[test]
    fn a_file_that_cannot_be_trusted_is_as_good_as_none() {
        let whole = serde_json::to_string(&file()).expect("it serializes");
        let other_version = whole.replace("\"version\":1", "\"version\":2");
        for (content, now, why) in [
            (&whole[..whole.len() / 2], NOW, "cut off"),
            ("", NOW, "empty"),
            ("\u{0}\u{0}\u{0}", NOW, "zeros after a crash"),
            ("[]", NOW, "not ours"),
            ("{\"version\":1}", NOW, "without its content"),
            (&other_version, NOW, "of another version"),
            (
                &whole,
                NOW.plus(MAX_AGE + Duration::from_millis(1)),
                "too old",
            ),
        ] {
            let dir = tempfile::tempdir().expect("a directory");
            fs::write(dir.path().join(STATE_FILE), content).expect("written");
            assert!(Restored::load(dir.path(), now).is_empty(), "{why}");
        }
    }

    #[test]
    fn a_clock_that_went_back_does_not_make_a_file_old() {
        let dir = tempfile::tempdir().expect("a directory");
        write(dir.path(), &file()).expect("written");
        assert_eq!(Restored::load(dir.path(), Timestamp(5)).len(), 1);
        assert_eq!(Restored::load(dir.path(), NOW.plus(MAX_AGE)).len(), 1);
    }

    #[test]
    fn a_missing_file_or_directory_is_a_first_start() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(Restored::load(dir.path(), NOW).is_empty());
        assert!(Restored::load(&dir.path().join("nowhere"), NOW).is_empty());
    }
}
