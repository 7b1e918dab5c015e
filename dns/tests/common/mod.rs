//! What the tests of this crate share: a small world with three regions, questions written as text, and
//! responses read by another implementation (hickory-proto) and shown as lines.

#![allow(dead_code)] // each test file uses a part of it

use dns::{Binding, Rules, SoaSpec, SteeredName, Transport, ZoneSpec, Zones};
use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::opt::EdnsOption;
use std::net::IpAddr;
use std::sync::Arc;
use steering::geo::{Country, CountrySet};
use steering::health::Status;
use steering::ids::{JurisdictionId, PolicyId, PoolId, RegionId, ResidencyId};
use steering::spec::*;
use steering::{
    Forced, Location, LocationTable, LocationTableBuilder, ServiceId, Snapshot, Table, TableSpec,
    Timestamp,
};

/// The zone most tests ask.
pub const ZONE: &str = "\
$TTL 300
@        IN SOA ns1 hostmaster 7 3600 600 86400 60
@           NS  ns1
@           NS  ns2.elsewhere.test.
@           MX  10 mail
@           TXT \"apex\"
ns1         A   192.0.2.53
ns1         AAAA 2001:db8::53
mail    120 A   192.0.2.25
www         CNAME web
web         A   192.0.2.80
web         A   192.0.2.81
out         CNAME www.elsewhere.test.
dead        CNAME nothing
chain       CNAME geo
a.b.ent     A   192.0.2.7
*.wild      A   192.0.2.9
*.wild      MX  10 mail
sub.wild    TXT \"in the way\"
*.alias     CNAME web
child       NS  ns.child
child       NS  ns1
child       NS  ns.far.test.
child       DS  1 13 2 00
ns.child    A   192.0.2.99
deep.child  A   192.0.2.98
geo         TXT \"beside\"
raw         TYPE65280 \\# 4 0a000001
";

pub const US: &str = "8.8.8.8";
pub const DE: &str = "192.0.2.1";
pub const SG: &str = "203.0.113.1";

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn country(code: &str) -> Country {
    code.parse().expect(code)
}

/// Germany is 192.0.2.0/24 and 2001:db8:de::/48, Singapore 203.0.113.0/24, everything else in IPv4 is in
/// the United States.
pub fn places() -> LocationTable {
    let mut builder = LocationTableBuilder::default();
    for (network, code) in [
        ("0.0.0.0/0", "US"),
        ("192.0.2.0/24", "DE"),
        ("203.0.113.0/24", "SG"),
        ("2001:db8:de::/48", "DE"),
    ] {
        builder.insert(
            network.parse().expect(network),
            Location::in_country(country(code)),
        );
    }
    builder.build("test")
}

fn endpoint(v4: &[&str], v6: &[&str]) -> EndpointSpec {
    EndpointSpec {
        address: "127.0.0.1:443".parse().expect("an address"),
        weight: 1,
        publish: Publish::Addresses {
            v4: v4.iter().map(|a| a.parse().expect(a)).collect(),
            v6: v6.iter().map(|a| a.parse().expect(a)).collect(),
        },
    }
}

fn pool(name: &str, region: u32, endpoints: Vec<EndpointSpec>) -> PoolSpec {
    PoolSpec {
        name: name.into(),
        region: RegionId(region),
        check: None,
        min_healthy: 0.0,
        endpoints,
    }
}

fn pools() -> Vec<PoolSpec> {
    let named = EndpointSpec {
        publish: Publish::Name("web.example".into()),
        ..endpoint(&[], &[])
    };
    let many: Vec<String> = (1..=12).map(|i| format!("10.4.0.{i}")).collect();
    let many = many.iter().map(|a| endpoint(&[a.as_str()], &[])).collect();
    vec![
        pool("us", 0, vec![endpoint(&["10.1.0.1"], &["2001:db8:1::1"])]),
        pool("eu", 1, vec![endpoint(&["10.2.0.1"], &["2001:db8:2::1"])]),
        pool("ap", 2, vec![endpoint(&["10.3.0.1"], &[])]),
        pool("named", 0, vec![named]),
        pool("many", 0, many),
    ]
}

