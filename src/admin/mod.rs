//! The admin side: metrics, health, status and explain, on an address of its own.
//!
//! It reads; the one thing it can change is to let a held failover go back, on an operator's word.

pub mod client;
mod metrics;
mod routes;
pub mod status;

pub use routes::serve;
