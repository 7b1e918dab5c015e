//! Encrypted DNS of the real binary with kdig as the client: certificates from files, replaced while it serves; and what a
//! front end (HAProxy) says of its clients.

use crate::harness::pop::Pop;
use crate::tool;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The name that the certificates are for.
const NAME: &str = "dns.demo.test";
/// How long a state is waited for before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// A folder with `cert.pem` and `key.pem`.
struct Certificate(TempDir);

impl Certificate {
    fn new() -> Self {
        let made = Self(tempfile::tempdir().expect("a folder"));
        made.replace();
        made
    }

    fn path(&self, file: &str) -> String {
        self.0.path().join(file).display().to_string()
    }

    /// Puts a new pair in place, the key first.
    fn replace(&self) {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        self.put("key.pem", &made.signing_key.serialize_pem());
        self.put("cert.pem", &made.cert.pem());
    }

    fn put(&self, file: &str, text: &str) {
        let new = self.path("new");
        fs::write(&new, text).expect("written");
        fs::rename(new, self.path(file)).expect("renamed");
    }
}

/// Clients on 127.0.0.2 are in Germany, all others nowhere.
fn config(certificate: &Certificate, dns: &str) -> String {
    let (cert, key) = (certificate.path("cert.pem"), certificate.path("key.pem"));
    let certificates = format!("certificates: [{{ cert: {cert}, key: {key} }}]");
    format!(
        r#"version: 1
trusted_proxies: [127.0.0.0/8]
geoip: {{ networks: [{{ cidr: 127.0.0.2/32, country: DE }}] }}
regions: {{ de: {{ location: {{ country: DE }} }}, us: {{ location: {{ country: US }} }} }}
pools:
  de: {{ region: de, endpoints: [{{ address: "127.0.1.1:8081", publish: [192.0.2.1] }}] }}
  us: {{ region: us, endpoints: [{{ address: "127.0.2.1:8081", publish: [192.0.2.2] }}] }}
policies: {{ near: {{ geo: {{ rules: [{{ countries: [DE], to: de }}], default: us }} }} }}
services: {{ near: {{ policy: near, dns: {{ names: [near.demo.test] }} }} }}
zones:
  demo.test:
    soa: {{ mname: ns1.demo.test, rname: hostmaster.demo.test }}
    ns: [ns1.demo.test]
    records: ["ns1 A 192.0.2.53", "www 300 A 192.0.2.80"]
listen:
  dns: [{{ address: "127.0.0.1:5353"{dns} }}]
  dot: [{{ address: "127.0.0.1:8443", {certificates}{dns} }}]
  doh: [{{ address: "127.0.0.1:8080", {certificates}{dns} }}]
  doq: [{{ address: "127.0.0.1:8443", {certificates} }}]
  admin: {{ address: "127.0.0.1:9900" }}
"#
    )
}

