//! What is this node's own: listeners, limits, logs, times.

use super::Checker;
use crate::checked::{AccessLog, Certificate, HttpLimits, HttpsListener, Listen, Log, LogFormat};
use crate::de::{Written, given};
use crate::files::beside;
use crate::problem::Place;
use crate::spec::{self, defaults};
use crate::tree::shorten;
use ipnet::IpNet;
use std::net::SocketAddr;
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

    fn listen(&mut self, config: &spec::Config) -> Listen {
        let mut listen = Listen::default();
        let mut tcp: Vec<(SocketAddr, Place)> = Vec::new();
        let written = given(&config.listen).map(|(listen, _)| listen);
        let plain =
            |list: &Option<Written<Vec<Written<spec::Listener>>>>| -> Vec<(SocketAddr, Place)> {
                let items = given(list).into_iter().flat_map(|(list, _)| list);
                items
                    .filter_map(|l| l.get())
                    .filter_map(|l| Some((l.address.get()?.0, l.address.place)))
                    .collect()
            };
        if let Some(written) = written {
            for (list, into) in [
                (&written.dns, &mut listen.dns),
                (&written.http, &mut listen.http),
            ] {
                let addresses = plain(list);
                into.extend(addresses.iter().map(|(address, _)| *address));
                tcp.extend(addresses);
            }
            for item in given(&written.https).into_iter().flat_map(|(list, _)| list) {
                let Some(https) = item.get() else { continue };
                let certificates = self.certificates(&https.certificates);
                if let Some(address) = https.address.get() {
                    tcp.push((address.0, https.address.place));
                    listen.https.push(HttpsListener {
                        address: address.0,
                        certificates,
                    });
                }
            }
            if let Some((admin, _)) = given(&written.admin)
                && let Some(address) = admin.address.get()
            {
                tcp.push((address.0, admin.address.place));
                listen.admin = Some(address.0);
            }
        }
        if tcp.is_empty() && written.is_none() && self.whole {
            let here = Place {
                file: 0,
                line: 1,
                column: 1,
                width: 1,
            };
            self.findings
                .warning("no_listener", here, "Rhumb listens nowhere")
                .hint("add `listen`, such as listen: { dns: [{ address: \"0.0.0.0:53\" }] }");
        }
        self.one_listener_an_address(&tcp);
        listen
    }

    fn one_listener_an_address(&mut self, listeners: &[(SocketAddr, Place)]) {
        for (i, (address, place)) in listeners.iter().enumerate() {
            let clash = listeners
                .get(..i)
                .into_iter()
                .flatten()
                .find(|(other, _)| clashes(*other, *address));
            if let Some((other, first)) = clash {
                let hint = self.also_at(*first);
                self.findings
                    .error(
                        "listener_clash",
                        *place,
                        format!("{address} is taken by the listener on {other}"),
                    )
                    .hint(hint);
            }
        }
    }

    fn certificates(
        &mut self,
        written: &Written<Vec<Written<spec::Certificate>>>,
    ) -> Vec<Certificate> {
        let mut certificates = Vec::new();
        for item in written.get().into_iter().flatten() {
            let Some(item) = item.get() else { continue };
            let (cert, key) = (
                self.file(&item.cert, "certificate"),
                self.file(&item.key, "key"),
            );
            if let (Some(cert), Some(key)) = (cert, key) {
                certificates.push(Certificate { cert, key });
            }
        }
        if written.get().is_some_and(Vec::is_empty) {
            self.findings
                .error("empty", written.place, "HTTPS needs a certificate")
                .hint("such as certificates: [{ cert: tls/site.pem, key: tls/site.key }]");
        }
        certificates
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

/// Whether two listeners want one address. Port 0 is a free port each time.
fn clashes(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() != 0
        && a.port() == b.port()
        && (a.ip() == b.ip()
            || (a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified())))
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
