//! A real PoP: the binary as built, on free ports of loopback, with a config of its own in a temporary folder.
//!
//! It is killed by its process id when dropped, and its log is shown when the test that held it fails.

use super::clients::{Dns, Http};
use super::core::{compile, regions};
use super::origins::Origins;
use super::seen::Regions;
use serde_json::Value;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a state is waited for before the test fails. Debug builds on a busy machine are slow.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// How many lines of its log a failing test shows.
const LOG_LINES: usize = 60;
/// How often a PoP is started again when another process was quicker to take one of its ports.
const STARTS: usize = 3;

/// Where a PoP listens.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    pub dns: SocketAddr,
    pub http: SocketAddr,
    pub https: SocketAddr,
    pub admin: SocketAddr,
}

/// A PoP and its origins.
pub struct Pop {
    pub places: Places,
    pub origins: Origins,
    /// Regions by published address.
    pub regions: Regions,
    folder: TempDir,
    child: Mutex<Child>,
}

impl Pop {
    /// Starts the binary with this config and an origin for each of its endpoints; waits until it takes clients.
    pub fn start(config: &str) -> Self {
        let compiled =
            compile(&with_listeners(config, &some_places())).unwrap_or_else(|problems| {
                panic!("the config has problems:\n{}", problems.join("\n"));
            });
        let table = &compiled.table;
        let endpoints: Vec<(SocketAddr, String)> = table
            .endpoints()
            .iter()
            .map(|endpoint| {
                let region = table.pools()[endpoint.pool.index()].region;
                (
                    endpoint.address,
                    table.regions()[region.index()].name.to_string(),
                )
            })
            .collect();
        let origins = Origins::start(&endpoints);
        let folder = tempfile::tempdir().expect("a folder");
        for left in (0..STARTS).rev() {
            let places = some_places();
            write(
                &config_file(folder.path()),
                &with_listeners(&origins.apply(config), &places),
            );
            let mut child = spawn(folder.path());
            match wait_ready(&mut child, &places) {
                Ok(()) => {
                    return Self {
                        places,
                        origins,
                        regions: regions(table),
                        folder,
                        child: Mutex::new(child),
                    };
                }
                Err(_) if left > 0 => {}
                Err(why) => panic!("the PoP does not start: {why}\n{}", log_tail(folder.path())),
            }
        }
        unreachable!("the last start panics")
    }

    pub fn dns(&self) -> Dns {
        Dns::new(self.places.dns)
    }

    pub fn http(&self) -> Http {
        Http::new(self.places.http)
    }

    /// The JSON of `/status`.
    pub fn status(&self) -> Value {
        self.admin("/status").json()
    }

    /// The generation that serves.
    pub fn generation(&self) -> u64 {
        self.status()["generation"].as_u64().expect("a generation")
    }

    /// The JSON of `/explain`.
    pub fn explain(&self, service: &str, client: IpAddr, plane: &str) -> Value {
        self.admin(&format!(
            "/explain?service={service}&client={client}&plane={plane}"
        ))
        .json()
    }

    /// Its process id, for signals.
    pub fn process_id(&self) -> u32 {
        self.child.lock().expect("the child").id()
    }

