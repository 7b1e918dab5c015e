//! Health checks, pools, endpoints, and how the proxy connects to them.

use super::{Checker, shared};
use crate::de::{Written, given};
use crate::spec::{self, Least, defaults};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use steering::RegionId;
use steering::ids::CheckId;
use steering::spec::{EndpointSpec, PoolSpec, Publish};

impl Checker<'_> {
    pub(super) fn pools(&mut self, config: &spec::Config) {
        for (at, (_, _, check)) in given(&config.health_checks)
            .into_iter()
            .flat_map(|(n, _)| n.iter())
            .enumerate()
        {
            let name = self.checks.name(at);
            let check = self.health_check(name, check.get());
            self.table.checks.push(check);
        }
        let mut seen: HashMap<SocketAddr, (usize, Arc<str>)> = HashMap::new();
        for (at, (_, _, pool)) in given(&config.pools)
            .into_iter()
            .flat_map(|(n, _)| n.iter())
            .enumerate()
        {
            let name = self.pools.name(at);
            let made = self.pool(name, pool.get());
            if let Some(pool) = pool.get() {
                self.one_region_an_address(pool, &made, &mut seen);
            }
            let upstream = self.upstream(pool.get(), made.check);
            self.table.pools.push(made);
            self.upstreams.push(upstream);
        }
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

    fn pool(&mut self, name: Arc<str>, written: Option<&spec::Pool>) -> PoolSpec {
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