/// The services of the world, by id, with the name each is steered under.
pub const STEERED: [(&str, &str); 7] = [
    ("geo", "geo.example"),
    ("pinned", "pinned.example"),
    ("named", "named.example"),
    ("many", "many.example"),
    ("star", "*.star.example"),
    ("nowhere", "nowhere.example"),
    ("refusing", "refusing.example"),
];

fn table(zones: Zones, rules: Rules) -> Table {
    let region = |name: &str, jurisdiction| Region {
        name: name.into(),
        place: None,
        country: None,
        jurisdiction,
        capacity: None,
    };
    let rule = |code: &str, pool| GeoRule {
        subdivisions: Vec::new(),
        countries: vec![country(code)],
        sets: Vec::new(),
        continents: Vec::new(),
        to: Policy::Pool(PoolId(pool)),
    };
    let geo = |default: Option<u32>| Policy::Geo {
        rules: vec![rule("DE", 1), rule("SG", 2)],
        default: default.map(|pool| Box::new(Policy::Pool(PoolId(pool)))),
    };
    let policies = [
        geo(Some(0)),
        Policy::Pool(PoolId(3)),
        Policy::Pool(PoolId(4)),
        geo(None),
    ];
    let policies = policies.into_iter().enumerate();
    let service = |name: &str| {
        let policy = PolicyId(match name {
            "named" => 1,
            "many" => 2,
            "nowhere" => 3,
            _ => 0,
        });
        ServiceSpec {
            name: name.into(),
            dns_policy: policy,
            http_policy: policy,
            residency: (name == "pinned").then_some(ResidencyId(0)),
            fail_open: name != "refusing",
            ttl: 60,
            ttl_failing: 10,
        }
    };
    let mut spec = TableSpec {
        regions: vec![
            region("us-east-1", None),
            region("eu-west-1", Some(JurisdictionId(0))),
            region("ap-1", None),
        ],
        pools: pools(),
        policies: policies
            .map(|(i, policy)| NamedPolicy {
                name: format!("p{i}").into(),
                policy,
            })
            .collect(),
        residencies: vec![Residency {
            name: "gdpr".into(),
            countries: CountrySet::builtin("EU").expect("a built-in set"),
            continents: Vec::new(),
            serve_in: vec![JurisdictionId(0)],
            pin_unknown: true,
            fail_open_inside: false,
        }],
        services: STEERED.iter().map(|(name, _)| service(name)).collect(),
        ..TableSpec::default()
    };
    spec.planes.insert(Arc::new(zones));
    spec.planes.insert(Arc::new(rules));
    Table::compile(spec).expect("a table")
}

/// A record that offers these protocols.
pub fn offering(alpn: &[&str]) -> Binding {
    Binding {
        alpn: alpn.iter().map(|name| (*name).to_owned()).collect(),
        ..Binding::default()
    }
}

pub fn steered() -> Vec<SteeredName> {
    let names = STEERED
        .iter()
        .enumerate()
        .map(|(i, (service, name))| SteeredName {
            name: (*name).to_owned(),
            service: ServiceId(i as u32),
            https: (*service == "geo").then(|| offering(&["h2", "http/1.1"])),
            svcb: None,
            hostnames: *service == "named",
            place: format!("services.{service}.dns.names[0]").into(),
        });
    names.collect()
}

/// `apex` as a zone with this master file.
pub fn zone(apex: &str, text: &str) -> ZoneSpec {
    ZoneSpec {
        apex: apex.to_owned(),
        master_file: Some((format!("{apex}.zone").into(), text.to_owned())),
        ..ZoneSpec::default()
    }
}

/// `example` with [`ZONE`], and `second.test`, whose apex is steered like `geo`.
pub fn world() -> Snapshot {
    snapshot(zones())
}

