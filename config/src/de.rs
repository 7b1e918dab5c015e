//! From the tree to serde types without stopping at the first problem.
//!
//! An unknown key is taken in and skipped. A [`Written`] value that cannot be read is taken in and
//! left empty, so that its neighbours are still looked at; every key of the spec is one.

use crate::problem::{Findings, Place, nearest};
use crate::tree::{Key, Node, Value, shorten};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{
    self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
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

/// What is wrong with a text, and what to write instead. Travels through serde as a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    code: &'static str,
    message: String,
    hint: Option<String>,
}

/// Separates the parts of a [`Bad`] on its way through serde.
const SEPARATOR: char = '\u{1f}';
/// The codes a [`Bad`] may carry.
const CODES: [&str; 4] = ["invalid_value", "wrong_type", "out_of_range", "host_bits"];

impl Bad {
    /// Something is wrong.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
        }
    }

    /// Code, message and hint, for what is read outside serde.
    pub(crate) fn parts(self) -> (&'static str, String, Option<String>) {
        (self.code, self.message, self.hint)
    }

    /// With what to write instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hint = self.hint.as_deref().unwrap_or("");
        write!(
            f,
            "{}{SEPARATOR}{}{SEPARATOR}{hint}",
            self.code, self.message
        )
    }
}

/// Why a value cannot be read.
#[derive(Debug)]
pub(crate) struct Error {
    place: Option<Place>,
    code: &'static str,
    message: String,
    hint: Option<String>,
}

impl Error {
    fn new(code: &'static str, place: Place, message: String) -> Self {
        Self {
            place: Some(place),
            code,
            message,
            hint: None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        let mut parts = text.splitn(3, SEPARATOR);
        let (first, second, third) = (parts.next(), parts.next(), parts.next());
        match (CODES.iter().find(|code| Some(**code) == first), second) {
            (Some(code), Some(message)) => Self {
                place: None,
                code,
                message: message.to_owned(),
                hint: third.filter(|hint| !hint.is_empty()).map(str::to_owned),
            },
            _ => Self {
                place: None,
                code: "invalid_value",
                message: text,
                hint: None,
            },
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self {
            place: None,
            code: "missing_key",
            message: format!("`{field}` is missing"),
            hint: None,
        }
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let hint = nearest(variant, expected.iter().copied());
        Self {
            place: None,
            code: "invalid_value",
            message: format!("`{}` is none of {}", shorten(variant), expected.join(", ")),
            hint,
        }
    }
}

/// Reads one node.
struct De<'a> {
    node: &'a Node,
    findings: &'a RefCell<Findings>,
}

impl De<'_> {
    fn wrong<T>(&self, expected: &str) -> Result<T, Error> {
        let message = format!("expected {expected}, found {}", self.node.describe());
        Err(Error::new("wrong_type", self.node.place, message))
    }

    /// The text of a scalar that is not null.
    fn text(&self) -> Result<&str, Error> {
        match &self.node.value {
            Value::Scalar { text, .. } if !self.node.is_null() => Ok(text),
            _ => self.wrong("a text"),
        }
    }

    /// A number written without quotes.
    fn number<N: std::str::FromStr>(&self, expected: &str) -> Result<N, Error> {
        match &self.node.value {
            Value::Scalar { text, plain: true } => text.parse().or_else(|_| self.wrong(expected)),
            _ => self.wrong(expected),
        }
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $expected:literal;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.number($expected)?)
        })*
    };
}

impl<'de> Deserializer<'de> for De<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Scalar { text, .. } => visitor.visit_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Scalar { text, plain: true } if &**text == "true" => visitor.visit_bool(true),
            Value::Scalar { text, plain: true } if &**text == "false" => visitor.visit_bool(false),
            _ => self.wrong("true or false"),
        }
    }

    numbers! {
        deserialize_i8 visit_i8 "a whole number from -128 to 127";
        deserialize_i16 visit_i16 "a whole number from -32768 to 32767";
        deserialize_i32 visit_i32 "a whole number";
        deserialize_i64 visit_i64 "a whole number";
        deserialize_u8 visit_u8 "a whole number from 0 to 255";
        deserialize_u16 visit_u16 "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 "a whole number from 0 to 4294967295";
        deserialize_u64 visit_u64 "a whole number from 0 on";
        deserialize_f32 visit_f32 "a number";
        deserialize_f64 visit_f64 "a number";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == WRITTEN {
            visitor.visit_seq(WrittenAccess { de: self, step: 0 })
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items {
                items: items.iter(),
                findings: self.findings,
            }),
            _ => self.wrong("a list"),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Entries::new(entries, None, self.findings)),
            _ => self.wrong("a map"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Map(entries) => visitor
                .visit_map(Entries::new(entries, Some(fields), self.findings))
                .map_err(|error| Error {
                    place: error.place.or(Some(self.node.place)),
                    ..error
                }),
            _ => self.wrong(&format!(
                "a map with keys such as `{}`",
                fields.first().unwrap_or(&"")
            )),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == SHAPE {
            if self.node.is_null() {
                let mut expected = String::new();
                let _ =
                    fmt::Write::write_fmt(&mut expected, format_args!("{}", Expecting(&visitor)));
                return self.wrong(&expected);
            }
            return visitor.visit_enum(ShapeAccess(self));
        }
        visitor.visit_enum(self.text()?.into_deserializer())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct }
}

