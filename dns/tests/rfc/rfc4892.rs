//! RFC 4892, Identifying a name server: class CH.

use crate::common::{packet, show, world};
use crate::{Setting, changed};
use dns::{Chaos, Rules};

fn chaos(setting: &Setting, question: &str) -> Vec<String> {
    let asked = packet(question, Some(&[]));
    // The class is before the OPT record, which has 11 octets.
    let at = asked.len() - 11 - 1;
    show(&setting.send(&world(), &changed(asked, &[(at, 3)])))
}

fn telling() -> Setting {
    Setting {
        rules: Rules {
            chaos: Chaos {
                version: Some("rhumb".into()),
                hostname: Some("fra1".into()),
            },
            ..Rules::default()
        },
        ..Setting::default()
    }
}

#[test]
fn rfc4892_3_who_and_what_answers() {
    for (name, text) in [
        ("version.bind.", "rhumb"),
        ("VERSION.SERVER.", "rhumb"),
        ("hostname.bind.", "fra1"),
        ("id.server.", "fra1"),
    ] {
        let lines = chaos(&telling(), &format!("{name} TXT"));
        assert_eq!(
            lines,
            ["NOERROR aa".to_owned(), format!("an {name} 0 TXT {text}")]
        );
        assert_eq!(chaos(&telling(), &format!("{name} A")), ["NOERROR aa"]);
    }
}

#[test]
fn rfc4892_3_what_is_turned_off_is_refused_like_everything_else_in_the_class() {
    let refused = ["REFUSED", "ede 21 of class CH little is told here"];
    assert_eq!(chaos(&Setting::default(), "id.server. TXT"), refused);
    for question in ["authors.bind. TXT", "mail.example. A", ". NS"] {
        assert_eq!(chaos(&telling(), question), refused, "{question}");
    }
}

#[test]
fn rfc4892_3_the_record_is_of_the_class_that_was_asked_for() {
    let asked = packet("id.server. TXT", None);
    let at = asked.len() - 1;
    let response = telling().send(&world(), &changed(asked, &[(at, 3)]));
    assert!(response.ends_with(b"\xc0\x0c\x00\x10\x00\x03\x00\x00\x00\x00\x00\x05\x04fra1"));
}
