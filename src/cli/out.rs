//! Writing to the terminal. A reader that has gone away (`| head`) ends the writing, not the program.

use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};

/// One line to standard output.
pub fn line(text: impl Display) {
    // A closed pipe is the reader's way to say that it has seen enough.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// A value as indented JSON to standard output.
pub fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(text),
        Err(error) => complaint(format!("cannot be written as JSON: {error}")),
    }
}

/// One line to standard error.
pub fn complaint(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
