//! TLS of the encrypted transports: versions, ALPN, resumption. Certificates come from outside.

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ResolvesServerCert, ServerSessionMemoryCache};
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;

/// TLS 1.2 sessions remembered for clients that do not take tickets, a few hundred bytes each.
const SESSIONS: usize = 8_192;

/// TLS 1.2 and 1.3 with these protocols (RFC 7301), for DoT and DoH. A client that offers others is refused;
/// one that offers none is taken.
///
/// No early data: a query that is played again tells an onlooker what was asked (RFC 9250 §4.5 allows it for
/// plain queries, and gains a round trip that resumption keeps short anyway).
///
/// # Errors
/// When no random numbers can be had for the ticket key.
pub(super) fn over_tcp(
    certificates: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    resumable(config, protocols)
}

/// TLS 1.3 alone, as QUIC has it (RFC 9001 §4.2).
///
/// # Errors
/// When no random numbers can be had for the ticket key.
pub(super) fn within_quic(
    certificates: Arc<dyn ResolvesServerCert>,
    protocols: &[&[u8]],
) -> Result<ServerConfig, rustls::Error> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    resumable(config, protocols)
}

fn resumable(mut config: ServerConfig, protocols: &[&[u8]]) -> Result<ServerConfig, rustls::Error> {
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.ticketer = ring::Ticketer::new()?;
    config.max_early_data_size = 0;
    Ok(config)
}
