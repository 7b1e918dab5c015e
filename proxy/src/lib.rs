//! The L7 proxy: accept, TLS, client address, Pingora service, retries, access log.
//!
//! ```text
//! Settings --Server::start--> listeners --> connection (TLS, head, bounds)
//!                                                |
//!        Reader::snapshot: Routes + decide <-- service --> Pingora --> endpoint
//! ```
//!
//! What never happens here: an endpoint is chosen by anything but `Snapshot::decide`; a forwarding
//! header of a peer that is not trusted is believed; a request that may have reached an endpoint is
//! sent again unless it is idempotent; an error page names an address.

mod access_log;
mod certificates;
mod client_address;
mod connection;
mod draws;
mod exchange;
mod fault;
mod head;
mod headers;
mod line_log;
mod load;
mod metrics;
mod observe;
mod pattern;
mod route;
mod server;
mod service;
mod settings;
mod steer;
mod stream;
mod tls;
mod upgrade;
mod upstream;

pub use certificates::{CertInfo, CertProblem, CertStore, Certificates};
pub use client_address::ClientAddress;
pub use fault::{Fault, RHUMB_REASON};
pub use line_log::LineLog;
pub use load::Load;
pub use observe::{Observe, Unobserved};
pub use route::{MAX_RETRIES, Route, RouteProblem, RouteSpec, Routes, RoutesSpec};
pub use server::{Handle, Server, StartError};
pub use settings::{AccessLogTarget, HttpsListener, Settings};
pub use upstream::{Protocol, Upstream, UpstreamProblem, UpstreamTls};
