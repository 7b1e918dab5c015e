//! The files of the repository, for the tests that read them as text. It reads only, and leaves out what a build
//! or git made.

use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file with one of these extensions as (path from the root, text), in the order of the paths.
pub fn files(extensions: &[&str]) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    collect(root(), extensions, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text =
                std::fs::read_to_string(&path).expect("a text file of the repository is UTF-8");
            let name = path.strip_prefix(root()).unwrap_or(&path);
            (name.display().to_string(), text)
        })
        .collect()
}

fn collect(folder: &Path, extensions: &[&str], into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository can be listed") {
        let path = entry
            .expect("an entry of the repository can be read")
            .path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            if !["target", "node_modules"].contains(&name) && !name.starts_with('.') {
                collect(&path, extensions, into);
            }
        } else if extension.is_some_and(|extension| extensions.contains(&extension)) {
            into.push(path);
        }
    }
}

/// Fails with every breach of a rule at once.
pub fn hold(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}
