//! The load bench: puts a routing policy under load before it is trusted, and shows where the traffic
//! went, how fast, at what cost, and what happened when a region died.
//!
//! ```text
//! config --Subject--> asks --dns | http engine--> Measured --report--> text, JSON, Markdown, HTML
//!             |                     ^   |
//!             |        Live (rate,  |   +--> shares: what was answered against what `decide` promises
//!             |        stop) -------+
//!             +--scenario: fail, heal, reload, rate at stated times
//!             +--compare: the same work for Rhumb and its peers, in turns
//! ```
//!
//! It generates, counts and judges; it never decides: what a policy promises is what
//! [`steering::Snapshot::decide`] says. No test asserts a time.

pub mod asks;
pub mod clients;
pub mod compare;
pub mod generate;
pub mod load;
pub mod origin;
pub mod policies;
pub mod ports;
pub mod procfs;
pub mod record;
pub mod report;
pub mod scenario;
pub mod shares;
pub mod subject;
pub mod tables;