/// What kdig prints, asked with these options.
fn kdig(server: SocketAddr, options: &[&str], question: &str) -> String {
    let asked = Command::new("kdig")
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string()])
        .args(["+time=5", "+retry=1"])
        .args(options)
        .args(question.split(' '))
        .stdin(Stdio::null())
        .output()
        .expect("kdig runs");
    let text = [asked.stdout, asked.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// kdig with this certificate as its only authority.
fn trusting(authority: &Path, over: &str) -> Vec<String> {
    vec![
        format!("+tls-ca={}", authority.display()),
        format!("+tls-hostname={NAME}"),
        over.to_owned(),
    ]
}

fn asked(server: SocketAddr, authority: &Path, over: &str) -> String {
    let options = trusting(authority, over);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    kdig(server, &options, "www.demo.test A")
}

#[test]
fn kdig_is_answered_over_every_transport() {
    if !tool::is_here("kdig", "-V") {
        return;
    }
    let certificate = Certificate::new();
    let pop = Pop::start(&config(&certificate, ""));
    let authority = certificate.path("cert.pem");
    let places = pop.places;
    for (server, over, says) in [
        (places.https, "+tls", "(TCP)"),
        (places.https, "+quic", "QUIC session (QUICv1)-(TLS1.3)"),
        (places.http, "+https", "HTTP session (HTTP/2-POST)"),
        (places.http, "+https-get", "HTTP session (HTTP/2-GET)"),
    ] {
        let text = asked(server, authority.as_ref(), over);
        let answer = text.lines().any(|line| line.ends_with("192.0.2.80"));
        assert!(answer && text.contains(says), "{over}:\n{text}");
        // kdig pads over encrypted transports, and so are its answers.
        assert!(
            text.contains("PADDING") && text.contains("Received 468 B"),
            "{over}:\n{text}"
        );
    }
    let listening = pop.status()["listening"].clone();
    for (plane, address) in [
        ("dot", places.https),
        ("doq", places.https),
        ("doh", places.http),
    ] {
        assert_eq!(listening[plane][0], address.to_string(), "{listening}");
    }
    let other = Certificate::new();
    let refused = asked(places.https, other.path("cert.pem").as_ref(), "+tls");
    assert!(!refused.contains("192.0.2.80"), "{refused}");
}

#[test]
fn certificates_are_reloaded_and_bad_ones_refused() {
    if !tool::is_here("kdig", "-V") {
        return;
    }
    let certificate = Certificate::new();
    let text = config(&certificate, "");
    let pop = Pop::start(&text);
    let old = certificate.0.path().join("old.pem");
    fs::copy(certificate.path("cert.pem"), &old).expect("a copy");
    certificate.replace();
    let renewed = |server, over: &str| {
        let end = Instant::now() + PATIENCE;
        while !asked(server, certificate.path("cert.pem").as_ref(), over).contains("192.0.2.80") {
            assert!(Instant::now() < end, "{over}: still the old certificate");
            sleep(LOOK);
        }
        let refused = asked(server, &old, over);
        assert!(!refused.contains("192.0.2.80"), "{over}:\n{refused}");
    };
    renewed(pop.places.https, "+tls");
    renewed(pop.places.https, "+quic");
    renewed(pop.places.http, "+https");

    fs::copy(certificate.path("cert.pem"), &old).expect("a copy");
    certificate.put("cert.pem", "nothing of the kind\n");
    let refused = pop.wait("a refused reload", |status| {
        status["reload"]["applied"] == false
    });
    let problems = refused["reload"]["problems"].to_string();
    let told = problems.matches("holds no certificate").count();
    assert_eq!(told, 1, "once, though three listeners have it: {problems}");
    let kept = asked(pop.places.https, &old, "+tls");
    assert!(kept.contains("192.0.2.80"), "{kept}");

    certificate.replace();
    pop.wait("a good reload", |status| {
        status["reload"]["applied"] == true
    });
    let moved = text.replace(
        "doq: [{ address: \"127.0.0.1:8443\"",
        "doq: [{ address: \"127.0.0.9:8443\"",
    );
    let reload = pop.reload(&moved);
    let problems = reload["problems"].to_string();
    assert!(
        problems.contains("listen.doq changed, which needs a restart"),
        "{problems}"
    );
}

#[test]
fn the_bench_asks_over_tls() {
    let certificate = Certificate::new();
    let text = config(&certificate, "");
    let pop = Pop::start(&text);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("rhumb.yaml");
    fs::write(&file, text).expect("a file");
    for connections in [["--connections", "4"], ["--per-connection", "3"]] {
        let asked = Command::new(env!("CARGO_BIN_EXE_rhumb"))
            .args(["bench", "dns", "--transport", "dot", "--json"])
            .args(["--server", &pop.places.https.to_string()])
            .args(["--duration", "1s", "--rate", "200", "--config"])
            .arg(&file)
            .args(connections)
            .output()
            .expect("the bench runs");
        let text = String::from_utf8_lossy(&asked.stdout);
        let errors = String::from_utf8_lossy(&asked.stderr);
        assert!(asked.status.success(), "{connections:?}:\n{text}\n{errors}");
        assert!(text.contains("DoT"), "{text}");
    }
    let metrics = pop.admin("/metrics").body;
    let metrics = String::from_utf8_lossy(&metrics).into_owned();
    let counted = |name: &str| {
        let mut lines = metrics.lines();
        let line = lines.find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse::<f64>().ok())
    };
    let queries = counted("rhumb_dns_queries_total{transport=\"dot\"}");
    assert!(queries.is_some_and(|count| count >= 400.0), "{metrics}");
    let connections = counted("rhumb_dns_connections_accepted_total{transport=\"dot\"}");
    assert!(connections.is_some_and(|count| count >= 60.0), "{metrics}");
}

/// HAProxy with a config of its own, killed by its process id when dropped.
struct Haproxy {
    child: Child,
    _folder: TempDir,
}

impl Haproxy {
    /// Forwards TCP from each address to the other, with a PROXY header of version 2.
    fn start(pairs: &[(SocketAddr, SocketAddr)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("haproxy.cfg");
        let mut text = fs::File::create(&file).expect("a file");
        let defaults = "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n";
        text.write_all(defaults.as_bytes()).expect("written");
        for (i, (from, to)) in pairs.iter().enumerate() {
            writeln!(
                text,
                "listen l{i}\n  bind {from}\n  server s {to} send-proxy-v2"
            )
            .expect("written");
        }
        let child = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy starts");
        let end = Instant::now() + PATIENCE;
        for (from, _) in pairs {
            while TcpStream::connect(from).is_err() {
                assert!(Instant::now() < end, "haproxy does not listen on {from}");
                sleep(LOOK);
            }
        }
        Self {
            child,
            _folder: folder,
        }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

#[test]
fn clients_behind_haproxy_are_known_by_their_own_address() {
    if !tool::is_here("kdig", "-V") || !tool::is_here("haproxy", "-v") {
        return;
    }
    let certificate = Certificate::new();
    let pop = Pop::start(&config(&certificate, ", proxy_protocol: true"));
    let fronts = [free(), free(), free()];
    let places = pop.places;
    let backs = [places.dns, places.https, places.http];
    let pairs: Vec<(SocketAddr, SocketAddr)> = fronts.into_iter().zip(backs).collect();
    let _haproxy = Haproxy::start(&pairs);
    for (front, over) in fronts.into_iter().zip(["+tcp", "+tls", "+https"]) {
        for (client, region) in [("127.0.0.2", "192.0.2.1"), ("127.0.0.3", "192.0.2.2")] {
            let text = kdig(front, &[over, "+short", "-b", client], "near.demo.test A");
            assert_eq!(text.trim(), region, "{over} from {client}");
        }
    }
}
