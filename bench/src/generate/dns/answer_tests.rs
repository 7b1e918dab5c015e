//! The answer reader against what another library writes, against handmade answers, and against noise.

use super::*;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsOption};
use hickory_proto::rr::rdata::{A as HickoryA, AAAA as HickoryAaaa, CNAME as HickoryCname};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use steering::RegionId;

/// 192.0.2.n and 2001:db8::n are of region n, for n from 1 to 9; r1.example.net to r9.example.net too.
fn places() -> Places {
    let v4 = (1..10).map(|n| (IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)), region(n)));
    let v6 = (1..10).map(|n| (IpAddr::V6(v6(n)), region(n)));
    let names: Vec<String> = (1..10).map(|n| format!("r{n}.example.net")).collect();
    let names = names
        .iter()
        .zip(1..10)
        .map(|(name, n)| (name.as_str(), region(n)));
    Places::new(v4.chain(v6), names)
}

fn region(n: u8) -> RegionId {
    RegionId::at(usize::from(n))
}

fn v6(n: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n.into())
}

fn regions(all: &[u8]) -> RegionSet {
    all.iter().copied().map(region).collect()
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name of the test")
}

/// A response with these answers.
fn response(answers: &[RData]) -> Message {
    let mut message = Message::new(7, MessageType::Response, OpCode::Query);
    message.add_query(Query::query(name("Api.example.com."), RecordType::A));
    for data in answers {
        message.add_answer(Record::from_rdata(
            name("api.example.com."),
            60,
            data.clone(),
        ));
    }
    message
}

fn a(n: u8) -> RData {
    RData::A(HickoryA(Ipv4Addr::new(192, 0, 2, n)))
}

fn aaaa(n: u8) -> RData {
    RData::AAAA(HickoryAaaa(v6(n)))
}

fn cname(target: &str) -> RData {
    RData::CNAME(HickoryCname(name(target)))
}

fn wire(message: &Message) -> Vec<u8> {
    message.to_vec().expect("a message of the test")
}

fn answer_of(message: &Message) -> Answer {
    read(&wire(message), &places())
        .expect("it is a response")
        .answer
}

#[test]
fn the_first_address_decides_and_all_regions_are_told() {
    for (data, first, all) in [
        (vec![a(3)], Outcome::Region(region(3)), &[3][..]),
        (vec![a(2), a(3), a(2)], Outcome::Region(region(2)), &[2, 3]),
        (vec![aaaa(9), aaaa(1)], Outcome::Region(region(9)), &[1, 9]),
        (vec![a(77), a(3)], Outcome::Elsewhere, &[3]),
        (vec![], Outcome::Nothing, &[]),
    ] {
        let answer = answer_of(&response(&data));
        assert_eq!(
            (answer.first, answer.regions),
            (first, regions(all)),
            "{data:?}"
        );
    }
}

#[test]
fn a_name_counts_where_it_stands_for_a_region_or_where_no_address_follows() {
    for (data, first, all) in [
        (
            vec![cname("R4.Example.NET.")],
            Outcome::Region(region(4)),
            &[4][..],
        ),
        (vec![cname("other.example.com.")], Outcome::Elsewhere, &[]),
        (
            vec![cname("other.example.com."), a(5)],
            Outcome::Region(region(5)),
            &[5],
        ),
        (
            vec![cname("r4.example.net."), a(5)],
            Outcome::Region(region(4)),
            &[4, 5],
        ),
    ] {
        let answer = answer_of(&response(&data));
        assert_eq!(
            (answer.first, answer.regions),
            (first, regions(all)),
            "{data:?}"
        );
    }
}

#[test]
fn a_scope_and_an_extended_code_are_read_from_the_opt_record() {
    let mut message = response(&[a(1)]);
    let mut edns = Edns::new();
    let subnet = ClientSubnet::new("203.0.113.0".parse().expect("an address"), 24, 20);
    edns.options_mut().insert(EdnsOption::Subnet(subnet));
    message.set_edns(edns);
    assert_eq!(answer_of(&message).scope, Some(20));
    message.metadata.response_code = ResponseCode::BADVERS;
    let read = read(&wire(&message), &places()).expect("it is a response");
    assert_eq!(read.rcode, 16);
    assert_eq!(read.counted(), Err(ErrorKind::Rcode(16)));
}

#[test]
fn an_empty_answer_is_a_refusal_where_the_reason_says_so() {
    let said = |code: u16, text: &str| {
        let mut message = response(&[]);
        let mut data = code.to_be_bytes().to_vec();
        data.extend(text.as_bytes());
        let mut edns = Edns::new();
        let option = EdnsOption::Unknown(EXTENDED_ERROR, data);
        edns.options_mut().insert(option);
        message.set_edns(edns);
        answer_of(&message).first
    };
    assert_eq!(said(18, "residency_exhausted"), Outcome::Refused);
    assert_eq!(said(18, ""), Outcome::Refused);
    assert_eq!(said(0, "policy_exhausted"), Outcome::Refused);
    assert_eq!(said(0, "policy_exhausted\0"), Outcome::Refused);
    assert_eq!(said(0, "no_match"), Outcome::Nothing);
    assert_eq!(said(3, "stale"), Outcome::Nothing);
}

