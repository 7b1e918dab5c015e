//! The scenario language: timed steps while a config is under load. YAML in, a [`Scenario`] or every
//! problem with its line out, in the same manner as the config language.
//!
//! Names in it are looked up in the configs it names. Nothing is started or asked here.

mod check;
mod load;
mod steps;
mod written;

pub use written::How;

use crate::files::{Disk, Files};
use crate::problem::{Findings, Place, Sources};
use crate::tree::{self, Used};
use crate::{Loaded, Problem, Severity, de, rehearsal};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use steering::geo::Country;

/// The most bytes of a scenario file.
pub const MAX_BYTES: usize = 1 << 20;
/// The most steps of a scenario.
pub const MAX_STEPS: usize = 1_000;
/// The longest scenario: half an hour.
pub const MAX_DURATION: Duration = Duration::from_secs(30 * 60);
/// How long a scenario goes on after its last step, unless it says so.
pub const AFTER_LAST_STEP: Duration = Duration::from_secs(10);
/// Questions a second over DNS, unless the scenario says so.
pub const DNS_RATE: f64 = 500.0;
/// Requests a second over HTTP, unless the scenario says so.
pub const HTTP_RATE: f64 = 200.0;
/// The highest rate.
pub const MAX_RATE: f64 = 10_000_000.0;

/// A scenario that can be played: every name in it is known, every time in order.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file it was read from.
    pub file: PathBuf,
    /// The config under load.
    pub config: PathBuf,
    /// Servers that run already; `None` for a rehearsal on this machine.
    pub against: Option<Against>,
    /// Who asks for what, and how often.
    pub load: Load,
    /// From the start of the recording to its end.
    pub duration: Duration,
    /// What happens, in the order of time.
    pub steps: Vec<Step>,
    /// What must come of it.
    pub expect: Expect,
}

/// Servers that run already.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Against {
    /// Where DNS is asked.
    pub dns: Option<SocketAddr>,
    /// Where HTTP is asked.
    pub http: Option<SocketAddr>,
    /// Rhumb's admin address.
    pub admin: Option<SocketAddr>,
    /// By region: what fails and heals its origins.
    pub origins: BTreeMap<Arc<str>, Calls>,
}

/// What fails and heals the origins of a region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Requests that fail them.
    pub fail: Vec<Call>,
    /// Requests that heal them.
    pub heal: Vec<Call>,
}

/// An HTTP request without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// `GET`, `PUT`, `POST` or `DELETE`.
    pub method: String,
    /// Where.
    pub address: SocketAddr,
    /// Path and query.
    pub target: String,
}

/// Who asks for what, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Questions a second over DNS; 0 for none.
    pub dns: f64,
    /// Requests a second over HTTP; 0 for none.
    pub http: f64,
    /// Countries and their shares; empty for the whole world.
    pub clients: Vec<(Country, f64)>,
    /// Services by name; empty for all.
    pub services: Vec<String>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When, after the start of the recording.
    pub at: Duration,
    /// What.
    pub action: Action,
    /// Where it is written.
    pub place: Place,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Origins fail.
    Fail(Vec<Scope>, How),
    /// Origins are well again.
    Heal(Vec<Scope>),
    /// Another config is put in place.
    Reload(PathBuf),
    /// A failover policy returns to its first usable child, by an operator's word.
    Failback(Arc<str>),
    /// Questions a second from now on; `None` to leave a plane as it is.
    Rate {
        /// Over DNS.
        dns: Option<f64>,
        /// Over HTTP.
        http: Option<f64>,
    },
}

/// What fails or heals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every endpoint of a region.
    Region(Arc<str>),
    /// Every endpoint of a pool.
    Pool(Arc<str>),
    /// One endpoint, by its address in the config.
    Endpoint(SocketAddr),
    /// All endpoints.
    All,
}

/// What must come of a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Expect {
    /// Whether every failover must be within its service's rto.
    pub within_rto: bool,
    /// The most answers that name a region which may not serve the client.
    pub leaks: Option<u64>,
    /// The largest share of questions without an answer, 0 to 1.
    pub failed: Option<f64>,
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Region(name) => write!(f, "region {name}"),
            Self::Pool(name) => write!(f, "pool {name}"),
            Self::Endpoint(address) => write!(f, "endpoint {address}"),
            Self::All => f.write_str("all"),
        }
    }
}

