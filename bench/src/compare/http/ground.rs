//! What all HTTP contests stand on: origins, a certificate, the country table in the forms that peers
//! read, and the rules of the works as Rhumb's own config says them. It starts no peer.

use crate::compare::fill;
use crate::compare::{mmdb, networks};
use crate::generate::http::raise_file_limit;
use crate::origin::tls::Authority;
use crate::origin::{OriginSpec, Origins};
use crate::subject::Subject;
use rustls::ClientConfig;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};
use steering::{Snapshot, Table, Timestamp};

/// The host that is asked for.
pub const HOST: &str = "api.bench.test";

/// Rhumb's config for the works without rules.
pub const PLAIN: &str = include_str!("../../../peers/http/rhumb-plain.yaml");
/// Rhumb's config for the work with rules: what the others are held to.
pub const STEERED: &str = include_str!("../../../peers/http/rhumb-steered.yaml");

/// The regions, and what their origins' addresses are called in templates.
const ORIGINS: [(&str, &str, Ipv4Addr); 4] = [
    ("us-east-1", "US", Ipv4Addr::new(127, 0, 1, 1)),
    ("eu-west-1", "EU_WEST", Ipv4Addr::new(127, 0, 2, 1)),
    ("eu-central-1", "EU_CENTRAL", Ipv4Addr::new(127, 0, 2, 2)),
    ("ap-southeast-1", "AP", Ipv4Addr::new(127, 0, 3, 1)),
];

/// Origins, files and rules.
pub struct Ground {
    folder: tempfile::TempDir,
    origins: Origins,
    /// A client that trusts the servers' certificate.
    pub client: Arc<ClientConfig>,
    tables: OnceLock<Result<(), String>>,
}

impl Ground {
    /// Starts the origins, on this processor where one is given, and makes the certificate.
    ///
    /// # Errors
    /// When an origin can't listen, or a file can't be written.
    pub fn new(processor: Option<usize>) -> Result<Self, String> {
        // For 1,000 idle clients and the origins here, and for the servers, which inherit it.
        raise_file_limit();
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("rhumb-compare-http-").tempdir();
        let folder = folder.map_err(|e| e.to_string())?;
        let specs = ORIGINS.iter().map(|(region, _, address)| OriginSpec {
            region: (*region).into(),
            listen: SocketAddr::from((*address, 0)),
            health: Vec::new(),
            tls: None,
        });
        let origins = Origins::start(specs.collect(), processor);
        let origins = origins.map_err(|e| format!("the origins can't start: {e}"))?;
        let authority = Authority::new().map_err(|e| e.to_string())?;
        let identity = authority.identity(&[HOST]).map_err(|e| e.to_string())?;
        let client = authority.client(&["http/1.1"]);
        let ground = Self {
            origins,
            client: client.map_err(|e| e.to_string())?,
            tables: OnceLock::new(),
            folder,
        };
        ground.write("certificate.pem", &identity.chain_pem)?;
        ground.write("key.pem", &identity.key_pem)?;
        // HAProxy reads both from one file.
        ground.write("bundle.pem", identity.chain_pem + &identity.key_pem)?;
        Ok(ground)
    }

    /// A template with what all peers are told, and `more`.
    ///
    /// # Errors
    /// When it has a place that nothing fills.
    pub fn filled(
        &self,
        template: &str,
        more: &[(&str, &str)],
    ) -> Result<String, crate::compare::Cannot> {
        let mut values = vec![("HOST".to_owned(), HOST.to_owned())];
        for (i, (_, name, _)) in ORIGINS.iter().enumerate() {
            address(&mut values, name, self.origins.address(i));
        }
        for (name, file) in [
            ("CERTIFICATE", "certificate.pem"),
            ("KEY", "key.pem"),
            ("BUNDLE", "bundle.pem"),
            ("DATABASE", "country.mmdb"),
        ] {
            values.push((name.to_owned(), self.path(file).display().to_string()));
        }
        let more = more.iter().copied();
        let all = values.iter().map(|(name, value)| (&**name, &**value));
        fill(template, &all.chain(more).collect::<Vec<_>>())
    }

    /// Where the region without rules is.
    pub fn plain_origin(&self) -> SocketAddr {
        self.origins.address(0)
    }

    /// A file of this ground's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the country table as `networks.map` (HAProxy), `networks.conf` (nginx) and `country.mmdb`
    /// (Envoy), once.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn with_tables(&self) -> Result<(), String> {
        self.tables.get_or_init(|| self.write_tables()).clone()
    }

    fn write_tables(&self) -> Result<(), String> {
        let networks = networks::networks(&geoip::embedded());
        self.write("networks.map", networks::lines(&networks, " ", ""))?;
        self.write("networks.conf", networks::lines(&networks, " ", ";"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        self.write("country.mmdb", mmdb::country_database(&networks, now))
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<(), String> {
        let path = self.path(name);
        std::fs::write(&path, bytes).map_err(|e| format!("{}: {e}", path.display()))
    }
}

/// What Rhumb's config promises: the rules that every peer is held to.
///
/// # Errors
/// When the config is wrong, which a test rules out.
pub fn subject(template: &str) -> Result<Subject, String> {
    let mut values = Vec::new();
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    for (_, name, _) in ORIGINS {
        address(&mut values, name, anywhere);
    }
    address(&mut values, "HTTP", anywhere);
    address(
        &mut values,
        "HTTPS",
        SocketAddr::from((Ipv4Addr::LOCALHOST, 2)),
    );
    for name in ["CERTIFICATE", "KEY", "LOG"] {
        values.push((name.to_owned(), name.to_lowercase()));
    }
    values.push(("HOST".to_owned(), HOST.to_owned()));
    let values: Vec<(&str, &str)> = values.iter().map(|(a, b)| (&**a, &**b)).collect();
    let text = fill(template, &values).map_err(|e| e.to_string())?;
    let loaded = config::load_str("rhumb.yaml", &text);
    let problems = &loaded.problems;
    let checked = loaded.checked.ok_or_else(|| format!("{problems:?}"))?;
    let table = Table::compile(checked.table.clone()).map_err(|e| format!("{e:?}"))?;
    let snapshot = Snapshot::new(table.into(), geoip::embedded(), Timestamp(1));
    Subject::new(&checked, &snapshot).map_err(|e| e.to_string())
}

/// An address as `@NAME@`, `@NAME_IP@` and `@NAME_PORT@`.
pub fn address(values: &mut Vec<(String, String)>, name: &str, address: SocketAddr) {
    values.push((name.to_owned(), address.to_string()));
    values.push((format!("{name}_IP"), address.ip().to_string()));
    values.push((format!("{name}_PORT"), address.port().to_string()));
}

/// A path as a config writes it.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}
