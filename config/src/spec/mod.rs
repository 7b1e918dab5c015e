//! What is written: the config language, version 1, as serde types.
//!
//! Names are not resolved and ranges not checked here; see [`check`](crate::check). The doc comments
//! of keys are what the JSON Schema says of them.

pub mod defaults;
pub mod leaf;
mod policy;

pub use leaf::*;
pub use policy::*;

use crate::de::{Names, Shaped, Written as W, shaped};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::VariantAccess;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// A Rhumb config.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Rhumb config")]
pub struct Config {
    /// The version of this language: 1.
    pub version: Option<W<u32>>,
    /// Other files (paths or globs, relative to this file) that are read as if they stood here.
    pub include: Option<W<Vec<W<String>>>>,
    /// This node.
    pub pop: Option<W<Pop>>,
    /// Threads that serve; default: the machine's cores.
    pub workers: Option<W<u32>>,
    /// A directory where health and latency are kept over restarts.
    pub state_dir: Option<W<String>>,
    /// How long the first round of health checks is waited for at start; default 5s.
    pub startup_grace: Option<W<Time>>,
    /// How long requests in flight are waited for at stop; default 30s.
    pub drain_time: Option<W<Time>>,
    /// Proxies whose X-Forwarded-For and Forwarded headers are believed.
    pub trusted_proxies: Option<W<Vec<W<Network>>>>,
    /// Whether the client subnet option (RFC 7871) locates DNS clients; default true.
    pub edns_client_subnet: Option<W<bool>>,
    /// How clients are located.
    pub geoip: Option<W<Geoip>>,
    /// Places that serve.
    pub regions: Option<W<Names<Region>>>,
    /// Areas of one law, by country.
    pub jurisdictions: Option<W<Names<Jurisdiction>>>,
    /// Sets of countries, usable wherever countries are.
    pub country_sets: Option<W<Names<Vec<W<String>>>>>,
    /// How endpoints are probed.
    pub health_checks: Option<W<Names<HealthCheck>>>,
    /// Endpoints of one region behind one health check.
    pub pools: Option<W<Names<Pool>>>,
    /// Trees of choices over pools.
    pub policies: Option<W<Names<Policy>>>,
    /// Rules for which jurisdictions may serve which clients.
    pub residency: Option<W<Names<Residency>>>,
    /// What clients ask for.
    pub services: Option<W<Names<Service>>>,
    /// Zones that are answered for.
    pub zones: Option<W<Names<Zone>>>,
    /// Round trips from clients to regions, for `latency` over DNS.
    pub latency_map: Option<W<Vec<W<LatencyRow>>>>,
    /// Where Rhumb listens.
    pub listen: Option<W<Listen>>,
    /// Bounds of client requests.
    pub http: Option<W<HttpLimits>>,
    /// Names of metrics.
    pub metrics: Option<W<Metrics>>,
    /// The log of what Rhumb does.
    pub log: Option<W<Log>>,
    /// Where access log lines go: stdout, off, or a file; default off.
    pub access_log: Option<W<AccessLog>>,
    /// Your own tests: what a client is to be given.
    pub expect: Option<W<Vec<W<Expectation>>>>,
}

/// This node.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pop {
    /// Its name, in logs and metrics.
    pub name: Option<W<String>>,
    /// The region it is in.
    pub region: Option<W<String>>,
    /// Where it is, when it is in none of the regions.
    pub location: Option<W<Location>>,
}

/// A place on the map.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// ISO 3166-1 alpha-2, such as DE.
    pub country: Option<W<String>>,
    /// Degrees north, -90 to 90.
    pub latitude: Option<W<f64>>,
    /// Degrees east, -180 to 180.
    pub longitude: Option<W<f64>>,
}

/// How clients are located.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Geoip {
    /// An mmdb file of places; default: the embedded country table.
    pub database: Option<W<String>>,
    /// An mmdb file of autonomous systems.
    pub asn_database: Option<W<String>>,
    /// Networks whose place you know; the most specific wins over the database.
    pub networks: Option<W<Vec<W<NetworkLocation>>>>,
}

/// Where a network is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkLocation {
    /// The network.
    pub cidr: W<Network>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<W<String>>,
    /// Default: the country's.
    pub continent: Option<W<ContinentCode>>,
    /// ISO 3166-2, such as US-CA.
    pub subdivision: Option<W<SubdivisionCode>>,
    /// Degrees north.
    pub latitude: Option<W<f64>>,
    /// Degrees east.
    pub longitude: Option<W<f64>>,
    /// The autonomous system's number.
    pub asn: Option<W<u32>>,
}

