//! The log: to standard error, for people or for programs. `RUST_LOG` overrides the config's level.

use config::checked::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

/// What only speaks of one request or connection, and would drown the rest: peers' failed handshakes
/// and broken connections are counted and in the access log.
const QUIET: &str = "pingora_core=error,pingora_proxy=off,hickory_server=error,hickory_proto=error";

/// Starts to log. The first call holds; a test binary may call it often.
pub fn init(log: &Log) {
    let directives = format!("{},{QUIET}", log.level);
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(directives));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let _ = match log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
}
