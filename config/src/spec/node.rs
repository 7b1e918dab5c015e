//! This node's limits and logs, as written.

use super::Time;
use crate::de::{Shaped, Written as W, shaped};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::VariantAccess;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

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
