//! RFC 7873, DNS cookies, as RFC 9018 makes them. Their octets are held to RFC 9018's appendix beside the code.

use crate::common::{ip, option, packet, show, world};
use crate::{Setting, changed};
use dns::{Cookies, Rules, Secret, Transport};

const CLIENT: [u8; 8] = *b"a client";
const ANSWER: &str = "an mail.example. 120 A 192.0.2.25";

fn cookies(secret: u8) -> Cookies {
    Cookies::new(Secret::new([secret; 16]))
}

fn setting(transport: Transport, cookies: Option<Cookies>) -> Setting {
    Setting {
        rules: Rules {
            cookies,
            ..Rules::default()
        },
        ..Setting::over(transport)
    }
}

fn udp(cookies: Cookies) -> Setting {
    setting(Transport::Udp, Some(cookies))
}

/// Asks with this cookie; gives the lines without the cookie, and the cookie.
fn ask(setting: &Setting, cookie: &[u8]) -> (Vec<String>, Option<Vec<u8>>) {
    let response = setting.send(
        &world(),
        &packet("mail.example. A", Some(&option(10, cookie))),
    );
    split(&response)
}

fn split(response: &[u8]) -> (Vec<String>, Option<Vec<u8>>) {
    let (cookies, lines): (Vec<_>, Vec<_>) = show(response)
        .into_iter()
        .partition(|line| line.starts_with("cookie "));
    let octets = |line: &String| {
        let hex = line.trim_start_matches("cookie ");
        (0..hex.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex"))
            .collect()
    };
    assert!(cookies.len() <= 1);
    (lines, cookies.first().map(octets))
}

#[test]
fn rfc7873_5_2_1_without_the_option_nothing_is_told() {
    let lines = udp(cookies(1)).ask(&world(), "mail.example. A", Some(&[]));
    assert_eq!(lines, ["NOERROR aa", ANSWER]);
}

#[test]
fn rfc7873_5_2_2_a_malformed_option_is_formerr() {
    for length in [0, 1, 7, 9, 15, 41, 60] {
        let (lines, cookie) = ask(&udp(cookies(1)), &vec![7; length]);
        assert_eq!(
            lines,
            ["FORMERR", "ede 0 malformed cookie option"],
            "{length}"
        );
        assert_eq!(cookie, None);
    }
}

#[test]
fn rfc7873_5_2_3_a_client_cookie_alone_is_answered_with_a_server_cookie() {
    let (lines, cookie) = ask(&udp(cookies(1)), &CLIENT);
    assert_eq!(lines, ["NOERROR aa", ANSWER]);
    let cookie = cookie.expect("a cookie");
    assert_eq!((cookie.len(), &cookie[..8]), (24, &CLIENT[..]));
    assert_eq!(cookie[8..12], [1, 0, 0, 0], "version 1 (RFC 9018 4.1)");
}

#[test]
fn rfc7873_5_2_4_a_bad_server_cookie_is_answered_with_a_good_one() {
    let good = ask(&udp(cookies(1)), &CLIENT).1;
    for bad in [
        [&CLIENT[..], &[0; 8]].concat(),
        [&CLIENT[..], &[1; 16]].concat(),
        [&CLIENT[..], &[1; 32]].concat(),
    ] {
        assert_eq!(
            ask(&udp(cookies(1)), &bad),
            (
                vec!["NOERROR aa".to_owned(), ANSWER.to_owned()],
                good.clone()
            )
        );
    }
}

#[test]
fn rfc7873_5_2_3_where_cookies_are_required_badcookie_comes_first_over_udp() {
    let required = Cookies {
        require: true,
        ..cookies(1)
    };
    let (lines, cookie) = ask(&udp(required.clone()), &CLIENT);
    assert_eq!(lines, ["BADCOOKIE"]);
    let cookie = cookie.expect("a cookie");
    let (lines, _) = ask(&udp(required.clone()), &cookie);
    assert_eq!(lines, ["NOERROR aa", ANSWER], "5.2.5: with it, an answer");
    // §5.2.1: who knows no cookies is answered, and over a stream the address is proven.
    let plain = udp(required.clone()).ask(&world(), "mail.example. A", None);
    assert_eq!(plain, ["NOERROR aa", ANSWER]);
    let (lines, _) = ask(&setting(Transport::Tcp, Some(required)), &CLIENT);
    assert_eq!(lines, ["NOERROR aa", ANSWER]);
}

#[test]
fn rfc7873_5_2_5_a_cookie_is_good_for_its_client_until_it_is_too_old() {
    let required = Cookies {
        require: true,
        ..cookies(1)
    };
    let at = |now: u32, peer: &str| {
        let mut setting = udp(required.clone());
        setting.arrival.now = now;
        setting.arrival.peer = ip(peer);
        setting
    };
    let cookie = ask(&at(100_000, "192.0.2.1"), &CLIENT).1.expect("a cookie");
    for (now, peer, code) in [
        (100_000, "192.0.2.1", "NOERROR aa"),
        (103_600, "192.0.2.1", "NOERROR aa"),
        (103_601, "192.0.2.1", "BADCOOKIE"),
        (99_700, "192.0.2.1", "NOERROR aa"),
        (99_699, "192.0.2.1", "BADCOOKIE"),
        (100_000, "192.0.2.2", "BADCOOKIE"),
        (100_000, "2001:db8::1", "BADCOOKIE"),
    ] {
        assert_eq!(ask(&at(now, peer), &cookie).0[0], code, "{now} {peer}");
    }
}

#[test]
fn rfc9018_5_a_secret_is_exchanged_without_a_break() {
    let required = |secret, previous: Option<u8>| {
        udp(Cookies {
            require: true,
            previous: previous.map(|octet| Secret::new([octet; 16])),
            ..cookies(secret)
        })
    };
    let cookie = ask(&required(1, None), &CLIENT).1.expect("a cookie");
    let (lines, fresh) = ask(&required(2, Some(1)), &cookie);
    assert_eq!(lines[0], "NOERROR aa");
    let fresh = fresh.expect("a cookie");
    assert_ne!(fresh, cookie, "made with the new secret");
    assert_eq!(ask(&required(2, None), &fresh).0[0], "NOERROR aa");
    assert_eq!(ask(&required(2, None), &cookie).0[0], "BADCOOKIE");
}

#[test]
fn rfc7873_5_2_of_several_options_the_first_counts() {
    let two = [
        option(10, &CLIENT),
        option(10, b"12345678"),
        option(10, b"x"),
    ]
    .concat();
    let response = udp(cookies(1)).send(&world(), &packet("mail.example. A", Some(&two)));
    let (lines, cookie) = split(&response);
    assert_eq!(lines[0], "NOERROR aa");
    assert_eq!(cookie.expect("a cookie")[..8], CLIENT);
}

#[test]
fn rfc7873_5_4_a_server_cookie_can_be_asked_for_alone() {
    let alone = |cookie: &[u8], cookies: Option<Cookies>| {
        let mut asked = vec![0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        asked.extend(crate::common::opt(1232, [0; 4], &option(10, cookie)));
        let response = setting(Transport::Udp, cookies).send(&world(), &asked);
        assert_eq!(response[4..10], [0; 6], "no question, no answer");
        split(&response)
    };
    let (lines, cookie) = alone(&CLIENT, Some(cookies(1)));
    assert_eq!(lines, ["NOERROR"]);
    let (lines, again) = alone(&cookie.expect("a cookie"), Some(cookies(1)));
    assert_eq!(lines, ["NOERROR"]);
    assert!(again.is_some());
    let (lines, cookie) = alone(&[1; 24], Some(cookies(1)));
    assert_eq!(lines, ["BADCOOKIE"], "and a good one");
    assert!(cookie.is_some());
    // RFC 9619: without cookies there is no reason for a query without a question.
    assert_eq!(
        alone(&CLIENT, None),
        (
            vec!["FORMERR".to_owned(), "ede 0 no question".to_owned()],
            None
        )
    );
}

#[test]
fn rfc7873_4_without_the_feature_the_option_is_unknown() {
    for cookie in [&CLIENT[..], &[7; 3], &[]] {
        let (lines, cookie) = ask(&setting(Transport::Udp, None), cookie);
        assert_eq!((lines[0].as_str(), cookie), ("NOERROR aa", None));
    }
}

#[test]
fn rfc7873_5_2_errors_carry_cookies_too() {
    for (question, code) in [
        ("nothing.example. A", "NXDOMAIN aa"),
        ("www.test. A", "REFUSED"),
        ("example. TYPE200", "NOTIMP"),
    ] {
        let asked = packet(question, Some(&option(10, &CLIENT)));
        let (lines, cookie) = split(&udp(cookies(1)).send(&world(), &asked));
        assert_eq!(lines[0], code);
        assert!(cookie.is_some(), "{question}");
    }
    // Octets behind the message: the OPT was read by then.
    let mut asked = packet("mail.example. A", Some(&option(10, &CLIENT)));
    asked.push(0);
    let (lines, cookie) = split(&udp(cookies(1)).send(&world(), &changed(asked, &[])));
    assert_eq!((lines[0].as_str(), cookie.is_some()), ("FORMERR", true));
}
