//! Zones that move, without sockets: requests and who may make them, streams of messages from end to end, what changed
//! between versions. When a secondary looks is in secondary.rs.

mod common;

use common::ip;
use dns::query::{Arrival, Transport};
use dns::transfer::notify::{notify, transfer_query};
use dns::transfer::records::{apply, from_master_file, to_master_file};
use dns::transfer::{
    Algorithm, Asked, Delta, Grant, Incoming, Journal, Key, Keys, Limits, Malformed, Metrics,
    Moved, OwnedRecord, Peers, Received, Remote, Service, Signer, Verifier, ZonePeers,
};
use dns::{
    Name, Notified, Outcome, RType, Rules, Transfers, Unavailable, ZoneSpec, Zones, respond_into,
};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;
use steering::{LocationTable, Reader, Snapshot, Table, TableSpec, Timestamp};

const PRIMARY: &str = "192.0.2.1";
const CLIENT: &str = "192.0.2.53";
const STRANGER: &str = "198.51.100.1";

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn key() -> Arc<Key> {
    let secret = *b"0123456789abcdef0123456789abcdef";
    Arc::new(Key::new(name("xfr"), Algorithm::HmacSha256, secret))
}

fn text(serial: u32, more: &str) -> String {
    format!(
        "$TTL 300\n@ SOA ns1 host {serial} 3600 900 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n{more}"
    )
}

fn zones(serial: u32, more: &str) -> Zones {
    let own = ZoneSpec {
        apex: "x.test".to_owned(),
        master_file: Some(("x.zone".into(), text(serial, more))),
        ..ZoneSpec::default()
    };
    let gone = ZoneSpec {
        apex: "gone.test".to_owned(),
        unavailable: Some(Unavailable::Expired),
        ..ZoneSpec::default()
    };
    Zones::build(vec![own, gone], Vec::new()).expect("sound zones")
}

/// `x.test` goes to the client with the key and to the primary without; `gone.test` comes from the primary, signed.
fn snapshot(zones: Zones, journal: Journal) -> Snapshot {
    let grant = |address: &str, key| Grant {
        network: Some(ip(address).into()),
        key,
    };
    let x = ZonePeers {
        to: vec![grant(CLIENT, Some(key())), grant(PRIMARY, None)],
        primaries: vec![remote(None)],
        ..ZonePeers::default()
    };
    let gone = ZonePeers {
        to: vec![grant(PRIMARY, None)],
        primaries: vec![remote(Some(key()))],
        ..ZonePeers::default()
    };
    let peers = HashMap::from([(name("x.test"), x), (name("gone.test"), gone)]);
    let mut spec = TableSpec::default();
    spec.planes.insert(Arc::new(zones));
    spec.planes.insert(Arc::new(journal));
    spec.planes
        .insert(Arc::new(Peers::new(Keys::new(vec![key()]), peers)));
    let table = Arc::new(Table::compile(spec).expect("an empty table"));
    Snapshot::new(table, Arc::new(LocationTable::default()), Timestamp(0))
}

fn remote(key: Option<Arc<Key>>) -> Remote {
    Remote {
        address: (ip(PRIMARY), 53).into(),
        key,
    }
}

fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("after 1970").as_secs()
}

fn said(
    snapshot: &Snapshot,
    packet: &[u8],
    peer: &str,
    transport: Transport,
) -> (Outcome, Vec<u8>) {
    let arrival = Arrival {
        now: unix_now() as u32,
        ..Arrival::new(ip(peer), transport)
    };
    let mut out = Vec::new();
    let draw = |_: IpAddr, _: &[u8], _: RType| 0;
    let outcome = respond_into(
        snapshot,
        packet,
        &arrival,
        &Rules::default(),
        draw,
        &mut out,
    );
    (outcome, out)
}

fn rcode(response: &[u8]) -> u8 {
    response[3] & 15
}

fn soa(serial: u32) -> Vec<u8> {
    let mut data = b"\x03ns1\x01x\x04test\x00\x04host\x01x\x04test\x00".to_vec();
    for number in [serial, 3600, 900, 86400, 60] {
        data.extend(number.to_be_bytes());
    }
    data
}

