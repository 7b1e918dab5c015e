//! A scenario as written: serde types, nothing looked up yet.

use crate::de::{Names, Shaped, Written as W, shaped};
use crate::spec::{Address, Percent, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::VariantAccess;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// A scenario: timed steps while a config is under load.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Rhumb scenario")]
pub struct Scenario {
    /// The version of this language: 1.
    pub version: Option<W<u32>>,
    /// The config under load, relative to this file.
    pub config: Option<W<String>>,
    /// Servers that run already; without it the config is rehearsed with stand-ins on this machine.
    pub against: Option<W<Against>>,
    /// Who asks for what, and how often.
    pub load: Option<W<Load>>,
    /// From the start of the recording to the end; default 10s after the last step.
    pub duration: Option<W<Time>>,
    /// What happens, in the order of time.
    pub steps: Option<W<Vec<W<Step>>>>,
    /// What must come of it.
    pub expect: Option<W<Expect>>,
}

/// Servers that run already.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Against {
    /// Where DNS is asked.
    pub dns: Option<W<Address>>,
    /// Where HTTP is asked.
    pub http: Option<W<Address>>,
    /// Rhumb's admin address: tells when it decided.
    pub admin: Option<W<Address>>,
    /// By region: what fails its origins, and what heals them.
    pub origins: Option<W<Names<Calls>>>,
}

/// What fails and heals the origins of a region.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// Requests, such as PUT http://127.0.1.1:8081/health/down.
    pub fail: W<OneOrMany>,
    /// Requests, such as PUT http://127.0.1.1:8081/health/up.
    pub heal: W<OneOrMany>,
}

/// A text or a list of them.
#[derive(Debug)]
pub enum OneOrMany {
    /// One.
    One(W<String>),
    /// Several.
    Many(Vec<W<String>>),
}

/// Who asks for what, and how often.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Questions over DNS.
    pub dns: Option<W<PlaneLoad>>,
    /// Requests over HTTP.
    pub http: Option<W<PlaneLoad>>,
    /// Countries of the clients with their shares; default: the whole world.
    pub clients: Option<W<Names<f64>>>,
    /// The services asked for; default: all.
    pub services: Option<W<Vec<W<String>>>>,
}

/// The load of one plane.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaneLoad {
    /// Questions a second; 0 to leave the plane out.
    pub rate: Option<W<f64>>,
}

/// One thing that happens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When, after the start of the recording.
    pub at: Option<W<Time>>,
    /// What fails: region NAME, pool NAME, endpoint ADDRESS, all, or a list of these.
    pub fail: Option<W<OneOrMany>>,
    /// With fail: failing (503 to everything; default), refusing (no connection is accepted), resetting
    /// (each connection breaks) or silent (nothing is answered).
    pub how: Option<W<How>>,
    /// What is well again: region NAME, pool NAME, endpoint ADDRESS, all, or a list of these.
    pub heal: Option<W<OneOrMany>>,
    /// The config to put in place, relative to this file.
    pub reload: Option<W<String>>,
    /// The failover policy that returns to its first usable child, by an operator's word.
    pub failback: Option<W<String>>,
    /// Questions a second from now on: one number for each plane, or { dns: 500, http: 200 }.
    pub rate: Option<W<Rate>>,
}

/// How something fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Everything is answered 503. Where checks only connect, connections are refused instead, since
    /// such a check would see nothing.
    Failing,
    /// No connection is accepted.
    Refusing,
    /// Connections are accepted, and reset with their first request.
    Resetting,
    /// Nothing is answered.
    Silent,
}

/// A rate for each plane.
#[derive(Debug)]
pub enum Rate {
    /// The same for both.
    Both(W<f64>),
    /// Each its own.
    Each(Rates),
}

/// Rates by plane.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Over DNS.
    pub dns: Option<W<f64>>,
    /// Over HTTP.
    pub http: Option<W<f64>>,
}

/// What must come of a scenario.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Whether every failover is within its service's rto.
    pub within_rto: Option<W<bool>>,
    /// The most answers that name a region which may not serve the client.
    pub leaks: Option<W<u64>>,
    /// The most questions without an answer, such as 1%.
    pub failed: Option<W<Percent>>,
}

impl OneOrMany {
    /// Each of them.
    pub(super) fn each(&self) -> Vec<&W<String>> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many.iter().collect(),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shaped(deserializer)
    }
}

impl<'de> Shaped<'de> for OneOrMany {
    const EXPECTED: &'static str = "a text or a list of them";

    fn scalar<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::One)
    }

    fn list<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::Many)
    }
}

impl JsonSchema for OneOrMany {
    fn schema_name() -> Cow<'static, str> {
        "OneOrMany".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let text = json_schema!({ "type": "string" });
        json_schema!({ "anyOf": [text, { "type": "array", "items": text }] })
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shaped(deserializer)
    }
}

impl<'de> Shaped<'de> for Rate {
    const EXPECTED: &'static str = "questions a second, or a map by plane";

    fn scalar<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::Both)
    }

    fn map<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::Each)
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let each = generator.subschema_for::<Rates>();
        json_schema!({ "anyOf": [{ "type": "number" }, each] })
    }
}
