//! The config language: YAML in, a [`Checked`] config or every problem with its line out.
//!
//! ```text
//! files --source--> one located tree --de--> spec (what is written) --check--> Checked (what runs)
//!                      every step adds to one list of problems
//! ```
//!
//! What never happens here: nothing is listened on, no database or zone is opened (only that the file
//! exists is checked), and no endpoint is chosen; [`expectations`] ask `Snapshot::decide`.

mod check;
pub mod checked;
mod de;
mod diff;
pub mod expectations;
mod files;
pub mod problem;
pub mod rehearsal;
pub mod scenario;
mod source;
mod spec;
mod tree;

pub use checked::Checked;
pub use diff::{Diff, diff};
pub use files::{Disk, Files, Memory};
pub use problem::{Place, Problem, Severity, Sources};
pub use source::{MAX_BYTES, MAX_FILES, MAX_INCLUDE_DEPTH};
pub use spec::defaults;
pub use tree::{MAX_ALIASED_NODES, MAX_NESTING, MAX_NODES};

use problem::Findings;
use std::path::{Path, PathBuf};

/// What came of reading a config.
#[derive(Debug)]
pub struct Loaded {
    /// The config, unless one of the problems is an error.
    pub checked: Option<Checked>,
    /// Errors and warnings, in the order of files and lines.
    pub problems: Vec<Problem>,
    /// Everything this depends on that may change on disk, sorted: config files, zone files,
    /// certificates and keys, authorities, location databases, and the directories that `include`
    /// patterns look into. As complete as the errors allow.
    pub files: Vec<PathBuf>,
}

impl Loaded {
    /// Whether any problem keeps the config from running.
    pub fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }
}

/// Reads the config at `path` and everything it includes, from disk.
pub fn load(path: &Path) -> Loaded {
    load_with(path, &Disk)
}

/// Reads a config from memory, as if it stood in a file of this name. Every other file it names is
/// taken to exist and to be empty.
pub fn load_str(name: &str, text: &str) -> Loaded {
    let files = Memory {
        files: [(PathBuf::from(name), text.to_owned())].into(),
        assume: true,
    };
    load_with(Path::new(name), &files)
}

/// Reads the config at `path` from these files.
pub fn load_with(path: &Path, files: &dyn Files) -> Loaded {
    let mut findings = Findings::default();
    let source::Merged {
        root,
        sources,
        mut watch,
        whole,
    } = source::read(path, files, &mut findings);
    let spec: Option<spec::Config> = de::read(&root, &mut findings);
    // A tree is several times its text: it is read again for the few places that problems point to.
    drop(root);
    let checked = spec
        .and_then(|spec| check::check(&spec, whole, &sources, files, &mut findings, &mut watch));
    if findings.places().next().is_some() {
        let paths = tree::paths(&source::again(&sources), findings.places());
        findings.fill_paths(|place| paths.get(&tree::position(place)).cloned());
    }
    Loaded {
        checked,
        problems: findings.into_problems(&sources),
        files: watch.into_iter().collect(),
    }
}

/// The JSON Schema of the config language, from the very types that are read.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(spec::Config).to_value()
}
