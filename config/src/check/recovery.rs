//! Whether a failed endpoint is forgotten in time: detection and TTL against each service's recovery
//! time objective.

use super::Checker;
use super::pools::duration;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use steering::health::Check;
use steering::ids::PolicyId;
use steering::spec::{NamedPolicy, Policy, ServiceSpec};
use steering::{PoolId, ServiceId, TableSpec};

/// The longest that a client may be held on a failed endpoint, and what that comes of.
struct Worst<'a> {
    took: Duration,
    check: &'a Check,
    in_dns: bool,
}

impl Worst<'_> {
    fn cause(&self, service: &ServiceSpec) -> String {
        let rules = self.check.rules;
        let secs = |seconds: u32| duration(Duration::from_secs(seconds.into()));
        let ttls = if self.in_dns {
            format!(
                "ttl {}, ttl_failing {}, ",
                secs(service.ttl),
                secs(service.ttl_failing)
            )
        } else {
            String::new()
        };
        let (interval, timeout) = (duration(rules.interval), duration(rules.timeout));
        format!(
            "{ttls}health check {} (interval {interval}, timeout {timeout}, fall {})",
            self.check.name, rules.fall
        )
    }
}

impl Checker<'_> {
    /// Warns of each service that takes longer to recover than it says.
    pub(super) fn recovery_is_in_time(&mut self) {
        let table = &self.table;
        let mut reach = Reach::default();
        let dns: HashSet<ServiceId> = self.steered.iter().map(|name| name.service).collect();
        let http: HashSet<ServiceId> = self.routes.iter().map(|route| route.service).collect();
        for (at, info) in self.services.iter().enumerate() {
            let (Some(rto), Some(service)) = (info.rto, table.services.get(at)) else {
                continue;
            };
            let id = ServiceId::at(at);
            let (mut worst, mut unchecked) = (None, None);
            if dns.contains(&id) {
                slowest(table, service, true, &mut reach, &mut worst, &mut unchecked);
            }
            if http.contains(&id) {
                slowest(
                    table,
                    service,
                    false,
                    &mut reach,
                    &mut worst,
                    &mut unchecked,
                );
            }
            if let Some(worst) = worst.filter(|worst| worst.took > rto) {
                let (took, rto) = (duration(worst.took), duration(rto));
                let message = format!(
                    "{} may hold a client on a failed endpoint for {took}, longer than its rto of {rto}",
                    info.name
                );
                let cause = worst.cause(service);
                let hint =
                    format!("it comes of {cause}; shorten those, or set the rto to what holds");
                self.findings.warning("rto", info.place, message).hint(hint);
            }
            if let Some(pool) = unchecked {
                let message = format!(
                    "{} has an rto, but pool {pool} has no health check, so its failure is never noticed",
                    info.name
                );
                self.findings
                    .warning("rto", info.place, message)
                    .hint("give the pool a health_check");
            }
        }
    }
}

/// Looks at every pool that one plane of a service can reach.
fn slowest<'t>(
    table: &'t TableSpec,
    service: &ServiceSpec,
    in_dns: bool,
    reach: &mut Reach,
    worst: &mut Option<Worst<'t>>,
    unchecked: &mut Option<Arc<str>>,
) {
    let policy = if in_dns {
        service.dns_policy
    } else {
        service.http_policy
    };
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    let (ttl, failing) = (seconds(service.ttl), seconds(service.ttl_failing));
    for pool in reach.pools(policy, &table.policies).iter() {
        let Some(pool) = table.pools.get(pool.index()) else {
            continue;
        };
        let Some(check) = pool.check.and_then(|check| table.checks.get(check.index())) else {
            unchecked.get_or_insert_with(|| pool.name.clone());
            continue;
        };
        let took = if in_dns {
            check.rules.exposure(ttl, failing)
        } else {
            check.rules.detection()
        };
        if worst.as_ref().is_none_or(|worst| took > worst.took) {
            *worst = Some(Worst {
                took,
                check,
                in_dns,
            });
        }
    }
}

/// The pools each policy can reach, worked out once a policy.
#[derive(Default)]
struct Reach {
    done: HashMap<PolicyId, Rc<BTreeSet<PoolId>>>,
}

impl Reach {
    fn pools(&mut self, id: PolicyId, policies: &[NamedPolicy]) -> Rc<BTreeSet<PoolId>> {
        if let Some(done) = self.done.get(&id) {
            return done.clone();
        }
        let mut pools = BTreeSet::new();
        if let Some(named) = policies.get(id.index()) {
            self.walk(&named.policy, policies, &mut pools);
        }
        let pools = Rc::new(pools);
        self.done.insert(id, pools.clone());
        pools
    }

    /// Only called for tables that compiled, so there are no circles.
    fn walk(&mut self, policy: &Policy, policies: &[NamedPolicy], pools: &mut BTreeSet<PoolId>) {
        let mut each = |children: &mut dyn Iterator<Item = &Policy>| {
            for child in children {
                self.walk(child, policies, pools);
            }
        };
        match policy {
            Policy::Pool(pool) => {
                pools.insert(*pool);
            }
            Policy::Named(id) => {
                let below = self.pools(*id, policies);
                pools.extend(below.iter());
            }
            Policy::Failover { children, .. }
            | Policy::Latency { children }
            | Policy::Multivalue { children, .. } => {
                each(&mut children.iter());
            }
            Policy::Weighted { children, .. } => each(&mut children.iter().map(|(child, _)| child)),
            Policy::Proximity { children } => each(&mut children.iter().map(|(child, _)| child)),
            Policy::Geo { rules, default } => {
                each(&mut rules.iter().map(|rule| &rule.to).chain(default.as_deref()));
            }
            Policy::Network { rules, default } => {
                each(&mut rules.iter().map(|(_, to)| to).chain(default.as_deref()));
            }
        }
    }
}
