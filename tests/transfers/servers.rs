//! Servers in folders of their own, ended by their process ids; and questions put to them by dig.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a state is waited for: debug builds on a busy machine are slow, and so are some servers' second tries.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// The secret that all share, in base64.
pub const SECRET: &str = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI=";
/// Another one.
pub const WRONG: &str = "bm90IHRoZSBzZWNyZXQgdGhhdCBhbGwgc2hhcmU=";

/// A folder for the configs, zones and states of one test.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        place.write(
            "xfr.key",
            &format!("key \"xfr\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{SECRET}\";\n}};\n"),
        );
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes a folder in it.
    pub fn folder(&self, name: &str) {
        fs::create_dir_all(self.path(name)).expect("a folder");
    }

    /// Writes beside it and renames over it: a reader sees the old or the new text, never half.
    pub fn write(&self, name: &str, text: &str) {
        let (file, new) = (self.path(name), self.path("being-written"));
        fs::write(&new, text).expect("a file");
        fs::rename(new, file).expect("a file");
    }
}

/// A process, killed when dropped; its log is shown when the test failed.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    pub fn start(place: &Place, program: &str, args: &[&str]) -> Self {
        let name = Path::new(program).file_name().expect("a name");
        let log = place.path(&format!("{}-{}.log", name.display(), port()));
        let out = File::create(&log).expect("a log");
        let also = out.try_clone().expect("a log");
        let child = Command::new(program)
            .args(args)
            .current_dir(place.0.path())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(also)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        Self { child, log }
    }

    pub fn rhumb(place: &Place, config: &str) -> Self {
        let config = place.path(config).display().to_string();
        Self::start(
            place,
            env!("CARGO_BIN_EXE_rhumb"),
            &["run", "--config", &config],
        )
    }

    /// Has it read its zones again.
    pub fn hang_up(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &pid]).status();
        assert!(sent.is_ok_and(|sent| sent.success()), "a signal");
    }

    pub fn stop(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(40)..];
            eprintln!("the end of {}:\n{}\n", self.log.display(), tail.join("\n"));
        }
    }
}

/// What dig prints.
pub fn dig(server: SocketAddr, args: &[&str]) -> String {
    let output = Command::new("dig")
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string()])
        .args(["+time=5", "+tries=1"])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("dig runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The records of an answer, or of a transfer: one a line, its fields with one blank between.
pub fn records(server: SocketAddr, args: &[&str]) -> Vec<String> {
    let output = dig(
        server,
        &[&["+nocmd", "+noall", "+answer", "+onesoa"], args].concat(),
    );
    let lines = output.lines().filter(|line| !line.starts_with(';'));
    let fields = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    fields.filter(|line| !line.is_empty()).collect()
}

/// The data of the records of this name and type, sorted.
pub fn data(server: SocketAddr, name: &str, rtype: &str) -> Vec<String> {
    let output = dig(server, &["+short", name, rtype]);
    let lines = output.lines().filter(|line| !line.starts_with(';'));
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The serial that a server has; 0: none.
pub fn serial(server: SocketAddr, zone: &str) -> u32 {
    let soa = data(server, zone, "SOA");
    let serial = soa.first().and_then(|soa| soa.split(' ').nth(2));
    serial.and_then(|serial| serial.parse().ok()).unwrap_or(0)
}

/// The JSON of an admin address.
pub fn status(admin: SocketAddr) -> serde_json::Value {
    serde_json::from_str(&admin_get(admin, "/status")).unwrap_or_default()
}

/// One of a PoP's metrics; 0 when there is none.
pub fn metric(admin: SocketAddr, name: &str) -> f64 {
    let text = admin_get(admin, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok())
        .unwrap_or(0.0)
}

fn admin_get(admin: SocketAddr, path: &str) -> String {
    let output = Command::new("curl")
        .args(["-s", "--max-time", "10", &format!("http://{admin}{path}")])
        .stdin(Stdio::null())
        .output()
        .expect("curl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until something holds.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "still waiting: {what}");
        sleep(LOOK);
    }
}

/// An address whose port is free for UDP and TCP now, below those that the system gives to clients.
pub fn free() -> SocketAddr {
    loop {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port()));
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

fn port() -> u16 {
    const FIRST: u16 = 10_100;
    const COUNT: u16 = 9_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that test at the same time start at different ports.
    let start = (std::process::id() % 1_000) as u16 * 9;
    FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT
}
