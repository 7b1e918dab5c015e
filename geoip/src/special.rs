//! Addresses that belong to no place: those the IANA special-purpose address registries (RFC 6890) mark
//! as not globally reachable, and multicast.
//!
//! Registry statistics, which the embedded table is made from, give some of them to the country of
//! the registry's office: 192.168.0.0/16 would be in Australia. A client with such an address is in the
//! operator's own network, and only the operator can say where that is. Databases that the operator
//! gives are taken at their word.

use ipnet::IpNet;
use steering::cidr::{NONE, Partition};

/// <https://www.iana.org/assignments/iana-ipv4-special-registry> and the one for IPv6, as of 2025.
const NETWORKS: &[&str] = &[
    "0.0.0.0/8",       // this network, RFC 791
    "10.0.0.0/8",      // private, RFC 1918
    "100.64.0.0/10",   // behind a carrier's NAT, RFC 6598
    "127.0.0.0/8",     // loopback, RFC 1122
    "169.254.0.0/16",  // link-local, RFC 3927
    "172.16.0.0/12",   // private, RFC 1918
    "192.0.0.0/24",    // IETF protocol assignments, RFC 6890
    "192.0.2.0/24",    // documentation, RFC 5737
    "192.88.99.0/24",  // 6to4 relays, RFC 7526
    "192.168.0.0/16",  // private, RFC 1918
    "198.18.0.0/15",   // benchmarking, RFC 2544
    "198.51.100.0/24", // documentation, RFC 5737
    "203.0.113.0/24",  // documentation, RFC 5737
    "224.0.0.0/4",     // multicast, RFC 5771
    "240.0.0.0/4",     // reserved, and broadcast, RFC 1112
    "::/127",          // unspecified and loopback, RFC 4291
    "64:ff9b:1::/48",  // local translation, RFC 8215
    "100::/63",        // discard, RFC 6666, and the dummy prefix, RFC 9780
    "2001::/23",       // IETF protocol assignments, RFC 2928
    "2001:db8::/32",   // documentation, RFC 3849
    "3fff::/20",       // documentation, RFC 9637
    "5f00::/16",       // segment routing, RFC 9602
    "fc00::/7",        // unique local, RFC 4193
    "fe80::/10",       // link-local, RFC 4291
    "ff00::/8",        // multicast, RFC 4291
];

/// The cut without anything said about special addresses.
pub(crate) fn removed_from(cut: &Partition) -> Partition {
    let networks = NETWORKS
        .iter()
        .filter_map(|text| text.parse::<IpNet>().ok());
    let special = Partition::new(networks.map(|network| (network, 0)));
    cut.overlay(
        &special,
        |said, special| if special == NONE { said } else { NONE },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_about_special_addresses_and_all_else_is_kept() {
        let everywhere = ["0.0.0.0/0", "::/0"].map(|all| (all.parse().expect("a network"), 7));
        let cut = removed_from(&Partition::new(everywhere));
        for network in NETWORKS {
            let network: IpNet = network.parse().expect("each row is a network");
            assert_eq!(network, network.trunc(), "no bits beyond the length");
            assert_eq!(cut.find(network.network()).0, NONE, "{network}");
            assert_eq!(cut.find(network.broadcast()).0, NONE, "{network}");
        }
        for public in [
            "8.8.8.8",
            "172.32.0.1",
            "192.167.255.255",
            "2001:200::1",
            "2a01:4f8::1",
        ] {
            assert_eq!(
                cut.find(public.parse().expect("an address")).0,
                7,
                "{public}"
            );
        }
    }
}
