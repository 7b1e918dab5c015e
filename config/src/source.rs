//! From files to one tree: reads the config and what it includes, and merges them.
//!
//! It knows the keys at the top and how each is merged, and nothing below them.

use crate::files::{Files, Memory, beside};
use crate::problem::{Findings, Place, Sources};
use crate::spec::defaults::VERSION;
use crate::tree::{self, Key, Node, Used, Value, shorten};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// The most bytes of one config, all files together.
pub const MAX_BYTES: usize = 256 * 1024 * 1024;
/// The most files of one config.
pub const MAX_FILES: usize = 1_000;
/// The deepest that files include each other.
pub const MAX_INCLUDE_DEPTH: usize = 8;

/// Keys whose entries are gathered from all files; no name may stand twice.
const BY_NAME: [&str; 9] = [
    "regions",
    "jurisdictions",
    "country_sets",
    "health_checks",
    "pools",
    "policies",
    "residency",
    "services",
    "zones",
];
/// Keys whose items are gathered from all files.
const LISTS: [&str; 3] = ["trusted_proxies", "latency_map", "expect"];

/// All files of a config as one tree.
pub(crate) struct Merged {
    pub(crate) root: Node,
    pub(crate) sources: Sources,
    /// What was read or should have been, and the directories that patterns look into.
    pub(crate) watch: BTreeSet<PathBuf>,
    /// Whether every file was read and parsed: if not, names may be missing that are only unread.
    pub(crate) whole: bool,
}

/// Reads `path` and what it includes.
pub(crate) fn read(path: &Path, files: &dyn Files, findings: &mut Findings) -> Merged {
    let mut reader = Reader {
        files,
        findings,
        merged: Merged {
            root: Node::empty(Place {
                file: 0,
                line: 1,
                column: 1,
                width: 1,
            }),
            sources: Sources::default(),
            watch: BTreeSet::new(),
            whole: true,
        },
        used: Used::default(),
        bytes: 0,
        read: BTreeSet::new(),
        entries: Vec::new(),
        at: HashMap::new(),
        names: HashMap::new(),
    };
    reader.file(path, None, 0);
    reader.merged.root.value = Value::Map(reader.entries);
    reader.merged
}

/// The same tree again, from the text that was kept: it is needed now and then, and large.
pub(crate) fn again(sources: &Sources) -> Node {
    let texts = sources
        .iter()
        .map(|(path, text)| (path.to_owned(), text.to_string()));
    let files = Memory {
        files: texts.collect(),
        assume: false,
    };
    let first = sources.path(0).unwrap_or(Path::new(""));
    read(first, &files, &mut Findings::default()).root
}

struct Reader<'a> {
    files: &'a dyn Files,
    findings: &'a mut Findings,
    merged: Merged,
    used: Used,
    bytes: usize,
    read: BTreeSet<PathBuf>,
    /// The merged entries, and where each key is among them.
    entries: Vec<(Key, Node)>,
    at: HashMap<Box<str>, usize>,
    /// Where each name of a gathered map is written.
    names: HashMap<(usize, Box<str>), Place>,
}

