//! DNS cookies, as written.

use crate::de::{Bad, Shaped, Written as W, shaped};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, VariantAccess};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// DNS cookies, or none.
#[derive(Debug)]
pub enum CookieSetting {
    /// The option is ignored.
    Off,
    /// On.
    On(Cookies),
}

/// DNS cookies (RFC 7873, RFC 9018): a client that brings a valid one is known to be where it says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cookies {
    /// A file with the secret that server cookies are made with, 32 hexadecimal digits; the same for all PoPs that
    /// share an address. Default: a random one each run.
    pub secret_file: Option<W<String>>,
    /// A file with another secret whose cookies are taken too, while one is exchanged for the other.
    pub previous_secret_file: Option<W<String>>,
    /// Whether clients that speak cookies must bring a valid one over UDP, and are sent BADCOOKIE with one until they
    /// do; default false.
    pub require: Option<W<bool>>,
}

impl<'de> Deserialize<'de> for CookieSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        shaped(deserializer)
    }
}

impl<'de> Shaped<'de> for CookieSetting {
    const EXPECTED: &'static str = "off or a map with secret_file, previous_secret_file, require";

    fn scalar<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        match inner.newtype_variant::<String>()?.as_str() {
            "off" => Ok(Self::Off),
            _ => Err(de::Error::custom(Bad::new(
                "invalid_value",
                format!("expected {}", Self::EXPECTED),
            ))),
        }
    }

    fn map<V: VariantAccess<'de>>(inner: V) -> Result<Self, V::Error> {
        inner.newtype_variant().map(Self::On)
    }
}

impl JsonSchema for CookieSetting {
    fn schema_name() -> Cow<'static, str> {
        "CookieSetting".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let cookies = generator.subschema_for::<Cookies>();
        json_schema!({ "anyOf": [{ "enum": ["off"] }, cookies] })
    }
}
