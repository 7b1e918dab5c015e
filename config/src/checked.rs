//! The checked config: what runs. Every name in it is known, every number in its range, every
//! default filled in.
//!
//! It is only ever made by [`check`](crate::load); whoever holds one need not check again.

use crate::problem::{Place, Sources};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use steering::geo::Location;
use steering::{Plane, PoolId, ServiceId, TableSpec, Verdict};

/// A config that can run.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the routing table is compiled from. `Table::compile` has accepted it once already.
    pub table: TableSpec,
    /// What is known of services beside the table, by [`ServiceId`].
    pub services: Vec<ServiceInfo>,
    /// How clients are located.
    pub geoip: Geoip,
    /// The keys that zone transfers are signed with.
    pub keys: Vec<Key>,
    /// The zones that are answered for.
    pub zones: Vec<Zone>,
    /// The names in them that are steered.
    pub steered: Vec<SteeredName>,
    /// The HTTP routes.
    pub routes: Vec<Route>,
    /// How the proxy connects, by [`PoolId`].
    pub upstreams: Vec<Upstream>,
    /// Where Rhumb listens.
    pub listen: Listen,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How DNS queries are answered.
    pub dns: Dns,
    /// Bounds of client requests.
    pub http: HttpLimits,
    /// Threads; `None` for as many as the machine has cores.
    pub workers: Option<usize>,
    /// Where health and latency are kept over restarts; `None` for nowhere.
    pub state_dir: Option<PathBuf>,
    /// How long the first round of checks is waited for at start.
    pub startup_grace: Duration,
    /// How long requests in flight are waited for at stop.
    pub drain_time: Duration,
    /// The log of what Rhumb does.
    pub log: Log,
    /// Where access log lines go.
    pub access_log: AccessLog,
    /// What the three region series of the metrics are called before the underscore.
    pub region_prefix: String,
    /// Whether the client subnet option locates DNS clients.
    pub edns_client_subnet: bool,
    /// The operator's own tests.
    pub expectations: Vec<Expectation>,
    /// The files this was read from, with their text.
    pub sources: Sources,
}

impl Checked {
    /// How the proxy connects to a pool.
    pub fn upstream(&self, pool: PoolId) -> Option<&Upstream> {
        self.upstreams.get(pool.index())
    }
}

/// What is known of a service beside the table.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceInfo {
    /// Its name.
    pub name: Arc<str>,
    /// The recovery time objective that `check` compares detection and TTL with.
    pub rto: Option<Duration>,
    /// Where it is written.
    pub place: Place,
}

/// How clients are located.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Geoip {
    /// A database of places; `None` for the embedded country table.
    pub database: Option<PathBuf>,
    /// A database of autonomous systems.
    pub asn_database: Option<PathBuf>,
    /// The operator's own knowledge, over any database; the longest prefix wins.
    pub networks: Vec<(IpNet, Location)>,
}

/// A zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Its name: lower case, without the last dot (the root is the empty name).
    pub apex: String,
    /// Its start of authority, when written here; else the master file holds it.
    pub soa: Option<Soa>,
    /// Its name servers, when written here: lower case, without the last dot.
    pub ns: Vec<String>,
    /// Its RFC 1035 master file.
    pub file: Option<PathBuf>,
    /// Records written here, each one line of a master file, with its place.
    pub records: Vec<(Place, String)>,
    /// Where it is transferred from, the preferred one first; empty for a zone of our own.
    pub primaries: Vec<Remote>,
    /// Who may transfer it, and who is told of its changes.
    pub transfer: Transfer,
    /// Where it is written.
    pub place: Place,
}

/// A key that zone transfers are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: Arc<str>,
    /// The algorithm; `None`: as the file says, else hmac-sha256.
    pub algorithm: Option<&'static str>,
    /// The file of its secret.
    pub secret_file: PathBuf,
    /// Where that is written.
    pub place: Place,
}

/// Who may transfer a zone, and who is told of its changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// Who may transfer it.
    pub to: Vec<Grant>,
    /// Who is told.
    pub notify: Vec<Remote>,
}

/// Who may transfer a zone: from there, and with that key where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The addresses; `None` for any.
    pub network: Option<IpNet>,
    /// The name of the key.
    pub key: Option<Arc<str>>,
}

/// Another DNS server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where it listens.
    pub address: SocketAddr,
    /// The name of the key.
    pub key: Option<Arc<str>>,
}

