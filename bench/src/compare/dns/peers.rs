//! The DNS peers: how each is found, configured for a work, started and reloaded. The configs themselves
//! are in `bench/peers/dns`.

use super::ground::{Ground, eu_countries, static_records};
use super::works::{GEO, NXDOMAIN, RELOAD, STATIC, WEIGHTED};
use crate::compare::{Cannot, Launch, Peer, Place, Program, Programs, program};
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

const INSTALL: &str = "bench/peers/install brings it";
const ZONE_FILE: &str = "bench.test.zone";

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../../peers/dns/", $name))
    };
}

/// gdnsd: static, weighted and by place, all from one config.
pub struct Gdnsd(pub Arc<Ground>);
/// Knot DNS, with mod-geoip for what is steered.
pub struct Knot(pub Arc<Ground>);
/// NSD: static records only.
pub struct Nsd(pub Arc<Ground>);
/// PowerDNS: the BIND backend, a LUA record, or the GeoIP backend.
pub struct PowerDns(pub Arc<Ground>);
/// A bare hickory-server handler of our own: static records only.
pub struct Hickory(pub Arc<Ground>);

/// The zone with its static records, `more` of them at the end.
fn zone(ground: &Ground, place: &Place, serial: u32, more: &str) -> Result<String, Cannot> {
    let names = super::ground::STATIC_NAMES.to_string();
    let serial = serial.to_string();
    let values = [("NAMES", &*names), ("SERIAL", &*serial)];
    let head = ground.fill(template!("bench.test.zone"), place, &values)?;
    let more = ground.fill(more, place, &[])?;
    Ok(head + &static_records() + &more)
}

impl Peer for Gdnsd {
    fn name(&self) -> &'static str {
        "gdnsd"
    }

    fn find(&self, programs: &Programs) -> Result<Program, String> {
        program(programs, "gdnsd", &["-V"], INSTALL)
    }

    fn launch(&self, program: &Program, work: &str, place: &Place) -> Result<Launch, Cannot> {
        let eu = eu_countries();
        // Cyprus is in Asia (UN M49), and named there.
        let eu = eu.iter().filter(|code| *code != "CY");
        let eu: Vec<String> = eu.map(|code| format!("{code} => [ eu, us, ap ]")).collect();
        let eu = eu.join("\n            ");
        let config = self
            .0
            .fill(template!("gdnsd.conf"), place, &[("GDNSD_EU", &eu)])?;
        place.write("config", &config)?;
        let written = zone(&self.0, place, 1, template!("gdnsd.zone"))?;
        place.write("zones/bench.test", &written)?;
        let folder = &place.folder;
        let mut launch = Launch::new(&program.path, ["-c", &text(folder), "start"]);
        if work == RELOAD {
            let (ground, place) = (self.0.clone(), place.clone());
            launch.reload = Some(Arc::new(move |n, _| {
                let written = zone(&ground, &place, n + 1, template!("gdnsd.zone"));
                replace(
                    &place,
                    "zones/bench.test",
                    &written.map_err(|e| e.to_string())?,
                )?;
                tell("gdnsdctl", &["-c", &text(&place.folder), "reload-zones"])
            }));
            launch.note = Some(
                "reload-zones reads the zones again; a changed map needs a new process (replace), which is \
                 not asked of it here"
                    .to_owned(),
            );
        }
        Ok(launch)
    }
}

