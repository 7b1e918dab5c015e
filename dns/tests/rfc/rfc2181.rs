//! RFC 2181, Clarifications to the DNS: sets and truncation.

use crate::common::{opt, packet, show};
use crate::{Setting, served, with_opt};
use dns::{Rules, Transport};

fn big() -> steering::Snapshot {
    let texts: String = (0..6)
        .map(|i| format!("big 300 TXT \"{i}{}\"\n", "x".repeat(200)))
        .collect();
    served(
        "big.test",
        &format!("@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns\nns 300 A 192.0.2.1\n{texts}"),
    )
}

#[test]
fn rfc2181_9_what_does_not_fit_is_cut_to_its_question() {
    let world = big();
    for (payload, limit) in [
        (None, 512),
        (Some(0), 512),
        (Some(511), 512),
        (Some(1232), 1232),
        (Some(65535), 1232),
    ] {
        let asked = match payload {
            Some(payload) => with_opt("big.big.test. TXT", &opt(payload, [0; 4], &[])),
            None => packet("big.big.test. TXT", None),
        };
        let response = Setting::default().send(&world, &asked);
        assert!(response.len() <= limit, "{payload:?}: {}", response.len());
        assert_eq!(
            show(&response),
            ["NOERROR aa tc"],
            "{payload:?}: no half of a set"
        );
        assert_eq!(response[11], u8::from(payload.is_some()), "the OPT stays");
    }
}

#[test]
fn rfc2181_9_a_stream_takes_all_of_it() {
    for transport in [
        Transport::Tcp,
        Transport::Tls,
        Transport::Https,
        Transport::Quic,
    ] {
        let lines = Setting::over(transport).ask(&big(), "big.big.test. TXT", None);
        assert_eq!(lines.len(), 1 + 6, "{transport:?}");
    }
}

#[test]
fn rfc2181_9_an_answer_is_as_large_as_both_sides_allow() {
    let setting = Setting {
        rules: Rules {
            payload: 4096,
            ..Rules::default()
        },
        ..Setting::default()
    };
    let lines = show(&setting.send(
        &big(),
        &with_opt("big.big.test. TXT", &opt(4096, [0; 4], &[])),
    ));
    assert_eq!(lines.len(), 1 + 6);
}

#[test]
fn rfc2181_5_2_a_set_has_one_ttl() {
    let world = served(
        "example",
        "@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns\nns 300 A 192.0.2.1\na 300 A 192.0.2.1\na 300 A 192.0.2.2\n",
    );
    let lines = Setting::default().ask(&world, "a.example. A", None);
    assert_eq!(
        lines,
        [
            "NOERROR aa",
            "an a.example. 300 A 192.0.2.1",
            "an a.example. 300 A 192.0.2.2"
        ]
    );
}
