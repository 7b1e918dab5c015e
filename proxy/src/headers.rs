//! The header fields this proxy writes and removes, and what it demands of a request's head.
//!
//! Towards the endpoint: X-Forwarded-For, -Proto and -Host, Forwarded, and Host when the pool sets one.
//! Towards the client: no hop-by-hop field of the endpoint's. Bodies are never touched.

use crate::client_address::{ClientAddress, X_FORWARDED_FOR, forwarded_node};
use http::header::{CONNECTION, FORWARDED, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pingora_core::Result;
use pingora_http::{RequestHeader, ResponseHeader};

const X_FORWARDED_HOST: &str = "x-forwarded-host";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Fields by which an origin may be told who the client is. From a peer that is not trusted they are
/// removed, so that an origin never sees one that nobody vouches for.
const CLAIMS: [&str; 7] = [
    X_FORWARDED_FOR,
    X_FORWARDED_HOST,
    X_FORWARDED_PROTO,
    "x-forwarded-port",
    "x-forwarded-server",
    "x-forwarded-prefix",
    "x-real-ip",
];

/// Hop-by-hop fields of a response (RFC 9110 §7.6.1), besides those Connection names. Framing
/// (Transfer-Encoding) is Pingora's, and Connection and Upgrade stay on a 101.
const HOP_BY_HOP: [&str; 5] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "te",
    "http2-settings",
];

/// What is known of a request when its header goes upstream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forwarding<'a> {
    pub client: ClientAddress,
    /// The Host or `:authority` the client asked for.
    pub authority: &'a str,
    /// Whether the client's connection is TLS.
    pub tls: bool,
    /// The Host the pool sets.
    pub host: Option<&'a str>,
}

impl Forwarding<'_> {
    /// Writes the forwarding fields into the request that goes upstream; `received` is what came in.
    pub(crate) fn write(&self, request: &mut RequestHeader, received: &HeaderMap) -> Result<()> {
        let proto = if self.tls { "https" } else { "http" };
        let kept = self.client.peer_trusted;
        if !kept {
            for claim in CLAIMS {
                request.remove_header(claim);
            }
        }
        let peer = self.client.peer.to_string();
        // What a trusted peer said in one of the two fields is said in the other as well.
        let passed_on = kept && self.client.client != self.client.peer;
        let chain = if passed_on && !received.contains_key(X_FORWARDED_FOR) {
            format!("{}, {peer}", self.client.client).into_bytes()
        } else {
            listed(received, X_FORWARDED_FOR, kept, &peer)
        };
        request.insert_header(X_FORWARDED_FOR, chain)?;
        if !request.headers.contains_key(X_FORWARDED_PROTO) {
            request.insert_header(X_FORWARDED_PROTO, proto)?;
        }
        if !request.headers.contains_key(X_FORWARDED_HOST) && !self.authority.is_empty() {
            request.insert_header(X_FORWARDED_HOST, self.authority)?;
        }
        let element = self.element(proto);
        let elements = if passed_on && !received.contains_key(FORWARDED) {
            format!("for={}, {element}", forwarded_node(self.client.client)).into_bytes()
        } else {
            listed(received, FORWARDED.as_str(), kept, &element)
        };
        request.insert_header(FORWARDED, elements)?;
        if let Some(host) = self.host {
            request.insert_header(HOST, host)?;
        }
        Ok(())
    }

    /// This hop's Forwarded element (RFC 7239 §4): the host is quoted, as it may have a port.
    fn element(&self, proto: &str) -> String {
        let node = forwarded_node(self.client.peer);
        let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\';
        if self.authority.is_empty() || !self.authority.chars().all(plain) {
            return format!("for={node};proto={proto}");
        }
        format!("for={node};host=\"{}\";proto={proto}", self.authority)
    }
}

/// A list field with one element appended to what a trusted peer sent, or alone.
fn listed(received: &HeaderMap, name: &str, keep: bool, element: &str) -> Vec<u8> {
    let mut list = Vec::with_capacity(64);
    if keep {
        for value in received.get_all(name) {
            list.extend_from_slice(value.as_bytes());
            list.extend_from_slice(b", ");
        }
    }
    list.extend_from_slice(element.as_bytes());
    list
}

/// Removes from a response what was meant for this hop only.
pub(crate) fn strip_response(response: &mut ResponseHeader) {
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let nominated: Vec<HeaderName> = response
        .headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .filter(|name| *name != TRANSFER_ENCODING && *name != http::header::CONTENT_LENGTH)
        .collect();
    for name in &nominated {
        response.remove_header(name);
    }
    for name in HOP_BY_HOP {
        response.remove_header(name);
    }
    response.remove_header(&CONNECTION);
    response.remove_header(&UPGRADE);
}

