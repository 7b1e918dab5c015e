//! Timed steps during a load: regions fail and heal, configs are reloaded, the rate changes; and what
//! came of each.

mod event;

pub use event::{Event, Failover};