impl std::fmt::Display for Action {
    /// In the words of the scenario file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fail(scopes, How::Failing) => write!(f, "fail {}", list(scopes)),
            Self::Fail(scopes, How::Refusing) => write!(f, "fail {} (refusing)", list(scopes)),
            Self::Fail(scopes, How::Resetting) => write!(f, "fail {} (resetting)", list(scopes)),
            Self::Fail(scopes, How::Silent) => write!(f, "fail {} (silent)", list(scopes)),
            Self::Heal(scopes) => write!(f, "heal {}", list(scopes)),
            Self::Reload(path) => {
                let name = path.file_name().unwrap_or(path.as_os_str());
                write!(f, "reload {}", name.to_string_lossy())
            }
            Self::Failback(policy) => write!(f, "failback {policy}"),
            Self::Rate { dns, http } => {
                let part = |name, rate: &Option<f64>| rate.map(|rate| format!("{name} {rate}/s"));
                let parts: Vec<String> = [part("dns", dns), part("http", http)]
                    .into_iter()
                    .flatten()
                    .collect();
                write!(f, "rate {}", parts.join(", "))
            }
        }
    }
}

fn list(scopes: &[Scope]) -> String {
    let all: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    all.join(", ")
}

impl Scenario {
    /// The config at the start and every one that a step puts in place, each once.
    pub fn configs(&self) -> Vec<&Path> {
        let mut all = vec![self.config.as_path()];
        for step in &self.steps {
            if let Action::Reload(path) = &step.action
                && !all.contains(&path.as_path())
            {
                all.push(path);
            }
        }
        all
    }
}

/// What came of reading a scenario.
#[derive(Debug)]
pub struct LoadedScenario {
    /// The scenario, unless one of the problems is an error.
    pub scenario: Option<Scenario>,
    /// Errors and warnings of the scenario, and errors of the configs it names.
    pub problems: Vec<Problem>,
}

/// Reads the scenario at `path`, and the configs it names.
pub fn load(path: &Path) -> LoadedScenario {
    load_with(path, &Disk, &|config| rehearsal::load(config))
}

/// Reads a scenario from these files; `config` reads the configs it names.
pub fn load_with(
    path: &Path,
    files: &dyn Files,
    config: &dyn Fn(&Path) -> Loaded,
) -> LoadedScenario {
    let mut findings = Findings::default();
    let mut sources = Sources::default();
    let mut problems = Vec::new();
    let mut scenario = None;
    let root = read(path, files, &mut sources, &mut findings);
    if let Some(root) = &root
        && let Some(written) = de::read::<written::Scenario>(root, &mut findings)
    {
        let mut check = check::Check::new(path, &mut findings, config);
        scenario = check.scenario(&written);
        problems = check.into_config_problems();
        let paths = tree::paths(root, findings.places());
        findings.fill_paths(|place| paths.get(&tree::position(place)).cloned());
    }
    let mut all = findings.into_problems(&sources);
    all.extend(problems);
    if all.iter().any(|p| p.severity == Severity::Error) {
        scenario = None;
    }
    LoadedScenario {
        scenario,
        problems: all,
    }
}

fn read(
    path: &Path,
    files: &dyn Files,
    sources: &mut Sources,
    findings: &mut Findings,
) -> Option<tree::Node> {
    let unreadable = match files.read(path, MAX_BYTES + 1) {
        Ok(bytes) if bytes.len() > MAX_BYTES => "a scenario has at most 1 MiB".to_owned(),
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => {
                let file = sources.add(path, text.as_str());
                return tree::parse(&text, file, &mut Used::default(), findings);
            }
            Err(_) => "it is not UTF-8 text".to_owned(),
        },
        Err(error) => error.to_string(),
    };
    let place = Place {
        file: sources.add(path, ""),
        ..Place::default()
    };
    let message = format!("{} cannot be read: {unreadable}", path.display());
    findings
        .error("unreadable", place, message)
        .hint("check the path and its permissions");
    None
}

/// The JSON Schema of the scenario language, from the very types that are read.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(written::Scenario).to_value()
}
