//! Octets in, octets out: headers, EDNS, truncation, and what is no query. Rows of packet and response.

mod common;

use common::{US, ip, opt, option, packet, show, subnet, world};
use dns::{Arrival, Outcome, RType, Rcode, Rules, Transport, respond};

fn send(packet: &[u8], transport: Transport) -> Option<Vec<u8>> {
    respond(&world(), packet, ip(US), transport, &Rules::default(), 7)
}

fn udp(packet: &[u8]) -> Vec<u8> {
    send(packet, Transport::Udp).expect("a response")
}

/// A query with some header octets changed.
fn with(question: &str, changes: &[(usize, u8)]) -> Vec<u8> {
    let mut packet = packet(question, None);
    for (at, octet) in changes {
        packet[*at] = *octet;
    }
    packet
}

#[test]
fn the_question_comes_back_letter_by_letter() {
    let asked = packet("MaIl.eXaMpLe. A", None);
    let response = udp(&asked);
    assert_eq!(response[12..asked.len()], asked[12..], "case and all");
    assert_eq!(
        response[asked.len()..asked.len() + 2],
        [0xc0, 12],
        "the owner points to the question"
    );
    assert_eq!(show(&response)[1], "an MaIl.eXaMpLe. 120 A 192.0.2.25");
}

#[test]
fn rfc8906_other_opcodes_are_not_implemented() {
    // 4 is NOTIFY, which is spoken.
    for opcode in (1..16_u8).filter(|opcode| *opcode != 4) {
        let response = udp(&with("example. SOA", &[(2, opcode << 3)]));
        assert_eq!(
            response[..4],
            [0x12, 0x34, 0x80 | opcode << 3, 4],
            "opcode {opcode}"
        );
        assert_eq!(response[4..], [0; 8], "a header and nothing else");
    }
}

#[test]
fn what_is_no_query_is_dropped() {
    let mut response = packet("mail.example. A", None);
    response[2] |= 0x80;
    let mut malformed = response[..20].to_vec();
    malformed[5] = 9;
    for (why, packet) in [
        ("nothing", &[][..]),
        (
            "shorter than a header",
            &[0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0],
        ),
        ("a response", &response),
        ("a malformed response", &malformed),
    ] {
        for transport in [Transport::Udp, Transport::Tcp] {
            assert_eq!(send(packet, transport), None, "{why}");
        }
    }
}

#[test]
fn what_cannot_be_understood_is_formerr() {
    let plain = packet("mail.example. A", None);
    let end = plain.len();
    let extra = |record: &[u8], counts: &[(usize, u8)]| {
        let mut packet = plain.clone();
        for (at, octet) in counts {
            packet[*at] = *octet;
        }
        packet.extend_from_slice(record);
        packet
    };
    let a = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4];
    let two_opts = [opt(1232, [0; 4], &[]), opt(1232, [0; 4], &[])].concat();
    let mut named_opt = vec![1, b'x'];
    named_opt.extend(opt(1232, [0; 4], &[]));
    let pointer = [&plain[..12], &[0xc0, 12, 0, 1, 0, 1]].concat();
    let long_label = [&plain[..12], &[64], &[b'a'; 64], &[0, 0, 1, 0, 1]].concat();
    let long_name = [&plain[..12], &[1, b'a'].repeat(128), &[0, 0, 1, 0, 1]].concat();
    for (why, packet, repeats) in [
        ("only a header", plain[..12].to_vec(), false),
        ("no question", with("mail.example. A", &[(5, 0)]), false),
        (
            "two questions (RFC 9619)",
            with("mail.example. A", &[(5, 2)]),
            false,
        ),
        ("a name cut short", plain[..16].to_vec(), false),
        ("no class", plain[..end - 1].to_vec(), false),
        ("a pointer in the question", pointer, false),
        ("a label of 64", long_label, false),
        ("a name of 257", long_name, false),
        ("octets left over", extra(&[0], &[]), true),
        ("an answer in a query", extra(&a, &[(7, 1)]), true),
        ("an authority in a query", extra(&a, &[(9, 1)]), true),
        ("a record that is not there", extra(&[], &[(11, 1)]), true),
        ("a record cut short", extra(&a[..14], &[(11, 1)]), true),
        (
            "two OPT records (RFC 6891 6.1.1)",
            extra(&two_opts, &[(11, 2)]),
            true,
        ),
        ("an OPT with a name", extra(&named_opt, &[(11, 1)]), true),
        ("OPT as a question", with("mail.example. OPT", &[]), true),
    ] {
        let response = udp(&packet);
        assert_eq!(response[..2], packet[..2], "{why}");
        assert_eq!(response[3] & 0x0f, 1, "{why}: FORMERR");
        assert_eq!(show(&response)[0], "FORMERR", "{why}");
        assert_eq!(
            response[5],
            u8::from(repeats),
            "{why}: the question comes back if it was understood"
        );
    }
}

