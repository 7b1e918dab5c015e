//! Writes a country database in the MaxMind DB format, version 2.0, for peers that read nothing else:
//! `country.iso_code` for each network, as in MaxMind's own country databases. It reads none.
//! Source: <https://maxmind.github.io/MaxMind-DB/>.

use ipnet::IpNet;
use std::collections::HashMap;
use steering::geo::{Continent, Country};

/// Bits of a record: the widest, which makes a node eight bytes and packing plain.
const RECORD_SIZE: u16 = 32;
/// What lies between the tree and the data.
const SEPARATOR: [u8; 16] = [0; 16];
/// What the metadata begins with.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// No network here.
const NOTHING: u32 = u32::MAX;
/// Set in a record that is a place in the data rather than a node.
const DATA: u32 = 1 << 31;

/// The database of these networks, which do not overlap. `built` is in seconds of the Unix epoch.
pub fn country_database(networks: &[(IpNet, Country)], built: u64) -> Vec<u8> {
    let mut data = Vec::new();
    let mut places: HashMap<Country, u32> = HashMap::new();
    let mut tree = Tree::new();
    for (network, country) in networks {
        let place = *places.entry(*country).or_insert_with(|| {
            let place = data.len() as u32;
            country_entry(&mut data, *country);
            place
        });
        tree.insert(network, place);
    }
    let mut file = tree.packed();
    file.extend_from_slice(&SEPARATOR);
    file.extend_from_slice(&data);
    file.extend_from_slice(MARKER);
    metadata(&mut file, tree.nodes.len() as u32, built);
    file
}

/// The search tree over 128 bits; IPv4 addresses are those of `::/96`.
struct Tree {
    nodes: Vec<[u32; 2]>,
}

impl Tree {
    fn new() -> Self {
        Self {
            nodes: vec![[NOTHING; 2]],
        }
    }

    fn insert(&mut self, network: &IpNet, place: u32) {
        let (address, length) = match network {
            IpNet::V4(net) => (u128::from(u32::from(net.network())), net.prefix_len() + 96),
            IpNet::V6(net) => (u128::from(net.network()), net.prefix_len()),
        };
        let side = |depth: u8| (address >> (127 - u32::from(depth)) & 1) as usize;
        // A network of no length has no record to stand in.
        let Some(last) = length.checked_sub(1) else {
            return;
        };
        let mut node = 0;
        for depth in 0..last {
            node = self.child(node, side(depth));
        }
        self.nodes[node][side(last)] = DATA | place;
    }

    fn child(&mut self, node: usize, side: usize) -> usize {
        let record = self.nodes[node][side];
        if record & DATA == 0 {
            return record as usize;
        }
        // Whatever the wider network said holds below it on both sides.
        let new = self.nodes.len();
        self.nodes.push([record; 2]);
        self.nodes[node][side] = new as u32;
        new
    }

    /// Records that are data are told from nodes by being greater than their count.
    fn packed(&self) -> Vec<u8> {
        let count = self.nodes.len() as u32;
        let mut bytes = Vec::with_capacity(self.nodes.len() * 8);
        for record in self.nodes.iter().flatten() {
            let value = match *record {
                NOTHING => count,
                node if node & DATA == 0 => node,
                data => count + SEPARATOR.len() as u32 + (data & !DATA),
            };
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        bytes
    }
}

fn country_entry(out: &mut Vec<u8>, country: Country) {
    let code = country.to_string();
    map(out, 2);
    text(out, "continent");
    map(out, 1);
    text(out, "code");
    text(out, country.continent().map_or("", Continent::code));
    text(out, "country");
    map(out, 1);
    text(out, "iso_code");
    text(out, &code);
}

fn metadata(out: &mut Vec<u8>, nodes: u32, built: u64) {
    map(out, 9);
    text(out, "binary_format_major_version");
    number16(out, 2);
    text(out, "binary_format_minor_version");
    number16(out, 0);
    text(out, "build_epoch");
    // Types above 7 are extended: 0 here, and the type less 7 in the next byte.
    out.extend_from_slice(&[8, 9 - 7]);
    out.extend_from_slice(&built.to_be_bytes());
    text(out, "database_type");
    text(out, "GeoLite2-Country");
    text(out, "description");
    map(out, 0);
    text(out, "ip_version");
    number16(out, 6);
    text(out, "languages");
    out.extend_from_slice(&[0, 11 - 7]);
    text(out, "node_count");
    out.push(6 << 5 | 4);
    out.extend_from_slice(&nodes.to_be_bytes());
    text(out, "record_size");
    number16(out, RECORD_SIZE);
}

/// A map of fewer than 29 pairs; keys and values follow.
fn map(out: &mut Vec<u8>, pairs: u8) {
    out.push(7 << 5 | pairs);
}

/// A text of fewer than 29 bytes.
fn text(out: &mut Vec<u8>, text: &str) {
    out.push(2 << 5 | text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

fn number16(out: &mut Vec<u8>, number: u16) {
    out.push(5 << 5 | 2);
    out.extend_from_slice(&number.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients;
    use crate::compare::networks::networks;

    #[test]
    fn what_is_written_reads_back_as_the_same_table() {
        let geo = geoip::load(&geoip::Sources::default()).expect("the embedded table");
        let file = country_database(&networks(&geo), 1_700_000_000);
        let again = geoip::load_bytes(&file, "the written database").expect("a database");
        for address in clients::addresses(&geo, 5_000, 7) {
            let country = geo.locate(address).location.country;
            assert_eq!(again.locate(address).location.country, country, "{address}");
        }
    }
}