#[test]
fn response_codes_and_truncation_are_told_apart() {
    for (code, counted) in [
        (ResponseCode::NoError, Ok(Outcome::Nothing)),
        (ResponseCode::NXDomain, Ok(Outcome::Nothing)),
        (ResponseCode::ServFail, Err(ErrorKind::Rcode(2))),
        (ResponseCode::Refused, Err(ErrorKind::Rcode(5))),
    ] {
        let mut message = response(&[]);
        message.metadata.response_code = code;
        let read = read(&wire(&message), &places()).expect("it is a response");
        assert_eq!(read.counted().map(|answer| answer.first), counted);
    }
    let mut message = response(&[a(1)]);
    message.metadata.truncation = true;
    let cut = wire(&message);
    for len in [cut.len(), cut.len() - 3, 12] {
        let read = read(&cut[..len], &places()).expect("it is a response");
        assert_eq!(read.counted(), Err(ErrorKind::Truncated));
    }
}

#[test]
fn what_is_no_response_is_none() {
    let good = wire(&response(&[a(1), cname("r2.example.net.")]));
    for len in 0..good.len() {
        assert_eq!(read(&good[..len], &places()), None, "cut at {len}");
    }
    let mut query = good.clone();
    query[2] &= 0x7f;
    assert_eq!(read(&query, &places()), None);
    let mut notify = good.clone();
    notify[2] |= 4 << 3;
    assert_eq!(read(&notify, &places()), None);
    let mut trailing = good;
    trailing.extend([1, 2, 3]);
    assert!(read(&trailing, &places()).is_some());
}

#[test]
fn a_name_that_points_to_itself_or_forward_is_none() {
    // CNAME whose data is a pointer; the data begins at 12 + 17 + 4 + 12.
    for target in [45u16, 46, 47, 0x3fff] {
        let mut message = wire(&response(&[]));
        message[7] = 1;
        message.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2]);
        assert_eq!(message.len(), 45);
        message.extend((0xc000 | target).to_be_bytes());
        assert_eq!(read(&message, &places()), None, "to {target}");
    }
}

fn data() -> impl Strategy<Value = RData> {
    prop_oneof![
        (0..20u8).prop_map(a),
        (0..20u8).prop_map(aaaa),
        (0..20u8).prop_map(|n| cname(&format!("r{n}.example.net."))),
        Just(cname("api.example.com.")),
    ]
}

proptest! {
    #[test]
    fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&octets, &places());
    }

    /// Noise that gets past the header.
    #[test]
    fn no_records_make_it_panic(
        counts in prop::array::uniform8(0..3u8),
        octets in prop::collection::vec(prop_oneof![any::<u8>(), Just(0u8), Just(192u8)], 0..200),
    ) {
        let mut message = vec![0, 0, 0x84, 0];
        message.extend(counts.map(|n| n / 2));
        message.extend(octets);
        let _ = read(&message, &places());
    }

    /// A changed octet makes another answer or none, never a panic.
    #[test]
    fn no_changed_octet_makes_it_panic(
        all in prop::collection::vec(data(), 0..8), at in any::<prop::sample::Index>(), to in any::<u8>(),
    ) {
        let mut message = wire(&response(&all));
        let at = at.index(message.len());
        message[at] = to;
        let _ = read(&message, &places());
    }

    #[test]
    fn it_reads_what_another_library_writes(
        all in prop::collection::vec(data(), 0..8), scope in prop::option::of(0..=24u8),
    ) {
        let mut message = response(&all);
        if let Some(scope) = scope {
            let mut edns = Edns::new();
            let subnet = ClientSubnet::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 0)), 24, scope);
            edns.options_mut().insert(EdnsOption::Subnet(subnet));
            message.set_edns(edns);
        }
        let places = places();
        let named = |data: &RData| match data {
            RData::A(address) => Some(places.v4(address.0)),
            RData::AAAA(address) => Some(places.v6(address.0)),
            RData::CNAME(target) => {
                let text = target.0.to_ascii().to_lowercase();
                places.name(text.trim_end_matches('.').as_bytes()).map(Outcome::Region)
            }
            _ => None,
        };
        let outcomes: Vec<Outcome> = all.iter().filter_map(named).collect();
        let stepped = all.len() > outcomes.len();
        let nothing = if stepped { Outcome::Elsewhere } else { Outcome::Nothing };
        let answer = read(&wire(&message), &places).expect("it is a response").answer;
        prop_assert_eq!(answer.first, outcomes.first().copied().unwrap_or(nothing));
        let regions = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Region(region) => Some(*region),
            _ => None,
        });
        prop_assert_eq!(answer.regions, regions.collect());
        prop_assert_eq!(answer.scope, scope);
    }
}
