//! Health checks, pools and endpoints, as written.

use super::{Address, DomainName, MinHealthy, Statuses, Time, UrlPath};
use crate::de::{Shaped, Written as W, shaped};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::VariantAccess;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

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