#[test]
fn rfc1996_3_10_a_notify_is_taken_from_primaries_only() {
    let snapshot = snapshot(zones(7, ""), Journal::default());
    let hint = soa(8);
    let (x, gone) = (name("x.test"), name("gone.test"));
    let told = notify(9, &x, Some((300, &hint)));
    let (outcome, response) = said(&snapshot, &told, PRIMARY, Transport::Udp);
    let taken = Notified {
        zone: 0,
        primary: 0,
        serial: Some(8),
    };
    assert_eq!(outcome, Outcome::Notified(taken));
    assert_eq!(response[..4], [0, 9, 0xa4, 0], "QR, NOTIFY, AA, NOERROR");
    let mut newer = notify(9, &x, None);
    newer[11] = 1;
    newer.extend([0, 0, 41, 4, 208, 0, 1, 0, 0, 0, 0]);
    let (_, response) = said(&snapshot, &newer, PRIMARY, Transport::Udp);
    let read = dns::message::Message::read(&response).expect("a message");
    assert_eq!(read.rcode(), 16, "RFC 6891 6.1.3: BADVERS");
    for (packet, peer, code, why) in [
        (&told, STRANGER, 5, "not a primary"),
        (&notify(1, &gone, None), PRIMARY, 5, "without the key"),
        (
            &notify(1, &name("none.test"), None),
            PRIMARY,
            9,
            "no such zone",
        ),
    ] {
        let (outcome, response) = said(&snapshot, packet, peer, Transport::Udp);
        assert!(
            matches!(outcome, Outcome::Rejected(_)),
            "{why}: {outcome:?}"
        );
        assert_eq!(rcode(&response), code, "{why}");
    }
    let mut signed = notify(1, &gone, None);
    let mut verifier = Signer::request(key(), &mut signed, unix_now());
    let (outcome, response) = said(&snapshot, &signed, PRIMARY, Transport::Udp);
    assert!(matches!(outcome, Outcome::Notified(n) if n.serial.is_none()));
    assert!(
        verifier.message(&response, unix_now()).is_ok(),
        "signed in return"
    );
}

#[test]
fn requests_that_are_turned_down() {
    let snapshot = snapshot(zones(7, ""), Journal::default());
    let axfr = |zone: &str| transfer_query(1, &name(zone), None);
    let have = soa(7);
    let ixfr = transfer_query(1, &name("x.test"), Some((300, &have)));
    let mut nothing = ixfr.clone();
    nothing[9] = 0;
    nothing.truncate(12 + 8 + 4);
    for (packet, peer, transport, code, why) in [
        (
            &axfr("x.test"),
            STRANGER,
            Transport::Tcp,
            5,
            "not to this client",
        ),
        (
            &axfr("x.test"),
            CLIENT,
            Transport::Tcp,
            5,
            "not without the key",
        ),
        (
            &axfr("none.test"),
            PRIMARY,
            Transport::Tcp,
            9,
            "RFC 5936 2.2.1",
        ),
        (
            &axfr("gone.test"),
            PRIMARY,
            Transport::Tcp,
            2,
            "it has expired",
        ),
        (&axfr("x.test"), PRIMARY, Transport::Udp, 1, "RFC 5936 4.2"),
        (
            &axfr("x.test"),
            PRIMARY,
            Transport::Https,
            5,
            "not over DoH",
        ),
        (
            &nothing,
            PRIMARY,
            Transport::Udp,
            1,
            "RFC 1995 3: from which version",
        ),
    ] {
        let (_, response) = said(&snapshot, packet, peer, transport);
        assert_eq!(rcode(&response), code, "{why}");
        assert_eq!(response[6..8], [0, 0], "{why}: no records");
    }
    let (_, response) = said(&snapshot, &ixfr, PRIMARY, Transport::Udp);
    assert_eq!((rcode(&response), response[7]), (0, 1), "the SOA alone");
    let ordinary = common::packet("www.gone.test A", None);
    let (_, response) = said(&snapshot, &ordinary, STRANGER, Transport::Udp);
    assert_eq!(rcode(&response), 2, "an expired zone answers nothing");
}

fn reader(snapshot: Snapshot) -> Reader {
    steering::channel(snapshot).1
}

/// All messages of a transfer, signed or not, and what was received.
fn transferred(reader: &Reader, have: Option<u32>, signed: bool) -> (usize, Received) {
    let registry = prometheus::Registry::new();
    let service = Service::new(Arc::new(Metrics::new(&registry).expect("new names")));
    let zone = name("x.test");
    let old = have.map(soa);
    let mut request = transfer_query(5, &zone, old.as_deref().map(|soa| (300, soa)));
    let mut verifier: Option<Verifier> =
        signed.then(|| Signer::request(key(), &mut request, unix_now()));
    let peer = if signed { CLIENT } else { PRIMARY };
    let opened = service.open(reader, &request, ip(peer), Transport::Tcp);
    let mut messages = opened.expect("it is granted");
    let asked = Asked { zone, id: 5, have };
    let mut incoming = Incoming::new(asked, Limits::default());
    let (mut count, mut done, mut message) = (0, false, Vec::new());
    while messages.next(&mut message) {
        assert!(!done && message.len() <= 65_535);
        let plain = match &mut verifier {
            Some(verifier) => verifier.message(&message, unix_now()).expect("it holds"),
            None => message.clone(),
        };
        done = incoming.message(&plain).expect("well-formed");
        count += 1;
        message.clear();
    }
    if let Some(verifier) = verifier {
        verifier.finish().expect("signed to the end");
    }
    (count, incoming.finish(false).expect("all of it"))
}

