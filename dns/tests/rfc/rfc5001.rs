//! RFC 5001, NSID: who answers.

use crate::Setting;
use crate::common::{option, world};
use dns::{Identity, Rules};

fn named(text: &str) -> Setting {
    Setting {
        rules: Rules {
            nsid: Some(Identity::parse(text).expect("an identity")),
            ..Rules::default()
        },
        ..Setting::default()
    }
}

#[test]
fn rfc5001_2_1_it_is_told_when_it_is_asked_for() {
    let world = world();
    let asked = option(3, &[]);
    let lines = named("fra1").ask(&world, "mail.example. A", Some(&asked));
    assert_eq!(
        lines,
        [
            "NOERROR aa",
            "an mail.example. 120 A 192.0.2.25",
            "nsid fra1"
        ]
    );
    let lines = named("fra1").ask(&world, "www.test. A", Some(&asked));
    assert_eq!(
        lines,
        ["REFUSED", "nsid fra1", "ede 20"],
        "whatever the answer"
    );
    let lines = named("gen {generation}").ask(&world, "nothing.example. A", Some(&asked));
    assert_eq!(lines.last().map(String::as_str), Some("nsid gen 1"));
}

#[test]
fn rfc5001_2_2_it_is_not_told_unasked_or_when_it_is_off() {
    let world = world();
    let plain = ["NOERROR aa", "an mail.example. 120 A 192.0.2.25"];
    let ask =
        |setting: Setting, options: Option<&[u8]>| setting.ask(&world, "mail.example. A", options);
    assert_eq!(ask(named("fra1"), Some(&[])), plain);
    assert_eq!(ask(named("fra1"), None), plain);
    assert_eq!(ask(Setting::default(), Some(&option(3, &[]))), plain);
}
