//! Health checks, pools, endpoints, and how the proxy connects to them.

use super::{Checker, shared};
use crate::checked::{Protocol, Upstream, UpstreamTls};
use crate::de::{Written, given};
use crate::problem::Place;
use crate::spec::{self, CheckKind, Least, TlsSetting, defaults};
use crate::tree::shorten;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use steering::RegionId;
use steering::health::{Check, Probe, ProbeHttp, ProbeTls, Rules};
use steering::ids::CheckId;
use steering::spec::{EndpointSpec, PoolSpec, Publish};

/// The most bytes of a file of authorities.
const MAX_CA_BYTES: usize = 1 << 20;

impl Checker<'_> {
    pub(super) fn pools(&mut self, config: &spec::Config) {
        for (at, (_, place, check)) in given(&config.health_checks)
            .into_iter()
            .flat_map(|(n, _)| n.iter())
            .enumerate()
        {
            let name = self.checks.name(at);
            let check = self.health_check(name, place, check.get());
            self.table.checks.push(check);
        }
        let mut seen: HashMap<SocketAddr, (usize, Arc<str>)> = HashMap::new();
        for (at, (_, place, pool)) in given(&config.pools)
            .into_iter()
            .flat_map(|(n, _)| n.iter())
            .enumerate()
        {
            let name = self.pools.name(at);
            let made = self.pool(name, place, pool.get());
            if let Some(pool) = pool.get() {
                self.one_region_an_address(pool, &made, &mut seen);
            }
            let upstream = self.upstream(pool.get(), made.check);
            self.table.pools.push(made);
            self.upstreams.push(upstream);
        }
    }

    fn health_check(
        &mut self,
        name: Arc<str>,
        place: Place,
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
            (CheckKind::Http | CheckKind::Https, tls) => {
                Probe::Http(self.probe_http(written, place, tls))
            }
            _ => Probe::Tcp,
        };
        check
    }

    /// Keys that mean nothing for this kind of check.
    fn no_idle_keys(&mut self, kind: CheckKind, written: &spec::HealthCheck) {
        let http = matches!(kind, CheckKind::Http | CheckKind::Https);
        let tls = matches!(kind, CheckKind::Tls | CheckKind::Https);
        let keys = [
            (
                "method",
                written.method.as_ref().map(|w| w.place),
                http,
                "http or https",
            ),
            (
                "path",
                written.path.as_ref().map(|w| w.place),
                http,
                "http or https",
            ),
            (
                "host",
                written.host.as_ref().map(|w| w.place),
                http,
                "http or https",
            ),
            (
                "expect",
                written.expect.as_ref().map(|w| w.place),
                http,
                "http or https",
            ),
            (
                "tls",
                written.tls.as_ref().map(|w| w.place),
                tls,
                "tls or https",
            ),
        ];
        for (key, place, meant, kinds) in keys {
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

    fn probe_http(
        &mut self,
        written: &spec::HealthCheck,
        place: Place,
        tls: Option<ProbeTls>,
    ) -> ProbeHttp {
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
        let _ = place;
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
        ProbeTls {
            server_name: given(&tls.server_name)
                .map(|(name, _)| shared(&name.0))
                .or(host),
            verify: given(&tls.verify).is_none_or(|(verify, _)| *verify),
            ca_pem,
        }
    }

    /// A file of authorities, and its text.
    fn authorities(
        &mut self,
        written: &Option<Written<String>>,
    ) -> (Option<std::path::PathBuf>, Option<Arc<str>>) {
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

    /// A duration that must not be shorter than `least`.
    pub(super) fn at_least(
        &mut self,
        written: &Option<Written<spec::Time>>,
        default: Duration,
        least: Duration,
    ) -> Duration {
        let Some((time, place)) = given(written) else {
            return default;
        };
        if time.0 < least {
            self.findings
                .error("out_of_range", place, "this is too short")
                .hint(format!("at least {}", duration(least)));
            return default;
        }
        time.0
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

    fn pool(&mut self, name: Arc<str>, place: Place, written: Option<&spec::Pool>) -> PoolSpec {
        let mut pool = PoolSpec {
            name,
            region: RegionId(0),
            check: None,
            min_healthy: 0.0,
            endpoints: Vec::new(),
        };
        let Some(written) = written else { return pool };
        if let Some(at) = self.known(|c| &mut c.regions, &written.region) {
            pool.region = RegionId::at(at);
        }
        if let Some(check) = &written.health_check {
            pool.check = self.known(|c| &mut c.checks, check).map(CheckId::at);
        }
        for endpoint in written.endpoints.get().into_iter().flatten() {
            if let Some(made) = endpoint.get().and_then(|written| self.endpoint(written)) {
                if pool
                    .endpoints
                    .iter()
                    .any(|other| other.address == made.address)
                {
                    self.findings
                        .error(
                            "duplicate_name",
                            endpoint.place,
                            format!("{} stands in this pool twice", made.address),
                        )
                        .hint("give the one a higher weight instead");
                }
                pool.endpoints.push(made);
            }
        }
        if written.endpoints.get().is_some_and(Vec::is_empty) {
            self.findings
                .error(
                    "empty",
                    written.endpoints.place,
                    format!("pool {} has no endpoint", pool.name),
                )
                .hint("such as endpoints: [{ address: \"192.0.2.10:443\" }]");
        }
        pool.min_healthy = self.min_healthy(written, &pool.endpoints);
        if let (Some(least), None) = (&written.min_healthy, &written.health_check) {
            self.findings
                .error(
                    "idle_key",
                    least.place,
                    "`min_healthy` means nothing without a health check",
                )
                .hint("add a health_check: endpoints without one always count as up");
        }
        let _ = place;
        pool
    }

    /// The least share of the weight: a number of endpoints only means one where weights are equal.
    fn min_healthy(&mut self, written: &spec::Pool, endpoints: &[EndpointSpec]) -> f32 {
        let Some((least, place)) = given(&written.min_healthy) else {
            return 0.0;
        };
        let count = match least.0 {
            Least::Share(share) => return share as f32,
            Least::Count(count) => count,
        };
        let all = endpoints.len();
        if count as usize > all {
            self.findings.error(
                "out_of_range",
                place,
                format!("the pool has {all} endpoints, fewer than {count}"),
            );
        } else if endpoints
            .windows(2)
            .any(|pair| pair[0].weight != pair[1].weight)
        {
            self.findings
                .error(
                    "invalid_value",
                    place,
                    "a number of endpoints means nothing where their weights differ",
                )
                .hint("write a share of the weight, such as 50%");
        }
        // Half an endpoint less, so that rounding never asks for one more than was written.
        if count == 0 {
            0.0
        } else {
            (f64::from(count) - 0.5) as f32 / all.max(1) as f32
        }
    }

    fn endpoint(&mut self, written: &spec::Endpoint) -> Option<EndpointSpec> {
        let publish = written.publish.as_ref().and_then(|list| self.publish(list));
        let address = written.address.get()?.0;
        if address.port() == 0 || address.ip().is_unspecified() {
            self.findings
                .error(
                    "invalid_value",
                    written.address.place,
                    format!("nothing can be connected to at {address}"),
                )
                .hint("write the address and port where the endpoint serves");
        }
        Some(EndpointSpec {
            address,
            weight: given(&written.weight).map_or(defaults::WEIGHT, |(weight, _)| *weight),
            publish: publish.unwrap_or_else(|| Publish::address(address)),
        })
    }

    fn publish(&mut self, written: &Written<spec::OneOrMany>) -> Option<Publish> {
        let list = &written.get()?.0;
        let (mut v4, mut v6, mut name) = (Vec::new(), Vec::new(), None);
        for item in list {
            let Some(text) = item.get() else { continue };
            match text.parse::<IpAddr>() {
                Ok(IpAddr::V4(address)) => v4.push(address),
                Ok(IpAddr::V6(address)) => v6.push(address),
                Err(_) => match spec::host_to_publish(text) {
                    Ok(host) => name = Some((shared(&host), item.place)),
                    Err(bad) => {
                        let (code, message, hint) = bad.parts();
                        self.findings
                            .error(code, item.place, message)
                            .maybe_hint(hint);
                    }
                },
            }
        }
        if list.is_empty() {
            self.findings
                .error("empty", written.place, "this endpoint publishes nothing")
                .hint("leave `publish` out to publish its own address");
        }
        match name {
            Some((_, place)) if list.len() > 1 => {
                self.findings
                    .error("conflict", place, "a published host name stands alone")
                    .hint("DNS answers a host name as CNAME, which can't stand beside addresses");
                None
            }
            Some((name, _)) => Some(Publish::Name(name)),
            None if v4.is_empty() && v6.is_empty() => None,
            None => Some(Publish::Addresses { v4, v6 }),
        }
    }

    /// An address is in one region: in two, one of them is not true, and residency may depend on it.
    fn one_region_an_address(
        &mut self,
        written: &spec::Pool,
        pool: &PoolSpec,
        seen: &mut HashMap<SocketAddr, (usize, Arc<str>)>,
    ) {
        for endpoint in written.endpoints.get().into_iter().flatten() {
            let Some((address, place)) = endpoint
                .get()
                .and_then(|e| e.address.get().map(|a| (a.0, e.address.place)))
            else {
                continue;
            };
            let (region, other) = seen
                .entry(address)
                .or_insert_with(|| (pool.region.index(), pool.name.clone()));
            if *region != pool.region.index() {
                self.findings
                    .warning(
                        "two_regions",
                        place,
                        format!("{address} is in pool {other} too, which is in another region"),
                    )
                    .hint("an endpoint is in one place; correct the address or the region");
            }
        }
    }

    fn upstream(&mut self, written: Option<&spec::Pool>, check: Option<CheckId>) -> Upstream {
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

/// A duration as an operator writes it.
pub(super) fn duration(duration: Duration) -> String {
    let (seconds, ms) = (duration.as_secs(), duration.subsec_millis());
    match (seconds, ms) {
        (0, ms) => format!("{ms}ms"),
        (s, 0) if s % 3_600 == 0 => format!("{}h", s / 3_600),
        (s, 0) if s % 60 == 0 => format!("{}m", s / 60),
        (s, 0) if s > 60 => format!("{}m{}s", s / 60, s % 60),
        (s, 0) => format!("{s}s"),
        (s, ms) => format!("{s}.{ms:03}s").trim_end_matches('0').to_owned(),
    }
}
