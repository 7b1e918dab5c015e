//! What an operator can get wrong, and how it is told: every problem at once, each with its place.

mod common;

use common::{check, snapshot, zone};
use dns::{SoaSpec, SteeredName, ZoneSpec, Zones};
use steering::ServiceId;

const HEAD: &str = "@ 300 SOA ns1 h 1 2 3 4 5\n@ 300 NS ns1\n";

fn problems(zones: Vec<ZoneSpec>, steered: Vec<SteeredName>) -> Vec<String> {
    match Zones::build(zones, steered) {
        Ok(_) => Vec::new(),
        Err(problems) => problems
            .iter()
            .map(|problem| problem.to_string().replace("zone example: ", ""))
            .collect(),
    }
}

/// The problems of the master file `text` below the usual first two lines.
fn in_file(text: &str) -> Vec<String> {
    problems(vec![zone("example", &format!("{HEAD}{text}"))], Vec::new())
}

fn name(name: &str, hostnames: bool) -> SteeredName {
    SteeredName {
        name: name.to_owned(),
        service: ServiceId(0),
        https: None,
        svcb: None,
        hostnames,
        place: "services.api.dns.names[0]".into(),
    }
}

#[track_caller]
fn says(problems: &[String], expected: &[&str]) {
    let all = expected
        .iter()
        .all(|part| problems.iter().any(|problem| problem.contains(part)));
    assert!(
        all && problems.len() == expected.len(),
        "expected {expected:?}, got {problems:#?}"
    );
}

#[test]
fn every_bad_record_is_told_with_its_line() {
    for (text, expected) in [
        (
            "a 300 A 192.0.2.256",
            &["example.zone:3: A: `192.0.2.256` is not an IPv4 address"][..],
        ),
        (
            "a 300 A",
            &["example.zone:3: A: an IPv4 address is missing at the end"],
        ),
        ("a 300 A 192.0.2.1 x", &["A: `x` is one field too many"]),
        ("a 300 AAAA 192.0.2.1", &["is not an IPv6 address"]),
        ("a 300 MX mail", &["`mail` is not a number from 0 to 65535"]),
        (
            "a 300 BOGUS x",
            &["`BOGUS` is neither a TTL, a class nor a record type"],
        ),
        ("a 300 CH TXT x", &["class CH is not served, only IN"]),
        ("a..b 300 A 192.0.2.1", &["`a..b` is not a name"]),
        (
            "a 300 TXT \"open\nb 300 A 1",
            &[
                "example.zone:3: a quoted string is not closed",
                "example.zone:4: A:",
            ],
        ),
        ("a 300 AXFR x", &["AXFR is a type for questions"]),
        ("a 3000000000 A 192.0.2.1", &["the TTL is longer than"]),
        (
            "$INCLUDE other",
            &["example.zone:3: other can't be read: files are not included here"],
        ),
        ("$TTL never", &["`never` is not a TTL"]),
        ("$ORIGIN", &["$ORIGIN needs an argument"]),
        (
            "a.other. 300 A 192.0.2.1",
            &["a.other. is not within the zone (a name without a last dot"],
        ),
        (
            "a 300 TYPE65280 \\# 3 0a00",
            &["\\# says 3 octets, and there are 2"],
        ),
        (
            "a 300 TYPE1 \\# 3 0a0000",
            &["the octets are not what A is made of"],
        ),
        (
            "a 300 LOC 1 2 3",
            &["LOC: a direction is missing at the end"],
        ),
        (
            "a 300 ATMA 1",
            &["ATMA has no text form here; write it as \\#"],
        ),
        (
            "a 300 HTTPS 1 . alpn=h2 alpn=h3",
            &["HTTPS: `alpn` is there twice"],
        ),
        (
            "a 300 HTTPS 1 . bogus=1",
            &["`bogus` is not a service parameter known here"],
        ),
        (
            "a 300 HTTPS 1 . mandatory=port",
            &["mandatory names a parameter that is missing"],
        ),
        (
            "a 300 HTTPS 1 . ipv4hint=1.2.3",
            &["ipv4hint: `1.2.3` is not an address"],
        ),
        ("a 300 TXT \"\\300\"", &["has a malformed escape"]),
        (
            "a 300 DS 1 13 2 0",
            &["DS: the end is not pairs of hexadecimal digits"],
        ),
        (
            "a 300 DNSKEY 256 3 13 ===",
            &["DNSKEY: the end is not base64"],
        ),
    ] {
        says(&in_file(text), expected);
    }
}

