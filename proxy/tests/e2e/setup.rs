//! A proxy over a small table: region `us`, region `eu` under jurisdiction 0, pools and services as a
//! test wants them. 192.0.2.0/24 is in Germany, 198.51.100.0/24 in the United States.

use prometheus::Registry;
use proxy::{Handle, RouteSpec, Routes, RoutesSpec, Server, Settings, Unobserved, Upstream};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use steering::geo::{Country, CountrySet, Location, LocationTableBuilder};
use steering::health::Status;
use steering::ids::{JurisdictionId, PolicyId};
use steering::spec::{
    EndpointSpec, NamedPolicy, Policy, PoolSpec, Publish, Region, Residency, ServiceSpec,
};
use steering::{
    Forced, PoolId, RegionId, ResidencyId, ServiceId, Snapshot, Table, TableSpec, Timestamp,
};

pub const US: u32 = 0;
pub const EU: u32 = 1;

pub struct Pool {
    pub region: u32,
    pub endpoints: Vec<SocketAddr>,
    pub upstream: Upstream,
}

pub struct Service {
    pub policy: Policy,
    pub pinned: bool,
    pub fail_open: bool,
    pub hosts: Vec<&'static str>,
    pub paths: Vec<&'static str>,
    pub retries: u8,
}

pub struct Setup {
    pub pools: Vec<Pool>,
    pub services: Vec<Service>,
    pub settings: Settings,
    pub down: Vec<u32>,
}

pub struct Running {
    pub handle: Handle,
    pub registry: Registry,
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.handle.http()[0]
    }

    /// The value of a metric, all its labels summed.
    pub fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.map(|family| family.get_metric()).unwrap_or_default();
        metrics
            .iter()
            .map(|m| m.get_counter().get_value() + m.get_gauge().get_value())
            .sum()
    }
}

pub fn pool(region: u32, endpoints: &[SocketAddr]) -> Pool {
    // Short, so that a test that waits for one does not wait long.
    let upstream = Upstream {
        read_timeout: Duration::from_secs(20),
        ..Upstream::default()
    };
    Pool {
        region,
        endpoints: endpoints.to_vec(),
        upstream,
    }
}

pub fn service(host: &'static str, policy: Policy) -> Service {
    let hosts = vec![host];
    Service {
        policy,
        pinned: false,
        fail_open: true,
        hosts,
        paths: vec!["/"],
        retries: 1,
    }
}

pub fn only(pool: u32) -> Policy {
    Policy::Pool(PoolId(pool))
}

pub fn failover(pools: &[u32]) -> Policy {
    let children = pools.iter().map(|pool| only(*pool)).collect();
    Policy::Failover {
        children,
        failback: Default::default(),
    }
}

/// One service `a.test` over one pool.
pub fn simple(endpoints: &[SocketAddr]) -> Setup {
    Setup::new(vec![pool(US, endpoints)], vec![service("a.test", only(0))])
}

impl Setup {
    pub fn new(pools: Vec<Pool>, services: Vec<Service>) -> Self {
        let any = "127.0.0.1:0".parse().expect("an address");
        let settings = Settings {
            http: vec![any],
            ..Settings::default()
        };
        Self {
            pools,
            services,
            settings,
            down: Vec::new(),
        }
    }

    pub async fn start(self) -> Running {
        let (settings, snapshot) = (self.settings.clone(), self.snapshot());
        let (publisher, reader) = steering::channel(snapshot);
        drop(publisher);
        let registry = Registry::new();
        let handle = Server::start(settings, reader, &registry, Arc::new(Unobserved)).await;
        Running {
            handle: handle.expect("the proxy starts"),
            registry,
        }
    }

    fn snapshot(self) -> Snapshot {
        let down: Vec<Forced> = self
            .down
            .iter()
            .map(|pool| Forced::Pool(PoolId(*pool), Status::Down))
            .collect();
        let table = Table::compile(self.table()).expect("a good table");
        let mut places = LocationTableBuilder::default();
        for (network, code) in [("192.0.2.0/24", "DE"), ("198.51.100.0/24", "US")] {
            let country: Country = code.parse().expect("a country");
            places.insert(
                network.parse().expect("a network"),
                Location::in_country(country),
            );
        }
        let now = Timestamp(1);
        Snapshot::new(Arc::new(table), Arc::new(places.build("test")), now).what_if(&down, now)
    }

    fn table(self) -> TableSpec {
        let routes = self
            .services
            .iter()
            .enumerate()
            .map(|(i, service)| RouteSpec {
                service: ServiceId::at(i),
                name: format!("service-{i}"),
                hosts: service.hosts.iter().map(|h| (*h).to_owned()).collect(),
                paths: service.paths.iter().map(|p| (*p).to_owned()).collect(),
                retries: service.retries,
            });
        let routes = Routes::build(RoutesSpec {
            routes: routes.collect(),
            upstreams: self
                .pools
                .iter()
                .map(|pool| pool.upstream.clone())
                .collect(),
            trusted_proxies: vec!["127.0.0.0/8".parse().expect("a network")],
        });
        let mut spec = TableSpec {
            regions: vec![region("us", None), region("eu", Some(0))],
            ..TableSpec::default()
        };
        spec.planes.insert(Arc::new(routes.expect("good routes")));
        spec.residencies.push(gdpr());
        for (i, pool) in self.pools.into_iter().enumerate() {
            let endpoints = pool.endpoints.into_iter();
            spec.pools.push(PoolSpec {
                name: format!("pool-{i}").into(),
                region: RegionId(pool.region),
                check: None,
                min_healthy: 0.0,
                endpoints: endpoints
                    .map(|address| EndpointSpec {
                        address,
                        weight: 1,
                        publish: Publish::address(address),
                    })
                    .collect(),
            });
        }
        for (i, service) in self.services.into_iter().enumerate() {
            let name: Arc<str> = format!("service-{i}").into();
            spec.policies.push(NamedPolicy {
                name: name.clone(),
                policy: service.policy,
            });
            spec.services.push(ServiceSpec {
                name,
                dns_policy: PolicyId(i as u32),
                http_policy: PolicyId(i as u32),
                residency: service.pinned.then_some(ResidencyId(0)),
                fail_open: service.fail_open,
                ttl: 60,
                ttl_failing: 10,
            });
        }
        spec
    }
}

fn region(name: &str, jurisdiction: Option<u32>) -> Region {
    let jurisdiction = jurisdiction.map(JurisdictionId);
    Region {
        name: name.into(),
        place: None,
        country: None,
        jurisdiction,
        capacity: None,
    }
}

fn gdpr() -> Residency {
    let mut countries = CountrySet::default();
    countries.insert("DE".parse().expect("a country"));
    Residency {
        name: "gdpr".into(),
        countries,
        continents: Vec::new(),
        serve_in: vec![JurisdictionId(0)],
        pin_unknown: false,
        fail_open_inside: false,
    }
}
