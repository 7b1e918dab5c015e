//! Why a value cannot be read, on its way through serde.
//!
//! serde lets a type only say a message; what is wrong and what to do about it travel in one.

use crate::problem::{Place, nearest};
use crate::tree::shorten;
use serde::de;
use std::fmt;

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
pub(super) struct Error {
    pub(super) place: Option<Place>,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Error {
    pub(super) fn new(code: &'static str, place: Place, message: String) -> Self {
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
