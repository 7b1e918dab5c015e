//! RFC 7830 and RFC 8467, padding: the length of an encrypted message tells nothing.

use crate::Setting;
use crate::common::{option, packet, world};
use dns::Transport;

const ENCRYPTED: [Transport; 3] = [Transport::Tls, Transport::Https, Transport::Quic];

#[test]
fn rfc8467_4_1_responses_are_padded_to_468_octets_when_the_query_is_padded() {
    for transport in ENCRYPTED {
        for (question, padding) in [
            ("mail.example. A", &[0; 40][..]),
            ("nothing.example. A", &[]),
            ("www.test. A", &[1, 2]),
            ("example. TYPE200", &[0; 9]),
        ] {
            let asked = packet(question, Some(&option(12, padding)));
            let response = Setting::over(transport).send(&world(), &asked);
            assert_eq!(response.len(), 468, "{question} over {transport:?}");
        }
    }
}

#[test]
fn rfc7830_4_a_query_without_padding_gets_none() {
    for transport in ENCRYPTED {
        let response =
            Setting::over(transport).send(&world(), &packet("mail.example. A", Some(&[])));
        assert!(response.len() < 100);
    }
}

#[test]
fn rfc7830_6_nothing_is_padded_where_anyone_can_read_it() {
    let asked = packet("mail.example. A", Some(&option(12, &[0; 40])));
    for transport in [Transport::Udp, Transport::Tcp] {
        let response = Setting::over(transport).send(&world(), &asked);
        assert!(response.len() < 100, "{transport:?}");
    }
}

#[test]
fn rfc8467_4_1_larger_responses_are_padded_to_the_next_block() {
    let texts: String = (0..3)
        .map(|i| format!("big 300 TXT \"{i}{}\"\n", "x".repeat(200)))
        .collect();
    let text = format!("@ 300 SOA ns h 1 2 3 4 5\n@ 300 NS ns\nns 300 A 192.0.2.1\n{texts}");
    let world = crate::served("example", &text);
    let asked = packet("big.example. TXT", Some(&option(12, &[])));
    assert_eq!(
        Setting::over(Transport::Tls).send(&world, &asked).len(),
        2 * 468
    );
}
