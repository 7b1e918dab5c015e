//! RFC 8914, Extended DNS errors: every refusal says why, as far as there is room.

use crate::common::{opt, packet, show, world};
use crate::{Setting, changed, with_opt};

#[test]
fn rfc8914_4_every_refusal_has_its_reason() {
    let world = world();
    for (question, code, ede) in [
        ("www.test. A", "REFUSED", "ede 20"),
        (
            "example. AXFR",
            "REFUSED",
            "ede 18 this zone is not transferred to you",
        ),
        ("example. MAILB", "NOTIMP", "ede 21 this query type"),
        ("example. OPT", "FORMERR", "ede 0 not a type to ask for"),
        ("example. TYPE0", "FORMERR", "ede 0 not a type to ask for"),
        // RFC 9824 §3.5.
        ("example. NXNAME", "FORMERR", "ede 30"),
    ] {
        let lines = Setting::default().ask(&world, question, Some(&[]));
        assert_eq!(lines, [code, ede], "{question}");
        let lines = Setting::default().ask(&world, question, None);
        assert_eq!(lines, [code], "{question}: not without EDNS");
    }
}

#[test]
fn rfc8914_4_22_other_classes_are_not_supported() {
    for class in [2, 4, 254, 255] {
        let asked = packet("mail.example. A", Some(&[]));
        let at = asked.len() - 11 - 1;
        let lines = show(&Setting::default().send(&world(), &changed(asked, &[(at, class)])));
        assert_eq!(
            lines,
            ["REFUSED", "ede 21 only class IN is served"],
            "{class}"
        );
    }
}

#[test]
fn rfc8914_3_an_answer_comes_before_its_explanation() {
    // A refusal of a long name with a SOA of long names: less and less room for the text.
    let long = "a".repeat(60);
    let mut kept = [0; 3];
    for length in 1..=60 {
        let (mname, rname) = (format!("{long}.{long}.{long}"), "r".repeat(length));
        let text =
            format!("@ 300 SOA {mname} {rname}.{long}.{long} 1 2 3 4 5\n@ 300 NS ns.test.\n");
        let mut names = crate::common::steered();
        names.retain(|name| name.name == "nowhere.example");
        names[0].name = format!("{long}.example");
        let zones = dns::Zones::build(vec![crate::common::zone("example", &text)], names);
        let world = crate::common::snapshot(zones.expect("zones"));
        let asked = with_opt(&format!("{long}.example. A"), &opt(512, [0; 4], &[]));
        let response = Setting::default().send(&world, &asked);
        assert!(response.len() <= 512);
        let lines = show(&response);
        assert_eq!(lines[0], "NOERROR aa", "never TC for the sake of it");
        kept[match lines.get(2).map(String::as_str) {
            None => 0,
            Some("ede 0") => 1,
            Some(_) => 2,
        }] += 1;
    }
    assert!(kept[2] > 0, "with its text where there is room: {kept:?}");
}
