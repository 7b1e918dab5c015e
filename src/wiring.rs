//! From the checked config to what each plane serves: zones for `dns`, routes for `proxy`,
//! certificates for the listeners. Only words are translated here; the planes do the rest and say
//! what is wrong.

use crate::candidate::problem_at;
use config::checked::{self, Checked};
use config::{Problem, Severity};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

// The paths are written out because a test takes this file in by its own.
#[path = "wiring/held.rs"]
pub mod held;
#[path = "wiring/identity.rs"]
mod identity;
#[path = "wiring/peers.rs"]
pub mod peers;
#[path = "wiring/serials.rs"]
pub mod serials;
#[path = "wiring/zones.rs"]
pub mod zones;

/// Builds zones and routes and puts them in the planes of the table to be compiled. `held` is what is there of
/// zones that other servers keep.
pub fn planes(
    checked: &mut Checked,
    held: &held::Held,
    serials: &serials::Before,
    problems: &mut Vec<Problem>,
) -> zones::Zoned {
    let rules = dns_rules(checked, problems);
    checked.table.planes.insert(Arc::new(rules));
    let peers = peers::peers(checked, problems);
    checked.table.planes.insert(Arc::new(peers));
    let zoned = zones::zones(checked, held, serials, problems);
    routes(checked, problems);
    zoned
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
            // A certificate that several listeners have is told once.
            let told = |new: &proxy::CertProblem| {
                let mut before = problems.iter();
                before.any(|old| old.file == new.file && old.message == new.message)
            };
            let found: Vec<_> = found.into_iter().filter(|new| !told(new)).collect();
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
