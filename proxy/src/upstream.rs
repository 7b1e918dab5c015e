//! How the endpoints of one pool are connected to: TLS, protocol, timeouts, and the Pingora peer made
//! from them. Which endpoint that is, is never chosen here.

use crate::upgrade::Upgrades;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::tls::CaType;
use pingora_core::upstreams::peer::{HttpPeer, PeerOptions, Scheme};
use pingora_core::utils::tls::{WrappedX509, parse_x509};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

/// How many requests share one HTTP/2 connection to an endpoint.
const MAX_H2_STREAMS: usize = 100;

/// Which HTTP version is spoken to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/2 or HTTP/1.1 by ALPN over TLS; HTTP/1.1 without TLS.
    #[default]
    Auto,
    /// HTTP/1.1.
    H1,
    /// HTTP/2 only: by ALPN over TLS, by prior knowledge without (RFC 9113 §3.3). What gRPC needs.
    H2,
}

/// TLS to an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// The name sent as SNI and verified; by default the pool's `host`, else the endpoint's address.
    pub server_name: Option<String>,
    /// Whether the certificate is verified. Never off unless the operator says so.
    pub verify: bool,
    /// PEM text of the authorities to trust instead of the system's.
    pub ca_pem: Option<String>,
}

/// How the endpoints of one pool are connected to.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The pool's name, for problems.
    pub name: Option<String>,
    /// TLS; none is plain TCP.
    pub tls: Option<UpstreamTls>,
    /// The Host header sent instead of the client's.
    pub host: Option<String>,
    /// The HTTP version.
    pub protocol: Protocol,
    /// The longest a connection may take to be established, TLS handshake included.
    pub connect_timeout: Duration,
    /// The longest wait for the next bytes of a response (or of an upgraded connection).
    pub read_timeout: Duration,
    /// The longest wait for the endpoint to take the next bytes of a request.
    pub write_timeout: Duration,
    /// How long an unused connection is kept for the next request.
    pub idle_timeout: Duration,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            name: None,
            tls: None,
            host: None,
            protocol: Protocol::Auto,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
        }
    }
}

impl Upstream {
    /// The defaults, for the pool of this name.
    pub fn of_pool(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }
}

/// An upstream with what is made once for a pool instead of once a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prepared {
    pub upstream: Upstream,
    ca: Option<Arc<CaType>>,
    /// Connections are shared only among peers with the same settings.
    group: u64,
}

/// What is wrong with an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamProblem {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Prepared {
    /// Reads the authorities and seals what follows from the settings.
    pub(crate) fn new(upstream: Upstream) -> Result<Self, UpstreamProblem> {
        let ca_pem = upstream.tls.as_ref().and_then(|tls| tls.ca_pem.as_deref());
        let ca = ca_pem.map(authorities).transpose()?;
        if let Some(host) = &upstream.host
            && (host.is_empty() || http::HeaderValue::from_str(host).is_err())
        {
            let message = format!("{host:?} cannot be a Host header");
            return Err(UpstreamProblem {
                message,
                hint: "write a host name".to_owned(),
            });
        }
        // Pingora's own reuse key knows nothing of authorities or protocol.
        let mut hasher = DefaultHasher::new();
        (&upstream.tls, upstream.protocol).hash(&mut hasher);
        Ok(Self {
            ca,
            group: hasher.finish(),
            upstream,
        })
    }

    /// The peer for one endpoint. An upgrade (WebSocket) is only possible over HTTP/1.1.
    pub(crate) fn peer(&self, address: SocketAddr, upgrade: bool) -> HttpPeer {
        let upstream = &self.upstream;
        let mut options = PeerOptions::new();
        options.connection_timeout = Some(upstream.connect_timeout);
        options.total_connection_timeout = Some(upstream.connect_timeout);
        options.read_timeout = Some(upstream.read_timeout);
        options.write_timeout = Some(upstream.write_timeout);
        options.idle_timeout = Some(upstream.idle_timeout);
        options.max_h2_streams = MAX_H2_STREAMS;
        options.alpn = match (upstream.protocol, upstream.tls.is_some()) {
            _ if upgrade => ALPN::H1,
            (Protocol::H2, _) => ALPN::H2,
            (Protocol::Auto, true) => ALPN::H2H1,
            (Protocol::Auto, false) | (Protocol::H1, _) => ALPN::H1,
        };
        if upgrade {
            let connect_timeout = upstream.connect_timeout;
            options.custom_l4 = Some(Arc::new(Upgrades { connect_timeout }));
        }
        if let Some(tls) = &upstream.tls {
            options.verify_cert = tls.verify;
            options.verify_hostname = tls.verify;
            options.ca.clone_from(&self.ca);
        }
        HttpPeer {
            _address: pingora_core::protocols::l4::socket::SocketAddr::Inet(address),
            scheme: Scheme::from_tls_bool(upstream.tls.is_some()),
            sni: self.server_name(address),
            proxy: None,
            client_cert_key: None,
            // A connection kept from an ordinary request would not be one for upgrades.
            group_key: self.group ^ u64::from(upgrade),
            options,
        }
    }

    /// Never empty under TLS: Pingora skips verification of a peer without a name.
    fn server_name(&self, address: SocketAddr) -> String {
        let upstream = &self.upstream;
        let Some(tls) = &upstream.tls else {
            return String::new();
        };
        let host = upstream.host.as_deref().map(crate::pattern::host_of);
        match tls.server_name.as_deref().or(host) {
            Some(name) => name.to_owned(),
            None => address.ip().to_string(),
        }
    }
}

