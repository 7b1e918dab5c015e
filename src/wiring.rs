//! From the checked config to what each plane serves: zones for `dns`, routes for `proxy`,
//! certificates for the listeners. Only words are translated here; the planes do the rest and say
//! what is wrong.

use crate::candidate::problem_at;
use config::checked::{self, Checked};
use config::{Place, Problem, Severity};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use steering::spec::{Policy, Publish, TableSpec};

// The path is written out because a test takes this file in by its own.
#[path = "wiring/identity.rs"]
mod identity;

/// Builds zones and routes and puts them in the planes of the table to be compiled.
pub fn planes(checked: &mut Checked, problems: &mut Vec<Problem>) {
    let rules = dns_rules(checked, problems);
    checked.table.planes.insert(Arc::new(rules));
    zones(checked, problems);
    routes(checked, problems);
}

fn dns_rules(checked: &Checked, problems: &mut Vec<Problem>) -> dns::Rules {
    dns::Rules {
        client_subnet: checked.edns_client_subnet,
        payload: checked.dns.udp_payload,
        rate_limit: checked.dns.rate_limit.as_ref().map(rate_limit),
        log_one_in: checked.dns.query_log.as_ref().map_or(0, |log| log.one_in),
        connections: connections(&checked.dns.connections),
        trusted_proxies: checked.trusted_proxies.clone(),
        cookies: identity::cookies(checked),
        nsid: identity::nsid(checked, problems),
        chaos: identity::chaos(checked),
        ..dns::Rules::default()
    }
}

fn connections(connections: &checked::Connections) -> dns::Connections {
    dns::Connections {
        most: connections.most,
        per_client: connections.per_client,
        ipv4_prefix: connections.ipv4_prefix,
        ipv6_prefix: connections.ipv6_prefix,
        idle: connections.idle,
        queries: connections.queries,
    }
}

fn rate_limit(limit: &checked::RateLimit) -> Box<dns::limit::Rules> {
    let exempt = limit.exempt.iter().map(|network| (*network, 1));
    Box::new(dns::limit::Rules {
        responses: limit.responses,
        errors: limit.errors,
        nxdomains: limit.nxdomains,
        referrals: limit.referrals,
        all: limit.all,
        slip: limit.slip,
        ipv4_prefix: limit.ipv4_prefix,
        ipv6_prefix: limit.ipv6_prefix,
        exempt: steering::cidr::Partition::new(exempt),
        dry_run: limit.dry_run,
    })
}

fn zones(checked: &mut Checked, problems: &mut Vec<Problem>) {
    let mut specs = Vec::with_capacity(checked.zones.len());
    for zone in &checked.zones {
        match zone_spec(zone) {
            Ok(spec) => specs.push(spec),
            Err((file, error)) => {
                let message = format!("zone file {} can't be read: {error}", file.display());
                problems.push(problem_at(checked, zone.place, "zone", message, None));
            }
        }
    }
    let steered = checked
        .steered
        .iter()
        .map(|name| steered_name(checked, name))
        .collect();
    match dns::Zones::build(specs, steered) {
        Ok(zones) => checked.table.planes.insert(Arc::new(zones)),
        Err(found) => {
            let found: Vec<Problem> = found
                .into_iter()
                .map(|p| zone_problem(checked, p))
                .collect();
            problems.extend(found);
        }
    }
}

fn zone_spec(zone: &checked::Zone) -> Result<dns::ZoneSpec, (PathBuf, std::io::Error)> {
    let master_file = match &zone.file {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| (file.clone(), error))?;
            Some((file.clone(), text))
        }
        None => None,
    };
    let soa = zone.soa.as_ref().map(|soa| dns::SoaSpec {
        mname: soa.mname.clone(),
        rname: soa.rname.clone(),
        serial: soa.serial,
        refresh: soa.refresh,
        retry: soa.retry,
        expire: soa.expire,
        minimum: soa.minimum,
    });
    let records = zone.records.iter().enumerate();
    Ok(dns::ZoneSpec {
        apex: zone.apex.clone(),
        soa,
        ns: zone.ns.clone(),
        ttl: None,
        master_file,
        records: records
            .map(|(i, (_, text))| (record_place(&zone.apex, i), text.clone()))
            .collect(),
    })
}

