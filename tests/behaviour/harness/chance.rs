//! Chance that can be had again: a small generator with a seed that a failing test prints, addresses and choices drawn
//! from it, and the interval that a share of many draws must lie in.
//!
//! Nothing here reads a clock; only [`seed`] looks at the environment.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use steering::draw::{below, mix};

/// The seed a test runs with: `RHUMB_SEED` to replay a failure, else `default`.
pub fn seed(default: u64) -> u64 {
    match std::env::var("RHUMB_SEED") {
        Ok(text) => text.parse().expect("RHUMB_SEED is a number"),
        Err(_) => default,
    }
}

/// A stream of numbers that follows from its seed.
#[derive(Clone, Debug)]
pub struct Chance {
    seed: u64,
    drawn: u64,
}

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.drawn, self.seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        below(self.draw(), bound as u64) as usize
    }

    /// True this many times in a hundred.
    pub fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// An address that could be a client's: of the public internet, every eighth one IPv6.
    pub fn public_address(&mut self) -> IpAddr {
        if self.percent(12) {
            return self.public_v6().into();
        }
        loop {
            let address = Ipv4Addr::from(self.draw() as u32);
            if is_public(address) {
                return address.into();
            }
        }
    }

    fn public_v6(&mut self) -> Ipv6Addr {
        // 2000::/3 is all that is given out; the top bits set, the rest drawn.
        let bits = (u128::from(self.draw()) << 64) | u128::from(self.draw());
        Ipv6Addr::from((bits >> 3) | (1 << 125))
    }
}

fn is_public(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!((a, b, c), (0 | 10 | 127 | 224.., ..))
        || matches!(
            (a, b),
            (100, 64..=127) | (169, 254) | (172, 16..=31) | (192, 168) | (198, 18..=19)
        )
        || matches!((a, b, c), (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113));
    !special
}

/// How many standard deviations a count may be off in 999 of 1,000 samples: the two-sided quantile of the normal
/// distribution.
const Z_999: f64 = 3.2905;

/// The 99.9 % interval of how often something with `share` (0 to 1) comes up in `n` draws.
pub fn interval(share: f64, n: usize) -> std::ops::RangeInclusive<usize> {
    let mean = share * n as f64;
    let reach = Z_999 * (mean * (1.0 - share)).sqrt() + 0.5;
    let low = (mean - reach).max(0.0).ceil() as usize;
    low..=(mean + reach).floor() as usize
}

#[test]
fn chance_can_be_had_again_and_addresses_are_public() {
    let (mut one, mut again) = (Chance::new(7), Chance::new(7));
    for _ in 0..10_000 {
        let address = one.public_address();
        assert_eq!(address, again.public_address());
        match address {
            IpAddr::V4(v4) => assert!(
                !v4.is_private() && !v4.is_loopback() && !v4.is_multicast(),
                "{v4}"
            ),
            IpAddr::V6(v6) => assert_eq!(v6.segments()[0] >> 13, 1, "{v6}"),
        }
    }
}

#[test]
fn the_interval_is_that_of_the_binomial() {
    assert_eq!(interval(0.4, 100_000), 39_490..=40_510);
    assert_eq!(interval(0.0, 100), 0..=0);
    assert_eq!(interval(1.0, 100), 100..=100);
}
