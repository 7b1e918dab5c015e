//! The house rules that a compiler does not hold: who may import whom, which library stops in which crate, that
//! the core stays pure, and what every source file looks like. It reads `cargo metadata`, `cargo tree` and the
//! sources; it never builds, runs or changes anything.

use std::collections::BTreeSet;
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use tree::{files, hold, root};

mod tree;

/// Ours: a crate and those of ours that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("rhumb-steering", &[]),
    ("rhumb-config", &["rhumb-steering"]),
    ("rhumb-geoip", &["rhumb-steering"]),
    ("rhumb-health", &["rhumb-steering"]),
    ("rhumb-dns", &["rhumb-steering"]),
    ("rhumb-proxy", &["rhumb-steering"]),
    ("rhumb-bench", EVERY_LIBRARY),
    ("peer-hickory", &[]),
    ("peer-pingora", &[]),
    ("rhumb", WITH_THE_BENCH),
];

const EVERY_LIBRARY: &[&str] = &[
    "rhumb-steering",
    "rhumb-config",
    "rhumb-geoip",
    "rhumb-health",
    "rhumb-dns",
    "rhumb-proxy",
];

const WITH_THE_BENCH: &[&str] = &[
    "rhumb-steering",
    "rhumb-config",
    "rhumb-geoip",
    "rhumb-health",
    "rhumb-dns",
    "rhumb-proxy",
    "rhumb-bench",
];

/// Theirs: the beginning of a library's name, the crates of ours that may name it in what they ship, and why.
/// Test code is not held: a test may well ask a server with another project's client.
const FENCES: &[(&str, &[&str], &str)] = &[
    (
        "hickory-",
        &["rhumb-dns", "peer-hickory"],
        "DNS wire types and transports stop in dns",
    ),
    (
        "pingora",
        &["rhumb-proxy", "rhumb", "peer-pingora"],
        "Pingora stops in proxy; the binary only starts its server",
    ),
    (
        "maxminddb",
        &["rhumb-geoip"],
        "database files are compiled to steering's location table in geoip",
    ),
    (
        "granit-parser",
        &["rhumb-config"],
        "YAML is how an operator writes; nothing behind config knows it",
    ),
    ("serde_yaml", &[], "config has its own YAML crate"),
    ("clap", &["rhumb"], "the command line is the binary's"),
];

/// All that the core may use. An addition here is a decision: it must be pure and small.
const STEERING_USES: &[&str] = &["arc-swap", "ipnet", "serde"];

/// What may not be anywhere below the two crates that know no IO: a runtime, a socket, a random number.
const NOT_BELOW_THE_PURE: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "async-std",
    "rand",
    "rand_core",
    "getrandom",
];

/// Calls by which a clock, chance, or the outside would come into the core.
const NOT_IN_STEERING: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "rand::",
    "getrandom",
    "RandomState::new",
    "std::env",
    "std::fs",
    "std::io",
    "std::process",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "println!",
    "eprintln!",
];

/// Past this a file has more than one purpose.
const MAX_LINES: usize = 600;

/// What the manifests declare; no network and no resolution needed.
fn workspace() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata reads the manifests of this workspace")
}

fn shipped_dependencies(package: &Package) -> impl Iterator<Item = &str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
}

/// The names of everything that a crate is linked with here, itself included.
fn linked_with(package: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--offline",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--package",
            package,
        ])
        .current_dir(root())
        .output()
        .expect("cargo tree runs");
    assert!(
        tree.status.success(),
        "cargo tree -p {package}: {}",
        String::from_utf8_lossy(&tree.stderr)
    );
    let names: BTreeSet<String> = String::from_utf8_lossy(&tree.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    assert!(
        names.contains(package),
        "cargo tree -p {package} does not name the crate itself: {names:?}"
    );
    names
}

/// Every Rust source of the repository as (path from the root, text).
fn sources() -> Vec<(String, String)> {
    let sources = files(&["rs"]);
    assert!(
        sources.len() > 20,
        "the sources were not found under {}",
        root().display()
    );
    sources
}

/// The lines of a file that are shipped, numbered from 1: no comments, and nothing from its test module on.
fn shipped_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .filter(|(_, line)| !line.starts_with("//"))
}

