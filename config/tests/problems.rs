//! Broken configs and exactly what is said of them: every problem, its line, frame and hint.
//!
//! `tests/problems/NAME.yaml` gives `NAME.txt`. `UPDATE_GOLDEN=1 cargo test -p rhumb-config` writes
//! the texts anew; read the difference before committing it.

use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/problems")
}

/// The report on a file, with paths as seen from the folder.
fn report(file: &Path) -> String {
    let text = config::problem::render(&config::load(file).problems);
    text.replace(&format!("{}/", folder().display()), "")
}

#[test]
fn every_problem_is_told_with_its_line() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .expect("the folder of broken configs")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    assert!(files.len() > 10, "the broken configs are found");
    for file in files {
        let (golden, got) = (file.with_extension("txt"), report(&file));
        if update {
            fs::write(&golden, &got).expect("the golden text is written");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert!(
            got == expected,
            "{} differs from {}; it is now:\n{got}",
            file.display(),
            golden.display()
        );
    }
}

#[test]
fn problems_are_json_too() {
    let loaded = config::load_str("a.yaml", "version: 1\npols: {}\nlisten: {}\n");
    let json = serde_json::to_value(&loaded.problems).expect("problems are data");
    assert_eq!(json[0]["severity"], "error");
    assert_eq!(json[0]["code"], "unknown_key");
    assert_eq!(json[0]["line"], 2);
    assert_eq!(json[0]["column"], 1);
    assert_eq!(json[0]["hint"], "did you mean pools?");
}

#[test]
fn a_missing_file_is_a_problem_with_its_path() {
    let loaded = config::load(&folder().join("no-such-file.yaml"));
    assert!(loaded.has_errors() && loaded.checked.is_none());
    assert_eq!(loaded.problems[0].code, "unreadable");
    assert!(
        loaded.files[0].ends_with("no-such-file.yaml"),
        "it is watched for"
    );
}
