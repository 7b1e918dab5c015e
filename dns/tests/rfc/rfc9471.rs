//! RFC 9471, Glue in referrals: what is needed is there, or TC says that it is not.

use crate::Setting;
use crate::common::{check, packet, show};
use crate::served;

const APEX: &str = "@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns\nns 300 A 192.0.2.1\n";

#[test]
fn rfc9471_2_1_glue_of_the_child_itself() {
    let world = served(
        "test",
        &format!(
            "{APEX}foo 86400 NS ns1.foo\nfoo 86400 NS ns2.foo\nns1.foo 86400 A 192.0.2.11\nns2.foo 86400 AAAA 2001:db8::2:2\n"
        ),
    );
    check(
        &world,
        "www.foo.test. A",
        &[
            "NOERROR",
            "au foo.test. 86400 NS ns1.foo.test.",
            "au foo.test. 86400 NS ns2.foo.test.",
            "ad ns1.foo.test. 86400 A 192.0.2.11",
            "ad ns2.foo.test. 86400 AAAA 2001:db8::2:2",
        ],
    );
}

#[test]
fn rfc9471_2_2_glue_of_a_sibling() {
    let world = served(
        "test",
        &format!("{APEX}foo 86400 NS ns1.bar\nbar 86400 NS ns1.bar\nns1.bar 86400 A 192.0.2.21\n"),
    );
    check(
        &world,
        "www.foo.test. A",
        &[
            "NOERROR",
            "au foo.test. 86400 NS ns1.bar.test.",
            "ad ns1.bar.test. 86400 A 192.0.2.21",
        ],
    );
}

#[test]
fn rfc9471_2_3_two_siblings_that_need_each_other() {
    let world = served(
        "test",
        &format!(
            "{APEX}bar 86400 NS ns1.foo\nfoo 86400 NS ns1.bar\nns1.bar 86400 A 192.0.2.21\nns1.foo 86400 A 192.0.2.11\n"
        ),
    );
    check(
        &world,
        "www.foo.test. A",
        &[
            "NOERROR",
            "au foo.test. 86400 NS ns1.bar.test.",
            "ad ns1.bar.test. 86400 A 192.0.2.21",
        ],
    );
}

/// So many name servers of `child`, in the zone `under`, each with an address of its own.
fn servers(count: u8, under: &str) -> String {
    (0..count)
        .map(|i| {
            let name = format!("name-server-number-{i}.{under}");
            format!(
                "child 300 NS {name}\n{name} 300 A 192.0.2.{i}\n{name} 300 AAAA 2001:db8::{i}\n"
            )
        })
        .collect()
}

#[test]
fn rfc9471_3_1_without_room_for_needed_glue_tc_is_set() {
    let world = served("test", &format!("{APEX}{}", servers(10, "child")));
    let lines = show(&Setting::default().send(&world, &packet("www.child.test. A", None)));
    assert_eq!(lines, ["NOERROR tc"]);
}

#[test]
fn rfc9471_3_2_sibling_glue_is_given_as_far_as_there_is_room() {
    let world = served(
        "test",
        &format!("{APEX}sib 300 NS ns\n{}", servers(10, "sib")),
    );
    let response = Setting::default().send(&world, &packet("www.child.test. A", None));
    let lines = show(&response);
    assert!(response.len() <= 512);
    assert_eq!(lines[0], "NOERROR", "no TC");
    let count = |of: &str| lines.iter().filter(|line| line.starts_with(of)).count();
    assert_eq!(count("au "), 10);
    assert!((1..20).contains(&count("ad ")), "{lines:#?}");
}
