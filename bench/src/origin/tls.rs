//! Certificates for rehearsals: an authority made for the occasion, and what it signs. Its keys live in
//! memory; it writes no file and trusts nothing.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a certificate is good: a rehearsal's length, and days to spare.
const GOOD_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It can't be made.
    #[error("the certificate of a rehearsal can't be made: {0}")]
    Making(#[from] rcgen::Error),
    /// rustls does not take it.
    #[error("the certificate of a rehearsal can't be used: {0}")]
    Using(#[from] rustls::Error),
}

/// An authority that nobody trusts unless told to.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A server's certificate and key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate and its authority's, PEM.
    pub chain_pem: String,
    /// The private key, PEM (PKCS #8, ECDSA P-256).
    pub key_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// When its key or certificate can't be made.
    pub fn new() -> Result<Self, TlsError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params
            .distinguished_name
            .push(DnType::CommonName, "Rhumb bench authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        dated(&mut params);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// Its certificate, PEM: what a client is to trust.
    pub fn ca_pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server's certificate for these names and addresses.
    ///
    /// # Errors
    /// When one of them is neither, or nothing can be made of them.
    pub fn identity(&self, names: &[&str]) -> Result<Identity, TlsError> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "Rhumb bench");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        dated(&mut params);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            chain_pem: certificate.pem() + &self.ca_pem(),
            key_pem: key.serialize_pem(),
            chain: vec![certificate.der().clone(), self.issuer.der().clone()],
            key: key.serialize_der(),
        })
    }

    /// A client's side that trusts this authority alone and offers `alpn`.
    ///
    /// # Errors
    /// When rustls does not take the authority's certificate.
    pub fn client(&self, alpn: &[&str]) -> Result<Arc<ClientConfig>, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone())?;
        let provider = Arc::new(ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols(alpn);
        Ok(Arc::new(config))
    }
}

impl Identity {
    /// A server's side with this certificate that speaks `alpn`; origins speak `http/1.1`.
    ///
    /// # Errors
    /// When rustls does not take the certificate.
    pub fn server(&self, alpn: &[&str]) -> Result<Arc<ServerConfig>, TlsError> {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)?;
        config.alpn_protocols = protocols(alpn);
        Ok(Arc::new(config))
    }
}

fn protocols(alpn: &[&str]) -> Vec<Vec<u8>> {
    alpn.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// Good from yesterday, for peers whose clock is behind.
fn dated(params: &mut CertificateParams) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = rcgen::date_time_ymd(1970, 1, 1) + since.unwrap_or_default();
    params.not_before = now - DAY;
    params.not_after = now + GOOD_FOR;
}