/// A start of authority (RFC 1035 §3.3.13). Names without the last dot; times in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// The primary name server.
    pub mname: String,
    /// The mailbox of the person in charge, as a domain name.
    pub rname: String,
    /// The version of the zone; `None` when it is made from its content.
    pub serial: Option<u32>,
    /// How often secondaries look.
    pub refresh: u32,
    /// How often they try again.
    pub retry: u32,
    /// When they give up.
    pub expire: u32,
    /// How long a denial may be cached (RFC 2308 §4).
    pub minimum: u32,
}

/// A DNS name whose addresses are steered.
#[derive(Clone, Debug, PartialEq)]
pub struct SteeredName {
    /// Lower case, without the last dot; may begin with `*.`.
    pub name: String,
    /// The service that decides.
    pub service: ServiceId,
    /// What an HTTPS record offers (RFC 9460); `None` for no HTTPS record.
    pub https: Option<Binding>,
    /// What an SVCB record offers; `None` for no SVCB record.
    pub svcb: Option<Binding>,
    /// Where it is written.
    pub place: Place,
}

/// What an HTTPS or SVCB record offers beside addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The protocols (RFC 9460 §7.1).
    pub alpn: Vec<String>,
    /// The port (RFC 9460 §7.2); `None` for the scheme's.
    pub port: Option<u16>,
    /// The path of DNS over HTTPS (RFC 9461 §5).
    pub doh_path: Option<String>,
}

/// HTTP hosts and paths that go to a service: any of the hosts with any of the paths.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Lower case, without port; may begin with `*.`.
    pub hosts: Vec<String>,
    /// Path prefixes, each beginning with `/`; the longest matching one of all routes wins.
    pub paths: Vec<String>,
    /// The service that decides.
    pub service: ServiceId,
    /// How many other endpoints of the same decision are tried after a failed connect.
    pub retries: u8,
    /// Where it is written.
    pub place: Place,
}

/// How the proxy connects to the endpoints of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// TLS, when spoken.
    pub tls: Option<UpstreamTls>,
    /// The Host header sent; `None` for the client's.
    pub host: Option<Arc<str>>,
    /// The HTTP version.
    pub protocol: Protocol,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the endpoint may be silent while its answer is awaited.
    pub read_timeout: Duration,
    /// How long the endpoint may refuse to take in more of a request.
    pub write_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
}

/// TLS towards endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The name sent as SNI and verified; `None` for the Host header's.
    pub server_name: Option<Arc<str>>,
    /// Whether the certificate must be valid for that name.
    pub verify: bool,
    /// The file of `ca_pem`.
    pub ca_file: Option<PathBuf>,
    /// PEM text of the authorities to trust instead of the system's.
    pub ca_pem: Option<Arc<str>>,
}

/// The HTTP version spoken to endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// h2 where TLS negotiates it, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    H1,
    /// h2; without TLS by prior knowledge.
    H2,
}

/// Where Rhumb listens. Changes need a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// DNS, UDP and TCP.
    pub dns: Vec<DnsListener>,
    /// DNS over TLS.
    pub dot: Vec<SecureListener>,
    /// DNS over HTTPS, each with the path that is asked.
    pub doh: Vec<(SecureListener, String)>,
    /// DNS over QUIC.
    pub doq: Vec<SecureListener>,
    /// HTTP.
    pub http: Vec<SocketAddr>,
    /// HTTPS.
    pub https: Vec<HttpsListener>,
    /// Metrics, status, explain.
    pub admin: Option<SocketAddr>,
}

/// A listener for DNS over UDP and TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsListener {
    /// Where.
    pub address: SocketAddr,
    /// Whether PROXY headers are expected.
    pub proxy_protocol: bool,
}

/// A listener for encrypted DNS. Its address needs a restart to change, its certificates do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecureListener {
    /// Where.
    pub address: SocketAddr,
    /// Chosen by SNI; the first one serves clients that send no name or an unknown one.
    pub certificates: Vec<Certificate>,
    /// Whether PROXY headers are expected; never for QUIC.
    pub proxy_protocol: bool,
}

/// An HTTPS listener. Its address needs a restart to change, its certificates do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsListener {
    /// Where.
    pub address: SocketAddr,
    /// Chosen by SNI; the first one serves clients that send no name or an unknown one.
    pub certificates: Vec<Certificate>,
}

