//! Why a request is not served, and what the client is told: a status, a word, and a problem document.
//!
//! The document (RFC 9457) names the service and the reason; it never names an endpoint, an address or
//! a library's error text.

use bytes::Bytes;
use http::StatusCode;
use pingora_core::{Error, ErrorSource, ErrorType};
use pingora_http::ResponseHeader;
use serde::Serialize;

/// The response header that carries the reason.
pub const RHUMB_REASON: &str = "rhumb-reason";

/// The status nginx logs for a client that closed before it was answered; never sent.
pub const CLIENT_CLOSED: u16 = 499;

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// No service has this host and path.
    NoRoute,
    /// The client is pinned, and nothing inside the pin may serve it.
    ResidencyExhausted,
    /// Every endpoint of the policy is down, and the service refuses then.
    PolicyExhausted,
    /// The policy has nothing for this client.
    NoMatch,
    /// The chosen pool has no endpoint.
    NoEndpoint,
    /// No connection to the endpoint: refused, reset or unreachable.
    ConnectFailed,
    /// No connection to the endpoint in time.
    ConnectTimeout,
    /// The TLS handshake with the endpoint failed.
    TlsFailed,
    /// The endpoint closed or broke the protocol before it had answered.
    EndpointFailed,
    /// The endpoint did not answer in time.
    EndpointTimeout,
    /// The request is malformed, or its host is missing.
    BadRequest,
    /// The head of the request did not arrive in time.
    HeaderTimeout,
    /// The head of the request has too many bytes or fields.
    HeaderTooLarge,
    /// The body of the request did not arrive in time.
    BodyTimeout,
    /// CONNECT, which is not proxied.
    MethodNotAllowed,
    /// The client closed before it was answered: logged, never sent.
    ClientClosed,
    /// A fault of our own.
    Internal,
}

impl Fault {
    /// The status sent (or, for [`Fault::ClientClosed`], logged).
    pub const fn status(self) -> u16 {
        match self {
            Self::NoRoute => 404,
            Self::ResidencyExhausted => 451,
            Self::PolicyExhausted | Self::NoMatch | Self::NoEndpoint => 503,
            Self::ConnectFailed | Self::TlsFailed | Self::EndpointFailed => 502,
            Self::ConnectTimeout | Self::EndpointTimeout => 504,
            Self::BadRequest => 400,
            Self::HeaderTimeout | Self::BodyTimeout => 408,
            Self::HeaderTooLarge => 431,
            Self::MethodNotAllowed => 405,
            Self::ClientClosed => CLIENT_CLOSED,
            Self::Internal => 500,
        }
    }

