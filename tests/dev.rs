//! `./dev` on machines that lack something: it names what is missing and the command that brings it, installs only
//! after a yes, and never reaches cargo before all is there. The machines are folders of links and stand-ins that the
//! script gets as its PATH; nothing is installed and nothing is built.
#![cfg(unix)]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

mod tool;

/// The folder of the workspace, where the script is.
const ROOT_FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// What every Unix has; linked from this machine.
const UNIX: &[&str] = &[
    "awk", "cat", "chmod", "date", "dirname", "env", "id", "mktemp", "rm", "sed", "sh", "tee",
];

/// Rust as the package manager of a distribution would have it.
const RUST: &[(&str, &str)] = &[
    ("cargo", "echo cargo \"$@\""),
    (
        "rustc",
        concat!("echo rustc ", env!("CARGO_PKG_RUST_VERSION"), ".0"),
    ),
];
const LEAST: &str = concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"), " or later");
const BUILD_TOOLS: &[(&str, &str)] = &[("cc", ":"), ("make", ":"), ("cmake", ":")];
const APT: (&str, &str) = ("apt-get", "echo \"apt-get $*\" >&2");
/// An apt-get that really brings cmake: the script must look again and go on.
const APT_BRINGS_CMAKE: (&str, &str) = (
    "apt-get",
    "printf '#!/bin/sh\\n' >\"$BIN/cmake\" && chmod +x \"$BIN/cmake\"",
);
const ROOT: (&str, &str) = ("id", "echo 0");
const NOT_ROOT: (&str, &str) = ("id", "echo 1000");

/// One machine: what stands on it, what is asked, and what is seen.
struct Row<'a> {
    name: &'a str,
    programs: Vec<(&'a str, &'a str)>,
    arguments: &'a [&'a str],
    succeeds: bool,
    says: &'a [&'a str],
    says_not: &'a [&'a str],
}

fn all<'a>(parts: &[&[(&'a str, &'a str)]]) -> Vec<(&'a str, &'a str)> {
    parts.concat()
}

fn path_of(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn stand_in(folder: &Path, name: &str, script: &str) {
    let file = folder.join(name);
    // A row's own stand-in takes the place of a link.
    if file.symlink_metadata().is_ok() {
        std::fs::remove_file(&file).expect("a link of the test can be removed");
    }
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n"))
        .expect("the test's folder can be written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))
        .expect("a stand-in is executable");
}

fn check(row: &Row<'_>) {
    let machine = tempfile::tempdir().expect("a temporary folder");
    for program in UNIX {
        let real = path_of(program).unwrap_or_else(|| panic!("this machine has {program}"));
        symlink(real, machine.path().join(program)).expect("a link in the test's folder");
    }
    for (name, script) in &row.programs {
        stand_in(machine.path(), name, script);
    }
    let run = Command::new(Path::new(ROOT_FOLDER).join("dev"))
        .args(row.arguments)
        .env_clear()
        .env("PATH", machine.path())
        .env("BIN", machine.path())
        .env("HOME", machine.path())
        .stdin(Stdio::null())
        .output()
        .expect("./dev runs");
    let output = format!(
        "{}{}",
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr)
    );
    assert_eq!(run.status.success(), row.succeeds, "{}: {output}", row.name);
    for text in row.says {
        assert!(
            output.contains(text),
            "{}: it should say `{text}`: {output}",
            row.name
        );
    }
    for text in row.says_not {
        assert!(
            !output.contains(text),
            "{}: it should not say `{text}`: {output}",
            row.name
        );
    }
}

#[test]
fn what_is_missing_is_named_with_the_command_that_brings_it() {
    let old_rust = ("rustc", "echo rustc 1.0.0-nightly");
    let rows = [
        Row {
            name: "nothing, and no package manager",
            programs: vec![],
            arguments: &["test"],
            succeeds: false,
            says: &[
                "- rust:",
                LEAST,
                "- compiler:",
                "- cmake:",
                "https://rustup.rs",
            ],
            says_not: &["The command"],
        },
        Row {
            name: "nothing, and not root",
            programs: vec![APT, NOT_ROOT],
            arguments: &["demo"],
            succeeds: false,
            says: &[
                "sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y build-essential cmake",
                "neither root",
            ],
            says_not: &["apt-get update\n"],
        },
        Row {
            name: "only cmake is missing, and nobody said yes",
            programs: all(&[RUST, BUILD_TOOLS, &[APT, ROOT]])
                .into_iter()
                .filter(|(name, _)| *name != "cmake")
                .collect(),
            arguments: &["test"],
            succeeds: false,
            says: &["- cmake:", "apt-get install -y cmake"],
            says_not: &["- rust", "- compiler", "By hand", "cargo test"],
        },
        Row {
            name: "an old Rust",
            programs: all(&[RUST, BUILD_TOOLS, &[old_rust]]),
            arguments: &["test"],
            succeeds: false,
            says: &[LEAST, "is 1.0.0-nightly"],
            says_not: &["cargo test"],
        },
        Row {
            name: "an old Rust of rustup's",
            programs: all(&[RUST, BUILD_TOOLS, &[old_rust, ("rustup", ":")]]),
            arguments: &["check", "rhumb.yaml"],
            succeeds: false,
            says: &["rustup update stable"],
            says_not: &["rustup.rs"],
        },
        Row {
            name: "a Rust that does not run",
            programs: all(&[RUST, BUILD_TOOLS, &[("rustc", "exit 1")]]),
            arguments: &["test"],
            succeeds: false,
            says: &["installed but does not run"],
            says_not: &["cargo test"],
        },
    ];
    for row in &rows {
        check(row);
    }
}

#[test]
fn what_is_there_is_called() {
    let no_cmake = |apt| all(&[RUST, &BUILD_TOOLS[..2], &[apt, ROOT]]);
    let rows = [
        Row {
            name: "help",
            programs: vec![],
            arguments: &[],
            succeeds: true,
            says: &["./dev demo", "./dev test"],
            says_not: &["lacks"],
        },
        Row {
            name: "an unknown command",
            programs: vec![],
            arguments: &["tset"],
            succeeds: false,
            says: &["There is no command 'tset'"],
            says_not: &["lacks"],
        },
        Row {
            name: "test",
            programs: all(&[RUST, BUILD_TOOLS]),
            arguments: &["test", "-p", "rhumb-dns"],
            succeeds: true,
            says: &["cargo test --workspace -p rhumb-dns"],
            says_not: &["lacks"],
        },
        Row {
            name: "demo",
            programs: all(&[RUST, BUILD_TOOLS]),
            arguments: &["demo"],
            succeeds: true,
            says: &["cargo run --release -- demo"],
            says_not: &["lacks"],
        },
        Row {
            name: "cmake is installed on a yes, and the command goes on",
            programs: no_cmake(APT_BRINGS_CMAKE),
            arguments: &["--yes", "test"],
            succeeds: true,
            says: &["- cmake:", "cargo test --workspace"],
            says_not: &["Still lacking"],
        },
        Row {
            name: "an install that brings nothing is not believed",
            programs: no_cmake(APT),
            arguments: &["--yes", "test"],
            succeeds: false,
            says: &["Still lacking", "- cmake:"],
            says_not: &["cargo test"],
        },
    ];
    for row in &rows {
        check(row);
    }
}

#[test]
fn the_scripts_pass_shellcheck() {
    if !tool::is_here("shellcheck", "--version") {
        return;
    }
    let check = Command::new("shellcheck")
        .args(["dev", ".ci/run", "bench/peers/install"])
        .current_dir(ROOT_FOLDER)
        .output()
        .expect("shellcheck runs");
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stdout)
    );
}
