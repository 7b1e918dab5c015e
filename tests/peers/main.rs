//! Rhumb beside other servers: the same zones, the same questions, and every difference between the answers either
//! explained by an RFC or a failure. Knot, NSD and BIND for static zones, gdnsd for what depends on the client; `dig`
//! for the battery of RFC 8906.
//!
//! All of them run as they are installed, on loopback, with folders of their own. `RHUMB_SEED=n` replays a failure that
//! printed seed n. No test asserts a duration.

mod ask;
mod compare;
mod explained;
mod gdnsd;
mod message;
mod name;
mod questions;
mod rfc8906;
mod servers;
mod zones;

#[allow(dead_code)]
#[path = "../behaviour/harness/chance.rs"]
mod chance;
#[path = "../tool/mod.rs"]
mod tool;