#[test]
fn rfc5936_2_2_a_large_zone_arrives_as_it_is_signed_or_not() {
    let mut more = String::new();
    for i in 0..20_000 {
        more.push_str(&format!("host-{i} A 10.0.{}.{}\n", i / 256 % 256, i % 256));
    }
    more.push_str(&format!(
        "long TXT {}\n",
        "\"0123456789abcdef\" ".repeat(1_000)
    ));
    let before = zones(7, &more);
    let zone = before.at(&name("x.test")).expect("the zone");
    let mut expected: Vec<OwnedRecord> = zone
        .records()
        .map(|record| OwnedRecord {
            owner: Name::from_wire(record.owner).expect("a name"),
            rtype: record.rtype,
            ttl: record.ttl,
            data: record.data.into(),
        })
        .collect();
    expected.sort_by_key(|record| record.rtype != RType::SOA);
    let reader = reader(snapshot(zones(7, &more), Journal::default()));
    for signed in [false, true] {
        let (messages, received) = transferred(&reader, None, signed);
        assert!(messages > 5, "{messages}");
        assert_eq!(received, Received::Whole(expected.clone()));
    }
    let file = to_master_file(&expected);
    assert_eq!(from_master_file(&file, &name("x.test")), Some(expected));
}

fn journal(versions: &[(u32, &str)]) -> (Zones, Journal, Vec<Moved>) {
    let mut journal = Journal::default();
    let mut old: Option<Zones> = None;
    let mut all = Vec::new();
    for (serial, more) in versions {
        let new = zones(*serial, more);
        let (next, moved) = journal.next(old.as_ref(), &new, |_| true);
        journal = next;
        all.extend(moved);
        old = Some(new);
    }
    (old.expect("a version"), journal, all)
}

#[test]
fn rfc1995_4_differences_lead_to_the_same_zone() {
    let versions = [
        (7, "a A 192.0.2.1\nb A 192.0.2.2\n"),
        (8, "a A 192.0.2.1\na A 192.0.2.9\n"),
        (9, "a 60 A 192.0.2.1\na 60 A 192.0.2.9\nc TXT new\n"),
    ];
    let (now, known, _) = journal(&versions);
    let whole = transferred(
        &reader(snapshot(zones(7, versions[0].1), Journal::default())),
        None,
        false,
    )
    .1;
    let reader = reader(snapshot(now, known));
    let (Received::Whole(old), (_, Received::Whole(new))) =
        (whole, transferred(&reader, None, true))
    else {
        panic!("both are whole");
    };
    let (_, Received::Changes(deltas)) = transferred(&reader, Some(7), true) else {
        panic!("what changed is known");
    };
    assert_eq!(
        deltas.iter().map(|d| (d.from, d.to)).collect::<Vec<_>>(),
        [(7, 8), (8, 9)]
    );
    let sorted = |mut records: Vec<OwnedRecord>| {
        records.sort_by_key(|r| (r.owner.as_wire().to_vec(), r.rtype, r.data.clone()));
        records
    };
    assert_eq!(
        sorted(apply(old.clone(), deltas.clone()).expect("they fit")),
        sorted(new)
    );
    let again = apply(apply(old, deltas.clone()).expect("they fit"), deltas);
    assert!(again.is_err(), "differences fit one version only");
    assert_eq!(transferred(&reader, Some(9), false).1, Received::UpToDate);
    assert_eq!(transferred(&reader, Some(10), false).1, Received::UpToDate);
    assert!(matches!(
        transferred(&reader, Some(6), false).1,
        Received::Whole(_)
    ));
}

#[test]
fn what_no_secondary_would_notice_is_told() {
    let x = || name("x.test");
    let (_, _, moved) = journal(&[(7, ""), (7, ""), (7, "a A 192.0.2.1\n"), (6, ""), (8, "")]);
    let grew = |from, to| Moved::Grew {
        zone: x(),
        from,
        to,
    };
    let expected = [
        grew(None, 7),
        Moved::Stuck {
            zone: x(),
            serial: 7,
        },
        Moved::Back {
            zone: x(),
            from: 7,
            to: 6,
        },
        grew(Some(6), 8),
    ];
    assert_eq!(moved, expected);
    let (_, known, _) = journal(&[
        (6, ""),
        (7, "a A 192.0.2.1\n"),
        (7, "b A 192.0.2.1\n"),
        (8, ""),
    ]);
    assert!(
        known.between(&x(), 6, 8).is_none(),
        "what led to another 7 leads nowhere"
    );
    assert!(known.between(&x(), 7, 8).is_some());
}

