//! RFC 6672, DNAME: what is below a name is found below another.

use crate::common::{check, snapshot, zone};
use crate::{Setting, served};
use dns::Zones;
use steering::Snapshot;

const APEX: &str = "@ 300 SOA ns.test. h.test. 1 2 3 4 300\n@ 300 NS ns.test.\n";

fn redirected() -> Snapshot {
    let from = format!("{APEX}@ 600 DNAME example.net.\n@ 300 A 192.0.2.1\n");
    let to = format!("{APEX}foo 300 A 192.0.2.2\na.b 300 TXT there\nc 300 CNAME foo\n");
    let zones = vec![zone("example.com", &from), zone("example.net", &to)];
    snapshot(Zones::build(zones, Vec::new()).expect("zones"))
}

#[test]
fn rfc6672_2_2_the_last_labels_are_replaced() {
    let world = redirected();
    for (question, expected) in [
        (
            "foo.example.com. A",
            &[
                "NOERROR aa",
                "an example.com. 600 DNAME example.net.",
                "an foo.example.com. 600 CNAME foo.example.net.",
                "an foo.example.net. 300 A 192.0.2.2",
            ][..],
        ),
        (
            "a.b.example.com. TXT",
            &[
                "NOERROR aa",
                "an example.com. 600 DNAME example.net.",
                "an a.b.example.com. 600 CNAME a.b.example.net.",
                "an a.b.example.net. 300 TXT there",
            ],
        ),
        (
            "c.example.com. A",
            &[
                "NOERROR aa",
                "an example.com. 600 DNAME example.net.",
                "an c.example.com. 600 CNAME c.example.net.",
                "an c.example.net. 300 CNAME foo.example.net.",
                "an foo.example.net. 300 A 192.0.2.2",
            ],
        ),
    ] {
        check(&world, question, expected);
    }
}

#[test]
fn rfc6672_2_3_the_owner_itself_is_not_redirected() {
    let world = redirected();
    check(
        &world,
        "example.com. A",
        &["NOERROR aa", "an example.com. 300 A 192.0.2.1"],
    );
    check(
        &world,
        "example.com. DNAME",
        &["NOERROR aa", "an example.com. 600 DNAME example.net."],
    );
    check(
        &world,
        "example.com. TXT",
        &[
            "NOERROR aa",
            "au example.com. 300 SOA ns.test. h.test. 1 2 3 4 300",
        ],
    );
}

#[test]
fn rfc6672_2_2_the_examples_of_table_1() {
    // Owner and target within one zone; `None` where the DNAME does not match.
    for (qname, owner, target, result) in [
        ("com.", "example.com.", "example.net.", None),
        ("example.com.", "example.com.", "example.net.", None),
        (
            "a.example.com.",
            "example.com.",
            "example.net.",
            Some("a.example.net."),
        ),
        (
            "a.b.example.com.",
            "example.com.",
            "example.net.",
            Some("a.b.example.net."),
        ),
        ("ab.example.com.", "b.example.com.", "example.net.", None),
        (
            "foo.example.com.",
            "example.com.",
            "example.net.",
            Some("foo.example.net."),
        ),
        (
            "a.x.example.com.",
            "x.example.com.",
            "example.net.",
            Some("a.example.net."),
        ),
        (
            "a.example.com.",
            "example.com.",
            "y.example.net.",
            Some("a.y.example.net."),
        ),
        (
            "cyc.example.com.",
            "example.com.",
            "example.com.",
            Some("cyc.example.com."),
        ),
        (
            "cyc.example.com.",
            "example.com.",
            "c.example.com.",
            Some("cyc.c.example.com."),
        ),
        ("shortloop.x.x.", "x.", ".", Some("shortloop.x.")),
        ("shortloop.x.", "x.", ".", Some("shortloop.")),
    ] {
        let world = served(".", &format!("{APEX}{owner} 600 DNAME {target}\n"));
        let lines = Setting::over(dns::Transport::Tcp).ask(&world, &format!("{qname} A"), None);
        let made = lines
            .iter()
            .find_map(|line| line.strip_prefix(&format!("an {qname} 600 CNAME ")));
        assert_eq!(made, result, "{qname} by {owner} to {target}: {lines:?}");
    }
}

#[test]
fn rfc6672_2_2_a_name_that_gets_too_long_is_yxdomain() {
    let long = "a".repeat(60);
    let target = format!("{long}.{long}.{long}.test.");
    let world = served("example", &format!("{APEX}d 600 DNAME {target}\n"));
    let tcp = Setting::over(dns::Transport::Tcp);
    let fits = tcp.ask(&world, &format!("{}.d.example. A", "b".repeat(63)), None);
    assert_eq!(fits[0], "NOERROR aa", "{fits:?}");
    let question = format!("xx.{}.d.example. A", "b".repeat(63));
    let lines = tcp.ask(&world, &question, Some(&[]));
    assert_eq!(
        lines,
        [
            "YXDOMAIN aa".to_owned(),
            format!("an d.example. 600 DNAME {target}"),
            "ede 0 the name that DNAME makes is too long".to_owned()
        ]
    );
}

#[test]
fn rfc6672_3_1_a_question_for_cname_is_answered_with_the_one_that_is_made() {
    for (rtype, name) in [("CNAME", "c.example.com."), ("ANY", "foo.example.com.")] {
        check(
            &redirected(),
            &format!("{name} {rtype}"),
            &[
                "NOERROR aa",
                "an example.com. 600 DNAME example.net.",
                &format!("an {name} 600 CNAME {}net.", name.trim_end_matches("com.")),
            ],
        );
    }
}

#[test]
fn rfc6672_3_2_a_chain_of_dnames_ends() {
    let world = served(
        "example",
        &format!("{APEX}a 600 DNAME b\nb 600 DNAME a\ngrow 600 DNAME x.grow\n"),
    );
    let tcp = Setting::over(dns::Transport::Tcp);
    let round = tcp.ask(&world, "x.a.example. A", None);
    assert_eq!(round[0], "NOERROR aa");
    assert_eq!(round.len(), 1 + 4, "once round: {round:?}");
    let growing = tcp.ask(&world, "y.grow.example. A", None);
    assert!(growing.len() <= 1 + 2 * (dns::MAX_CHAIN + 1), "{growing:?}");
}

#[test]
fn rfc6672_3_2_a_dname_is_stronger_than_a_wildcard_above_it() {
    let world = served(
        "example",
        &format!("{APEX}*.example. 300 TXT wild\nd 600 DNAME e.test.\n"),
    );
    check(
        &world,
        "x.d.example. TXT",
        &[
            "NOERROR aa",
            "an d.example. 600 DNAME e.test.",
            "an x.d.example. 600 CNAME x.e.test.",
        ],
    );
}
