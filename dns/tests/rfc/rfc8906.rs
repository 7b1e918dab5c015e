//! RFC 8906, A common operational problem: failure to communicate. The battery of its §8, query by query.

use crate::common::{opt, option, packet, show, world};
use crate::{Setting, changed, with_opt};
use dns::{Cookies, Identity, Rules, Secret, Transport};

const SOA: &str = "an example. 300 SOA ns1.example. hostmaster.example. 7 3600 600 86400 60";
/// Flags of the fourth octet of a header.
const AD: u8 = 0x20;
const CD: u8 = 0x10;
const Z: u8 = 0x40;

/// A server with every option on, as operators run it.
fn server() -> Setting {
    Setting {
        rules: Rules {
            cookies: Some(Cookies::new(Secret::new([5; 16]))),
            nsid: Some(Identity::parse("fra1").expect("an identity")),
            ..Rules::default()
        },
        ..Setting::default()
    }
}

fn ask(packet: &[u8]) -> Vec<u8> {
    server().send(&world(), packet)
}

fn soa(changes: &[(usize, u8)]) -> Vec<u8> {
    ask(&changed(packet("example. SOA", None), changes))
}

#[test]
fn rfc8906_8_1_1_the_zone_is_served() {
    let response = soa(&[]);
    assert_eq!(show(&response), ["NOERROR aa", SOA]);
    assert_eq!(response[3], 0, "no RA, no AD");
}

#[test]
fn rfc8906_8_1_2_an_unknown_type_is_nodata() {
    let lines = show(&ask(&packet("example. TYPE1000", None)));
    assert_eq!(lines, ["NOERROR aa", crate::common::SOA]);
}

#[test]
fn rfc8906_8_1_3_header_bits() {
    for (why, bits, head) in [
        ("8.1.3.1 CD=1 is copied", CD, "NOERROR aa cd"),
        ("8.1.3.2 AD=1: nothing was validated", AD, "NOERROR aa"),
        ("8.1.3.3 the reserved bit is not", Z, "NOERROR aa"),
        ("all", AD | CD | Z, "NOERROR aa cd"),
    ] {
        let response = soa(&[(3, bits)]);
        assert_eq!(show(&response), [head, SOA], "{why}");
        assert_eq!(response[3] & Z, 0, "{why}");
    }
    let lines = show(&soa(&[(2, 1)]));
    assert_eq!(lines, ["NOERROR aa rd", SOA], "8.1.3.4 RD=1 is copied");
}

#[test]
fn rfc8906_8_1_4_unknown_opcodes_are_notimp() {
    for opcode in [1, 2, 3, 5, 6, 7, 15_u8] {
        for asked in [
            packet("example. SOA", None),
            packet("example. SOA", Some(&[])),
            // 8.1.4: as `dig +header-only` sends it.
            packet("example. SOA", None)[..12].to_vec(),
        ] {
            let response = ask(&changed(asked, &[(2, opcode << 3)]));
            assert_eq!(
                response[..4],
                [0x12, 0x34, 0x80 | opcode << 3, 4],
                "{opcode}"
            );
            assert_eq!(response[4..], [0; 8], "a header and nothing else");
        }
    }
}

#[test]
fn rfc8906_8_1_5_tcp() {
    let tcp = Setting {
        rules: server().rules,
        ..Setting::over(Transport::Tcp)
    };
    assert_eq!(tcp.ask(&world(), "example. SOA", None), ["NOERROR aa", SOA]);
}

#[test]
fn rfc8906_8_2_1_minimal_edns() {
    let response = ask(&with_opt("example. SOA", &opt(4096, [0; 4], &[])));
    assert_eq!(show(&response), ["NOERROR aa", SOA]);
    assert!(response.ends_with(&opt(1232, [0; 4], &[])), "version 0");
}

