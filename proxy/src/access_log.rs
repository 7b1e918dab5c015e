//! The access log: one JSON object a line for each request.
//!
//! What never happens here: no line is written to a file, see [`LineLog`].

use crate::line_log::LineLog;
use crate::settings::AccessLogTarget;
use prometheus::IntCounter;
use serde::Serialize;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The most bytes of a path or host that a line carries.
const MAX_TEXT: usize = 2048;

/// One line. What is not known is left out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Record<'a> {
    pub time: String,
    pub client: String,
    pub peer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub protocol: &'a str,
    pub status: u16,
    pub request_bytes: usize,
    pub bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_connect_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_first_byte_seconds: Option<f64>,
    pub seconds: f64,
    pub retries: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<&'a str>,
}

impl Record<'_> {
    fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// Text as it may stand in a line: cut where it is too long.
pub(crate) fn clip(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The way in to the writer.
#[derive(Debug)]
pub(crate) struct AccessLog(LineLog);

impl AccessLog {
    /// Opens the target and starts the writer.
    pub(crate) fn start(
        target: &AccessLogTarget,
        capacity: usize,
        dropped: IntCounter,
    ) -> io::Result<Self> {
        LineLog::start("access log", target, capacity, dropped).map(Self)
    }

    /// Whether lines are written at all: making one is not free.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_on()
    }

    /// Hands one line over; never waits.
    pub(crate) fn write(&self, record: &Record<'_>) {
        if self.is_on() {
            self.0.write(record.line());
        }
    }

    /// Opens the file again, after it was moved away. Lines handed over before go to the old one.
    pub(crate) fn reopen(&self) {
        self.0.reopen();
    }
}

/// Seconds with microseconds, as lines carry them.
pub(crate) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

/// A time as RFC 3339 in UTC with milliseconds; a clock before 1970 is taken for 1970.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time.max(UNIX_EPOCH)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_line_is_one_json_object_whatever_the_client_sent() {
        let record = Record {
            path: "/\"\n\u{7f}é",
            host: "h",
            ..Record::default()
        };
        let line = record.line();
        assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
        let value: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(value["path"], "/\"\n\u{7f}é");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let text = "é".repeat(MAX_TEXT);
        assert!(clip(&text).len() <= MAX_TEXT);
        assert_eq!(clip("short"), "short");
    }
}