/// What a visitor expects, as text.
struct Expecting<'a, V>(&'a V);

impl<'de, V: Visitor<'de>> fmt::Display for Expecting<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}

/// The shape of a node, then the node itself.
struct ShapeAccess<'a>(De<'a>);

impl<'de, 'a> EnumAccess<'de> for ShapeAccess<'a> {
    type Error = Error;
    type Variant = De<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, De<'a>), Error> {
        let shape = match self.0.node.value {
            Value::Scalar { .. } => "scalar",
            Value::List(_) => "list",
            Value::Map(_) => "map",
        };
        let shape = seed.deserialize(IntoDeserializer::<Error>::into_deserializer(shape))?;
        Ok((shape, self.0))
    }
}

impl<'de> VariantAccess<'de> for De<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_struct("", fields, visitor)
    }
}

/// The items of a list.
struct Items<'a> {
    items: std::slice::Iter<'a, Node>,
    findings: &'a RefCell<Findings>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        match self.items.next() {
            Some(node) => seed
                .deserialize(De {
                    node,
                    findings: self.findings,
                })
                .map(Some),
            None => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a map; of a struct, those with a known key.
struct Entries<'a> {
    entries: std::slice::Iter<'a, (Key, Node)>,
    fields: Option<&'static [&'static str]>,
    value: Option<&'a Node>,
    findings: &'a RefCell<Findings>,
}

impl<'a> Entries<'a> {
    fn new(
        entries: &'a [(Key, Node)],
        fields: Option<&'static [&'static str]>,
        findings: &'a RefCell<Findings>,
    ) -> Self {
        Self {
            entries: entries.iter(),
            fields,
            value: None,
            findings,
        }
    }

    /// Takes in a key that the struct does not have.
    fn unknown(&self, key: &Key, fields: &[&str]) {
        let hint = nearest(&key.text, fields.iter().copied())
            .unwrap_or_else(|| format!("known here: {}", fields.join(", ")));
        self.findings
            .borrow_mut()
            .error(
                "unknown_key",
                key.place,
                format!("`{}` is not a key here", shorten(&key.text)),
            )
            .hint(hint);
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        while let Some((key, value)) = self.entries.next() {
            if let Some(fields) = self.fields
                && !fields.contains(&&*key.text)
            {
                self.unknown(key, fields);
                continue;
            }
            self.value = Some(value);
            let node = Node {
                place: key.place,
                value: Value::Scalar {
                    text: key.text.clone(),
                    plain: false,
                },
            };
            return seed
                .deserialize(De {
                    node: &node,
                    findings: self.findings,
                })
                .map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        match self.value.take() {
            Some(node) => seed.deserialize(De {
                node,
                findings: self.findings,
            }),
            None => Err(de::Error::custom("a value was asked for before its key")),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// The place of a node in four numbers, then the node; one that cannot be read is taken in and left
/// out.
struct WrittenAccess<'a> {
    de: De<'a>,
    step: u8,
}

impl<'de> SeqAccess<'de> for WrittenAccess<'_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let De { node, findings } = self.de;
        let place = node.place;
        let number = match self.step {
            0 => place.file,
            1 => place.line,
            2 => place.column,
            3 => place.width,
            _ => {
                return match seed.deserialize(De { node, findings }) {
                    Ok(value) => Ok(Some(value)),
                    Err(Error {
                        place,
                        code,
                        message,
                        hint,
                    }) => {
                        let place = place.unwrap_or(node.place);
                        findings
                            .borrow_mut()
                            .error(code, place, message)
                            .maybe_hint(hint);
                        Ok(None)
                    }
                };
            }
        };
        self.step += 1;
        seed.deserialize(IntoDeserializer::<Error>::into_deserializer(number))
            .map(Some)
    }
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
