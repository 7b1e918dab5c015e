//! From what was written to what is walked: resolves named policies, prunes for residency, flattens.
//!
//! Compilation is where the residency pin is made: the pinned variant of a policy is built without
//! the pools outside its jurisdictions, so that no later step (fail-open, fallback, affinity, retry)
//! can find them. Problems are collected, never fatal half-way. `tree` makes nodes, `rules` the
//! two that choose by rule.

mod problem;
mod rules;
mod tree;

pub use problem::CompileProblem;

use crate::draw::name_hash;
use crate::health::TargetKey;
use crate::ids::{CheckId, NodeId, PolicyId, PoolId, ResidencyId, ServiceId, TargetId};
use crate::spec::{PoolSpec, ServiceSpec, TableSpec};
use crate::table::{Edge, Endpoint, Node, NodeKind, Pool, Roots, Service, Slot, Table, Target};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tree::Subtree;

/// The deepest a policy may nest, named policies followed. Bounds the walk's stack.
pub const MAX_DEPTH: usize = 32;
/// The most nodes one service's policy may have when every named policy is written out. Bounds the
/// walk's time.
pub const MAX_TREE: u64 = 65_536;
/// The most children of a `latency` or `proximity` policy.
pub const MAX_MEASURED_CHILDREN: usize = 64;
/// The most children of a `weighted` policy.
pub const MAX_WEIGHTED_CHILDREN: usize = 1024;

impl Table {
    /// Compiles a spec.
    ///
    /// # Errors
    /// Every problem found, not only the first.
    pub fn compile(spec: TableSpec) -> Result<Self, Vec<CompileProblem>> {
        let mut compiler = Compiler::new(&spec);
        compiler.pools();
        let services: Vec<Service> = spec.services.iter().map(|s| compiler.service(s)).collect();
        let mut service_ids = HashMap::with_capacity(services.len());
        for (i, service) in services.iter().enumerate() {
            let before = service_ids.insert(service.name.clone(), ServiceId::at(i));
            if before.is_some() {
                compiler.problem(CompileProblem::DuplicateService(service.name.clone()));
            }
        }
        // Policies no service uses are compiled for their problems only.
        for i in 0..spec.policies.len() {
            compiler.named(PolicyId::at(i), None);
        }
        if !compiler.problems.is_empty() {
            return Err(compiler.problems);
        }
        let Compiler {
            pools,
            endpoints,
            targets,
            target_ids,
            nodes,
            edges,
            leaves,
            slots,
            ..
        } = compiler;
        let is_placed = |node: &Node| {
            use NodeKind::{Geo, Latency, Proximity};
            matches!(node.kind, Geo(_) | Latency { .. } | Proximity)
        };
        Ok(Self {
            by_place: !spec.residencies.is_empty() || nodes.iter().any(is_placed),
            pools,
            endpoints,
            targets,
            target_ids,
            nodes,
            edges,
            leaves,
            slots,
            services,
            service_ids,
            pop: spec.pop,
            regions: spec.regions,
            checks: spec.checks,
            policies: spec.policies,
            residencies: spec.residencies,
            latency_map: spec.latency_map,
            planes: spec.planes,
        })
    }
}

struct Compiler<'a> {
    spec: &'a TableSpec,
    pools: Vec<Pool>,
    endpoints: Vec<Endpoint>,
    targets: Vec<Target>,
    target_ids: HashMap<TargetKey, TargetId>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    leaves: Vec<PoolId>,
    slots: Vec<Slot>,
    /// Compiled named policies by residency; `None` where pruning left nothing.
    done: HashMap<(PolicyId, Option<ResidencyId>), Option<Subtree>>,
    /// Compiled leaves: a pool is one node however often it is named.
    pool_nodes: HashMap<PoolId, NodeId>,
    /// The named policies being compiled, outermost first.
    open: Vec<PolicyId>,
    problems: Vec<CompileProblem>,
    /// Of each node so far, whether a draw can change what is chosen at or below it.
    chance: Vec<bool>,
    /// The problems again, so that each is told once.
    told: HashSet<CompileProblem>,
}

impl<'a> Compiler<'a> {
    fn new(spec: &'a TableSpec) -> Self {
        Self {
            spec,
            pools: Vec::new(),
            endpoints: Vec::new(),
            targets: Vec::new(),
            target_ids: HashMap::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            leaves: Vec::new(),
            slots: Vec::new(),
            done: HashMap::new(),
            pool_nodes: HashMap::new(),
            open: Vec::new(),
            problems: Vec::new(),
            chance: Vec::new(),
            told: HashSet::new(),
        }
    }

    fn problem(&mut self, problem: CompileProblem) {
        if self.told.insert(problem.clone()) {
            self.problems.push(problem);
        }
    }

    fn pools(&mut self) {
        let spec = self.spec;
        for (i, pool) in spec.pools.iter().enumerate() {
            let dangling = pool.region.index() >= spec.regions.len()
                || pool
                    .check
                    .is_some_and(|check| check.index() >= spec.checks.len());
            if dangling {
                self.problem(CompileProblem::Dangling(pool.name.clone()));
                continue;
            }
            self.pool(PoolId::at(i), pool);
        }
    }

