//! Messages as tools see them: read back, shown, and refused where they are none.

use super::*;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn response(records: &[u8], counts: [u8; 3]) -> Vec<u8> {
    let mut octets = Ask::new(7, name("www.example.com"), RType::A).packet();
    octets.truncate(33);
    let [an, ns, ar] = counts;
    octets[2] = 0x84;
    octets[7] = an;
    octets[9] = ns;
    octets[11] = ar;
    octets.extend_from_slice(records);
    octets
}

#[test]
fn a_query_reads_back_as_it_was_asked() {
    let subnet = Ecs::new("192.0.2.77".parse().expect("an address"), 24);
    let mut ask = Ask::new(7, name("www.example.com"), RType::AAAA).subnet(subnet);
    ask.options.push(EdnsOption::nsid());
    let message = Message::read(&ask.packet()).expect("a message");
    assert_eq!(message.id, 7);
    let shown = message.to_string();
    assert!(shown.contains(";www.example.com.\tIN\tAAAA\n"), "{shown}");
    assert!(
        shown.contains("; CLIENT-SUBNET: 192.0.2.0/24/0\n"),
        "{shown}"
    );
    assert!(shown.contains("; NSID:  (\"\")\n"), "{shown}");
}

#[test]
fn compressed_names_are_written_out() {
    // MX 10 mail.<example.com>, at a pointer to the question.
    let mx = [
        &[0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 60, 0, 9, 0, 10, 4][..],
        b"mail",
        &[0xc0, 16],
    ]
    .concat();
    let message = Message::read(&response(&mx, [1, 0, 0])).expect("a message");
    assert_eq!(message.flag_names(), ["qr", "aa"]);
    let [record] = message.sections[0].as_slice() else {
        panic!("one record: {message}");
    };
    assert_eq!(
        record.to_string(),
        "www.example.com.\t60\tIN\tMX\t10 mail.example.com."
    );
}

#[test]
fn options_are_shown_with_what_they_mean() {
    for (code, data, shown) in [
        (
            8,
            &[0, 1, 24, 16, 192, 0, 2][..],
            "CLIENT-SUBNET: 192.0.2.0/24/16",
        ),
        (
            8,
            &[0, 2, 32, 0, 0x20, 1, 0xd, 0xb8],
            "CLIENT-SUBNET: 2001:db8::/32/0",
        ),
        (15, &[0, 18, b'n', b'o'], "EDE: 18 (Prohibited): (no)"),
        (15, &[0, 20], "EDE: 20 (Not Authoritative)"),
        (3, b"fra1", "NSID: 66726131 (\"fra1\")"),
        (11, &[0, 100], "TCP-KEEPALIVE: 10.0 secs"),
        (12, &[0; 5], "PAD: (5 bytes)"),
        (65001, &[1, 2], "OPT=65001: 0102"),
    ] {
        let option = EdnsOption {
            code,
            data: data.to_vec(),
        };
        assert_eq!(option.to_string(), shown);
    }
}

#[test]
fn what_is_no_message_is_said_to_be_none() {
    let mx = [0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 60, 0, 4, 0, 10, 0xc0, 16];
    let whole = response(&mx, [1, 0, 0]);
    assert!(Message::read(&whole).is_ok());
    for end in 0..whole.len() {
        assert!(Message::read(&whole[..end]).is_err(), "{end} octets");
    }
    let loops = response(&[0xc0, 33, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0], [1, 0, 0]);
    assert!(Message::read(&loops).is_err());
    assert!(Message::read(&[whole, vec![0]].concat()).is_err());
}
