//! What all DNS contests stand on: the zone, the country table as the peers read it, the clients, and the
//! sites whose health is watched.

use crate::clients;
use crate::compare::mmdb::country_database;
use crate::compare::networks::networks;
use crate::compare::{Cannot, CompareError, Place, fill};
use ipnet::IpNet;
use std::collections::HashSet;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use steering::LocationTable;
use steering::geo::CountrySet;

/// The zone.
pub const ZONE: &str = "bench.test";
/// The static names: `w0` to `w999`.
pub const STATIC_NAMES: usize = 1_000;
/// The sites, as addresses that clients are sent to.
pub const US: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
/// The European one.
pub const EU: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);
/// The Asian one.
pub const AP: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 1);
/// The leading bits of a client's address that are told (RFC 7871 §11.1).
const TOLD: (u8, u8) = (crate::asks::ECS_V4, crate::asks::ECS_V6);
/// How many clients are drawn at most for each that is wanted: many lie in one network, and some in a
/// network that two countries share.
const DRAWS_EACH: usize = 40;

/// Made once for all contests.
pub struct Ground {
    /// The country table.
    pub geo: Arc<LocationTable>,
    /// The same as a file, for the peers.
    pub database: PathBuf,
    /// The port on which every site accepts a health check.
    pub health_port: u16,
    /// Holds the files above.
    _folder: tempfile::TempDir,
    _sites: Sites,
}

impl Ground {
    /// Writes the files and opens the sites.
    ///
    /// # Errors
    /// When either can't be done.
    pub fn new() -> Result<Self, CompareError> {
        let broken = |error: std::io::Error| CompareError::Setup(format!("DNS works: {error}"));
        let folder = tempfile::Builder::new()
            .prefix("rhumb-compare-dns-")
            .tempdir()
            .map_err(broken)?;
        let geo = geoip::embedded();
        let database = folder.path().join("country.mmdb");
        // The time in the file is of no meaning here, so it is one that is always the same.
        std::fs::write(&database, country_database(&networks(&geo), 1)).map_err(broken)?;
        let sites = Sites::open().map_err(broken)?;
        Ok(Self {
            geo,
            database,
            health_port: sites.port,
            _folder: folder,
            _sites: sites,
        })
    }

    /// A config template with everything filled in that all peers share, and `more`.
    ///
    /// # Errors
    /// When a place is left.
    pub fn fill(
        &self,
        template: &str,
        place: &Place,
        more: &[(&str, &str)],
    ) -> Result<String, Cannot> {
        let address = place.address;
        let database = self.database.display().to_string();
        let folder = place.folder.display().to_string();
        let mut values: Vec<(&str, &str)> = more.to_vec();
        let (full, ip) = (address.to_string(), address.ip().to_string());
        let (port, health) = (address.port().to_string(), self.health_port.to_string());
        let (us, eu, ap) = (US.to_string(), EU.to_string(), AP.to_string());
        values.extend([
            ("ADDRESS", &*full),
            ("IP", &*ip),
            ("PORT", &*port),
            ("FOLDER", &*folder),
            ("MMDB", &*database),
            ("HEALTH_PORT", &*health),
            ("US", &*us),
            ("EU", &*eu),
            ("AP", &*ap),
        ]);
        fill(template, &values)
    }

    /// Networks that each lie in one country as a whole, no two the same, IPv4 and IPv6 in turn. There
    /// every server must give the same answer, however it treats a network that is divided.
    ///
    /// # Errors
    /// When the table has not so many.
    pub fn networks(&self, count: usize, seed: u64) -> Result<Vec<IpAddr>, CompareError> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for address in clients::addresses(&self.geo, count * DRAWS_EACH, seed) {
            let bits = if address.is_ipv4() { TOLD.0 } else { TOLD.1 };
            let network = IpNet::new(address, bits).map_or(address, |net| net.network());
            let list = if network.is_ipv4() { &mut v4 } else { &mut v6 };
            let whole = !translated(network) && self.geo.locate(network).prefix_len <= bits;
            if whole && list.len() < count.div_ceil(2) && seen.insert(network) {
                list.push(network);
            }
            if v4.len() + v6.len() >= count {
                let both = v4.into_iter().zip(v6).flat_map(|(a, b)| [a, b]);
                return Ok(both.take(count).collect());
            }
        }
        Err(CompareError::Setup(format!(
            "the country table has no {count} networks that lie in one country"
        )))
    }
}