    /// The word in `Rhumb-Reason`, logs and metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::ResidencyExhausted => "residency_exhausted",
            Self::PolicyExhausted => "policy_exhausted",
            Self::NoMatch => "no_match",
            Self::NoEndpoint => "no_endpoint",
            Self::ConnectFailed => "connect_failed",
            Self::ConnectTimeout => "connect_timeout",
            Self::TlsFailed => "tls_failed",
            Self::EndpointFailed => "endpoint_failed",
            Self::EndpointTimeout => "endpoint_timeout",
            Self::BadRequest => "bad_request",
            Self::HeaderTimeout => "header_timeout",
            Self::HeaderTooLarge => "header_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::ClientClosed => "client_closed",
            Self::Internal => "internal",
        }
    }

    const fn detail(self) -> &'static str {
        match self {
            Self::NoRoute => "No service is configured for this host and path.",
            Self::ResidencyExhausted => {
                "Data residency allows only regions that cannot serve this request now."
            }
            Self::PolicyExhausted => "No region of this service can serve this request now.",
            Self::NoMatch => "This service has no region for this client.",
            Self::NoEndpoint => "The chosen region has no endpoint.",
            Self::ConnectFailed => "The chosen region could not be connected to.",
            Self::ConnectTimeout => "The chosen region could not be connected to in time.",
            Self::TlsFailed => "The chosen region could not be connected to securely.",
            Self::EndpointFailed => "The chosen region broke off before it had answered.",
            Self::EndpointTimeout => "The chosen region did not answer in time.",
            Self::BadRequest => "The request is malformed, or names no valid host.",
            Self::HeaderTimeout => "The head of the request did not arrive in time.",
            Self::HeaderTooLarge => "The head of the request is too large.",
            Self::BodyTimeout => "The body of the request did not arrive in time.",
            Self::MethodNotAllowed => "CONNECT is not proxied here.",
            Self::ClientClosed => "The client closed the connection.",
            Self::Internal => "The proxy failed.",
        }
    }

    /// What an error of Pingora's means. Its source says whose fault it is.
    pub(crate) fn of(error: &Error) -> Self {
        use ErrorType as T;
        match (error.esource(), error.etype()) {
            (_, T::ConnectTimedout | T::TLSHandshakeTimedout) => Self::ConnectTimeout,
            (_, T::ConnectRefused | T::ConnectNoRoute | T::ConnectError | T::SocketError) => {
                Self::ConnectFailed
            }
            (ErrorSource::Upstream, T::TLSHandshakeFailure | T::InvalidCert) => Self::TlsFailed,
            (ErrorSource::Upstream, T::ReadTimedout | T::WriteTimedout) => Self::EndpointTimeout,
            (ErrorSource::Upstream, _) => Self::EndpointFailed,
            (ErrorSource::Downstream, T::ReadTimedout) => Self::BodyTimeout,
            (
                ErrorSource::Downstream,
                T::WriteError | T::WriteTimedout | T::ReadError | T::ConnectionClosed | T::H2Error,
            ) => Self::ClientClosed,
            (ErrorSource::Downstream, _) => Self::BadRequest,
            (ErrorSource::Internal | ErrorSource::Unset, _) => Self::Internal,
        }
    }

    /// The problem document.
    pub(crate) fn document(self, service: Option<&str>) -> Bytes {
        let status = self.status();
        let title = StatusCode::from_u16(status)
            .ok()
            .and_then(|s| s.canonical_reason());
        let problem = Problem {
            // RFC 9457 §4.2.1: the title is then the status phrase.
            kind: "about:blank",
            title: title.unwrap_or("Error"),
            status,
            detail: self.detail(),
            service,
            reason: self.reason(),
        };
        serde_json::to_vec(&problem).unwrap_or_default().into()
    }

    /// The response header over [`Fault::document`].
    pub(crate) fn header(self, body: &Bytes) -> pingora_core::Result<ResponseHeader> {
        let mut header = ResponseHeader::build(self.status(), Some(5))?;
        header.insert_header(http::header::CONTENT_TYPE, "application/problem+json")?;
        header.insert_header(http::header::CONTENT_LENGTH, body.len())?;
        header.insert_header(http::header::CACHE_CONTROL, "no-store")?;
        header.insert_header(RHUMB_REASON, self.reason())?;
        Ok(header)
    }

    /// A whole HTTP/1.1 response that ends the connection, for requests that never became one.
    pub(crate) fn raw_response(self) -> Vec<u8> {
        let body = self.document(None);
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nRhumb-Reason: {}\r\nConnection: close\r\n\r\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or("Error"),
            body.len(),
            self.reason()
        );
        [head.as_bytes(), &body].concat()
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    reason: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_who_is_at_fault() {
        for (kind, up, fault) in [
            (ErrorType::ConnectRefused, true, Fault::ConnectFailed),
            (ErrorType::ConnectTimedout, true, Fault::ConnectTimeout),
            (ErrorType::TLSHandshakeFailure, true, Fault::TlsFailed),
            (ErrorType::ReadTimedout, true, Fault::EndpointTimeout),
            (ErrorType::ConnectionClosed, true, Fault::EndpointFailed),
            (ErrorType::ReadTimedout, false, Fault::BodyTimeout),
            (ErrorType::ConnectionClosed, false, Fault::ClientClosed),
            (ErrorType::InvalidHTTPHeader, false, Fault::BadRequest),
        ] {
            let mut error = Error::new(kind.clone());
            if up {
                error.as_up();
            } else {
                error.as_down();
            }
            assert_eq!(Fault::of(&error), fault, "{kind:?}");
        }
    }

    #[test]
    fn rfc9457_document_names_service_and_reason() {
        let document = Fault::ResidencyExhausted.document(Some("api \"x\""));
        let value: serde_json::Value = serde_json::from_slice(&document).expect("JSON");
        assert_eq!(value["status"], 451);
        assert_eq!(value["title"], "Unavailable For Legal Reasons");
        assert_eq!(value["reason"], "residency_exhausted");
        assert_eq!(value["service"], "api \"x\"");
    }
}