/// The world, answered by other rules.
pub fn ruled(rules: Rules) -> Snapshot {
    let table = table(zones(), rules);
    Snapshot::new(Arc::new(table), Arc::new(places()), Timestamp(0))
}

/// The world with more lines in its zone, answered by other rules.
pub fn ruled_with(lines: &str, rules: Rules) -> Snapshot {
    let zone = zone("example", &format!("{ZONE}\n$ORIGIN example.\n{lines}"));
    let zones = Zones::build(vec![zone], steered()).expect("zones");
    Snapshot::new(
        Arc::new(table(zones, rules)),
        Arc::new(places()),
        Timestamp(0),
    )
}

fn zones() -> Zones {
    let second = ZoneSpec {
        apex: "second.test".to_owned(),
        soa: Some(SoaSpec::new("ns1.second.test", "john.doe@second.test")),
        ns: vec!["ns1.example".to_owned()],
        records: vec![
            (
                "zones.second.records[0]".to_owned(),
                "to 300 CNAME www.example.".to_owned(),
            ),
            (
                "zones.second.records[1]".to_owned(),
                "@ TXT apex".to_owned(),
            ),
        ],
        ..ZoneSpec::default()
    };
    let mut names = steered();
    names.push(SteeredName {
        name: "Second.test.".to_owned(),
        https: None,
        ..names[0].clone()
    });
    Zones::build(vec![zone("example", ZONE), second], names).expect("zones")
}

pub fn snapshot(zones: Zones) -> Snapshot {
    let table = table(zones, Rules::default());
    Snapshot::new(Arc::new(table), Arc::new(places()), Timestamp(0))
}

/// The world with everything in these pools down.
pub fn with_down(down: &[u32]) -> Snapshot {
    let forced: Vec<Forced> = down
        .iter()
        .map(|pool| Forced::Pool(PoolId(*pool), Status::Down))
        .collect();
    world().what_if(&forced, Timestamp(0))
}

/// The octets of a query: `question` is `name TYPE`, `options` the OPT's RDATA if there is to be one.
pub fn packet(question: &str, options: Option<&[u8]>) -> Vec<u8> {
    let (name, rtype) = question.split_once(' ').expect("name and type");
    let rtype: dns::RType = rtype.parse().expect(rtype);
    let mut packet = vec![
        0x12,
        0x34,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        u8::from(options.is_some()),
    ];
    for label in name
        .trim_end_matches('.')
        .split('.')
        .filter(|label| !label.is_empty())
    {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend(rtype.0.to_be_bytes());
    packet.extend([0, 1]);
    if let Some(options) = options {
        packet.extend(opt(4096, [0; 4], options));
    }
    packet
}

/// An OPT record.
pub fn opt(payload: u16, ttl: [u8; 4], options: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0, 41];
    record.extend(payload.to_be_bytes());
    record.extend(ttl);
    record.extend((options.len() as u16).to_be_bytes());
    record.extend_from_slice(options);
    record
}

/// One EDNS option.
pub fn option(code: u16, data: &[u8]) -> Vec<u8> {
    let mut option = code.to_be_bytes().to_vec();
    option.extend((data.len() as u16).to_be_bytes());
    option.extend_from_slice(data);
    option
}

