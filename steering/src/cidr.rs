//! The address space cut into ranges that each carry a value: longest-prefix match, with the length
//! of the prefix that the answer holds for.
//!
//! This one structure serves location tables, `network` policies and latency maps. Neighbouring
//! ranges of equal value are merged, so the prefix returned for an address is the widest one around it
//! in which every address has the same value: the truthful scope of RFC 7871 §7.2.1.

use ipnet::IpNet;
use std::net::IpAddr;

/// The value of ranges that nothing was said about.
pub const NONE: u32 = u32::MAX;

/// Tables with more IPv4 ranges than this get an index by the upper 16 bits (256 KiB).
const INDEX_ABOVE: usize = 1024;

/// A cut of both address families into ranges, each with a value.
#[derive(Clone, Debug)]
pub struct Partition {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    /// For each upper half of an IPv4 address, the range its first address is in.
    v4_index: Vec<u32>,
}

impl Partition {
    /// Cuts by `networks`: the longest prefix that holds an address gives its value; of equal
    /// prefixes, the later one.
    pub fn new(networks: impl IntoIterator<Item = (IpNet, u32)>) -> Self {
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for (network, value) in networks {
            match network {
                IpNet::V4(net) => {
                    v4.push((u32::from(net.network()), u32::from(net.broadcast()), value));
                }
                IpNet::V6(net) => {
                    v6.push((
                        u128::from(net.network()),
                        u128::from(net.broadcast()),
                        value,
                    ));
                }
            }
        }
        Self::from_ranges(Ranges::nested(v4), Ranges::nested(v6))
    }

    fn from_ranges(v4: Ranges<u32>, v6: Ranges<u128>) -> Self {
        let v4_index = if v4.starts.len() > INDEX_ABOVE {
            index_v4(&v4)
        } else {
            Vec::new()
        };
        Self { v4, v6, v4_index }
    }

    /// The value of `address` and the length of the widest prefix around it with that one value.
    #[inline]
    pub fn find(&self, address: IpAddr) -> (u32, u8) {
        match address {
            IpAddr::V4(address) => self.find_v4(u32::from(address)),
            IpAddr::V6(address) => self.find_v6(u128::from(address)),
        }
    }

    /// [`Partition::find`] for an IPv4 address as a number.
    #[inline]
    pub fn find_v4(&self, address: u32) -> (u32, u8) {
        if self.v4_index.is_empty() {
            return self.v4.find(address, 0, self.v4.starts.len());
        }
        let upper = (address >> 16) as usize;
        let low = self.v4_index[upper] as usize;
        let high = self.v4_index[upper + 1] as usize + 1;
        self.v4.find(address, low, high.min(self.v4.starts.len()))
    }

    /// [`Partition::find`] for an IPv6 address as a number.
    #[inline]
    pub fn find_v6(&self, address: u128) -> (u32, u8) {
        self.v6.find(address, 0, self.v6.starts.len())
    }

    /// Lays `over` upon `self`: where the two are cut differently, the result has both cuts, and
    /// `combine(below, above)` gives the value of each piece.
    pub fn overlay(&self, over: &Self, mut combine: impl FnMut(u32, u32) -> u32) -> Self {
        let v4 = self.v4.overlay(&over.v4, &mut combine);
        let v6 = self.v6.overlay(&over.v6, &mut combine);
        Self::from_ranges(v4, v6)
    }

    /// The same cut with other values; neighbours that become equal are merged.
    pub fn map(&self, mut value: impl FnMut(u32) -> u32) -> Self {
        Self::from_ranges(self.v4.map(&mut value), self.v6.map(&mut value))
    }

    /// How many ranges there are: (IPv4, IPv6).
    pub fn len(&self) -> (usize, usize) {
        (self.v4.starts.len(), self.v6.starts.len())
    }

    /// Whether nothing was said about any address.
    pub fn is_empty(&self) -> bool {
        self.v4
            .values
            .iter()
            .chain(&self.v6.values)
            .all(|value| *value == NONE)
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.v4.heap_bytes() + self.v6.heap_bytes() + self.v4_index.capacity() * size_of::<u32>()
    }

    /// Every IPv4 range as (first, last, value), in order, the unsaid ones included.
    pub fn ranges_v4(&self) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        self.v4.iter()
    }

    /// Every IPv6 range as (first, last, value), in order, the unsaid ones included.
    pub fn ranges_v6(&self) -> impl Iterator<Item = (u128, u128, u32)> + '_ {
        self.v6.iter()
    }
}