    fn pool(&mut self, id: PoolId, pool: &PoolSpec) {
        let first = self.endpoints.len() as u32;
        let check_name = pool.check.map_or_else(
            || Arc::from(""),
            |check| self.spec.checks[check.index()].name.clone(),
        );
        for endpoint in &pool.endpoints {
            let key = TargetKey {
                address: endpoint.address,
                check: check_name.clone(),
            };
            let target = self.target(key, pool.check);
            self.endpoints.push(Endpoint {
                address: endpoint.address,
                weight: endpoint.weight,
                key: name_hash(&endpoint.address.to_string()),
                pool: id,
                target,
                publish: endpoint.publish.clone(),
            });
        }
        self.pools.push(Pool {
            name: pool.name.clone(),
            key: name_hash(&pool.name),
            region: pool.region,
            check: pool.check,
            // What is no number asks for nothing.
            min_healthy: pool.min_healthy.max(0.0),
            endpoints: first..self.endpoints.len() as u32,
        });
    }

    /// The target of a key: endpoints that name the same address under the same check share it.
    fn target(&mut self, key: TargetKey, check: Option<CheckId>) -> TargetId {
        let targets = &mut self.targets;
        *self.target_ids.entry(key).or_insert_with_key(|key| {
            targets.push(Target {
                key: key.clone(),
                check,
            });
            TargetId::at(targets.len() - 1)
        })
    }

    fn service(&mut self, service: &ServiceSpec) -> Service {
        let residency = service.residency;
        let name = &service.name;
        if residency.is_some_and(|r| r.index() >= self.spec.residencies.len()) {
            self.problem(CompileProblem::Dangling(name.clone()));
        }
        let mut roots = |policy| Roots {
            free: self.root(policy, None),
            pinned: residency.and_then(|rule| self.root(policy, Some(rule))),
        };
        let (dns, http) = (roots(service.dns_policy), roots(service.http_policy));
        if let Some(rule) = residency.and_then(|r| self.spec.residencies.get(r.index())) {
            let empty = |roots: &Roots| roots.free.is_some() && roots.pinned.is_none();
            if empty(&dns) || empty(&http) {
                let (service, residency) = (name.clone(), rule.name.clone());
                self.problem(CompileProblem::NothingAllowed { service, residency });
            }
        }
        Service {
            name: name.clone(),
            dns,
            http,
            residency,
            fail_open: service.fail_open,
            by_chance: self.by_chance(dns),
            ttl: service.ttl,
            ttl_failing: service.ttl_failing.min(service.ttl),
        }
    }

    /// Whether a draw can change the pool that is chosen.
    fn by_chance(&mut self, roots: Roots) -> bool {
        // Children come before parents.
        for node in self.nodes.iter().skip(self.chance.len()) {
            let edges = node.edges.start as usize..node.edges.end as usize;
            let below = self.edges.get(edges).unwrap_or(&[]).iter();
            let mut below = below.filter_map(|edge| self.chance.get(edge.node.index()));
            let drawn = match node.kind {
                NodeKind::Weighted { sticky } => !sticky,
                NodeKind::Multivalue { .. } => true,
                _ => false,
            };
            let chance = drawn || below.any(|chance| *chance);
            self.chance.push(chance);
        }
        let mut roots = [roots.free, roots.pinned].into_iter().flatten();
        roots.any(|root| self.chance.get(root.index()).is_none_or(|chance| *chance))
    }

    fn root(&mut self, policy: PolicyId, pin: Option<ResidencyId>) -> Option<NodeId> {
        self.named(policy, pin).map(|tree| tree.node)
    }

    /// A named policy under a pin; compiled once.
    fn named(&mut self, id: PolicyId, pin: Option<ResidencyId>) -> Option<Subtree> {
        if let Some(done) = self.done.get(&(id, pin)) {
            return *done;
        }
        let Some(named) = self.spec.policies.get(id.index()) else {
            self.problem(CompileProblem::Dangling(
                format!("policy number {}", id.0).into(),
            ));
            return None;
        };
        if let Some(at) = self.open.iter().position(|open| *open == id) {
            self.circle(at);
            return None;
        }
        if self.open.len() >= MAX_DEPTH {
            self.problem(CompileProblem::TooDeep(named.name.clone()));
            return None;
        }
        self.open.push(id);
        let tree = self.policy(&named.policy, &named.name.clone(), pin, 0);
        self.open.pop();
        self.done.insert((id, pin), tree);
        tree
    }

    /// Reports the circle of open policies from `at` on. Told from its least member on, so that one
    /// circle is one problem wherever it is entered.
    fn circle(&mut self, at: usize) {
        let circle = &self.open[at..];
        let least = (0..circle.len()).min_by_key(|i| circle[*i]).unwrap_or(0);
        let once_around = circle.iter().cycle().skip(least).take(circle.len() + 1);
        let names = once_around
            .map(|policy| self.spec.policies[policy.index()].name.clone())
            .collect();
        self.problem(CompileProblem::Cycle(names));
    }
}