#[test]
fn rfc8906_8_2_2_to_8_2_6_version_negotiation() {
    for (why, ttl, options, expected) in [
        ("8.2.2 version 1", [0, 1, 0, 0], Vec::new(), [1, 0, 0, 0]),
        (
            "8.2.5 with an unknown flag",
            [0, 1, 0, 0x40],
            Vec::new(),
            [1, 0, 0, 0],
        ),
        (
            "8.2.6 with an unknown option",
            [0, 1, 0, 0],
            option(100, &[]),
            [1, 0, 0, 0],
        ),
        (
            "8.2.9 with DO",
            [0, 1, 0x80, 0],
            Vec::new(),
            [1, 0, 0x80, 0],
        ),
        (
            "version 255",
            [0, 255, 0, 0],
            option(10, &[1; 8]),
            [1, 0, 0, 0],
        ),
    ] {
        let response = ask(&with_opt("example. SOA", &opt(4096, ttl, &options)));
        assert_eq!(show(&response), ["BADVERS"], "{why}: and no SOA");
        assert!(response.ends_with(&opt(1232, expected, &[])), "{why}");
    }
}

#[test]
fn rfc8906_8_2_3_unknown_options_are_ignored_and_not_returned() {
    for code in [100, 4, 13, 14, 16, 17, 18, 65_001] {
        let response = ask(&with_opt(
            "example. SOA",
            &opt(4096, [0; 4], &option(code, &[])),
        ));
        assert_eq!(show(&response), ["NOERROR aa", SOA]);
        assert!(response.ends_with(&opt(1232, [0; 4], &[])), "{code}");
    }
}

#[test]
fn rfc8906_8_2_4_unknown_flags_are_clear_in_the_response() {
    let response = ask(&with_opt("example. SOA", &opt(4096, [0, 0, 0, 0x40], &[])));
    assert_eq!(show(&response), ["NOERROR aa", SOA]);
    assert!(response.ends_with(&opt(1232, [0; 4], &[])));
}

#[test]
fn rfc8906_8_2_7_a_truncated_response_has_its_opt() {
    let texts: String = (0..6)
        .map(|i| format!("@ 300 TXT \"{i}{}\"\n", "x".repeat(200)))
        .collect();
    let text = format!("@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns\nns 300 A 192.0.2.1\n{texts}");
    let world = crate::served("big.test", &text);
    let asked = with_opt("big.test. TXT", &opt(512, [0, 0, 0x80, 0], &[]));
    let response = server().send(&world, &asked);
    assert_eq!(show(&response), ["NOERROR aa tc"]);
    assert!(response.ends_with(&opt(1232, [0, 0, 0x80, 0], &[])));
    assert!(response.len() <= 512);
}

#[test]
fn rfc8906_8_2_8_do_is_copied() {
    let response = ask(&with_opt("example. SOA", &opt(4096, [0, 0, 0x80, 0], &[])));
    assert_eq!(show(&response), ["NOERROR aa", SOA]);
    assert!(response.ends_with(&opt(1232, [0, 0, 0x80, 0], &[])));
}

#[test]
fn rfc8906_8_2_10_several_defined_options_at_once() {
    let options = [
        option(3, &[]),
        option(8, &[0, 1, 0, 0]),
        option(9, &[]),
        option(10, &[3; 8]),
    ]
    .concat();
    let lines = show(&ask(&packet("example. SOA", Some(&options))));
    assert_eq!(lines[..2], ["NOERROR aa", SOA]);
    for begins in [
        "ecs 0.0.0.0/0/0",
        "cookie 0303030303030303",
        "nsid fra1",
        "expire 86400",
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(begins)),
            "{begins}: {lines:?}"
        );
    }
}

#[test]
fn rfc8906_3_2_everything_but_a_response_gets_a_response() {
    for octets in [
        packet("example. SOA", None)[..12].to_vec(),
        packet("example. SOA", None)[..15].to_vec(),
        [&packet("example. SOA", None)[..], &[1, 2, 3]].concat(),
        changed(packet("example. SOA", None), &[(5, 9)]),
        changed(packet("example. SOA", None), &[(7, 255)]),
    ] {
        let response = ask(&octets);
        assert_eq!(
            (&response[..2], response[3] & 15),
            (&octets[..2], 1),
            "FORMERR"
        );
    }
}
