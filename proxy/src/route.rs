//! Routes: which service a host and path belong to. Inert values and one pure find.
//!
//! Built with the routing table and swapped together with it (`steering::Planes`), so that a request
//! sees routes, upstream settings and decisions of one generation. Nothing is read or resolved here,
//! and nothing here knows whether an endpoint is up.

use crate::pattern::{Kind, MAX_HOST, normal_host, normal_pattern, normal_prefix};
use crate::upstream::{Prepared, Upstream, UpstreamProblem};
use ipnet::IpNet;
use std::collections::HashMap;
use std::fmt;
use steering::{PoolId, ServiceId};

/// The most times a request may go on to another endpoint.
pub const MAX_RETRIES: u8 = 7;

/// One service's routes, as written.
#[derive(Clone, Debug)]
pub struct RouteSpec {
    /// The service they lead to.
    pub service: ServiceId,
    /// Its name, for problems.
    pub name: String,
    /// Host names: exact (`api.example.com`), one left-most wildcard (`*.example.com`, which stands
    /// for one or more labels), or `*` for any host.
    pub hosts: Vec<String>,
    /// Path prefixes, matched on segment boundaries: `/api` is for `/api` and `/api/x`, not `/apix`.
    /// None means `/`.
    pub paths: Vec<String>,
    /// How often a request that could not connect may go on to the next endpoint of its decision;
    /// at most [`MAX_RETRIES`].
    pub retries: u8,
}

/// Everything [`Routes::build`] needs.
#[derive(Clone, Debug, Default)]
pub struct RoutesSpec {
    /// The services' routes.
    pub routes: Vec<RouteSpec>,
    /// How each pool's endpoints are connected to; the position is the [`PoolId`].
    pub upstreams: Vec<Upstream>,
    /// Peers whose X-Forwarded-For and Forwarded headers are believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// What is wrong with a route or an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteProblem {
    /// Whose it is: the name of a service, or of a pool (`pool N` when it has none).
    pub owner: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for RouteProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.owner, self.message, self.hint)
    }
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub struct Route {
    /// The service that decides.
    pub service: ServiceId,
    /// See [`RouteSpec::retries`].
    pub retries: u8,
}

/// Path prefixes of one host, without their trailing slash; `""` is the root.
#[derive(Clone, Debug, Default)]
struct Paths {
    by_prefix: HashMap<Box<str>, u32>,
    /// No longer prefix exists, so none is looked up: bounds the work a long path can cause.
    longest: usize,
}

/// The compiled routes of all services, with what connecting to each pool takes.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    routes: Vec<Route>,
    exact: HashMap<Box<str>, Paths>,
    /// By the part after `*.`.
    wildcard: HashMap<Box<str>, Paths>,
    any: Option<Paths>,
    upstreams: Vec<Prepared>,
    trusted: Vec<IpNet>,
}

impl Routes {
    /// Checks and compiles routes.
    ///
    /// # Errors
    ///
    /// All problems at once: host names and paths that are none, two services with one host and path,
    /// certificates of an upstream that cannot be read.
    pub fn build(spec: RoutesSpec) -> Result<Self, Vec<RouteProblem>> {
        let mut builder = Builder::default();
        for route in &spec.routes {
            builder.add(route);
        }
        let mut upstreams = Vec::with_capacity(spec.upstreams.len());
        for (i, upstream) in spec.upstreams.into_iter().enumerate() {
            let owner = upstream.name.clone().unwrap_or_else(|| format!("pool {i}"));
            match Prepared::new(upstream) {
                Ok(prepared) => upstreams.push(prepared),
                Err(UpstreamProblem { message, hint }) => {
                    builder.problems.push(RouteProblem {
                        owner,
                        message,
                        hint,
                    });
                }
            }
        }
        if !builder.problems.is_empty() {
            return Err(builder.problems);
        }
        let mut routes = builder.routes;
        routes.upstreams = upstreams;
        routes.trusted = spec.trusted_proxies;
        Ok(routes)
    }

