//! The battery of RFC 8906 §8: what a server must not fail to say, asked with `dig` as the RFC does.

use crate::name::Name;
use crate::servers::{Running, Who};
use crate::zones::{World, Zone};
use std::process::{Command, Stdio};

/// One question of the RFC: its section, `dig`'s arguments, what the output says, and what it must not.
struct Row {
    section: &'static str,
    arguments: &'static str,
    says: &'static [&'static str],
    says_not: &'static [&'static str],
}

/// A SOA in the answer section, as `dig` writes it.
const SOA: &str = "zone.test.\t\t7200\tIN\tSOA\t";
const OPT: &str = "EDNS: version: 0";

const ROWS: &[Row] = &[
    Row {
        section: "8.1.1, is it served at all",
        arguments: "+noedns +noad +norec soa zone.test",
        says: &["status: NOERROR", " aa;", SOA],
        says_not: &["EDNS"],
    },
    Row {
        section: "8.1.2, unknown types",
        arguments: "+noedns +noad +norec type1000 zone.test",
        says: &["status: NOERROR", " aa;", "ANSWER: 0, AUTHORITY: 1"],
        says_not: &["EDNS"],
    },
    Row {
        section: "8.1.3.1, CD",
        arguments: "+noedns +noad +norec +cd soa zone.test",
        says: &["status: NOERROR", " aa", SOA],
        says_not: &["EDNS", " ra"],
    },
    Row {
        section: "8.1.3.2, AD",
        arguments: "+noedns +norec +ad soa zone.test",
        says: &["status: NOERROR", " aa", SOA],
        says_not: &["EDNS", " ad"],
    },
    Row {
        section: "8.1.3.3, the reserved bit",
        arguments: "+noedns +noad +norec +zflag soa zone.test",
        says: &["status: NOERROR", " aa", SOA],
        says_not: &["EDNS", "MBZ"],
    },
    Row {
        section: "8.1.3.4, RD",
        arguments: "+noedns +noad +rec soa zone.test",
        says: &["status: NOERROR", " aa rd;", SOA],
        says_not: &["EDNS", " ra"],
    },
    Row {
        section: "8.1.4, unknown opcodes",
        arguments: "+noedns +noad +opcode=15 +norec +header-only",
        says: &["opcode: RESERVED15, status: NOTIMP"],
        says_not: &["EDNS", SOA, " aa"],
    },
    Row {
        section: "8.1.5, TCP",
        arguments: "+noedns +noad +norec +tcp soa zone.test",
        says: &["status: NOERROR", " aa", SOA, "(TCP)"],
        says_not: &["EDNS"],
    },
    Row {
        section: "8.2.1, EDNS",
        arguments: "+nocookie +edns=0 +noad +norec soa zone.test",
        says: &["status: NOERROR", " aa", SOA, OPT],
        says_not: &["COOKIE"],
    },
    Row {
        section: "8.2.2, EDNS version 1",
        arguments: "+nocookie +edns=1 +noednsneg +noad +norec soa zone.test",
        says: &["status: BADVERS", OPT, "ANSWER: 0"],
        says_not: &[SOA, " aa"],
    },
    Row {
        section: "8.2.3, unknown EDNS options",
        arguments: "+nocookie +edns=0 +noad +norec +ednsopt=100 soa zone.test",
        says: &["status: NOERROR", " aa", SOA, OPT],
        says_not: &["OPT=100"],
    },
    Row {
        section: "8.2.4, unknown EDNS flags",
        arguments: "+nocookie +edns=0 +noad +norec +ednsflags=0x40 soa zone.test",
        says: &["status: NOERROR", " aa", SOA, OPT],
        says_not: &["MBZ"],
    },
    Row {
        section: "8.2.5, EDNS version 1 with unknown flags",
        arguments: "+nocookie +edns=1 +noednsneg +noad +norec +ednsflags=0x40 soa zone.test",
        says: &["status: BADVERS", OPT],
        says_not: &[SOA, "MBZ"],
    },
    Row {
        section: "8.2.6, EDNS version 1 with unknown options",
        arguments: "+nocookie +edns=1 +noednsneg +noad +norec +ednsopt=100 soa zone.test",
        says: &["status: BADVERS", OPT],
        says_not: &[SOA, "OPT=100"],
    },
    Row {
        section: "8.2.7, truncation",
        arguments: "+norec +dnssec +bufsize=512 +ignore txt fat.zone.test",
        says: &["status: NOERROR", OPT, " aa tc"],
        says_not: &["Message parser"],
    },
    Row {
        section: "8.2.8, DO",
        arguments: "+nocookie +edns=0 +noad +norec +dnssec soa zone.test",
        says: &["status: NOERROR", " aa", SOA, "EDNS: version: 0, flags: do"],
        says_not: &[],
    },
    Row {
        section: "8.2.9, EDNS version 1 with DO",
        arguments: "+nocookie +edns=1 +noednsneg +noad +norec +dnssec soa zone.test",
        says: &["status: BADVERS", OPT],
        says_not: &[SOA],
    },
    Row {
        section: "8.2.10, options with a meaning",
        arguments: "+edns=0 +noad +norec +cookie +nsid +expire +subnet=0.0.0.0/0 soa zone.test",
        says: &[
            "status: NOERROR",
            " aa",
            SOA,
            OPT,
            "CLIENT-SUBNET: 0.0.0.0/0/0",
        ],
        says_not: &[],
    },
    // Not of the RFC's list, but of its §3: what else is asked on the way and must be answered.
    Row {
        section: "3.1.2, unknown types at a name that is not there",
        arguments: "+noedns +noad +norec type1000 nothing.zone.test",
        says: &["status: NXDOMAIN", " aa;", "AUTHORITY: 1"],
        says_not: &[],
    },
    Row {
        section: "3.1.4, an opcode of long ago",
        arguments: "+noedns +noad +norec +opcode=status +header-only",
        says: &["opcode: STATUS, status: NOTIMP"],
        says_not: &[],
    },
    Row {
        section: "4, a zone of others",
        arguments: "+nocookie +noad +norec soa elsewhere.test",
        says: &["status: REFUSED", OPT],
        says_not: &[" aa", "SERVFAIL"],
    },
];

