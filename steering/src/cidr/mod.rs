//! The address space cut into ranges that each carry a value: longest-prefix match, with the length
//! of the prefix that the answer holds for.
//!
//! This one structure serves location tables, `network` policies and latency maps. Neighbouring
//! ranges of equal value are merged, so the prefix returned for an address is the widest one around it
//! in which every address has the same value: the truthful scope of RFC 7871 §7.2.1.

mod flat;
mod ranges;
mod starts;
mod sweep;

pub use sweep::{OutOfOrder, Sweep};

use ipnet::IpNet;
use ranges::Ranges;
use std::net::IpAddr;

/// The value of ranges that nothing was said about.
pub const NONE: u32 = u32::MAX;

/// A cut of both address families into ranges, each with a value.
#[derive(Clone, Debug)]
pub struct Partition {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
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
        Self {
            v4: Ranges::nested(v4),
            v6: Ranges::nested(v6),
        }
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
        self.v4.find(address)
    }

    /// [`Partition::find`] for an IPv6 address as a number.
    #[inline]
    pub fn find_v6(&self, address: u128) -> (u32, u8) {
        self.v6.find(address)
    }

    /// Has the memory brought near that looking these addresses up begins with: IPv4 ones, IPv6 ones, both as
    /// numbers. Of more than 64 of a family the rest is left out.
    #[inline]
    pub fn fetch(&self, v4: &[u32], v6: &[u128]) {
        self.v4.fetch(v4);
        self.v6.fetch(v6);
    }

    /// Lays `over` upon `self`: where the two are cut differently, the result has both cuts, and
    /// `combine(below, above)` gives the value of each piece.
    pub fn overlay(&self, over: &Self, mut combine: impl FnMut(u32, u32) -> u32) -> Self {
        let v4 = self.v4.overlay(&over.v4, &mut combine);
        let v6 = self.v6.overlay(&over.v6, &mut combine);
        Self { v4, v6 }
    }

    /// The same cut with other values; neighbours that become equal are merged.
    pub fn map(&self, mut value: impl FnMut(u32) -> u32) -> Self {
        Self {
            v4: self.v4.map(&mut value),
            v6: self.v6.map(&mut value),
        }
    }

    /// How many ranges there are: (IPv4, IPv6).
    pub fn len(&self) -> (usize, usize) {
        (self.v4.len(), self.v6.len())
    }

    /// Whether nothing was said about any address.
    pub fn is_empty(&self) -> bool {
        self.v4.is_unsaid() && self.v6.is_unsaid()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.v4.heap_bytes() + self.v6.heap_bytes()
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
}
