//! One address family cut into ranges: the arithmetic under [`Partition`](super::Partition).

use super::NONE;
use super::flat::Flat;
use super::starts::{Bits, Starts};

/// Families with more ranges than this are laid out flat too; fewer fit the cache as they are.
const FLAT_ABOVE: usize = 256;

/// A cut of one family: `values[i]` holds from `starts[i]` to just before `starts[i + 1]`.
/// `starts[0]` is always zero.
#[derive(Clone, Debug)]
pub(super) struct Ranges<K: Bits> {
    starts: Starts<K>,
    values: Vec<u32>,
    /// The same again for lookups; `None` for small families.
    flat: Option<Flat>,
}

impl<K: Bits> Ranges<K> {
    /// No range; the first one pushed must start at zero.
    pub fn empty() -> Self {
        Self {
            starts: Starts::new(),
            values: Vec::new(),
            flat: None,
        }
    }

    /// The same ranges, ready to be searched, in no more memory than they need.
    pub fn finished(mut self) -> Self {
        self.starts.finish();
        self.values.shrink_to_fit();
        self.flat = None;
        if self.len() > FLAT_ABOVE {
            self.flat = Flat::new(&self);
        }
        self
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether nothing was said about any address.
    pub fn is_unsaid(&self) -> bool {
        self.values.iter().all(|value| *value == NONE)
    }

    /// Appends a range; merges it with the last when the value is the same, and replaces the last
    /// when that turns out to have no address.
    pub fn push(&mut self, start: K, value: u32) {
        if self.starts.last() == Some(start) {
            self.starts.pop();
            self.values.pop();
        }
        if self.values.last() != Some(&value) {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    /// Builds from networks as (first, last, value), which nest or are disjoint but never cross.
    pub fn nested(mut networks: Vec<(K, K, u32)>) -> Self {
        // Outer before inner; the sort is stable, so of equal networks the later one ends on top.
        networks.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut ranges = Self::empty();
        ranges.push(K::ZERO, NONE);
        let mut open: Vec<(K, u32)> = Vec::new();
        for (first, last, value) in networks {
            ranges.close_before(&mut open, Some(first));
            ranges.push(first, value);
            open.push((last, value));
        }
        ranges.close_before(&mut open, None);
        ranges.finished()
    }

    /// Ends the open networks that lie wholly before `next` (all of them when `None`).
    fn close_before(&mut self, open: &mut Vec<(K, u32)>, next: Option<K>) {
        while let Some(&(last, _)) = open.last() {
            if next.is_some_and(|next| next <= last) {
                return;
            }
            open.pop();
            if let Some(after) = last.successor() {
                self.push(after, open.last().map_or(NONE, |(_, value)| *value));
            }
        }
    }

    /// The value of `address`, and the length of the widest prefix around it with that one value.
    #[inline]
    pub fn find(&self, address: K) -> (u32, u8) {
        let flat = self.flat.as_ref();
        flat.and_then(|flat| flat.find(address))
            .unwrap_or_else(|| self.search(address))
    }

    /// See [`Flat::fetch`].
    #[inline]
    pub fn fetch(&self, addresses: &[K]) {
        if let Some(flat) = &self.flat {
            flat.fetch(addresses);
        }
    }

    /// [`Ranges::find`] in the ranges themselves.
    pub fn search(&self, address: K) -> (u32, u8) {
        let i = self.starts.find(address);
        // The widest aligned block around the address that holds neither the last address before the
        // range nor the first one after it.
        let edge = |other| address.shared(other) + 1;
        let before = self
            .starts
            .at(i)
            .and_then(Bits::predecessor)
            .map_or(0, edge);
        let after = self.starts.at(i + 1).map_or(0, edge);
        (self.values[i], before.max(after))
    }

    pub fn overlay(&self, over: &Self, combine: &mut impl FnMut(u32, u32) -> u32) -> Self {
        let mut out = Self::empty();
        let (mut i, mut j) = (0, 0);
        let mut at = K::ZERO;
        loop {
            out.push(at, combine(self.values[i], over.values[j]));
            let (next_i, next_j) = (self.starts.at(i + 1), over.starts.at(j + 1));
            at = match (next_i, next_j) {
                (Some(a), Some(b)) => a.min(b),
                (Some(a), None) => a,
                (None, Some(b)) => b,
                (None, None) => break,
            };
            i += usize::from(next_i == Some(at));
            j += usize::from(next_j == Some(at));
        }
        out.finished()
    }

    pub fn map(&self, value: &mut impl FnMut(u32) -> u32) -> Self {
        let mut out = Self::empty();
        for (start, _, old) in self.iter() {
            out.push(start, value(old));
        }
        out.finished()
    }

    pub fn heap_bytes(&self) -> usize {
        self.starts.heap_bytes()
            + self.values.capacity() * size_of::<u32>()
            + self.flat.as_ref().map_or(0, Flat::heap_bytes)
    }

    /// The values, in the order of their ranges.
    pub fn values(&self) -> &[u32] {
        &self.values
    }

    /// A range as (first, last, value).
    pub fn range(&self, i: usize) -> Option<(K, K, u32)> {
        let value = *self.values.get(i)?;
        let first = self.starts.at(i).unwrap_or(K::ZERO);
        let after = self.starts.at(i + 1);
        let last = after.and_then(Bits::predecessor).unwrap_or(K::LAST);
        Some((first, last, value))
    }

    /// Every range as (first, last, value), in order.
    pub fn iter(&self) -> impl Iterator<Item = (K, K, u32)> + '_ {
        (0..self.len()).filter_map(|i| self.range(i))
    }
}