/// A place that serves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Where it is.
    pub location: Option<W<Location>>,
    /// The jurisdiction it is under.
    pub jurisdiction: Option<W<String>>,
    /// What it can carry, in units of your choice; shown in status.
    pub capacity: Option<W<u32>>,
}

/// An area of one law.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jurisdiction {
    /// Countries and country sets it consists of.
    pub countries: W<Vec<W<String>>>,
}

/// How endpoints are probed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// What a probe does.
    #[serde(rename = "type")]
    pub kind: W<CheckKind>,
    /// The request method (http, https); default GET.
    pub method: Option<W<String>>,
    /// The request path with its query (http, https); default /.
    pub path: Option<W<UrlPath>>,
    /// The Host header (http, https); default: the endpoint's address.
    pub host: Option<W<DomainName>>,
    /// What counts as healthy (http, https).
    pub expect: Option<W<ExpectedAnswer>>,
    /// The TLS side (tls, https).
    pub tls: Option<W<Tls>>,
    /// From the start of one probe to the start of the next; default 10s, at least 100ms.
    pub interval: Option<W<Time>>,
    /// How long one probe may take; default 5s.
    pub timeout: Option<W<Time>>,
    /// Successes in a row that bring an endpoint up; default 2.
    pub rise: Option<W<u16>>,
    /// Failures in a row that bring an endpoint down; default 3.
    pub fall: Option<W<u16>>,
}

/// What a probe does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckKind {
    /// Opens a connection.
    Tcp,
    /// Opens a connection and completes a TLS handshake.
    Tls,
    /// Asks over HTTP.
    Http,
    /// Asks over HTTPS.
    Https,
}

/// What counts as healthy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedAnswer {
    /// Statuses and ranges of them; default 200-299.
    pub status: Option<W<Vec<W<Statuses>>>>,
    /// A text that must appear in the first 64 KiB of the body.
    pub body: Option<W<String>>,
}

/// TLS towards endpoints.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The name sent as SNI and verified; default: the host.
    pub server_name: Option<W<DomainName>>,
    /// Whether the certificate must be valid for that name; default true.
    pub verify: Option<W<bool>>,
    /// A PEM file of the authorities to trust instead of the system's.
    pub ca_file: Option<W<String>>,
}

/// TLS, or whether at all.
#[derive(Debug)]
pub enum TlsSetting {
    /// On with defaults, or off.
    Switch(bool),
    /// On.
    On(Tls),
}

impl<'de> Deserialize<'de> for TlsSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shaped(deserializer)
    }
}

impl<'de> Shaped<'de> for TlsSetting {
    const EXPECTED: &'static str = "true, false or a map of TLS settings";

    fn scalar<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::Switch)
    }

    fn map<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::On)
    }
}

impl JsonSchema for TlsSetting {
    fn schema_name() -> Cow<'static, str> {
        "TlsSetting".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let tls = generator.subschema_for::<Tls>();
        json_schema!({ "anyOf": [{ "type": "boolean" }, tls] })
    }
}

/// Endpoints of one region behind one health check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// The region all of it is in.
    pub region: W<String>,
    /// How its endpoints are probed; without it they count as up.
    pub health_check: Option<W<String>>,
    /// How much of it must be up for it to be used; default: any endpoint.
    pub min_healthy: Option<W<MinHealthy>>,
    /// Where it is served.
    pub endpoints: W<Vec<W<Endpoint>>>,
    /// The Host header that requests are sent with; default: the client's.
    pub host: Option<W<DomainName>>,
    /// Whether and how TLS is spoken; default: when its health check is https or tls.
    pub tls: Option<W<TlsSetting>>,
    /// The HTTP version spoken; default auto.
    pub protocol: Option<W<Protocol>>,
    /// How long the proxy waits.
    pub timeouts: Option<W<Timeouts>>,
}

/// An address that serves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Where the proxy and the health checks connect.
    pub address: W<Address>,
    /// Its share within the pool, 0 to 65535; default 1. At 0 it is a reserve.
    pub weight: Option<W<u16>>,
    /// What DNS says: addresses, or one host name (answered as CNAME); default: the address.
    pub publish: Option<W<OneOrMany>>,
}

/// A text or a list of texts.
#[derive(Debug)]
pub struct OneOrMany(pub Vec<W<String>>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shaped(deserializer)
    }
}

impl<'de> Shaped<'de> for OneOrMany {
    const EXPECTED: &'static str = "a text or a list of texts";

    fn scalar<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(|one| Self(vec![one]))
    }

    fn list<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self)
    }
}

impl JsonSchema for OneOrMany {
    fn schema_name() -> Cow<'static, str> {
        "OneOrMany".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
    }
}

