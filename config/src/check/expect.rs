//! The operator's own tests as written: names resolved, contradictions found. They are run by
//! [`expectations`](crate::expectations).

use super::{Checker, nearest_of};
use crate::checked::{Expectation, Expected, What};
use crate::de::{Names, Written, given};
use crate::spec::{self, VerdictName};
use crate::tree::shorten;
use std::net::SocketAddr;
use std::sync::Arc;
use steering::{Plane, Verdict};

impl Checker<'_> {
    pub(super) fn expectations(&mut self, config: &spec::Config) -> Vec<Expectation> {
        let mut list = Vec::new();
        let services = given(&config.services).map(|(names, _)| names);
        for (i, item) in given(&config.expect)
            .into_iter()
            .flat_map(|(list, _)| list)
            .enumerate()
        {
            let Some(written) = item.get() else { continue };
            let service = self.known(|c| &mut c.service_names, &written.service);
            let (down, up) = match given(&written.when) {
                Some((when, _)) => (self.supposed(&when.down), self.supposed(&when.up)),
                None => (Vec::new(), Vec::new()),
            };
            let expected = self.expected(item, written);
            if let (Some(service), Some(client)) = (service, written.client.get()) {
                list.push(Expectation {
                    service: self.service_names.name(service),
                    client: client.0,
                    planes: planes(written, services, service),
                    down,
                    up,
                    expected,
                    place: item.place,
                    path: format!("expect[{i}]"),
                });
            }
        }
        list
    }

    /// What is supposed to be down or up.
    fn supposed(&mut self, written: &Option<Written<Vec<Written<String>>>>) -> Vec<What> {
        let mut list = Vec::new();
        for item in given(written).into_iter().flat_map(|(list, _)| list) {
            let Some(text) = item.get() else { continue };
            if text == "all" {
                list.push(What::All);
            } else if self.pools.position(text).is_some() || self.regions.position(text).is_some() {
                list.push(What::Named(Arc::from(text.as_str())));
            } else if let Ok(address) = text.parse::<SocketAddr>() {
                let known = self
                    .table
                    .pools
                    .iter()
                    .any(|pool| pool.endpoints.iter().any(|e| e.address == address));
                if !known && self.whole {
                    self.findings.error(
                        "unknown_endpoint",
                        item.place,
                        format!("no pool has an endpoint {address}"),
                    );
                }
                list.push(What::Endpoint(address));
            } else if self.whole {
                let hint = nearest_of(
                    text,
                    self.pools
                        .iter()
                        .chain(self.regions.iter())
                        .map(|(name, _)| name),
                );
                self.findings
                    .error(
                        "unknown_name",
                        item.place,
                        format!("there is no pool, region or endpoint `{}`", shorten(text)),
                    )
                    .hint(hint);
            }
        }
        list
    }

    fn expected(
        &mut self,
        item: &Written<spec::Expectation>,
        written: &spec::Expectation,
    ) -> Vec<Expected> {
        let mut expected = Vec::new();
        if let Some(region) = &written.region
            && let Some(at) = self.known(|c| &mut c.regions, region)
        {
            expected.push(Expected::Region(self.regions.name(at)));
        }
        if let Some((list, _)) = given(&written.regions) {
            let names = list
                .iter()
                .filter_map(|region| self.known(|c| &mut c.regions, region))
                .collect::<Vec<_>>();
            expected.push(Expected::Regions(
                names.into_iter().map(|at| self.regions.name(at)).collect(),
            ));
        }
        if let Some(pool) = &written.pool
            && pool
                .get()
                .is_some_and(|name| self.pools.position(name).is_none())
        {
            // Looking it up reports it; a pool that only a test names is still unused.
            self.known(|c| &mut c.pools, pool);
        } else if let Some((pool, _)) = given(&written.pool) {
            expected.push(Expected::Pool(Arc::from(pool.as_str())));
        }
        if let Some((address, _)) = given(&written.endpoint) {
            expected.push(Expected::Endpoint(address.0));
        }
        if let Some((verdict, place)) = given(&written.verdict) {
            let verdict = match verdict {
                VerdictName::Steered => Verdict::Steered,
                VerdictName::FailOpen => Verdict::FailOpen,
                VerdictName::Refused => Verdict::Refused,
                VerdictName::NoService => Verdict::NoService,
            };
            if matches!(verdict, Verdict::Refused | Verdict::NoService) && !expected.is_empty() {
                self.findings
                    .error(
                        "conflict",
                        place,
                        format!("a client that is given something is not {}", verdict.name()),
                    )
                    .hint("expect a place or this verdict, not both");
            }
            expected.push(Expected::Verdict(verdict));
        }
        if let Some((share, _)) = given(&written.share) {
            let mut shares = Vec::new();
            for (region, percent) in &share.0 {
                if let (Some(at), Some(percent)) =
                    (self.known(|c| &mut c.regions, region), percent.get())
                {
                    shares.push((self.regions.name(at), percent.0));
                }
            }
            expected.push(Expected::Share(shares));
        }
        let any = written.region.is_some()
            || written.regions.is_some()
            || written.pool.is_some()
            || written.endpoint.is_some()
            || written.verdict.is_some()
            || written.share.is_some();
        if !any {
            self.findings
                .error("empty", item.place, "this test expects nothing")
                .hint("add region, regions, pool, endpoint, verdict or share");
        }
        expected
    }
}

/// The planes to ask: the one written, else those the service has, else both.
fn planes(
    written: &spec::Expectation,
    services: Option<&Names<spec::Service>>,
    service: usize,
) -> Vec<Plane> {
    match given(&written.plane) {
        Some((spec::Plane::Dns, _)) => return vec![Plane::Dns],
        Some((spec::Plane::Http, _)) => return vec![Plane::Http],
        None => {}
    }
    let service = services
        .and_then(|names| names.iter().nth(service))
        .and_then(|(_, _, service)| service.get());
    let has = service.map_or((false, false), |s| (s.dns.is_some(), s.http.is_some()));
    match has {
        (true, false) => vec![Plane::Dns],
        (false, true) => vec![Plane::Http],
        _ => vec![Plane::Dns, Plane::Http],
    }
}
