//! Room for connections: how many file descriptors the process may have.
//!
//! Nothing here opens or closes one.

use config::Checked;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What is needed beside clients' connections: listeners, connections to endpoints, files, probes.
const ELSE: u64 = 4_096;

/// Raises the soft limit to the hard one, which is what the system lets a service have; says so where even
/// that is less than the config's DNS connections may take.
pub fn raise(checked: &Checked) {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, hard)| {
        if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_err() {
            return soft;
        }
        hard
    });
    let wanted = checked.dns.connections.most as u64;
    match limit {
        Ok(limit) if limit < wanted.saturating_add(ELSE) => tracing::warn!(
            limit,
            "dns.tcp.connections ({wanted}) may need more open files than the system allows; raise LimitNOFILE or ulimit -Hn"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files is not known"),
    }
}
