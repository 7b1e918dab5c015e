//! Active health checks: when targets are probed, how, and what follows from the outcomes.
//!
//! ```text
//! Table -> Plan -> Checker: one task a target   -> steering's state machine -> Event::Health
//!                           (gap, probe, outcome) -> smoothed connect time    -> Event::Latency
//!          Sampler (connect times of the proxy) ---^
//! ```
//!
//! What this crate never does: it chooses no endpoint, makes no snapshot (events go to the one writer),
//! counts no outcome itself ([`steering::health::TargetHealth`] does) and resolves no name.

mod authorities;
mod chance;
mod checker;
mod failure;
mod meter;
mod metrics;
mod plan;
mod probe;
mod report;
mod restore;
mod runner;
mod save;
mod shared;
mod smoothed;
mod target;

pub use authorities::SystemAuthorities;
pub use checker::{Checker, DEFAULT_MAX_IN_FLIGHT, Settings, StartError};
pub use failure::Failure;
pub use meter::{SAMPLE_QUEUE, Sampler};
pub use plan::{Fault, Plan, PlanProblem};
pub use probe::{MAX_BODY, MAX_HEAD, Outcome, Prober};
pub use report::{LastError, Reports, TargetReport};
pub use restore::{MAX_AGE, Restored, STATE_FILE};
pub use shared::Event;