    /// The route of a request. `authority` is the Host header or `:authority`, with or without a port;
    /// `path` may carry a query. The most specific host that has a matching path wins (exact, then the
    /// longest wildcard, then `*`), and within it the longest prefix.
    pub fn find(&self, authority: &str, path: &str) -> Option<&Route> {
        let mut buffer = [0_u8; MAX_HOST];
        let host = normal_host(authority, &mut buffer)?;
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let exact = self.exact.get(host).and_then(|paths| paths.find(path));
        let number = exact
            .or_else(|| self.by_wildcard(host, path))
            .or_else(|| self.any.as_ref().and_then(|paths| paths.find(path)))?;
        self.routes.get(number as usize)
    }

    fn by_wildcard(&self, host: &str, path: &str) -> Option<u32> {
        if self.wildcard.is_empty() {
            return None;
        }
        let mut rest = host;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(number) = self.wildcard.get(parent).and_then(|paths| paths.find(path)) {
                return Some(number);
            }
            rest = parent;
        }
        None
    }

    /// How to connect to the endpoints of a pool.
    pub(crate) fn upstream(&self, pool: PoolId) -> Option<&Prepared> {
        self.upstreams.get(pool.index())
    }

    /// The peers whose forwarding headers are believed.
    pub fn trusted_proxies(&self) -> &[IpNet] {
        &self.trusted
    }

    /// How many services have routes.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether there is no route at all.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }
}

impl Paths {
    /// The longest prefix of `path` that ends where a segment ends.
    fn find(&self, path: &str) -> Option<u32> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut end = path.len();
        loop {
            if end <= self.longest
                && let Some(number) = path
                    .get(..end)
                    .and_then(|prefix| self.by_prefix.get(prefix))
            {
                return Some(*number);
            }
            end = path.get(..end)?.rfind('/')?;
        }
    }
}

#[derive(Default)]
struct Builder {
    routes: Routes,
    names: Vec<String>,
    problems: Vec<RouteProblem>,
}

impl Builder {
    fn add(&mut self, spec: &RouteSpec) {
        let number = self.routes.routes.len() as u32;
        self.names.push(spec.name.clone());
        self.routes.routes.push(Route {
            service: spec.service,
            retries: spec.retries,
        });
        if spec.retries > MAX_RETRIES {
            let message = format!("{} retries are too many", spec.retries);
            self.problem(spec, message, format!("use 0 to {MAX_RETRIES}"));
        }
        if spec.hosts.is_empty() {
            self.problem(
                spec,
                "it has no host".to_owned(),
                "name one, or `*` for any".to_owned(),
            );
        }
        let root = [String::from("/")];
        let paths = if spec.paths.is_empty() {
            &root[..]
        } else {
            &spec.paths
        };
        for host in &spec.hosts {
            for path in paths {
                self.add_one(spec, number, host, path);
            }
        }
    }

    fn add_one(&mut self, spec: &RouteSpec, number: u32, host: &str, path: &str) {
        let Some(prefix) = normal_prefix(path) else {
            let hint = "a path begins with / and has no ?, # or space".to_owned();
            return self.problem(spec, format!("{path:?} is no path"), hint);
        };
        let Some((kind, key)) = normal_pattern(host) else {
            let hint = "write api.example.com, *.example.com or *, without a port".to_owned();
            return self.problem(spec, format!("{host:?} is no host name"), hint);
        };
        let paths = match kind {
            Kind::Exact => self.routes.exact.entry(key).or_default(),
            Kind::Wildcard => self.routes.wildcard.entry(key).or_default(),
            Kind::Any => self.routes.any.get_or_insert_default(),
        };
        paths.longest = paths.longest.max(prefix.len());
        if let Some(other) = paths.by_prefix.insert(prefix.into(), number) {
            let other = self.names.get(other as usize).cloned().unwrap_or_default();
            let message = format!("{host}{path} is taken by service {other}");
            let hint = "give one of them another host or a longer path".to_owned();
            self.problem(spec, message, hint);
        }
    }

