//! Static names: lookups, negative answers, wildcards, delegations, chains. Rows of question and answer.

mod common;

use common::{SOA, check, snapshot, world, zone};
use dns::Zones;

#[test]
fn rfc1034_answers_come_with_aa_and_nothing_else() {
    let world = world();
    for (question, expected) in [
        (
            "mail.example. A",
            &["NOERROR aa", "an mail.example. 120 A 192.0.2.25"][..],
        ),
        (
            "web.example. A",
            &[
                "NOERROR aa",
                "an web.example. 300 A 192.0.2.80",
                "an web.example. 300 A 192.0.2.81",
            ],
        ),
        (
            "example. MX",
            &["NOERROR aa", "an example. 300 MX 10 mail.example."],
        ),
        ("example. TXT", &["NOERROR aa", "an example. 300 TXT apex"]),
        (
            "raw.example. TYPE65280",
            &["NOERROR aa", "an raw.example. 300 TYPE65280 CgAAAQ=="],
        ),
        (
            "example. SOA",
            &[
                "NOERROR aa",
                "an example. 300 SOA ns1.example. hostmaster.example. 7 3600 600 86400 60",
            ],
        ),
        (
            "example. NS",
            &[
                "NOERROR aa",
                "an example. 300 NS ns1.example.",
                "an example. 300 NS ns2.elsewhere.test.",
            ],
        ),
    ] {
        check(&world, question, expected);
    }
}

#[test]
fn rfc2308_a_no_comes_with_the_soa_and_its_least_ttl() {
    let world = world();
    for (question, code) in [
        ("nothing.example. A", "NXDOMAIN aa"),
        ("very.deep.nothing.example. A", "NXDOMAIN aa"),
        ("mail.example. AAAA", "NOERROR aa"),
        ("mail.example. TYPE64999", "NOERROR aa"),
        ("x.mail.example. A", "NXDOMAIN aa"),
    ] {
        check(&world, question, &[code, SOA]);
    }
}

#[test]
fn rfc4592_wildcards_stand_for_names_that_do_not_exist() {
    let world = world();
    for (question, expected) in [
        (
            "x.wild.example. A",
            &["NOERROR aa", "an x.wild.example. 300 A 192.0.2.9"][..],
        ),
        (
            "x.y.wild.example. A",
            &["NOERROR aa", "an x.y.wild.example. 300 A 192.0.2.9"],
        ),
        (
            "*.wild.example. A",
            &["NOERROR aa", "an *.wild.example. 300 A 192.0.2.9"],
        ),
        // NODATA at the wildcard is NODATA, not NXDOMAIN.
        ("x.wild.example. TXT", &["NOERROR aa", SOA]),
        // An existing name is not stood for, nor is anything below it: it is the closest encloser.
        ("sub.wild.example. A", &["NOERROR aa", SOA]),
        ("x.sub.wild.example. A", &["NXDOMAIN aa", SOA]),
        // The wildcard is not its own parent.
        ("wild.example. A", &["NOERROR aa", SOA]),
        ("x.*.wild.example. A", &["NXDOMAIN aa", SOA]),
        (
            "any.alias.example. A",
            &[
                "NOERROR aa",
                "an any.alias.example. 300 CNAME web.example.",
                "an web.example. 300 A 192.0.2.80",
                "an web.example. 300 A 192.0.2.81",
            ],
        ),
    ] {
        check(&world, question, expected);
    }
}

#[test]
fn rfc4592_empty_non_terminals_exist() {
    let world = world();
    for question in [
        "ent.example. A",
        "b.ent.example. A",
        "child.b.ent.example. A",
    ] {
        let code = if question.starts_with("child") {
            "NXDOMAIN aa"
        } else {
            "NOERROR aa"
        };
        check(&world, question, &[code, SOA]);
    }
}

#[test]
fn rfc1034_delegations_refer_without_aa_and_with_glue() {
    let referral = [
        "NOERROR",
        "au child.example. 300 NS ns.child.example.",
        "au child.example. 300 NS ns1.example.",
        "au child.example. 300 NS ns.far.test.",
        "ad ns.child.example. 300 A 192.0.2.99",
        "ad ns1.example. 300 A 192.0.2.53",
        "ad ns1.example. 300 AAAA 2001:db8::53",
    ];
    let world = world();
    for question in [
        "child.example. A",
        "x.y.child.example. A",
        "deep.child.example. A",
        "child.example. NS",
    ] {
        check(&world, question, &referral);
    }
}

#[test]
fn rfc4035_ds_is_answered_by_the_parent() {
    let world = world();
    let lines = common::ask(&world, "child.example. DS", None);
    assert_eq!(lines[0], "NOERROR aa");
    assert!(
        lines[1].starts_with("an child.example. 300 DS"),
        "{lines:?}"
    );
    // Below the cut it is the child's again, and at an apex without a parent of ours it is NODATA.
    assert_eq!(
        common::ask(&world, "x.child.example. DS", None)[0],
        "NOERROR"
    );
    check(&world, "example. DS", &["NOERROR aa", SOA]);
}