/// A message of these records for an IXFR from version 1.
fn message(records: &[(&str, u16, &[u8])]) -> Vec<u8> {
    let mut out = vec![0, 5, 0x84, 0, 0, 1, 0, records.len() as u8, 0, 0, 0, 0];
    out.extend(b"\x01x\x04test\x00\x00\xfb\x00\x01");
    for (owner, rtype, data) in records {
        out.extend(name(owner).as_wire());
        out.extend(rtype.to_be_bytes());
        out.extend([0, 1, 0, 0, 1, 44]);
        out.extend((data.len() as u16).to_be_bytes());
        out.extend(*data);
    }
    out
}

#[test]
fn malformed_transfers_are_broken_off_with_a_reason() {
    let soas = [1, 2, 3, 4].map(soa);
    let [s1, s2, s3, s4] = soas.each_ref().map(|data| ("x.test", 6, &data[..]));
    let a: (&str, u16, &[u8]) = ("a.x.test", 1, &[192, 0, 2, 1]);
    let far: (&str, u16, &[u8]) = ("a.y.test", 1, &[192, 0, 2, 1]);
    let meta: (&str, u16, &[u8]) = ("a.x.test", 255, &[]);
    let bad_ns: (&str, u16, &[u8]) = ("x.test", 2, &[0xc0]);
    let start = || {
        let asked = Asked {
            zone: name("x.test"),
            id: 5,
            have: Some(1),
        };
        Incoming::new(
            asked,
            Limits {
                octets: 2_000,
                messages: 3,
            },
        )
    };
    let mut refused = message(&[]);
    refused[3] = 5;
    let mut other = message(&[s3]);
    other[1] = 6;
    for (messages, expected) in [
        (vec![other], Malformed::Foreign),
        (vec![refused], Malformed::Rcode(5)),
        (vec![message(&[a])], Malformed::NoSoa),
        (
            vec![message(&[s3, s1, a, s2, s2, a, s4, s3])],
            Malformed::Sequence(3, 4),
        ),
        (vec![message(&[s3, a, s2])], Malformed::Sequence(2, 3)),
        (vec![message(&[s3, a, s3, a])], Malformed::Trailing),
        (vec![message(&[s3, bad_ns])], Malformed::Unreadable),
        (
            vec![message(&[s3, meta])],
            Malformed::Record("a.x.test. CLASS1 ANY".to_owned()),
        ),
        (vec![message(&[s3, a]); 4], Malformed::Trailing),
        (
            vec![message(&[s3]), message(&[a]), message(&[a]), message(&[a])],
            Malformed::TooMuch("3 messages".to_owned()),
        ),
        (
            vec![message(&[s3]), message(&[a; 100])],
            Malformed::TooMuch("2000 octets".to_owned()),
        ),
    ] {
        let mut incoming = start();
        let ended = messages
            .iter()
            .find_map(|message| match incoming.message(message) {
                Ok(true) => Some(Malformed::Sequence(3, 3)),
                Ok(false) => None,
                Err(error) => Some(error),
            });
        assert_eq!(ended, Some(expected));
    }
    let mut incoming = start();
    assert_eq!(incoming.message(&message(&[s3, far, a])), Ok(false));
    assert_eq!(incoming.foreign(), 1, "another zone's record is left out");
    assert_eq!(incoming.finish(false), Err(Malformed::Short));
    let mut incoming = start();
    assert_eq!(incoming.message(&message(&[s3])), Ok(false));
    assert_eq!(
        incoming.finish(true),
        Ok(Received::TooLong),
        "RFC 1995 2: over UDP"
    );
    let mut incoming = start();
    assert_eq!(incoming.message(&message(&[s3, s1, a, s3, s3])), Ok(true));
    let Ok(Received::Changes(deltas)) = incoming.finish(false) else {
        panic!("one difference");
    };
    assert_eq!(
        deltas.iter().map(Delta::is_empty).collect::<Vec<_>>(),
        [false]
    );
}

#[test]
fn rfc7314_3_2_what_is_left_of_a_zone_from_a_primary_is_not_made_up() {
    let snapshot = snapshot(zones(7, ""), Journal::default());
    let query = common::packet("x.test SOA", Some(&common::option(9, &[])));
    let (_, response) = said(&snapshot, &query, STRANGER, Transport::Udp);
    let read = dns::message::Message::read(&response).expect("a message");
    assert_eq!((rcode(&response), read.sections[0].len()), (0, 1));
    assert!(read.opt.expect("an OPT record").options.is_empty());
}
