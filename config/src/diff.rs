//! What a reload would change, in the operator's own words: the written config of before and after,
//! key by key.
//!
//! It compares what is written, not what it compiles to, so no key can be forgotten here.

use crate::checked::Checked;
use crate::source;
use crate::tree::{Node, Value, shorten};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;

/// The most changes that are told apart; more are only counted.
pub const MAX_CHANGES: usize = 1_000;

/// Keys that only a restart changes, beside listeners: what they set is made once.
pub const RESTART_ONLY: [&str; 7] = [
    "workers",
    "drain_time",
    "state_dir",
    "log",
    "access_log",
    "http",
    "metrics",
];

/// What differs between two configs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Each change, in the order of the new config; at most 1,000 (`MAX_CHANGES`).
    pub changes: Vec<Change>,
    /// How many changes there are beyond those.
    pub beyond: usize,
    /// The keys among them that only a restart changes. A reload that changes any of these is to be
    /// refused.
    pub restart: Vec<String>,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The key, such as `pools.us.endpoints[0].weight`.
    pub path: String,
    /// What was there before; `None` for something new.
    pub before: Option<String>,
    /// What is there now; `None` for something gone.
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (None, Some(after)) => write!(f, "+ {}: {after}", self.path),
            (Some(before), None) => write!(f, "- {}: {before}", self.path),
            (before, after) => {
                let text = |side: &Option<String>| side.clone().unwrap_or_default();
                write!(f, "~ {}: {} -> {}", self.path, text(before), text(after))
            }
        }
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        if self.beyond > 0 {
            writeln!(f, "and {} more changes", self.beyond)?;
        }
        if !self.restart.is_empty() {
            writeln!(f, "needs a restart: {}", self.restart.join(", "))?;
        }
        Ok(())
    }
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.beyond == 0
    }

    fn add(&mut self, path: &str, before: Option<&Node>, after: Option<&Node>) {
        if let Some(key) = restart_key(path)
            && !self.restart.contains(&key)
        {
            self.restart.push(key);
        }
        if self.changes.len() == MAX_CHANGES {
            self.beyond += 1;
            return;
        }
        let text = |node: Option<&Node>| node.map(flow);
        self.changes.push(Change {
            path: path.to_owned(),
            before: text(before),
            after: text(after),
        });
    }

    fn compare(&mut self, path: &mut String, before: &Node, after: &Node) {
        let length = path.len();
        match (&before.value, &after.value) {
            (Value::Map(old), Value::Map(new)) => {
                let by_key: HashMap<&str, &Node> =
                    old.iter().map(|(key, node)| (&*key.text, node)).collect();
                let still: HashMap<&str, ()> =
                    new.iter().map(|(key, _)| (&*key.text, ())).collect();
                for (key, node) in old
                    .iter()
                    .filter(|(key, _)| !still.contains_key(&*key.text))
                {
                    push_key(path, &key.text);
                    self.add(path, Some(node), None);
                    path.truncate(length);
                }
                for (key, node) in new {
                    push_key(path, &key.text);
                    match by_key.get(&*key.text) {
                        Some(old) => self.compare(path, old, node),
                        None => self.add(path, None, Some(node)),
                    }
                    path.truncate(length);
                }
            }
            (Value::List(old), Value::List(new)) => {
                for i in 0..old.len().max(new.len()) {
                    path.push_str(&format!("[{i}]"));
                    match (old.get(i), new.get(i)) {
                        (Some(old), Some(new)) => self.compare(path, old, new),
                        (old, new) => self.add(path, old, new),
                    }
                    path.truncate(length);
                }
            }
            (Value::Scalar { text: old, .. }, Value::Scalar { text: new, .. }) if old == new => {}
            _ => self.add(path, Some(before), Some(after)),
        }
    }
}

/// What differs between the config that runs and a new one.
pub fn diff(old: &Checked, new: &Checked) -> Diff {
    let mut diff = Diff::default();
    let same = old.sources.iter().eq(new.sources.iter());
    if !same {
        let (before, after) = (source::again(&old.sources), source::again(&new.sources));
        diff.compare(&mut String::new(), &before, &after);
    }
    diff
}

fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(&shorten(key));
}

/// The key to name when a change at `path` needs a restart. Listeners need one for their addresses,
/// not for their certificates.
fn restart_key(path: &str) -> Option<String> {
    let first = path.split(['.', '[']).next().unwrap_or(path);
    if RESTART_ONLY.contains(&first) {
        return Some(first.to_owned());
    }
    if first != "listen" || path.contains(".certificates") {
        return None;
    }
    let mut parts = path.splitn(3, ['.', '[']);
    let (listen, plane) = (parts.next()?, parts.next());
    Some(plane.map_or_else(|| listen.to_owned(), |plane| format!("{listen}.{plane}")))
}

/// A node on one line, cut to what a line can carry.
fn flow(node: &Node) -> String {
    const MAX: usize = 200;
    let mut text = String::new();
    write_flow(node, &mut text, MAX);
    if text.chars().count() > MAX {
        text = text.chars().take(MAX).chain("…".chars()).collect();
    }
    text
}

fn write_flow(node: &Node, text: &mut String, max: usize) {
    if text.len() > max * 4 {
        return;
    }
    match &node.value {
        Value::Scalar { text: scalar, .. } => text.push_str(&shorten(scalar)),
        Value::List(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                write_flow(item, text, max);
            }
            text.push(']');
        }
        Value::Map(entries) => {
            text.push_str("{ ");
            for (i, (key, value)) in entries.iter().enumerate() {
                text.push_str(if i > 0 { ", " } else { "" });
                text.push_str(&shorten(&key.text));
                text.push_str(": ");
                write_flow(value, text, max);
            }
            text.push_str(" }");
        }
    }
}
