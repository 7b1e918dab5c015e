//! What is this node's own: limits, logs, times.

use super::Checker;
use crate::checked::{AccessLog, HttpLimits, Listen, Log, LogFormat};
use crate::de::{Written, given};
use crate::files::beside;
use crate::spec::{self, defaults};
use crate::tree::shorten;
use ipnet::IpNet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// The node's part of the checked config.
pub(super) struct Node {
    pub(super) listen: Listen,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) http: HttpLimits,
    pub(super) workers: Option<usize>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) startup_grace: Duration,
    pub(super) drain_time: Duration,
    pub(super) log: Log,
    pub(super) access_log: AccessLog,
    pub(super) region_prefix: String,
    pub(super) edns_client_subnet: bool,
}

impl Checker<'_> {
    pub(super) fn node(&mut self, config: &spec::Config) -> Node {
        let trusted = given(&config.trusted_proxies)
            .into_iter()
            .flat_map(|(list, _)| list);
        Node {
            listen: self.listen(config),
            trusted_proxies: trusted
                .filter_map(|network| Some(network.get()?.0))
                .collect(),
            http: self.http_limits(config),
            workers: self.workers(&config.workers),
            state_dir: config.state_dir.as_ref().and_then(|path| self.path(path)),
            startup_grace: given(&config.startup_grace)
                .map_or(defaults::STARTUP_GRACE, |(time, _)| time.0),
            drain_time: given(&config.drain_time).map_or(defaults::DRAIN_TIME, |(time, _)| time.0),
            log: log(config),
            access_log: self.access_log(config),
            region_prefix: self.region_prefix(config),
            edns_client_subnet: given(&config.edns_client_subnet).is_none_or(|(on, _)| *on),
        }
    }

    fn workers(&mut self, written: &Option<Written<u32>>) -> Option<usize> {
        let (workers, place) = given(written)?;
        if !(1..=defaults::MAX_WORKERS).contains(workers) {
            self.findings
                .error(
                    "out_of_range",
                    place,
                    format!("`workers` is 1 to {}", defaults::MAX_WORKERS),
                )
                .hint("leave it out for as many as the machine has cores");
        }
        Some(*workers as usize)
    }

    fn http_limits(&mut self, config: &spec::Config) -> HttpLimits {
        let default = spec::HttpLimits::default();
        let written = given(&config.http).map_or(&default, |(http, _)| http);
        HttpLimits {
            header_timeout: self.at_least(
                &written.header_timeout,
                defaults::HEADER_TIMEOUT,
                defaults::MIN_INTERVAL,
            ),
            max_header_bytes: self.within(
                &written.max_header_bytes,
                defaults::MAX_HEADER_BYTES,
                defaults::HEADER_BYTES,
            ),
            max_headers: self.within(
                &written.max_headers,
                defaults::MAX_HEADERS,
                defaults::HEADERS,
            ),
        }
    }

    pub(super) fn within(
        &mut self,
        written: &Option<Written<u32>>,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> usize {
        let Some((number, place)) = given(written) else {
            return default as usize;
        };
        if !range.contains(number) {
            self.findings.error(
                "out_of_range",
                place,
                format!("this is {} to {}", range.start(), range.end()),
            );
        }
        *number as usize
    }

    fn access_log(&mut self, config: &spec::Config) -> AccessLog {
        let path = match given(&config.access_log) {
            None => return AccessLog::Off,
            Some((spec::AccessLog::Word(word), _)) => match word.get().map(String::as_str) {
                Some("off") | None => return AccessLog::Off,
                Some("stdout") => return AccessLog::Stdout,
                Some(other) if other.contains(['/', '.']) => word,
                Some(other) => {
                    self.findings
                        .error(
                            "invalid_value",
                            word.place,
                            format!("`{}` is no place for an access log", shorten(other)),
                        )
                        .hint("off, stdout, or { path: access.log }");
                    return AccessLog::Off;
                }
            },
            Some((spec::AccessLog::Table(file), _)) => &file.path,
        };
        let full = path
            .get()
            .map(|text| beside(self.sources.path(path.place.file), text));
        full.map_or(AccessLog::Off, AccessLog::File)
    }

    fn region_prefix(&mut self, config: &spec::Config) -> String {
        let written = given(&config.metrics).and_then(|(metrics, _)| given(&metrics.region_prefix));
        let Some((prefix, place)) = written else {
            return defaults::REGION_PREFIX.to_owned();
        };
        let good = |(i, c): (usize, char)| {
            c.is_ascii_alphabetic() || c == '_' || (i > 0 && c.is_ascii_digit())
        };
        if prefix.is_empty()
            || prefix.len() > defaults::MAX_NAME
            || !prefix.chars().enumerate().all(good)
        {
            self.findings
                .error(
                    "invalid_value",
                    place,
                    format!("`{}` cannot begin a metric's name", shorten(prefix)),
                )
                .hint("letters, digits and underscores, not a digit first");
        }
        prefix.clone()
    }
}

fn log(config: &spec::Config) -> Log {
    let default = spec::Log::default();
    let written = given(&config.log).map_or(&default, |(log, _)| log);
    Log {
        format: match given(&written.format) {
            Some((spec::LogFormat::Json, _)) => LogFormat::Json,
            _ => LogFormat::Text,
        },
        level: match given(&written.level) {
            Some((spec::LogLevel::Error, _)) => "error",
            Some((spec::LogLevel::Warn, _)) => "warn",
            Some((spec::LogLevel::Debug, _)) => "debug",
            Some((spec::LogLevel::Trace, _)) => "trace",
            _ => "info",
        },
    }
}