/// The one host a request is for: `:authority`, the absolute form's authority (RFC 9112 §3.2.2), or
/// Host. Pingora has already refused requests whose sources disagree or that have two.
pub(crate) fn authority(request: &RequestHeader) -> Option<&str> {
    let uri = request.uri.authority().map(http::uri::Authority::as_str);
    let authority = uri.or_else(|| {
        let host = request.headers.get(HOST).map(HeaderValue::to_str)?;
        host.ok()
    })?;
    let clean = |c: char| c.is_ascii_alphanumeric() || "-._~:[]%!$&'()*+,;=".contains(c);
    (!authority.is_empty() && authority.chars().all(clean)).then_some(authority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn forwarded(trusted: bool, received: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/", None).expect("a request");
        for (name, value) in received {
            request.append_header(*name, *value).expect("a header");
        }
        let peer: IpAddr = "2001:db8::1".parse().expect("an address");
        let proxies = ["2001:db8::/32".parse().expect("a network")];
        let proxies = if trusted { &proxies[..] } else { &[] };
        let client = ClientAddress::of(peer, &request.headers, proxies);
        let received = request.headers.clone();
        let forwarding = Forwarding {
            client,
            authority: "a.test:8443",
            tls: true,
            host: None,
        };
        forwarding.write(&mut request, &received).expect("written");
        request
    }

    fn value<'a>(request: &'a RequestHeader, name: &str) -> &'a str {
        let values: Vec<_> = request.headers.get_all(name).iter().collect();
        assert!(values.len() < 2, "{name} stands once");
        values.first().map_or("", |v| v.to_str().expect("text"))
    }

    #[test]
    fn an_untrusted_peers_claims_are_overwritten() {
        let request = forwarded(
            false,
            &[
                ("x-forwarded-for", "8.8.8.8"),
                ("x-forwarded-for", "9.9.9.9"),
                ("x-forwarded-proto", "gopher"),
                ("x-forwarded-host", "evil.test"),
                ("x-real-ip", "8.8.8.8"),
                ("forwarded", "for=8.8.8.8"),
            ],
        );
        assert_eq!(value(&request, "x-forwarded-for"), "2001:db8::1");
        assert_eq!(value(&request, "x-forwarded-proto"), "https");
        assert_eq!(value(&request, "x-forwarded-host"), "a.test:8443");
        assert_eq!(value(&request, "x-real-ip"), "");
        let element = "for=\"[2001:db8::1]\";host=\"a.test:8443\";proto=https";
        assert_eq!(value(&request, "forwarded"), element);
    }

    #[test]
    fn a_trusted_peers_claims_are_kept_and_appended_to() {
        let request = forwarded(
            true,
            &[
                ("x-forwarded-for", "203.0.113.9"),
                ("x-forwarded-for", "10.0.0.1"),
                ("x-forwarded-proto", "http"),
                ("forwarded", "for=203.0.113.9"),
            ],
        );
        assert_eq!(
            value(&request, "x-forwarded-for"),
            "203.0.113.9, 10.0.0.1, 2001:db8::1"
        );
        assert_eq!(value(&request, "x-forwarded-proto"), "http");
        assert!(value(&request, "forwarded").starts_with("for=203.0.113.9, for="));
    }

    #[test]
    fn what_a_trusted_peer_says_in_one_field_is_said_in_both() {
        let request = forwarded(true, &[("x-forwarded-for", "203.0.113.9")]);
        let said = value(&request, "forwarded");
        assert!(
            said.starts_with("for=203.0.113.9, for=\"[2001:db8::1]\";"),
            "{said}"
        );
        let request = forwarded(true, &[("forwarded", "for=203.0.113.9")]);
        assert_eq!(
            value(&request, "x-forwarded-for"),
            "203.0.113.9, 2001:db8::1"
        );
    }

    #[test]
    fn hop_by_hop_fields_end_here_and_framing_stays() {
        let mut response = ResponseHeader::build(200, None).expect("a response");
        for (name, value) in [
            ("connection", "close, x-private, transfer-encoding"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("x-public", "1"),
        ] {
            response.append_header(name, value).expect("a header");
        }
        strip_response(&mut response);
        let left: Vec<&str> = response.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["transfer-encoding", "x-public"]);
    }

    #[test]
    fn a_switch_of_protocols_keeps_its_upgrade() {
        let mut response = ResponseHeader::build(101, None).expect("a response");
        response
            .append_header("connection", "upgrade")
            .expect("a header");
        response
            .append_header("upgrade", "websocket")
            .expect("a header");
        strip_response(&mut response);
        assert!(response.headers.contains_key(UPGRADE));
    }

    #[test]
    fn an_authority_is_one_clean_host() {
        for (host, expected) in [
            ("a.test", Some("a.test")),
            ("a.test:80", Some("a.test:80")),
            ("[2001:db8::1]:80", Some("[2001:db8::1]:80")),
            ("", None),
            ("a b", None),
            ("a/b", None),
            ("a\"b", None),
        ] {
            let mut request = RequestHeader::build("GET", b"/", None).expect("a request");
            request.append_header("host", host).expect("a header");
            assert_eq!(authority(&request), expected, "{host:?}");
        }
    }
}
