//! What holds for any octets, any name and any client.

mod common;

use common::{ip, packet, show, subnet, world};
use dns::{Ecs, Edns, Name, Query, RType, Rules, Transport, answer, respond};
use hickory_proto::op::{Message, MessageType};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use steering::Snapshot;

static WORLD: LazyLock<Snapshot> = LazyLock::new(world);

/// Either nothing, or a response that another implementation can read, with the query's ID and within its
/// size.
fn is_sound(octets: &[u8], transport: Transport) -> Result<(), TestCaseError> {
    let rules = Rules::default();
    let Some(response) = respond(&WORLD, octets, ip(common::DE), transport, &rules, 3) else {
        return Ok(());
    };
    prop_assert!(
        octets.len() >= 12 && octets[2] & 0x80 == 0,
        "only queries are answered"
    );
    let limit = if transport == Transport::Udp {
        1232
    } else {
        65_535
    };
    prop_assert!(response.len() <= limit);
    let message = Message::from_vec(&response);
    prop_assert!(message.is_ok(), "{message:?}: {response:02x?}");
    if let Ok(message) = message {
        prop_assert_eq!(message.metadata.message_type, MessageType::Response);
        prop_assert_eq!(&message.metadata.id.to_be_bytes(), &octets[..2]);
    }
    Ok(())
}

fn questions() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "example.",
        "www.example.",
        "geo.example.",
        "pinned.example.",
        "named.example.",
        "chain.example.",
        "x.wild.example.",
        "child.example.",
        "nothing.example.",
        "second.test.",
        "to.second.test.",
        "com.",
        ".",
    ]);
    let types = prop::sample::select(vec![
        "A", "AAAA", "HTTPS", "ANY", "DS", "NS", "SOA", "TXT", "CNAME", "AXFR",
    ]);
    (names, types).prop_map(|(name, rtype)| format!("{name} {rtype}"))
}

fn transports() -> impl Strategy<Value = Transport> {
    prop::sample::select(vec![Transport::Udp, Transport::Tcp])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_octets_get_nothing_or_a_sound_response(
        octets in prop::collection::vec(any::<u8>(), 0..600), transport in transports(),
    ) {
        is_sound(&octets, transport)?;
    }

    #[test]
    fn any_octets_behind_a_query_header_do_too(
        body in prop::collection::vec(any::<u8>(), 0..300), counts in prop::array::uniform4(0..3_u8),
    ) {
        let mut octets = vec![1, 2, 0, 0];
        octets.extend(counts.iter().flat_map(|count| [0, *count]));
        octets.extend(body);
        is_sound(&octets, Transport::Udp)?;
    }

    #[test]
    fn damaged_queries_do_too(
        question in questions(), ecs in any::<bool>(), transport in transports(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut octets = packet(&question, ecs.then(|| subnet("192.0.2.0/24")).as_deref());
        for (at, octet) in &damage {
            let at = at.index(octets.len());
            octets[at] = *octet;
        }
        is_sound(&octets, transport)?;
        octets.truncate(cut.index(octets.len() + 1));
        is_sound(&octets, transport)?;
    }

    #[test]
    fn whole_queries_are_answered(question in questions(), transport in transports(), draw in any::<u64>()) {
        let octets = packet(&question, Some(&subnet("203.0.113.0/24")));
        is_sound(&octets, transport)?;
        let response = respond(&WORLD, &octets, ip(common::US), transport, &Rules::default(), draw);
        let lines = show(&response.expect("a response"));
        prop_assert!(lines.last().is_some_and(|line| line.starts_with("ecs ") || line.starts_with("ede ")), "{lines:?}");
    }

    /// Scope truth: whoever shares the bits the scope names gets the same records. A scope longer than
    /// what was told asks for more bits: until they come, the answer is that of the whole network told
    /// (which a residency rule may pin for another part of it).
    #[test]
    fn rfc7871_every_client_within_the_scope_gets_the_same_answer(
        question in questions(), address in any::<u32>(), near in any::<bool>(), other in any::<u32>(),
        source in 1..=32_u8, draw in any::<u64>(),
    ) {
        // Half of the time near the networks where locations change.
        let address = if near { 0xc000_0200 ^ (address & 0x3ff) } else { address };
        let first = ecs_answer(&question, address.into(), source, draw);
        let scope = first.1;
        let mask = u32::MAX.checked_shl(32 - u32::from(scope)).unwrap_or(0);
        let told = Ecs::new(IpAddr::V4(address.into()), source).client().expect("an address");
        let IpAddr::V4(told) = told else { unreachable!("IPv4 went in") };
        let neighbour = (u32::from(told) & mask) | (other & !mask);
        let told_then = if scope <= source { 32 } else { source };
        let second = ecs_answer(&question, neighbour.into(), told_then, draw);
        prop_assert_eq!(&first.0, &second.0, "{}/{} and {}", told, scope, Ipv4Addr::from(neighbour));
        prop_assert_eq!(first.1, second.1);
    }

    #[test]
    fn names_survive_text(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..=20), 0..8)) {
        let mut wire = Vec::new();
        for label in &labels {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        }
        wire.push(0);
        let name = Name::from_wire(&wire).expect("a name");
        prop_assert_eq!(Name::parse(&name.to_string()), Ok(name));
    }

    #[test]
    fn any_master_file_is_read_or_refused_with_a_line(text in "[ -~\n\t\u{e9}]{0,200}") {
        let spec = common::zone("example", &text);
        if let Err(problems) = dns::Zones::build(vec![spec], Vec::new()) {
            prop_assert!(!problems.is_empty());
            let last = text.lines().count().max(1) as u32;
            for problem in problems {
                prop_assert!(problem.line.is_none_or(|line| (1..=last).contains(&line)), "{}", problem);
                prop_assert!(!problem.message.is_empty());
            }
        }
    }
}

/// The records of an answer, and its scope.
fn ecs_answer(question: &str, client: Ipv4Addr, source: u8, draw: u64) -> (Vec<String>, u8) {
    let (name, rtype) = question.split_once(' ').expect("name and type");
    let rtype: RType = rtype.parse().expect(rtype);
    let query = Query {
        edns: Some(Edns {
            ecs: Some(Ecs::new(client.into(), source)),
            ..Edns::default()
        }),
        ..Query::new(Name::parse(name).expect(name), rtype, ip(common::SG))
    };
    let answer = answer(&WORLD, &query, draw);
    let sections = answer
        .answer
        .iter()
        .chain(&answer.authority)
        .chain(&answer.additional);
    let mut lines: Vec<String> = sections
        .map(|r| format!("{:?} {} {} {:?}", answer.owner(r), r.rtype, r.ttl, r.data))
        .collect();
    lines.push(format!("{:?} {:?}", answer.rcode, answer.ede));
    (lines, answer.scope)
}
