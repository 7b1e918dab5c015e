//! TLS probes against a real handshake on loopback: who is trusted, under which name, and what is said
//! when that goes wrong.

mod common;

use common::{Origin, RULES, check, drain, http, read_head};
use health::{Failure, Fault, Prober, SystemAuthorities};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use steering::health::{Probe, ProbeHttp, ProbeTls};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// An authority and what it issues.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        Self::named("Rhumb test authority")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    fn pem(&self) -> Arc<str> {
        self.0.pem().into()
    }

    /// A server for these names, whose certificate ended in the past if `expired`.
    fn server(&self, names: &[&str], expired: bool) -> ServerConfig {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("valid names");
        if expired {
            params.not_after = date_time_ymd(2001, 1, 1);
            params.not_before = date_time_ymd(2000, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("usual versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a usable certificate")
    }
}

/// What the server saw of a handshake.
#[derive(Debug, PartialEq)]
struct Seen {
    sni: Option<String>,
    alpn: Option<Vec<u8>>,
}

/// A TLS origin that answers 200 with `healthy`, and tells what it saw.
async fn origin(mut config: ServerConfig) -> (Origin, mpsc::Receiver<Seen>) {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (tell, seen) = mpsc::channel(8);
    let origin = Origin::start(move |stream| {
        let (acceptor, tell) = (acceptor.clone(), tell.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let session = stream.get_ref().1;
            let sni = session.server_name().map(str::to_owned);
            let _ = tell
                .send(Seen {
                    sni,
                    alpn: session.alpn_protocol().map(<[u8]>::to_vec),
                })
                .await;
            if !read_head(&mut stream).await.is_empty() {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nhealthy")
                    .await;
            }
            drain(&mut stream).await;
        }
    });
    (origin.await, seen)
}

async fn probe(probe: Probe, address: SocketAddr) -> Result<(), Failure> {
    let check = check("api", probe, RULES);
    let prober = Prober::new(&check, &mut SystemAuthorities::default()).expect("a usable check");
    prober.probe(address).await.result
}

fn trusting(authority: &Authority, server_name: Option<&str>) -> ProbeTls {
    ProbeTls {
        server_name: server_name.map(Into::into),
        verify: true,
        ca_pem: Some(authority.pem()),
    }
}

#[tokio::test]
async fn a_certificate_must_be_trusted_named_and_in_time() {
    let (ours, other, namesake) = (
        Authority::new(),
        Authority::named("Another authority"),
        Authority::new(),
    );
    let any = ProbeTls {
        server_name: Some("api.test".into()),
        verify: false,
        ca_pem: None,
    };
    let by_address = ProbeTls {
        verify: false,
        ..ProbeTls::default()
    };
    let good: &[&str] = &["api.test"];
    for (what, names, expired, tls, said) in [
        (
            "trusted",
            good,
            false,
            trusting(&ours, Some("api.test")),
            "",
        ),
        (
            "trusted for its address",
            &["127.0.0.1"],
            false,
            trusting(&ours, None),
            "",
        ),
        (
            "another name",
            good,
            false,
            trusting(&ours, Some("www.test")),
            "set server_name",
        ),
        (
            "only a name",
            good,
            false,
            trusting(&ours, None),
            "set server_name",
        ),
        (
            "another authority",
            good,
            false,
            trusting(&other, Some("api.test")),
            "give the check the ca",
        ),
        (
            "a namesake",
            good,
            false,
            trusting(&namesake, Some("api.test")),
            "give the check the ca",
        ),
        (
            "expired",
            good,
            true,
            trusting(&ours, Some("api.test")),
            "expired",
        ),
        ("expired, not verified", good, true, any.clone(), ""),
        ("another authority, not verified", good, false, any, ""),
        ("no name, not verified", good, false, by_address, ""),
    ] {
        let (origin, _seen) = origin(ours.server(names, expired)).await;
        match probe(Probe::Tls(tls), origin.address).await {
            Ok(()) => assert_eq!(said, "", "{what} should fail"),
            Err(Failure::Tls(text)) => {
                assert!(!said.is_empty() && text.contains(said), "{what}: {text}");
            }
            Err(other) => panic!("{what}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_name_sent_is_the_checks_then_the_hosts_and_never_an_address() {
    let ours = Authority::new();
    for (server_name, host, sni) in [
        (Some("api.test"), None, Some("api.test")),
        (Some("api.test"), Some("www.test"), Some("api.test")),
        (None, Some("www.test:8443"), Some("www.test")),
        (None, Some("192.0.2.1"), None),
        (None, None, None),
    ] {
        let tls = ProbeTls {
            server_name: server_name.map(Into::into),
            ..ProbeTls::default()
        };
        let spec = ProbeHttp {
            host: host.map(Into::into),
            tls: Some(tls),
            ..http()
        };
        let (origin, mut seen) = origin(ours.server(&["api.test"], false)).await;
        assert_eq!(probe(Probe::Http(spec), origin.address).await, Ok(()));
        let seen = seen.recv().await.expect("a handshake");
        assert_eq!(
            seen.sni.as_deref(),
            sni,
            "server_name {server_name:?}, host {host:?}"
        );
        assert_eq!(
            seen.alpn.as_deref(),
            Some(&b"http/1.1"[..]),
            "the probe speaks HTTP/1.1"
        );
    }
}

#[tokio::test]
async fn https_is_judged_like_http() {
    let ours = Authority::new();
    for (text, passes) in [("healthy", true), ("sick", false)] {
        let (origin, _seen) = origin(ours.server(&["api.test"], false)).await;
        let tls = Some(trusting(&ours, Some("api.test")));
        let spec = ProbeHttp {
            body: Some(text.into()),
            tls,
            ..http()
        };
        assert_eq!(
            probe(Probe::Http(spec), origin.address).await.is_ok(),
            passes,
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_port_without_tls_is_said_to_be_one() {
    for reply in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
        let origin = Origin::start(move |mut stream| async move {
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = stream.shutdown().await;
            drain(&mut stream).await;
        })
        .await;
        let tls = ProbeTls::default();
        match probe(Probe::Tls(tls), origin.address).await {
            Err(Failure::Tls(text)) => assert!(text.contains("speak TLS"), "{reply:?}: {text}"),
            other => panic!("{reply:?}: {other:?}"),
        }
    }
}

#[test]
fn a_check_that_cannot_work_is_refused_by_name() {
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (tls, wanted) in [
        (
            ProbeTls {
                server_name: Some("not a name".into()),
                ..ProbeTls::default()
            },
            "server_name",
        ),
        (
            ProbeTls {
                ca_pem: Some("".into()),
                ..ProbeTls::default()
            },
            "ca",
        ),
        (
            ProbeTls {
                ca_pem: Some("no pem at all".into()),
                ..ProbeTls::default()
            },
            "ca",
        ),
        (
            ProbeTls {
                ca_pem: Some(damaged.into()),
                verify: true,
                server_name: None,
            },
            "ca",
        ),
    ] {
        let check = check("front", Probe::Tls(tls), RULES);
        let problems = Prober::new(&check, &mut SystemAuthorities::default()).expect_err("refused");
        assert_eq!(problems.len(), 1, "{problems:?}");
        let found = match &problems[0].fault {
            Fault::ServerName(_) => "server_name",
            Fault::Authorities(_) => "ca",
            other => panic!("{other:?}"),
        };
        assert_eq!(found, wanted);
        assert!(
            problems[0].to_string().starts_with("health check front: "),
            "{}",
            problems[0]
        );
    }
}
