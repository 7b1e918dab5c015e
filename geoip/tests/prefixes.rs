//! The prefix that comes with a location is true: every address in it has that location. This is what
//! an answer's scope (RFC 7871 §7.2.1) rests on.

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::LazyLock;
use steering::geo::LocationTable;

static TABLES: LazyLock<Vec<LocationTable>> = LazyLock::new(|| {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut tables = vec![geoip::embedded().as_ref().clone()];
    for name in ["GeoIP2-City-Test.mmdb", "GeoLite2-ASN-Test.mmdb"] {
        let bytes = std::fs::read(data.join(name)).expect(name);
        tables.push(geoip::load_bytes(&bytes, name).expect(name));
    }
    tables
});

/// Where the interesting IPv6 addresses are: allocated space, and the spaces that embed IPv4.
fn v6() -> impl Strategy<Value = u128> {
    let anywhere = any::<u128>();
    let global = any::<u128>().prop_map(|a| (a >> 3) | (1 << 125));
    let allocated = (
        prop::sample::select(vec![
            0x2001_u128,
            0x2400,
            0x2600,
            0x2800,
            0x2a00,
            0x2a01,
            0x2c0f,
        ]),
        any::<u128>(),
    )
        .prop_map(|(upper, a)| (upper << 112) | (a >> 16));
    let embedding = (
        prop::sample::select(vec![0xffff_u128 << 32, 0x2002 << 112, 0x2001_0000 << 96]),
        0_u32..128,
        any::<u128>(),
    )
        .prop_map(|(network, shift, a)| network ^ (a >> shift));
    prop_oneof![anywhere, global, allocated, embedding]
}

/// `address` with the bits after the first `prefix` (of `bits`) taken from `other`.
fn sibling(address: u128, other: u128, prefix: u8, bits: u32) -> u128 {
    let host = 1_u128
        .checked_shl(bits - u32::from(prefix))
        .map_or(u128::MAX, |size| size - 1);
    (address & !host) | (other & host)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn every_v4_address_in_the_prefix_has_the_location(address in any::<u32>(), other in any::<u32>()) {
        for table in TABLES.iter() {
            let at = |a: u128| table.locate(IpAddr::V4(Ipv4Addr::from(a as u32)));
            let located = at(address.into());
            prop_assert!(located.prefix_len <= 32);
            for other in [other.into(), 0, u128::from(u32::MAX)] {
                prop_assert_eq!(at(sibling(address.into(), other, located.prefix_len, 32)), located);
            }
        }
    }

    #[test]
    fn every_v6_address_in_the_prefix_has_the_location(address in v6(), other in any::<u128>()) {
        for table in TABLES.iter() {
            let at = |a: u128| table.locate(IpAddr::V6(Ipv6Addr::from(a)));
            let located = at(address);
            prop_assert!(located.prefix_len <= 128);
            for other in [other, 0, u128::MAX] {
                prop_assert_eq!(at(sibling(address, other, located.prefix_len, 128)), located);
            }
        }
    }

    #[test]
    fn an_embedded_address_is_where_the_inner_one_is(inner in any::<u32>(), noise in any::<u64>()) {
        let mapped = (0xffff_u128 << 32) | u128::from(inner);
        let six_to_four = (0x2002_u128 << 112) | (u128::from(inner) << 80) | u128::from(noise);
        let teredo = (0x2001_0000_u128 << 96) | (u128::from(noise) << 32) | u128::from(!inner);
        for table in TABLES.iter() {
            let located = table.locate(IpAddr::V4(inner.into()));
            for (outer, before) in [(mapped, 96), (six_to_four, 16), (teredo, 96)] {
                let through = table.locate(IpAddr::V6(outer.into()));
                prop_assert_eq!(through.location, located.location);
                prop_assert_eq!(through.prefix_len, located.prefix_len + before);
            }
        }
    }
}
