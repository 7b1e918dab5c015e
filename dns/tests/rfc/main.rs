//! Conformance, a file for each RFC and a test for each of its rules, named after the section.

#[path = "../common/mod.rs"]
mod common;

mod rfc1034;
mod rfc2181;
mod rfc2308;
mod rfc3597;
mod rfc4592;
mod rfc4892;
mod rfc5001;
mod rfc6604;
mod rfc6672;
mod rfc6891;
mod rfc7314;
mod rfc7828;
mod rfc7830;
mod rfc7871;
mod rfc7873;
mod rfc8482;
mod rfc8906;
mod rfc8914;
mod rfc8945;
mod rfc9460;
mod rfc9471;
mod rfc9619;

use common::{ip, show};
use dns::{Arrival, RType, Rules, Transport, Zones, respond_into};
use std::net::IpAddr;
use steering::Snapshot;

/// What a message is asked with, beside its octets. Over UDP, from the United States, at a time of its own.
struct Setting {
    arrival: Arrival,
    rules: Rules,
}

impl Default for Setting {
    fn default() -> Self {
        Self::over(Transport::Udp)
    }
}

impl Setting {
    fn over(transport: Transport) -> Self {
        Self {
            arrival: Arrival {
                now: 1_700_000_000,
                ..Arrival::new(ip(common::US), transport)
            },
            rules: Rules::default(),
        }
    }

    /// The response to a packet.
    fn send(&self, world: &Snapshot, packet: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let draw = |_: IpAddr, _: &[u8], _: RType| 7;
        respond_into(world, packet, &self.arrival, &self.rules, draw, &mut out);
        assert!(out.len() >= 12, "a response");
        out
    }

    /// The same in lines.
    fn ask(&self, world: &Snapshot, question: &str, options: Option<&[u8]>) -> Vec<String> {
        show(&self.send(world, &common::packet(question, options)))
    }
}

/// One zone, served alone.
fn served(apex: &str, text: &str) -> Snapshot {
    let zones = Zones::build(vec![common::zone(apex, text)], Vec::new());
    common::snapshot(zones.expect("a zone"))
}

/// A packet with some octets changed.
fn changed(mut packet: Vec<u8>, changes: &[(usize, u8)]) -> Vec<u8> {
    for (at, octet) in changes {
        packet[*at] = *octet;
    }
    packet
}

/// A query with this OPT record.
fn with_opt(question: &str, opt: &[u8]) -> Vec<u8> {
    let mut packet = changed(common::packet(question, None), &[(11, 1)]);
    packet.extend_from_slice(opt);
    packet
}