#[test]
fn our_crates_import_only_along_the_arrows() {
    let workspace = workspace();
    let ours: BTreeSet<&str> = workspace
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut breaches = Vec::new();
    for package in &workspace.packages {
        let Some((_, allowed)) = ARROWS
            .iter()
            .find(|(name, _)| *name == package.name.as_str())
        else {
            breaches.push(format!(
                "{} is a new crate: give it its arrows in ARROWS",
                package.name
            ));
            continue;
        };
        for dependency in &package.dependencies {
            if ours.contains(dependency.name.as_str())
                && !allowed.contains(&dependency.name.as_str())
            {
                breaches.push(format!(
                    "{} depends on {} (as {})",
                    package.name, dependency.name, dependency.kind
                ));
            }
        }
    }
    hold(
        "every crate may import steering, steering none, siblings never each other",
        &breaches,
    );
}

#[test]
fn libraries_stay_behind_their_fences() {
    let mut breaches = Vec::new();
    for package in &workspace().packages {
        for dependency in shipped_dependencies(package) {
            for (library, allowed, why) in FENCES {
                if dependency.starts_with(library) && !allowed.contains(&package.name.as_str()) {
                    breaches.push(format!("{} depends on {dependency}: {why}", package.name));
                }
            }
        }
    }
    hold(
        "a library is named only by the crates that its fence lets through",
        &breaches,
    );
}

#[test]
fn steering_uses_nothing_but_its_short_list() {
    let workspace = workspace();
    let steering = workspace
        .packages
        .iter()
        .find(|package| package.name == "rhumb-steering");
    let steering = steering.expect("the workspace has rhumb-steering");
    let breaches: Vec<String> = shipped_dependencies(steering)
        .filter(|dependency| !STEERING_USES.contains(dependency))
        .map(str::to_owned)
        .collect();
    hold(
        "what steering uses is listed in STEERING_USES, with a decision behind each",
        &breaches,
    );
}

#[test]
fn no_runtime_socket_or_chance_is_linked_below_steering_and_config() {
    let mut breaches = Vec::new();
    for package in ["rhumb-steering", "rhumb-config"] {
        let linked = linked_with(package);
        breaches.extend(
            NOT_BELOW_THE_PURE
                .iter()
                .filter(|name| linked.contains(**name))
                .map(|name| format!("{package} is linked with {name}")),
        );
    }
    hold(
        "steering and config do no IO and draw no chance, nor does anything below them",
        &breaches,
    );
}

#[test]
fn steering_reads_no_clock_draws_no_chance_and_touches_nothing() {
    let mut breaches = Vec::new();
    for (name, text) in sources()
        .iter()
        .filter(|(name, _)| name.starts_with("steering/src/"))
    {
        for (number, line) in shipped_lines(text) {
            if let Some(call) = NOT_IN_STEERING.iter().find(|call| line.contains(**call)) {
                breaches.push(format!(
                    "{name}:{number}: {call}: time, draws and effects come in as arguments"
                ));
            }
        }
    }
    hold("steering is pure", &breaches);
}

#[test]
fn every_source_file_says_first_what_it_is_for() {
    let breaches: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(name, _)| name)
        .collect();
    hold(
        "a file opens with //!: what it is for, and what it never does",
        &breaches,
    );
}

#[test]
fn nothing_is_left_as_a_placeholder() {
    // In two pieces, so that this file does not hold what it looks for.
    let placeholders = [concat!("to", "do!("), concat!("unimple", "mented!(")];
    let mut breaches = Vec::new();
    for (name, text) in sources() {
        for (index, line) in text.lines().enumerate() {
            if placeholders
                .iter()
                .any(|placeholder| line.contains(placeholder))
            {
                breaches.push(format!("{name}:{}", index + 1));
            }
        }
    }
    hold("no code is a placeholder", &breaches);
}

#[test]
fn every_source_file_fits_one_reading() {
    let breaches: Vec<String> = sources()
        .into_iter()
        .filter_map(|(name, text)| {
            let lines = text.lines().count();
            (lines > MAX_LINES).then(|| format!("{name} has {lines} lines"))
        })
        .collect();
    hold(
        &format!("a file has at most {MAX_LINES} lines, and one purpose"),
        &breaches,
    );
}

#[test]
fn the_looks_see_what_they_look_for() {
    let text = "//! Pure.\nlet now = Instant::now();\n// Instant::now in a comment\n#[cfg(test)]\nmod tests {}\n";
    let shipped: Vec<(usize, &str)> = shipped_lines(text).collect();
    assert_eq!(shipped, [(2, "let now = Instant::now();")]);
    assert!(
        NOT_IN_STEERING
            .iter()
            .any(|call| shipped[0].1.contains(call))
    );
}
