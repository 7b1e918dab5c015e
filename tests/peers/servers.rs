//! The servers: each on a port of its own, with these zones and as little else as it can be told, so that what differs is
//! what it thinks of the question.
//!
//! Started in the foreground in folders of their own and ended by their process ids.

use crate::ask::{Asker, Over, Question};
use crate::message::{AA, rtype};
use crate::name::Name;
use crate::zones::World;
use bench::compare::{Launch, Programs, Server, path_of};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// How long a start may take: a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a server is started again when its port was taken meanwhile.
const STARTS: usize = 3;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Rhumb,
    Knot,
    Nsd,
    Bind,
    Gdnsd,
}

impl Who {
    /// The program, and a flag that makes it tell its version.
    fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Rhumb => ("rhumb", "--version"),
            Self::Knot => ("knotd", "--version"),
            Self::Nsd => ("nsd", "-v"),
            Self::Bind => ("named", "-v"),
            Self::Gdnsd => ("gdnsd", "-V"),
        }
    }

    /// Whether it is installed; see [`crate::tool`].
    pub fn is_here(self) -> bool {
        self.path().is_some() || {
            let (name, flag) = self.program();
            crate::tool::is_here(name, flag)
        }
    }

    fn path(self) -> Option<PathBuf> {
        match self {
            Self::Rhumb => Some(env!("CARGO_BIN_EXE_rhumb").into()),
            _ => path_of(&Programs::default(), self.program().0),
        }
    }
}

/// A server that runs.
pub struct Running {
    pub address: SocketAddr,
    _server: Server,
    _folder: TempDir,
}

impl Running {
    /// Starts it with the zones of a world; waits until it answers for all of them.
    pub fn start(who: Who, world: &World) -> Self {
        let configure = |folder: &Path, at: SocketAddr| {
            for (i, zone) in world.zones.iter().enumerate() {
                write(folder, &format!("{i}.zone"), &zone.text)?;
            }
            match who {
                Who::Rhumb => rhumb(folder, at, world),
                Who::Knot => knot(folder, at, world),
                Who::Nsd => nsd(folder, at, world),
                Who::Bind => bind(folder, at, world),
                Who::Gdnsd => Err("it is not asked about static zones".to_owned()),
            }
        };
        let apexes: Vec<Name> = world.zones.iter().map(|zone| zone.apex.clone()).collect();
        Self::configured(who, &apexes, configure)
    }

    /// Starts it with what `configure` writes into its folder, which gives the arguments of its program; waits until it
    /// answers for these zones.
    pub fn configured(
        who: Who,
        apexes: &[Name],
        configure: impl Fn(&Path, SocketAddr) -> Result<Vec<String>, String>,
    ) -> Self {
        let mut why = String::new();
        for _ in 0..STARTS {
            match Self::try_start(who, apexes, &configure) {
                Ok(running) => return running,
                Err(error) => why = error,
            }
        }
        panic!("{who:?} does not start: {why}");
    }

    fn try_start(
        who: Who,
        apexes: &[Name],
        configure: &impl Fn(&Path, SocketAddr) -> Result<Vec<String>, String>,
    ) -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let address = bench::ports::free().map_err(|error| error.to_string())?;
        let program = who.path().ok_or("it is not here")?;
        let launch = Launch::new(&program, configure(folder.path(), address)?);
        let mut server =
            Server::start(&launch, folder.path(), None).map_err(|error| error.to_string())?;
        let ready = || {
            let mut asker = Asker::new(address);
            apexes.iter().all(|apex| {
                let question = Question::new(apex.clone(), rtype("SOA"), Over::Udp(Some(512)));
                let answer = asker.ask(&question);
                answer.is_ok_and(|answer| answer.rcode == 0 && answer.is(AA))
            })
        };
        server
            .wait_ready(PATIENCE, ready)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            address,
            _server: server,
            _folder: folder,
        })
    }
}

pub fn write(folder: &Path, name: &str, text: &str) -> Result<String, String> {
    let path = folder.join(name);
    std::fs::write(&path, text).map_err(|error| error.to_string())?;
    Ok(path.display().to_string())
}

