//! The TLS configuration of a listener: versions, ALPN, resumption. Certificates are elsewhere.

use crate::certificates::Certificates;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::ServerSessionMemoryCache;
use std::sync::Arc;

/// TLS 1.2 sessions remembered for clients that do not take tickets, a few hundred bytes each.
const SESSIONS: usize = 8192;

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, no early data (a replayed request may not be idempotent).
///
/// Sessions resume by stateless tickets, whose key lives in this process and changes every six hours;
/// a ticket is good for twelve.
///
/// # Errors
///
/// When no random numbers can be had for the ticket key.
pub(crate) fn server_config(
    certificates: Arc<Certificates>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&versions)?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    config.ticketer = ring::Ticketer::new()?;
    Ok(Arc::new(config))
}
