//! A cut made range by range, in order.

use super::ranges::Ranges;
use super::starts::Bits;
use super::{NONE, Partition};

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
        Partition {
            v4: self.v4.ranges.finished(),
            v6: self.v6.ranges.finished(),
        }
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
struct Ascending<K: Bits> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use ipnet::IpNet;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

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
}
