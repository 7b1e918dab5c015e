//! The names of one kind of thing: which there are, where, and which are used.

use super::nearest_of;
use crate::problem::Place;
use std::collections::HashMap;
use std::sync::Arc;

/// The names of one kind; a name's position is its id in the table.
pub(super) struct Known {
    /// What one is called.
    pub(super) word: &'static str,
    /// The key they are defined under.
    key: &'static str,
    names: Vec<(Arc<str>, Place)>,
    at: HashMap<Arc<str>, usize>,
    used: Vec<bool>,
}

impl Known {
    pub(super) fn new(word: &'static str, key: &'static str) -> Self {
        Self {
            word,
            key,
            names: Vec::new(),
            at: HashMap::new(),
            used: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, name: &str, place: Place) {
        let name: Arc<str> = name.into();
        self.at.entry(name.clone()).or_insert(self.names.len());
        self.names.push((name, place));
        self.used.push(false);
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.at.get(name).copied()
    }

    /// Looks up a name that is being used.
    pub(super) fn take(&mut self, name: &str) -> Option<usize> {
        let at = self.position(name)?;
        if let Some(used) = self.used.get_mut(at) {
            *used = true;
        }
        Some(at)
    }

    /// The name at a position, shared.
    pub(super) fn name(&self, at: usize) -> Arc<str> {
        self.names
            .get(at)
            .map_or_else(|| Arc::from(""), |(name, _)| name.clone())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Place)> + Clone {
        self.names.iter().map(|(name, place)| (&**name, *place))
    }

    pub(super) fn unused(&self) -> impl Iterator<Item = (&str, Place)> {
        self.iter()
            .zip(&self.used)
            .filter(|(_, used)| !**used)
            .map(|(name, _)| name)
    }

    /// What may be meant by a name that is not known.
    pub(super) fn hint(&self, written: &str) -> String {
        if self.names.is_empty() {
            return format!("define it under `{}`", self.key);
        }
        nearest_of(written, self.iter().map(|(name, _)| name))
    }
}