fn world() -> World {
    let mut text = String::from(
        "$ORIGIN zone.test.\n@ 7200 IN SOA ns1 hostmaster 1 7200 1800 259200 60\n@ 7200 IN NS ns1\nns1 60 IN A 127.0.0.1\n",
    );
    for i in 0..20 {
        text.push_str(&format!("fat 60 IN TXT \"{i} {i:060}\"\n"));
    }
    let apex = Name::plain("zone.test");
    World {
        zones: vec![Zone { apex, text }],
        names: Vec::new(),
    }
}

#[test]
fn rfc8906_8_the_whole_battery_is_answered() {
    if !crate::tool::is_here("dig", "-v") {
        return;
    }
    let rhumb = Running::start(Who::Rhumb, &world());
    let (at, port) = (
        format!("@{}", rhumb.address.ip()),
        rhumb.address.port().to_string(),
    );
    for row in ROWS {
        let run = Command::new("dig")
            .args(["-r", &at, "-p", &port, "+timeout=5", "+tries=2"])
            .args(row.arguments.split(' '))
            .stdin(Stdio::null())
            .output()
            .expect("dig runs");
        let said = String::from_utf8_lossy(&run.stdout);
        // `dig` shows its own query's words nowhere but in the first comment.
        let said = said
            .split_once(";; Got answer:")
            .map_or(&*said, |(_, said)| said);
        let about = || format!("{}: dig {}\n{said}", row.section, row.arguments);
        for text in row.says {
            assert!(said.contains(text), "it should say {text:?}: {}", about());
        }
        for text in row.says_not {
            assert!(
                !said.contains(text),
                "it should not say {text:?}: {}",
                about()
            );
        }
        // §8: whatever was asked, there is an answer to it and nothing else.
        for text in ["timed out", "Warning", "ID mismatch", "malformed"] {
            assert!(!said.contains(text), "{}", about());
        }
    }
}
