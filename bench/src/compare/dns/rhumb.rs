//! Rhumb as one of those compared: its config for the DNS works, in tables of any number of services, and
//! the subject that reads its answers.

use super::ground::{Ground, static_records};
use super::peers::replace;
use super::works::{GEO, NXDOMAIN, RELOAD, SERVICES, STATIC, WEIGHTED, service_name};
use crate::compare::{Cannot, CompareError, Launch, Peer, Place, Program, Programs, version};
use crate::subject::Subject;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use steering::{Snapshot, Table, Timestamp};

const CONFIG: &str = include_str!("../../../peers/dns/rhumb.yaml");
const ZONE: &str = include_str!("../../../peers/dns/bench.test.zone");

/// Rhumb.
pub struct Rhumb {
    /// What it is called here: it takes part more than once where tables of different sizes are compared.
    pub name: &'static str,
    /// How many services its table has beside those of the works.
    pub services: usize,
    /// What all stand on.
    pub ground: Arc<Ground>,
}

impl Peer for Rhumb {
    fn name(&self) -> &'static str {
        self.name
    }

    fn find(&self, programs: &Programs) -> Result<Program, String> {
        let path = &programs.rhumb;
        let version = version(path, &["--version"])
            .ok_or_else(|| format!("{} is no rhumb; build it", path.display()))?;
        Ok(Program {
            path: path.clone(),
            version,
        })
    }

    fn launch(&self, program: &Program, work: &str, place: &Place) -> Result<Launch, Cannot> {
        if !matches!(work, STATIC | NXDOMAIN | WEIGHTED | GEO | RELOAD | SERVICES) {
            return Err(Cannot::work("not asked of it"));
        }
        let config = self.config(place)?;
        let path = place.write("rhumb.yaml", &config)?;
        let names = [
            ("NAMES", super::ground::STATIC_NAMES.to_string()),
            ("SERIAL", "1".to_owned()),
        ];
        let names = names.each_ref().map(|(name, value)| (*name, &**value));
        let zone = self.ground.fill(ZONE, place, &names)? + &static_records();
        place.write("bench.test.zone", &zone)?;
        let mut launch = Launch::new(
            &program.path,
            ["run".into(), "--config".into(), path.into_os_string()],
        );
        if work == RELOAD {
            let place = place.clone();
            launch.reload = Some(Arc::new(move |n, pid| {
                // A changed serial, so that there is something to reload.
                let zone = zone.replacen(". 1 7200", &format!(". {} 7200", n + 1), 1);
                replace(&place, "bench.test.zone", &zone)?;
                kill(Pid::from_raw(pid as i32), Signal::SIGHUP).map_err(|e| e.to_string())
            }));
        }
        Ok(launch)
    }
}

impl Rhumb {
    fn config(&self, place: &Place) -> Result<String, Cannot> {
        let mut services = String::new();
        for i in 0..self.services {
            // Writing to a String can't fail.
            let _ = writeln!(
                services,
                "  s{i}: {{ policy: nearest, residency: gdpr, dns: {{ names: [{}], ttl: 60s }} }}",
                service_name(i)
            );
        }
        self.ground.fill(CONFIG, place, &[("SERVICES", &services)])
    }
}

/// The regions behind the addresses that everybody answers with, out of Rhumb's own config.
///
/// # Errors
/// When the config is not right: a defect of this module.
pub fn subject(ground: &Arc<Ground>) -> Result<Subject, CompareError> {
    let setup = |what: String| CompareError::Setup(format!("the bench's own config: {what}"));
    let rhumb = Rhumb {
        name: "rhumb",
        services: 0,
        ground: ground.clone(),
    };
    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 53));
    let place = Place {
        folder: Path::new("/nonexistent").to_owned(),
        address: nowhere,
        control: nowhere,
    };
    let config = rhumb.config(&place).map_err(|e| setup(e.to_string()))?;
    let loaded = config::load_str("rhumb.yaml", &config);
    let checked = loaded.checked.ok_or_else(|| {
        let first = loaded.problems.first();
        setup(first.map_or_else(String::new, |problem| problem.render()))
    })?;
    let table = Table::compile(checked.table.clone()).map_err(|e| setup(format!("{e:?}")))?;
    let snapshot = Snapshot::new(Arc::new(table), ground.geo.clone(), Timestamp(1));
    Subject::new(&checked, &snapshot).map_err(|e| setup(e.to_string()))
}