impl Reader<'_> {
    /// Reads one file; `from` is where it is included.
    fn file(&mut self, path: &Path, from: Option<Place>, depth: usize) {
        let path = beside(None, &path.to_string_lossy());
        if !self.read.insert(path.clone()) {
            return;
        }
        self.merged.watch.insert(path.clone());
        let Some((file, text)) = self.text(&path, from, depth) else {
            self.merged.whole = false;
            return;
        };
        let Some(root) = tree::parse(&text, file, &mut self.used, self.findings) else {
            self.merged.whole = false;
            return;
        };
        if root.is_null() {
            return;
        }
        let Value::Map(entries) = root.value else {
            self.findings
                .error("wrong_type", root.place, "a config is a map of keys")
                .hint("begin with `version: 1`");
            self.merged.whole = false;
            return;
        };
        let mut includes = Vec::new();
        for (key, value) in entries {
            match &*key.text {
                "include" => includes.push(value),
                "version" if depth > 0 => self.same_version(&value),
                _ => self.merge(key, value),
            }
        }
        for include in includes {
            self.include(&include, file, depth);
        }
    }

    /// The text of a file, when it can be read and the bounds are kept.
    fn text(
        &mut self,
        path: &Path,
        from: Option<Place>,
        depth: usize,
    ) -> Option<(u32, std::sync::Arc<str>)> {
        let here = from.unwrap_or_default();
        if depth > MAX_INCLUDE_DEPTH {
            self.findings.error(
                "include",
                here,
                format!("files include each other more than {MAX_INCLUDE_DEPTH} deep"),
            );
            return None;
        }
        if self.read.len() > MAX_FILES {
            self.findings.error(
                "include",
                here,
                format!("the config has more than {MAX_FILES} files"),
            );
            return None;
        }
        let content = match self
            .files
            .read(path, MAX_BYTES.saturating_sub(self.bytes) + 1)
        {
            Ok(content) => content,
            Err(error) => {
                let here = from.unwrap_or_else(|| self.only_file(path));
                self.findings
                    .error(
                        "unreadable",
                        here,
                        format!("{} cannot be read: {error}", path.display()),
                    )
                    .hint("check the path and its permissions");
                return None;
            }
        };
        self.bytes += content.len();
        if self.bytes > MAX_BYTES {
            let here = from.unwrap_or_else(|| self.only_file(path));
            self.findings.error(
                "too_large",
                here,
                format!("the config has more than {} MiB", MAX_BYTES >> 20),
            );
            return None;
        }
        match String::from_utf8(content) {
            Ok(text) => {
                let text: std::sync::Arc<str> = text.into();
                Some((self.merged.sources.add(path, text.clone()), text))
            }
            Err(error) => {
                let good = error.utf8_error().valid_up_to();
                let lines = error.as_bytes()[..good]
                    .iter()
                    .filter(|byte| **byte == b'\n')
                    .count();
                let mut here = self.only_file(path);
                here.line = u32::try_from(lines + 1).unwrap_or(u32::MAX);
                self.findings
                    .error("syntax", here, "this line is not UTF-8 text");
                None
            }
        }
    }

    /// A place that is a file as a whole.
    fn only_file(&mut self, path: &Path) -> Place {
        Place {
            file: self.merged.sources.add(path, ""),
            ..Place::default()
        }
    }

    fn same_version(&mut self, value: &Node) {
        let expected = VERSION.to_string();
        if !matches!(&value.value, Value::Scalar { text, .. } if **text == *expected) {
            self.findings.error(
                "version",
                value.place,
                format!("expected version {VERSION}, found {}", value.describe()),
            );
        }
    }

    /// Reads what one `include` names.
    fn include(&mut self, list: &Node, file: u32, depth: usize) {
        let Value::List(items) = &list.value else {
            if !list.is_null() {
                self.findings
                    .error(
                        "wrong_type",
                        list.place,
                        format!("expected a list of files, found {}", list.describe()),
                    )
                    .hint("such as include: [pools.yaml, services/*.yaml]");
            }
            return;
        };
        for item in items {
            let Value::Scalar { text, .. } = &item.value else {
                self.findings.error(
                    "wrong_type",
                    item.place,
                    format!("expected a path, found {}", item.describe()),
                );
                continue;
            };
            let path = beside(self.merged.sources.path(file), text);
            if !text.contains(['*', '?', '[']) {
                self.file(&path, Some(item.place), depth + 1);
                continue;
            }
            self.merged.watch.insert(fixed_part(&path));
            match self.files.matching(&path) {
                Ok(paths) if paths.is_empty() => {
                    self.findings.warning(
                        "include",
                        item.place,
                        format!("`{}` matches no file", shorten(text)),
                    );
                }
                Ok(paths) => paths
                    .iter()
                    .for_each(|path| self.file(path, Some(item.place), depth + 1)),
                Err(error) => {
                    self.findings.error(
                        "include",
                        item.place,
                        format!("`{}` is not a pattern: {error}", shorten(text)),
                    );
                }
            }
        }
    }

    /// Adds one top-level key to what other files have given.
    fn merge(&mut self, key: Key, value: Node) {
        if value.is_null() {
            return;
        }
        let section = BY_NAME.iter().position(|name| **name == *key.text);
        if let (Some(section), Value::Map(entries)) = (section, &value.value) {
            self.note_names(section, entries);
        }
        let Some(at) = self.at.get(&key.text).copied() else {
            self.at.insert(key.text.clone(), self.entries.len());
            self.entries.push((key, value));
            return;
        };
        let gathers = section.is_some() || LISTS.contains(&&*key.text);
        let before = &mut self.entries[at];
        match (&mut before.1.value, value.value) {
            (Value::Map(all), Value::Map(more)) if section.is_some() => {
                // A second definition was reported; the first one stays.
                let file = value.place.file;
                let names = &self.names;
                let section = section.unwrap_or_default();
                all.extend(more.into_iter().filter(|(name, _)| {
                    names
                        .get(&(section, name.text.clone()))
                        .is_some_and(|place| place.file == file)
                }));
            }
            (Value::List(all), Value::List(more)) if section.is_none() && gathers => {
                all.extend(more)
            }
            _ if gathers => {
                let kind = if section.is_some() {
                    "a map of names"
                } else {
                    "a list"
                };
                self.findings
                    .error("wrong_type", key.place, format!("`{}` is {kind}", key.text));
            }
            _ => {
                let first = self
                    .merged
                    .sources
                    .path(before.0.place.file)
                    .map(|p| p.display().to_string());
                let hint = format!(
                    "also in {} on line {}",
                    first.unwrap_or_default(),
                    before.0.place.line
                );
                self.findings
                    .error(
                        "duplicate_key",
                        key.place,
                        format!("`{}` is set in two files", shorten(&key.text)),
                    )
                    .hint(hint);
            }
        }
    }

    /// Notes where names are written, and takes in those that stand in two files.
    fn note_names(&mut self, section: usize, entries: &[(Key, Node)]) {
        for (name, _) in entries {
            match self.names.entry((section, name.text.clone())) {
                std::collections::hash_map::Entry::Vacant(free) => {
                    free.insert(name.place);
                }
                std::collections::hash_map::Entry::Occupied(first) => {
                    let first = *first.get();
                    let file = self
                        .merged
                        .sources
                        .path(first.file)
                        .map(|p| p.display().to_string());
                    let message = format!("`{}` is defined in two files", shorten(&name.text));
                    self.findings
                        .error("duplicate_name", name.place, message)
                        .hint(format!(
                            "also in {} on line {}",
                            file.unwrap_or_default(),
                            first.line
                        ));
                }
            }
        }
    }
}

/// The directory above the first part of a pattern that is not fixed.
fn fixed_part(pattern: &Path) -> PathBuf {
    let fixed = pattern
        .components()
        .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']));
    let directory: PathBuf = fixed.collect();
    if directory.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        directory
    }
}