    /// Waits until the process has ended; says how.
    pub fn ended(&self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            let ended = self.child.lock().expect("the child").try_wait();
            if let Some(status) = ended.expect("a child") {
                return status;
            }
            assert!(Instant::now() < end, "still waiting for the process to end");
            sleep(LOOK);
        }
    }

    pub fn admin(&self, path: &str) -> super::clients::Response {
        Http::new(self.places.admin)
            .get(path)
            .expect("the admin address answers")
    }

    /// Puts another config in the file, as an editor does, and does not wait.
    pub fn write_config(&self, config: &str) {
        let text = with_listeners(&self.origins.apply(config), &self.places);
        write(&config_file(self.folder.path()), &text);
    }

    /// Puts another config in the file and waits until it was applied or refused; gives the JSON of that reload.
    pub fn reload(&self, config: &str) -> Value {
        let before = self.status()["reload"]["at"].clone();
        self.write_config(config);
        self.wait("the reload's outcome", |status| {
            status["reload"]["at"] != before
        })["reload"]
            .clone()
    }

    /// Waits until the status is as wanted; gives it.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if wanted(&status) {
                return status;
            }
            assert!(
                Instant::now() < end,
                "still waiting for {what}; status:\n{status:#}"
            );
            sleep(LOOK);
        }
    }

    /// Makes the origins of these endpoints (by region, pool, address, or `all`) fail or serve, and does not wait until
    /// the PoP has noticed.
    pub fn flip(&self, who: &str, serving: bool) -> Vec<SocketAddr> {
        let status = self.status();
        let endpoints = status["endpoints"].as_array().expect("endpoints");
        let named = |one: &&Value| {
            who == "all"
                || ["region", "pool", "address"]
                    .iter()
                    .any(|key| one[*key].as_str() == Some(who))
        };
        let address = |one: &Value| one["address"].as_str().and_then(|text| text.parse().ok());
        let addresses: Vec<SocketAddr> =
            endpoints.iter().filter(named).filter_map(address).collect();
        assert!(
            !addresses.is_empty(),
            "{who} is no region, pool or endpoint:\n{status:#}"
        );
        for address in &addresses {
            self.origins.set_serving(*address, serving);
        }
        addresses
    }
}

impl Drop for Pop {
    fn drop(&mut self) {
        // It may have ended by itself; that is for the test to notice.
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
        if std::thread::panicking() {
            eprintln!(
                "the end of the PoP's log:\n{}",
                log_tail(self.folder.path())
            );
        }
    }
}

fn config_file(folder: &Path) -> PathBuf {
    folder.join("rhumb.yaml")
}

/// Writes beside it and renames over it: a reader sees the old or the new text, never half.
fn write(file: &Path, text: &str) {
    let new = file.with_extension("new");
    fs::write(&new, text).expect("a file");
    fs::rename(&new, file).expect("a file");
}

fn spawn(folder: &Path) -> Child {
    let log = File::create(folder.join("log")).expect("a log");
    let also = log.try_clone().expect("a log");
    Command::new(env!("CARGO_BIN_EXE_rhumb"))
        .arg("run")
        .arg("--config")
        .arg(config_file(folder))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(also)
        .spawn()
        .expect("the binary starts")
}

fn wait_ready(child: &mut Child, places: &Places) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().expect("a child") {
            return Err(format!("it ended with {status}"));
        }
        if Http::new(places.admin)
            .get("/readyz")
            .is_ok_and(|response| response.status == 200)
        {
            return Ok(());
        }
        sleep(LOOK);
    }
    let _ = child.kill();
    let _ = child.wait();
    Err("it is not ready in time".to_owned())
}

fn log_tail(folder: &Path) -> String {
    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// The places of the demo's config; another config gets a `listen` section.
const WRITTEN: [&str; 4] = [
    "127.0.0.1:5353",
    "127.0.0.1:8080",
    "127.0.0.1:8443",
    "127.0.0.1:9900",
];

fn with_listeners(config: &str, places: &Places) -> String {
    if config.lines().any(|line| line.starts_with("listen:")) {
        let real = [places.dns, places.http, places.https, places.admin];
        let moved = WRITTEN.iter().zip(real);
        return moved.fold(config.to_owned(), |text, (written, real)| {
            text.replace(written, &real.to_string())
        });
    }
    let Places {
        dns, http, admin, ..
    } = places;
    format!(
        "{config}\nlisten:\n  dns: [{{ address: \"{dns}\" }}]\n  http: [{{ address: \"{http}\" }}]\n  \
         admin: {{ address: \"{admin}\" }}\n"
    )
}

fn some_places() -> Places {
    Places {
        dns: free_port(),
        http: free_port(),
        https: free_port(),
        admin: free_port(),
    }
}

/// A port that is free for UDP and TCP now, below those that the system gives to clients, so that none of the many
/// connections of these tests takes it before the PoP does.
pub(crate) fn free_port() -> SocketAddr {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that test at the same time start at different ports.
    let start = (std::process::id() % 1_000) as u16 * 12;
    for _ in 0..COUNT {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port from {FIRST} up is free");
}
