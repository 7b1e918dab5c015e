//! What an HTTP request asks (RFC 8484 §4.1, §6). Pure.

use data_encoding::BASE64URL_NOPAD;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, StatusCode};

/// The media type of a DNS message.
pub(super) const MEDIA_TYPE: &str = "application/dns-message";
/// The most octets of a DNS message.
const MAX_MESSAGE: usize = 65_535;

/// Where the query is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Here.
    Packet(Vec<u8>),
    /// In the body, of at most so many octets.
    Body(usize),
}

/// What the head of a request asks for at `path`.
///
/// # Errors
/// The status to refuse it with.
pub(super) fn asked(parts: &Parts, path: &str) -> Result<Asked, StatusCode> {
    if parts.uri.path() != path {
        return Err(StatusCode::NOT_FOUND);
    }
    match parts.method {
        Method::GET | Method::HEAD => get(parts.uri.query().unwrap_or_default()),
        Method::POST => post(parts),
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// The variable `dns`: base64url without padding.
fn get(query: &str) -> Result<Asked, StatusCode> {
    let mut values = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("dns="));
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(StatusCode::BAD_REQUEST);
    };
    let packet = BASE64URL_NOPAD.decode(value.as_bytes());
    packet
        .map(Asked::Packet)
        .map_err(|_| StatusCode::BAD_REQUEST)
}

fn post(parts: &Parts) -> Result<Asked, StatusCode> {
    let media = parts.headers.get(CONTENT_TYPE);
    let media = media.and_then(|value| value.to_str().ok()).unwrap_or("");
    // Parameters mean nothing for this type.
    let essence = media.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case(MEDIA_TYPE) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let length = parts.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_MESSAGE) {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    Ok(Asked::Body(MAX_MESSAGE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn ask(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<Asked, StatusCode> {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        asked(&parts, "/dns-query")
    }

    #[test]
    fn rfc8484_4_1_1_get() {
        let example = "AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB";
        let uri = |query: &str| format!("https://dns.test/dns-query?{query}");
        let given = ask("GET", &uri(&format!("dns={example}")), &[]).expect("a query");
        let Asked::Packet(packet) = given else {
            panic!("not in the body")
        };
        assert_eq!(packet.len(), 33);
        assert!(ask("HEAD", &uri(&format!("a=b&dns={example}")), &[]).is_ok());
        assert_eq!(
            ask("GET", &uri("dns="), &[]),
            Ok(Asked::Packet(Vec::new())),
            "too short to be a query, which the answering sees"
        );
        for bad in [
            "",
            "dns",
            "ct=x",
            "dns=AA==",
            "dns=A",
            "dns=++//",
            "dns=AA&dns=AA",
        ] {
            assert_eq!(
                ask("GET", &uri(bad), &[]),
                Err(StatusCode::BAD_REQUEST),
                "{bad}"
            );
        }
    }

    #[test]
    fn rfc8484_4_1_post() {
        let uri = "https://dns.test/dns-query";
        let media = ("content-type", MEDIA_TYPE);
        for good in ["application/dns-message", "Application/DNS-Message ;x=y"] {
            let asked = ask("POST", uri, &[("content-type", good)]);
            assert_eq!(asked, Ok(Asked::Body(65_535)), "{good}");
        }
        for bad in [&[][..], &[("content-type", "application/json")]] {
            assert_eq!(
                ask("POST", uri, bad),
                Err(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            );
        }
        let long = ask("POST", uri, &[media, ("content-length", "65536")]);
        assert_eq!(long, Err(StatusCode::PAYLOAD_TOO_LARGE));
    }

    #[test]
    fn other_paths_and_methods() {
        let other = ask("GET", "https://dns.test/dns-query/?dns=AAAA", &[]);
        assert_eq!(other, Err(StatusCode::NOT_FOUND));
        for method in ["PUT", "DELETE", "OPTIONS", "CONNECT"] {
            let refused = ask(method, "https://dns.test/dns-query", &[]);
            assert_eq!(refused, Err(StatusCode::METHOD_NOT_ALLOWED), "{method}");
        }
    }
}
