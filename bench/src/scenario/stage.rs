//! Where a scenario is played: a rehearsal with stand-ins and a Rhumb of its own on this machine, or
//! servers that run already. What it started, it ends.

use super::ScenarioError;
use super::call::call;
use super::loaded::Configs;
use super::standins::StandIns;
use super::status::Status;
use crate::compare::{Launch, Server};
use crate::origin::tls::Authority;
use crate::ports;
use config::Severity;
use config::rehearsal::{self, Listeners, Plan, SecureListener};
use config::scenario::{Against, Call, How, Scenario, Scope};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a server may take until it takes clients.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often a server is started anew when somebody else was quicker to take one of its ports.
const STARTS: usize = 3;

/// Where the questions go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places {
    pub(super) dns: Option<SocketAddr>,
    pub(super) http: Option<SocketAddr>,
    pub(super) admin: Option<SocketAddr>,
}

/// The stage.
pub(super) struct Stage {
    pub(super) places: Places,
    set: Set,
}

enum Set {
    Rehearsal(Rehearsal),
    Given(Against),
}

/// A Rhumb of its own. Dropped in this order: the server, what it steers to, its files.
struct Rehearsal {
    server: Server,
    stand_ins: StandIns,
    folder: TempDir,
}

/// Sets the stage and reads the configs as they are served on it.
///
/// # Errors
/// When a config does not run, or the server or an origin does not start.
pub(super) fn set(scenario: &Scenario, rhumb: &Path) -> Result<(Stage, Configs), ScenarioError> {
    match &scenario.against {
        Some(against) => {
            let configs = Configs::load(scenario, None)?;
            Ok((given(against)?, configs))
        }
        None => rehearse(scenario, rhumb),
    }
}

fn given(against: &Against) -> Result<Stage, ScenarioError> {
    if let Some(admin) = against.admin {
        is_ready(admin).map_err(|reason| ScenarioError::Admin(admin, reason))?;
    }
    Ok(Stage {
        places: Places {
            dns: against.dns,
            http: against.http,
            admin: against.admin,
        },
        set: Set::Given(against.clone()),
    })
}

fn rehearse(scenario: &Scenario, rhumb: &Path) -> Result<(Stage, Configs), ScenarioError> {
    let mut written = Vec::new();
    for path in scenario.configs() {
        let loaded = rehearsal::load(path);
        let errors = loaded.problems.into_iter();
        let errors = errors.filter(|problem| problem.severity == Severity::Error);
        written.push(
            loaded
                .checked
                .ok_or(ScenarioError::Config(errors.collect()))?,
        );
    }
    let folder = tempfile::Builder::new()
        .prefix("rhumb-rehearsal-")
        .tempdir();
    let folder = folder.map_err(ScenarioError::Folder)?;
    let authority = Authority::new()?;
    let stand_ins = StandIns::start(&written, &authority)?;
    let has_https = written
        .iter()
        .any(|checked| !checked.listen.https.is_empty());
    write_certificates(folder.path(), &authority).map_err(ScenarioError::Folder)?;
    put(folder.path(), &scenario.config).map_err(ScenarioError::Folder)?;
    let mut starts = 0;
    loop {
        starts += 1;
        let plan = plan(&stand_ins, has_https).map_err(ScenarioError::Folder)?;
        let places = Places {
            dns: plan.listen.dns.first().copied(),
            http: plan.listen.http.first().copied(),
            admin: plan.listen.admin,
        };
        match serve(rhumb, folder.path(), &plan) {
            Ok(server) => {
                let plan = plan.from_folder(folder.path())?;
                let configs = Configs::load(scenario, Some(&plan))?;
                let set = Set::Rehearsal(Rehearsal {
                    server,
                    stand_ins,
                    folder,
                });
                return Ok((Stage { places, set }, configs));
            }
            // Another process was quicker to take one of the ports.
            Err(error) if starts < STARTS && error.to_string().contains("in use") => {}
            Err(error) => return Err(error),
        }
    }
}

fn serve(rhumb: &Path, folder: &Path, plan: &Plan) -> Result<Server, ScenarioError> {
    let file = folder.join("plan.json");
    let text = serde_json::to_vec_pretty(plan).map_err(io::Error::other);
    text.and_then(|text| std::fs::write(&file, text))
        .map_err(ScenarioError::Folder)?;
    let arguments: [OsString; 5] = [
        "run".into(),
        "--config".into(),
        folder.join(CONFIG).into(),
        "--rehearsal".into(),
        file.into(),
    ];
    let start = |error: crate::compare::Cannot| ScenarioError::Server(error.to_string());
    let mut server = Server::start(&Launch::new(rhumb, arguments), folder, None).map_err(start)?;
    server
        .wait_ready(READY_WITHIN, || {
            plan.listen
                .admin
                .is_some_and(|admin| is_ready(admin).is_ok())
        })
        .map_err(start)?;
    Ok(server)
}

fn is_ready(admin: SocketAddr) -> Result<(), String> {
    let answer = call(admin, "GET", "/readyz").map_err(|error| error.to_string())?;
    match answer.status {
        200 => Ok(()),
        other => Err(format!("it answers {other}: {}", answer.body.trim())),
    }
}

/// The config that the server is started with: it includes the one that is played.
const CONFIG: &str = "rehearsal.yaml";
const CA: &str = "ca.pem";
const CERT: &str = "front.pem";
const KEY: &str = "front.key";

