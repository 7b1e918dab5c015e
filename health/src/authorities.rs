//! Which certificate authorities a probe trusts: the system's, read once, or PEM text of the operator's.
//! It verifies nothing itself.

use crate::plan::Fault;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;

/// The system's authorities, read from disk when the first check needs them and then shared.
#[derive(Debug, Default)]
pub struct SystemAuthorities {
    read: Option<Arc<RootCertStore>>,
}

impl SystemAuthorities {
    /// The system's trusted authorities.
    ///
    /// # Errors
    /// [`Fault::NoSystemAuthorities`] when there is not one: every verified handshake would fail.
    pub(crate) fn store(&mut self) -> Result<Arc<RootCertStore>, Fault> {
        if let Some(store) = &self.read {
            return Ok(store.clone());
        }
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        let (added, ignored) = store.add_parsable_certificates(found.certs);
        for error in &found.errors {
            tracing::warn!(%error, "some system certificate authorities cannot be read");
        }
        tracing::debug!(added, ignored, "read the system's certificate authorities");
        if store.is_empty() {
            return Err(Fault::NoSystemAuthorities);
        }
        let store = Arc::new(store);
        self.read = Some(store.clone());
        Ok(store)
    }
}

/// The authorities in PEM text.
///
/// # Errors
/// [`Fault::Authorities`] when the text is damaged or has no certificate.
pub(crate) fn from_pem(text: &str) -> Result<Arc<RootCertStore>, Fault> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let certificate = certificate.map_err(|e| Fault::Authorities(e.to_string()))?;
        store
            .add(certificate)
            .map_err(|e| Fault::Authorities(e.to_string()))?;
    }
    if store.is_empty() {
        return Err(Fault::Authorities("no CERTIFICATE block".to_owned()));
    }
    Ok(Arc::new(store))
}
