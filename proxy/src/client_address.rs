//! Who the client is: the socket's peer, or what trusted proxies say of it. Pure.
//!
//! A header is read only when the peer that sent it is trusted, and then from right to left, as far as
//! trust goes: what an untrusted hop wrote is never believed. When a trusted peer sends both
//! X-Forwarded-For and Forwarded, the first is used, because proxies that write only X-Forwarded-For
//! pass a client's own Forwarded on.

use http::HeaderMap;
use http::header::FORWARDED;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// X-Forwarded-For, in the lower case of HTTP/2.
pub const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The most hops looked at: a longer chain ends there.
const MAX_HOPS: usize = 32;

/// Who the client of one request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// The believed address: what is located and steered by.
    pub client: IpAddr,
    /// The peer of the connection.
    pub peer: IpAddr,
    /// Whether that peer is a trusted proxy, whose forwarding headers are kept and appended to.
    pub peer_trusted: bool,
}

impl ClientAddress {
    /// The client of a request that came from `peer` with these headers.
    pub fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let peer = peer.to_canonical();
        if !is_trusted(peer, trusted) {
            return Self {
                client: peer,
                peer,
                peer_trusted: false,
            };
        }
        let client = if headers.contains_key(X_FORWARDED_FOR) {
            believed(
                peer,
                hops(headers, X_FORWARDED_FOR, false),
                trusted,
                parse_node,
            )
        } else {
            believed(
                peer,
                hops(headers, FORWARDED.as_str(), true),
                trusted,
                forwarded_for,
            )
        };
        Self {
            client,
            peer,
            peer_trusted: true,
        }
    }
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// Walks from the nearest hop away: the first address that is not trusted is the client; a hop that
/// names no address (`unknown`, an obfuscated identifier, nonsense) ends the walk at the last one known.
fn believed<'a>(
    peer: IpAddr,
    hops: impl Iterator<Item = &'a str>,
    trusted: &[IpNet],
    parse: impl Fn(&'a str) -> Option<IpAddr>,
) -> IpAddr {
    let mut known = peer;
    for hop in hops.take(MAX_HOPS) {
        let Some(address) = parse(hop) else { break };
        known = address;
        if !is_trusted(address, trusted) {
            break;
        }
    }
    known
}

/// The list elements of all fields of a name, nearest hop first. A field that is no text ends the list.
/// Only Forwarded knows quoted strings: elsewhere a stray quote must not swallow what proxies appended.
fn hops<'a>(headers: &'a HeaderMap, name: &str, quoted: bool) -> impl Iterator<Item = &'a str> {
    let fields: Vec<Option<&str>> = headers
        .get_all(name)
        .iter()
        .map(|v| v.to_str().ok())
        .collect();
    let nearest_first = fields.into_iter().rev().map_while(|field| field);
    let elements = nearest_first.flat_map(move |field| {
        let split: Vec<&str> = match quoted {
            true => split_unquoted(field, ',').collect(),
            false => field.split(',').collect(),
        };
        split.into_iter().rev()
    });
    elements
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

/// Splits at `separator` outside of quoted strings (RFC 9110 §5.6.4).
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        for (i, c) in text.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ if c == separator && !quoted => {
                    rest = text.get(i + c.len_utf8()..);
                    return text.get(..i);
                }
                _ => {}
            }
        }
        rest = None;
        Some(text)
    })
}

/// The address of the `for` parameter of one Forwarded element (RFC 7239 §4, §6).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut nodes = split_unquoted(element, ';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then_some(value.trim())
    });
    let node = nodes.next()?;
    if nodes.next().is_some() {
        return None;
    }
    match node.strip_prefix('"') {
        // Nothing in an address needs a backslash, so a value with one is none.
        Some(rest) => rest.strip_suffix('"').and_then(parse_node),
        None => parse_node(node),
    }
}

/// An address with or without port; IPv6 may stand in brackets (RFC 7239 §6: it must, when there is a
/// port). `unknown` and obfuscated identifiers (`_hidden`) are no addresses.
fn parse_node(node: &str) -> Option<IpAddr> {
    let address = if let Some(rest) = node.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        let port_or_nothing = after.is_empty() || after.strip_prefix(':').is_some_and(is_port);
        port_or_nothing.then(|| inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6))??
    } else if let Ok(address) = node.parse::<IpAddr>() {
        address
    } else {
        let (address, port) = node.split_once(':')?;
        is_port(port).then(|| address.parse::<std::net::Ipv4Addr>().ok().map(IpAddr::V4))??
    };
    Some(address.to_canonical())
}

