//! Any text as a master file at `dns::Zones::build`; what is accepted is asked.

#![no_main]

use dns::{Files, Rules, SoaSpec, Transport, ZoneSpec, Zones};
use libfuzzer_sys::{Corpus, fuzz_target};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
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

/// What the text may include: the part behind a form feed, and itself.
struct Included<'t>(&'t str);

impl Files for Included<'_> {
    fn read(&self, path: &Path) -> Result<String, String> {
        match path.to_str() {
            Some("a" | "b/a") => Ok(self.0.to_owned()),
            _ => Err("no such file".to_owned()),
        }
    }
}

fuzz_target!(|data: &[u8]| -> Corpus {
    // A zone of any size is read; here it is the reading that is looked for.
    if data
        .windows(9)
        .filter(|w| w.eq_ignore_ascii_case(b"$GENERATE"))
        .count()
        > 2
    {
        return Corpus::Reject;
    }
    let text = dns::zone::text(data.to_vec());
    let (text, included) = text.split_once('\u{c}').unwrap_or((&text, ""));
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
        match Zones::load(vec![spec], Vec::new(), &Included(included)) {
            Ok(built) => {
                written_is_read(&built.zones);
                ask(built.zones);
            }
            Err(problems) => {
                assert!(!problems.is_empty(), "what is refused is told why");
                let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
                assert!(
                    shown.iter().all(
                        |problem| problem.contains("fuzz") || problem.contains("more problems")
                    ),
                    "{shown:?}"
                );
            }
        }
    }
    Corpus::Keep
});

/// A zone that is written out and read again has the same content.
fn written_is_read(zones: &Zones) {
    for zone in zones.iter() {
        let mut text = String::new();
        for record in zone.records() {
            let owner = dns::Name::from_wire(record.owner).expect("an owner is a name");
            let data = dns::Rdata {
                rtype: record.rtype,
                wire: record.data,
            };
            text.push_str(&format!("{owner} {} {} {data}\n", record.ttl, record.rtype));
        }
        let spec = ZoneSpec {
            apex: "fuzz.test".to_owned(),
            master_file: Some(("written.zone".into(), text.clone())),
            ..ZoneSpec::default()
        };
        match Zones::build(vec![spec], Vec::new()) {
            Ok(again) => {
                let again: Vec<u64> = again.iter().map(dns::Zone::content).collect();
                assert_eq!(again, [zone.content()], "{text}");
            }
            Err(problems) => panic!("what is written is not read: {problems:?}\n{text}"),
        }
    }
}

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
