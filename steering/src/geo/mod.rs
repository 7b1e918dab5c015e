//! Where clients are: locations, country sets, distance, and the compiled location table.
//!
//! The table is plain data with a pure find; who fills it (databases, overrides) is the `geoip`
//! crate's. No file is read here.

pub mod countries;
mod country;
mod distance;
pub mod table;

pub use country::{Continent, Country, CountrySet, ParseCountryError, Subdivision};
pub use distance::{Coordinates, distance_km, estimated_rtt_ms};
pub use table::{Located, Location, LocationTable, LocationTableBuilder};
