//! Looks for the programs of peers and asks them for their versions.

use super::contest::{Program, Programs};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Debian puts servers; not on everybody's PATH.
const SYSTEM: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// The most of a program's own words about its version.
const VERSION_WORDS: usize = 60;

/// The program called `name`, with its version as `flags` make it say it: the first word of its output
/// that begins with a digit.
///
/// # Errors
/// When it is not here; `brought_by` says what brings it.
pub fn program(
    programs: &Programs,
    name: &str,
    flags: &[&str],
    brought_by: &str,
) -> Result<Program, String> {
    let path =
        path_of(programs, name).ok_or_else(|| format!("{name} is not here; {brought_by}"))?;
    let version = version(&path, flags)
        .ok_or_else(|| format!("{} does not tell its version", path.display()))?;
    Ok(Program { path, version })
}

/// Where the program called `name` is.
pub fn path_of(programs: &Programs, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = programs.folders.iter().cloned();
    let folders = folders.chain(std::env::split_paths(&path));
    let mut folders = folders.chain(SYSTEM.iter().map(PathBuf::from));
    folders.find_map(|folder| {
        let path = folder.join(name);
        path.is_file().then_some(path)
    })
}

/// The version that a program tells.
pub fn version(path: &Path, flags: &[&str]) -> Option<String> {
    let run = Command::new(path)
        .args(flags)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let said = [run.stdout, run.stderr].concat();
    version_in(&String::from_utf8_lossy(&said))
}

/// The first word that begins like a version, with or without a `v` or a `name/` before it.
fn version_in(text: &str) -> Option<String> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '/'));
    let mut versions = words.filter(|word| {
        let word = word.strip_prefix('v').unwrap_or(word);
        word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.')
    });
    let version = versions.next()?.trim_start_matches('v');
    Some(version.chars().take(VERSION_WORDS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        let rows = [
            ("gdnsd version 3.8.1\n", Some("3.8.1")),
            ("knotd (Knot DNS), version 3.2.6", Some("3.2.6")),
            ("NSD version 4.6.1\nWritten by", Some("4.6.1")),
            ("nginx version: nginx/1.22.1", Some("1.22.1")),
            (
                "Nov 21 00:00:24 PowerDNS Authoritative Server 4.7.3 (C)",
                Some("4.7.3"),
            ),
            ("rhumb 0.1.0 (abc)", Some("0.1.0")),
            ("HAProxy version 2.6.12-1+deb12u1", Some("2.6.12-1+deb12u1")),
            ("usage: frobnicate", None),
        ];
        for (said, version) in rows {
            assert_eq!(version_in(said).as_deref(), version, "{said}");
        }
    }
}
