//! RFC 9619, In the DNS, QDCOUNT is (usually) one.

use crate::common::{opt, packet, show, world};
use crate::{Setting, changed};

#[test]
fn rfc9619_4_more_than_one_question_is_formerr() {
    let one = packet("mail.example. A", None);
    let two = [&one[..], &one[12..]].concat();
    for (asked, count) in [
        (one, 2),
        (two, 2),
        (packet("mail.example. A", Some(&[])), 255),
    ] {
        let response = Setting::default().send(&world(), &changed(asked, &[(5, count)]));
        assert_eq!(show(&response), ["FORMERR"]);
        assert_eq!(response[4..12], [0; 8]);
    }
}

#[test]
fn rfc9619_4_no_question_is_for_cookies_only() {
    let header = [0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        show(&Setting::default().send(&world(), &header)),
        ["FORMERR"]
    );
    let mut asked = changed(header.to_vec(), &[(11, 1)]);
    asked.extend(opt(1232, [0; 4], &[]));
    assert_eq!(
        show(&Setting::default().send(&world(), &asked)),
        ["FORMERR", "ede 0 no question"]
    );
}
