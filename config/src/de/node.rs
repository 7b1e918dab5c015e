//! The deserializer over one node of the tree: tells wrong types, skips unknown keys, and goes on.

use super::fault::Error;
use super::{SHAPE, WRITTEN};
use crate::problem::{Findings, nearest};
use crate::tree::{Key, Node, Value, shorten};
use serde::Deserializer;
use serde::de::{
    self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use std::cell::RefCell;
use std::fmt;

/// Reads one node.
pub(super) struct De<'a> {
    pub(super) node: &'a Node,
    pub(super) findings: &'a RefCell<Findings>,
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
