//! From the tree to serde types without stopping at the first problem.
//!
//! An unknown key is taken in and skipped. A [`Written`] value that cannot be read is taken in and
//! left empty, so that its neighbours are still looked at; every key of the spec is one.

mod fault;
mod node;

pub use fault::Bad;

use crate::problem::{Findings, Place};
use crate::tree::Node;
use node::De;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;

/// A value and where it is written; empty when it could not be read (then that has been reported).
#[derive(Clone, Debug, PartialEq)]
pub struct Written<T> {
    /// The value.
    pub value: Option<T>,
    /// Where it is.
    pub place: Place,
}

impl<T> Written<T> {
    /// The value, unless it could not be read.
    pub fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

/// The value of a key that may be left out.
pub(crate) fn given<T>(written: &Option<Written<T>>) -> Option<(&T, Place)> {
    written
        .as_ref()
        .and_then(|w| w.value.as_ref().map(|value| (value, w.place)))
}

/// Reads `T` from a tree. `None` when the root itself cannot be read.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(
    node: &Node,
    findings: &mut Findings,
) -> Option<T> {
    let shared = RefCell::new(std::mem::take(findings));
    let read = Written::<T>::deserialize(De {
        node,
        findings: &shared,
    });
    *findings = shared.into_inner();
    read.ok().and_then(|written| written.value)
}

const WRITTEN: &str = "$written";
const SHAPE: &str = "$shape";

/// What a value looks like, where it may look like several things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shape {
    Scalar,
    List,
    Map,
}

/// A type that is read by the shape of what is written.
pub(crate) trait Shaped<'de>: Sized {
    /// What it may look like, after "expected".
    const EXPECTED: &'static str;

    /// From a text.
    fn scalar<V: VariantAccess<'de>>(_: V) -> Result<Self, V::Error> {
        Err(unexpected(Self::EXPECTED, "a text"))
    }

    /// From a list.
    fn list<V: VariantAccess<'de>>(_: V) -> Result<Self, V::Error> {
        Err(unexpected(Self::EXPECTED, "a list"))
    }

    /// From a map.
    fn map<V: VariantAccess<'de>>(_: V) -> Result<Self, V::Error> {
        Err(unexpected(Self::EXPECTED, "a map"))
    }
}

fn unexpected<E: de::Error>(expected: &str, found: &str) -> E {
    E::custom(Bad::new(
        "wrong_type",
        format!("expected {expected}, found {found}"),
    ))
}

/// Reads a [`Shaped`] type.
pub(crate) fn shaped<'de, T: Shaped<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct ShapeVisitor<T>(PhantomData<T>);

    impl<'de, T: Shaped<'de>> Visitor<'de> for ShapeVisitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(T::EXPECTED)
        }

        fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<T, A::Error> {
            match access.variant()? {
                (Shape::Scalar, inner) => T::scalar(inner),
                (Shape::List, inner) => T::list(inner),
                (Shape::Map, inner) => T::map(inner),
            }
        }
    }

    deserializer.deserialize_enum(SHAPE, &[], ShapeVisitor(PhantomData))
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WrittenVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for WrittenVisitor<T> {
            type Value = Written<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its place")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Written<T>, A::Error> {
                let mut number = || seq.next_element::<u32>().map(Option::unwrap_or_default);
                let place = Place {
                    file: number()?,
                    line: number()?,
                    column: number()?,
                    width: number()?,
                };
                Ok(Written {
                    value: seq.next_element()?,
                    place,
                })
            }
        }

        deserializer.deserialize_newtype_struct(WRITTEN, WrittenVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Written<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }
}

/// A map from the operator's names to things, in the order written.
#[derive(Clone, Debug, PartialEq)]
pub struct Names<T>(pub Vec<(Written<String>, Written<T>)>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Names<T> {
    /// The entries whose name could be read: name, place of the name, and the thing.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Place, &Written<T>)> {
        self.0
            .iter()
            .filter_map(|(name, thing)| Some((name.get()?.as_str(), name.place, thing)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Names<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamesVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for NamesVisitor<T> {
            type Value = Names<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names<T>, A::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Names(entries))
            }
        }

        deserializer.deserialize_map(NamesVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Names<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("map_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inner = generator.subschema_for::<T>();
        schemars::json_schema!({ "type": "object", "additionalProperties": inner })
    }

    fn inline_schema() -> bool {
        true
    }
}
