//! RFC 4592, Wildcards: the zone of §2.2.1 and what it says of it; §4 for what may stand at a wildcard.

use crate::common::check;
use crate::served;
use steering::Snapshot;

fn zone() -> Snapshot {
    served(
        "example",
        "$TTL 3600\n\
         example. SOA ns.example.com. hostmaster.example.com. 1 2 3 4 5\n\
         example. NS ns.example.com.\n\
         example. NS ns.example.net.\n\
         *.example. TXT \"this is a wildcard\"\n\
         *.example. MX 10 host1.example.\n\
         sub.*.example. TXT \"this is not a wildcard\"\n\
         host1.example. A 192.0.2.1\n\
         _ssh._tcp.host1.example. SRV 0 0 22 host1.example.\n\
         _ssh._tcp.host2.example. SRV 0 0 22 host1.example.\n\
         subdel.example. NS ns.example.com.\n\
         subdel.example. NS ns.example.net.\n",
    )
}

const SOA: &str = "au example. 5 SOA ns.example.com. hostmaster.example.com. 1 2 3 4 5";

#[test]
fn rfc4592_2_2_1_answers_from_the_wildcard() {
    for (question, expected) in [
        (
            "host3.example. MX",
            &["NOERROR aa", "an host3.example. 3600 MX 10 host1.example."][..],
        ),
        // The name is stood for, but not with an A.
        ("host3.example. A", &["NOERROR aa", SOA]),
        (
            "foo.bar.example. TXT",
            &[
                "NOERROR aa",
                "an foo.bar.example. 3600 TXT this is a wildcard",
            ],
        ),
    ] {
        check(&zone(), question, expected);
    }
}

#[test]
fn rfc4592_2_2_1_names_that_exist_are_not_stood_for() {
    for (question, expected) in [
        ("host1.example. MX", &["NOERROR aa", SOA][..]),
        ("sub.*.example. MX", &["NOERROR aa", SOA]),
        // _tcp.host1.example exists, though it has no records.
        ("_telnet._tcp.host1.example. SRV", &["NXDOMAIN aa", SOA]),
        (
            "host.subdel.example. A",
            &[
                "NOERROR",
                "au subdel.example. 3600 NS ns.example.com.",
                "au subdel.example. 3600 NS ns.example.net.",
            ],
        ),
        // *.example exists, so it is the closest encloser.
        ("ghost.*.example. MX", &["NXDOMAIN aa", SOA]),
    ] {
        check(&zone(), question, expected);
    }
}

#[test]
fn rfc4592_2_2_2_empty_non_terminals_exist() {
    for question in ["_tcp.host2.example. SRV", "host2.example. MX"] {
        check(&zone(), question, &["NOERROR aa", SOA]);
    }
}

#[test]
fn rfc4592_2_1_1_the_asterisk_itself_can_be_asked_for() {
    check(
        &zone(),
        "*.example. TXT",
        &["NOERROR aa", "an *.example. 3600 TXT this is a wildcard"],
    );
}

#[test]
fn rfc4592_3_3_1_only_the_wildcard_of_the_closest_encloser_stands_in() {
    // _telnet._tcp.host1 has _tcp.host1 above it, which has no wildcard of its own.
    for question in [
        "_telnet._tcp.host2.example. TXT",
        "a.b._tcp.host2.example. TXT",
        "x.host1.example. TXT",
    ] {
        check(&zone(), question, &["NXDOMAIN aa", SOA]);
    }
    check(
        &zone(),
        "a.b.c.example. TXT",
        &[
            "NOERROR aa",
            "an a.b.c.example. 3600 TXT this is a wildcard",
        ],
    );
}

#[test]
fn rfc4592_4_4_a_cname_at_a_wildcard_is_made_for_the_name_and_followed() {
    let text = "@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns\nns 300 A 192.0.2.1\n*.c 300 CNAME ns\n*.d 300 CNAME x.c\n";
    for (question, expected) in [
        (
            "y.c.example. A",
            &[
                "NOERROR aa",
                "an y.c.example. 300 CNAME ns.example.",
                "an ns.example. 300 A 192.0.2.1",
            ][..],
        ),
        (
            "y.d.example. A",
            &[
                "NOERROR aa",
                "an y.d.example. 300 CNAME x.c.example.",
                "an x.c.example. 300 CNAME ns.example.",
                "an ns.example. 300 A 192.0.2.1",
            ],
        ),
        (
            "y.c.example. CNAME",
            &["NOERROR aa", "an y.c.example. 300 CNAME ns.example."],
        ),
    ] {
        check(&served("example", text), question, expected);
    }
}
