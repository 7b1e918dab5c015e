//! RFC 8945, TSIG: where no key is known. What keys do is tested where they are kept.

use crate::Setting;
use crate::common::{opt, packet, show, world};

/// A TSIG record of the key `k.`.
fn tsig() -> Vec<u8> {
    let mut data = b"\x0bhmac-sha256\x00\x00\x00\x65\x53\xf1\x00\x01\x2c\x00\x20".to_vec();
    data.extend([7; 32]);
    data.extend([0x12, 0x34, 0, 0, 0, 0]);
    let mut record = b"\x01k\x00\x00\xfa\x00\xff\x00\x00\x00\x00".to_vec();
    record.extend((data.len() as u16).to_be_bytes());
    record.extend(data);
    record
}

fn with(question: &str, records: &[Vec<u8>]) -> Vec<u8> {
    let mut asked = packet(question, None);
    asked[11] = records.len() as u8;
    asked.extend(records.concat());
    asked
}

#[test]
fn rfc8945_5_2_1_an_unknown_key_is_notauth() {
    let response = Setting::default().send(&world(), &with("mail.example. A", &[tsig()]));
    assert_eq!(response[3] & 15, 9, "NOTAUTH");
    assert_eq!(response[6..10], [0; 4], "and no answer");
}

#[test]
fn rfc8945_5_1_it_must_be_the_last_record() {
    for records in [vec![tsig(), opt(1232, [0; 4], &[])], vec![tsig(), tsig()]] {
        let response = Setting::default().send(&world(), &with("mail.example. A", &records));
        assert_eq!(show(&response)[0], "FORMERR");
    }
}
