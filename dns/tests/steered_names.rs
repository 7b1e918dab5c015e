//! Steered names: which records a decision becomes, for whom, and how far they hold.

mod common;

use common::{DE, SG, SOA, US, ask, ask_from, check, option, subnet, with_down, world};

#[test]
fn a_aaaa_and_https_of_one_client_name_one_region() {
    let world = world();
    for (client, v4, v6) in [
        (US, "10.1.0.1", Some("2001:db8:1::1")),
        (DE, "10.2.0.1", Some("2001:db8:2::1")),
        ("2001:db8:de::1", "10.2.0.1", Some("2001:db8:2::1")),
        ("::ffff:192.0.2.9", "10.2.0.1", Some("2001:db8:2::1")),
        (SG, "10.3.0.1", None),
    ] {
        let a = ask_from(&world, client, "geo.example. A", None);
        assert_eq!(
            a,
            ["NOERROR aa", &format!("an geo.example. 60 A {v4}")],
            "{client}"
        );
        let aaaa = ask_from(&world, client, "geo.example. AAAA", None);
        let https = ask_from(&world, client, "geo.example. HTTPS", None);
        assert!(
            https[1].contains(&format!("ipv4hint={v4}")),
            "{client}: {https:?}"
        );
        assert!(https[1].contains("alpn=h2,http/1.1"), "{client}: {https:?}");
        match v6 {
            Some(v6) => {
                assert_eq!(
                    aaaa,
                    ["NOERROR aa", &format!("an geo.example. 60 AAAA {v6}")],
                    "{client}"
                );
                assert!(
                    https[1].contains(&format!("ipv6hint={v6}")),
                    "{client}: {https:?}"
                );
            }
            // The region has no IPv6: NODATA, never another region's address.
            None => assert_eq!(aaaa, ["NOERROR aa", SOA], "{client}"),
        }
    }
}

#[test]
fn a_steered_name_may_be_an_apex_a_wildcard_or_behind_a_cname() {
    let world = world();
    for (question, expected) in [
        (
            "second.test. A",
            &["NOERROR aa", "an second.test. 60 A 10.1.0.1"][..],
        ),
        (
            "second.test. TXT",
            &["NOERROR aa", "an second.test. 3600 TXT apex"],
        ),
        (
            "x.star.example. A",
            &["NOERROR aa", "an x.star.example. 60 A 10.1.0.1"],
        ),
        ("star.example. A", &["NOERROR aa", SOA]),
        (
            "chain.example. A",
            &[
                "NOERROR aa",
                "an chain.example. 300 CNAME geo.example.",
                "an geo.example. 60 A 10.1.0.1",
            ],
        ),
        (
            "geo.example. TXT",
            &["NOERROR aa", "an geo.example. 300 TXT beside"],
        ),
        ("geo.example. MX", &["NOERROR aa", SOA]),
        ("x.geo.example. A", &["NXDOMAIN aa", SOA]),
        // No alpn, no HTTPS record.
        ("many.example. HTTPS", &["NOERROR aa", SOA]),
    ] {
        check(&world, question, expected);
    }
}

#[test]
fn a_host_name_is_published_as_cname_for_every_type() {
    let world = world();
    let cname = "an named.example. 60 CNAME web.example.";
    for (question, rest) in [
        (
            "named.example. A",
            &[
                "an web.example. 300 A 192.0.2.80",
                "an web.example. 300 A 192.0.2.81",
            ][..],
        ),
        ("named.example. AAAA", &[SOA]),
        ("named.example. MX", &[SOA]),
        ("named.example. CNAME", &[]),
        ("named.example. ANY", &[]),
    ] {
        let expected: Vec<&str> = ["NOERROR aa", cname]
            .into_iter()
            .chain(rest.iter().copied())
            .collect();
        check(&world, question, &expected);
    }
}

#[test]
fn at_most_eight_addresses_are_answered() {
    let lines = ask(&world(), "many.example. A", None);
    let mut addresses: Vec<&str> = lines
        .iter()
        .skip(1)
        .filter_map(|l| l.rsplit(' ').next())
        .collect();
    assert_eq!(addresses.len(), dns::MAX_ADDRESSES, "{lines:?}");
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), dns::MAX_ADDRESSES, "no address twice");
}

#[test]
fn a_refusal_is_nodata_with_soa_and_extended_error() {
    // Everything in the EU is down: who is pinned there gets nothing, others are not concerned.
    let down = with_down(&[1]);
    let soa = "au example. 10 SOA ns1.example. hostmaster.example. 7 3600 600 86400 60";
    for question in ["pinned.example. A", "pinned.example. AAAA"] {
        let refused = ask_from(&down, DE, question, Some(&[]));
        assert_eq!(refused, ["NOERROR aa", soa, "ede 18 residency_exhausted"]);
        assert_eq!(
            ask_from(&down, DE, question, None),
            ["NOERROR aa", soa],
            "no EDNS, no extended error"
        );
        let other = ask_from(&down, US, question, None);
        assert!(other[1].starts_with("an "), "{other:?}");
    }
    let all = with_down(&[0, 1, 2]);
    assert_eq!(
        ask(&all, "refusing.example. A", Some(&[])),
        ["NOERROR aa", soa, "ede 0 policy_exhausted"]
    );
    assert_eq!(
        ask(&world(), "nowhere.example. A", Some(&[])),
        ["NOERROR aa", soa, "ede 0 no_match"]
    );
    // Failing open is an answer.
    assert_eq!(
        ask(&all, "geo.example. A", Some(&[])),
        ["NOERROR aa", "an geo.example. 10 A 10.1.0.1"]
    );
}

