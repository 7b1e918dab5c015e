//! Rate limiting on finished responses: what is counted under what, and what becomes of it.

use super::*;
use crate::{Name, RType};

fn rules(responses: u32) -> Rules {
    Rules {
        responses,
        errors: 2,
        nxdomains: 3,
        referrals: 4,
        all: 0,
        slip: 2,
        ipv4_prefix: 24,
        ipv6_prefix: 56,
        exempt: Partition::new([("10.0.0.0/8".parse().expect("a network"), 1)]),
        dry_run: false,
    }
}

/// A response: question `name` A, flags and rcode, then records as (section, owner pointer or name, type, octets).
fn response(name: &str, aa: bool, rcode: u8, counts: [u8; 3], records: &[u8]) -> Vec<u8> {
    let name: Name = name.parse().expect("a name");
    let high = if aa { 0x84 } else { 0x80 };
    let [an, ns, ar] = counts;
    let mut octets = vec![1, 2, high, rcode, 0, 1, 0, an, 0, ns, 0, ar];
    octets.extend_from_slice(name.as_wire());
    octets.extend([0, 1, 0, 1]);
    octets.extend_from_slice(records);
    octets
}

/// A record at a pointer to offset `at`.
fn record(at: u8, rtype: RType, data: &[u8]) -> Vec<u8> {
    let mut octets = vec![0xc0, at];
    octets.extend(rtype.0.to_be_bytes());
    octets.extend([0, 1, 0, 0, 0, 60]);
    octets.extend((data.len() as u16).to_be_bytes());
    octets.extend_from_slice(data);
    octets
}

const OPT: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

fn class(octets: &[u8], covered: u8) -> (Class, String) {
    let (class, key) = classify::classify(octets, covered);
    let (key, star) = match key.strip_suffix(b"*") {
        Some(parent) => (parent, "*."),
        None => (&key[..], ""),
    };
    let wire = [key, &[0]].concat();
    (
        class,
        format!("{star}{}", Name::from_wire(&wire).expect("a name")),
    )
}

