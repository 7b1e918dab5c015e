//! What the fuzz targets share: the world that is asked, and what every decision and every response is
//! held to.
//!
//! What never happens here: no file is read and nothing is sent; a target is its input and nothing else.

mod decision;
mod response;
mod world;

pub use decision::{decide, hold};
pub use response::well_formed;
pub use world::{compile, locations, world, zones};
