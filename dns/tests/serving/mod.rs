//! A running server for the tests of streams: the world on loopback, certificates of its own, and clients that
//! trust them.

#![allow(dead_code)] // each test file uses a part of it

use crate::common;
use dns::{
    Connections, Listeners, Metrics, Plain, Rules, Secure, Server, Settings, Transfers, Transport,
};
use prometheus::Registry;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// Long enough for a loaded machine; no test waits for it unless it fails.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The name that certificates are for.
pub const NAME: &str = "dns.test";
/// The metric of what was closed, by reason.
pub const CLOSED: &str = "rhumb_dns_connections_closed_total";
/// The metric of what is open, by transport.
pub const OPEN: &str = "rhumb_dns_connections";

/// A certificate that can be replaced while it serves.
#[derive(Debug)]
pub struct Certificate {
    serves: Mutex<(Arc<CertifiedKey>, CertificateDer<'static>)>,
}

impl Certificate {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            serves: Mutex::new(make()),
        })
    }

    pub fn replace(&self) {
        *self.serves.lock().expect("whole") = make();
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.serves.lock().expect("whole").1.clone()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.serves.lock().expect("whole").0.clone())
    }
}

fn make() -> (Arc<CertifiedKey>, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
    let der = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let key = ring::sign::any_supported_type(&key).expect("a usable key");
    let certified = CertifiedKey::new(vec![der.clone()], key);
    (Arc::new(certified), der)
}

/// What a server is started with.
pub struct Start {
    pub connections: Connections,
    /// Whether PROXY headers are expected, from anywhere on 127.0.0.0/8.
    pub proxied: bool,
    pub trusts: &'static str,
    pub transfers: Arc<dyn Transfers>,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            connections: Connections::DEFAULT,
            proxied: false,
            trusts: "127.0.0.0/8",
            transfers: Arc::new(()),
        }
    }
}

impl Start {
    pub fn with(connections: Connections) -> Self {
        Self {
            connections,
            ..Self::default()
        }
    }

    /// A server of the world on all transports.
    pub fn run(self) -> Running {
        let rules = Rules {
            connections: self.connections,
            trusted_proxies: vec![self.trusts.parse().expect("a network")],
            ..Rules::default()
        };
        let (publisher, reader) = steering::channel(common::ruled(rules));
        let registry = Registry::new();
        let metrics = Arc::new(Metrics::new(&registry).expect("fresh names"));
        let certificate = Certificate::new();
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let secure = || Secure {
            address,
            certificates: certificate.clone(),
            proxied: self.proxied,
        };
        let listeners = Listeners {
            plain: vec![Plain {
                address,
                proxied: self.proxied,
            }],
            dot: vec![secure()],
            doh: vec![(secure(), "/dns-query".to_owned())],
            doq: vec![secure()],
        };
        let settings = Settings::default();
        let server = Server::bind(listeners, reader, settings, metrics, Arc::new(()));
        let server = server.expect("free ports").with_transfers(self.transfers);
        let of = |transport| server.encrypted(transport)[0];
        let (plain, dot, doh, doq) = (
            server.addresses()[0],
            of(Transport::Tls),
            of(Transport::Https),
            of(Transport::Quic),
        );
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(server.run(shutdown.clone()));
        Running {
            plain,
            dot,
            doh,
            doq,
            certificate,
            registry,
            shutdown,
            task,
            _publisher: publisher,
        }
    }
}

pub struct Running {
    pub plain: SocketAddr,
    pub dot: SocketAddr,
    pub doh: SocketAddr,
    pub doq: SocketAddr,
    pub certificate: Arc<Certificate>,
    pub registry: Registry,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    _publisher: steering::Publisher,
}

impl Running {
    /// The value of a counter or gauge with this label.
    pub fn counted(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let metrics = families
            .iter()
            .filter(|family| family.name() == name)
            .flat_map(|family| family.get_metric());
        metrics
            .filter(|metric| metric.get_label().iter().any(|l| l.value() == label))
            .map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
            .sum()
    }

    pub async fn until(&self, name: &str, label: &str, value: f64) {
        let wait = async {
            while self.counted(name, label) != value {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = timeout(PATIENCE, wait).await;
        assert!(
            reached.is_ok(),
            "{name} {label} is {}",
            self.counted(name, label)
        );
    }

    /// How a client of this server does TLS.
    pub fn client(&self, protocols: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der()).expect("a certificate");
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        config
    }

    /// A connection to `address` with TLS, `first` sent before it.
    pub async fn tls(
        &self,
        address: SocketAddr,
        protocols: &[&str],
        first: &[u8],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(first).await?;
        let connector = TlsConnector::from(Arc::new(self.client(protocols)));
        connector.connect(name(), stream).await
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.task)
            .await
            .expect("it stops")
            .expect("without a panic");
    }
}

pub fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("a name")
}

pub fn framed(packet: &[u8]) -> Vec<u8> {
    [&(packet.len() as u16).to_be_bytes(), packet].concat()
}

pub async fn read_frame<S: AsyncRead + Unpin>(stream: &mut S) -> Vec<u8> {
    let read = async {
        let length = stream.read_u16().await.expect("a length");
        let mut frame = vec![0; usize::from(length)];
        stream.read_exact(&mut frame).await.expect("a message");
        frame
    };
    timeout(PATIENCE, read).await.expect("an answer")
}

/// Asks over a stream.
pub async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, packet: &[u8]) -> Vec<u8> {
    stream.write_all(&framed(packet)).await.expect("sent");
    stream.flush().await.expect("sent");
    read_frame(stream).await
}

/// Whether the other side closes, without a word more.
pub async fn closed<S: AsyncRead + Unpin>(stream: &mut S) -> bool {
    let mut rest = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    ended.is_ok() && rest.is_empty()
}

/// A PROXY header of version 2 that says `client`.
pub fn proxy_header(client: &str, datagram: bool) -> Vec<u8> {
    let client: Ipv4Addr = client.parse().expect(client);
    let mut header = b"\r\n\r\n\x00\r\nQUIT\n\x21".to_vec();
    header.push(if datagram { 0x12 } else { 0x11 });
    header.extend([0, 12]);
    header.extend(client.octets());
    header.extend([192, 0, 2, 53, 0x12, 0x34, 0, 53]);
    header
}
