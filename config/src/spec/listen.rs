//! Where this node listens, as written.

use super::{Address, UrlPath};
use crate::de::Written as W;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where Rhumb listens.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// DNS, over UDP and TCP.
    pub dns: Option<W<Vec<W<DnsListener>>>>,
    /// DNS over TLS (RFC 7858); clients expect port 853.
    pub dot: Option<W<Vec<W<DotListener>>>>,
    /// DNS over HTTPS (RFC 8484); clients expect port 443.
    pub doh: Option<W<Vec<W<DohListener>>>>,
    /// DNS over QUIC (RFC 9250), on UDP; clients expect port 853.
    pub doq: Option<W<Vec<W<DoqListener>>>>,
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

/// An address to listen on for DNS over UDP and TCP.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsListener {
    /// The address; `0.0.0.0` or `[::]` for all.
    pub address: W<Address>,
    /// Whether every connection begins with a PROXY header, version 1 or 2, and every datagram with one of version 2.
    /// Then only `trusted_proxies` are answered here; default false.
    pub proxy_protocol: Option<W<bool>>,
}

/// An address to listen on for DNS over TLS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DotListener {
    /// The address; `0.0.0.0` or `[::]` for all.
    pub address: W<Address>,
    /// Chosen by the name the client sends; the first one is for all others.
    pub certificates: W<Vec<W<Certificate>>>,
    /// Whether every connection begins with a PROXY header, version 1 or 2, before TLS. Then only `trusted_proxies` may
    /// connect here; default false.
    pub proxy_protocol: Option<W<bool>>,
}

/// An address to listen on for DNS over HTTPS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DohListener {
    /// The address; `0.0.0.0` or `[::]` for all.
    pub address: W<Address>,
    /// Chosen by the name the client sends; the first one is for all others.
    pub certificates: W<Vec<W<Certificate>>>,
    /// The path that is asked; default /dns-query.
    pub path: Option<W<UrlPath>>,
    /// Whether every connection begins with a PROXY header, version 1 or 2, before TLS. Then only `trusted_proxies` may
    /// connect here; default false.
    pub proxy_protocol: Option<W<bool>>,
}

/// An address to listen on for DNS over QUIC.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DoqListener {
    /// The address; `0.0.0.0` or `[::]` for all.
    pub address: W<Address>,
    /// Chosen by the name the client sends; the first one is for all others.
    pub certificates: W<Vec<W<Certificate>>>,
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