/// How a record is called until its place in the config is looked up again.
fn record_place(apex: &str, position: usize) -> String {
    format!("zones.{apex}.records[{position}]")
}

fn steered_name(checked: &Checked, name: &checked::SteeredName) -> dns::SteeredName {
    let service = checked.table.services.get(name.service.index());
    let policy = service.and_then(|s| checked.table.policies.get(s.dns_policy.index()));
    dns::SteeredName {
        name: name.name.clone(),
        service: name.service,
        alpn: name.alpn.clone(),
        hostnames: policy.is_some_and(|named| publishes_names(&checked.table, &named.policy)),
        place: steered_place(checked, name).into(),
    }
}

fn steered_place(checked: &Checked, name: &checked::SteeredName) -> String {
    let service = checked
        .services
        .get(name.service.index())
        .map_or("", |s| &s.name);
    format!("services.{service}.dns.names ({})", name.name)
}

/// Whether a policy can reach an endpoint that publishes a host name. The config was checked for
/// circles before.
fn publishes_names(table: &TableSpec, policy: &Policy) -> bool {
    let below = |policy: &Policy| publishes_names(table, policy);
    match policy {
        Policy::Pool(pool) => table.pools.get(pool.index()).is_some_and(|pool| {
            pool.endpoints
                .iter()
                .any(|endpoint| matches!(endpoint.publish, Publish::Name(_)))
        }),
        Policy::Named(id) => table
            .policies
            .get(id.index())
            .is_some_and(|named| below(&named.policy)),
        Policy::Failover { children, .. }
        | Policy::Latency { children }
        | Policy::Multivalue { children, .. } => children.iter().any(below),
        Policy::Weighted { children, .. } => children.iter().any(|(child, _)| below(child)),
        Policy::Proximity { children } => children.iter().any(|(child, _)| below(child)),
        Policy::Geo { rules, default } => {
            rules.iter().any(|rule| below(&rule.to)) || default.as_deref().is_some_and(below)
        }
        Policy::Network { rules, default } => {
            rules.iter().any(|(_, to)| below(to)) || default.as_deref().is_some_and(below)
        }
    }
}

/// With the file and line of the master file, or the place in the config.
fn zone_problem(checked: &Checked, problem: dns::ZoneProblem) -> Problem {
    if let Some(file) = problem.file {
        return Problem {
            severity: Severity::Error,
            code: "zone",
            file,
            line: problem.line.unwrap_or(0),
            column: 0,
            path: format!("zones.{}", problem.zone),
            message: problem.message,
            hint: problem.hint,
            frame: String::new(),
        };
    }
    let place = problem
        .place
        .as_deref()
        .and_then(|place| config_place(checked, place));
    let zone = checked
        .zones
        .iter()
        .find(|zone| zone.apex == problem.zone.trim_end_matches('.'));
    let place = place.or(zone.map(|zone| zone.place)).unwrap_or_default();
    problem_at(checked, place, "zone", problem.message, problem.hint)
}

/// The place of an inline record or a steered name, found again by what `zones` called it.
fn config_place(checked: &Checked, called: &str) -> Option<Place> {
    let record = checked.zones.iter().find_map(|zone| {
        let mut records = zone.records.iter().enumerate();
        records
            .find(|(i, _)| record_place(&zone.apex, *i) == called)
            .map(|(_, (place, _))| *place)
    });
    let steered = || {
        checked
            .steered
            .iter()
            .find(|name| steered_place(checked, name) == called)
    };
    record.or_else(|| steered().map(|name| name.place))
}

fn routes(checked: &mut Checked, problems: &mut Vec<Problem>) {
    let name = |service: steering::ServiceId| {
        checked
            .services
            .get(service.index())
            .map_or_else(String::new, |s| s.name.to_string())
    };
    let spec = proxy::RoutesSpec {
        routes: checked
            .routes
            .iter()
            .map(|route| proxy::RouteSpec {
                service: route.service,
                name: name(route.service),
                hosts: route.hosts.clone(),
                paths: route.paths.clone(),
                retries: route.retries,
            })
            .collect(),
        upstreams: checked
            .upstreams
            .iter()
            .enumerate()
            .map(|(i, u)| upstream(checked, i, u))
            .collect(),
        trusted_proxies: checked.trusted_proxies.clone(),
    };
    match proxy::Routes::build(spec) {
        Ok(routes) => checked.table.planes.insert(Arc::new(routes)),
        Err(found) => {
            for problem in found {
                let service = checked.services.iter().find(|s| *s.name == *problem.owner);
                let place = service.map(|s| s.place).unwrap_or_default();
                let message = format!("{}: {}", problem.owner, problem.message);
                problems.push(problem_at(
                    checked,
                    place,
                    "route",
                    message,
                    Some(problem.hint),
                ));
            }
        }
    }
}

