//! The command line as a person meets it: what `check` says and returns, what `explain` says without and with a running
//! PoP, and that `demo` starts and its lines work.

use crate::harness::clients::Dns;
use crate::harness::edited;
use crate::harness::pop::Pop;
use crate::harness::wire::Question;
use crate::parity::demo_config;
use crate::tool;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub fn rhumb(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rhumb"));
    let command = command
        .args(arguments)
        .env_remove("RHUMB_CONFIG")
        .stdin(Stdio::null());
    command.output().expect("the binary runs")
}

pub fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

pub fn file_with(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rhumb.yaml");
    fs::write(&file, text).expect("a file");
    (folder, file)
}

pub fn path(file: &Path) -> &str {
    file.to_str().expect("a path in UTF-8")
}

#[test]
fn every_example_passes_check() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples");
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("the examples") {
        let file = entry.expect("a file").path();
        let name = file
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        // The demo makes its certificate when it starts.
        if name.ends_with(".yaml") && name != "demo.yaml" {
            let output = rhumb(&["check", path(&file)]);
            assert_eq!(output.status.code(), Some(0), "{name}:\n{}", said(&output));
            seen += 1;
        }
    }
    assert!(seen >= 5, "five known deployments have an example");
    let (_folder, file) = file_with(&demo_config());
    let output = rhumb(&["check", path(&file)]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "demo.yaml:\n{}",
        said(&output)
    );
}

#[test]
fn check_shows_every_problem_with_its_line_and_returns_what_it_found() {
    let broken = edited(
        &demo_config(),
        "weighted: { us: 40, eu:",
        "weighted: { us: 40, ue:",
    );
    let broken = edited(
        &broken,
        "trusted_proxies: [127.0.0.0/8]",
        "trusted_proxys: [127.0.0.0/8]",
    );
    let broken = edited(&broken, "interval: 1s", "interval: 1 parsec");
    let (_folder, file) = file_with(&broken);
    let output = rhumb(&["check", path(&file)]);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    for (wrong, hint) in [
        ("ue:", "eu"),
        ("trusted_proxys", "trusted_proxies"),
        ("1 parsec", ""),
    ] {
        let line = broken
            .lines()
            .position(|line| line.contains(wrong))
            .expect("a broken line")
            + 1;
        assert!(
            text.contains(&format!("rhumb.yaml:{line}:")),
            "line {line} ({wrong}) in:\n{text}"
        );
        assert!(text.contains(hint), "a hint of {hint} in:\n{text}");
    }
    let json: serde_json::Value =
        serde_json::from_slice(&rhumb(&["check", "--format", "json", path(&file)]).stdout)
            .expect("JSON");
    assert_eq!(json["ok"], false);
    assert!(
        json["problems"]
            .as_array()
            .is_some_and(|problems| problems.len() >= 3),
        "{json:#}"
    );
    assert_eq!(
        rhumb(&["check", "/nowhere/rhumb.yaml"]).status.code(),
        Some(2)
    );
}

#[test]
fn a_failed_expectation_fails_the_check() {
    let lies = format!(
        "{}  - {{ service: us, client: 8.8.8.8, region: eu-west-1 }}\n",
        demo_config()
    );
    let (_folder, file) = file_with(&lies);
    let output = rhumb(&["check", path(&file)]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let line = lies.lines().count();
    assert!(
        said(&output).contains(&format!("rhumb.yaml:{line}:")),
        "{}",
        said(&output)
    );
}

#[test]
fn explain_says_the_same_from_the_config_and_from_the_running_pop() {
    let (_folder, file) = file_with(&demo_config());
    let pop = Pop::start(&demo_config());
    let admin = pop.places.admin.to_string();
    for (client, region) in [
        ("46.4.0.1", "eu-west-1"),
        ("8.8.8.8", "us-east-1"),
        ("202.166.0.1", "ap-southeast-1"),
    ] {
        for plane in ["dns", "http"] {
            let offline = rhumb(&[
                "explain",
                "api",
                client,
                "--plane",
                plane,
                "--config",
                path(&file),
            ]);
            let live = rhumb(&[
                "explain", "api", client, "--plane", plane, "--admin", &admin,
            ]);
            for output in [offline, live] {
                assert_eq!(output.status.code(), Some(0), "{}", said(&output));
                assert!(
                    said(&output).contains(&format!("region {region}")),
                    "{client}: {}",
                    said(&output)
                );
            }
        }
    }
    let down = rhumb(&[
        "explain",
        "api",
        "46.4.0.1",
        "--down",
        "eu",
        "--config",
        path(&file),
    ]);
    assert!(said(&down).contains("refused"), "{}", said(&down));
    let nobody = rhumb(&["explain", "apy", "46.4.0.1", "--config", path(&file)]);
    assert_ne!(nobody.status.code(), Some(0));
    assert!(
        said(&nobody).contains("api"),
        "the nearest service is named: {}",
        said(&nobody)
    );
    let lookup = rhumb(&["geoip", "lookup", "46.4.0.1"]);
    assert!(said(&lookup).contains("DE"), "{}", said(&lookup));
}

/// A demo; killed by its process id when dropped.
struct Demo {
    child: Child,
    folder: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let said = fs::File::create(folder.path().join("said")).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_rhumb"))
            .arg("demo")
            .current_dir(folder.path())
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("a file"))
            .stderr(said)
            .spawn()
            .expect("the binary runs");
        Self { child, folder }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }

    /// What it prints once it runs.
    fn tour(&mut self) -> String {
        for _ in 0..3_000 {
            let said = self.said();
            if said.contains("dig ") && said.contains("/health/down") {
                return said;
            }
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none(), "the demo ended with {ended:?}:\n{said}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("the demo prints no tour:\n{}", self.said());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_demo_starts_anywhere_and_what_it_prints_is_so() {
    let mut demo = Demo::start();
    let tour = demo.tour();
    let mut tried = 0;
    for line in tour
        .lines()
        .filter(|line| line.contains("+subnet=") && line.contains('#'))
    {
        let word = |before: &str| {
            let rest = line
                .split_once(before)
                .map(|(_, rest)| rest)
                .unwrap_or_default();
            rest.split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let server: SocketAddr = format!("{}:{}", word("@"), word("-p "))
            .parse()
            .expect("an address");
        let question =
            Question::a("api.demo.test").with(word("+subnet=").parse().expect("a network"));
        let reply = Dns::new(server).ask(&question).expect("an answer");
        let address = reply.addresses()[0].to_string();
        assert!(
            line.contains(&address),
            "{address} is not what this line says: {line}"
        );
        tried += 1;
    }
    assert!(tried >= 4, "four clients to try:\n{tour}");
    if tool::is_here("curl", "--version") {
        curl_lines_are_answered(&tour);
    }
}

/// Every curl line that asks for a page is run as it was printed; the one over HTTPS is among them.
fn curl_lines_are_answered(tour: &str) {
    let asks = |line: &&str| {
        line.trim_start().starts_with("curl ")
            && line.contains("demo.test")
            && !line.contains("PUT")
    };
    let lines: Vec<&str> = tour.lines().filter(asks).collect();
    assert!(lines.iter().any(|line| line.contains("https://")), "{tour}");
    for line in lines {
        let output = Command::new("sh")
            .arg("-c")
            .arg(line)
            .output()
            .expect("a shell");
        let text = said(&output);
        assert!(
            output.status.success() && !text.is_empty(),
            "{line}\n{text}"
        );
        if !line.contains(" -i") {
            assert!(text.contains("\"region\""), "{line}\n{text}");
        }
    }
}
