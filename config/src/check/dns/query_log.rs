//! The query log: where to, and how many.

use super::super::Checker;
use crate::checked::{LogFormat, LogTarget, QueryLog};
use crate::de::{Written, given};
use crate::spec;

impl Checker<'_> {
    pub(super) fn query_log(
        &mut self,
        written: &Option<Written<spec::QueryLog>>,
    ) -> Option<QueryLog> {
        let (log, _) = given(written)?;
        let to = match log.to.get()?.as_str() {
            "stdout" => LogTarget::Stdout,
            "" => {
                self.findings
                    .error("invalid_value", log.to.place, "the query log goes nowhere")
                    .hint("stdout, or a file: to: queries.log");
                return None;
            }
            _ => LogTarget::File(self.path(&log.to)?),
        };
        Some(QueryLog {
            to,
            one_in: given(&log.sample).map_or(1, |(share, _)| share.0),
            format: match given(&log.format) {
                Some((spec::LogFormat::Text, _)) => LogFormat::Text,
                _ => LogFormat::Json,
            },
        })
    }
}