impl Peer for Knot {
    fn name(&self) -> &'static str {
        "knot"
    }

    fn find(&self, programs: &Programs) -> Result<Program, String> {
        program(programs, "knotd", &["--version"], INSTALL)
    }

    fn launch(&self, program: &Program, work: &str, place: &Place) -> Result<Launch, Cannot> {
        let ground = &self.0;
        let (module, steer) = match work {
            STATIC | NXDOMAIN => ("", String::new()),
            WEIGHTED => {
                let steer = ground.fill(template!("knot-weighted-steer.conf"), place, &[])?;
                (template!("knot-weighted.conf"), steer)
            }
            GEO | RELOAD => (template!("knot-geo.conf"), knot_steer()),
            _ => return Err(Cannot::work("not asked of it")),
        };
        if !module.is_empty() && !has_knot_module() {
            let why = "its module geoip is not here; the package knot-module-geoip brings it";
            return Err(Cannot::Start(why.to_owned()));
        }
        let module = ground.fill(module, place, &[])?;
        let used = if module.is_empty() {
            ""
        } else {
            "module: mod-geoip/steer"
        };
        let listen = format!("{}@{}", place.address.ip(), place.address.port());
        let values = [
            ("KNOT_LISTEN", &*listen),
            ("MODULE", &*module),
            ("ZONE_MODULE", used),
        ];
        let config = ground.fill(template!("knot.conf"), place, &values)?;
        let config = place.write("knot.conf", &config)?;
        place.write("knot-steer.conf", &steer)?;
        place.write(ZONE_FILE, &zone(ground, place, 1, KNOT_DEFAULTS)?)?;
        let mut launch = Launch::new(&program.path, ["-c", &text(&config)]);
        if work == RELOAD {
            let (ground, place) = (ground.clone(), place.clone());
            launch.reload = Some(Arc::new(move |n, _| {
                let zone = zone(&ground, &place, n + 1, KNOT_DEFAULTS);
                replace(&place, ZONE_FILE, &zone.map_err(|e| e.to_string())?)?;
                replace(&place, "knot-steer.conf", &format!("{steer}# {n}\n"))?;
                let socket = text(&place.folder.join("knot.sock"));
                tell("knotc", &["-s", &socket, "reload"])
            }));
        }
        Ok(launch)
    }
}

/// The steered names' own records, for clients that no rule of mod-geoip is for.
const KNOT_DEFAULTS: &str = "weighted IN A @US@\ngeo IN A @US@\n";

/// Who gets what, by continent and country: the more specific one wins.
fn knot_steer() -> String {
    let mut steer = String::from("geo.bench.test:\n");
    for continent in ["AS", "OC"] {
        // Writing to a String can't fail.
        let _ = writeln!(
            steer,
            "  - geo: \"{continent};*\"\n    A: {}",
            super::ground::AP
        );
    }
    for country in eu_countries() {
        let continent = if country == "CY" { "AS" } else { "EU" };
        let _ = writeln!(
            steer,
            "  - geo: \"{continent};{country}\"\n    A: {}",
            super::ground::EU
        );
    }
    steer
}

/// Where Debian's and upstream's packages put the module.
fn has_knot_module() -> bool {
    let folders = [
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
    ];
    folders.iter().any(|folder| {
        let versions = std::fs::read_dir(Path::new(folder).join("knot"));
        let mut versions = versions.into_iter().flatten().flatten();
        versions.any(|version| version.path().join("geoip.so").is_file())
    })
}

impl Peer for Nsd {
    fn name(&self) -> &'static str {
        "nsd"
    }

    fn find(&self, programs: &Programs) -> Result<Program, String> {
        program(programs, "nsd", &["-v"], INSTALL)
    }

    fn launch(&self, program: &Program, work: &str, place: &Place) -> Result<Launch, Cannot> {
        if !matches!(work, STATIC | NXDOMAIN) {
            return Err(Cannot::work("it answers every client alike"));
        }
        let listen = format!("{}@{}", place.address.ip(), place.address.port());
        let config = self
            .0
            .fill(template!("nsd.conf"), place, &[("NSD_LISTEN", &listen)])?;
        let config = place.write("nsd.conf", &config)?;
        place.write(ZONE_FILE, &zone(&self.0, place, 1, "")?)?;
        let mut launch = Launch::new(&program.path, ["-d", "-c", &text(&config)]);
        launch.note =
            Some("Debian builds it without recvmmsg: a system call a datagram".to_owned());
        Ok(launch)
    }
}

