//! The HTTP side of a probe: one HTTP/1.1 request on a connection of its own, judged by status and body.
//! Redirects are not followed; the body is read only when the check looks into it.

use super::body::contains_text;
use super::note;
use super::tls::TlsProbe;
use crate::authorities::SystemAuthorities;
use crate::failure::Failure;
use crate::plan::Fault;
use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, USER_AGENT};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use steering::health::ProbeHttp;
use tokio::io::{AsyncRead, AsyncWrite};

/// The most bytes that an answer's status line and headers may have.
pub const MAX_HEAD: usize = 64 * 1024;

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("rhumb-health/", env!("CARGO_PKG_VERSION")));
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// One request and what would be a right answer to it.
#[derive(Debug)]
pub(super) struct HttpProbe {
    method: Method,
    target: Uri,
    /// The Host header; the target's address when none.
    host: Option<HeaderValue>,
    statuses: Vec<(u16, u16)>,
    /// `statuses` in words.
    expected: Arc<str>,
    text: Option<Arc<str>>,
    tls: Option<TlsProbe>,
}

impl HttpProbe {
    /// Makes the request of a check ready. Adds what is wrong to `faults`.
    pub(super) fn new(
        spec: &ProbeHttp,
        authorities: &mut SystemAuthorities,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let method = note(method(spec), faults);
        let target = note(target(spec), faults);
        let authority = note(authority(spec), faults);
        let expected = note(expected(spec), faults);
        let tls = match &spec.tls {
            None => None,
            Some(tls) => {
                let name = authority.as_ref().and_then(Option::as_ref).map(bare_host);
                Some(TlsProbe::new(
                    tls,
                    name,
                    &[b"http/1.1"],
                    authorities,
                    faults,
                )?)
            }
        };
        Some(Self {
            method: method?,
            target: target?,
            host: authority?.and_then(|a| HeaderValue::from_str(a.as_str()).ok()),
            statuses: spec.statuses.clone(),
            expected: expected?,
            text: spec.body.clone(),
            tls,
        })
    }

    /// The TLS to speak first, for `https`.
    pub(super) fn tls(&self) -> Option<&TlsProbe> {
        self.tls.as_ref()
    }

    /// Asks once and judges the answer.
    pub(super) async fn exchange(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        address: SocketAddr,
    ) -> Result<(), Failure> {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(protocol)?;
        let request = self.request(address)?;
        let answer = async move {
            let response = sender.send_request(request).await.map_err(protocol)?;
            self.judge(response).await
        };
        // The connection moves bytes only while it is polled; it may end before the answer is judged.
        let (mut answer, mut connection) = (pin!(answer), pin!(connection));
        tokio::select! {
            biased;
            result = &mut answer => result,
            _ = &mut connection => answer.await,
        }
    }

    fn request(&self, address: SocketAddr) -> Result<Request<Empty<Bytes>>, Failure> {
        let host = match &self.host {
            Some(host) => host.clone(),
            None => address_host(address, self.tls.is_some())?,
        };
        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, AGENT);
        headers.insert(ACCEPT, ANYTHING);
        headers.insert(CONNECTION, CLOSE);
        // Where a method usually has content, its absence is said (RFC 9110, 8.6).
        if matches!(self.method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(request)
    }

    async fn judge(&self, response: Response<Incoming>) -> Result<(), Failure> {
        let got = response.status().as_u16();
        if !self
            .statuses
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&got))
        {
            return Err(Failure::Status {
                got,
                expected: self.expected.clone(),
            });
        }
        match &self.text {
            None => Ok(()),
            Some(text) => match contains_text(response.into_body(), text.as_bytes()).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Failure::Body(text.clone())),
                Err(error) => Err(protocol(error)),
            },
        }
    }
}

fn method(spec: &ProbeHttp) -> Result<Method, Fault> {
    Method::from_bytes(spec.method.as_bytes())
        .ok()
        .filter(|method| *method != Method::CONNECT)
        .ok_or_else(|| Fault::Method(spec.method.clone()))
}

