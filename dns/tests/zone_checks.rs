//! What is likely to be wrong with a zone that can be served all the same, and what can't be, as `named-checkzone`
//! and its like would say it: each with the line it was written on.

mod common;

use dns::{AutoSerial, NoFiles, Severity, SteeredName, ZoneSpec, Zones};
use steering::ServiceId;

const HEAD: &str = "\
$TTL 300
@ SOA ns1 h 1 2 3 4 5
@ NS ns1
ns1 A 192.0.2.53
";

fn found(text: &str, severity: Severity) -> Vec<String> {
    let zone = common::zone("example", &format!("{HEAD}{text}"));
    let steered = SteeredName {
        name: "api.example".to_owned(),
        service: ServiceId(0),
        https: None,
        svcb: None,
        hostnames: false,
        place: "services.api.dns.names[0]".into(),
    };
    let problems = match Zones::load(vec![zone], vec![steered], &NoFiles) {
        Ok(built) => built.warnings,
        Err(problems) => problems,
    };
    let of_it = problems
        .iter()
        .filter(|problem| problem.severity == severity);
    of_it
        .map(|problem| problem.to_string().replace("zone example: ", ""))
        .collect()
}

#[track_caller]
fn says(severity: Severity, rows: &[(&str, &[&str])]) {
    for (text, expected) in rows {
        let said = found(text, severity);
        let all = expected
            .iter()
            .all(|part| said.iter().any(|line| line.contains(part)));
        assert!(
            all && said.len() == expected.len(),
            "{text}\nexpected {expected:#?}, got {said:#?}"
        );
    }
}

#[test]
fn what_is_likely_wrong_is_a_warning() {
    says(
        Severity::Warning,
        &[
            (
                "a A 192.0.2.1\na A 192.0.2.2\nb MX 10 a\nc SRV 1 2 3 a\nd MX 0 .\ne SRV 0 0 0 .\nf MX 10 x.test.",
                &[],
            ),
            ("m MX 10 api\n", &[]),
            (
                "a CNAME b\nb CNAME c\nc CNAME a",
                &["a.example.: its CNAME leads back to itself (let one of them lead to addresses)"],
            ),
            ("a CNAME a", &["a.example.: its CNAME leads back to itself"]),
            ("*.w A 192.0.2.1\nm MX 10 x.w\n", &[]),
            ("_dmarc TXT x\n_sip._tcp SRV 1 2 3 ns1\n", &[]),
            (
                "a A 192.0.2.1\na 60 A 192.0.2.2",
                &[
                    "example.zone:6: a.example. A: TTL 60 here and 300 before, in one record set; 60 is used for all",
                ],
            ),
            (
                "a A 192.0.2.1\na A 192.0.2.1",
                &[
                    "example.zone:6: a.example. A: the same record was there before (remove one of the two)",
                ],
            ),
            (
                "b MX 10 a\na CNAME ns1",
                &[
                    "example.zone:5: b.example. MX points to a.example., which is a CNAME (RFC 2181 §10.3)",
                ],
            ),
            (
                "b MX 10 gone",
                &["b.example. MX points to gone.example., which does not exist (give it an A"],
            ),
            (
                "b SRV 1 2 3 t\nt TXT x",
                &["b.example. SRV points to t.example., which has no address"],
            ),
            (
                "@ NS ns2",
                &["example.zone:3: example. NS points to ns2.example., which does not exist"],
            ),
            (
                "d DNAME x.test.\nb MX 10 a.d",
                &["points to a.d.example., which a DNAME redirects"],
            ),
            (
                "www.example A 192.0.2.1",
                &[
                    "example.zone:5: www.example.example. has the zone's name twice (a name without a last dot",
                ],
            ),
            (
                "b MX 10 mail.example",
                &["b.example. MX points to mail.example.example. (a name without"],
            ),
            (
                "b CNAME www.example",
                &["b.example. CNAME points to www.example.example."],
            ),
            (
                "*.a NS x.test.",
                &["*.a.example.: a wildcard cannot be delegated (RFC 4592 §4.2)"],
            ),
            (
                "*.a DNAME x.test.",
                &["*.a.example.: a DNAME at a wildcard redirects nothing"],
            ),
            (
                "a RRSIG A 13 2 300 20300101000000 20200101000000 1 example. AQID",
                &["the zone is signed, and signatures are only served when they are asked for"],
            ),
        ],
    );
}

#[test]
fn delegations_and_their_glue() {
    says(
        Severity::Warning,
        &[
            (
                "kid NS ns.kid\nns.kid A 192.0.2.1\nkid DS 1 13 250 00\nkid NS ns1\nkid NS ns.far.test.",
                &[],
            ),
            ("kid NS kid\nkid A 192.0.2.1", &[]),
            // Sibling glue (RFC 9471 §3.2).
            ("kid NS ns.sib\nsib NS ns.sib\nns.sib A 192.0.2.1", &[]),
            (
                "kid NS ns.kid",
                &[
                    "example.zone:5: kid.example. is delegated to ns.kid.example., whose glue is missing",
                ],
            ),
            (
                "kid NS ns2",
                &["kid.example. NS points to ns2.example., which does not exist"],
            ),
            (
                "kid NS ns.far.test.\nkid TXT x\nwww.kid A 192.0.2.1\nwww.kid TXT y",
                &[
                    "example.zone:6: kid.example. TXT is at or below kid.example., which is delegated away",
                    "example.zone:7: www.kid.example. A is at or below kid.example.",
                ],
            ),
            (
                "kid NS ns.kid\nns.kid A 192.0.2.1\nns.kid TXT x",
                &["example.zone:7: ns.kid.example. TXT is at or below kid.example."],
            ),
            (
                "@ NS ns.kid\nkid NS ns.far.test.",
                &["example. NS points to ns.kid.example., which is delegated away and has no glue"],
            ),
        ],
    );
}