impl Peer for PowerDns {
    fn name(&self) -> &'static str {
        "powerdns"
    }

    fn find(&self, programs: &Programs) -> Result<Program, String> {
        program(programs, "pdns_server", &["--version"], INSTALL)
    }

    fn launch(&self, program: &Program, work: &str, place: &Place) -> Result<Launch, Cannot> {
        let ground = &self.0;
        let (backend, more) = match work {
            STATIC | NXDOMAIN => (template!("pdns-static.conf"), ""),
            WEIGHTED => (
                template!("pdns-weighted.conf"),
                template!("pdns-weighted.zone"),
            ),
            GEO | RELOAD => (template!("pdns-geo.conf"), ""),
            _ => return Err(Cannot::work("not asked of it")),
        };
        let backend = ground.fill(backend, place, &[])?;
        let config = ground.fill(template!("pdns.conf"), place, &[("BACKEND", &backend)])?;
        place.write("pdns.conf", &config)?;
        place.write(
            "named.conf",
            &ground.fill(template!("named.conf"), place, &[])?,
        )?;
        place.write(ZONE_FILE, &zone(ground, place, 1, more)?)?;
        place.write("pdns-geo.yaml", &pdns_geo(ground, place, 1)?)?;
        let mut launch = Launch::new(
            &program.path,
            [format!("--config-dir={}", text(&place.folder))],
        );
        launch.note = match work {
            WEIGHTED => Some("pickwhashed draws by a hash of the client: sticky".to_owned()),
            STATIC => Some("its packet cache answers".to_owned()),
            _ => None,
        };
        if work == RELOAD {
            let (ground, place) = (ground.clone(), place.clone());
            launch.reload = Some(Arc::new(move |n, _| {
                let written = pdns_geo(&ground, &place, n + 1).map_err(|e| e.to_string())?;
                replace(&place, "pdns-geo.yaml", &written)?;
                let socket = format!("--socket-dir={}", text(&place.folder));
                let config = format!("--config-dir={}", text(&place.folder));
                tell("pdns_control", &[&config, &socket, "rediscover"])
            }));
        }
        Ok(launch)
    }
}

fn pdns_geo(ground: &Ground, place: &Place, serial: u32) -> Result<String, Cannot> {
    let mut eu = String::new();
    for country in eu_countries() {
        let country = country.to_lowercase();
        let name = format!("      {country}.countries.bench.test:");
        let _ = write!(eu, "{name}\n        - a: {}\n", super::ground::EU);
    }
    let values = [("PDNS_EU", eu.trim_end()), ("SERIAL", &serial.to_string())];
    ground.fill(template!("pdns-geo.yaml"), place, &values)
}

impl Peer for Hickory {
    fn name(&self) -> &'static str {
        "hickory"
    }

    fn find(&self, programs: &Programs) -> Result<Program, String> {
        program(programs, "peer-hickory", &["--version"], INSTALL)
    }

    fn launch(&self, program: &Program, work: &str, place: &Place) -> Result<Launch, Cannot> {
        if !matches!(work, STATIC | NXDOMAIN) {
            return Err(Cannot::work("our bare handler has static records only"));
        }
        let zone = place.write(ZONE_FILE, &zone(&self.0, place, 1, "")?)?;
        Ok(Launch::new(
            &program.path,
            [place.address.to_string(), text(&zone)],
        ))
    }
}

/// Puts a new file in the place of an old one, as a whole.
pub fn replace(place: &Place, name: &str, content: &str) -> Result<(), String> {
    let new = place.write(&format!("{name}.new"), content);
    let new = new.map_err(|error| error.to_string())?;
    std::fs::rename(&new, place.folder.join(name)).map_err(|e| format!("{}: {e}", new.display()))
}

/// Runs a peer's own control program.
fn tell(program: &str, arguments: &[&str]) -> Result<(), String> {
    let path = crate::compare::path_of(&Programs::default(), program);
    let path = path.ok_or_else(|| format!("{program} is not here; {INSTALL}"))?;
    let run = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if run.status.success() {
        return Ok(());
    }
    let said = [run.stdout, run.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    Err(format!(
        "{program} {}: {}",
        arguments.join(" "),
        said.trim()
    ))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