#[test]
fn rfc7871_the_scope_is_as_wide_as_the_answer_is_true() {
    let world = world();
    for (question, ecs, answer, echoed) in [
        // Germany is a /24 of its own; asked for /32, the answer still holds for the /24.
        (
            "geo.example. A",
            "192.0.2.0/24",
            "10.2.0.1",
            "192.0.2.0/24/24",
        ),
        (
            "geo.example. A",
            "192.0.2.77/32",
            "10.2.0.1",
            "192.0.2.77/32/24",
        ),
        // A short source is completed with zeros; the scope says that more bits would matter.
        (
            "geo.example. A",
            "192.0.0.0/16",
            "10.1.0.1",
            "192.0.0.0/16/23",
        ),
        ("geo.example. A", "8.0.0.0/8", "10.1.0.1", "8.0.0.0/8/1"),
        // The option's family is kept, whatever the resolver's own.
        (
            "geo.example. A",
            "2001:db8:de::/48",
            "10.2.0.1",
            "2001:db8:de::/48/48",
        ),
        // The location is not consulted.
        (
            "many.example. A",
            "192.0.2.0/24",
            "10.4.0.",
            "192.0.2.0/24/0",
        ),
        (
            "mail.example. A",
            "192.0.2.0/24",
            "192.0.2.25",
            "192.0.2.0/24/0",
        ),
        // Nothing is told: the resolver's own address decides, and that is not what the scope is about.
        ("geo.example. A", "0.0.0.0/0", "10.1.0.1", "0.0.0.0/0/0"),
        // Through a CNAME the scope is the last decision's.
        (
            "chain.example. A",
            "192.0.2.0/24",
            "10.2.0.1",
            "192.0.2.0/24/24",
        ),
    ] {
        let lines = ask(&world, question, Some(&subnet(ecs)));
        let records: Vec<&String> = lines
            .iter()
            .filter(|l| l.starts_with("an ") && l.contains(" A "))
            .collect();
        assert!(
            records.iter().any(|r| r.contains(answer)),
            "{question} {ecs}: {lines:?}"
        );
        assert_eq!(
            lines.last(),
            Some(&format!("ecs {echoed}")),
            "{question} {ecs}"
        );
    }
}

#[test]
fn rfc7871_negative_answers_hold_for_all_unless_they_were_decided() {
    let world = world();
    let german = subnet("192.0.2.0/24");
    for question in [
        "nothing.example. A",
        "mail.example. AAAA",
        "geo.example. MX",
        "com. A",
    ] {
        let lines = ask(&world, question, Some(&german));
        assert!(
            lines.contains(&"ecs 192.0.2.0/24/0".to_owned()),
            "{question}: {lines:?}"
        );
    }
    // A refusal is about this network: with scope 0 a resolver would keep it for everyone.
    let refused = ask(&with_down(&[1]), "pinned.example. A", Some(&german));
    assert_eq!(
        refused[2..],
        ["ecs 192.0.2.0/24/24", "ede 18 residency_exhausted"],
        "{refused:?}"
    );
}

#[test]
fn rfc7871_the_option_is_only_echoed_when_sent_and_never_when_switched_off() {
    let world = world();
    assert_eq!(
        ask(&world, "geo.example. A", Some(&[])).len(),
        2,
        "not sent, not echoed"
    );
    let rules = dns::Rules {
        client_subnet: false,
        ..dns::Rules::default()
    };
    for options in [subnet("192.0.2.0/24"), option(8, &[9, 9, 9])] {
        let packet = common::packet("geo.example. A", Some(&options));
        let response = dns::respond(
            &world,
            &packet,
            common::ip(US),
            dns::Transport::Udp,
            &rules,
            7,
        );
        let lines = common::show(&response.expect("a response"));
        assert_eq!(
            lines,
            ["NOERROR aa", "an geo.example. 60 A 10.1.0.1"],
            "as unknown as any option"
        );
    }
}

#[test]
fn rfc7871_the_resolver_address_counts_when_nothing_is_told() {
    let world = world();
    for ecs in [subnet("0.0.0.0/0"), subnet("::/0"), Vec::new()] {
        let lines = ask_from(&world, DE, "geo.example. A", Some(&ecs));
        assert_eq!(lines[1], "an geo.example. 60 A 10.2.0.1", "{lines:?}");
    }
    // dig +subnet=0 sends family 0, which the other implementation cannot read back.
    let none = option(8, &[0, 0, 0, 0]);
    let packet = common::packet("geo.example. A", Some(&none));
    let rules = dns::Rules::default();
    let udp = dns::Transport::Udp;
    let response =
        dns::respond(&world, &packet, common::ip(DE), udp, &rules, 7).expect("a response");
    assert!(response.ends_with(&none), "echoed as it came, scope 0");
    assert!(response.windows(4).any(|octets| octets == [10, 2, 0, 1]));
}
