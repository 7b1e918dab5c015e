//! mmdb readers, the embedded country table and CIDR overrides, compiled to one location table.
//!
//! ```text
//! file.mmdb ---.
//! or embedded  +--> places --.
//! asn.mmdb ---------> AS -----+--> steering::geo::LocationTable
//! networks ------> overrides -'    (the later layer wins)
//! ```
//!
//! A database is checked whole before any of it is used: every node of its search tree, every record
//! the tree reaches. It is accepted or refused with a reason, never half. What this crate never does:
//! it looks up no client (that is [`steering::geo`]'s), watches no file and keeps no state but the
//! embedded table.

mod embedded;
mod error;
mod load;
mod mmdb;
mod overrides;
mod special;

pub use embedded::embedded;
pub use error::LoadError;
pub use load::{DatabaseInfo, Description, Loaded, Sources, describe, load, load_bytes, open};
pub use mmdb::limits;
pub use overrides::Override;
