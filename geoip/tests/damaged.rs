//! Damaged databases: each is refused with its name, a reason and a remedy, and none of them makes the
//! reader panic or hang.

use geoip::{LoadError, Sources, load, load_bytes};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

/// Every damaged database, and a part of the reason it is refused for.
const DAMAGED: &[(&str, &str)] = &[
    ("bad-unicode-in-map-key", "are not zero"),
    ("cyclic-data-structure", "invalid database"),
    ("invalid-bytes-length", "unexpected end"),
    ("invalid-data-record-offset", "offset 47"),
    ("invalid-map-key-length", "invalid database"),
    ("invalid-string-length", "unexpected end"),
    ("libmaxminddb-corrupt-search-tree", "99 of the 100 nodes"),
    ("libmaxminddb-deep-array-nesting", "nests more than 16"),
    ("libmaxminddb-deep-nesting", "nests more than 16"),
    (
        "libmaxminddb-empty-array-last-in-metadata",
        "no layout known",
    ),
    ("libmaxminddb-empty-map-last-in-metadata", "no layout known"),
    ("libmaxminddb-metadata-marker-only", "unexpected end"),
    ("libmaxminddb-offset-integer-overflow", "unexpected end"),
    ("libmaxminddb-oversized-array", "record of"),
    ("libmaxminddb-oversized-map", "record of"),
    (
        "libmaxminddb-separator-record-max-left",
        "between tree and data",
    ),
    (
        "libmaxminddb-separator-record-min-left",
        "between tree and data",
    ),
    (
        "libmaxminddb-separator-record-min-right",
        "between tree and data",
    ),
    ("libmaxminddb-uint64-max-epoch", "build_epoch"),
    ("metadata-is-an-uint128", "expected map"),
    ("unexpected-bytes", "expected array"),
];

#[test]
fn every_damaged_database_is_refused_with_its_reason() {
    let mut unlisted: Vec<_> = fs::read_dir(data("bad"))
        .expect("the damaged databases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    for (name, reason) in DAMAGED {
        let path = data("bad").join(format!("{name}.mmdb"));
        unlisted.retain(|other| *other != path);
        let sources = Sources {
            database: Some(path.clone()),
            ..Sources::default()
        };
        let error = load(&sources).expect_err(name).to_string();
        assert!(error.contains(reason), "{name}: {error}");
        assert!(
            error.starts_with(&path.display().to_string()),
            "the file is named: {error}"
        );
        assert!(error.contains(';'), "a remedy is given: {error}");
    }
    assert!(unlisted.is_empty(), "no row for {unlisted:?}");
}

#[test]
fn what_is_no_database_is_refused() {
    for bytes in [
        &b""[..],
        b"not a database",
        &[0; 4096],
        b"\xab\xcd\xefMaxMind.com",
    ] {
        assert!(matches!(
            load_bytes(bytes, "x"),
            Err(LoadError::Damaged { .. })
        ));
    }
    let missing = Sources {
        database: Some(data("no-such.mmdb")),
        ..Sources::default()
    };
    assert!(matches!(load(&missing), Err(LoadError::Read { .. })));
    let folder = Sources {
        database: Some(data("bad")),
        ..Sources::default()
    };
    assert!(matches!(load(&folder), Err(LoadError::Read { .. })));
}

#[test]
fn a_database_cut_short_anywhere_is_refused() {
    let whole = fs::read(data("GeoIP2-City-Test.mmdb")).expect("the database");
    for length in (0..whole.len()).step_by(97) {
        assert!(
            load_bytes(&whole[..length], "cut").is_err(),
            "{length} of {} bytes",
            whole.len()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// A flipped byte is found or does no harm: whatever is accepted can be asked for any address.
    #[test]
    fn any_flipped_bytes_are_refused_or_harmless(
        which in 0_usize..4,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..6),
        address in any::<u128>(),
    ) {
        let name = [
            "GeoIP2-City-Test.mmdb", "GeoIP2-Country-Test.mmdb", "GeoLite2-ASN-Test.mmdb", "GeoLite2-City-Test.mmdb",
        ][which];
        let mut bytes = fs::read(data(name)).expect("the database");
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        if let Ok(table) = load_bytes(&bytes, name) {
            table.locate(std::net::Ipv6Addr::from(address).into());
            table.locate(std::net::Ipv4Addr::from(address as u32).into());
        }
    }

    #[test]
    fn any_bytes_after_the_marker_are_refused_or_harmless(metadata in proptest::collection::vec(any::<u8>(), 0..256)) {
        let bytes = [&[0; 64][..], b"\xab\xcd\xefMaxMind.com", &metadata].concat();
        prop_assert!(load_bytes(&bytes, "noise").is_err());
    }
}
