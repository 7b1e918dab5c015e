//! What every response is held to, read by other code than wrote it.

use hickory_proto::op::Message;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// Holds a response to `packet` to what any may be: the query's ID, QR, its opcode and question; nothing set
/// that is not ours to say; at most `limit` octets; readable to the last of them.
///
/// # Panics
/// When it is not.
pub fn well_formed(packet: &[u8], response: &[u8], limit: usize) {
    assert!(
        response.len() <= limit,
        "{} octets of {limit}",
        response.len()
    );
    assert_eq!(response[..2], packet[..2], "the ID comes back");
    assert_eq!(response[2] & 0x80, 0x80, "QR is set");
    assert_eq!(
        response[2] & 0x79,
        packet[2] & 0x79,
        "opcode and RD come back"
    );
    assert_eq!(response[3] & 0xe0, 0, "RA, Z and AD are not ours to set");
    let has_options = packet.get(10..12).is_some_and(|count| count != [0, 0]);
    let readable = match has_options {
        true => with_known_family(response),
        false => response.to_vec(),
    };
    let mut decoder = BinDecoder::new(&readable);
    let message = match Message::read(&mut decoder) {
        Ok(message) => message,
        // An `alpn` is octets (RFC 9460 §7.1.1); the other implementation wants text.
        Err(error) if error.to_string().contains("invalid UTF-8") => return,
        Err(error) => panic!("{error}: {response:02x?}"),
    };
    assert!(
        decoder.is_empty(),
        "nothing behind the message: {response:02x?}"
    );
    if message.metadata.truncation {
        assert!(
            message.answers.is_empty(),
            "half a set is never taken for the whole"
        );
    }
    if let [_] = message.queries[..] {
        let question = response.len().min(packet.len()).min(question_end(response));
        assert_eq!(
            response[12..question],
            packet[12..question],
            "the question, case and all"
        );
    }
}

/// The client subnet option that says "no address" (FAMILY 0, nothing behind it), as `dig +subnet=0` sends it
/// and an answer echoes it. hickory-proto knows FAMILY 1 and 2 only, so it is shown the one of IPv4.
fn with_known_family(response: &[u8]) -> Vec<u8> {
    const NO_ADDRESS: [u8; 8] = [0, 8, 0, 4, 0, 0, 0, 0];
    let mut readable = response.to_vec();
    let from = question_end(response).min(response.len());
    let said = response[from..]
        .windows(NO_ADDRESS.len())
        .rposition(|octets| octets == NO_ADDRESS);
    if let Some(family) = said.and_then(|at| readable.get_mut(from + at + 5)) {
        *family = 1;
    }
    readable
}

/// Where the question ends: its name has no pointer in anything that is repeated.
fn question_end(message: &[u8]) -> usize {
    let mut at = 12;
    while let Some(label @ 1..) = message.get(at).copied() {
        at += 1 + usize::from(label);
    }
    at + 5
}
