//! The TLS side of a probe: a full handshake each time, verified against the system's authorities, the
//! operator's, or not at all. No session is resumed, so an expired certificate shows with the next probe.

use super::note;
use crate::authorities::{SystemAuthorities, from_pem};
use crate::failure::Failure;
use crate::plan::Fault;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use steering::health::ProbeTls;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// One TLS configuration, shared by every probe of a check.
pub(super) struct TlsProbe {
    connector: TlsConnector,
    /// The name for SNI and verification; the target's address when none.
    name: Option<ServerName<'static>>,
}

impl fmt::Debug for TlsProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsProbe")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl TlsProbe {
    /// Makes the TLS side of a check ready; `host` is the name to use when the check gives none, `alpn`
    /// the protocols to offer. Adds what is wrong to `faults`.
    pub(super) fn new(
        spec: &ProbeTls,
        host: Option<&str>,
        alpn: &[&[u8]],
        authorities: &mut SystemAuthorities,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let name = note(server_name(spec, host), faults);
        let config = trusted(spec, authorities).and_then(|trusted| configure(trusted, alpn));
        let connector = TlsConnector::from(Arc::new(note(config, faults)?));
        Some(Self {
            connector,
            name: name?,
        })
    }

    /// Shakes hands.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let name = self
            .name
            .clone()
            .unwrap_or_else(|| ServerName::IpAddress(address.ip().into()));
        let result = self.connector.connect(name, stream).await;
        result.map_err(|error| Failure::Tls(explain(&error)))
    }
}

/// The name that the check gives, else that of `host`, if it is one.
fn server_name(spec: &ProbeTls, host: Option<&str>) -> Result<Option<ServerName<'static>>, Fault> {
    match &spec.server_name {
        Some(written) => ServerName::try_from(written.to_string())
            .map(Some)
            .map_err(|_| Fault::ServerName(written.clone())),
        None => Ok(host.and_then(|host| ServerName::try_from(host.to_owned()).ok())),
    }
}

/// The authorities to verify with; `None` for a check that does not verify.
fn trusted(
    spec: &ProbeTls,
    authorities: &mut SystemAuthorities,
) -> Result<Option<Arc<RootCertStore>>, Fault> {
    // A damaged file is worth saying even where nothing is verified.
    let own = spec.ca_pem.as_deref().map(from_pem).transpose()?;
    match (spec.verify, own) {
        (false, _) => Ok(None),
        (true, Some(own)) => Ok(Some(own)),
        (true, None) => authorities.store().map(Some),
    }
}

fn configure(trusted: Option<Arc<RootCertStore>>, alpn: &[&[u8]]) -> Result<ClientConfig, Fault> {
    // Named, not the process's default: which crypto a dependency installs there must not matter.
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider as Arc<CryptoProvider>)
        .with_safe_default_protocol_versions()
        .map_err(|e| Fault::Tls(e.to_string()))?;
    let builder = match trusted {
        Some(roots) => builder.with_root_certificates(roots),
        None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate { algorithms })),
    };
    let mut config = builder.with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

/// The error of a handshake in words, with the remedy where it is one of the operator's settings.
fn explain(error: &io::Error) -> String {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>());
    let remedy = match tls {
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "; set server_name to a name of the certificate",
        // A bad signature, when another authority of the same name is trusted.
        Some(Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => "; give the check the ca that issued it",
        _ if error.kind() == io::ErrorKind::UnexpectedEof => "; does the port speak TLS?",
        Some(Error::InvalidMessage(_)) => "; does the port speak TLS?",
        _ => "",
    };
    format!("{error}{remedy}")
}

/// For `verify: false`: any certificate will do, but the server must still hold its key.
#[derive(Debug)]
struct AnyCertificate {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
