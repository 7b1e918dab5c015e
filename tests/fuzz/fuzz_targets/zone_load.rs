//! Any text as a master file at `dns::Zones::build`; what is accepted is asked.

#![no_main]

use dns::{Rules, SoaSpec, Transport, ZoneSpec, Zones};
use libfuzzer_sys::{Corpus, fuzz_target};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use steering::{LocationTable, Snapshot, TableSpec, Timestamp};

/// Asked of every zone, with the records of the seeds in mind.
const QUESTIONS: [&[u8]; 7] = [
    b"\x04fuzz\x04test\0",
    b"\x01w\x04fuzz\x04test\0",
    b"\x01*\x04fuzz\x04test\0",
    b"\x01x\x01y\x04wild\x04fuzz\x04test\0",
    b"\x01x\x05child\x04fuzz\x04test\0",
    b"\x03svc\x04fuzz\x04test\0",
    b"\x04long\x04fuzz\x04test\0",
];
/// A, NS, CNAME, SOA, MX, TXT, AAAA, SRV, HTTPS, ANY.
const TYPES: [u8; 10] = [1, 2, 5, 6, 15, 16, 28, 33, 65, 255];

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else {
        return Corpus::Reject;
    };
    // With and without its own SOA and NS: one of the two is complete.
    let whole = ZoneSpec {
        apex: "fuzz.test".to_owned(),
        master_file: Some(("fuzz.zone".into(), text.to_owned())),
        ..ZoneSpec::default()
    };
    let part = ZoneSpec {
        soa: Some(SoaSpec::new("ns1.fuzz.test", "hostmaster.fuzz.test")),
        ns: vec!["ns1.elsewhere.test".to_owned()],
        ..whole.clone()
    };
    for spec in [whole, part] {
        match Zones::build(vec![spec], Vec::new()) {
            Ok(zones) => ask(zones),
            Err(problems) => {
                assert!(!problems.is_empty(), "what is refused is told why");
                let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
                assert!(
                    shown.iter().all(|problem| problem.contains("fuzz")),
                    "{shown:?}"
                );
            }
        }
    }
    Corpus::Keep
});

fn ask(zones: Zones) {
    let mut spec = TableSpec::default();
    spec.planes.insert(Arc::new(zones));
    let table = Arc::new(fuzz::compile(&spec));
    let snapshot = Snapshot::new(table, Arc::new(LocationTable::default()), Timestamp(0));
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    for (name, rtype) in QUESTIONS
        .iter()
        .flat_map(|name| TYPES.map(|rtype| (name, rtype)))
    {
        let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        packet.extend_from_slice(name);
        packet.extend([0, rtype, 0, 1]);
        for (transport, limit) in [(Transport::Udp, 512), (Transport::Tcp, 65_535)] {
            match dns::respond(&snapshot, &packet, peer, transport, &Rules::default(), 0) {
                Some(response) => fuzz::well_formed(&packet, &response, limit),
                None => panic!("a query gets a response: {packet:02x?}"),
            }
        }
    }
}
