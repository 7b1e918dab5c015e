//! Authoritative DNS: zones, a pure answer, the wire, and thin transports.
//!
//! ```text
//! packet --parse--> Query --answer(snapshot, query, draw)--> Answer --encode--> packet
//!                                   zones and Snapshot::decide
//! ```
//!
//! [`respond()`] is the whole of it without sockets; [`Server`] adds those, and counting. Zones lie in the
//! snapshot beside the routing table ([`steering::Planes`]), so an answer never mixes two generations.
//! What never happens here: no endpoint is chosen (that is [`steering::Snapshot::decide`]'s), no query is
//! recursed.

pub mod answer;
mod build;
mod connections;
pub mod cookie;
pub mod ecs;
pub mod edns;
mod encode;
pub mod fast;
pub mod limit;
mod logged;
mod master;
pub mod message;
pub mod metrics;
pub mod name;
pub mod nsid;
mod parse;
pub mod query;
mod rcode;
pub mod respond;
pub mod rtype;
pub mod server;
mod steer;
mod store;
pub mod transfer;
pub mod zone;

pub use answer::{Answer, Data, MAX_CHAIN, Owner, Record, answer};
pub use connections::Connections;
pub use cookie::{Cookies, Secret};
pub use ecs::Ecs;
pub use edns::{Ede, Edns};
pub use limit::Limiter;
pub use logged::Logged;
pub use master::Rdata;
pub use metrics::{Metrics, Observe};
pub use name::{Name, NameError};
pub use nsid::{Chaos, Identity};
pub use query::{Arrival, Query, Rcode, Transport};
pub use respond::{Decided, Notified, Outcome, Rules, Summary, respond, respond_into};
pub use rtype::RType;
pub use server::{BindError, Listeners, Messages, Plain, Secure, Server, Settings, Transfers};
pub use steer::MAX_ADDRESSES;
pub use store::{Zone, ZoneRecord, Zones};
pub use zone::{
    AutoSerial, Binding, Built, Files, NoFiles, Severity, SoaSpec, SteeredName, Unavailable,
    ZoneProblem, ZoneSpec,
};
