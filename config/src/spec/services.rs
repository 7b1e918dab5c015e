//! Residency rules, services and zones, as written.

use super::{
    ContinentCode, DomainName, HostName, Policy, RemoteServer, SerialSetting, Time, Transfer,
    UrlPath, WildcardName,
};
use crate::de::Written as W;
use schemars::JsonSchema;
use serde::Deserialize;

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
    /// What an SVCB record (RFC 9460) offers, for names such as _dns.example.com; without it there is none.
    pub svcb: Option<W<SvcbRecord>>,
}

/// What an HTTPS record offers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpsRecord {
    /// Protocols by their ALPN names, such as h2 and http/1.1.
    pub alpn: W<Vec<W<String>>>,
    /// The port, where it is not 443.
    pub port: Option<W<u16>>,
}

/// What an SVCB record offers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SvcbRecord {
    /// Protocols by their ALPN names, such as dot and h2.
    pub alpn: W<Vec<W<String>>>,
    /// The port, where it is not the one of the protocol.
    pub port: Option<W<u16>>,
    /// The path of DNS over HTTPS (RFC 9461 §5), such as /dns-query{?dns}.
    pub doh_path: Option<W<String>>,
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
    /// The servers it is transferred from, the preferred one first; then it has no file, soa or ns here. What is
    /// steered and what is in `records` lies over what comes from there.
    pub primary: Option<W<Vec<W<RemoteServer>>>>,
    /// Who may transfer it from here, and who is told of its changes.
    pub transfer: Option<W<Transfer>>,
}

/// A start of authority.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Soa {
    /// The primary name server.
    pub mname: W<DomainName>,
    /// The mailbox of the person in charge, as a domain name.
    pub rname: W<DomainName>,
    /// The version of the zone: a number, or auto for one that grows with each change of its records; default 1.
    pub serial: Option<W<SerialSetting>>,
    /// How often secondaries look; default 1h.
    pub refresh: Option<W<Time>>,
    /// How often they try again; default 15m.
    pub retry: Option<W<Time>>,
    /// When they give up; default 14d.
    pub expire: Option<W<Time>>,
    /// How long a denial may be cached; default 60s.
    pub minimum: Option<W<Time>>,
}