#[test]
fn responses_are_counted_by_what_cannot_be_varied() {
    let a = record(12, RType::A, &[192, 0, 2, 1]);
    let soa = |at| record(at, RType::SOA, &[0; 22]);
    let ns = |at| record(at, RType::NS, &[0]);
    for (octets, covered, expected) in [
        (
            response("www.example.com", true, 0, [1, 0, 0], &a),
            0,
            (Class::Answer, "www.example.com."),
        ),
        (
            response("x7.w.example.com", true, 0, [1, 0, 0], &a),
            3,
            (Class::Answer, "*.w.example.com."),
        ),
        (
            response("www.example.com", true, 0, [0, 1, 0], &soa(16)),
            0,
            (Class::Answer, "www.example.com."),
        ),
        (
            response("q1.example.com", true, 3, [0, 1, 0], &soa(15)),
            0,
            (Class::NxDomain, "example.com."),
        ),
        (
            response(
                "q1.example.com",
                true,
                3,
                [1, 1, 0],
                &[record(12, RType::CNAME, &[0]), soa(15)].concat(),
            ),
            0,
            (Class::NxDomain, "example.com."),
        ),
        (
            response("a.b.child.example.com", false, 0, [0, 1, 0], &ns(16)),
            0,
            (Class::Referral, "child.example.com."),
        ),
        (
            response("example.org", false, 5, [0, 0, 1], &OPT),
            0,
            (Class::Error, "."),
        ),
        // BADVERS: the low four bits are those of NOERROR.
        (
            response("example.com", false, 0, [0, 0, 1], &OPT),
            0,
            (Class::Error, "."),
        ),
        (
            vec![1, 2, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            0,
            (Class::Error, "."),
        ),
        (vec![1, 2], 0, (Class::Error, ".")),
    ] {
        let (class, name) = class(&octets, covered);
        assert_eq!((class, name.as_str()), expected, "{octets:?}");
    }
}

#[test]
fn case_makes_no_other_key() {
    let a = record(12, RType::A, &[192, 0, 2, 1]);
    let lower = response("www.example.com", true, 0, [1, 0, 0], &a);
    let mut upper = lower.clone();
    upper[13..16].make_ascii_uppercase();
    assert_ne!(lower, upper);
    assert_eq!(classify::classify(&lower, 0), classify::classify(&upper, 0));
}

#[test]
fn what_is_cut_keeps_question_and_opt() {
    let records = [record(12, RType::A, &[192, 0, 2, 1]), OPT.to_vec()].concat();
    let mut octets = response("www.example.com", true, 0, [1, 0, 1], &records);
    let length = cut::cut(&mut octets);
    octets.truncate(length);
    let mut expected = response("www.example.com", true, 0, [0, 0, 1], &OPT);
    expected[2] |= 0x02;
    assert_eq!(octets, expected);
    let mut bare = response("www.example.com", true, 0, [1, 0, 0], &records[..16]);
    let length = cut::cut(&mut bare);
    bare.truncate(length);
    let mut expected = response("www.example.com", true, 0, [0, 0, 0], &[]);
    expected[2] |= 0x02;
    assert_eq!(bare, expected);
}

struct Asker {
    limiter: Limiter,
    rules: Rules,
}

impl Asker {
    fn new(rules: Rules) -> Self {
        Self {
            limiter: Limiter::new(),
            rules,
        }
    }

    fn ask(&self, client: &str, octets: &[u8]) -> Ruling {
        let response = Response {
            client: client.parse().expect("an address"),
            octets: &mut octets.to_vec(),
            covered: 0,
        };
        self.limiter
            .rule(&self.rules, response, Duration::from_secs(3))
    }

    fn passed(&self, client: &str, octets: &[u8]) -> usize {
        (0..40)
            .filter(|_| self.ask(client, octets) == Ruling::Pass)
            .count()
    }
}

#[test]
fn each_class_has_its_rate_and_each_network_its_own() {
    let asker = Asker::new(rules(5));
    let a = record(12, RType::A, &[192, 0, 2, 1]);
    let www = response("www.example.com", true, 0, [1, 0, 0], &a);
    assert_eq!(asker.passed("192.0.2.1", &www), 5);
    assert_eq!(asker.passed("192.0.2.200", &www), 0, "the same network");
    assert_eq!(asker.passed("192.0.3.1", &www), 5, "another");
    assert_eq!(
        asker.passed("::ffff:192.0.2.7", &www),
        0,
        "the same, mapped"
    );
    assert_eq!(asker.passed("2001:db8:0:1::1", &www), 5);
    assert_eq!(asker.passed("2001:db8:0:ff::1", &www), 0, "the same /56");
    assert_eq!(asker.passed("2001:db8:0:100::1", &www), 5, "the next /56");
    let api = response("api.example.com", true, 0, [1, 0, 0], &a);
    assert_eq!(asker.passed("192.0.2.1", &api), 5, "another name");
    let refused = response("example.org", false, 5, [0, 0, 0], &[]);
    assert_eq!(asker.passed("192.0.2.1", &refused), 2);
    assert_eq!(asker.passed("10.1.2.3", &www), 40, "exempt");
}

#[test]
fn slip_and_drop_take_turns_and_are_counted() {
    let asker = Asker::new(rules(1));
    let www = response(
        "www.example.com",
        true,
        0,
        [1, 0, 0],
        &record(12, RType::A, &[192, 0, 2, 1]),
    );
    let rulings: Vec<Ruling> = (0..5).map(|_| asker.ask("192.0.2.1", &www)).collect();
    let slip = Ruling::Slip(www.len() - 16);
    assert_eq!(
        rulings,
        [Ruling::Pass, Ruling::Drop, slip, Ruling::Drop, slip]
    );
    assert_eq!(asker.limiter.active.len(), 1);
    asker.limiter.tidy(Duration::from_secs(30));
    assert_eq!(asker.limiter.active.len(), 1);
    asker.limiter.tidy(Duration::from_secs(90));
    assert_eq!(asker.limiter.active.len(), 0);
}

#[test]
fn a_dry_run_counts_and_does_nothing() {
    let mut dry = rules(1);
    dry.dry_run = true;
    let asker = Asker::new(dry);
    let www = response(
        "www.example.com",
        true,
        0,
        [1, 0, 0],
        &record(12, RType::A, &[192, 0, 2, 1]),
    );
    assert_eq!(asker.ask("192.0.2.1", &www), Ruling::Pass);
    for _ in 0..39 {
        assert_eq!(asker.ask("192.0.2.1", &www), Ruling::DryRun);
    }
}

#[test]
fn all_together_bounds_what_the_classes_let_through() {
    let mut rules = rules(0);
    rules.all = 7;
    let asker = Asker::new(rules);
    let a = record(12, RType::A, &[192, 0, 2, 1]);
    let passed = (0..40)
        .filter(|i| {
            let name = format!("n{i}.example.com");
            let octets = response(&name, true, 0, [1, 0, 0], &a);
            asker.ask("192.0.2.1", &octets) == Ruling::Pass
        })
        .count();
    assert_eq!(passed, 7);
}

#[test]
fn no_octets_upset_it() {
    let asker = Asker::new(rules(1));
    let whole = response(
        "www.example.com",
        true,
        3,
        [1, 1, 1],
        &[
            record(12, RType::A, &[192, 0, 2, 1]),
            record(16, RType::SOA, &[0; 22]),
            OPT.to_vec(),
        ]
        .concat(),
    );
    for end in 0..whole.len() {
        for _ in 0..4 {
            asker.ask("192.0.2.1", &whole[..end]);
        }
        let mut loops = whole[..end].to_vec();
        if end > 13 {
            loops[12] = 0xc0;
            loops[13] = 12;
            asker.ask("192.0.2.1", &loops);
        }
    }
}
