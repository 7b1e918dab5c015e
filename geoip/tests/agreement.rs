//! Agreement with the sources the test databases were made from: every network, its first and its last
//! address.

use geoip::{Sources, load, load_bytes};
use serde_json::Value;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use steering::geo::{Continent, Location, LocationTable};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// The networks of a JSON source as (first, last, record); IPv4 lies under `::/96`.
fn networks(name: &str) -> Vec<(u128, u128, Value)> {
    let text = std::fs::read_to_string(data(name)).expect("the source");
    let entries: Vec<serde_json::Map<String, Value>> =
        serde_json::from_str(&text).expect("a list of maps");
    let parse = |(cidr, record): (String, Value)| {
        let (address, length) = cidr.split_once('/').expect("a prefix");
        let length: u32 = length.parse().expect("a length");
        let (address, length) = match address.parse().expect("an address") {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)), length + 96),
            IpAddr::V6(v6) => (u128::from(v6), length),
        };
        let host = u128::MAX.checked_shr(length).unwrap_or(0);
        (address & !host, address | host, record)
    };
    entries.into_iter().flatten().map(parse).collect()
}

/// The record of the most specific network around an address.
fn most_specific(networks: &[(u128, u128, Value)], address: u128) -> &Value {
    networks
        .iter()
        .filter(|(first, last, _)| *first <= address && address <= *last)
        .min_by_key(|(first, last, _)| last - first)
        .map(|(_, _, record)| record)
        .expect("a network around its own address")
}

/// An address as clients have it.
fn client(address: u128) -> IpAddr {
    match u32::try_from(address) {
        Ok(v4) => IpAddr::V4(v4.into()),
        Err(_) => IpAddr::V6(Ipv6Addr::from(address)),
    }
}

/// Whether the table finds the address by another one inside it.
fn embeds(address: u128) -> bool {
    address >> 112 == 0x2002 || address >> 96 == 0x2001_0000 || address >> 32 == 0xffff
}

/// Calls `check(address, record, location)` for the first and last address of every network.
fn each(source: &str, table: &LocationTable, check: impl Fn(IpAddr, &Value, Location)) -> usize {
    let networks = networks(source);
    let mut checked = 0;
    for address in networks
        .iter()
        .flat_map(|(first, last, _)| [*first, *last])
        .filter(|a| !embeds(*a))
    {
        let client = client(address);
        check(
            client,
            most_specific(&networks, address),
            table.locate(client).location,
        );
        checked += 1;
    }
    checked
}

fn text<'v>(record: &'v Value, path: &str) -> Option<&'v str> {
    record.pointer(path).and_then(Value::as_str)
}

fn check_place(address: IpAddr, record: &Value, location: Location) {
    let country =
        text(record, "/country/iso_code").or(text(record, "/registered_country/iso_code"));
    assert_eq!(
        location.country.map(|c| c.to_string()).as_deref(),
        country,
        "country of {address}"
    );
    if let Some(continent) = text(record, "/continent/code") {
        assert_eq!(
            location.continent.map(Continent::code),
            Some(continent),
            "continent of {address}"
        );
    }
    let subdivision = text(record, "/subdivisions/0/iso_code")
        .and_then(|part| Some(format!("{}-{part}", text(record, "/country/iso_code")?)));
    assert_eq!(
        location.subdivision.map(|s| s.to_string()),
        subdivision,
        "subdivision of {address}"
    );
    let degrees = |path| {
        record
            .pointer(path)
            .and_then(Value::as_f64)
            .map(|d| d as f32)
    };
    let coordinates = degrees("/location/latitude").zip(degrees("/location/longitude"));
    assert_eq!(
        location.coordinates.map(|c| (c.latitude, c.longitude)),
        coordinates,
        "place of {address}"
    );
}

#[test]
fn city_agrees_with_its_source() {
    let sources = Sources {
        database: Some(data("GeoIP2-City-Test.mmdb")),
        ..Sources::default()
    };
    let table = load(&sources).expect("a sound database");
    let checked = each("GeoIP2-City-Test.json", &table, check_place);
    assert!(checked > 400, "{checked} addresses");
}

#[test]
fn asn_agrees_with_its_source() {
    let sources = Sources {
        asn_database: Some(data("GeoLite2-ASN-Test.mmdb")),
        ..Sources::default()
    };
    let table = load(&sources).expect("a sound database over the embedded one");
    let alone = std::fs::read(data("GeoLite2-ASN-Test.mmdb")).expect("the database");
    let alone = load_bytes(&alone, "asn").expect("a sound database");
    let embedded = geoip::embedded();
    let checked = each(
        "GeoLite2-ASN-Test.json",
        &table,
        |address, record, location| {
            let number = record["autonomous_system_number"].as_u64();
            assert_eq!(location.asn.map(u64::from), number, "AS of {address}");
            let below = embedded.locate(address).location;
            assert_eq!(
                Location {
                    asn: None,
                    ..location
                },
                below,
                "the place of {address} is left as it was"
            );
            let expected = Location {
                asn: location.asn,
                ..Location::UNKNOWN
            };
            assert_eq!(alone.locate(address).location, expected, "{address}");
        },
    );
    assert!(checked > 500, "{checked} addresses");
}

#[test]
fn country_and_lite_layouts_are_read() {
    for (name, address, country, subdivision) in [
        ("GeoIP2-Country-Test.mmdb", "81.2.69.160", "GB", None),
        ("GeoIP2-Country-Test.mmdb", "2001:218::1", "JP", None),
        (
            "GeoLite2-City-Test.mmdb",
            "81.2.69.160",
            "GB",
            Some("GB-ENG"),
        ),
        (
            "GeoLite2-City-Test.mmdb",
            "2002:5102:45a0::1",
            "GB",
            Some("GB-ENG"),
        ),
        (
            "GeoLite2-City-Test.mmdb",
            "::ffff:81.2.69.160",
            "GB",
            Some("GB-ENG"),
        ),
    ] {
        let table = load(&Sources {
            database: Some(data(name)),
            ..Sources::default()
        })
        .expect(name);
        let location = table.locate(address.parse().expect("an address")).location;
        assert_eq!(
            location.country.map(|c| c.to_string()).as_deref(),
            Some(country),
            "{name} {address}"
        );
        assert_eq!(
            location.subdivision.map(|s| s.to_string()).as_deref(),
            subdivision,
            "{name} {address}"
        );
    }
}

#[test]
fn the_table_agrees_with_the_decoder_on_every_network_of_every_database() {
    for name in [
        "GeoIP2-City-Test.mmdb",
        "GeoIP2-Country-Test.mmdb",
        "GeoLite2-City-Test.mmdb",
    ] {
        let reader = maxminddb::Reader::open_readfile(data(name)).expect(name);
        let table = load(&Sources {
            database: Some(data(name)),
            ..Sources::default()
        })
        .expect(name);
        for found in reader.networks(Default::default()).expect(name) {
            let found = found.expect(name);
            let record: Value = found.decode().expect(name).expect("a record");
            let network = found.network().expect(name);
            let address = match network.ip() {
                // Below ::/96 a tree for IPv6 holds IPv4.
                IpAddr::V6(v6) => client(v6.into()),
                v4 => v4,
            };
            if !matches!(address, IpAddr::V6(v6) if embeds(v6.into())) {
                check_place(address, &record, table.locate(address).location);
            }
        }
    }
}
