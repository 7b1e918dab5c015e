//! RFC 7871, Client subnet.

use crate::Setting;
use crate::common::{option, packet, show, subnet, world};
use dns::{Rules, Transport};

fn ask(question: &str, options: &[u8]) -> Vec<String> {
    Setting::over(Transport::Tcp).ask(&world(), question, Some(options))
}

#[test]
fn rfc7871_6_malformed_options_are_formerr() {
    for (why, data) in [
        ("empty", &[][..]),
        ("too short for a header", &[0, 1, 24]),
        ("too few octets", &[0, 1, 24, 0, 192, 0]),
        ("too many octets", &[0, 1, 24, 0, 192, 0, 2, 0]),
        ("bits beyond the prefix", &[0, 1, 20, 0, 192, 0, 0xff]),
        ("bits of a prefix of 0", &[0, 1, 0, 0, 0]),
        ("a prefix longer than IPv4", &[0, 1, 33, 0, 192, 0, 2, 1, 0]),
        (
            "a prefix longer than IPv6",
            &[
                0, 2, 129, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ],
        ),
        (
            "an IPv6 prefix with IPv4's octets",
            &[0, 2, 128, 0, 192, 0, 2, 1],
        ),
        ("a scope in a query", &[0, 1, 24, 8, 192, 0, 2]),
        ("an unknown family", &[0, 3, 24, 0, 192, 0, 2]),
        ("no family, but a prefix", &[0, 0, 8, 0, 192]),
    ] {
        assert_eq!(
            ask("geo.example. A", &option(8, data)),
            ["FORMERR", "ede 0 malformed client subnet option"],
            "{why}"
        );
    }
}

#[test]
fn rfc7871_6_two_options_leave_open_which_was_answered() {
    let two = [subnet("192.0.2.0/24"), subnet("8.8.8.0/24")].concat();
    assert_eq!(
        ask("geo.example. A", &two),
        ["FORMERR", "ede 0 malformed client subnet option"]
    );
}

#[test]
fn rfc7871_7_2_1_family_source_and_address_come_back_as_they_were() {
    for data in [
        &[0, 1, 24, 0, 192, 0, 2][..],
        &[0, 1, 32, 0, 8, 8, 8, 8],
        &[0, 1, 17, 0, 203, 0, 0],
        &[0, 1, 1, 0, 0x80],
        &[0, 2, 48, 0, 0x20, 1, 0xd, 0xb8, 0, 0xde],
        &[0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 0, 0xde, 0],
        &[0, 1, 0, 0],
        &[0, 2, 0, 0],
    ] {
        for question in [
            "geo.example. A",
            "mail.example. A",
            "nothing.example. A",
            "www.test. A",
        ] {
            let asked = packet(question, Some(&option(8, data)));
            let response = Setting::over(Transport::Tcp).send(&world(), &asked);
            let at = (0..response.len() - data.len())
                .find(|at| {
                    response[*at..].starts_with(&[0, 8, 0, data.len() as u8])
                        && response[at + 4..at + 7] == data[..3]
                })
                .unwrap_or_else(|| panic!("{question} with {data:?}: {:?}", show(&response)));
            assert_eq!(
                response[at + 8..at + 4 + data.len()],
                data[4..],
                "{question}"
            );
        }
    }
}

#[test]
fn rfc7871_7_2_1_scope_0_where_the_address_was_not_consulted() {
    for question in [
        "mail.example. A",
        "nothing.example. A",
        "child.example. A",
        "www.test. A",
    ] {
        let lines = ask(question, &subnet("192.0.2.0/24"));
        assert!(
            lines.contains(&"ecs 192.0.2.0/24/0".to_owned()),
            "{question}: {lines:?}"
        );
    }
}

#[test]
fn rfc7871_7_2_1_the_scope_tells_how_far_the_answer_holds() {
    let lines = ask("geo.example. A", &subnet("192.0.2.0/24"));
    assert_eq!(
        lines,
        [
            "NOERROR aa",
            "an geo.example. 60 A 10.2.0.1",
            "ecs 192.0.2.0/24/24"
        ]
    );
    let lines = ask("geo.example. A", &subnet("192.0.2.128/32"));
    assert_eq!(lines[2], "ecs 192.0.2.128/32/24", "not narrower than true");
}

#[test]
fn rfc7871_7_1_1_a_source_prefix_of_0_says_nothing_of_the_client() {
    // The answer is the one for who sent it, and holds for everyone who says as little.
    let lines = ask("geo.example. A", &option(8, &[0, 1, 0, 0]));
    assert_eq!(
        lines,
        [
            "NOERROR aa",
            "an geo.example. 60 A 10.1.0.1",
            "ecs 0.0.0.0/0/0"
        ]
    );
}

#[test]
fn rfc7871_7_1_2_without_the_feature_the_option_is_unknown() {
    let setting = Setting {
        rules: Rules {
            client_subnet: false,
            ..Rules::default()
        },
        ..Setting::default()
    };
    for data in [subnet("192.0.2.0/24"), option(8, &[9])] {
        let lines = setting.ask(&world(), "geo.example. A", Some(&data));
        assert_eq!(lines, ["NOERROR aa", "an geo.example. 60 A 10.1.0.1"]);
    }
}
