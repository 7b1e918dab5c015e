//! Any octets as a DNS answer at the load bench's reader.

#![no_main]

use bench::generate::dns::{Places, read};
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;
use steering::RegionId;

static PLACES: LazyLock<Places> = LazyLock::new(|| {
    let addresses = [
        (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), RegionId::at(0)),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), RegionId::at(1)),
    ];
    let names = [("front.example", RegionId::at(2))];
    Places::new(addresses.into_iter(), names.into_iter())
});

fuzz_target!(|data: &[u8]| {
    let first = read(data, &PLACES);
    // Nothing is kept between two answers.
    assert_eq!(format!("{first:?}"), format!("{:?}", read(data, &PLACES)));
});
