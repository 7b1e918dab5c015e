//! How the proxy connects to the endpoints of a pool.

use super::{Checker, shared};
use crate::checked::{Protocol, Upstream, UpstreamTls};
use crate::de::{Written, given};
use crate::spec::{self, TlsSetting, defaults};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use steering::health::{Probe, ProbeHttp};
use steering::ids::CheckId;

/// The most bytes of a file of authorities.
const MAX_CA_BYTES: usize = 1 << 20;

impl Checker<'_> {
    /// A file of authorities, and its text.
    pub(super) fn authorities(
        &mut self,
        written: &Option<Written<String>>,
    ) -> (Option<PathBuf>, Option<Arc<str>>) {
        let Some(path) = written else {
            return (None, None);
        };
        let Some(full) = self.file(path, "file of authorities") else {
            return (None, None);
        };
        let content = match self.files.read(&full, MAX_CA_BYTES + 1) {
            Ok(content) if content.len() <= MAX_CA_BYTES => content,
            Ok(_) => {
                self.findings.error(
                    "too_large",
                    path.place,
                    format!("{} has more than 1 MiB", full.display()),
                );
                return (None, None);
            }
            Err(error) => {
                self.findings.error(
                    "unreadable",
                    path.place,
                    format!("{} cannot be read: {error}", full.display()),
                );
                return (None, None);
            }
        };
        let text = String::from_utf8_lossy(&content);
        if !content.is_empty() && !text.contains("-----BEGIN CERTIFICATE-----") {
            self.findings
                .error(
                    "invalid_value",
                    path.place,
                    format!("{} holds no certificate", full.display()),
                )
                .hint("a PEM file with one or more BEGIN CERTIFICATE blocks");
        }
        (Some(full), Some(text.into()))
    }

    pub(super) fn upstream(
        &mut self,
        written: Option<&spec::Pool>,
        check: Option<CheckId>,
    ) -> Upstream {
        let defaults_only = spec::Timeouts::default();
        let timeouts = written
            .and_then(|w| given(&w.timeouts))
            .map_or(&defaults_only, |(t, _)| t);
        let least = Duration::from_millis(1);
        let mut upstream = Upstream {
            tls: None,
            host: written
                .and_then(|w| given(&w.host))
                .map(|(host, _)| shared(&host.0)),
            protocol: Protocol::Auto,
            connect_timeout: self.at_least(&timeouts.connect, defaults::CONNECT_TIMEOUT, least),
            read_timeout: self.at_least(&timeouts.read, defaults::READ_TIMEOUT, least),
            write_timeout: self.at_least(&timeouts.write, defaults::WRITE_TIMEOUT, least),
            idle_timeout: self.at_least(&timeouts.idle, defaults::IDLE_TIMEOUT, least),
        };
        let Some(written) = written else {
            return upstream;
        };
        upstream.protocol = match given(&written.protocol) {
            Some((spec::Protocol::H1, _)) => Protocol::H1,
            Some((spec::Protocol::H2, _)) => Protocol::H2,
            _ => Protocol::Auto,
        };
        let probe = check
            .and_then(|check| self.table.checks.get(check.index()))
            .map(|check| check.probe.clone());
        upstream.tls = match (given(&written.tls), probe) {
            (Some((TlsSetting::Switch(false), _)), _) => None,
            (Some((TlsSetting::Switch(true), _)), _) => Some(UpstreamTls {
                server_name: None,
                verify: true,
                ca_file: None,
                ca_pem: None,
            }),
            (Some((TlsSetting::On(tls), _)), _) => {
                let (ca_file, ca_pem) = self.authorities(&tls.ca_file);
                Some(UpstreamTls {
                    server_name: given(&tls.server_name).map(|(name, _)| shared(&name.0)),
                    verify: given(&tls.verify).is_none_or(|(verify, _)| *verify),
                    ca_file,
                    ca_pem,
                })
            }
            // As it is probed, so it is spoken to.
            (None, Some(Probe::Tls(tls) | Probe::Http(ProbeHttp { tls: Some(tls), .. }))) => {
                Some(UpstreamTls {
                    server_name: tls.server_name,
                    verify: tls.verify,
                    ca_file: None,
                    ca_pem: tls.ca_pem,
                })
            }
            (None, _) => None,
        };
        if let Some(tls) = &mut upstream.tls
            && tls.server_name.is_none()
        {
            tls.server_name.clone_from(&upstream.host);
        }
        upstream
    }
}
