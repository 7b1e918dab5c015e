//! A cut laid out flat, so that a lookup touches few cache lines and branches little.
//!
//! ```text
//! top 16 bits -> one value                                    (most of the space)
//!             -> a list of where it changes in the next 16 bits, and the values between
//!             -> 256 slots by the next 8 bits, where a list would be long
//! ```
//!
//! A value of a list that is itself divided (IPv6 only) leads to a list over the 16 bits after. A search by
//! halves through 300,000 range starts misses the cache at almost every step; this way there is one miss for
//! the list and seldom more than one before it. What never happens here: nothing is cut or merged; the
//! ranges that this is made from stay the truth, and answer where a table is small or has values that do not
//! fit.

use super::NONE;
use super::ranges::Ranges;
use super::starts::Bits;

/// Values of 16 bits.
const WINDOW: usize = 1 << 16;
/// Slots of 8 bits.
const SLOTS: usize = 1 << 8;
/// A list with more changes than this is put under slots.
const LONG: usize = 48;
/// Marks an entry that is a value; the others say where a node begins.
const LEAF: u32 = 1 << 31;
/// Marks an entry that says where slots begin; the others lead to lists.
const SLOTTED: u32 = 1 << 30;
/// How many bits of an entry are the value. Above them, five say how long the prefix is.
const VALUE_BITS: u32 = 26;
/// [`NONE`] in an entry, and the bound of all other values.
const NO_VALUE: u32 = (1 << VALUE_BITS) - 1;
/// The most addresses that memory is brought near for at a time.
pub(super) const FETCHED: usize = 64;
/// How many cells a line of the cache has.
const LINE: usize = 32;
/// How many cells are looked at at a time.
const LANES: usize = 8;
/// Marks a short entry (of a list in a table with few values) that is not a value.
const CHILD: u16 = 1 << 15;
/// [`NONE`] in a short entry, and the bound of all other values there.
const NO_SHORT_VALUE: u16 = CHILD - 1;
/// One family, laid out flat.
#[derive(Clone, Debug)]
pub(super) struct Flat {
    /// By the top 16 bits: a value, or where in `cells` a node begins.
    tops: Box<[u32]>,
    /// Nodes. A list: how many changes, the changes, the entries. Slots: their entries.
    cells: Vec<u16>,
    /// Whether entries of lists have one cell, not two.
    short: bool,
}

/// A stretch of a window: where it starts, and what is there.
#[derive(Clone, Copy)]
struct Stretch {
    start: u16,
    holds: Holds,
}

#[derive(Clone, Copy)]
enum Holds {
    /// One value.
    Value(u32),
    /// One step of the window, divided further: the ranges from the first to the second overlap it.
    Divided(usize, usize),
}

impl Flat {
    /// Lays out `ranges`; `None` when a value is too large for it.
    pub fn new<K: Bits>(ranges: &Ranges<K>) -> Option<Self> {
        let most = ranges.values().iter().filter(|v| **v != NONE).max();
        let most = most.copied().unwrap_or(0);
        if most >= NO_VALUE || ranges.len() >= NO_VALUE as usize {
            return None;
        }
        let mut flat = Self {
            tops: vec![0; WINDOW].into_boxed_slice(),
            cells: Vec::new(),
            short: most < u32::from(NO_SHORT_VALUE),
        };
        let stretches = stretches(ranges, 0, ranges.len() - 1, 0, 0);
        for (i, stretch) in stretches.iter().enumerate() {
            let end = stretches.get(i + 1).map_or(WINDOW, |s| s.start.into());
            for top in usize::from(stretch.start)..end {
                let base = (top as u128) << (u128::BITS - 16);
                flat.tops[top] = match stretch.holds {
                    Holds::Value(value) => leaf(value, ranges.search(K::narrow(base)).1),
                    Holds::Divided(first, last) => flat.node(ranges, first, last, base, 16),
                };
            }
        }
        // The last list is looked at by whole chunks too.
        flat.cells.resize(flat.cells.len() + LANES, 0);
        flat.cells.shrink_to_fit();
        Some(flat)
    }

