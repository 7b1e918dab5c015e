//! Deterministic chance: hashes with fixed seeds, and draws below a bound.
//!
//! Nothing here is seeded by the process, so two PoPs with the same table and the same client make
//! the same sticky choice, and a decision can be replayed from its draw.

use std::net::IpAddr;

/// Mixes `seed` into `value`: a 64-bit finaliser (the constants of SplitMix64, public domain, Vigna).
#[inline]
pub const fn mix(value: u64, seed: u64) -> u64 {
    let mut z = value ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below `bound` (0 for a bound of 0), by multiplication instead of division (Lemire).
#[inline]
pub const fn below(draw: u64, bound: u64) -> u64 {
    ((draw as u128 * bound as u128) >> 64) as u64
}

/// A stable hash of a name: FNV-1a, then mixed.
pub fn name_hash(name: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(hash, 1)
}

/// IPv4 clients that share this many bits stick together (`sticky: client`).
pub const STICKY_V4: u8 = 24;
/// IPv6 clients that share this many bits stick together (`sticky: client`).
pub const STICKY_V6: u8 = 56;

/// The sticky key of a client, and how many bits of its address it depends on.
#[inline]
pub fn sticky_key(address: IpAddr) -> (u64, u8) {
    match address {
        IpAddr::V4(v4) => (
            mix(u64::from(u32::from(v4) >> (32 - STICKY_V4)), 4),
            STICKY_V4,
        ),
        IpAddr::V6(v6) => {
            let network = u128::from(v6) >> (128 - STICKY_V6);
            (mix(network as u64, 6), STICKY_V6)
        }
    }
}

/// The score of one child in a weighted rendezvous: the child with the least score wins.
///
/// Weighted highest-random-weight hashing (Thaler & Ravishankar 1998; the logarithmic form of
/// Schindelhauer & Schomaker 2005): a child's score depends on nothing but the key, the child and its
/// own weight, so a change of one weight moves clients only to or from that child.
#[inline]
pub fn rendezvous_score(key: u64, child: u64, weight: u32) -> f64 {
    // 53 random bits as a number in (0, 1): never 0, so the logarithm is finite.
    let unit = ((mix(key, child) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    -unit.ln() / f64::from(weight.max(1))
}