/// The certificates of a PEM text, each one parsed here because Pingora panics on one it cannot read.
fn authorities(pem: &str) -> Result<Arc<CaType>, UpstreamProblem> {
    let problem = |message: String| UpstreamProblem {
        message,
        hint: "give PEM text with at least one CERTIFICATE block".to_owned(),
    };
    let mut wrapped = Vec::new();
    for (i, der) in rustls_pemfile::certs(&mut pem.as_bytes()).enumerate() {
        let der = der.map_err(|e| problem(format!("authority {} is not PEM: {e}", i + 1)))?;
        X509Certificate::from_der(&der)
            .map_err(|e| problem(format!("authority {} is no certificate: {e}", i + 1)))?;
        wrapped.push(WrappedX509::new(der.to_vec(), parse_x509));
    }
    if wrapped.is_empty() {
        return Err(problem("it holds no authority".to_owned()));
    }
    Ok(wrapped.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pingora_core::upstreams::peer::Peer;

    fn peer(upstream: Upstream, upgrade: bool) -> HttpPeer {
        let prepared = Prepared::new(upstream).expect("no authorities to read");
        prepared.peer(SocketAddr::from(([192, 0, 2, 1], 443)), upgrade)
    }

    #[test]
    fn a_tls_peer_always_has_a_name_to_verify() {
        let tls = UpstreamTls {
            verify: true,
            ..UpstreamTls::default()
        };
        let plain = Upstream::default();
        let by_address = Upstream {
            tls: Some(tls.clone()),
            ..Upstream::default()
        };
        let by_host = Upstream {
            host: Some("o.test:8443".to_owned()),
            ..by_address.clone()
        };
        let named = UpstreamTls {
            server_name: Some("n.test".to_owned()),
            ..tls
        };
        let by_name = Upstream {
            tls: Some(named),
            ..by_host.clone()
        };
        for (upstream, sni) in [
            (plain, ""),
            (by_address, "192.0.2.1"),
            (by_host, "o.test"),
            (by_name, "n.test"),
        ] {
            assert_eq!(peer(upstream, false).sni, sni);
        }
    }

    #[test]
    fn connections_are_not_shared_between_different_trust() {
        let with = |verify| {
            let tls = Some(UpstreamTls {
                verify,
                ..UpstreamTls::default()
            });
            peer(
                Upstream {
                    tls,
                    ..Upstream::default()
                },
                false,
            )
            .reuse_hash()
        };
        assert_ne!(with(true), with(false));
        assert_eq!(with(true), with(true));
    }

    #[test]
    fn bad_authorities_are_problems_not_panics() {
        for pem in [
            "",
            "nonsense",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let tls = UpstreamTls {
                verify: true,
                server_name: None,
                ca_pem: Some(pem.to_owned()),
            };
            let upstream = Upstream {
                tls: Some(tls),
                ..Upstream::default()
            };
            assert!(Prepared::new(upstream).is_err(), "{pem:?}");
        }
    }

    #[test]
    fn upgrades_are_never_offered_over_h2() {
        let tls = Some(UpstreamTls::default());
        let upstream = Upstream {
            tls,
            protocol: Protocol::Auto,
            ..Upstream::default()
        };
        assert_eq!(peer(upstream.clone(), false).options.alpn, ALPN::H2H1);
        assert_eq!(peer(upstream, true).options.alpn, ALPN::H1);
    }
}
