//! The operator's own tests, as written.

use super::{Address, Ip, Percent};
use crate::de::{Names, Written as W};
use schemars::JsonSchema;
use serde::Deserialize;

/// One of your own tests: what a client is to be given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The service asked for.
    pub service: W<String>,
    /// The client's address.
    pub client: W<Ip>,
    /// Which plane is asked; default: both that the service has.
    pub plane: Option<W<Plane>>,
    /// What is down or up; default: all is up.
    pub when: Option<W<When>>,
    /// The region it is given, whatever the draw.
    pub region: Option<W<String>>,
    /// The regions it may be given; over many draws each of them is.
    pub regions: Option<W<Vec<W<String>>>>,
    /// The pool it is given, whatever the draw.
    pub pool: Option<W<String>>,
    /// An endpoint that is among those given.
    pub endpoint: Option<W<Address>>,
    /// How it ends.
    pub verdict: Option<W<VerdictName>>,
    /// Shares of regions over many draws, within two percentage points.
    pub share: Option<W<Names<Percent>>>,
}

/// What an expectation supposes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Pools, regions, endpoint addresses, or all.
    pub down: Option<W<Vec<W<String>>>>,
    /// What is up all the same.
    pub up: Option<W<Vec<W<String>>>>,
}

/// A plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Plane {
    /// DNS queries.
    Dns,
    /// HTTP requests.
    Http,
}

/// How a decision ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VerdictName {
    /// The policy chose a usable pool.
    Steered,
    /// All is down, and the policy was walked as if it were up.
    FailOpen,
    /// Nothing may be given.
    Refused,
    /// The policy has nothing for this client.
    NoService,
}
