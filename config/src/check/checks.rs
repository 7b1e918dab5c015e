//! Health checks: what a probe does and how its outcomes are counted.

use super::{Checker, shared};
use crate::de::{Written, given};
use crate::spec::{self, CheckKind, defaults};
use crate::tree::shorten;
use std::sync::Arc;
use steering::health::{Check, Probe, ProbeHttp, ProbeTls, Rules};

impl Checker<'_> {
    pub(super) fn health_check(
        &mut self,
        name: Arc<str>,
        written: Option<&spec::HealthCheck>,
    ) -> Check {
        let rules = Rules {
            interval: defaults::INTERVAL,
            timeout: defaults::TIMEOUT,
            rise: defaults::RISE,
            fall: defaults::FALL,
        };
        let mut check = Check {
            name,
            probe: Probe::Tcp,
            rules,
        };
        let Some(written) = written else { return check };
        check.rules = Rules {
            interval: self.at_least(
                &written.interval,
                defaults::INTERVAL,
                defaults::MIN_INTERVAL,
            ),
            timeout: self.at_least(&written.timeout, defaults::TIMEOUT, defaults::MIN_INTERVAL),
            rise: self.counter(&written.rise, defaults::RISE),
            fall: self.counter(&written.fall, defaults::FALL),
        };
        let Some(kind) = written.kind.get().copied() else {
            return check;
        };
        self.no_idle_keys(kind, written);
        let tls =
            matches!(kind, CheckKind::Tls | CheckKind::Https).then(|| self.probe_tls(written));
        check.probe = match (kind, tls) {
            (CheckKind::Tls, Some(tls)) => Probe::Tls(tls),
            (CheckKind::Http | CheckKind::Https, tls) => Probe::Http(self.probe_http(written, tls)),
            _ => Probe::Tcp,
        };
        check
    }

    /// Keys that mean nothing for this kind of check.
    fn no_idle_keys(&mut self, kind: CheckKind, written: &spec::HealthCheck) {
        let http = matches!(kind, CheckKind::Http | CheckKind::Https);
        let tls = matches!(kind, CheckKind::Tls | CheckKind::Https);
        let keys = [
            ("method", written.method.as_ref().map(|w| w.place), http),
            ("path", written.path.as_ref().map(|w| w.place), http),
            ("host", written.host.as_ref().map(|w| w.place), http),
            ("expect", written.expect.as_ref().map(|w| w.place), http),
            ("tls", written.tls.as_ref().map(|w| w.place), tls),
        ];
        for (key, place, meant) in keys {
            let kinds = if key == "tls" {
                "tls or https"
            } else {
                "http or https"
            };
            if let Some(place) = place.filter(|_| !meant) {
                self.findings
                    .error(
                        "idle_key",
                        place,
                        format!("`{key}` means nothing to this type of check"),
                    )
                    .hint(format!("make its type {kinds}, or leave `{key}` out"));
            }
        }
    }

    fn probe_http(&mut self, written: &spec::HealthCheck, tls: Option<ProbeTls>) -> ProbeHttp {
        let mut statuses = vec![defaults::STATUSES];
        let mut body = None;
        if let Some((expect, _)) = given(&written.expect) {
            if let Some((list, place)) = given(&expect.status) {
                statuses = list
                    .iter()
                    .filter_map(|status| status.get().map(|s| s.0))
                    .collect();
                if list.is_empty() {
                    self.findings
                        .error("empty", place, "no status counts as healthy")
                        .hint("such as status: [200]");
                }
            }
            body = given(&expect.body).map(|(text, place)| {
                if text.is_empty() {
                    self.findings
                        .error("empty", place, "an empty text is in every body");
                }
                shared(text)
            });
        }
        ProbeHttp {
            method: self.method(&written.method),
            path: given(&written.path)
                .map_or_else(|| shared(defaults::PATH), |(path, _)| shared(&path.0)),
            host: given(&written.host).map(|(host, _)| shared(&host.0)),
            statuses,
            body,
            tls,
        }
    }

    fn method(&mut self, written: &Option<Written<String>>) -> Arc<str> {
        let Some((method, place)) = given(written) else {
            return shared(defaults::METHOD);
        };
        let method = method.to_ascii_uppercase();
        if !matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS" | "POST") {
            self.findings
                .error(
                    "invalid_value",
                    place,
                    format!("`{}` is no method for a health check", shorten(&method)),
                )
                .hint("one of GET, HEAD, OPTIONS, POST");
        }
        method.into()
    }

    fn probe_tls(&mut self, written: &spec::HealthCheck) -> ProbeTls {
        let default = spec::Tls::default();
        let tls = given(&written.tls).map_or(&default, |(tls, _)| tls);
        let host = given(&written.host).map(|(host, _)| shared(&host.0));
        let (_, ca_pem) = self.authorities(&tls.ca_file);
        let server_name = given(&tls.server_name)
            .map(|(name, _)| shared(&name.0))
            .or(host);
        let verify = given(&tls.verify).is_none_or(|(verify, _)| *verify);
        if verify && server_name.is_none() {
            self.findings
                .warning("tls_name", written.kind.place, "probes expect a certificate for the endpoint's IP address, which few have")
                .hint("add tls: { server_name: … } (or `host`), or tls: { verify: false } where any certificate will do");
        }
        ProbeTls {
            server_name,
            verify,
            ca_pem,
        }
    }

    fn counter(&mut self, written: &Option<Written<u16>>, default: u16) -> u16 {
        match given(written) {
            Some((0, place)) => {
                self.findings
                    .error(
                        "out_of_range",
                        place,
                        "a counter of 0 never changes anything",
                    )
                    .hint("at least 1");
                default
            }
            Some((count, _)) => *count,
            None => default,
        }
    }
}