/// A port, or an obfuscated one (RFC 7239 §6.2).
fn is_port(text: &str) -> bool {
    let obfuscated = |rest: &str| {
        rest.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match text.strip_prefix('_') {
        Some(rest) => !rest.is_empty() && obfuscated(rest),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// How a node is written in Forwarded: IPv6 quoted and in brackets (RFC 7239 §6).
pub(crate) fn forwarded_node(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("\"[{v6}]\""),
    }
}

/// The peer of a socket, IPv4-mapped addresses as the IPv4 address they stand for.
pub(crate) fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn trusted() -> Vec<IpNet> {
        ["10.0.0.0/8", "2001:db8:1::/48"]
            .iter()
            .map(|n| n.parse().expect("a network"))
            .collect()
    }

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        ClientAddress::of(peer.parse().expect("a peer"), &map, &trusted())
            .client
            .to_string()
    }

    #[test]
    fn only_trusted_peers_are_believed() {
        let xff = "x-forwarded-for";
        for (peer, headers, expected) in [
            ("192.0.2.1", &[(xff, "203.0.113.9")][..], "192.0.2.1"),
            (
                "192.0.2.1",
                &[("forwarded", "for=203.0.113.9")][..],
                "192.0.2.1",
            ),
            ("10.0.0.1", &[][..], "10.0.0.1"),
            ("10.0.0.1", &[(xff, "203.0.113.9")][..], "203.0.113.9"),
            (
                "::ffff:10.0.0.1",
                &[(xff, "203.0.113.9")][..],
                "203.0.113.9",
            ),
            ("2001:db8:1::5", &[(xff, "203.0.113.9")][..], "203.0.113.9"),
            // Right to left: what the client wrote itself stands to the left and is not read.
            (
                "10.0.0.1",
                &[(xff, "8.8.8.8, 203.0.113.9")][..],
                "203.0.113.9",
            ),
            (
                "10.0.0.1",
                &[(xff, "8.8.8.8, 203.0.113.9, 10.0.0.2")][..],
                "203.0.113.9",
            ),
            (
                "10.0.0.1",
                &[(xff, "203.0.113.9"), (xff, "10.0.0.2")][..],
                "203.0.113.9",
            ),
            ("10.0.0.1", &[(xff, "10.0.0.3, 10.0.0.2")][..], "10.0.0.3"),
            // Ports, IPv6, mapped, empty elements.
            ("10.0.0.1", &[(xff, "203.0.113.9:4711")][..], "203.0.113.9"),
            (
                "10.0.0.1",
                &[(xff, "[2001:db8::7]:4711")][..],
                "2001:db8::7",
            ),
            ("10.0.0.1", &[(xff, "2001:db8::7")][..], "2001:db8::7"),
            (
                "10.0.0.1",
                &[(xff, "::ffff:203.0.113.9")][..],
                "203.0.113.9",
            ),
            ("10.0.0.1", &[(xff, "203.0.113.9, ,")][..], "203.0.113.9"),
            // A hop without an address ends the walk where trust was last certain.
            ("10.0.0.1", &[(xff, "203.0.113.9, unknown")][..], "10.0.0.1"),
            (
                "10.0.0.1",
                &[(xff, "203.0.113.9, nonsense, 10.0.0.2")][..],
                "10.0.0.2",
            ),
            ("10.0.0.1", &[(xff, "203.0.113.9:99999999")][..], "10.0.0.1"),
        ] {
            assert_eq!(client(peer, headers), expected, "{peer} {headers:?}");
        }
    }

    #[test]
    fn rfc7239_forwarded_is_read() {
        for (value, expected) in [
            ("for=203.0.113.9", "203.0.113.9"),
            (
                "For=\"203.0.113.9:80\";proto=http;by=10.0.0.1",
                "203.0.113.9",
            ),
            (
                "proto=https;for=\"[2001:db8:cafe::17]:4711\"",
                "2001:db8:cafe::17",
            ),
            ("for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17"),
            ("for=8.8.8.8, for=203.0.113.9, for=10.0.0.9", "203.0.113.9"),
            ("for=203.0.113.9;host=\"a,b;for=8.8.8.8\"", "203.0.113.9"),
            ("for=_hidden", "10.0.0.1"),
            ("for=unknown", "10.0.0.1"),
            ("for=_a, for=10.2.2.2", "10.2.2.2"),
            ("for=\"203.0.113.9:_port\"", "203.0.113.9"),
            ("for=1.1.1.1;for=203.0.113.9", "10.0.0.1"),
            ("proto=http", "10.0.0.1"),
            ("for=\"203.0.113.9", "10.0.0.1"),
        ] {
            assert_eq!(
                client("10.0.0.1", &[("forwarded", value)]),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn x_forwarded_for_wins_over_forwarded() {
        let both = [
            ("x-forwarded-for", "203.0.113.9"),
            ("forwarded", "for=8.8.8.8"),
        ];
        assert_eq!(client("10.0.0.1", &both), "203.0.113.9");
    }

    proptest! {
        #[test]
        fn an_untrusted_peer_is_always_the_client(value in "[ -~]{0,200}") {
            prop_assert_eq!(client("192.0.2.1", &[("x-forwarded-for", &value)]), "192.0.2.1");
            prop_assert_eq!(client("192.0.2.1", &[("forwarded", &value)]), "192.0.2.1");
        }

        #[test]
        fn what_a_client_prepends_changes_nothing(value in "[ -~]{0,200}") {
            let xff = format!("{value}, 203.0.113.9");
            prop_assert_eq!(client("10.0.0.1", &[("x-forwarded-for", &xff)]), "203.0.113.9");
        }

        #[test]
        fn what_is_written_is_read_back(bits in any::<u128>()) {
            let v6 = IpAddr::V6(Ipv6Addr::from(bits | 1 << 127));
            let element = format!("for={}", forwarded_node(v6));
            prop_assert_eq!(forwarded_for(&element), Some(v6));
        }
    }
}
