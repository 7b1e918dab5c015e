//! Asks a running PoP's admin address.

use std::net::SocketAddr;
use std::time::Duration;

/// How long a PoP may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The largest answer taken in.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;

/// Why there is no answer; says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody there.
    #[error(
        "no PoP answers at {address}: {reason}; is it running, and is its admin address {address}? (--admin)"
    )]
    Unreachable {
        /// Where.
        address: SocketAddr,
        /// What went wrong.
        reason: String,
    },
    /// It answered, but not with what was asked for.
    #[error("the PoP at {address} says: {message}")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// Its words.
        message: String,
    },
}

/// The body of `GET path?query`.
///
/// # Errors
/// When the PoP can't be reached or answers with anything but 200.
pub fn get(address: SocketAddr, path: &str, query: &[(&str, &str)]) -> Result<String, ClientError> {
    let unreachable = |reason: String| ClientError::Unreachable { address, reason };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent.get(format!("http://{address}{path}"));
    for (name, value) in query {
        request = request.query(*name, *value);
    }
    let mut answer = request
        .call()
        .map_err(|error| unreachable(error.to_string()))?;
    let body = answer
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .read_to_string();
    let body = body.map_err(|error| unreachable(error.to_string()))?;
    if answer.status() == 200 {
        Ok(body)
    } else {
        Err(ClientError::Refused {
            address,
            message: body.trim().to_owned(),
        })
    }
}
