//! Sources put together: the embedded table, a database, AS numbers, overrides, and files given for the
//! wrong purpose.

use geoip::{LoadError, Override, Sources, describe, embedded, load, open};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steering::geo::{CountrySet, Location, LocationTable};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn country(table: &LocationTable, address: &str) -> String {
    let location = table.locate(address.parse().expect("an address")).location;
    location
        .country
        .map_or_else(|| "-".to_owned(), |c| c.to_string())
}

fn moved(cidr: &str, to: &str) -> Override {
    let location = Location::in_country(to.parse().expect("a country"));
    Override {
        cidr: cidr.parse().expect("a network"),
        location,
    }
}

#[test]
fn the_embedded_table_knows_the_world() {
    let table = embedded();
    for (address, expected) in [
        ("8.8.8.8", "US"),
        ("193.0.0.1", "NL"),
        ("133.11.0.1", "JP"),
        ("200.160.0.8", "BR"),
        ("196.216.2.1", "ZA"),
        ("2a01:4f8::1", "DE"),
        ("2001:240::1", "JP"),
        ("10.0.0.1", "-"),
        ("127.0.0.1", "-"),
        ("192.168.1.1", "-"),
        ("::ffff:172.16.0.1", "-"),
        ("198.51.100.1", "-"),
        ("::1", "-"),
        ("2001:db8::1", "-"),
    ] {
        assert_eq!(country(&table, address), expected, "{address}");
    }
    let mut seen = CountrySet::default();
    table
        .ranges_v4()
        .filter_map(|(.., location)| location.country)
        .for_each(|c| seen.insert(c));
    assert!(seen.len() > 230, "{} countries", seen.len());
    let without_continent: Vec<_> = seen.iter().filter(|c| c.continent().is_none()).collect();
    assert!(without_continent.len() < 3, "{without_continent:?}");
}

#[test]
fn without_sources_the_embedded_table_itself_serves() {
    let loaded = open(&Sources::default()).expect("the embedded table");
    assert!(Arc::ptr_eq(&loaded.table, &embedded()));
    assert_eq!((loaded.databases.len(), loaded.overrides), (1, 0));
    let about = describe(&loaded.table);
    assert!(
        about
            .source
            .starts_with("embedded country table (country ipvAll, built 20"),
        "{}",
        about.source
    );
    assert!(
        about.ranges_v4 > 100_000 && about.ranges_v6 > 100_000,
        "{about:?}"
    );
    assert!(about.bytes < 16 << 20, "{about:?}");
}

#[test]
fn overrides_win_over_any_database_and_narrow_its_prefixes() {
    let networks = vec![
        moved("8.8.8.0/24", "DE"),
        moved("10.20.0.0/16", "FR"),
        moved("2a01:4f8:1::/48", "SG"),
    ];
    let table = load(&Sources {
        networks,
        ..Sources::default()
    })
    .expect("sound sources");
    for (address, expected) in [
        ("8.8.8.8", "DE"),
        ("8.8.4.4", "US"),
        ("10.20.1.1", "FR"),
        ("10.21.1.1", "-"),
        ("2a01:4f8:1::1", "SG"),
        ("2a01:4f8:2::1", "DE"),
        ("2002:808:808::1", "DE"),
    ] {
        assert_eq!(country(&table, address), expected, "{address}");
    }
    assert_eq!(
        table
            .locate("8.8.8.8".parse().expect("an address"))
            .prefix_len,
        24
    );
    assert!(table.source.ends_with(", 3 overrides"), "{}", table.source);
}

#[test]
fn a_database_a_second_one_and_overrides_lie_over_each_other() {
    let sources = Sources {
        database: Some(data("GeoIP2-City-Test.mmdb")),
        asn_database: Some(data("GeoLite2-ASN-Test.mmdb")),
        networks: vec![moved("1.128.0.0/16", "DE")],
    };
    assert_eq!(sources.files().len(), 2);
    let loaded = open(&sources).expect("sound sources");
    let kinds: Vec<_> = loaded
        .databases
        .iter()
        .map(|d| d.database_type.as_str())
        .collect();
    assert_eq!(kinds, ["GeoIP2-City", "GeoLite2-ASN"]);
    let location = loaded
        .table
        .locate("1.128.0.1".parse().expect("an address"))
        .location;
    assert_eq!(
        (
            location.country.map(|c| c.to_string()).as_deref(),
            location.asn
        ),
        (Some("DE"), Some(1221))
    );
}

#[test]
fn a_database_given_for_the_other_purpose_says_where_it_belongs() {
    let asn = Sources {
        database: Some(data("GeoLite2-ASN-Test.mmdb")),
        ..Sources::default()
    };
    let city = Sources {
        asn_database: Some(data("GeoLite2-City-Test.mmdb")),
        ..Sources::default()
    };
    for (sources, remedy) in [
        (asn, "give it as asn_database"),
        (city, "give it as database"),
    ] {
        let error = load(&sources).expect_err("refused");
        assert!(matches!(error, LoadError::Kind { .. }), "{error}");
        assert!(error.to_string().contains(remedy), "{error}");
    }
}

#[test]
fn a_file_replaced_by_a_damaged_one_is_refused_and_the_old_table_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("city.mmdb");
    let sources = Sources {
        database: Some(path.clone()),
        ..Sources::default()
    };
    std::fs::copy(data("GeoIP2-City-Test.mmdb"), &path).expect("a copy");
    let old = load(&sources).expect("a sound database");
    std::fs::copy(data("bad/libmaxminddb-corrupt-search-tree.mmdb"), &path).expect("a copy");
    assert!(load(&sources).is_err());
    assert_eq!(country(&old, "81.2.69.160"), "GB");
}