/// Puts a config in the server's place, as an editor does: a reader sees the old or the new, never half.
fn put(folder: &Path, config: &Path) -> io::Result<()> {
    let path = std::path::absolute(config)?;
    let escaped: String = path
        .to_string_lossy()
        .chars()
        .map(|c| match c {
            // Where these stand, a path is read as a pattern.
            '*' | '?' | '[' => format!("[{c}]"),
            other => other.to_string(),
        })
        .collect();
    let quoted = serde_json::to_string(&escaped).map_err(io::Error::other)?;
    let text = format!("version: 1\ninclude: [{quoted}]\n");
    let file = folder.join(CONFIG);
    let new = folder.join("rehearsal.new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, &file)
}

fn write_certificates(folder: &Path, authority: &Authority) -> io::Result<()> {
    let front = authority.identity(&["localhost", "127.0.0.1"]);
    let front = front.map_err(io::Error::other)?;
    std::fs::write(folder.join(CA), authority.ca_pem())?;
    std::fs::write(folder.join(CERT), front.chain_pem)?;
    std::fs::write(folder.join(KEY), front.key_pem)
}

fn plan(stand_ins: &StandIns, has_https: bool) -> io::Result<Plan> {
    let https = if has_https {
        vec![SecureListener {
            address: ports::free()?,
            cert: CERT.into(),
            key: KEY.into(),
        }]
    } else {
        Vec::new()
    };
    Ok(Plan {
        endpoints: stand_ins.endpoints.clone(),
        listen: Listeners {
            dns: vec![ports::free()?],
            http: vec![ports::free()?],
            https,
            admin: Some(ports::free()?),
        },
        ca_file: Some(CA.into()),
        ca_pem: None,
    })
}

impl Stage {
    /// The server's pid, where it is one of ours.
    pub(super) fn pid(&self) -> Option<u32> {
        match &self.set {
            Set::Rehearsal(rehearsal) => Some(rehearsal.server.pid()),
            Set::Given(_) => None,
        }
    }

    /// Why nothing goes on any more, if so.
    pub(super) fn broke(&self) -> Option<ScenarioError> {
        let Set::Rehearsal(rehearsal) = &self.set else {
            return None;
        };
        let ended = rehearsal.server.has_ended()?;
        Some(ScenarioError::Server(
            rehearsal.server.failure(&ended).to_string(),
        ))
    }

    /// What the server says of itself; `None` without an admin address.
    pub(super) fn status(&self) -> Result<Option<Status>, ScenarioError> {
        self.places.admin.map(Status::of).transpose()
    }

    /// Fails what is named.
    pub(super) fn fail(
        &self,
        scopes: &[Scope],
        endpoints: &BTreeSet<SocketAddr>,
        how: How,
    ) -> Result<(), ScenarioError> {
        match &self.set {
            Set::Rehearsal(rehearsal) => rehearsal.stand_ins.fail(endpoints, how),
            Set::Given(against) => {
                let mut calls = meant(against, scopes).flat_map(|origin| &origin.fail);
                calls.try_for_each(made)
            }
        }
    }

    /// Heals what is named.
    pub(super) fn heal(
        &self,
        scopes: &[Scope],
        endpoints: &BTreeSet<SocketAddr>,
    ) -> Result<(), ScenarioError> {
        match &self.set {
            Set::Rehearsal(rehearsal) => rehearsal.stand_ins.heal(endpoints),
            Set::Given(against) => {
                let mut calls = meant(against, scopes).flat_map(|origin| &origin.heal);
                calls.try_for_each(made)
            }
        }
    }

    /// Puts a config in place.
    pub(super) fn put(&self, config: &Path) -> Result<(), ScenarioError> {
        match &self.set {
            Set::Rehearsal(rehearsal) => {
                put(rehearsal.folder.path(), config).map_err(ScenarioError::Folder)
            }
            // The checker of scenarios has refused this.
            Set::Given(_) => Ok(()),
        }
    }

    /// Lets a failover policy return.
    pub(super) fn failback(&self, policy: &str) -> Result<(), ScenarioError> {
        let Some(address) = self.places.admin else {
            return Ok(());
        };
        let encoded: String = policy
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect();
        made(&Call {
            method: "POST".to_owned(),
            address,
            target: format!("/failback?policy={encoded}"),
        })
    }

    /// When one of these origins first saw a probe since then that passed, or did not.
    pub(super) fn first_probe(
        &self,
        endpoints: &BTreeSet<SocketAddr>,
        since: Instant,
        passed: bool,
    ) -> Option<Instant> {
        match &self.set {
            Set::Rehearsal(rehearsal) => rehearsal.stand_ins.first_probe(endpoints, since, passed),
            Set::Given(_) => None,
        }
    }
}

/// The calls of the origins that scopes name.
fn meant<'a>(
    against: &'a Against,
    scopes: &'a [Scope],
) -> impl Iterator<Item = &'a config::scenario::Calls> {
    let origins = against.origins.iter();
    origins
        .filter(|(region, _)| {
            scopes.iter().any(|scope| match scope {
                Scope::Region(name) => name == *region,
                Scope::All => true,
                Scope::Pool(_) | Scope::Endpoint(_) => false,
            })
        })
        .map(|(_, calls)| calls)
}

fn made(one: &Call) -> Result<(), ScenarioError> {
    let told = format!("{} http://{}{}", one.method, one.address, one.target);
    match call(one.address, &one.method, &one.target) {
        Ok(answer) if answer.status < 300 => Ok(()),
        Ok(answer) => Err(ScenarioError::Call(
            told,
            format!("answered {}", answer.status),
        )),
        Err(error) => Err(ScenarioError::Call(told, error.to_string())),
    }
}