    /// Adds a node for the window of 16 bits behind the first `depth` bits of `base`; returns where it
    /// begins. The ranges from `first` to `last` overlap it.
    fn node<K: Bits>(
        &mut self,
        ranges: &Ranges<K>,
        first: usize,
        last: usize,
        base: u128,
        depth: u32,
    ) -> u32 {
        let stretches = stretches(ranges, first, last, base, depth);
        if stretches.len() <= LONG + 1 {
            return self.list(ranges, &stretches, base, depth);
        }
        let begins = self.cells.len();
        self.cells.resize(begins + 2 * SLOTS, 0);
        for slot in 0..SLOTS {
            let from = slot << 8;
            let at = stretches.partition_point(|s| usize::from(s.start) <= from) - 1;
            let upto = stretches.partition_point(|s| usize::from(s.start) < from + SLOTS);
            let within = stretches.get(at..upto).unwrap_or(&[]);
            let entry = match within {
                [
                    Stretch {
                        holds: Holds::Value(value),
                        ..
                    },
                ] => {
                    let address = base | (from as u128) << (u128::BITS - 16 - depth);
                    leaf(*value, ranges.search(K::narrow(address)).1 - depth as u8)
                }
                _ => self.list(ranges, within, base, depth),
            };
            put(&mut self.cells, begins + 2 * slot, entry);
        }
        begins as u32 | SLOTTED
    }

    /// Adds a list of these stretches, of which there are at least two.
    fn list<K: Bits>(
        &mut self,
        ranges: &Ranges<K>,
        stretches: &[Stretch],
        base: u128,
        depth: u32,
    ) -> u32 {
        let begins = self.cells.len();
        let changes = stretches.len() - 1;
        self.cells.push(changes as u16);
        let starts = stretches.iter().skip(1).map(|s| s.start);
        self.cells.extend(starts);
        let entries = self.cells.len();
        let divided = stretches
            .iter()
            .filter(|s| matches!(s.holds, Holds::Divided(..)));
        let room = if self.short {
            stretches.len() + 2 * divided.count()
        } else {
            2 * stretches.len()
        };
        self.cells.resize(entries + room, 0);
        let mut children = 0;
        for (i, stretch) in stretches.iter().enumerate() {
            match (stretch.holds, self.short) {
                (Holds::Value(value), true) => {
                    self.cells[entries + i] = value.min(NO_SHORT_VALUE.into()) as u16;
                }
                (Holds::Value(value), false) => {
                    put(&mut self.cells, entries + 2 * i, leaf(value, 0))
                }
                (Holds::Divided(first, last), short) => {
                    let below = base | u128::from(stretch.start) << (u128::BITS - 16 - depth);
                    let child = self.node(ranges, first, last, below, depth + 16);
                    if short {
                        self.cells[entries + i] = CHILD | children as u16;
                        put(
                            &mut self.cells,
                            entries + stretches.len() + 2 * children,
                            child,
                        );
                        children += 1;
                    } else {
                        put(&mut self.cells, entries + 2 * i, child);
                    }
                }
            }
        }
        begins as u32
    }

    /// The value of an address, and the length of the widest prefix around it with that one value.
    #[inline]
    pub fn find<K: Bits>(&self, address: K) -> Option<(u32, u8)> {
        let entry = *self.tops.get(address.top())?;
        if entry & LEAF != 0 {
            return Some(split(entry));
        }
        let mut node = entry;
        let mut depth = 16;
        loop {
            let at = address.window(depth);
            if node & SLOTTED != 0 {
                let slots = self.cells.get((node & !SLOTTED) as usize..)?;
                node = entry_at(slots, 2 * usize::from(at >> 8))?;
                if node & LEAF != 0 {
                    let (value, prefix) = split(node);
                    return Some((value, prefix + depth as u8));
                }
            }
            let list = self.cells.get(node as usize..)?;
            let (count, rest) = list.split_first()?;
            let (changes, entries) = rest.split_at_checked(usize::from(*count))?;
            // Counted to the end, without a branch to guess, and by whole chunks that may reach into what is
            // behind.
            let i = usize::from(passed(rest, changes.len(), at));
            let entry = if self.short {
                match *entries.get(i)? {
                    child if child & CHILD != 0 => {
                        let child = usize::from(child & !CHILD);
                        entry_at(entries, changes.len() + 1 + 2 * child)?
                    }
                    NO_SHORT_VALUE => LEAF | NO_VALUE,
                    value => LEAF | u32::from(value),
                }
            } else {
                entry_at(entries, 2 * i)?
            };
            if entry & LEAF != 0 {
                // The widest aligned block that reaches neither of the neighbours.
                let edge = |other: u16| (at ^ other).leading_zeros() as u8 + 1;
                let before = i.checked_sub(1).and_then(|i| changes.get(i));
                let before = before.map_or(0, |start| edge(start.wrapping_sub(1)));
                let after = changes.get(i).map_or(0, |start| edge(*start));
                return Some((split(entry).0, depth as u8 + before.max(after)));
            }
            node = entry;
            depth += 16;
        }
    }

