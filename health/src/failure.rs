//! Why a probe failed, sorted by where it failed. It judges no target; counting is the state machine's.

use std::io;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Why a probe failed. What the peer said is in the text; [`Failure::name`] is safe as a metric label.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// The address refused the connection.
    #[error("connection refused: nothing listens there")]
    ConnectRefused,
    /// No connection within the check's timeout.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The connection failed otherwise: no route, reset.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// Connected, but the TLS handshake failed.
    #[error("TLS: {0}")]
    Tls(String),
    /// Connected, but the rest was not done within the check's timeout.
    #[error("connected, but not finished within {0:?}")]
    Timeout(Duration),
    /// An answer with a status that the check does not expect.
    #[error("status {got}, expected {expected}")]
    Status {
        /// The status answered.
        got: u16,
        /// What would have been right, as ranges.
        expected: Arc<str>,
    },
    /// An answer without the text that the check expects in the first 64 KiB of its body.
    #[error("the first 64 KiB of the body do not contain {0:?}")]
    Body(Arc<str>),
    /// What came is not an HTTP/1.1 answer, or not a whole one.
    #[error("HTTP: {0}")]
    Protocol(String),
    /// This node could not even try: it is out of file descriptors or memory. Says nothing of the target.
    #[error("this node cannot probe: {0}; raise its file descriptor or memory limit")]
    Local(String),
}

impl Failure {
    /// Every value of [`Failure::name`].
    pub const NAMES: [&'static str; 9] = [
        "connect_refused",
        "connect_timeout",
        "connect",
        "tls",
        "timeout",
        "status",
        "body",
        "protocol",
        "local",
    ];

    /// The kind, for metric labels and `status`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout(_) => "connect_timeout",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Timeout(_) => "timeout",
            Self::Status { .. } => "status",
            Self::Body(_) => "body",
            Self::Protocol(_) => "protocol",
            Self::Local(_) => "local",
        }
    }

    /// Whether it says anything about the target. A node that is out of descriptors must not take
    /// every target down.
    pub const fn is_conclusive(&self) -> bool {
        !matches!(self, Self::Local(_))
    }

    /// Sorts the error of a connection attempt.
    pub(crate) fn connecting(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            return Self::ConnectRefused;
        }
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                Self::Local(error.to_string())
            }
            _ => Self::Connect(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_errors_are_sorted_by_who_is_at_fault() {
        for (errno, name, conclusive) in [
            (libc::ECONNREFUSED, "connect_refused", true),
            (libc::EHOSTUNREACH, "connect", true),
            (libc::ENETUNREACH, "connect", true),
            (libc::EADDRNOTAVAIL, "connect", true),
            (libc::EMFILE, "local", false),
            (libc::ENFILE, "local", false),
            (libc::ENOBUFS, "local", false),
        ] {
            let failure = Failure::connecting(&io::Error::from_raw_os_error(errno));
            assert_eq!(
                (failure.name(), failure.is_conclusive()),
                (name, conclusive),
                "errno {errno}"
            );
            assert!(Failure::NAMES.contains(&failure.name()), "{name} is listed");
        }
    }
}
