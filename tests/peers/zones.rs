//! Zones drawn from a seed, dense with what servers get wrong: wildcards beside what they do not cover, empty
//! non-terminals, delegations within and beside each other with their glue here or there, aliases across zones and in
//! circles, DNAMEs, names at their bounds and labels that no host has.
//!
//! Written as master files that every server reads. What RFCs forbid (an alias beside other data, anything below a
//! DNAME) is never drawn: there is no right answer to it.

use crate::chance::Chance;
use crate::name::Name;
use std::collections::BTreeMap;
use std::fmt::Write;

/// One zone as everybody gets it.
pub struct Zone {
    pub apex: Name,
    pub text: String,
}

/// The zones of one server, and names worth asking about.
pub struct World {
    pub zones: Vec<Zone>,
    pub names: Vec<Name>,
}

/// Labels of a few kinds: common, odd in their octets, as long as they may be.
const LABELS: [&[u8]; 22] = [
    b"a",
    b"b",
    b"c",
    b"d",
    b"www",
    b"mail",
    b"A",
    b"wWw",
    b"_dmarc",
    b"_443",
    b"_tcp",
    b"x--y",
    b"1",
    b"0",
    b"a.b",
    b"a b",
    b"\"",
    b"\x00",
    b"\xff",
    b"\\;",
    b"@",
    b"lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll",
];

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Data,
    Alias,
    /// Delegated away.
    Cut,
    /// A DNAME: nothing may be below it.
    Renamed,
}

/// A zone in the making.
struct Draft {
    apex: Name,
    nodes: BTreeMap<Name, (Kind, Vec<String>)>,
    /// What lies below delegations: glue.
    glue: Vec<(Name, String)>,
    /// In the order they were drawn: an alias leads back only, so that a zone has no circle of its own.
    order: Vec<Name>,
}

/// Names that no zone here is within.
const OUTSIDE: [&str; 4] = ["elsewhere.example", "ns.example.net", "test", "a.b.c.d.e.f"];

/// How many names a zone has, about.
const NAMES: usize = 90;
const DNAMES: bool = true;
const APEXES: [&str; 4] = ["one.test", "two.test", "child.one.test", "a.two.test"];

/// Several zones beside each other, two of them below another.
pub fn several(chance: &mut Chance) -> World {
    let mut drafts: Vec<Draft> = APEXES
        .iter()
        .map(|apex| Draft::new(Name::plain(apex)))
        .collect();
    for i in 0..drafts.len() {
        for _ in 0..NAMES {
            let others: Vec<Name> = drafts.iter().flat_map(|one| one.order.clone()).collect();
            drafts[i].grow(chance, &others);
        }
    }
    // One child is known to its parent, the other is not: an operator forgets.
    drafts[0].delegate(&Name::plain("child.one.test"), &["ns1.child.one.test."]);
    servers(&mut drafts[0]);
    circles(&mut drafts);
    World::of(drafts)
}

/// The root zone, with everything below it delegated or not there, beside one zone that is here too.
pub fn root(chance: &mut Chance) -> World {
    let mut root = Draft::new(Name::default());
    for top in ["com", "net", "test", "xn--p1ai", "arpa"] {
        let servers = [format!("ns.{top}."), "a.servers.nowhere.".to_owned()];
        let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
        root.delegate(&Name::plain(top), &servers);
    }
    let mut below = Draft::new(Name::plain("here.test"));
    for _ in 0..NAMES {
        root.grow(chance, &below.order.clone());
        below.grow(chance, &root.order.clone());
    }
    World::of(vec![root, below])
}

impl World {
    fn of(drafts: Vec<Draft>) -> Self {
        let names = drafts.iter().flat_map(|draft| {
            let glue = draft.glue.iter().map(|(name, _)| name.clone());
            let nodes = draft.nodes.keys().cloned();
            nodes.chain(glue).chain([draft.apex.clone()])
        });
        Self {
            names: names.collect(),
            zones: drafts.iter().map(Draft::zone).collect(),
        }
    }
}

