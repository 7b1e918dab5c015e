//! Residency rules and services: what clients ask for, by which names, and who may serve them.

use super::Checker;
use crate::checked::{Binding, Route, ServiceInfo, SteeredName, Zone};
use crate::de::{Names, Written, given};
use crate::problem::Place;
use crate::spec::{self, WhenExhausted, defaults};
use crate::tree::shorten;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;
use steering::ids::PolicyId;
use steering::spec::ServiceSpec;
use steering::{ResidencyId, ServiceId};

/// Where each DNS name, and each host with a path, is taken.
#[derive(Default)]
struct Taken {
    names: HashMap<String, Place>,
    routes: HashMap<(String, String), Place>,
}

impl Checker<'_> {
    pub(super) fn services(&mut self, config: &spec::Config) {
        let mut taken = Taken::default();
        let services = given(&config.services).map(|(names, _)| names);
        for (at, (_, place, service)) in services.into_iter().flat_map(Names::iter).enumerate() {
            let name = self.service_names.name(at);
            let made = self.service(ServiceId::at(at), &name, place, service.get(), &mut taken);
            self.table.services.push(made);
        }
    }

    fn service(
        &mut self,
        id: ServiceId,
        name: &Arc<str>,
        place: Place,
        written: Option<&spec::Service>,
        taken: &mut Taken,
    ) -> ServiceSpec {
        let mut rto = None;
        let mut made = ServiceSpec {
            name: name.clone(),
            dns_policy: PolicyId(0),
            http_policy: PolicyId(0),
            residency: None,
            fail_open: true,
            ttl: seconds(defaults::TTL),
            ttl_failing: seconds(defaults::TTL_FAILING),
        };
        if let Some(written) = written {
            (made.dns_policy, made.http_policy) = self.both_policies(name, place, written);
            made.residency = written
                .residency
                .as_ref()
                .and_then(|rule| self.known(|c| &mut c.residencies, rule))
                .map(ResidencyId::at);
            made.fail_open = !matches!(
                given(&written.on_exhausted),
                Some((WhenExhausted::Refuse, _))
            );
            rto = given(&written.rto).map(|(rto, _)| rto.0);
            if let Some((dns, _)) = given(&written.dns) {
                (made.ttl, made.ttl_failing) = self.ttls(dns);
                self.steered_names(id, dns, taken);
            }
            if let Some((http, place)) = given(&written.http) {
                self.route(id, http, place, taken);
            }
            if written.dns.is_none() && written.http.is_none() {
                self.findings
                    .warning(
                        "unreachable_service",
                        place,
                        format!("nobody can ask for service {name}"),
                    )
                    .hint("add dns: { names: … } or http: { hosts: … }");
            }
        }
        self.services.push(ServiceInfo {
            name: name.clone(),
            rto,
            place,
        });
        made
    }

    /// The policies for DNS and HTTP.
    fn both_policies(
        &mut self,
        name: &str,
        place: Place,
        written: &spec::Service,
    ) -> (PolicyId, PolicyId) {
        let own_dns = given(&written.dns).and_then(|(dns, _)| dns.policy.as_ref());
        let own_http = given(&written.http).and_then(|(http, _)| http.policy.as_ref());
        let both = written
            .policy
            .as_ref()
            .map(|policy| self.service_policy(policy, || format!("{name}.policy")));
        let dns = own_dns
            .map(|policy| self.service_policy(policy, || format!("{name}.dns.policy")))
            .or(both);
        let http = own_http
            .map(|policy| self.service_policy(policy, || format!("{name}.http.policy")))
            .or(both);
        let lacks =
            (written.dns.is_some() && dns.is_none()) || (written.http.is_some() && http.is_none());
        if lacks || (dns.is_none() && http.is_none()) {
            self.findings
                .error(
                    "missing_key",
                    place,
                    format!("service {name} has no policy"),
                )
                .hint("add `policy`: a pool, a policy, or a choice such as { failover: [us, eu] }");
        }
        if let (Some(policy), true, true) = (&written.policy, own_dns.is_some(), own_http.is_some())
        {
            self.findings
                .error(
                    "idle_key",
                    policy.place,
                    "this policy is never asked: dns and http each have their own",
                )
                .hint("leave one of the three out");
        }
        let any = dns.or(http).unwrap_or(PolicyId(0));
        (dns.unwrap_or(any), http.unwrap_or(any))
    }

    fn ttls(&mut self, dns: &spec::ServiceDns) -> (u32, u32) {
        let ttl = self.ttl(&dns.ttl, defaults::TTL);
        let failing = self.ttl(
            &dns.ttl_failing,
            defaults::TTL_FAILING.min(Duration::from_secs(ttl.into())),
        );
        if let Some((_, place)) = given(&dns.ttl_failing)
            && failing > ttl
        {
            self.findings
                .error("out_of_range", place, format!("ttl_failing ({failing}s) is longer than ttl ({ttl}s)"))
                .hint("it is the least TTL while an endpoint is on its way down; make it the shorter one");
        }
        (ttl, failing)
    }

    /// A TTL: whole seconds, at most a week.
    pub(super) fn ttl(&mut self, written: &Option<Written<spec::Time>>, default: Duration) -> u32 {
        let Some((time, place)) = given(written) else {
            return seconds(default);
        };
        if time.0.subsec_nanos() != 0 {
            self.findings
                .error("invalid_value", place, "DNS counts in whole seconds");
        } else if time.0 > defaults::MAX_TTL {
            self.findings
                .error("out_of_range", place, "this is longer than a week")
                .hint("at most 7d");
        }
        seconds(time.0)
    }

    fn steered_names(&mut self, service: ServiceId, dns: &spec::ServiceDns, taken: &mut Taken) {
        let https =
            given(&dns.https).map(|(https, _)| self.binding(&https.alpn, &https.port, &None));
        let svcb =
            given(&dns.svcb).map(|(svcb, _)| self.binding(&svcb.alpn, &svcb.port, &svcb.doh_path));
        for item in dns.names.get().into_iter().flatten() {
            let Some(name) = item.get() else { continue };
            match taken.names.entry(name.0.clone()) {
                Entry::Vacant(free) => {
                    free.insert(item.place);
                }
                Entry::Occupied(first) => {
                    let hint = self.also_at(*first.get());
                    self.findings
                        .error(
                            "overlap",
                            item.place,
                            format!("{} already belongs to a service", name.0),
                        )
                        .hint(hint);
                }
            }
            let name = name.0.clone();
            self.steered.push(SteeredName {
                name,
                service,
                https: https.clone(),
                svcb: svcb.clone(),
                place: item.place,
            });
        }
        if dns.names.get().is_some_and(Vec::is_empty) {
            self.findings
                .error("empty", dns.names.place, "no DNS name is given")
                .hint("name one, or leave `dns` out");
        }
    }

    /// What an HTTPS or SVCB record offers.
    fn binding(
        &mut self,
        alpn: &Written<Vec<Written<String>>>,
        port: &Option<Written<u16>>,
        doh_path: &Option<Written<String>>,
    ) -> Binding {
        let mut offered = Binding::default();
        for protocol in alpn.get().into_iter().flatten() {
            let Some(text) = protocol.get() else { continue };
            if text.is_empty() || text.len() > 255 || !text.is_ascii() {
                self.findings
                    .error(
                        "invalid_value",
                        protocol.place,
                        "this is no ALPN protocol name",
                    )
                    .hint("such as h2 or http/1.1");
            }
            offered.alpn.push(text.clone());
        }
        if alpn.get().is_some_and(Vec::is_empty) {
            self.findings
                .error("empty", alpn.place, "no protocol is offered")
                .hint("such as alpn: [h2, http/1.1]");
        }
        offered.port = given(port).map(|(port, _)| *port);
        if let Some((path, place)) = given(doh_path) {
            // RFC 9461 §5: a relative template with the variable `dns`.
            if !path.starts_with('/') || !path.contains("{?dns}") {
                self.findings
                    .error("invalid_value", place, "this is no path of DNS over HTTPS")
                    .hint("such as /dns-query{?dns}");
            }
            offered.doh_path = Some(path.clone());
        }
        offered
    }

    fn route(
        &mut self,
        service: ServiceId,
        http: &spec::ServiceHttp,
        place: Place,
        taken: &mut Taken,
    ) {
        let hosts: Vec<(&String, Place)> = http
            .hosts
            .get()
            .into_iter()
            .flatten()
            .filter_map(|h| Some((&h.get()?.0, h.place)))
            .collect();
        let mut paths: Vec<(String, Place)> = given(&http.paths)
            .into_iter()
            .flat_map(|(list, _)| {
                list.iter()
                    .filter_map(|p| Some((p.get()?.0.clone(), p.place)))
            })
            .collect();
        if http.paths.is_none() {
            paths.push(("/".to_owned(), place));
        }
        for (host, host_place) in &hosts {
            for (path, path_place) in &paths {
                let here = if http.paths.is_none() {
                    *host_place
                } else {
                    *path_place
                };
                // `/a` and `/a/` are one prefix, since prefixes end at slashes.
                let prefix = path.trim_end_matches('/').to_owned();
                match taken.routes.entry(((*host).clone(), prefix)) {
                    Entry::Vacant(free) => {
                        free.insert(here);
                    }
                    Entry::Occupied(first) => {
                        let hint = self.also_at(*first.get());
                        self.findings
                            .error(
                                "overlap",
                                here,
                                format!("{host}{path} already belongs to a service"),
                            )
                            .hint(hint);
                    }
                }
            }
        }
        for (list_place, empty, what) in [
            (
                http.hosts.place,
                http.hosts.get().is_some_and(Vec::is_empty),
                "host",
            ),
            (
                place,
                given(&http.paths).is_some_and(|(list, _)| list.is_empty()),
                "path",
            ),
        ] {
            if empty {
                self.findings
                    .error("empty", list_place, format!("no {what} is given"));
            }
        }
        let retries = match given(&http.retries) {
            Some((retries, place)) if *retries > defaults::MAX_RETRIES => {
                self.findings
                    .error(
                        "out_of_range",
                        place,
                        format!(
                            "a decision has {} endpoints at most",
                            steering::MAX_ENDPOINTS
                        ),
                    )
                    .hint(format!("0 to {} retries", defaults::MAX_RETRIES));
                defaults::RETRIES
            }
            Some((retries, _)) => *retries,
            None => defaults::RETRIES,
        };
        let hosts = hosts.into_iter().map(|(host, _)| host.clone()).collect();
        let paths = paths.into_iter().map(|(path, _)| path).collect();
        self.routes.push(Route {
            hosts,
            paths,
            service,
            retries,
            place,
        });
    }

    /// Every steered name is in a zone that is answered for.
    pub(super) fn steered_names_lie_in(&mut self, zones: &[Zone]) {
        let apexes: std::collections::HashSet<&str> =
            zones.iter().map(|zone| zone.apex.as_str()).collect();
        for steered in &self.steered {
            if !self.whole || apexes.contains("") {
                continue;
            }
            let mut rest = steered.name.as_str();
            let covered = loop {
                if apexes.contains(rest) {
                    break true;
                }
                match rest.split_once('.') {
                    Some((_, parent)) => rest = parent,
                    None => break false,
                }
            };
            if !covered {
                let parent = steered
                    .name
                    .split_once('.')
                    .map_or(steered.name.as_str(), |(_, parent)| parent);
                self.findings
                    .error(
                        "outside_zones",
                        steered.place,
                        format!("{} lies in none of the zones", shorten(&steered.name)),
                    )
                    .hint(format!("add it under `zones`, such as {parent}"));
            }
        }
    }

    /// Where something already stands.
    pub(super) fn also_at(&self, place: Place) -> String {
        let file = self
            .sources
            .path(place.file)
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        format!("it is already in {file} on line {}", place.line)
    }
}

/// Whole seconds.
pub(super) fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