    fn problem(&mut self, spec: &RouteSpec, message: String, hint: String) {
        self.problems.push(RouteProblem {
            owner: spec.name.clone(),
            message,
            hint,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn routes(rows: &[(&str, &[&str], &[&str])]) -> Result<Routes, Vec<RouteProblem>> {
        let routes = rows
            .iter()
            .enumerate()
            .map(|(i, (name, hosts, paths))| RouteSpec {
                service: ServiceId::at(i),
                name: (*name).to_owned(),
                hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
                paths: paths.iter().map(|p| (*p).to_owned()).collect(),
                retries: 1,
            })
            .collect();
        Routes::build(RoutesSpec {
            routes,
            ..RoutesSpec::default()
        })
    }

    #[test]
    fn the_most_specific_host_and_the_longest_prefix_win() {
        let routes = routes(&[
            ("root", &["api.example.com"], &["/"]),
            ("v2", &["API.example.com."], &["/v2", "/beta/"]),
            ("wild", &["*.example.com"], &[]),
            ("deep", &["*.eu.example.com"], &["/only"]),
            ("any", &["*"], &["/health"]),
            ("six", &["[2001:db8::1]"], &[]),
        ])
        .expect("good routes");
        for (authority, path, service) in [
            ("api.example.com", "/", Some(0)),
            ("API.Example.COM:8080", "/x?y=/v2", Some(0)),
            ("api.example.com.", "/v2", Some(1)),
            ("api.example.com", "/v2/", Some(1)),
            ("api.example.com", "/v2?x", Some(1)),
            ("api.example.com", "/v2/a/b", Some(1)),
            ("api.example.com", "/v22", Some(0)),
            ("api.example.com", "/beta", Some(1)),
            ("api.example.com", "*", None),
            ("www.example.com", "/", Some(2)),
            ("a.b.example.com", "/", Some(2)),
            ("example.com", "/", None),
            ("a.eu.example.com", "/only/x", Some(3)),
            ("a.eu.example.com", "/other", Some(2)),
            ("other.test", "/health", Some(4)),
            ("other.test", "/healthz", None),
            ("[2001:db8::1]:443", "/", Some(5)),
            ("[2001:DB8::1]", "/", Some(5)),
            ("", "/", None),
            (":80", "/", None),
        ] {
            let found = routes
                .find(authority, path)
                .map(|route| route.service.index());
            assert_eq!(found, service, "{authority}{path}");
        }
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let problems = routes(&[
            ("a", &["x.test"], &["/p"]),
            ("b", &["x.test", "bad host", "*.*.test", ""], &["/p/"]),
            ("c", &[], &[]),
            ("d", &["y.test"], &["nope", "/a?b"]),
        ])
        .expect_err("problems");
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 7, "{text:#?}");
        assert!(text[0].contains("taken by service a"), "{}", text[0]);
    }

    proptest! {
        #[test]
        fn find_never_panics_and_root_matches_every_path(host in "\\PC{0,300}", path in "\\PC{0,300}") {
            let routes = routes(&[("all", &["*"], &["/"])]).expect("good routes");
            let _ = routes.find(&host, &path);
            let rooted = format!("/{path}");
            prop_assert!(routes.find("x.test", &rooted).is_some());
        }

        #[test]
        fn a_prefix_never_matches_inside_a_segment(tail in "[a-z]{1,8}") {
            let routes = routes(&[("api", &["*"], &["/api"])]).expect("good routes");
            let inside = format!("/api{tail}");
            let below = format!("/api/{tail}");
            prop_assert!(routes.find("x.test", &inside).is_none());
            prop_assert!(routes.find("x.test", &below).is_some());
        }
    }
}
