//! The query log, as written.

use crate::de::Written as W;
use crate::spec::{LogFormat, OneIn};
use schemars::JsonSchema;
use serde::Deserialize;

/// A line for some or all DNS queries and what they were answered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueryLog {
    /// Where lines go: `stdout`, or a file, at whose end they are added.
    pub to: W<String>,
    /// Which share of the queries is logged: 1/1 for every one, 1/100 for one in a hundred; default 1/1.
    pub sample: Option<W<OneIn>>,
    /// `json`: an object a line; `text`: for people; default json.
    pub format: Option<W<LogFormat>>,
}