#[test]
fn what_can_not_be_served_is_an_error() {
    says(
        Severity::Error,
        &[
            ("a CNAME b\na NSEC b CNAME", &[]),
            (
                "a CNAME b\na A 192.0.2.1",
                &["example.zone:5: a.example. has a CNAME and also A records"],
            ),
            (
                "a CNAME b\na CNAME c",
                &["a.example. has more than one CNAME"],
            ),
            (
                "a DNAME b\na DNAME c",
                &["a.example. has more than one DNAME"],
            ),
            ("a DNAME b\na A 192.0.2.1\na TXT x", &[]),
            (
                "a DNAME b\na CNAME c",
                &["a.example. has a CNAME and also DNAME records"],
            ),
            (
                "a DNAME b\na NS x.test.",
                &["a.example. is delegated and has a DNAME"],
            ),
            (
                "a DNAME b\nx.y.a A 192.0.2.1",
                &["example.zone:6: x.y.a.example. is below a.example., which has a DNAME"],
            ),
            (
                "a NS x.test.\na CNAME b",
                &["a.example. has a CNAME and also NS records"],
            ),
            (
                "@ DNAME x.test.",
                &[
                    "is below example., which has a DNAME",
                    "is below example., which has a DNAME",
                ],
            ),
        ],
    );
    let many: String = (0..6_000)
        .map(|i| format!("a A 10.0.{}.{}\n", i / 256, i % 256))
        .collect();
    says(
        Severity::Error,
        &[(
            &many,
            &["a.example. A: 6000 records do not fit into one message (spread them"],
        )],
    );
}

#[test]
fn problems_are_counted_beyond_the_first_thousand() {
    let many: String = (0..1_500).map(|i| format!("a{i} A bad\n")).collect();
    let said = found(&many, Severity::Error);
    assert_eq!(said.len(), 1_001);
    assert_eq!(said[1_000], "and 500 more problems in zones");
}

#[test]
fn a_serial_grows_with_the_content_and_only_then() {
    let zone = |text: &str, serial: AutoSerial| {
        let spec = ZoneSpec {
            serial: Some(serial),
            ..common::zone("example", &format!("{HEAD}{text}"))
        };
        let zones = Zones::build(vec![spec], Vec::new()).expect("a zone");
        let zone = zones.iter().next().expect("a zone");
        (zone.content(), zone.serial())
    };
    let at = |now, before| AutoSerial { now, before };
    let first = zone("a A 192.0.2.1\na A 192.0.2.2", at(1_000, None));
    assert_eq!(first.1, 1_000);
    // The same content in another order, later: the same.
    assert_eq!(
        zone("a A 192.0.2.2\na A 192.0.2.1", at(2_000, Some(first))),
        first
    );
    let second = zone("a A 192.0.2.1", at(2_000, Some(first)));
    assert_eq!(second.1, 2_000);
    assert_ne!(second.0, first.0);
    // A clock that stands still or went back: one more.
    assert_eq!(zone("a A 192.0.2.3", at(2_000, Some(second))).1, 2_001);
    assert_eq!(zone("a A 192.0.2.3", at(5, Some(second))).1, 2_001);
    // RFC 1982 §3.2: behind the largest comes 0.
    assert_eq!(
        zone("a A 192.0.2.3", at(u32::MAX, Some((0, u32::MAX)))).1,
        0
    );
    // A serial that was kept by hand as YYYYMMDDnn is greater than the time: one more.
    assert_eq!(
        zone("a A 192.0.2.3", at(1_800_000_000, Some((0, 2_026_112_101)))).1,
        2_026_112_102
    );
}

#[test]
fn records_come_in_canonical_order() {
    let text = "z A 192.0.2.1\nyljkjljk.a TXT 1\n*.z A 192.0.2.1\na TXT 2\nz.a TXT 3\nZABC.a TXT 4\n\\001.z A 192.0.2.1\n\\200.z A 192.0.2.1\nb.c.d TXT 5\n";
    let spec = common::zone("example", &format!("{HEAD}{text}"));
    let zones = Zones::build(vec![spec], Vec::new()).expect("a zone");
    let zone = zones.iter().next().expect("a zone");
    let mut names: Vec<String> = zone
        .records()
        .map(|record| {
            dns::Name::from_wire(record.owner)
                .expect("a name")
                .to_string()
        })
        .collect();
    names.dedup();
    // RFC 4034 §6.1's own example, with a few more.
    assert_eq!(
        names,
        [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "z.a.example.",
            "zabc.a.example.",
            "b.c.d.example.",
            "ns1.example.",
            "z.example.",
            "\\001.z.example.",
            "*.z.example.",
            "\\200.z.example.",
        ]
    );
}
