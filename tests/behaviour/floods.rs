//! Datagrams that nobody means well with: anything but queries, and queries from everywhere. They are counted, memory
//! stays where it is, and who asks properly is still answered.

use crate::harness::chance::{Chance, seed};
use crate::harness::pop::Pop;
use crate::harness::wire::Question;
use crate::operating::{metrics, series};
use crate::parity::demo_config;
use bench::procfs::tree_resident_bytes;
use std::net::{Ipv4Addr, UdpSocket};

/// How many datagrams a flood has.
const DATAGRAMS: usize = 20_000;
/// From how many addresses queries come.
const SOURCES: usize = 400;
/// After how many datagrams the PoP is asked something proper: it keeps up, and none is lost for lack of room.
const PAUSE: usize = 64;
/// By how much memory may grow after the first flood: the buffers of a socket, not something for each datagram.
const GROWTH_BYTES: u64 = 16 << 20;
/// The largest datagram that IPv4 has room for.
const LARGEST: usize = 65_507;

/// What a flood is made of.
fn datagram(chance: &mut Chance, i: usize) -> Vec<u8> {
    let query = Question::a(&format!("n{}.demo.test", chance.below(1 << 30))).encode(i as u16);
    let octets = |chance: &mut Chance, count: usize| -> Vec<u8> {
        (0..count).map(|_| chance.draw() as u8).collect()
    };
    match i % 8 {
        // Octets that mean nothing.
        0 => {
            let count = chance.below(600);
            octets(chance, count)
        }
        // A response: to answer it could go on for ever.
        1 => [&query[..2], &[0x80], &query[3..]].concat(),
        // A query that ends too early.
        2 => query[..chance.below(query.len())].to_vec(),
        // A query with something behind it.
        3 => [query, vec![0; 1 + chance.below(40)]].concat(),
        // As much as a datagram holds, now and then.
        4 if i % 512 == 4 => {
            let mut all = query;
            all.resize(LARGEST, 0xff);
            all
        }
        // A query with some of its octets changed.
        5 => {
            let mut bent = query;
            for _ in 0..1 + chance.below(4) {
                let at = chance.below(bent.len());
                bent[at] = chance.draw() as u8;
            }
            bent
        }
        // Counts that promise more than there is.
        6 => [&query[..4], &[0xff; 8], &query[12..]].concat(),
        _ => query,
    }
}

/// Sends one flood and reads nothing of what comes back. Gives how many were sent that nobody answers: shorter than a
/// header, or responses.
fn flood(pop: &Pop, chance: &mut Chance) -> u64 {
    let sources: Vec<UdpSocket> = (0..SOURCES)
        .map(|i| {
            let address = Ipv4Addr::new(127, 9, (i / 250) as u8, (i % 250) as u8 + 1);
            UdpSocket::bind((address, 0)).expect("an address of loopback")
        })
        .collect();
    let mut dns = pop.dns();
    let mut ignored = 0;
    for i in 0..DATAGRAMS {
        let datagram = datagram(chance, i);
        let is_response = datagram.get(2).is_some_and(|flags| flags & 0x80 != 0);
        ignored += u64::from(datagram.len() < 12 || is_response);
        let source = &sources[chance.below(SOURCES)];
        // A full buffer on the way is nobody's failure here.
        let _ = source.send_to(&datagram, pop.places.dns);
        if i % PAUSE == 0 {
            let proper = dns.ask(&Question::a("us.demo.test")).expect("an answer");
            assert_eq!(proper.rcode, 0);
            assert!(!proper.addresses().is_empty());
        }
    }
    ignored
}

#[test]
fn floods_of_malformed_datagrams_are_counted_and_cost_no_memory() {
    let seed = seed(9);
    let mut chance = Chance::new(seed);
    let pop = Pop::start(&demo_config());
    let dropped = |text: &str| series(text, "rhumb_dns_dropped_total").unwrap_or(0.0) as u64;
    let before = dropped(&metrics(&pop));
    let mut ignored = flood(&pop, &mut chance);
    let resident = tree_resident_bytes(pop.process_id());
    ignored += flood(&pop, &mut chance);
    let grown = tree_resident_bytes(pop.process_id()).saturating_sub(resident);
    let after = metrics(&pop);
    let counted = dropped(&after) - before;
    // Those that the system had no room for were never seen.
    assert!(
        counted <= ignored && counted * 10 >= ignored * 9,
        "RHUMB_SEED={seed}: {counted} of {ignored} are counted as dropped:\n{after}"
    );
    let code = |code: &str| {
        let series_of = format!("rhumb_dns_responses_total{{rcode=\"{code}\"}}");
        series(&after, &series_of).unwrap_or(0.0)
    };
    assert!(
        code("FORMERR") > 1_000.0 && code("NXDOMAIN") > 1_000.0,
        "{after}"
    );
    assert!(
        grown < GROWTH_BYTES,
        "RHUMB_SEED={seed}: {DATAGRAMS} datagrams more took {grown} bytes more"
    );
    eprintln!(
        "{counted} of {ignored} counted as dropped; {resident} bytes resident, and {grown} more after as many again"
    );
}