impl Draft {
    fn new(apex: Name) -> Self {
        let mut draft = Self {
            nodes: BTreeMap::new(),
            glue: Vec::new(),
            order: vec![apex.clone()],
            apex,
        };
        let server = draft.apex.child(b"ns1");
        draft.put(server, Kind::Data, vec!["A 192.0.2.1".to_owned()]);
        draft
    }

    fn put(&mut self, name: Name, kind: Kind, records: Vec<String>) {
        self.order.push(name.clone());
        self.nodes.insert(name, (kind, records));
    }

    /// The kind of the name or of what is above it, where that takes all that is below.
    fn above(&self, name: &Name) -> Option<Kind> {
        let takes = |kind: Kind| matches!(kind, Kind::Cut | Kind::Renamed);
        let found = self
            .nodes
            .iter()
            .find(|(other, (kind, _))| takes(*kind) && name.is_within(other));
        found.map(|(_, (kind, _))| *kind)
    }

    /// Whether another zone here begins at or above it: what a parent says in there has no meaning.
    fn is_elsewhere(&self, name: &Name) -> bool {
        let mut apexes = APEXES.iter().map(|apex| Name::plain(apex));
        name == &self.apex
            || apexes.any(|apex| {
                apex != self.apex && apex.is_within(&self.apex) && name.is_within(&apex)
            })
    }

    fn has_below(&self, name: &Name) -> bool {
        self.nodes
            .keys()
            .any(|other| other != name && other.is_within(name))
    }

    /// One more name.
    fn grow(&mut self, chance: &mut Chance, others: &[Name]) {
        // Most lie near the apex, where they are in each other's way.
        let parent = match chance.percent(50) {
            true => chance.pick(&self.order[..self.order.len().min(12)]).clone(),
            false => chance.pick(&self.order).clone(),
        };
        let label: &[u8] = if chance.percent(14) {
            b"*" as &[u8]
        } else {
            chance.pick::<&[u8]>(&LABELS)
        };
        // Sometimes deeper, so that there are names with nothing at them.
        let name = match chance.percent(20) {
            true => parent.child(chance.pick::<&[u8]>(&LABELS)).child(label),
            false => parent.child(label),
        };
        let lowered = name.lowered();
        let taken = self.nodes.keys().any(|other| other.lowered() == lowered);
        if taken || !name.fits() || self.is_elsewhere(&lowered) || self.above(&name).is_some() {
            return;
        }
        let is_wildcard = label == b"*";
        match chance.below(100) {
            0..=19 => {
                let target = self.target(chance, others);
                self.put(name, Kind::Alias, vec![format!("CNAME {target}")]);
            }
            20..=32 if !is_wildcard && !self.has_below(&name) => self.cut(chance, &name),
            33..=37 if DNAMES && !is_wildcard && !self.has_below(&name) => {
                let target = self.target(chance, others);
                let mut records = vec![format!("DNAME {target}")];
                if chance.percent(40) {
                    records.push("TXT \"beside a DNAME\"".to_owned());
                }
                self.put(name, Kind::Renamed, records);
            }
            _ => {
                let records = data(chance, &self.order);
                self.put(name, Kind::Data, records);
            }
        }
    }

    /// Where an alias leads: to what was there before, near it, to another zone, or out of all.
    fn target(&self, chance: &mut Chance, others: &[Name]) -> Name {
        match chance.below(10) {
            0..=3 => chance.pick(&self.order).clone(),
            4 => chance.pick(&self.order).child(b"nothing-here"),
            5 => {
                let one = chance.pick(&self.order).clone();
                let near = one.child(b"p").child(b"q");
                if near.fits() { near } else { one }
            }
            6..=8 if !others.is_empty() => chance.pick(others).clone(),
            _ => Name::plain(chance.pick::<&str>(&OUTSIDE)),
        }
    }