    /// Has the memory brought near that looking these addresses up begins with, at most [`FETCHED`] of them.
    ///
    /// Nothing here has to be known before the next address's memory is asked for, so that all wait together;
    /// in lookups one after the other a branch that was guessed wrong keeps each waiting for the one before.
    #[inline]
    pub fn fetch<K: Bits>(&self, addresses: &[K]) {
        let mut nodes = [LEAF; FETCHED];
        for (node, address) in nodes.iter_mut().zip(addresses) {
            *node = self.tops.get(address.top()).copied().unwrap_or(LEAF);
        }
        for (node, address) in nodes.iter_mut().zip(addresses) {
            if *node & (LEAF | SLOTTED) == SLOTTED {
                let slots = self.cells.get((*node & !SLOTTED) as usize..);
                let slot = 2 * usize::from(address.window(16) >> 8);
                *node = slots
                    .and_then(|slots| entry_at(slots, slot))
                    .unwrap_or(LEAF);
            }
        }
        let mut seen = 0;
        for node in nodes.iter().filter(|node| **node & LEAF == 0) {
            let list = *node as usize;
            for cell in [list, list + LINE] {
                seen ^= self.cells.get(cell).copied().unwrap_or(0);
            }
        }
        // What was read means nothing, but has to be read.
        std::hint::black_box(seen);
    }

    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.tops) + self.cells.capacity() * size_of::<u16>()
    }
}

/// How many of the first `count` cells are at most `at`.
#[inline]
fn passed(cells: &[u16], count: usize, at: u16) -> u16 {
    let (chunks, _) = cells.as_chunks::<LANES>();
    let mut passed = 0;
    let mut left = count as u16;
    for chunk in chunks.iter().take(count.div_ceil(LANES)) {
        let lanes = chunk.iter().zip(0_u16..);
        passed += lanes
            .map(|(start, lane)| u16::from(*start <= at) & u16::from(lane < left))
            .sum::<u16>();
        left = left.saturating_sub(LANES as u16);
    }
    passed
}

/// What lies in the window of 16 bits behind the first `depth` bits of `base`, in order.
fn stretches<K: Bits>(
    ranges: &Ranges<K>,
    first: usize,
    last: usize,
    base: u128,
    depth: u32,
) -> Vec<Stretch> {
    let shift = u128::BITS - 16 - depth;
    let steps = |address: u128| (address >> shift) as u16;
    let within = u128::MAX.checked_shr(16 + depth).unwrap_or(0);
    let end = base | u128::MAX.checked_shr(depth).unwrap_or(0);
    let mut list: Vec<Stretch> = Vec::new();
    for i in first..=last {
        let Some((from, to, value)) = ranges.range(i) else {
            continue;
        };
        let (from, to) = (from.wide().max(base), to.wide_last().min(end));
        let (a, b) = (steps(from), steps(to));
        let (cut_first, cut_last) = (from & within != 0, to & within != within);
        if cut_first {
            divided(&mut list, a, i);
        }
        let begin = u32::from(a) + u32::from(cut_first);
        let beyond = u32::from(b) + u32::from(!cut_last);
        if begin < beyond {
            list.push(Stretch {
                start: begin as u16,
                holds: Holds::Value(value),
            });
        }
        if cut_last {
            divided(&mut list, b, i);
        }
    }
    list
}

