//! Questions drawn from a seed: at the names of a world, around and below them, for types that are there and that are
//! not, in every size of datagram and over TCP.

use crate::ask::{Over, Question};
use crate::chance::Chance;
use crate::message::rtype;
use crate::name::Name;
use crate::zones::World;

/// What is asked for, the likelier ones more than once.
const ASKED: [&str; 28] = [
    "A",
    "A",
    "A",
    "A",
    "AAAA",
    "AAAA",
    "NS",
    "NS",
    "SOA",
    "CNAME",
    "CNAME",
    "MX",
    "TXT",
    "TXT",
    "DS",
    "DS",
    "DNAME",
    "SRV",
    "PTR",
    "CAA",
    "HINFO",
    "NAPTR",
    "TYPE65280",
    "DNSKEY",
    "NSEC",
    "HTTPS",
    "ANY",
    "TLSA",
];

/// Labels put below a name that is there.
const BELOW: [&[u8]; 8] = [
    b"no",
    b"*",
    b"A",
    b"www",
    b"_x",
    b"ns1",
    b"\x00",
    b"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm",
];

/// RD, AD, CD, the reserved bit, and all together.
const FLAGS: [u16; 6] = [0x0100, 0x0100, 0x0020, 0x0010, 0x0040, 0x0170];

/// This many of them.
pub fn questions(world: &World, chance: &mut Chance, count: usize) -> Vec<Question> {
    let mut all = Vec::with_capacity(count);
    // Every name once with an ordinary question, so that none goes unasked.
    for name in &world.names {
        all.push(question(name.clone(), chance));
    }
    while all.len() < count {
        let name = name(world, chance);
        if name.fits() {
            all.push(question(name, chance));
        }
    }
    all
}

fn name(world: &World, chance: &mut Chance) -> Name {
    let mut name = chance.pick(&world.names).clone();
    match chance.below(10) {
        0..=2 => {}
        3..=5 => name = name.child(chance.pick::<&[u8]>(&BELOW)),
        6 => {
            name = name
                .child(chance.pick::<&[u8]>(&BELOW))
                .child(chance.pick::<&[u8]>(&BELOW))
        }
        7 => name = name.parent(),
        8 => name = name.parent().child(chance.pick::<&[u8]>(&BELOW)),
        // As deep as names go.
        _ => {
            while name.child(b"z").fits() && name.0.len() < 120 {
                name = name.child(b"z");
            }
        }
    }
    if chance.percent(30) {
        for label in &mut name.0 {
            for octet in label.iter_mut() {
                let upper = chance.percent(50);
                *octet = match upper {
                    true => octet.to_ascii_uppercase(),
                    false => octet.to_ascii_lowercase(),
                };
            }
        }
    }
    name
}

fn question(name: Name, chance: &mut Chance) -> Question {
    let over = match chance.below(6) {
        0 => Over::Udp(None),
        1 => Over::Udp(Some(512)),
        2 | 3 => Over::Udp(Some(1232)),
        4 => Over::Udp(Some(4096)),
        _ => Over::Tcp,
    };
    Question {
        name,
        rtype: rtype(chance.pick::<&str>(&ASKED)),
        over,
        dnssec: chance.percent(25),
        flags: if chance.percent(30) {
            *chance.pick(&FLAGS)
        } else {
            0
        },
        subnet: None,
    }
}
