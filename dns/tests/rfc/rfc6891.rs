//! RFC 6891, EDNS(0): the OPT record of query and response.

use crate::common::{opt, option, packet, show, world};
use crate::{Setting, changed, with_opt};

fn ask(packet: &[u8]) -> Vec<u8> {
    Setting::default().send(&world(), packet)
}

#[test]
fn rfc6891_6_1_1_opt_comes_back_if_and_only_if_it_was_sent() {
    for question in [
        "mail.example. A",
        "nothing.example. A",
        "child.example. A",
        "www.test. A",
        "example. AXFR",
        "example. TYPE200",
        "example. OPT",
    ] {
        let begins = &opt(1232, [0; 4], &[])[..5];
        let has_opt = |options| {
            let response = ask(&packet(question, options));
            response
                .windows(begins.len())
                .any(|octets| octets == begins)
        };
        assert!(has_opt(Some(&[])) && !has_opt(None), "{question}");
    }
}

#[test]
fn rfc6891_6_1_1_more_than_one_opt_is_formerr() {
    let two = [opt(1232, [0; 4], &[]), opt(1232, [0; 4], &[])].concat();
    let mut asked = changed(packet("mail.example. A", None), &[(11, 2)]);
    asked.extend(two);
    assert_eq!(show(&ask(&asked)), ["FORMERR", "ede 0 OPT out of place"]);
}

#[test]
fn rfc6891_6_1_2_unknown_options_change_nothing() {
    let unknown = [option(65001, b"x"), option(14, &[]), option(4, &[1, 2])].concat();
    assert_eq!(
        show(&ask(&packet("mail.example. A", Some(&unknown)))),
        ["NOERROR aa", "an mail.example. 120 A 192.0.2.25"]
    );
}

#[test]
fn rfc6891_6_1_3_later_versions_are_badvers_and_tell_ours() {
    for options in [
        Vec::new(),
        option(65001, b"x"),
        vec![1, 2, 3],
        option(8, &[9]),
    ] {
        let response = ask(&with_opt(
            "mail.example. A",
            &opt(4096, [0, 1, 0x80, 0], &options),
        ));
        assert_eq!(response[3] & 0x0f, 0);
        assert!(
            response.ends_with(&opt(1232, [1, 0, 0x80, 0], &[])),
            "extended code 16, version 0"
        );
        assert_eq!(show(&response)[0], "BADVERS", "no answer, no AA");
        assert_eq!(response[6..11], [0; 5]);
    }
}

#[test]
fn rfc6891_6_1_4_do_is_copied_and_no_other_flag() {
    let response = ask(&with_opt(
        "mail.example. A",
        &opt(4096, [0, 0, 0xff, 0xff], &[]),
    ));
    assert!(response.ends_with(&opt(1232, [0, 0, 0x80, 0], &[])));
}

#[test]
fn rfc6891_6_2_5_less_than_512_means_512() {
    let question = "child.example. A";
    let whole = ask(&packet(question, Some(&[])));
    for payload in [0, 1, 511, 512] {
        let response = ask(&with_opt(question, &opt(payload, [0; 4], &[])));
        assert_eq!(response, whole, "{payload}");
    }
}

#[test]
fn rfc6891_7_a_malformed_opt_is_formerr_with_an_opt() {
    for (options, text) in [
        (&[0, 10, 0][..], "an EDNS option is cut short"),
        (&[0, 10, 0, 9, 1], "an EDNS option is cut short"),
    ] {
        let lines = show(&ask(&packet("mail.example. A", Some(options))));
        assert_eq!(lines, ["FORMERR".to_owned(), format!("ede 0 {text}")]);
    }
}
