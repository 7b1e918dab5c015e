//! Clients drawn from the embedded country table: addresses that somebody really holds.

use std::net::IpAddr;
use steering::LocationTable;
use steering::draw::{below, mix};

/// `count` addresses, IPv4 and IPv6 in turn, spread over the ranges of `geo`; the same for the same
/// seed.
pub fn addresses(geo: &LocationTable, count: usize, seed: u64) -> Vec<IpAddr> {
    let v4: Vec<(u32, u32)> = geo
        .ranges_v4()
        .map(|(a, b, _)| (a.into(), b.into()))
        .collect();
    let v6: Vec<(u128, u128)> = geo
        .ranges_v6()
        .map(|(a, b, _)| (a.into(), b.into()))
        .collect();
    (0..count as u64)
        .map(|i| {
            let (which, offset) = (mix(i, seed), mix(i, seed ^ 1));
            if i % 2 == 0 || v6.is_empty() {
                let (first, last) = v4[below(which, v4.len() as u64) as usize];
                let size = u64::from(last - first) + 1;
                IpAddr::V4((first + below(offset, size) as u32).into())
            } else {
                let (first, last) = v6[below(which, v6.len() as u64) as usize];
                let size = u64::try_from(last - first).unwrap_or(u64::MAX - 1) + 1;
                IpAddr::V6((first + u128::from(below(offset, size))).into())
            }
        })
        .collect()
}
