//! Where ranges start, laid out for the search: the upper 64 bits apart from the lower ones.
//!
//! The search reads half as much memory as in one list of 128-bit numbers and compares machine words; lower
//! halves are looked at only where two ranges share their upper half. Families of many ranges are looked up
//! in `flat` instead.

use std::fmt::Debug;

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
    /// The 16 bits behind the first `depth`.
    fn window(self, depth: u32) -> u16;
    /// As the upper bits of the widest number, the rest zero.
    fn wide(self) -> u128;
    /// As the upper bits of the widest number, the rest one.
    fn wide_last(self) -> u128;
    /// The inverse of [`Bits::wide`].
    fn narrow(wide: u128) -> Self;
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
            #[inline]
            fn window(self, depth: u32) -> u16 {
                self.checked_shr((<$int>::BITS - 16).wrapping_sub(depth))
                    .unwrap_or(0) as u16
            }
            fn wide(self) -> u128 {
                u128::from(self) << (u128::BITS - <$int>::BITS)
            }
            fn wide_last(self) -> u128 {
                self.wide() | u128::MAX.checked_shr(<$int>::BITS).unwrap_or(0)
            }
            fn narrow(wide: u128) -> Self {
                (wide >> (u128::BITS - <$int>::BITS)) as Self
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
}

impl<K: Bits> Starts<K> {
    pub fn new() -> Self {
        Self {
            uppers: Vec::new(),
            lowers: Vec::new(),
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

    /// Gives back spare memory. Nothing is pushed after.
    pub fn finish(&mut self) {
        self.uppers.shrink_to_fit();
        self.lowers.shrink_to_fit();
    }

    /// The position of the last start that is not after `address`. The first start is zero.
    #[inline]
    pub fn find(&self, address: K) -> usize {
        let (upper, lower) = address.split();
        let upto = self.uppers.partition_point(|start| *start <= upper);
        let last = upto.saturating_sub(1);
        if self.uppers[last] < upper || self.lowers[last] <= lower {
            return last;
        }
        // Among those with the address's own upper half; before all of them, it is in the range that
        // began earlier.
        let same = self.uppers[..upto].partition_point(|start| *start < upper);
        let upto = same + self.lowers[same..upto].partition_point(|start| *start <= lower);
        upto.saturating_sub(1)
    }

    pub fn heap_bytes(&self) -> usize {
        self.uppers.capacity() * size_of::<K::Upper>()
            + self.lowers.capacity() * size_of::<K::Lower>()
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
