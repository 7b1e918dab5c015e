//! What docs/dns.md shows is what comes out: its commands are run against a Rhumb that serves the example it is about,
//! and its fragments of configuration are read.
//!
//! A fenced block `console` holds commands behind `$ ` and what they print; a line `...` stands for any lines.

use crate::harness::clients::Http;
use crate::harness::pop::free_port;
use crate::tool;
use serde_json::json;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const EXAMPLE: &str = "authoritative.yaml";
/// The server that the page's commands ask.
const SERVER: &str = "@192.0.2.53";
const PATIENCE: Duration = Duration::from_secs(60);

fn examples() -> std::path::PathBuf {
    Path::new(ROOT).join("deploy/examples")
}

fn page() -> String {
    std::fs::read_to_string(Path::new(ROOT).join("docs/dns.md")).expect("the page")
}

/// The fenced blocks of a kind.
fn blocks(page: &str, kind: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(of)) => {
                open = (of.trim() == kind).then(String::new);
                if open.is_none() {
                    // Another kind: up to its end nothing is taken.
                    open = Some("\u{0}".to_owned());
                }
            }
            (Some(_), Some(_)) => {
                let block = open.take().unwrap_or_default();
                if !block.starts_with('\u{0}') {
                    blocks.push(block);
                }
            }
            (Some(block), None) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// The commands of the page, each with what it is said to print.
fn commands(page: &str) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for block in blocks(page, "console") {
        for line in block.lines() {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
                (None, Some((_, printed))) => printed.extend(words(line)),
                (None, None) => panic!("the block does not begin with a command: {line}"),
            }
        }
    }
    commands
}

/// A line with one space between its words; nothing of an empty one.
fn words(line: &str) -> Option<String> {
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

/// Whether `printed` is what is `shown`, where `...` stands for any lines.
fn agrees(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=printed.len()).any(|skipped| agrees(rest, &printed[skipped..]))
        }
        Some((first, rest)) => printed.first() == Some(first) && agrees(rest, &printed[1..]),
    }
}

/// The same where the order says nothing: addresses are rotated.
fn agrees_in_any_order(shown: &[String], printed: &[String]) -> bool {
    let whole = !shown.iter().any(|line| line == "...");
    let all_there = shown
        .iter()
        .all(|line| line == "..." || printed.contains(line));
    all_there && (!whole || shown.len() == printed.len())
}

fn lines_of(program: &str, args: &[String]) -> Vec<String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(examples())
        .env_remove("RHUMB_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8(printed).expect("text");
    printed.lines().filter_map(words).collect()
}

/// The example, served on loopback: its endpoints are listeners here.
struct Served {
    child: Child,
    dns: SocketAddr,
    admin: SocketAddr,
    _endpoints: Vec<TcpListener>,
}

