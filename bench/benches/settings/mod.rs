//! What the micro-benchmarks share: how long they run, and who asks. It measures nothing itself.

use bench::clients::addresses;
use criterion::Criterion;
use std::net::IpAddr;
use std::time::Duration;
use steering::LocationTable;

/// How many different clients a measurement walks through: more than the caches hold places for.
pub const CLIENTS: usize = 1 << 16;

/// Long enough to be steady, short enough to run all of them in some minutes.
pub fn criterion() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
        .configure_from_args()
}

/// Addresses from all over the country table, IPv4 and IPv6 in turn.
pub fn clients(geo: &LocationTable) -> Vec<IpAddr> {
    addresses(geo, CLIENTS, 1)
}
