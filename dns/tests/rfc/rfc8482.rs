//! RFC 8482, Minimal answers to ANY.

use crate::common::{SOA, check, world};

#[test]
fn rfc8482_4_2_hinfo_stands_for_whatever_there_is() {
    for (question, expected) in [
        ("example. ANY", "an example. 3600 HINFO RFC8482 "),
        ("geo.example. ANY", "an geo.example. 3600 HINFO RFC8482 "),
        (
            "x.wild.example. ANY",
            "an x.wild.example. 3600 HINFO RFC8482 ",
        ),
        ("www.example. ANY", "an www.example. 300 CNAME web.example."),
    ] {
        check(&world(), question, &["NOERROR aa", expected]);
    }
}

#[test]
fn rfc8482_4_a_no_is_still_a_no() {
    check(&world(), "ent.example. ANY", &["NOERROR aa", SOA]);
    check(&world(), "nothing.example. ANY", &["NXDOMAIN aa", SOA]);
}
