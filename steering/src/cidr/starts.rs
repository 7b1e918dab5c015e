//! Where ranges start, laid out for the search: the upper 64 bits apart from the lower ones, under an
//! index by the upper 16.
//!
//! Searching 275,000 IPv6 ranges for random addresses takes 160 ns in one list of 128-bit numbers and
//! 40 ns this way: the search reads half as much memory and compares machine words, and lower halves
//! are looked at only where two ranges share their upper half. Tables that fit the cache have no index.

use std::fmt::Debug;

/// Families with more ranges than this get an index.
const INDEX_ABOVE: usize = 1024;

/// Values of the upper 16 bits. The index has one entry for each and one after them: 256 KiB.
const TOPS: usize = 1 << 16;

/// An address of one family as a number.
pub(super) trait Bits: Copy + Ord {
    /// The part that is searched first.
    type Upper: Copy + Ord + Debug;
    /// The rest; of IPv4 nothing.
    type Lower: Copy + Ord + Debug;
    const ZERO: Self;
    const LAST: Self;
    fn successor(self) -> Option<Self>;
    fn predecessor(self) -> Option<Self>;
    /// How many leading bits `self` and `other` share.
    fn shared(self, other: Self) -> u8;
    fn split(self) -> (Self::Upper, Self::Lower);
    fn join(upper: Self::Upper, lower: Self::Lower) -> Self;
    /// The upper 16 bits.
    fn top(self) -> usize;
}

macro_rules! bits {
    ($int:ty, $upper:ty, $lower:ty, $split:expr, $join:expr) => {
        impl Bits for $int {
            type Upper = $upper;
            type Lower = $lower;
            const ZERO: Self = 0;
            const LAST: Self = <$int>::MAX;
            fn successor(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn predecessor(self) -> Option<Self> {
                self.checked_sub(1)
            }
            #[inline]
            fn shared(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }
            #[inline]
            fn split(self) -> ($upper, $lower) {
                $split(self)
            }
            #[inline]
            fn join(upper: $upper, lower: $lower) -> Self {
                $join(upper, lower)
            }
            #[inline]
            fn top(self) -> usize {
                (self >> (<$int>::BITS - 16)) as usize
            }
        }
    };
}

bits!(u32, u32, (), |all| (all, ()), |all, ()| all);
bits!(
    u128,
    u64,
    u64,
    |all| ((all >> 64) as u64, all as u64),
    |upper, lower| { (u128::from(upper) << 64) | u128::from(lower) }
);

/// Where the ranges of one family start, ascending.
#[derive(Clone, Debug)]
pub(super) struct Starts<K: Bits> {
    uppers: Vec<K::Upper>,
    lowers: Vec<K::Lower>,
    /// How many starts have a lesser top than each; empty without an index.
    before: Vec<u32>,
}

impl<K: Bits> Starts<K> {
    pub fn new() -> Self {
        Self {
            uppers: Vec::new(),
            lowers: Vec::new(),
            before: Vec::new(),
        }
    }

    pub fn push(&mut self, start: K) {
        let (upper, lower) = start.split();
        self.uppers.push(upper);
        self.lowers.push(lower);
    }

    pub fn pop(&mut self) {
        self.uppers.pop();
        self.lowers.pop();
    }

    pub fn len(&self) -> usize {
        self.uppers.len()
    }

    #[inline]
    pub fn at(&self, i: usize) -> Option<K> {
        Some(K::join(*self.uppers.get(i)?, *self.lowers.get(i)?))
    }

    pub fn last(&self) -> Option<K> {
        self.at(self.len().checked_sub(1)?)
    }

    /// Gives back spare memory and makes the index. Nothing is pushed after.
    pub fn finish(&mut self) {
        self.uppers.shrink_to_fit();
        self.lowers.shrink_to_fit();
        self.before.clear();
        if self.len() > INDEX_ABOVE {
            let mut before = vec![0; TOPS + 1];
            for start in (0..self.len()).filter_map(|i| self.at(i)) {
                before[start.top() + 1] += 1;
            }
            for top in 0..TOPS {
                before[top + 1] += before[top];
            }
            self.before = before;
        }
    }

    /// The position of the last start that is not after `address`. The first start is zero.
    #[inline]
    pub fn find(&self, address: K) -> usize {
        let (low, high) = match self.before.get(address.top()..address.top() + 2) {
            Some(&[low, high]) => (low as usize, high as usize),
            _ => (0, self.len()),
        };
        let (upper, lower) = address.split();
        let upto = low + self.uppers[low..high].partition_point(|start| *start <= upper);
        let last = upto.saturating_sub(1);
        if self.uppers[last] < upper || self.lowers[last] <= lower {
            return last;
        }
        // Among those with the address's own upper half; before all of them, it is in the range that
        // began earlier.
        let same = low + self.uppers[low..upto].partition_point(|start| *start < upper);
        let upto = same + self.lowers[same..upto].partition_point(|start| *start <= lower);
        upto.saturating_sub(1)
    }

    pub fn heap_bytes(&self) -> usize {
        self.uppers.capacity() * size_of::<K::Upper>()
            + self.lowers.capacity() * size_of::<K::Lower>()
            + self.before.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, the same each time.
    fn scattered(n: usize) -> impl Iterator<Item = u128> {
        let mut state = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834_u128;
        (0..n).map(move |_| {
            state = state
                .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
                .wrapping_add(1);
            state ^ (state >> 64)
        })
    }

    /// Clustered as the real space is: many ranges below some upper halves.
    fn clustered(bits: u128) -> u128 {
        match bits % 4 {
            0 => bits,
            1 => (0x2a00_u128 << 112) | (bits >> 16),
            2 => (0x2a02_0001_u128 << 96) | (bits >> 32),
            _ => (0x2a02_0001_0002_0003_u128 << 64) | (bits >> 64),
        }
    }

    /// Every start, its neighbours and some addresses between are found where a plain search finds
    /// them.
    fn agrees<K: Bits + Debug>(mut plain: Vec<K>, others: impl Iterator<Item = K>) {
        plain.push(K::ZERO);
        plain.sort();
        plain.dedup();
        let mut starts = Starts::<K>::new();
        plain.iter().for_each(|start| starts.push(*start));
        starts.finish();
        assert_eq!(starts.before.is_empty(), plain.len() <= INDEX_ABOVE);
        let around = plain
            .iter()
            .flat_map(|s| [Some(*s), s.predecessor(), s.successor()])
            .flatten();
        for address in around.chain(others).chain([K::LAST]) {
            let expected = plain.partition_point(|start| *start <= address) - 1;
            assert_eq!(starts.find(address), expected, "{address:?}");
            assert_eq!(starts.at(expected), Some(plain[expected]));
        }
    }

    #[test]
    fn the_layout_changes_nothing() {
        for n in [0, 1, 2, 900, 9000] {
            agrees(
                scattered(n).map(clustered).collect(),
                scattered(50_000).map(clustered),
            );
            agrees(
                scattered(n).map(|b| b as u32).collect(),
                scattered(50_000).map(|b| (b >> 32) as u32),
            );
        }
    }
}