#[test]
fn records_are_held_against_each_other() {
    for (text, expected) in [
        (
            "a 300 CNAME b\na 300 TXT x",
            &["example.zone:3: a.example. has a CNAME and also TXT records"][..],
        ),
        (
            "@ 300 CNAME b",
            &["example. has a CNAME and also NS records"],
        ),
        (
            "a 300 CNAME b\na 300 CNAME c",
            &["a.example. has more than one CNAME"],
        ),
        (
            "a 300 SOA x y 1 2 3 4 5",
            &["a.example. has a SOA, but the zone begins at example."],
        ),
        (
            "@ 300 SOA x y 2 2 3 4 5",
            &["it has two different SOA records"],
        ),
        (
            "a 300 DNAME b\na 300 DNAME c",
            &["a.example. has more than one DNAME"],
        ),
    ] {
        says(&in_file(text), expected);
    }
}

#[test]
fn zones_need_a_soa_and_name_servers_once() {
    says(
        &problems(vec![zone("example", "")], Vec::new()),
        &["it has no SOA record", "it has no NS record"],
    );
    let both = ZoneSpec {
        soa: Some(SoaSpec::new("ns1.example", "h@example")),
        ns: vec!["ns1.example".to_owned(), "..".to_owned()],
        ..zone("example", HEAD)
    };
    says(
        &problems(vec![both], Vec::new()),
        &[
            "it has a SOA here and in its configuration",
            "it has NS records here and in its configuration",
        ],
    );
    let bad = ZoneSpec {
        apex: "example".to_owned(),
        soa: Some(SoaSpec::new("a..b", "h@example")),
        ns: vec!["..".to_owned()],
        ..ZoneSpec::default()
    };
    says(
        &problems(vec![bad], Vec::new()),
        &[
            "soa: `a..b` is not a name",
            "ns: `..` is not a name",
            "it has no SOA",
            "it has no NS",
        ],
    );
    let twice = vec![zone("example", HEAD), zone("Example.", HEAD)];
    says(
        &problems(twice, Vec::new()),
        &["zone Example.: this zone is defined twice"],
    );
    says(
        &problems(vec![zone("a..b", HEAD)], Vec::new()),
        &["its name is not a domain name"],
    );
    says(
        &problems(vec![zone("*.b", HEAD)], Vec::new()),
        &["a zone cannot begin at a wildcard"],
    );
}

#[test]
fn steered_names_need_a_zone_and_room() {
    let place = "services.api.dns.names[0]: ";
    for (text, steered, expected) in [
        (
            "",
            name("a.other", false),
            "a.other. is in none of the zones",
        ),
        ("", name("a..b", false), "`a..b` is not a domain name"),
        (
            "a 300 A 192.0.2.1",
            name("a.example", false),
            "a.example. is steered and also has static A records",
        ),
        (
            "a 300 CNAME b",
            name("a.example", false),
            "a.example. is steered and also has static CNAME records",
        ),
        (
            "a 300 TXT b",
            name("a.example", true),
            "a.example. may be answered with a CNAME and also has TXT records",
        ),
        (
            "",
            name("example", true),
            "example. may be answered with a CNAME and also has",
        ),
        (
            "kid 300 NS ns.test.",
            name("a.kid.example", false),
            "a.kid.example. is at or below kid.example., which is delegated away",
        ),
    ] {
        let found = problems(
            vec![zone("example", &format!("{HEAD}{text}"))],
            vec![steered],
        );
        let expected = format!("{place}{expected}");
        assert!(
            found.iter().any(|problem| problem.contains(&expected)),
            "{expected}: {found:#?}"
        );
    }
    let twice = vec![name("a.example", false), name("A.Example.", false)];
    says(
        &problems(vec![zone("example", HEAD)], twice),
        &["a.example. is already steered by services.api"],
    );
    let https = SteeredName {
        https: Some(common::offering(&["h2"])),
        ..name("a.example", false)
    };
    let file = format!("{HEAD}a 300 HTTPS 0 b\n");
    let found = problems(vec![zone("example", &file)], vec![https]);
    says(
        &found,
        &["a.example. is steered and also has static HTTPS records"],
    );
    assert!(
        problems(vec![zone("example", &file)], vec![name("a.example", false)]).is_empty(),
        "made by hand"
    );
}