/// The HTTP version spoken to endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// h2 where TLS negotiates it, else HTTP/1.1.
    Auto,
    /// HTTP/1.1.
    H1,
    /// h2; without TLS by prior knowledge.
    H2,
}

/// How long the proxy waits.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// For a connection to be made; default 3s.
    pub connect: Option<W<Time>>,
    /// For an endpoint that is silent while its answer is awaited; default 60s.
    pub read: Option<W<Time>>,
    /// For an endpoint that takes in no more of a request; default 60s.
    pub write: Option<W<Time>>,
    /// For an unused connection to be used again; default 60s.
    pub idle: Option<W<Time>>,
}

/// Which jurisdictions may serve which clients.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Residency {
    /// The clients it pins.
    pub clients: W<ResidencyClients>,
    /// The jurisdictions that may serve them.
    pub serve_in: W<Vec<W<String>>>,
    /// Whether a client without a location is pinned too; default pin.
    pub unknown_clients: Option<W<UnknownClients>>,
    /// What happens when all of those jurisdictions is down; default refuse. Failing open stays
    /// inside them.
    pub when_exhausted: Option<W<WhenExhausted>>,
}

/// The clients a residency rule pins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResidencyClients {
    /// Countries and country sets.
    pub countries: Option<W<Vec<W<String>>>>,
    /// Continents.
    pub continents: Option<W<Vec<W<ContinentCode>>>>,
}

/// What holds for clients without a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownClients {
    /// They are pinned.
    Pin,
    /// They are not.
    Free,
}

/// What happens when all that may serve is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenExhausted {
    /// Nothing is given.
    Refuse,
    /// The policy is walked as if all were up.
    FailOpen,
}

/// What clients ask for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// How it chooses; may be left out when `dns` and `http` each have one.
    pub policy: Option<W<Policy>>,
    /// The residency rule for its clients.
    pub residency: Option<W<String>>,
    /// What happens when all endpoints are down; default fail_open.
    pub on_exhausted: Option<W<WhenExhausted>>,
    /// The longest a client may be held on a failed endpoint; `check` compares detection and TTL with it.
    pub rto: Option<W<Time>>,
    /// The names it answers to in DNS.
    pub dns: Option<W<ServiceDns>>,
    /// The hosts and paths it answers to over HTTP.
    pub http: Option<W<ServiceHttp>>,
}

/// A service in DNS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceDns {
    /// Its names; each must lie in one of the zones, and may begin with `*.`.
    pub names: W<Vec<W<WildcardName>>>,
    /// How long answers may be cached while all is well; default 60s.
    pub ttl: Option<W<Time>>,
    /// The least TTL while an endpoint is on its way to a change; default 10s, at most `ttl`.
    pub ttl_failing: Option<W<Time>>,
    /// How DNS chooses, when not as `policy` says.
    pub policy: Option<W<Policy>>,
    /// What an HTTPS record (RFC 9460) offers; without it there is none.
    pub https: Option<W<HttpsRecord>>,
}

/// What an HTTPS record offers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpsRecord {
    /// Protocols by their ALPN names, such as h2 and http/1.1.
    pub alpn: W<Vec<W<String>>>,
}

/// A service over HTTP.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceHttp {
    /// Its hosts; each may begin with `*.`, and `*` is every host.
    pub hosts: W<Vec<W<HostName>>>,
    /// Path prefixes; default: all paths.
    pub paths: Option<W<Vec<W<UrlPath>>>>,
    /// How HTTP chooses, when not as `policy` says.
    pub policy: Option<W<Policy>>,
    /// How many other endpoints are tried after a failed connect, 0 to 7; default 1.
    pub retries: Option<W<u8>>,
}

/// A zone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Its start of authority; left out when the file holds it.
    pub soa: Option<W<Soa>>,
    /// Its name servers; left out when the file holds them.
    pub ns: Option<W<Vec<W<DomainName>>>>,
    /// An RFC 1035 master file.
    pub file: Option<W<String>>,
    /// Static records, each one line of a master file.
    pub records: Option<W<Vec<W<String>>>>,
}

/// A start of authority.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Soa {
    /// The primary name server.
    pub mname: W<DomainName>,
    /// The mailbox of the person in charge, as a domain name.
    pub rname: W<DomainName>,
    /// The version of the zone; default 1.
    pub serial: Option<W<u32>>,
    /// How often secondaries look; default 1h.
    pub refresh: Option<W<Time>>,
    /// How often they try again; default 15m.
    pub retry: Option<W<Time>>,
    /// When they give up; default 14d.
    pub expire: Option<W<Time>>,
    /// How long a denial may be cached; default 60s.
    pub minimum: Option<W<Time>>,
}

