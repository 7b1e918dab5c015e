//! A YAML file as a tree that knows where each of its nodes is written.
//!
//! Scalars stay text: what they mean is decided by the key they are given to, so that `NO` is Norway
//! and `1.10` a name. Aliases are written out, within a bound. Nothing here knows any key.

mod parse;

pub(crate) use parse::{Used, parse};

use crate::problem::Place;
use std::collections::{HashMap, HashSet};

/// The deepest that lists and maps may nest.
pub const MAX_NESTING: usize = 100;
/// The most nodes (keys, values, lists, maps) of one config, all files together.
pub const MAX_NODES: usize = 8_000_000;
/// The most nodes of one config that come from aliases.
pub const MAX_ALIASED_NODES: usize = 100_000;

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Where it is written; for a list or map below a key, where the key is.
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Text; `plain` when written without quotes.
    Scalar {
        text: Box<str>,
        plain: bool,
    },
    List(Vec<Node>),
    /// In the order written, each key once.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) text: Box<str>,
    pub(crate) place: Place,
}

impl Node {
    /// A map without entries.
    pub(crate) fn empty(place: Place) -> Self {
        Self {
            place,
            value: Value::Map(Vec::new()),
        }
    }

    /// Whether it is YAML's null: nothing, `~` or `null`, without quotes.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for messages.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            _ if self.is_null() => "nothing".to_owned(),
            Value::Scalar { text, .. } => format!("`{}`", shorten(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    fn size(&self) -> usize {
        match &self.value {
            Value::Scalar { .. } => 1,
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(entries) => {
                1 + entries
                    .iter()
                    .map(|(_, node)| 1 + node.size())
                    .sum::<usize>()
            }
        }
    }

    fn height(&self) -> usize {
        match &self.value {
            Value::Scalar { .. } => 0,
            Value::List(items) => 1 + items.iter().map(Self::height).max().unwrap_or(0),
            Value::Map(entries) => {
                1 + entries
                    .iter()
                    .map(|(_, node)| node.height())
                    .max()
                    .unwrap_or(0)
            }
        }
    }
}

/// A text cut to what a message can carry.
pub(crate) fn shorten(text: &str) -> String {
    const MAX: usize = 60;
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    if text.chars().count() <= MAX {
        return text.chars().map(clean).collect();
    }
    text.chars()
        .take(MAX)
        .map(clean)
        .chain("…".chars())
        .collect()
}

/// Where in the config each of the wanted places is, in one walk.
pub(crate) fn paths(
    root: &Node,
    wanted: impl Iterator<Item = Place>,
) -> HashMap<(u32, u32, u32), String> {
    let mut missing: HashSet<_> = wanted.map(position).collect();
    let mut found = HashMap::new();
    let mut visit = |place: Place, path: &str| {
        if missing.remove(&position(place)) {
            found.insert(position(place), path.to_owned());
        }
    };
    walk(root, &mut String::new(), &mut visit);
    found
}

/// A place without its width.
pub(crate) fn position(place: Place) -> (u32, u32, u32) {
    (place.file, place.line, place.column)
}

fn walk(node: &Node, path: &mut String, visit: &mut impl FnMut(Place, &str)) {
    visit(node.place, path);
    let length = path.len();
    match &node.value {
        Value::Scalar { .. } => {}
        Value::List(items) => {
            for (i, item) in items.iter().enumerate() {
                path.push_str(&format!("[{i}]"));
                walk(item, path, visit);
                path.truncate(length);
            }
        }
        Value::Map(entries) => {
            for (key, value) in entries {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&shorten(&key.text));
                visit(key.place, path);
                walk(value, path, visit);
                path.truncate(length);
            }
        }
    }
}
