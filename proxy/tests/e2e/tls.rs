//! Certificates by name, their reload, resumption; TLS towards endpoints.

use crate::client::{Client, get};
use crate::origin::Origin;
use crate::setup::{Running, Setup, simple};
use proxy::{CertStore, Certificates, HttpsListener, UpstreamTls};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A self-signed certificate in two files, and its PEM text.
pub struct Made {
    pub files: (PathBuf, PathBuf),
    pub pem: String,
    acceptor: TlsAcceptor,
}

impl Made {
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }
}

pub fn make(dir: &Path, stem: &str, names: &[&str], alpn: &[&[u8]]) -> Made {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let files = (
        dir.join(format!("{stem}.pem")),
        dir.join(format!("{stem}.key")),
    );
    std::fs::write(&files.0, made.cert.pem()).expect("written");
    std::fs::write(&files.1, made.signing_key.serialize_pem()).expect("written");
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let chain = vec![made.cert.der().clone()];
    let config =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let config = config
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.expect("a good pair");
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    Made {
        files,
        pem: made.cert.pem(),
        acceptor: TlsAcceptor::from(Arc::new(config)),
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A client that trusts these certificates.
pub fn connector(trusted: &[&Made], alpn: &[&[u8]]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for made in trusted {
        for der in rustls_pemfile::certs(&mut made.pem.as_bytes()) {
            roots.add(der.expect("a certificate")).expect("trusted");
        }
    }
    let config =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let mut config = config
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

pub async fn dial(
    proxy: &Running,
    connector: &TlsConnector,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(proxy.handle.https()[0]).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    connector.connect(name, tcp).await
}

/// Starts with one HTTPS listener.
pub async fn https(mut setup: Setup, made: &[&Made]) -> (Running, Arc<Certificates>) {
    let files: Vec<_> = made.iter().map(|made| made.files.clone()).collect();
    let certificates = Arc::new(Certificates::new(
        CertStore::build(&files).expect("a store"),
    ));
    let address = "127.0.0.1:0".parse().expect("an address");
    setup.settings.https.push(HttpsListener {
        address,
        certificates: certificates.clone(),
    });
    (setup.start().await, certificates)
}

async fn leaf(proxy: &Running, connector: &TlsConnector, name: &str) -> Option<Vec<u8>> {
    let tls = dial(proxy, connector, name).await.ok()?;
    let certificates = tls.get_ref().1.peer_certificates()?;
    certificates.first().map(|leaf| leaf.to_vec())
}

#[tokio::test]
async fn certificates_are_chosen_by_name_and_replaced_while_serving() {
    let dir = tempfile::tempdir().expect("a directory");
    let origin = Origin::start("us").await;
    let one = make(dir.path(), "one", &["a.test"], &[]);
    let wild = make(dir.path(), "wild", &["*.b.test"], &[]);
    let (proxy, certificates) = https(simple(&[origin.address]), &[&one, &wild]).await;
    let client = connector(&[&one, &wild], &[]);
    assert!(leaf(&proxy, &client, "a.test").await.is_some());
    assert!(leaf(&proxy, &client, "x.b.test").await.is_some());
    assert!(
        leaf(&proxy, &client, "other.test").await.is_none(),
        "the first one is not for this name"
    );

    let mut kept = Client::over(dial(&proxy, &client, "a.test").await.expect("connected"));
    let new = make(dir.path(), "one", &["a.test"], &[]);
    certificates
        .reload(&[new.files.clone(), wild.files.clone()])
        .expect("a good store");
    assert!(
        leaf(&proxy, &client, "a.test").await.is_none(),
        "the old one is no longer served"
    );
    assert!(
        leaf(&proxy, &connector(&[&new], &[]), "a.test")
            .await
            .is_some()
    );
    kept.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert_eq!(kept.response().await.status, 200, "open connections go on");
    let head = origin.last();
    assert!(head.contains("\nx-forwarded-proto: https\n"), "{head}");

    std::fs::write(&new.files.0, "nonsense").expect("written");
    assert!(
        certificates
            .reload(std::slice::from_ref(&new.files))
            .is_err()
    );
    assert!(
        leaf(&proxy, &connector(&[&new], &[]), "a.test")
            .await
            .is_some(),
        "the last good one stays"
    );
}

#[tokio::test]
async fn sessions_resume() {
    let dir = tempfile::tempdir().expect("a directory");
    let origin = Origin::start("us").await;
    let made = make(dir.path(), "one", &["a.test"], &[]);
    let (proxy, _) = https(simple(&[origin.address]), &[&made]).await;
    let connector = connector(&[&made], &[]);
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let mut client = Client::over(dial(&proxy, &connector, "a.test").await.expect("connected"));
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
        assert_eq!(client.response().await.status, 200);
        kinds.push(client.io.get_ref().1.handshake_kind());
    }
    assert_eq!(
        kinds,
        [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]
    );
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_is_dropped() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = make(dir.path(), "one", &["a.test"], &[]);
    let (proxy, _) = https(simple(&[]), &[&made]).await;
    let mut client = crate::client::connect(proxy.handle.https()[0]).await;
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    assert!(client.try_response().await.is_none());
    assert_eq!(proxy.metric("rhumb_http_tls_handshake_failures_total"), 1.0);
}

#[tokio::test]
async fn endpoints_are_verified() {
    let dir = tempfile::tempdir().expect("a directory");
    let (good, other) = (
        make(dir.path(), "good", &["o.test"], &[]),
        make(dir.path(), "other", &["o.test"], &[]),
    );
    let origin = Origin::with("us", Some(good.acceptor())).await;
    for (ca, name, verify, status, reason) in [
        (&good, "o.test", true, 200, None),
        (&good, "wrong.test", true, 502, Some("tls_failed")),
        (&other, "o.test", true, 502, Some("tls_failed")),
        (&other, "wrong.test", false, 200, None),
    ] {
        let mut setup = simple(&[origin.address]);
        setup.pools[0].upstream.tls = Some(UpstreamTls {
            server_name: Some(name.to_owned()),
            verify,
            ca_pem: Some(ca.pem.clone()),
        });
        let proxy = setup.start().await;
        let response = get(proxy.address(), "a.test", "/").await;
        assert_eq!(
            (response.status, response.header("rhumb-reason")),
            (status, reason),
            "{name} {verify}"
        );
    }
}