fn upstream(checked: &Checked, pool: usize, upstream: &checked::Upstream) -> proxy::Upstream {
    let tls = upstream.tls.as_ref().map(|tls| proxy::UpstreamTls {
        server_name: tls.server_name.as_deref().map(str::to_owned),
        verify: tls.verify,
        ca_pem: tls.ca_pem.as_deref().map(str::to_owned),
    });
    proxy::Upstream {
        name: checked
            .table
            .pools
            .get(pool)
            .map(|pool| pool.name.to_string()),
        tls,
        host: upstream.host.as_deref().map(str::to_owned),
        protocol: match upstream.protocol {
            checked::Protocol::Auto => proxy::Protocol::Auto,
            checked::Protocol::H1 => proxy::Protocol::H1,
            checked::Protocol::H2 => proxy::Protocol::H2,
        },
        connect_timeout: upstream.connect_timeout,
        read_timeout: upstream.read_timeout,
        write_timeout: upstream.write_timeout,
        idle_timeout: upstream.idle_timeout,
    }
}

/// The certificates of every listener that has some, in the order of the config.
#[derive(Default)]
pub struct Certificates<T> {
    /// HTTPS.
    pub https: Vec<T>,
    /// DNS over TLS.
    pub dot: Vec<T>,
    /// DNS over HTTPS.
    pub doh: Vec<T>,
    /// DNS over QUIC.
    pub doq: Vec<T>,
}

impl<T> Certificates<T> {
    /// Each one made into something else.
    pub fn map<U>(self, mut make: impl FnMut(T) -> U) -> Certificates<U> {
        let mut each = |list: Vec<T>| list.into_iter().map(&mut make).collect();
        Certificates {
            https: each(self.https),
            dot: each(self.dot),
            doh: each(self.doh),
            doq: each(self.doq),
        }
    }

    /// All of them.
    pub fn into_iter(self) -> impl Iterator<Item = T> {
        let dns = self.dot.into_iter().chain(self.doh).chain(self.doq);
        self.https.into_iter().chain(dns)
    }
}

/// Reads the certificates of every listener.
pub fn certificates(
    checked: &Checked,
    problems: &mut Vec<Problem>,
) -> Certificates<proxy::CertStore> {
    let listen = &checked.listen;
    let mut of = |plane: &str, address: SocketAddr, files: &[checked::Certificate]| {
        store(files, problems, &format!("listen.{plane} ({address})"))
    };
    Certificates {
        https: (listen.https.iter())
            .filter_map(|l| of("https", l.address, &l.certificates))
            .collect(),
        dot: (listen.dot.iter())
            .filter_map(|l| of("dot", l.address, &l.certificates))
            .collect(),
        doh: (listen.doh.iter())
            .filter_map(|(l, _)| of("doh", l.address, &l.certificates))
            .collect(),
        doq: (listen.doq.iter())
            .filter_map(|l| of("doq", l.address, &l.certificates))
            .collect(),
    }
}

fn store(
    files: &[checked::Certificate],
    problems: &mut Vec<Problem>,
    listener: &str,
) -> Option<proxy::CertStore> {
    let files: Vec<(PathBuf, PathBuf)> = files
        .iter()
        .map(|c| (c.cert.clone(), c.key.clone()))
        .collect();
    match proxy::CertStore::build(&files) {
        Ok(store) => Some(store),
        Err(found) => {
            problems.extend(found.into_iter().map(|problem| Problem {
                severity: Severity::Error,
                code: "certificate",
                file: problem.file,
                line: 0,
                column: 0,
                path: listener.to_owned(),
                message: problem.message,
                hint: Some(problem.hint),
                frame: String::new(),
            }));
            None
        }
    }
}