impl Default for Partition {
    fn default() -> Self {
        Self::new([])
    }
}

/// A [`Partition`] made range by range, each family in ascending order: what a database's search
/// tree yields. Nothing is sorted and nothing but the merged ranges is held in memory.
#[derive(Debug)]
pub struct Sweep {
    v4: Ascending<u32>,
    v6: Ascending<u128>,
}

impl Sweep {
    /// Nothing said about any address yet.
    pub fn new() -> Self {
        Self {
            v4: Ascending::new(),
            v6: Ascending::new(),
        }
    }

    /// Says the value of the IPv4 addresses from `first` to `last`.
    ///
    /// # Errors
    /// When something was said about `first` or an address after it already.
    pub fn v4(&mut self, first: u32, last: u32, value: u32) -> Result<(), OutOfOrder> {
        self.v4.push(first, last, value)
    }

    /// [`Sweep::v4`] for IPv6.
    ///
    /// # Errors
    /// When something was said about `first` or an address after it already.
    pub fn v6(&mut self, first: u128, last: u128, value: u32) -> Result<(), OutOfOrder> {
        self.v6.push(first, last, value)
    }

    /// The finished cut.
    pub fn finish(self) -> Partition {
        Partition::from_ranges(self.v4.ranges.shrunk(), self.v6.ranges.shrunk())
    }
}

impl Default for Sweep {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a [`Sweep`] refused a range: it does not lie wholly after those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfOrder;

impl std::fmt::Display for OutOfOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a range does not lie after the ones before it")
    }
}

impl std::error::Error for OutOfOrder {}

/// One family of a [`Sweep`].
#[derive(Debug)]
struct Ascending<K> {
    ranges: Ranges<K>,
    /// The first address that nothing was said about; `None` when there is none left.
    next: Option<K>,
}

impl<K: Bits> Ascending<K> {
    fn new() -> Self {
        let mut ranges = Ranges::empty();
        ranges.push(K::ZERO, NONE);
        Self {
            ranges,
            next: Some(K::ZERO),
        }
    }

    fn push(&mut self, first: K, last: K, value: u32) -> Result<(), OutOfOrder> {
        if last < first || self.next.is_none_or(|next| first < next) {
            return Err(OutOfOrder);
        }
        self.ranges.push(first, value);
        self.next = last.successor();
        if let Some(after) = self.next {
            self.ranges.push(after, NONE);
        }
        Ok(())
    }
}

fn index_v4(ranges: &Ranges<u32>) -> Vec<u32> {
    let mut index = Vec::with_capacity(65_537);
    let mut at = 0;
    for upper in 0..=u32::from(u16::MAX) {
        let first = upper << 16;
        while ranges
            .starts
            .get(at + 1)
            .is_some_and(|start| *start <= first)
        {
            at += 1;
        }
        index.push(at as u32);
    }
    index.push(ranges.starts.len().saturating_sub(1) as u32);
    index
}

/// An address of one family as a number.
trait Bits: Copy + Ord {
    const ZERO: Self;
    const LAST: Self;
    fn successor(self) -> Option<Self>;
    fn predecessor(self) -> Option<Self>;
    /// How many leading bits `self` and `other` share.
    fn shared(self, other: Self) -> u8;
}

macro_rules! bits {
    ($int:ty) => {
        impl Bits for $int {
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
        }
    };
}

bits!(u32);
bits!(u128);

/// A cut of one family: `values[i]` holds from `starts[i]` to just before `starts[i + 1]`.
/// `starts[0]` is always zero.
#[derive(Clone, Debug)]
struct Ranges<K> {
    starts: Vec<K>,
    values: Vec<u32>,
}

impl<K: Bits> Ranges<K> {
    fn empty() -> Self {
        Self {
            starts: Vec::new(),
            values: Vec::new(),
        }
    }

    /// The same ranges in no more memory than they need.
    fn shrunk(mut self) -> Self {
        self.starts.shrink_to_fit();
        self.values.shrink_to_fit();
        self
    }