impl Served {
    fn start(folder: &Path) -> Self {
        let checked = config::load(&examples().join(EXAMPLE)).checked;
        let table = checked.expect("the example is fine").table;
        let mut endpoints = Vec::new();
        let mut stand_ins = serde_json::Map::new();
        for pool in &table.pools {
            for endpoint in &pool.endpoints {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                let address = listener.local_addr().expect("its address").to_string();
                stand_ins.insert(endpoint.address.to_string(), json!(address));
                endpoints.push(listener);
            }
        }
        let (dns, admin) = (free_port(), free_port());
        let plan = json!({ "endpoints": stand_ins, "listen": { "dns": [dns], "admin": admin } });
        let file = folder.join("plan.json");
        std::fs::write(&file, plan.to_string()).expect("the plan");
        let child = Command::new(env!("CARGO_BIN_EXE_rhumb"))
            .args(["run", "--config", EXAMPLE, "--rehearsal"])
            .arg(&file)
            .current_dir(examples())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).expect("a log"))
            .spawn()
            .expect("the binary starts");
        let served = Self {
            child,
            dns,
            admin,
            _endpoints: endpoints,
        };
        served.wait(folder);
        served
    }

    fn wait(&self, folder: &Path) {
        let end = Instant::now() + PATIENCE;
        let is_ready = || {
            let ready = Http::new(self.admin).get("/readyz");
            ready.is_ok_and(|response| response.status == 200)
        };
        while !is_ready() {
            let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "it does not start:\n{}", log());
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_command_of_the_page_prints_what_it_shows() {
    let commands = commands(&page());
    let folder = tempfile::tempdir().expect("a folder");
    let served = Served::start(folder.path());
    let has_dig = tool::is_here("dig", "-v");
    let mut wrong = Vec::new();
    let mut run = 0;
    for (command, shown) in &commands {
        let args: Vec<String> = command
            .split_whitespace()
            .flat_map(|word| match word {
                SERVER => vec![
                    format!("@{}", served.dns.ip()),
                    format!("-p{}", served.dns.port()),
                ],
                word => vec![word.to_owned()],
            })
            .collect();
        let (program, args) = args.split_first().expect("a command");
        let (printed, right) = match program.as_str() {
            "dig" if !has_dig => continue,
            "dig" => {
                let printed = lines_of("dig", args);
                let right = agrees_in_any_order(shown, &printed);
                (printed, right)
            }
            "rhumb" => {
                let printed = lines_of(env!("CARGO_BIN_EXE_rhumb"), args);
                let right = agrees(shown, &printed);
                (printed, right)
            }
            other => panic!("the page runs {other}, which no test knows"),
        };
        run += 1;
        if !right {
            wrong.push(format!("$ {command}\n{}\n", printed.join("\n")));
        }
    }
    assert!(run >= 5, "the page's commands were not found");
    assert!(
        wrong.is_empty(),
        "docs/dns.md shows something else; what is printed is:\n\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_fragment_of_configuration_is_read() {
    /// What a fragment may lack, since it is one: names and files of the rest.
    const BEYOND: [&str; 12] = [
        "unknown_region",
        "unknown_jurisdiction",
        "unknown_health_check",
        "unknown_pool",
        "unknown_policy",
        "unknown_residency",
        "unknown_service",
        "unknown_name",
        "unknown_key_name",
        "missing_file",
        "outside_zones",
        "missing_region",
    ];
    let fragments = blocks(&page(), "yaml");
    assert!(fragments.len() >= 5, "the page's fragments were not found");
    let mut wrong = Vec::new();
    for fragment in fragments {
        let text = match fragment.contains("version: 1") {
            true => fragment.clone(),
            false => format!("version: 1\n{fragment}"),
        };
        let loaded = config::load_str("docs.yaml", &text);
        let errors = loaded.problems.iter().filter(|problem| {
            let is_elsewhere = BEYOND.contains(&problem.code)
                || problem.message.contains("does not hold a cookie secret");
            problem.severity == config::Severity::Error && !is_elsewhere
        });
        wrong.extend(errors.map(|problem| format!("{} {problem}\n{fragment}", problem.code)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lines_agree_as_they_are_shown() {
    let lines = |text: &str| -> Vec<String> { text.lines().filter_map(words).collect() };
    assert!(agrees(&lines("a\nb"), &lines("a \n\n b")));
    assert!(!agrees(&lines("a\nb"), &lines("a")));
    assert!(agrees(&lines("a\n...\nd"), &lines("a\nb\nc\nd")));
    assert!(agrees(&lines("a\n..."), &lines("a")));
    assert!(!agrees(&lines("a\n...\nd"), &lines("a\nb")));
    let page = "```console\n$ one x\n1\n\n$ two\n```\n```yaml\na: 1\n```\n";
    assert_eq!(
        commands(page)[0],
        ("one x".to_owned(), vec!["1".to_owned()])
    );
    assert_eq!(blocks(page, "yaml"), ["a: 1\n"]);
}
