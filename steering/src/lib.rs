//! The pure core of Rhumb: one routing table and the one function that chooses an endpoint.
//!
//! ```text
//! spec::TableSpec --compile--> Table --Snapshot::new--> Snapshot --publish--> Reader
//!                                                          |  ^
//!                              Snapshot::decide <----------+  +-- Snapshot::next(Change)
//! ```
//!
//! What never happens here: no clock is read (time comes in as [`Timestamp`]), no random number is
//! drawn (the draw comes in with [`Want`]), nothing is read or written, and [`Snapshot::decide`]
//! neither fails, panics nor allocates. Everything else in the tree asks this crate; nothing else
//! picks an endpoint.

pub mod cidr;
pub mod client;
pub mod compile;
pub mod decide;
pub mod decision;
pub mod draw;
pub mod explain;
pub mod geo;
pub mod health;
pub mod ids;
pub mod latency;
pub mod publish;
pub mod recorder;
pub mod snapshot;
pub mod spec;
pub mod table;
pub mod time;

pub use client::{Client, Family, Plane, Want};
pub use compile::{CompileProblem, MAX_DEPTH, MAX_MEASURED_CHILDREN};
pub use decision::{Decision, EndpointList, MAX_ENDPOINTS, Reason, Verdict};
pub use explain::Explanation;
pub use geo::{Located, Location, LocationTable, LocationTableBuilder};
pub use ids::{EndpointId, NodeId, PoolId, RegionId, ResidencyId, ServiceId, TargetId};
pub use publish::{Publisher, Reader, channel};
pub use recorder::{Recorder, Silent, Step, Trace};
pub use snapshot::{Change, Forced, Snapshot};
pub use spec::TableSpec;
pub use table::{Planes, Table};
pub use time::Timestamp;
