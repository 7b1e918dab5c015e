//! Any octets at `geoip::load_bytes`; what is accepted is looked up in.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;

fuzz_target!(|data: &[u8]| {
    let table = match geoip::load_bytes(data, "fuzz.mmdb") {
        Ok(table) => table,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error says what is wrong");
            return;
        }
    };
    for (first, last, location) in table.ranges_v4().take(64) {
        assert!(first <= last, "{first} to {last}");
        for at in [first, last] {
            same(&table, at.into(), location);
        }
    }
    for (first, last, location) in table.ranges_v6().take(64) {
        assert!(first <= last, "{first} to {last}");
        // IPv4 inside IPv6 is looked up as IPv4, so only its bounds are sure.
        let _ = (
            table.locate(first.into()),
            table.locate(last.into()),
            location,
        );
    }
});

/// Both ends of a range are located as the range says, for no longer a prefix than there is.
fn same(table: &steering::LocationTable, address: IpAddr, location: &steering::Location) {
    let located = table.locate(address);
    assert_eq!(located.location, *location, "{address}");
    assert!(located.prefix_len <= 32, "{address}: {located}");
}