#[test]
fn inline_records_are_told_by_their_place() {
    let spec = ZoneSpec {
        records: vec![
            (
                "zones.example.records[0]".to_owned(),
                "www 300 A 192.0.2.1".to_owned(),
            ),
            (
                "zones.example.records[1]".to_owned(),
                "www 300 A bad".to_owned(),
            ),
            (
                "zones.example.records[2]".to_owned(),
                "; nothing".to_owned(),
            ),
        ],
        ..zone("example", HEAD)
    };
    says(
        &problems(vec![spec], Vec::new()),
        &[
            "zones.example.records[1]: A: `bad` is not an IPv4 address",
            "zones.example.records[2]: there is no record",
        ],
    );
}

#[test]
fn every_type_with_a_text_form_is_served_as_written() {
    for (record, shown) in [
        ("PTR host", "PTR host.example."),
        ("SRV 1 2 443 host", "SRV 1 2 443 host.example."),
        (
            "CAA 0 issue \"ca.test; x=y\"",
            "CAA 0 issue \"ca.test; x=y\"",
        ),
        (
            "NAPTR 1 2 \"s\" \"SIP+D2U\" \"\" _sip._udp",
            "NAPTR 1 2 \"s\" \"SIP+D2U\" \"\" _sip._udp.example.",
        ),
        ("TLSA 3 1 1 00ff", "TLSA 3 1 1 00ff"),
        ("SSHFP 4 2 00ff", "SSHFP 4 2 00ff"),
        ("HINFO a \"b c\"", "HINFO a b c"),
        ("TXT a \"b\\\"c\" \\100", "TXT ab\"cd"),
        ("HTTPS 0 other", "HTTPS 0 other.example. "),
        (
            "HTTPS 1 . port=8443 alpn=\"h2,h3\" ipv4hint=192.0.2.1",
            "HTTPS 1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1",
        ),
        (
            "SVCB 2 x.test. key65000=ab",
            "SVCB 2 x.test. unknown65000=ab",
        ),
        ("CSYNC 7 3 A NS AAAA", "CSYNC 7 3 A NS AAAA"),
        ("OPENPGPKEY AQID", "OPENPGPKEY AQID"),
        ("TYPE1 \\# 4 C0000201", "A 192.0.2.1"),
        ("( A\n 192.0.2.1 ; comment\n )", "A 192.0.2.1"),
    ] {
        let spec = zone("example", &format!("$TTL 1h\n{HEAD}x {record}\n"));
        let world = snapshot(
            Zones::build(vec![spec], Vec::new()).unwrap_or_else(|p| panic!("{record}: {p:?}")),
        );
        let rtype = shown.split(' ').next().expect("a type");
        let lines = common::ask(&world, &format!("x.example. {rtype}"), None);
        let line = lines[1].replace(['=', ',', '"'], " ");
        let wanted = format!("an x.example. 3600 {shown}").replace(['=', ',', '"'], " ");
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_ascii_lowercase)
                .collect::<Vec<_>>()
        };
        assert_eq!(words(&line), words(&wanted), "{record}: {lines:?}");
    }
}

#[test]
fn owners_origins_and_ttls_carry_over_as_rfc1035_says() {
    let text = "\
$TTL 10m
@ SOA ns1 h 1 2 3 4 5
  NS ns1
$ORIGIN sub
a   A 192.0.2.1
    A 192.0.2.2
    30 IN AAAA 2001:db8::1
IN  IN 60 TXT in
$ORIGIN example.
b   A 192.0.2.3
b   5 A 192.0.2.4
b   A 192.0.2.3
";
    let world = snapshot(Zones::build(vec![zone("example", text)], Vec::new()).expect("zones"));
    for (question, expected) in [
        (
            "a.sub.example. A",
            &[
                "an a.sub.example. 600 A 192.0.2.1",
                "an a.sub.example. 600 A 192.0.2.2",
            ][..],
        ),
        (
            "a.sub.example. AAAA",
            &["an a.sub.example. 30 AAAA 2001:db8::1"],
        ),
        ("in.sub.example. TXT", &["an in.sub.example. 60 TXT in"]),
        // One TTL a set, the least; no record twice (RFC 2181 5).
        (
            "b.example. A",
            &["an b.example. 5 A 192.0.2.3", "an b.example. 5 A 192.0.2.4"],
        ),
    ] {
        let expected: Vec<&str> = std::iter::once("NOERROR aa")
            .chain(expected.iter().copied())
            .collect();
        check(&world, question, &expected);
    }
}