#[test]
fn unknown_records_and_options_change_nothing() {
    // SIG(0), which is not verified (RFC 2931 3.1).
    let sig = [0, 0, 24, 0, 255, 0, 0, 0, 0, 0, 2, 1, 2];
    let mut signed = packet("mail.example. A", None);
    signed[11] = 1;
    signed.extend(sig);
    assert_eq!(
        show(&udp(&signed)),
        ["NOERROR aa", "an mail.example. 120 A 192.0.2.25"]
    );
    let unknown = [option(65001, b"x"), option(10, &[7; 8]), option(3, &[])].concat();
    let lines = show(&udp(&packet("mail.example. A", Some(&unknown))));
    assert_eq!(
        lines,
        ["NOERROR aa", "an mail.example. 120 A 192.0.2.25"],
        "none is echoed"
    );
}

#[test]
fn other_classes_and_meta_types_are_turned_down() {
    let chaos = |question| {
        let mut packet = packet(question, None);
        let end = packet.len();
        packet[end - 1] = 3;
        packet
    };
    assert_eq!(show(&udp(&chaos("version.bind. TXT"))), ["REFUSED"]);
    assert_eq!(show(&udp(&chaos("mail.example. A"))), ["REFUSED"]);
    for (question, head) in [
        ("example. AXFR", "REFUSED"),
        ("example. IXFR", "REFUSED"),
        ("example. MAILB", "NOTIMP"),
        ("example. TYPE200", "NOTIMP"),
        ("example. TKEY", "NOTIMP"),
    ] {
        assert_eq!(show(&udp(&packet(question, None)))[0], head, "{question}");
    }
    // IXFR brings the version it has (RFC 1995 3).
    let mut ixfr = packet("example. IXFR", None);
    ixfr[9] = 1;
    ixfr.extend([0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 22]);
    ixfr.extend([0; 22]);
    assert_eq!(show(&udp(&ixfr)), ["REFUSED"]);
}

#[test]
fn an_answer_fits_to_the_last_octet() {
    let world = world();
    for question in [
        "child.example. A",
        "www.example. A",
        "geo.example. HTTPS",
        "nothing.example. A",
    ] {
        let packet = packet(question, Some(&subnet("192.0.2.0/24")));
        let rules = Rules {
            payload: u16::MAX,
            ..Rules::default()
        };
        let whole = respond(&world, &packet, ip(US), Transport::Tcp, &rules, 7)
            .expect("a response")
            .len();
        // 512 is the least limit, so the rule is tried on what is larger, and holds for the rest.
        assert!(whole < 512, "{question}: {whole}");
        assert!(
            !show(
                &respond(&world, &packet, ip(US), Transport::Udp, &rules, 7).expect("a response")
            )[0]
            .contains("tc")
        );
    }
}

#[test]
fn the_outcome_says_what_became_of_a_packet() {
    let world = world();
    let mut out = b"before".to_vec();
    let rules = Rules::default();
    let asked = packet("geo.example. A", None);
    let outcome = dns::respond_into(
        &world,
        &asked,
        &Arrival::new(ip(US), Transport::Udp),
        &rules,
        |_, _, _| 7,
        &mut out,
    );
    let Outcome::Answered(summary) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((summary.rtype, summary.truncated), (RType::A, false));
    assert_eq!((summary.rcode, summary.zone), (Rcode::NoError, Some(0)));
    let decided = summary.decided.expect("a decision");
    assert_eq!(
        (decided.service.0, decided.region.map(|r| r.0)),
        (0, Some(0))
    );
    assert!(out.starts_with(b"before"), "appended");
    assert_eq!(show(&out[6..])[0], "NOERROR aa");
}
