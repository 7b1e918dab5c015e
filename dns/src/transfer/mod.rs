//! Zones that move between servers: signed messages, transfers out and in, notifications, secondary zones.
//!
//! ```text
//! out:  request --TSIG, access--> AXFR | IXFR from the journal --> messages, made as the client takes them
//! in:   Secondary (when) -> SOA? -> AXFR | IXFR -> Incoming -> records -> master file -> the zone checks -> zone
//! ```
//!
//! Codecs and state machines only. What never happens here: no socket is opened, no file read or written; the
//! binary does that and tells what came of it.

pub mod access;
pub mod incoming;
pub mod journal;
pub mod keyfile;
pub(crate) mod message;
mod metrics;
pub mod notify;
mod outgoing;
pub mod records;
pub(crate) mod request;
pub mod secondary;
mod service;
pub mod tsig;

pub use access::{Grant, Peers, Remote, ZonePeers};
pub use incoming::{Asked, Incoming, Limits, Malformed, Received};
pub use journal::{Journal, Moved};
pub use keyfile::{KeyFile, KeyFileError, read_key};
pub use message::is_later;
pub use metrics::{Came, Metrics, Told, Went};
pub use records::{Delta, Mismatch, OwnedRecord};
pub use secondary::{Action, Event, Secondary, Version};
pub use service::{MAX_PER_CLIENT, MAX_TRANSFERS, Service};
pub use tsig::{Algorithm, Key, Keys, Signer, Verifier};