/// Round trips from some clients to regions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatencyRow {
    /// The clients, by network.
    pub networks: Option<W<Vec<W<Network>>>>,
    /// The clients, by autonomous system.
    pub asns: Option<W<Vec<W<u32>>>>,
    /// The clients, by country or country set.
    pub countries: Option<W<Vec<W<String>>>>,
    /// The round trip to each region.
    pub rtt: W<Names<Time>>,
}

/// Where Rhumb listens.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// DNS, over UDP and TCP.
    pub dns: Option<W<Vec<W<Listener>>>>,
    /// HTTP.
    pub http: Option<W<Vec<W<Listener>>>>,
    /// HTTPS.
    pub https: Option<W<Vec<W<HttpsListener>>>>,
    /// Metrics, status and explain; keep it off public networks.
    pub admin: Option<W<Listener>>,
}

/// An address to listen on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// The address; `0.0.0.0` or `[::]` for all.
    pub address: W<Address>,
}

/// An address to listen on for HTTPS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpsListener {
    /// The address; `0.0.0.0` or `[::]` for all.
    pub address: W<Address>,
    /// Chosen by the name the client sends; the first one is for all others.
    pub certificates: W<Vec<W<Certificate>>>,
}

/// A certificate and its key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// A PEM file of the chain.
    pub cert: W<String>,
    /// A PEM file of the private key.
    pub key: W<String>,
}

/// Bounds of client requests.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpLimits {
    /// For a request's headers to be complete; default 10s.
    pub header_timeout: Option<W<Time>>,
    /// The most bytes of request line and headers, 1024 to 1048576; default 65536.
    pub max_header_bytes: Option<W<u32>>,
    /// The most header fields, 8 to 1000; default 100.
    pub max_headers: Option<W<u32>>,
}

/// Names of metrics.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// What the region series begin with; default rhumb_region.
    pub region_prefix: Option<W<String>>,
}

/// The log of what Rhumb does.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// How lines look; default text.
    pub format: Option<W<LogFormat>>,
    /// The least level shown; default info.
    pub level: Option<W<LogLevel>>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The least level shown.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures.
    Error,
    /// And what may become one.
    Warn,
    /// And what happens.
    Info,
    /// And why.
    Debug,
    /// And everything else.
    Trace,
}

/// Where access log lines go.
#[derive(Debug)]
pub enum AccessLog {
    /// `off`, `stdout` or a file.
    Word(W<String>),
    /// A file.
    Table(AccessLogFile),
}

/// Access log lines in a file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessLogFile {
    /// The file; lines are added at its end.
    pub path: W<String>,
}

impl<'de> Deserialize<'de> for AccessLog {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shaped(deserializer)
    }
}

impl<'de> Shaped<'de> for AccessLog {
    const EXPECTED: &'static str = "off, stdout or a map with a path";

    fn scalar<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::Word)
    }

    fn map<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::Table)
    }
}

impl JsonSchema for AccessLog {
    fn schema_name() -> Cow<'static, str> {
        "AccessLog".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let file = generator.subschema_for::<AccessLogFile>();
        json_schema!({ "anyOf": [{ "enum": ["off", "stdout"] }, file] })
    }
}

/// One of your own tests: what a client is to be given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The service asked for.
    pub service: W<String>,
    /// The client's address.
    pub client: W<Ip>,
    /// Which plane is asked; default: both that the service has.
    pub plane: Option<W<Plane>>,
    /// What is down or up; default: all is up.
    pub when: Option<W<When>>,
    /// The region it is given, whatever the draw.
    pub region: Option<W<String>>,
    /// The regions it may be given; over many draws each of them is.
    pub regions: Option<W<Vec<W<String>>>>,
    /// The pool it is given, whatever the draw.
    pub pool: Option<W<String>>,
    /// An endpoint that is among those given.
    pub endpoint: Option<W<Address>>,
    /// How it ends.
    pub verdict: Option<W<VerdictName>>,
    /// Shares of regions over many draws, within two percentage points.
    pub share: Option<W<Names<Percent>>>,
}

/// What an expectation supposes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Pools, regions, endpoint addresses, or all.
    pub down: Option<W<Vec<W<String>>>>,
    /// What is up all the same.
    pub up: Option<W<Vec<W<String>>>>,
}

/// A plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// DNS queries.
    Dns,
    /// HTTP requests.
    Http,
}

/// How a decision ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictName {
    /// The policy chose a usable pool.
    Steered,
    /// All is down, and the policy was walked as if it were up.
    FailOpen,
    /// Nothing may be given.
    Refused,
    /// The policy has nothing for this client.
    NoService,
}
