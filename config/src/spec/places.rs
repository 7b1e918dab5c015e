//! Regions, jurisdictions, this PoP, and where clients are, as written.

use super::{ContinentCode, Network, SubdivisionCode, Time};
use crate::de::{Names, Written as W};
use schemars::JsonSchema;
use serde::Deserialize;

/// This node.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pop {
    /// Its name, in logs and metrics.
    pub name: Option<W<String>>,
    /// The region it is in.
    pub region: Option<W<String>>,
    /// Where it is, when it is in none of the regions.
    pub location: Option<W<Location>>,
}

/// A place on the map.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// ISO 3166-1 alpha-2, such as DE.
    pub country: Option<W<String>>,
    /// Degrees north, -90 to 90.
    pub latitude: Option<W<f64>>,
    /// Degrees east, -180 to 180.
    pub longitude: Option<W<f64>>,
}

/// How clients are located.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Geoip {
    /// An mmdb file of places; default: the embedded country table.
    pub database: Option<W<String>>,
    /// An mmdb file of autonomous systems.
    pub asn_database: Option<W<String>>,
    /// Networks whose place you know; the most specific wins over the database.
    pub networks: Option<W<Vec<W<NetworkLocation>>>>,
}

/// Where a network is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkLocation {
    /// The network.
    pub cidr: W<Network>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<W<String>>,
    /// Default: the country's.
    pub continent: Option<W<ContinentCode>>,
    /// ISO 3166-2, such as US-CA.
    pub subdivision: Option<W<SubdivisionCode>>,
    /// Degrees north.
    pub latitude: Option<W<f64>>,
    /// Degrees east.
    pub longitude: Option<W<f64>>,
    /// The autonomous system's number.
    pub asn: Option<W<u32>>,
}

/// A place that serves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Where it is.
    pub location: Option<W<Location>>,
    /// The jurisdiction it is under.
    pub jurisdiction: Option<W<String>>,
    /// What it can carry, in units of your choice; shown in status.
    pub capacity: Option<W<u32>>,
}

/// An area of one law.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jurisdiction {
    /// Countries and country sets it consists of.
    pub countries: W<Vec<W<String>>>,
}

/// Round trips from some clients to regions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LatencyRow {
    /// The clients, by network.
    pub networks: Option<W<Vec<W<Network>>>>,
    /// The clients, by autonomous system.
    pub asns: Option<W<Vec<W<u32>>>>,
    /// The clients, by country or country set.
    pub countries: Option<W<Vec<W<String>>>>,
    /// The round trip to each region.
    pub rtt: W<Names<Time>>,
}
