//! How the generator does TLS: what it trusts, what it offers, whether it resumes sessions. It opens no
//! connection.

use super::{GenerateError, Version};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// Sessions that are remembered when they are resumed.
const SESSIONS: usize = 256;

/// How connections are secured.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The server name that is asked for (SNI) and that the certificate must be for; the host of the
    /// first request on a connection where this is `None`.
    pub server_name: Option<String>,
    /// What a certificate is believed for.
    pub verify: Verify,
    /// Whether a later connection resumes the session of an earlier one. Off by default: then each
    /// connection costs the server a full handshake, which is what a crowd of new clients costs.
    pub resumption: bool,
    /// The protocols offered by ALPN; empty for the one of the HTTP version.
    pub alpn: Vec<Vec<u8>>,
}

/// What a server's certificate is believed for.
#[derive(Clone, Debug, Default)]
pub enum Verify {
    /// Anything: a load test asks the address that it was given. The server's signature is checked all
    /// the same, so that the handshake costs what it costs real clients.
    #[default]
    Nothing,
    /// The system's authorities.
    System,
    /// These authorities, as PEM text.
    Pem(Vec<u8>),
}

/// What rustls needs.
///
/// # Errors
/// When there is no usable authority.
pub(in crate::generate) fn client_config(
    tls: &Tls,
    version: Version,
) -> Result<Arc<ClientConfig>, GenerateError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|source| GenerateError::Authorities(source.to_string()))?;
    let mut config = match &tls.verify {
        Verify::Nothing => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
            .with_no_client_auth(),
        Verify::System => builder
            .with_root_certificates(system_authorities()?)
            .with_no_client_auth(),
        Verify::Pem(text) => builder
            .with_root_certificates(authorities(text)?)
            .with_no_client_auth(),
    };
    config.alpn_protocols = match (tls.alpn.is_empty(), version) {
        (false, _) => tls.alpn.clone(),
        (true, Version::H1) => vec![b"http/1.1".to_vec()],
        (true, Version::H2 { .. }) => vec![b"h2".to_vec()],
    };
    config.resumption = if tls.resumption {
        Resumption::in_memory_sessions(SESSIONS)
    } else {
        Resumption::disabled()
    };
    Ok(Arc::new(config))
}

/// The name that is asked for on a connection whose first request is for `host`.
///
/// # Errors
/// When it is no name.
pub(super) fn server_name(tls: &Tls, host: &str) -> Result<ServerName<'static>, GenerateError> {
    let name = tls.server_name.as_deref().unwrap_or(host);
    let wrong = |_| GenerateError::ServerName(name.to_owned());
    ServerName::try_from(name.to_owned()).map_err(wrong)
}

fn system_authorities() -> Result<RootCertStore, GenerateError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        let problem = "the system has no certificate authority";
        return Err(GenerateError::Authorities(problem.to_owned()));
    }
    Ok(store)
}

fn authorities(text: &[u8]) -> Result<RootCertStore, GenerateError> {
    let mut store = RootCertStore::empty();
    for certificate in rustls_pemfile::certs(&mut &*text) {
        let certificate = certificate.map_err(|e| GenerateError::Authorities(e.to_string()))?;
        let added = store.add(certificate);
        added.map_err(|e| GenerateError::Authorities(e.to_string()))?;
    }
    if store.is_empty() {
        let problem = "the PEM text has no CERTIFICATE block";
        return Err(GenerateError::Authorities(problem.to_owned()));
    }
    Ok(store)
}

/// Believes any certificate, but checks that the server has its key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