/// Range `i` has a part of step `start`.
fn divided(list: &mut Vec<Stretch>, start: u16, i: usize) {
    match list.last_mut() {
        Some(Stretch {
            start: last,
            holds: Holds::Divided(_, upto),
        }) if *last == start => *upto = i,
        _ => list.push(Stretch {
            start,
            holds: Holds::Divided(i, i),
        }),
    }
}

/// An entry that is a value, and how many bits of its window (or all of them, at the top) it holds for.
fn leaf(value: u32, prefix: u8) -> u32 {
    LEAF | u32::from(prefix) << VALUE_BITS | value.min(NO_VALUE)
}

#[inline]
fn split(entry: u32) -> (u32, u8) {
    let value = entry & NO_VALUE;
    let prefix = (entry & !LEAF) >> VALUE_BITS;
    (if value == NO_VALUE { NONE } else { value }, prefix as u8)
}

fn put(cells: &mut [u16], at: usize, entry: u32) {
    cells[at] = (entry >> 16) as u16;
    cells[at + 1] = entry as u16;
}

#[inline]
fn entry_at(cells: &[u16], at: usize) -> Option<u32> {
    let [high, low] = *cells.get(at..)?.first_chunk()?;
    Some(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Debug;

    /// Every edge, its neighbours and the others are found as in the ranges themselves.
    fn agrees<K: Bits + Debug>(
        networks: Vec<(K, K, u32)>,
        others: impl Iterator<Item = K>,
    ) -> Result<(), TestCaseError> {
        let ranges = Ranges::nested(networks);
        let flat = Flat::new(&ranges).expect("small values");
        let edges = ranges.iter().flat_map(|(first, last, _)| {
            let outside = [first.predecessor(), last.successor()];
            [Some(first), Some(last)].into_iter().chain(outside)
        });
        for address in edges.flatten().chain(others) {
            prop_assert_eq!(
                flat.find(address),
                Some(ranges.search(address)),
                "{:?}",
                address
            );
        }
        Ok(())
    }

    /// Addresses as the real space has them: some scattered, most sharing their upper bits with others.
    fn clustered(bits: u128) -> u128 {
        match bits % 5 {
            0 => bits,
            1 => (0x2a00_u128 << 112) | (bits >> 16),
            2 => (0x2a02_0001_u128 << 96) | (bits >> 32),
            3 => (0x2a02_0001_0002_0003_u128 << 64) | (bits >> 64),
            _ => (0x2a02_0001_0002_0003_0004_0005_0006_u128 << 16) | (bits >> 112),
        }
    }

    proptest! {
        #[test]
        fn the_layout_changes_nothing(
            networks in prop::collection::vec((any::<u128>(), 0..=128_u32, 0..4_u32), 0..600),
            others in prop::collection::vec(any::<u128>(), 50),
            large in any::<bool>(), clustering in any::<bool>(),
        ) {
            let place = |bits: u128| if clustering { clustered(bits) } else { bits };
            let value = |v: u32| if large { v + 100_000 } else { v };
            let v6 = networks.iter().map(|(bits, len, v)| {
                let rest = u128::MAX.checked_shr(*len).unwrap_or(0);
                let first = place(*bits) & !rest;
                (first, first | rest, value(*v))
            });
            agrees::<u128>(v6.collect(), others.iter().map(|bits| place(*bits)))?;
            let v4 = networks.iter().map(|(bits, len, v)| {
                let rest = u32::MAX.checked_shr(len / 4).unwrap_or(0);
                let first = place(*bits) as u32 & !rest;
                (first, first | rest, value(*v))
            });
            agrees::<u32>(v4.collect(), others.iter().map(|bits| place(*bits) as u32))?;
        }
    }

    #[test]
    fn values_that_do_not_fit_are_left_to_the_ranges() {
        let ranges = Ranges::nested(vec![(0_u32, 9, NO_VALUE)]);
        assert!(Flat::new(&ranges).is_none());
        let ranges = Ranges::nested(vec![(0_u32, 9, NO_VALUE - 1), (20, 29, 5)]);
        let flat = Flat::new(&ranges).expect("they fit");
        let values: Vec<u32> = [3_u32, 15, 25]
            .map(|at| flat.find(at).expect("found").0)
            .to_vec();
        assert_eq!(values, [NO_VALUE - 1, NONE, 5]);
    }
}
