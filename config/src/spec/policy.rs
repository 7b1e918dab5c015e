//! Policies as written: a name, or a map with one of seven keys.

use super::{ContinentCode, Network, SubdivisionCode, Time};
use crate::de::{Bad, Names, Shaped, Written as W, shaped};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, VariantAccess};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// A tree of choices over pools.
#[derive(Debug)]
pub enum Policy {
    /// A pool or another policy.
    Name(W<String>),
    /// A choice.
    Choice(Box<Choice>),
}

/// A choice: exactly one of the seven kinds, with its options beside it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The first usable child.
    pub failover: Option<W<Vec<W<Policy>>>>,
    /// A share for each child; 0 is a reserve.
    pub weighted: Option<W<Weighted>>,
    /// By the client's location: the most specific matching rule.
    pub geo: Option<W<Geo>>,
    /// The least round trip.
    pub latency: Option<W<Vec<W<Policy>>>>,
    /// The least distance.
    pub proximity: Option<W<Proximity>>,
    /// By the client's network: the longest matching prefix.
    pub network: Option<W<ByNetwork>>,
    /// Endpoints of several children in one answer.
    pub multivalue: Option<W<Vec<W<Policy>>>>,
    /// With failover: when to return to an earlier child; automatic (default), manual, or { after: 5m }.
    pub failback: Option<W<Failback>>,
    /// With weighted: `client` keeps a client's network on one child.
    pub sticky: Option<W<Sticky>>,
    /// With multivalue: the most endpoints, 1 to 8; default 8.
    pub max: Option<W<u8>>,
}

/// Children with weights.
#[derive(Debug)]
pub enum Weighted {
    /// Names and their weights.
    Names(Names<u16>),
    /// Policies and their weights.
    List(Vec<W<WeightedChild>>),
}

/// A child with a weight.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightedChild {
    /// The child.
    pub to: W<Policy>,
    /// Its weight, 0 to 65535.
    pub weight: W<u16>,
}

/// Rules by location.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Geo {
    /// The rules.
    pub rules: Option<W<Vec<W<GeoRule>>>>,
    /// For clients that no rule matches.
    pub default: Option<W<Policy>>,
}

/// A rule by location; any of its matchers may match.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GeoRule {
    /// Subdivisions.
    pub subdivisions: Option<W<Vec<W<SubdivisionCode>>>>,
    /// Countries and country sets.
    pub countries: Option<W<Vec<W<String>>>>,
    /// Continents.
    pub continents: Option<W<Vec<W<ContinentCode>>>>,
    /// Where matching clients go.
    pub to: W<Policy>,
}

/// Children by distance.
#[derive(Debug)]
pub enum Proximity {
    /// All alike.
    List(Vec<W<Policy>>),
    /// Names with a bias.
    Names(Names<Bias>),
}

/// A bias.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bias {
    /// In percent: 1 to 99 draws clients from further away, -1 to -99 pushes them off; default 0.
    pub bias: Option<W<i8>>,
}

/// Rules by network.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ByNetwork {
    /// The rules.
    pub rules: Option<W<Vec<W<NetworkRule>>>>,
    /// For clients in none of the networks.
    pub default: Option<W<Policy>>,
}

/// A rule by network.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkRule {
    /// The networks.
    pub cidrs: W<Vec<W<Network>>>,
    /// Where clients in them go.
    pub to: W<Policy>,
}

/// When a failover returns to an earlier child.
#[derive(Debug)]
pub enum Failback {
    /// At once.
    Automatic,
    /// On an operator's word.
    Manual,
    /// Once it has been usable for this long.
    After(FailbackAfter),
}

/// When a failover returns to an earlier child by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailbackAfter {
    /// How long the earlier child must have been usable.
    pub after: W<Time>,
}

/// What a weighted choice is keyed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sticky {
    /// The client's network: IPv4 /24, IPv6 /56.
    Client,
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shaped(deserializer)
    }
}

impl<'de> Shaped<'de> for Policy {
    const EXPECTED: &'static str =
        "a policy: the name of a pool or policy, or a map such as { failover: [us, eu] }";

    fn scalar<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::Name)
    }

    fn map<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::Choice)
    }
}

impl JsonSchema for Policy {
    fn schema_name() -> Cow<'static, str> {
        "Policy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let choice = generator.subschema_for::<Choice>();
        json_schema!({ "anyOf": [{ "type": "string", "description": "a pool or policy" }, choice] })
    }
}

impl<'de> Deserialize<'de> for Weighted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shaped(deserializer)
    }
}

impl<'de> Shaped<'de> for Weighted {
    const EXPECTED: &'static str = "a map of names and weights, or a list of { to, weight }";

    fn list<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::List)
    }

    fn map<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::Names)
    }
}

impl JsonSchema for Weighted {
    fn schema_name() -> Cow<'static, str> {
        "Weighted".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let child = generator.subschema_for::<WeightedChild>();
        json_schema!({ "anyOf": [
            { "type": "object", "additionalProperties": { "type": "integer", "minimum": 0, "maximum": 65535 } },
            { "type": "array", "items": child }
        ] })
    }
}

impl<'de> Deserialize<'de> for Proximity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shaped(deserializer)
    }
}

impl<'de> Shaped<'de> for Proximity {
    const EXPECTED: &'static str = "a list of policies, or a map of names and { bias }";

    fn list<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::List)
    }

    fn map<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::Names)
    }
}

impl JsonSchema for Proximity {
    fn schema_name() -> Cow<'static, str> {
        "Proximity".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (policy, bias) = (
            generator.subschema_for::<Policy>(),
            generator.subschema_for::<Bias>(),
        );
        json_schema!({ "anyOf": [
            { "type": "array", "items": policy },
            { "type": "object", "additionalProperties": bias }
        ] })
    }
}

impl<'de> Deserialize<'de> for Failback {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shaped(deserializer)
    }
}

impl<'de> Shaped<'de> for Failback {
    const EXPECTED: &'static str = "automatic, manual or { after: 5m }";

    fn scalar<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        match inner.newtype_variant::<String>()?.as_str() {
            "automatic" => Ok(Self::Automatic),
            "manual" => Ok(Self::Manual),
            _ => Err(de::Error::custom(Bad::new(
                "invalid_value",
                format!("expected {}", Self::EXPECTED),
            ))),
        }
    }

    fn map<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::After)
    }
}

impl JsonSchema for Failback {
    fn schema_name() -> Cow<'static, str> {
        "Failback".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let after = generator.subschema_for::<FailbackAfter>();
        json_schema!({ "anyOf": [{ "enum": ["automatic", "manual"] }, after] })
    }
}