#[test]
fn a_parent_and_its_child_may_both_be_ours() {
    let soa = "@ 300 SOA ns1 h 1 2 3 4 30\n@ 300 NS ns1\n";
    let parent = zone(
        "example",
        &format!("{soa}kid 300 NS ns.kid\nkid 300 DS 1 13 2 00\n"),
    );
    let orphan = zone("orphan.example", soa);
    let child = zone("kid.example", &format!("{soa}www 300 A 192.0.2.1\n"));
    let both = snapshot(Zones::build(vec![parent, child, orphan], Vec::new()).expect("zones"));
    check(
        &both,
        "www.kid.example. A",
        &["NOERROR aa", "an www.kid.example. 300 A 192.0.2.1"],
    );
    check(
        &both,
        "kid.example. NS",
        &["NOERROR aa", "an kid.example. 300 NS ns1.kid.example."],
    );
    let ds = common::ask(&both, "kid.example. DS", None);
    assert!(
        ds[1].starts_with("an kid.example. 300 DS"),
        "from the parent: {ds:?}"
    );
    let soa = "au orphan.example. 30 SOA ns1.orphan.example. h.orphan.example. 1 2 3 4 30";
    check(&both, "orphan.example. DS", &["NOERROR aa", soa]);
}

#[test]
fn rfc1034_cname_chains_are_followed_within_our_zones() {
    let world = world();
    for (question, expected) in [
        (
            "www.example. A",
            &[
                "NOERROR aa",
                "an www.example. 300 CNAME web.example.",
                "an web.example. 300 A 192.0.2.80",
                "an web.example. 300 A 192.0.2.81",
            ][..],
        ),
        (
            "www.example. CNAME",
            &["NOERROR aa", "an www.example. 300 CNAME web.example."],
        ),
        (
            "www.example. AAAA",
            &["NOERROR aa", "an www.example. 300 CNAME web.example.", SOA],
        ),
        (
            "out.example. A",
            &[
                "NOERROR aa",
                "an out.example. 300 CNAME www.elsewhere.test.",
            ],
        ),
        // RFC 6604: the code is that of the last name.
        (
            "dead.example. A",
            &[
                "NXDOMAIN aa",
                "an dead.example. 300 CNAME nothing.example.",
                SOA,
            ],
        ),
        (
            "to.second.test. MX",
            &[
                "NOERROR aa",
                "an to.second.test. 300 CNAME www.example.",
                "an www.example. 300 CNAME web.example.",
                SOA,
            ],
        ),
    ] {
        check(&world, question, expected);
    }
}

#[test]
fn rfc1034_4_3_2_an_alias_into_a_delegation_ends_with_a_referral() {
    let text = "@ 300 SOA ns1 h 1 2 3 4 30\n@ 300 NS ns1\nto 300 CNAME www.kid\n\
                kid 300 NS ns.kid\nns.kid 300 A 192.0.2.9\n";
    let world = snapshot(Zones::build(vec![zone("example", text)], Vec::new()).expect("zones"));
    let expected = [
        "NOERROR aa",
        "an to.example. 300 CNAME www.kid.example.",
        "au kid.example. 300 NS ns.kid.example.",
        "ad ns.kid.example. 300 A 192.0.2.9",
    ];
    check(&world, "to.example. A", &expected);
}

#[test]
fn a_chain_ends_after_eight_links_and_a_circle_after_one_round() {
    let mut text = String::from(
        "@ 300 SOA ns1 h 1 2 3 4 30\n@ 300 NS ns1\nround 300 CNAME x.wild\n*.wild 300 CNAME round\n\
         tick 300 CNAME tock\ntock 300 CNAME tick\n",
    );
    for i in 0..20 {
        text.push_str(&format!("c{i} 300 CNAME c{}\n", i + 1));
    }
    let world = snapshot(Zones::build(vec![zone("example", &text)], Vec::new()).expect("zones"));
    let long = common::ask(&world, "c0.example. A", None);
    assert_eq!(long.len(), 1 + dns::MAX_CHAIN + 1, "{long:?}");
    let round = common::ask(&world, "round.example. A", None);
    assert_eq!(
        round,
        [
            "NOERROR aa",
            "an round.example. 300 CNAME x.wild.example.",
            "an x.wild.example. 300 CNAME round.example."
        ]
    );
    // A zone whose names lead to each other is a warning: other servers load it, and so must their secondary.
    let within = common::ask(&world, "tick.example. A", None);
    assert_eq!(within.len(), 3, "{within:?}");
}

#[test]
fn rfc8482_any_is_answered_with_hinfo() {
    let world = world();
    for (question, expected) in [
        (
            "example. ANY",
            &["NOERROR aa", "an example. 3600 HINFO RFC8482 "][..],
        ),
        (
            "geo.example. ANY",
            &["NOERROR aa", "an geo.example. 3600 HINFO RFC8482 "],
        ),
        (
            "x.wild.example. ANY",
            &["NOERROR aa", "an x.wild.example. 3600 HINFO RFC8482 "],
        ),
        (
            "www.example. ANY",
            &["NOERROR aa", "an www.example. 300 CNAME web.example."],
        ),
        ("ent.example. ANY", &["NOERROR aa", SOA]),
        ("nothing.example. ANY", &["NXDOMAIN aa", SOA]),
    ] {
        check(&world, question, expected);
    }
}

#[test]
fn outside_our_zones_is_refused() {
    let world = world();
    for question in [
        ". NS",
        "com. A",
        "notexample. A",
        "xexample. A",
        "test. SOA",
    ] {
        check(&world, question, &["REFUSED"]);
        assert_eq!(
            common::ask(&world, question, Some(&[])),
            ["REFUSED", "ede 20"],
            "{question}"
        );
    }
    let empty = snapshot(Zones::default());
    check(&empty, "example. A", &["REFUSED"]);
}