/// IPv6 addresses with an IPv4 address in them (6to4, Teredo, NAT64): servers rightly differ in whether
/// they look inside.
fn translated(address: IpAddr) -> bool {
    let IpAddr::V6(v6) = address else {
        return false;
    };
    matches!(
        v6.segments(),
        [0x2002, ..] | [0x2001, 0, ..] | [0x64, 0xff9b, ..] | [0, ..]
    )
}

/// The address of a static name: all different, none of them a site.
pub fn static_address(i: usize) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 1)) + i as u32)
}

/// A static name.
pub fn static_name(i: usize) -> String {
    format!("w{i}.{ZONE}")
}

/// The static records as lines of a zone file.
pub fn static_records() -> String {
    let mut lines = String::new();
    for i in 0..STATIC_NAMES {
        // Writing to a String can't fail.
        let _ = writeln!(lines, "w{i} IN A {}", static_address(i));
    }
    lines
}

/// The countries of the European Union, in lower case or as they are.
pub fn eu_countries() -> Vec<String> {
    let eu = CountrySet::builtin("EU").unwrap_or_default();
    let mut codes: Vec<String> = eu.iter().map(|country| country.to_string()).collect();
    codes.sort();
    codes
}

/// The three sites: they accept connections, and close them.
struct Sites {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How often the sites look for a connection.
const ACCEPT: Duration = Duration::from_millis(50);
/// How often one port is tried for at all sites.
const TRIES: usize = 50;

impl Sites {
    fn open() -> std::io::Result<Self> {
        let (port, listeners) = listeners()?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                for listener in &listeners {
                    while listener.accept().is_ok() {}
                }
                std::thread::sleep(ACCEPT);
            }
        });
        Ok(Self {
            port,
            stop,
            thread: Some(thread),
        })
    }
}

/// One port that is free at all three.
fn listeners() -> std::io::Result<(u16, Vec<TcpListener>)> {
    let mut last = std::io::Error::other("no port is free at all three sites");
    for _ in 0..TRIES {
        let first = TcpListener::bind(SocketAddr::from((US, 0)))?;
        let port = first.local_addr()?.port();
        let others = [EU, AP].map(|site| TcpListener::bind(SocketAddr::from((site, port))));
        match others {
            [Ok(second), Ok(third)] => {
                let all = vec![first, second, third];
                for listener in &all {
                    listener.set_nonblocking(true)?;
                }
                return Ok((port, all));
            }
            [Err(error), _] | [_, Err(error)] => last = error,
        }
    }
    Err(last)
}

impl Drop for Sites {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that broke off has nothing to tell at the end.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_lie_in_one_country_and_no_two_are_the_same() {
        let ground = Ground::new().expect("loopback and a temporary folder");
        let networks = ground.networks(50_000, 1).expect("there are so many");
        assert_eq!(networks.len(), 50_000);
        let different: HashSet<&IpAddr> = networks.iter().collect();
        assert_eq!(different.len(), 50_000);
        for (i, network) in networks.iter().enumerate().step_by(101) {
            assert_eq!(network.is_ipv4(), i.is_multiple_of(2), "{network}");
            let bits = if network.is_ipv4() { TOLD.0 } else { TOLD.1 };
            let net = IpNet::new(*network, bits).expect("bits of the family");
            let ends = [net.network(), net.broadcast()].map(|end| ground.geo.locate(end).location);
            assert_eq!(ends[0], ends[1], "{network}");
        }
    }
}
