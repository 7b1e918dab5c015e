//! Scenarios: files under `tests/scenarios` that say, line by line, what happens to a PoP and what its clients must see.
//!
//! ```text
//! ON core, pop                                    who plays it; `core` alone when this line is missing
//! CONFIG three-regions.yaml                       a file of the folder, and to it everything up to END
//! ...YAML...
//! END
//! HEALTH us down                                  from now on probes of this pool, region or address fail; `up`: pass
//! HEALTH us fail                                  one failed probe, now; `ok`: one that passes (core only)
//! TIME PASSES 2s
//! QUERY api.demo.test A from 2.16.0.0/24          what a resolver asks with a client subnet; `by 9.9.9.9` without one
//! REQUEST api.demo.test /path from 8.8.8.8
//! RELOAD REPLACING `us: 40` BY `us: 10`           in the whole config
//! FAILBACK primary-first                          an operator's word
//! EXPECT region eu-west-1                         of the last QUERY or REQUEST; also: no region
//! EXPECT verdict refused                          steered, fail_open, refused, no_service
//! EXPECT reason residency_exhausted
//! EXPECT code NOERROR | 451
//! EXPECT scope 24
//! EXPECT ttl 10
//! EXPECT addresses 192.0.2.1 192.0.2.2            in any order
//! EXPECT share us-east-1 40% of 1000              of that many like it; within the 99.9 % interval
//! EXPECT only eu-west-1 us-east-1 of 100          each of that many like it has one of these
//! EXPECT state us down
//! EXPECT reload refused                           or applied
//! EXPECT problem unknown pool                     words that the last reload's problems contain
//! ```
//!
//! One parser, two players: `core` under virtual time, `pop` on the binary's sockets, where TIME PASSES waits until the
//! PoP believes of every endpoint what the core would after that time.

mod core;
mod parse;
mod play;
mod pop;

use std::net::IpAddr;
use std::time::Duration;

use super::harness::wire::Subnet;

/// One file.
pub struct Scenario {
    pub name: String,
    pub on_pop: bool,
    pub config: String,
    pub steps: Vec<Line>,
}

/// One step and where it stands.
pub struct Line {
    pub number: usize,
    pub text: String,
    pub step: Step,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Health { who: String, serving: bool },
    Probe { who: String, success: bool },
    TimePasses(Duration),
    Ask(Ask),
    Reload { old: String, new: String },
    Failback(String),
    Expect(Expect),
}

/// What a client does.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    Query {
        name: String,
        rtype: u16,
        from: From,
    },
    Request {
        host: String,
        path: String,
        from: IpAddr,
    },
}

/// Who a query is from.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// A client of this network, by way of a resolver that says so.
    Subnet(Subnet),
    /// This resolver, which says nothing of its client.
    Resolver(IpAddr),
}

/// What must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    Region(Option<String>),
    Verdict(String),
    Reason(String),
    Code(String),
    Scope(u8),
    Ttl(u32),
    Addresses(Vec<IpAddr>),
    Share {
        region: String,
        percent: f64,
        of: usize,
    },
    Only {
        regions: Vec<String>,
        of: usize,
    },
    State {
        who: String,
        state: String,
    },
    Reload {
        applied: bool,
    },
    Problem(String),
}

/// How a reload ended.
#[derive(Clone, Debug, Default)]
pub struct Reloaded {
    pub applied: bool,
    pub problems: String,
}

fn scenarios() -> Vec<Scenario> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("tests/scenarios")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "scenario")
        })
        .collect();
    files.sort();
    assert!(files.len() >= 10, "the scenarios are there: {files:?}");
    files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).expect("a scenario");
            let name = file.file_name().expect("a name").to_string_lossy();
            parse::scenario(&name, &text, &folder).unwrap_or_else(|problem| panic!("{problem}"))
        })
        .collect()
}

#[test]
fn scenarios_hold_on_the_core() {
    let failed: Vec<String> = scenarios().iter().flat_map(core::play).collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}

#[test]
fn scenarios_hold_on_the_binary() {
    let scenarios: Vec<Scenario> = scenarios().into_iter().filter(|one| one.on_pop).collect();
    assert!(!scenarios.is_empty(), "some scenario runs on the binary");
    let failed: Vec<String> = scenarios.iter().flat_map(pop::play).collect();
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}
