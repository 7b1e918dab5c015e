//! The first look at a record: every value of it is decoded and counted, and its top-level keys tell
//! its layout. Nothing of it is kept. (The decoder itself stops at 65,536 values or 2 MiB of text a
//! record, however its pointers fan out.)

use super::limits;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What a value is, as far as layouts care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Number,
    /// A map or an array.
    Container,
    Other,
}

/// What the top-level keys of a record say.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// `country_code` is text: the flat layout of ip-location-db.
    pub flat: bool,
    /// One of the maps of GeoIP2 is there.
    pub nested: bool,
    /// `autonomous_system_number` is a number, as in GeoIP2 ASN and in the flat layout.
    pub asn: bool,
    /// The keys, for the error when nothing of the above is true in the whole database.
    pub keys: Vec<String>,
    /// One for each value, one for each 16 bytes of text.
    pub work: u64,
}

/// How many keys of a record an error names.
const KEYS_NAMED: usize = 8;

impl Survey {
    fn note(&mut self, key: &str, shape: Shape) {
        match key {
            "country_code" => self.flat |= shape == Shape::Text,
            "continent" | "country" | "registered_country" | "subdivisions" | "location"
            | "city" | "traits" => {
                self.nested |= shape == Shape::Container;
            }
            "autonomous_system_number" => self.asn |= shape == Shape::Number,
            _ => {}
        }
        if self.keys.len() < KEYS_NAMED {
            self.keys
                .push(key.chars().filter(|c| !c.is_control()).take(40).collect());
        }
    }
}

impl<'de> Deserialize<'de> for Survey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut survey = Self::default();
        let mut work = 0;
        Look {
            work: &mut work,
            nesting: 0,
            survey: Some(&mut survey),
        }
        .deserialize(deserializer)?;
        Ok(Self { work, ..survey })
    }
}

/// Looks at one value and all within it.
struct Look<'s> {
    work: &'s mut u64,
    /// How many containers are around the value.
    nesting: u8,
    /// Where to note the keys: at the top only.
    survey: Option<&'s mut Survey>,
}

impl Look<'_> {
    fn count(&mut self, bytes: usize) {
        *self.work += 1 + bytes as u64 / 16;
    }

    fn enter<E: Error>(&mut self) -> Result<u8, E> {
        self.count(0);
        if self.nesting == limits::MAX_NESTING {
            return Err(E::custom(format_args!(
                "a record nests more than {} deep",
                limits::MAX_NESTING
            )));
        }
        Ok(self.nesting + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! scalars {
    ($($method:ident $kind:ty => $shape:ident;)*) => {
        $(fn $method<E: Error>(mut self, _: $kind) -> Result<Shape, E> {
            self.count(0);
            Ok(Shape::$shape)
        })*
    };
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    scalars! {
        visit_bool bool => Other;
        visit_i64 i64 => Number;
        visit_u64 u64 => Number;
        visit_u128 u128 => Number;
        visit_f64 f64 => Number;
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<Shape, E> {
        self.count(text.len());
        Ok(Shape::Text)
    }

    fn visit_bytes<E: Error>(mut self, bytes: &[u8]) -> Result<Shape, E> {
        self.count(bytes.len());
        Ok(Shape::Other)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Shape, A::Error> {
        let nesting = self.enter()?;
        while let Some(key) = map.next_key::<&str>()? {
            self.count(key.len());
            let shape = map.next_value_seed(Look {
                work: self.work,
                nesting,
                survey: None,
            })?;
            if let Some(survey) = self.survey.as_deref_mut() {
                survey.note(key, shape);
            }
        }
        Ok(Shape::Container)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Shape, A::Error> {
        let nesting = self.enter()?;
        while seq
            .next_element_seed(Look {
                work: self.work,
                nesting,
                survey: None,
            })?
            .is_some()
        {}
        Ok(Shape::Container)
    }
}