/// Origin form only (RFC 9112, 3.2.1): a probe asks the target, not a proxy.
fn target(spec: &ProbeHttp) -> Result<Uri, Fault> {
    let written = &*spec.path;
    let parsed = (written.starts_with('/') && !written.contains('#'))
        .then(|| PathAndQuery::try_from(written).ok());
    parsed
        .flatten()
        .map(Uri::from)
        .ok_or_else(|| Fault::Path(spec.path.clone()))
}

fn authority(spec: &ProbeHttp) -> Result<Option<Authority>, Fault> {
    let Some(written) = &spec.host else {
        return Ok(None);
    };
    let parsed = Authority::try_from(&**written)
        .ok()
        .filter(|_| !written.contains('@'));
    parsed.map(Some).ok_or_else(|| Fault::Host(written.clone()))
}

/// The expected statuses in words: `200-299, 301`.
fn expected(spec: &ProbeHttp) -> Result<Arc<str>, Fault> {
    if !spec
        .statuses
        .iter()
        .any(|(from, to)| from <= to && *to >= 100 && *from <= 999)
    {
        return Err(Fault::Statuses);
    }
    let words = spec.statuses.iter().map(|(from, to)| match from == to {
        true => from.to_string(),
        false => format!("{from}-{to}"),
    });
    Ok(words.collect::<Vec<_>>().join(", ").into())
}

/// The host of an authority without its port, and without the brackets of an IPv6 address.
fn bare_host(authority: &Authority) -> &str {
    let host = authority.host();
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

/// The Host header for an address: the port is left out where it is the scheme's own (RFC 9110, 4.2.3).
fn address_host(address: SocketAddr, tls: bool) -> Result<HeaderValue, Failure> {
    let own_port = if tls { 443 } else { 80 };
    let text = match address {
        SocketAddr::V4(v4) if v4.port() == own_port => v4.ip().to_string(),
        SocketAddr::V4(v4) => v4.to_string(),
        // Without its zone, which means nothing to the other side (RFC 6874, 3).
        SocketAddr::V6(v6) if v6.port() == own_port => format!("[{}]", v6.ip()),
        SocketAddr::V6(v6) => format!("[{}]:{}", v6.ip(), v6.port()),
    };
    HeaderValue::from_str(&text).map_err(|error| Failure::Protocol(error.to_string()))
}

/// An error of the HTTP exchange, with its causes: the library leaves them out of its own text.
fn protocol(error: hyper::Error) -> Failure {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    Failure::Protocol(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9110_host_of_an_address_leaves_out_the_scheme_port() {
        for (address, tls, host) in [
            ("192.0.2.1:80", false, "192.0.2.1"),
            ("192.0.2.1:443", false, "192.0.2.1:443"),
            ("192.0.2.1:443", true, "192.0.2.1"),
            ("[2001:db8::1]:443", true, "[2001:db8::1]"),
            ("[2001:db8::1]:8443", true, "[2001:db8::1]:8443"),
            ("[fe80::1%3]:8080", false, "[fe80::1]:8080"),
        ] {
            let parsed = address.parse().expect("a socket address");
            let value = address_host(parsed, tls).expect("a header value");
            assert_eq!(value, host, "{address}");
        }
    }

    #[test]
    fn every_fault_of_a_request_is_found_at_once() {
        let spec = ProbeHttp {
            method: "CONNECT".into(),
            path: "health".into(),
            host: Some("user@example.com".into()),
            statuses: vec![(299, 200)],
            body: None,
            tls: None,
        };
        let mut faults = Vec::new();
        assert!(HttpProbe::new(&spec, &mut SystemAuthorities::default(), &mut faults).is_none());
        assert_eq!(
            faults,
            [
                Fault::Method("CONNECT".into()),
                Fault::Path("health".into()),
                Fault::Host("user@example.com".into()),
                Fault::Statuses,
            ]
        );
    }

    #[test]
    fn the_host_name_is_bare_for_tls() {
        for (host, bare) in [
            ("example.com", "example.com"),
            ("example.com:8443", "example.com"),
            ("[2001:db8::1]:8443", "2001:db8::1"),
        ] {
            let authority = Authority::try_from(host).expect("an authority");
            assert_eq!(bare_host(&authority), bare);
        }
    }
}