    /// A delegation with name servers in it, beside it, in another delegation and elsewhere.
    fn cut(&mut self, chance: &mut Chance, name: &Name) {
        let mut servers = Vec::new();
        for i in 0..1 + chance.below(3) {
            let server = match chance.below(5) {
                0 | 1 => name.child(format!("ns{i}").as_bytes()),
                2 => chance.pick(&self.order).clone(),
                3 => chance.pick(&self.order).child(b"ns"),
                _ => Name::plain("ns.example.net"),
            };
            if server.fits() {
                servers.push(server);
            }
        }
        servers.push(Name::plain("ns2.example.net"));
        let texts: Vec<String> = servers.iter().map(Name::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.delegate(name, &texts);
        if chance.percent(25) {
            let ds = format!("DS {} 13 2 {:064x}", chance.below(65_536), chance.draw());
            if let Some(node) = self.nodes.get_mut(name) {
                node.1.push(ds);
            }
        }
        for server in servers.iter().filter(|server| server.is_within(&self.apex)) {
            if self.above(server) == Some(Kind::Cut) && chance.percent(80) {
                self.glue
                    .push((server.clone(), format!("A 203.0.113.{}", chance.below(200))));
                if chance.percent(50) {
                    let v6 = format!("AAAA 2001:db8::{:x}", chance.below(60_000));
                    self.glue.push((server.clone(), v6));
                }
            }
        }
        // A delegation within one: what is below a cut is not this zone's, whatever it says.
        if chance.percent(15) {
            self.glue
                .push((name.child(b"sub"), "NS ns3.example.net.".to_owned()));
        }
    }

    fn delegate(&mut self, name: &Name, servers: &[&str]) {
        let lowered = name.lowered();
        let within = |other: &Name| other.lowered().is_within(&lowered);
        // What was drawn there before gives way.
        self.nodes.retain(|other, _| !within(other));
        self.order.retain(|other| !within(other));
        self.glue.retain(|(other, _)| !within(other));
        let mut records: Vec<String> = servers
            .iter()
            .map(|server| format!("NS {server}"))
            .collect();
        records.sort();
        records.dedup();
        self.put(name.clone(), Kind::Cut, records);
    }

    fn zone(&self) -> Zone {
        let mut text = String::from("$TTL 3600\n");
        let apex = &self.apex;
        // Writing to a String can't fail.
        let _ = writeln!(
            text,
            "{apex} 7200 IN SOA {} {} 7 3600 600 86400 900",
            apex.child(b"ns1"),
            apex.child(b"hostmaster")
        );
        let _ = writeln!(text, "{apex} 1800 IN NS {}", apex.child(b"ns1"));
        let _ = writeln!(text, "{apex} 1800 IN NS ns.example.net.");
        let _ = writeln!(text, "{apex} 300 IN MX 10 {}", apex.child(b"mail"));
        let _ = writeln!(text, "{apex} 300 IN A 192.0.2.80");
        let _ = writeln!(text, "{apex} 300 IN TXT \"an apex\" \"v=1\"");
        for (i, (name, (_, records))) in self.nodes.iter().enumerate() {
            for record in records {
                // One TTL a set (RFC 2181 §5.2), but not one TTL for all.
                let ttl = 60 + (i % 7) * 60;
                let _ = writeln!(text, "{name} {ttl} IN {record}");
            }
        }
        for (name, record) in &self.glue {
            let _ = writeln!(text, "{name} 600 IN {record}");
        }
        Zone {
            apex: apex.clone(),
            text,
        }
    }
}

/// One to three record sets of different types.
fn data(chance: &mut Chance, names: &[Name]) -> Vec<String> {
    let mut records = Vec::new();
    let first = chance.below(14);
    for i in 0..1 + chance.below(3) {
        let name = chance.pick(names).clone();
        let n = chance.below(250);
        let set = match (first + i) % 14 {
            0 => vec![format!("A 198.51.100.{n}"), format!("A 198.51.101.{n}")],
            1 => vec![format!("A 192.0.2.{n}")],
            2 => vec![format!("AAAA 2001:db8::{n:x}")],
            3 => vec![format!("MX 10 {name}"), "MX 20 mx.example.net.".to_owned()],
            4 => vec![format!("TXT \"{n}\" \"\" \"a;b \\\"c\\\" \\000\\255\"")],
            5 => vec![format!("SRV 1 2 {n} {name}")],
            6 => vec![format!("PTR {name}")],
            7 => vec!["CAA 0 issue \"ca.example.net; policy=ev\"".to_owned()],
            8 => vec!["HINFO \"PC\" \"none\"".to_owned()],
            9 => vec![format!(
                "NAPTR 10 20 \"u\" \"E2U+sip\" \"!^.*$!sip:x@y!\" {name}"
            )],
            10 => vec![format!("TYPE65280 \\# 3 0102{n:02x}")],
            11 => vec![format!("SSHFP 1 1 {:040x}", chance.draw())],
            12 => vec![format!("TLSA 3 1 1 {:064x}", chance.draw())],
            // More than a small datagram takes.
            _ => (0..30)
                .map(|line| format!("TXT \"{line} {:032x}\"", chance.draw()))
                .collect(),
        };
        records.extend(set);
    }
    records
}

/// Delegations that a small datagram does not take, and whose server only a wildcard has an address for.
fn servers(draft: &mut Draft) {
    let fat = Name::plain("fat.one.test");
    let names: Vec<String> = (0..9)
        .map(|i| format!("server-{i}.fat.one.test."))
        .collect();
    let texts: Vec<&str> = names.iter().map(String::as_str).collect();
    draft.delegate(&fat, &texts);
    for (i, name) in names.iter().enumerate() {
        let name = Name::plain(name);
        draft.glue.push((name.clone(), format!("A 203.0.113.{i}")));
        draft.glue.push((name, format!("AAAA 2001:db8::{i:x}")));
    }
    // The same beside the delegation, where a part of the addresses will do.
    let texts: Vec<String> = (0..9)
        .map(|i| format!("server-{i}.beside.one.test."))
        .collect();
    for (i, server) in texts.iter().enumerate() {
        let records = vec![format!("A 203.0.113.{i}"), format!("AAAA 2001:db8::{i:x}")];
        draft.put(Name::plain(server), Kind::Data, records);
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for i in 0..20 {
        draft.delegate(&Name::plain(&format!("lean-{i}.one.test")), &texts);
    }
    let wild = Name::plain("*.wild.one.test");
    draft.put(wild, Kind::Data, vec!["A 192.0.2.7".to_owned()]);
    draft.delegate(&Name::plain("far.one.test"), &["ns.wild.one.test."]);
}

/// Circles of aliases: from zone to zone, and through a wildcard; and chains of known lengths.
fn circles(drafts: &mut [Draft]) {
    let mut alias = |zone: usize, name: &str, target: &str| {
        let name = Name::plain(name);
        let draft = &mut drafts[zone];
        draft.nodes.retain(|other, _| other.lowered() != name);
        draft.order.retain(|other| other.lowered() != name);
        draft.put(name, Kind::Alias, vec![format!("CNAME {target}.")]);
    };
    alias(0, "loop.one.test", "loop.two.test");
    alias(1, "loop.two.test", "loop.one.test");
    alias(0, "tick.one.test", "tock.one.test");
    alias(0, "tock.one.test", "tick.one.test");
    alias(0, "*.self.one.test", "x.self.one.test");
    alias(0, "*.grow.one.test", "x.y.grow.one.test");
    for length in [3, 6, 11, 13, 16, 17, 20] {
        for link in 0..length {
            let target = match link + 1 == length {
                true => "ns1.two.test".to_owned(),
                false => format!("l{}.chain{length}.two.test", link + 1),
            };
            alias(1, &format!("l{link}.chain{length}.two.test"), &target);
        }
    }
}