    /// Appends a range; merges it with the last when the value is the same, and replaces the last
    /// when that turns out to have no address.
    fn push(&mut self, start: K, value: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.values.pop();
        }
        if self.values.last() != Some(&value) {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    /// Builds from networks as (first, last, value), which nest or are disjoint but never cross.
    fn nested(mut networks: Vec<(K, K, u32)>) -> Self {
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
        ranges.shrunk()
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

    #[inline]
    fn find(&self, address: K, low: usize, high: usize) -> (u32, u8) {
        let window = &self.starts[low..high];
        let i = low
            + window
                .partition_point(|start| *start <= address)
                .saturating_sub(1);
        // The widest aligned block around the address that holds neither the last address before the
        // range nor the first one after it.
        let before = self.starts[i]
            .predecessor()
            .map_or(0, |p| address.shared(p) + 1);
        let after = self
            .starts
            .get(i + 1)
            .map_or(0, |next| address.shared(*next) + 1);
        (self.values[i], before.max(after))
    }

    fn overlay(&self, over: &Self, combine: &mut impl FnMut(u32, u32) -> u32) -> Self {
        let mut out = Self::empty();
        let (mut i, mut j) = (0, 0);
        let mut at = K::ZERO;
        loop {
            out.push(at, combine(self.values[i], over.values[j]));
            let (next_i, next_j) = (self.starts.get(i + 1), over.starts.get(j + 1));
            at = match (next_i, next_j) {
                (Some(a), Some(b)) => *a.min(b),
                (Some(a), None) => *a,
                (None, Some(b)) => *b,
                (None, None) => break,
            };
            i += usize::from(next_i == Some(&at));
            j += usize::from(next_j == Some(&at));
        }
        out.shrunk()
    }

    fn map(&self, value: &mut impl FnMut(u32) -> u32) -> Self {
        let mut out = Self::empty();
        for (start, old) in self.starts.iter().zip(&self.values) {
            out.push(*start, value(*old));
        }
        out.shrunk()
    }

    fn heap_bytes(&self) -> usize {
        self.starts.capacity() * size_of::<K>() + self.values.capacity() * size_of::<u32>()
    }

    fn iter(&self) -> impl Iterator<Item = (K, K, u32)> + '_ {
        self.starts.iter().enumerate().map(|(i, start)| {
            let last = self.starts.get(i + 1).and_then(|next| next.predecessor());
            (*start, last.unwrap_or(K::LAST), self.values[i])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a network")
    }

    #[test]
    fn the_longest_prefix_wins_and_the_scope_is_exact() {
        let cut = Partition::new([
            (net("10.0.0.0/8"), 1),
            (net("10.20.0.0/16"), 2),
            (net("10.20.30.0/24"), 1),
            (net("2001:db8::/32"), 3),
        ]);
        for (address, value, prefix) in [
            ("10.0.0.1", 1, 12),
            ("10.20.0.1", 2, 20),
            ("10.20.30.9", 1, 24),
            ("10.128.0.1", 1, 9),
            ("11.0.0.1", NONE, 8),
            ("192.0.2.1", NONE, 1),
            ("2001:db8::1", 3, 32),
            ("2001:db9::1", NONE, 32),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            assert_eq!(cut.find(address), (value, prefix), "{address}");
        }
    }

    #[test]
    fn equal_neighbours_merge_into_one_scope() {
        let cut = Partition::new([(net("0.0.0.0/1"), 7), (net("128.0.0.0/1"), 7)]);
        assert_eq!(cut.find(IpAddr::from([1, 2, 3, 4])), (7, 0));
        assert_eq!(cut.len().0, 1);
    }

    #[test]
    fn overlay_keeps_both_cuts() {
        let below = Partition::new([(net("10.0.0.0/8"), 1)]);
        let above = Partition::new([(net("10.1.0.0/16"), 5)]);
        let both = below.overlay(&above, |b, a| if a == NONE { b } else { a });
        assert_eq!(both.find(IpAddr::from([10, 1, 2, 3])).0, 5);
        assert_eq!(both.find(IpAddr::from([10, 2, 2, 3])).0, 1);
        assert_eq!(both.find(IpAddr::from([11, 2, 2, 3])).0, NONE);
    }

    proptest! {
        #[test]
        fn find_agrees_with_a_linear_search_and_the_prefix_is_true(
            networks in proptest::collection::vec((any::<u32>(), 0_u8..=32, 0_u32..4), 0..40),
            address in any::<u32>(),
            other in any::<u32>(),
            dense in any::<bool>(),
        ) {
            // Dense cuts share their upper bits, so that networks nest and touch.
            let squeeze = |a: u32| if dense { a & 0x0000_ffff } else { a };
            let nets: Vec<(IpNet, u32)> = networks.iter().map(|(a, len, value)| {
                let net = ipnet::Ipv4Net::new(Ipv4Addr::from(squeeze(*a)), *len).expect("a length up to 32");
                (IpNet::V4(net.trunc()), *value)
            }).collect();
            let linear = |address: u32| {
                let ip = IpAddr::V4(Ipv4Addr::from(address));
                nets.iter().filter(|(n, _)| n.contains(&ip))
                    .max_by_key(|(n, _)| n.prefix_len()).map_or(NONE, |(_, value)| *value)
            };
            let cut = Partition::new(nets.iter().copied());
            let address = squeeze(address);
            let (value, prefix) = cut.find_v4(address);
            prop_assert_eq!(value, linear(address));
            // Every address in the prefix has the value...
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            let inside = (address & mask) | (other & !mask);
            prop_assert_eq!(linear(inside), value);
            // ...and the prefix is the widest such one.
            if prefix > 0 {
                let (first, last) = cut.ranges_v4().find(|(f, l, _)| *f <= address && address <= *l)
                    .map(|(f, l, _)| (f, l)).expect("ranges cover all");
                let wider = mask << 1;
                prop_assert!((address & wider) < first || (address | !wider) > last);
            }
        }
    }

    #[test]
    fn a_sweep_refuses_what_is_out_of_order() {
        let mut sweep = Sweep::new();
        assert_eq!(sweep.v4(10, 19, 1), Ok(()));
        assert_eq!(sweep.v4(19, 30, 1), Err(OutOfOrder));
        assert_eq!(sweep.v4(40, 39, 1), Err(OutOfOrder));
        assert_eq!(sweep.v4(20, u32::MAX, 2), Ok(()));
        assert_eq!(
            sweep.v4(u32::MAX, u32::MAX, 2),
            Err(OutOfOrder),
            "nothing is left"
        );
        let cut = sweep.finish();
        let ranges: Vec<_> = cut.ranges_v4().collect();
        assert_eq!(ranges, [(0, 9, NONE), (10, 19, 1), (20, u32::MAX, 2)]);
    }

    proptest! {
        #[test]
        fn a_sweep_over_a_cut_gives_the_same_cut(
            networks in proptest::collection::vec((any::<u32>(), 0_u8..=32, 0_u32..4), 0..40),
            wide in proptest::collection::vec((any::<u128>(), 0_u8..=128, 0_u32..4), 0..40),
        ) {
            let v4 = networks.iter().map(|(a, len, value)| {
                let net = ipnet::Ipv4Net::new(Ipv4Addr::from(*a), *len).expect("a length up to 32");
                (IpNet::V4(net.trunc()), *value)
            });
            let v6 = wide.iter().map(|(a, len, value)| {
                let net = ipnet::Ipv6Net::new((*a).into(), *len).expect("a length up to 128");
                (IpNet::V6(net.trunc()), *value)
            });
            let cut = Partition::new(v4.chain(v6));
            let mut sweep = Sweep::new();
            for (first, last, value) in cut.ranges_v4().filter(|range| range.2 != NONE) {
                prop_assert_eq!(sweep.v4(first, last, value), Ok(()));
            }
            for (first, last, value) in cut.ranges_v6().filter(|range| range.2 != NONE) {
                prop_assert_eq!(sweep.v6(first, last, value), Ok(()));
            }
            let swept = sweep.finish();
            prop_assert!(swept.ranges_v4().eq(cut.ranges_v4()));
            prop_assert!(swept.ranges_v6().eq(cut.ranges_v6()));
        }
    }

    #[test]
    fn the_index_changes_nothing() {
        let nets: Vec<_> = (0..5000_u32)
            .map(|i| {
                let address = Ipv4Addr::from(i.wrapping_mul(0x9e37_79b1) & 0xffff_ff00);
                (
                    IpNet::V4(ipnet::Ipv4Net::new(address, 24).expect("24")),
                    i % 7,
                )
            })
            .collect();
        let cut = Partition::new(nets);
        assert!(!cut.v4_index.is_empty());
        for i in 0..200_000_u32 {
            let address = i.wrapping_mul(0x85eb_ca6b);
            assert_eq!(
                cut.find_v4(address),
                cut.v4.find(address, 0, cut.v4.starts.len())
            );
        }
    }
}
