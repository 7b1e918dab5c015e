//! Broken scenarios and exactly what is said of them, and the ones we ship: each is playable.
//!
//! `tests/scenarios/NAME.yaml` gives `NAME.txt`. `UPDATE_GOLDEN=1 cargo test -p rhumb-config` writes
//! the texts anew; read the difference before committing it.

use config::scenario::{Action, How, Scope};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn report(file: &Path) -> String {
    let text = config::problem::render(&config::scenario::load(file).problems);
    text.replace(&format!("{}/", folder().display()), "")
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder of scenarios")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .filter(|path| !path.ends_with("config.yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_problem_is_told_with_its_line() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let files = yaml_files(&folder());
    assert!(files.len() >= 5, "the broken scenarios are found");
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

/// A scenario for the config of the broken ones.
fn played(text: &str) -> config::scenario::Scenario {
    let files = config::Memory {
        files: [(folder().join("one.yaml"), text.to_owned())].into(),
        assume: false,
    };
    let load = |path: &Path| config::rehearsal::load(path);
    let loaded = config::scenario::load_with(&folder().join("one.yaml"), &files, &load);
    assert!(
        loaded.problems.is_empty(),
        "{}",
        config::problem::render(&loaded.problems)
    );
    loaded.scenario.expect("no problem, so a scenario")
}

#[test]
fn what_is_not_written_has_a_default() {
    let scenario = played("version: 1\nconfig: config.yaml\n");
    assert_eq!(scenario.config, folder().join("config.yaml"));
    assert_eq!(scenario.load.dns, config::scenario::DNS_RATE);
    assert_eq!(scenario.load.http, config::scenario::HTTP_RATE);
    assert!(scenario.load.clients.is_empty() && scenario.load.services.is_empty());
    assert_eq!(scenario.duration, config::scenario::AFTER_LAST_STEP);
    assert!(scenario.steps.is_empty() && scenario.against.is_none());
}

#[test]
fn steps_say_what_fails_and_how() {
    let steps = "\
version: 1
config: config.yaml
load: { dns: { rate: 50 }, http: { rate: 0 }, clients: { SE: 70, NO: 30 }, services: [api] }
steps:
  - { at: 1s, fail: [region north, region south] }
  - { at: 2s, fail: pool s, how: silent }
  - { at: 3s, heal: \"endpoint 192.0.2.20:80\" }
  - { at: 4s, heal: all }
  - { at: 5s, rate: { http: 20 } }
  - { at: 6s, rate: 10 }
  - { at: 7s, failback: first }
  - { at: 8s, reload: config.yaml }
";
    let scenario = played(steps);
    let told: Vec<String> = scenario
        .steps
        .iter()
        .map(|s| s.action.to_string())
        .collect();
    assert_eq!(
        told,
        [
            "fail region north, region south",
            "fail pool s (silent)",
            "heal endpoint 192.0.2.20:80",
            "heal all",
            "rate http 20/s",
            "rate dns 10/s, http 10/s",
            "failback first",
            "reload config.yaml",
        ]
    );
    let first = Action::Fail(
        vec![Scope::Region("north".into()), Scope::Region("south".into())],
        How::Failing,
    );
    assert_eq!(scenario.steps[0].action, first);
    assert_eq!(scenario.duration, Duration::from_secs(18));
    assert_eq!(scenario.load.clients.len(), 2, "NO is Norway");
}

#[test]
fn the_examples_have_scenarios_that_can_be_played() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/scenarios");
    let files = yaml_files(&shipped);
    for name in ["genai-demo", "keiko", "kaldrix", "eagle", "eden"] {
        let named = |file: &PathBuf| file.file_stem().is_some_and(|s| s == name);
        assert!(files.iter().any(named), "{name} has a scenario");
    }
    for file in files {
        // Variants that a scenario reloads stand in the same folder.
        let text = fs::read_to_string(&file).expect("a file");
        if !text.contains("\nsteps:") {
            continue;
        }
        let loaded = config::scenario::load(&file);
        assert!(
            loaded.scenario.is_some() && loaded.problems.is_empty(),
            "{}:\n{}",
            file.display(),
            config::problem::render(&loaded.problems)
        );
    }
}
