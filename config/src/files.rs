//! How config files are read: from disk, or from memory in tests and fuzzing.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// What files there are.
pub trait Files {
    /// The content of a file, at most `limit` bytes of it.
    ///
    /// # Errors
    /// As the operating system says.
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>>;

    /// Whether there is a file.
    fn exists(&self, path: &Path) -> bool;

    /// The files that a pattern matches, sorted.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    fn matching(&self, pattern: &Path) -> Result<Vec<PathBuf>, String>;
}

/// The files on disk.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        std::fs::File::open(path)?
            .take(limit as u64)
            .read_to_end(&mut content)?;
        Ok(content)
    }

    fn exists(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn matching(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let paths = glob::glob(&pattern.to_string_lossy()).map_err(|error| error.msg.to_owned())?;
        Ok(paths
            .filter_map(Result::ok)
            .filter(|path| path.is_file())
            .collect())
    }
}

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Path and content.
    pub files: BTreeMap<PathBuf, String>,
    /// Whether every other file exists too, and is empty.
    pub assume: bool,
}

impl Files for Memory {
    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        match self.files.get(path) {
            Some(text) => Ok(text.bytes().take(limit).collect()),
            None if self.assume => Ok(Vec::new()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.assume || self.files.contains_key(path)
    }

    fn matching(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        let pattern =
            glob::Pattern::new(&pattern.to_string_lossy()).map_err(|error| error.msg.to_owned())?;
        // As on disk: a star stays within one directory.
        let options = glob::MatchOptions {
            require_literal_separator: true,
            ..glob::MatchOptions::default()
        };
        Ok(self
            .files
            .keys()
            .filter(|path| pattern.matches_path_with(path, options))
            .cloned()
            .collect())
    }
}

/// `path` as seen from the directory of the file it is written in, without `.` and `..` where they can
/// be resolved by name.
pub(crate) fn beside(written_in: Option<&Path>, path: &str) -> PathBuf {
    let base = written_in.and_then(Path::parent).unwrap_or(Path::new(""));
    let mut clean = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(clean.components().next_back(), Some(Component::Normal(_))) =>
            {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_file_they_stand_in() {
        for (file, path, expected) in [
            ("/etc/rhumb/a.yaml", "b.yaml", "/etc/rhumb/b.yaml"),
            ("/etc/rhumb/a.yaml", "../b.yaml", "/etc/b.yaml"),
            ("/etc/rhumb/a.yaml", "/b.yaml", "/b.yaml"),
            ("a.yaml", "./b/../c.yaml", "c.yaml"),
            ("a.yaml", "../c.yaml", "../c.yaml"),
        ] {
            assert_eq!(
                beside(Some(Path::new(file)), path),
                PathBuf::from(expected),
                "{path} in {file}"
            );
        }
    }
}
