//! Any messages as the answer to an AXFR or IXFR at `dns::transfer::Incoming`; what is accepted is kept as a file, read
//! back, and built.
//!
//! Input: one octet (odd: IXFR), then messages, each with its length in two octets before it. The ID and the response
//! bit are set here, so that the messages get past the first look.

#![no_main]

use dns::transfer::records::{apply, from_master_file, to_master_file};
use dns::transfer::{Asked, Incoming, Limits, OwnedRecord, Received};
use dns::{Name, RType, ZoneSpec, Zones};
use libfuzzer_sys::{Corpus, fuzz_target};

const ID: u16 = 0x1234;
const LIMITS: Limits = Limits {
    octets: 1 << 20,
    messages: 64,
};

fuzz_target!(|data: &[u8]| -> Corpus {
    let Some((kind, mut rest)) = data.split_first() else {
        return Corpus::Reject;
    };
    let zone: Name = "fuzz.test".parse().expect("a name");
    let asked = Asked {
        zone: zone.clone(),
        id: ID,
        have: (kind & 1 == 1).then_some(1),
    };
    let mut incoming = Incoming::new(asked, LIMITS);
    let mut done = false;
    while let Some((length, more)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(more.len());
        let (message, more) = more.split_at(length);
        rest = more;
        match incoming.message(&answering(message)) {
            Ok(false) => {}
            Ok(true) => {
                done = true;
                break;
            }
            Err(_) => return Corpus::Keep,
        }
    }
    let received = incoming.finish(false);
    assert_eq!(received.is_ok(), done, "all of it came, or it is too short");
    match received {
        Ok(Received::Whole(records)) => whole(&records, &zone),
        Ok(Received::Changes(deltas)) => {
            assert_eq!(deltas[0].from, 1, "it starts from what was there");
            assert!(deltas.windows(2).all(|two| two[0].to == two[1].from));
            let old = deltas[0].removed.clone();
            if let Ok(records) = apply(old, deltas) {
                let most = LIMITS.octets;
                assert!(records.iter().map(OwnedRecord::len).sum::<usize>() <= most);
            }
        }
        Ok(Received::UpToDate | Received::TooLong) | Err(_) => {}
    }
    Corpus::Keep
});

fn answering(message: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    for (to, from) in message.iter_mut().zip(ID.to_be_bytes()) {
        *to = from;
    }
    if let Some(flags) = message.get_mut(2) {
        *flags = *flags & 0x07 | 0x80;
    }
    message
}

fn whole(records: &[OwnedRecord], zone: &Name) {
    assert_eq!(records[0].rtype, RType::SOA);
    assert!(records.iter().all(|record| record.owner.is_within(zone)));
    let text = to_master_file(records);
    // What a type cannot be made of is refused when it is read back, as the zone checks would.
    if let Some(read) = from_master_file(&text, zone) {
        assert_eq!(read, records, "{text}");
    }
    let spec = ZoneSpec {
        apex: "fuzz.test".to_owned(),
        master_file: Some(("fuzz.zone".into(), text)),
        overlay: true,
        ..ZoneSpec::default()
    };
    let _ = Zones::build(vec![spec], Vec::new());
}