/// A certificate chain and its key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The chain, the server's own certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How DNS queries are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// The most octets of an answer over UDP.
    pub udp_payload: u16,
    /// Bounds of connections, over all transports that have them.
    pub connections: Connections,
    /// What NSID tells (RFC 5001).
    pub nsid: Told,
    /// What `version.bind` tells.
    pub version: Told,
    /// What `hostname.bind` tells.
    pub hostname: Told,
    /// DNS cookies; `None` for none.
    pub cookies: Option<Cookies>,
    /// How often a client's network may be told the same; `None` for as often as it asks.
    pub rate_limit: Option<RateLimit>,
    /// Where lines about queries go; `None` for nowhere.
    pub query_log: Option<QueryLog>,
}

/// Bounds of DNS connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// The most at a time.
    pub most: usize,
    /// The most of one client network at a time.
    pub per_client: usize,
    /// How many bits of an IPv4 address make a client network.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address make a client network.
    pub ipv6_prefix: u8,
    /// From one query to the next, and for an answer to be taken.
    pub idle: Duration,
    /// After how many queries a connection is closed; `None` for never.
    pub queries: Option<u64>,
}

/// What the server tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// The PoP's name.
    PopName,
    /// The program's name.
    Program,
    /// This, and where it is written.
    Text(String, Place),
}

/// How DNS cookies are made and checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies {
    /// The secret of new ones; `None` for a random one.
    pub secret: Option<CookieSecret>,
    /// Another whose cookies are taken.
    pub previous: Option<CookieSecret>,
    /// Whether clients that speak cookies must bring a valid one over UDP.
    pub require: bool,
}

/// A secret, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieSecret(pub [u8; 16]);

impl CookieSecret {
    /// From 32 hexadecimal digits.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret(..)")
    }
}

/// How often a client's network may be told the same over UDP. Rates are responses a second; 0 is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// For one name.
    pub responses: u32,
    /// Errors.
    pub errors: u32,
    /// Names of one zone that do not exist.
    pub nxdomains: u32,
    /// Referrals to one child zone.
    pub referrals: u32,
    /// Everything together.
    pub all: u32,
    /// Of so many responses beyond the rate one is sent with TC; 0 for none.
    pub slip: u8,
    /// How many bits of an IPv4 address make a network.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address make a network.
    pub ipv6_prefix: u8,
    /// Networks that are never limited.
    pub exempt: Vec<IpNet>,
    /// Whether it only counts.
    pub dry_run: bool,
}

/// Lines about queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryLog {
    /// Where they go.
    pub to: LogTarget,
    /// One in so many queries has a line; at least 1.
    pub one_in: u32,
    /// Their form.
    pub format: LogFormat,
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// To standard output.
    Stdout,
    /// To the end of a file.
    File(PathBuf),
}

/// Bounds of client requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// From the first byte of a request to the end of its headers.
    pub header_timeout: Duration,
    /// The most bytes of request line and headers.
    pub max_header_bytes: usize,
    /// The most header fields.
    pub max_headers: usize,
}

/// The log of what Rhumb does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// The least level shown: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: &'static str,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Where access log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// To standard output.
    Stdout,
    /// To the end of a file.
    File(PathBuf),
}

/// One of the operator's own tests: what one client is to be given.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The service asked for.
    pub service: Arc<str>,
    /// Who asks.
    pub client: IpAddr,
    /// By which planes; both unless one is written.
    pub planes: Vec<Plane>,
    /// What is down; all else is up.
    pub down: Vec<What>,
    /// What is up all the same, laid over `down`.
    pub up: Vec<What>,
    /// What must come of it; all of these.
    pub expected: Vec<Expected>,
    /// Where it is written.
    pub place: Place,
    /// Its position, such as `expect[3]`.
    pub path: String,
}

/// What an expectation supposes to be down or up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Everything.
    All,
    /// A pool, a region, or both where they share the name.
    Named(Arc<str>),
    /// Every endpoint with this address.
    Endpoint(SocketAddr),
}

/// What must come of an expectation.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// The chosen region, whatever the draw.
    Region(Arc<str>),
    /// One of these regions, and over many draws each of them.
    Regions(Vec<Arc<str>>),
    /// The chosen pool, whatever the draw.
    Pool(Arc<str>),
    /// This endpoint is among those given.
    Endpoint(SocketAddr),
    /// How the decision ends.
    Verdict(Verdict),
    /// Shares of regions over many draws, in percent, within two percentage points.
    Share(Vec<(Arc<str>, f64)>),
}
