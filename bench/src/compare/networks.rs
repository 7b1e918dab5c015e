//! The location table as networks with a country: what peers that know no country database of ours are
//! configured with. The same ranges that Rhumb steers by, cut into the fewest CIDR networks. It writes
//! text; where that goes is the caller's.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use steering::LocationTable;
use steering::geo::Country;

/// Every network of the table that has a country, in the order of addresses, IPv4 first; no two
/// overlap.
pub fn networks(geo: &LocationTable) -> Vec<(IpNet, Country)> {
    let v4 = geo
        .ranges_v4()
        .filter_map(|(first, last, place)| Some((bits_v4(first), bits_v4(last), place.country?)));
    let v6 = geo
        .ranges_v6()
        .filter_map(|(first, last, place)| Some((bits_v6(first), bits_v6(last), place.country?)));
    let mut all = Vec::new();
    for (first, last, country) in joined(v4) {
        cut(first, last, 32, |start, prefix| {
            let net = Ipv4Net::new_assert(Ipv4Addr::from(start as u32), prefix);
            all.push((IpNet::V4(net), country));
        });
    }
    for (first, last, country) in joined(v6) {
        cut(first, last, 128, |start, prefix| {
            let net = Ipv6Net::new_assert(Ipv6Addr::from(start), prefix);
            all.push((IpNet::V6(net), country));
        });
    }
    all
}

/// One line a network: the network, `between`, the country, `end`, and a new line.
pub fn lines(networks: &[(IpNet, Country)], between: &str, end: &str) -> String {
    let mut text = String::with_capacity(networks.len() * 32);
    for (network, country) in networks {
        // Writing to a String can't fail.
        let _ = writeln!(text, "{network}{between}{country}{end}");
    }
    text
}

fn bits_v4(address: Ipv4Addr) -> u128 {
    u128::from(u32::from(address))
}

fn bits_v6(address: Ipv6Addr) -> u128 {
    u128::from(address)
}

/// Neighbours of one country as one range: the table tells more than countries apart.
fn joined(ranges: impl Iterator<Item = (u128, u128, Country)>) -> Vec<(u128, u128, Country)> {
    let mut all: Vec<(u128, u128, Country)> = Vec::new();
    for (first, last, country) in ranges {
        match all.last_mut() {
            Some(before) if before.2 == country && before.1.checked_add(1) == Some(first) => {
                before.1 = last;
            }
            _ => all.push((first, last, country)),
        }
    }
    all
}

/// The fewest networks that together are `first..=last`, in addresses of `width` bits.
fn cut(first: u128, last: u128, width: u32, mut network: impl FnMut(u128, u8)) {
    let mut start = first;
    loop {
        // As large as the start is aligned for and as what is left allows.
        let aligned = start.trailing_zeros().min(width);
        let left = last - start;
        let fits = match left.checked_add(1) {
            Some(count) => 127 - count.leading_zeros(),
            None => 128,
        };
        let size = aligned.min(fits);
        network(start, (width - size) as u8);
        let Some(next) = 1_u128.checked_shl(size).and_then(|n| start.checked_add(n)) else {
            return;
        };
        if next > last {
            return;
        }
        start = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cuts(first: u128, last: u128, width: u32) -> Vec<(u128, u8)> {
        let mut all = Vec::new();
        cut(first, last, width, |start, prefix| {
            all.push((start, prefix))
        });
        all
    }

    #[test]
    fn a_range_is_cut_into_the_fewest_networks() {
        assert_eq!(cuts(0, u128::from(u32::MAX), 32), [(0, 0)]);
        assert_eq!(cuts(0, u128::MAX, 128), [(0, 0)]);
        assert_eq!(cuts(5, 5, 32), [(5, 32)]);
        assert_eq!(cuts(1, 6, 32), [(1, 32), (2, 31), (4, 31), (6, 32)]);
        let top = u128::from(u32::MAX);
        assert_eq!(cuts(top - 1, top, 32), [(top - 1, 31)]);
        assert_eq!(cuts(u128::MAX - 2, u128::MAX, 128).len(), 2);
    }

    #[test]
    fn every_client_has_the_country_of_its_network() {
        let geo = geoip::load(&geoip::Sources::default()).expect("the embedded table");
        let networks = networks(&geo);
        assert!(networks.len() > 100_000, "{}", networks.len());
        for window in networks.windows(2) {
            let [(a, _), (b, _)] = window else { continue };
            assert!(a.broadcast() < b.network() || (a.addr().is_ipv4() && b.addr().is_ipv6()));
        }
        for (network, country) in networks.iter().step_by(97) {
            for address in [network.network(), network.broadcast()] {
                assert_eq!(geo.locate(address).location.country, Some(*country));
            }
        }
    }

    #[test]
    fn lines_are_what_peers_read() {
        let de: Country = "DE".parse().expect("a country");
        let nets = [("192.0.2.0/24".parse().expect("a network"), de)];
        assert_eq!(lines(&nets, " ", ";"), "192.0.2.0/24 DE;\n");
    }
}