/// Each zone's name and file, as one server's config has them.
fn zones(world: &World, folder: &Path, mut line: impl FnMut(&str, &str) -> String) -> String {
    let mut text = String::new();
    for (i, zone) in world.zones.iter().enumerate() {
        let file = folder.join(format!("{i}.zone")).display().to_string();
        text.push_str(&line(&zone.apex.to_string(), &file));
    }
    text
}

fn rhumb(folder: &Path, at: SocketAddr, world: &World) -> Result<Vec<String>, String> {
    let zones = zones(world, folder, |apex, file| {
        format!("  \"{apex}\": {{ file: \"{file}\" }}\n")
    });
    let state = folder.join("state").display().to_string();
    let config = format!(
        "version: 1\npop: {{ name: peers, location: {{ country: DE }} }}\nworkers: 1\nstate_dir: {state}\n\
         zones:\n{zones}listen:\n  dns: [{{ address: \"{at}\" }}]\n"
    );
    let config = write(folder, "rhumb.yaml", &config)?;
    Ok(vec!["run".into(), "--config".into(), config])
}

fn knot(folder: &Path, at: SocketAddr, world: &World) -> Result<Vec<String>, String> {
    let zones = zones(world, folder, |apex, file| {
        format!(
            "  - domain: \"{apex}\"\n    file: \"{file}\"\n    zonefile-sync: -1\n    journal-content: none\n"
        )
    });
    let (ip, port, here) = (at.ip(), at.port(), folder.display());
    let config = format!(
        "server:\n    rundir: \"{here}\"\n    listen: {ip}@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    \
         background-workers: 1\n    udp-max-payload: 4096\n    edns-client-subnet: on\nlog:\n  - target: stderr\n    any: warning\ncontrol:\n    \
         listen: \"{here}/knot.sock\"\ndatabase:\n    storage: \"{here}/db\"\nzone:\n{zones}"
    );
    Ok(vec!["-c".into(), write(folder, "knot.conf", &config)?])
}

fn nsd(folder: &Path, at: SocketAddr, world: &World) -> Result<Vec<String>, String> {
    let zones = zones(world, folder, |apex, file| {
        format!("zone:\n    name: \"{apex}\"\n    zonefile: \"{file}\"\n")
    });
    let (ip, port, here) = (at.ip(), at.port(), folder.display());
    let config = format!(
        "server:\n    ip-address: {ip}@{port}\n    server-count: 1\n    do-ip6: no\n    username: \"\"\n    chroot: \"\"\n    \
         zonesdir: \"{here}\"\n    database: \"\"\n    pidfile: \"\"\n    zonelistfile: \"{here}/zone.list\"\n    \
         xfrdfile: \"\"\n    xfrdir: \"{here}\"\n    minimal-responses: yes\n    round-robin: no\n    rrl-ratelimit: 0\n    \
         refuse-any: no\n    ipv4-edns-size: 4096\n    verbosity: 0\nremote-control:\n    control-enable: no\n{zones}"
    );
    let config = write(folder, "nsd.conf", &config)?;
    Ok(vec!["-d".into(), "-c".into(), config])
}

fn bind(folder: &Path, at: SocketAddr, world: &World) -> Result<Vec<String>, String> {
    let mut zones = zones(world, folder, |apex, file| {
        format!("zone \"{apex}\" {{ type primary; file \"{file}\"; }};\n")
    });
    let (ip, port, here) = (at.ip(), at.port(), folder.display());
    let _ = write!(
        zones,
        "options {{ directory \"{here}\"; listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; recursion no;\n\
         allow-query {{ any; }}; minimal-responses yes; minimal-any no; pid-file none; session-keyfile none; notify no;\n\
         dnssec-validation no; empty-zones-enable no; check-names primary ignore; check-integrity no; check-mx ignore;\n\
         check-sibling no; check-spf ignore; max-udp-size 4096; edns-udp-size 4096; lock-file none; }};\n\
         controls {{ }};\n"
    );
    let config = write(folder, "named.conf", &zones)?;
    let args = ["-g", "-4", "-n", "1", "-c", &config];
    Ok(args.map(str::to_owned).to_vec())
}
