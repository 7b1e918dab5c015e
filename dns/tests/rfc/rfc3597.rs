//! RFC 3597, Unknown types: octets in, octets out.

use crate::Setting;
use crate::common::{packet, world};

#[test]
fn rfc3597_4_rdata_of_unknown_types_is_never_compressed() {
    // The data of raw.example happens to be no name; in a type of its own a name would stay whole, too.
    let text = "@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns\nns 300 A 192.0.2.1\n\
        raw 300 TYPE65281 \\# 9 076578616d706c6500\nsrv 300 SRV 1 2 3 ns\n";
    let world = crate::served("example", text);
    let response = Setting::default().send(&world, &packet("raw.example. TYPE65281", None));
    assert!(response.ends_with(b"\x00\x09\x07example\x00"));
    let response = Setting::default().send(&world, &packet("srv.example. SRV", None));
    assert!(
        response.ends_with(b"\x00\x12\x00\x01\x00\x02\x00\x03\x02ns\x07example\x00"),
        "SRV neither (RFC 2782)"
    );
}

#[test]
fn rfc3597_5_unknown_types_are_answered_and_denied_like_others() {
    let lines = Setting::default().ask(&world(), "raw.example. TYPE65280", None);
    assert_eq!(lines[1], "an raw.example. 300 TYPE65280 CgAAAQ==");
    let lines = Setting::default().ask(&world(), "raw.example. TYPE65282", None);
    assert_eq!(lines, ["NOERROR aa", crate::common::SOA]);
}