/// A client subnet option for `address/source`.
pub fn subnet(text: &str) -> Vec<u8> {
    let (address, source) = text.split_once('/').expect("address/source");
    let source: u8 = source.parse().expect(source);
    let (family, octets) = match ip(address) {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    let mut data = vec![0, family, source, 0];
    data.extend_from_slice(&octets[..usize::from(source).div_ceil(8)]);
    option(8, &data)
}

/// Asks over TCP, so that size is no matter, from an address in the United States.
pub fn ask(snapshot: &Snapshot, question: &str, options: Option<&[u8]>) -> Vec<String> {
    ask_from(snapshot, US, question, options)
}

pub fn ask_from(
    snapshot: &Snapshot,
    client: &str,
    question: &str,
    options: Option<&[u8]>,
) -> Vec<String> {
    let packet = packet(question, options);
    let response = dns::respond(
        snapshot,
        &packet,
        ip(client),
        Transport::Tcp,
        &Rules::default(),
        7,
    );
    let response = response.expect("a response");
    assert_eq!(response[..2], packet[..2], "the ID comes back");
    show(&response)
}

/// A response as lines: code and flags, then each record after the name of its section, then EDNS.
pub fn show(response: &[u8]) -> Vec<String> {
    let message = Message::from_vec(response).expect("a well-formed response");
    let meta = &message.metadata;
    let mut head = match u16::from(meta.response_code) {
        // The library names 16 after TSIG's use of it.
        16 => "BADVERS".to_owned(),
        23 => "BADCOOKIE".to_owned(),
        _ => format!("{:?}", meta.response_code).to_uppercase(),
    };
    for (set, flag) in [
        (meta.authoritative, " aa"),
        (meta.truncation, " tc"),
        (meta.recursion_desired, " rd"),
        (meta.recursion_available, " ra"),
        (meta.authentic_data, " ad"),
        (meta.checking_disabled, " cd"),
    ] {
        head.push_str(if set { flag } else { "" });
    }
    let mut lines = vec![head];
    for (section, records) in [
        ("an", &message.answers),
        ("au", &message.authorities),
        ("ad", &message.additionals),
    ] {
        for r in records {
            let rtype = dns::RType(u16::from(r.record_type()));
            let data = match &r.data {
                // The library knows the type by its number only.
                RData::Unknown { rdata, .. } if rtype == dns::RType::DNAME => {
                    let target = dns::Name::from_wire(&rdata.anything).expect("a name");
                    target.to_string()
                }
                other => other.to_string(),
            };
            lines.push(format!("{section} {} {} {rtype} {data}", r.name, r.ttl));
        }
    }
    if let Some(edns) = &message.edns {
        lines.extend(
            edns.options()
                .as_ref()
                .iter()
                .map(|(_, option)| match option {
                    EdnsOption::Subnet(subnet) => {
                        format!(
                            "ecs {}/{}/{}",
                            subnet.addr(),
                            subnet.source_prefix(),
                            subnet.scope_prefix()
                        )
                    }
                    EdnsOption::Unknown(15, data) => {
                        let code = u16::from_be_bytes([data[0], data[1]]);
                        format!("ede {code} {}", String::from_utf8_lossy(&data[2..]))
                            .trim_end()
                            .to_owned()
                    }
                    EdnsOption::NSID(name) => {
                        format!("nsid {}", String::from_utf8_lossy(name.as_ref()))
                    }
                    EdnsOption::Unknown(9, data) => {
                        format!(
                            "expire {}",
                            u32::from_be_bytes(data[..].try_into().expect("4"))
                        )
                    }
                    EdnsOption::Unknown(10, data) => {
                        let hex: String = data.iter().map(|octet| format!("{octet:02x}")).collect();
                        format!("cookie {hex}")
                    }
                    EdnsOption::Unknown(11, data) => {
                        let units = u16::from_be_bytes(data[..].try_into().expect("2 octets"));
                        format!("keepalive {units}")
                    }
                    EdnsOption::Unknown(12, data) => {
                        assert!(data.iter().all(|octet| *octet == 0), "RFC 7830 3");
                        format!("padding {}", data.len())
                    }
                    other => format!("option {other:?}"),
                }),
        );
    }
    lines
}

/// Holds a response without EDNS against what is expected.
pub fn check(snapshot: &Snapshot, question: &str, expected: &[&str]) {
    assert_eq!(ask(snapshot, question, None), expected, "{question}");
}

/// The SOA line of `example` in the authority section.
pub const SOA: &str = "au example. 60 SOA ns1.example. hostmaster.example. 7 3600 600 86400 60";
