//! From what was written to what is walked: resolves named policies, prunes for residency, flattens.
//!
//! Compilation is where the residency pin is made: the pinned variant of a policy is built without
//! the pools outside its jurisdictions, so that no later step (fail-open, fallback, affinity, retry)
//! can find them. Problems are collected, never fatal half-way.

use crate::MAX_ENDPOINTS;
use crate::cidr::{NONE, Partition};
use crate::draw::{mix, name_hash};
use crate::health::TargetKey;
use crate::ids::{NodeId, PolicyId, PoolId, ResidencyId, ServiceId, TargetId};
use crate::spec::{Failback, GeoRule, Policy, PoolSpec, ServiceSpec, TableSpec};
use crate::table::{
    Edge, Endpoint, GeoIndex, NetworkIndex, Node, NodeKind, Pool, Roots, Service, Slot, Table,
    Target,
};
use ipnet::IpNet;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The deepest a policy may nest, named policies followed. Bounds the walk's stack.
pub const MAX_DEPTH: usize = 32;
/// The most nodes one service's policy may have when every named policy is written out. Bounds the
/// walk's time.
pub const MAX_TREE: u64 = 65_536;
/// The most children of a `latency` or `proximity` policy.
pub const MAX_MEASURED_CHILDREN: usize = 64;

/// What keeps a spec from becoming a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileProblem {
    /// A policy contains itself; the names along the circle.
    Cycle(Vec<Arc<str>>),
    /// A policy nests deeper than [`MAX_DEPTH`].
    TooDeep(Arc<str>),
    /// A policy is larger than [`MAX_TREE`] when written out.
    TooLarge(Arc<str>),
    /// A `latency` or `proximity` policy has more than [`MAX_MEASURED_CHILDREN`] children.
    TooManyChildren(Arc<str>),
    /// A policy, pool or service names an id that does not exist: a defect of the caller.
    Dangling(Arc<str>),
    /// Two services have one name.
    DuplicateService(Arc<str>),
    /// Nothing in the service's policy may serve the clients its residency pins.
    NothingAllowed {
        /// The service.
        service: Arc<str>,
        /// The residency rule.
        residency: Arc<str>,
    },
}

impl fmt::Display for CompileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cycle(names) => write!(
                f,
                "policies contain each other in a circle: {}",
                names.join(" -> ")
            ),
            Self::TooDeep(name) => write!(f, "policy {name} nests deeper than {MAX_DEPTH} levels"),
            Self::TooLarge(name) => write!(
                f,
                "policy {name} has more than {MAX_TREE} nodes when written out"
            ),
            Self::TooManyChildren(name) => {
                write!(
                    f,
                    "policy {name} compares more than {MAX_MEASURED_CHILDREN} children"
                )
            }
            Self::Dangling(name) => {
                write!(f, "{name} refers to something that is not in the table")
            }
            Self::DuplicateService(name) => write!(f, "service {name} is defined twice"),
            Self::NothingAllowed { service, residency } => write!(
                f,
                "service {service}: its policy has no pool that residency {residency} allows"
            ),
        }
    }
}

impl std::error::Error for CompileProblem {}

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
            if service_ids
                .insert(service.name.clone(), ServiceId::at(i))
                .is_some()
            {
                compiler
                    .problems
                    .push(CompileProblem::DuplicateService(service.name.clone()));
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
        Ok(Self {
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

/// A compiled subtree: its root, its written-out size and its height.
#[derive(Clone, Copy)]
struct Subtree {
    node: NodeId,
    size: u64,
    height: usize,
}

/// A child before it becomes an [`Edge`].
struct Child {
    tree: Subtree,
    weight: u32,
    bias: i8,
    key: u64,
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
        }
    }

    fn problem(&mut self, problem: CompileProblem) {
        if !self.problems.contains(&problem) {
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
            let target = match self.target_ids.get(&key) {
                Some(target) => *target,
                None => {
                    let target = TargetId::at(self.targets.len());
                    self.targets.push(Target {
                        key: key.clone(),
                        check: pool.check,
                    });
                    self.target_ids.insert(key, target);
                    target
                }
            };
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
            min_healthy: pool.min_healthy,
            endpoints: first..self.endpoints.len() as u32,
        });
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
            ttl: service.ttl,
            ttl_failing: service.ttl_failing.min(service.ttl),
        }
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
            let mut circle = self.open[at..].to_vec();
            // Named from its least member on, so that one circle is one problem wherever it is entered.
            let least = circle
                .iter()
                .enumerate()
                .min_by_key(|(_, p)| **p)
                .map_or(0, |(i, _)| i);
            circle.rotate_left(least);
            circle.push(circle[0]);
            let names = circle
                .iter()
                .map(|p| self.spec.policies[p.index()].name.clone())
                .collect();
            self.problem(CompileProblem::Cycle(names));
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

    /// One policy node; `name` says where it stands.
    fn policy(
        &mut self,
        policy: &Policy,
        name: &Arc<str>,
        pin: Option<ResidencyId>,
        depth: usize,
    ) -> Option<Subtree> {
        if depth >= MAX_DEPTH {
            self.problem(CompileProblem::TooDeep(name.clone()));
            return None;
        }
        match policy {
            Policy::Pool(pool) => self.leaf(*pool, name, pin),
            Policy::Named(id) => self.named(*id, pin),
            Policy::Failover { children, failback } => {
                let children = self.children(children.iter().map(|c| (c, 1, 0)), name, pin, depth);
                let key = self.node_key(name, pin);
                let slot = (*failback != Failback::Automatic).then(|| self.slot(key));
                self.finish(
                    NodeKind::Failover {
                        failback: *failback,
                        slot,
                    },
                    name,
                    pin,
                    children,
                )
            }
            Policy::Weighted { children, sticky } => {
                let weighted = children
                    .iter()
                    .map(|(c, weight)| (c, u32::from(*weight), 0));
                let children = self.children(weighted, name, pin, depth);
                self.finish(NodeKind::Weighted { sticky: *sticky }, name, pin, children)
            }
            Policy::Latency { children } => {
                let children = self.children(children.iter().map(|c| (c, 1, 0)), name, pin, depth);
                let key = self.node_key(name, pin);
                let slot = self.slot(key);
                self.finish(NodeKind::Latency { slot }, name, pin, children)
            }
            Policy::Proximity { children } => {
                let biased = children.iter().map(|(c, bias)| (c, 1, *bias));
                let children = self.children(biased, name, pin, depth);
                self.finish(NodeKind::Proximity, name, pin, children)
            }
            Policy::Multivalue { children, max } => {
                let children = self.children(children.iter().map(|c| (c, 1, 0)), name, pin, depth);
                let max = (*max).clamp(1, MAX_ENDPOINTS as u8);
                self.finish(NodeKind::Multivalue { max }, name, pin, children)
            }
            Policy::Geo { rules, default } => self.geo(rules, default.as_deref(), name, pin, depth),
            Policy::Network { rules, default } => {
                self.network(rules, default.as_deref(), name, pin, depth)
            }
        }
    }

    /// A pool, unless the pin forbids its region.
    fn leaf(&mut self, pool: PoolId, name: &Arc<str>, pin: Option<ResidencyId>) -> Option<Subtree> {
        let Some(spec) = self.spec.pools.get(pool.index()) else {
            self.problem(CompileProblem::Dangling(name.clone()));
            return None;
        };
        if let Some(rule) = pin.and_then(|pin| self.spec.residencies.get(pin.index())) {
            let jurisdiction = self
                .spec
                .regions
                .get(spec.region.index())
                .and_then(|r| r.jurisdiction);
            if !jurisdiction.is_some_and(|j| rule.serve_in.contains(&j)) {
                return None;
            }
        }
        let next = NodeId::at(self.nodes.len());
        let node = *self.pool_nodes.entry(pool).or_insert(next);
        if node == next {
            let at = self.edges.len() as u32;
            self.nodes.push(Node {
                kind: NodeKind::Pool(pool),
                name: spec.name.clone(),
                key: name_hash(&spec.name),
                edges: at..at,
            });
        }
        Some(Subtree {
            node,
            size: 1,
            height: 1,
        })
    }

    /// Compiles children, dropping those that the pin leaves nothing of.
    fn children<'p>(
        &mut self,
        children: impl Iterator<Item = (&'p Policy, u32, i8)>,
        name: &Arc<str>,
        pin: Option<ResidencyId>,
        depth: usize,
    ) -> Vec<Child> {
        children
            .enumerate()
            .filter_map(|(i, (policy, weight, bias))| {
                let (own, key) = self.child_name(policy, name, i);
                let tree = self.policy(policy, &own, pin, depth + 1)?;
                Some(Child {
                    tree,
                    weight,
                    bias,
                    key,
                })
            })
            .collect()
    }

    /// What a child is called, and the key that sticky choices know it by: names where it has one,
    /// its position where it is written in place.
    fn child_name(&self, policy: &Policy, parent: &Arc<str>, position: usize) -> (Arc<str>, u64) {
        let named = match policy {
            Policy::Pool(pool) => self.spec.pools.get(pool.index()).map(|p| &p.name),
            Policy::Named(id) => self.spec.policies.get(id.index()).map(|p| &p.name),
            _ => None,
        };
        match named {
            Some(name) => (name.clone(), name_hash(name)),
            None => {
                let name: Arc<str> = format!("{parent}[{position}]").into();
                let key = name_hash(&name);
                (name, key)
            }
        }
    }

    fn geo(
        &mut self,
        rules: &[GeoRule],
        default: Option<&Policy>,
        name: &Arc<str>,
        pin: Option<ResidencyId>,
        depth: usize,
    ) -> Option<Subtree> {
        let mut index = GeoIndex::default();
        let mut children = Vec::new();
        for (i, rule) in rules.iter().enumerate() {
            let Some(child) = self.branch(&rule.to, name, i, pin, depth) else {
                continue;
            };
            let at = children.len() as u32;
            children.push(child);
            index
                .subdivisions
                .extend(rule.subdivisions.iter().map(|s| (*s, at)));
            index
                .countries
                .extend(rule.countries.iter().map(|c| (*c, at)));
            index
                .sets
                .extend(rule.sets.iter().map(|set| (set.clone(), at)));
            for continent in &rule.continents {
                index.continents[continent.index()].get_or_insert(at);
            }
        }
        if let Some(child) = default.and_then(|d| self.branch(d, name, rules.len(), pin, depth)) {
            index.default = Some(children.len() as u32);
            children.push(child);
        }
        // Stable sorts: of two rules for one place the first written holds.
        index.subdivisions.sort_by_key(|(s, _)| *s);
        index.subdivisions.dedup_by_key(|(s, _)| *s);
        index.countries.sort_by_key(|(c, _)| *c);
        index.countries.dedup_by_key(|(c, _)| *c);
        index.sets.sort_by_key(|(set, _)| set.len());
        self.finish(NodeKind::Geo(Box::new(index)), name, pin, children)
    }

    fn network(
        &mut self,
        rules: &[(Vec<IpNet>, Policy)],
        default: Option<&Policy>,
        name: &Arc<str>,
        pin: Option<ResidencyId>,
        depth: usize,
    ) -> Option<Subtree> {
        let mut children = Vec::new();
        let mut prefixes: Vec<(IpNet, u32)> = Vec::new();
        for (i, (networks, to)) in rules.iter().enumerate() {
            let Some(child) = self.branch(to, name, i, pin, depth) else {
                continue;
            };
            prefixes.extend(
                networks
                    .iter()
                    .map(|net| (net.trunc(), children.len() as u32)),
            );
            children.push(child);
        }
        let mut index = network_index(&prefixes);
        if let Some(child) = default.and_then(|d| self.branch(d, name, rules.len(), pin, depth)) {
            index.default = Some(children.len() as u32);
            children.push(child);
        }
        self.finish(NodeKind::Network(Box::new(index)), name, pin, children)
    }

    /// One branch of a `geo` or `network` policy.
    fn branch(
        &mut self,
        policy: &Policy,
        name: &Arc<str>,
        position: usize,
        pin: Option<ResidencyId>,
        depth: usize,
    ) -> Option<Child> {
        let (own, key) = self.child_name(policy, name, position);
        let tree = self.policy(policy, &own, pin, depth + 1)?;
        Some(Child {
            tree,
            weight: 1,
            bias: 0,
            key,
        })
    }

    /// A node's identity over reloads: its name, and the name of the rule it was pruned for.
    fn node_key(&self, name: &str, pin: Option<ResidencyId>) -> u64 {
        let rule = pin.and_then(|pin| self.spec.residencies.get(pin.index()));
        mix(
            name_hash(name),
            rule.map_or(0, |rule| name_hash(&rule.name)),
        )
    }

    fn slot(&mut self, key: u64) -> u32 {
        // The node is filled in when it exists; children may take slots before it does.
        self.slots.push(Slot {
            key,
            node: NodeId(u32::MAX),
        });
        (self.slots.len() - 1) as u32
    }

    /// Makes the node over its children; `None` when there are none.
    fn finish(
        &mut self,
        kind: NodeKind,
        name: &Arc<str>,
        pin: Option<ResidencyId>,
        children: Vec<Child>,
    ) -> Option<Subtree> {
        if children.is_empty() {
            return None;
        }
        let compares = matches!(kind, NodeKind::Latency { .. } | NodeKind::Proximity);
        if compares && children.len() > MAX_MEASURED_CHILDREN {
            self.problem(CompileProblem::TooManyChildren(name.clone()));
            return None;
        }
        let size = children
            .iter()
            .fold(1_u64, |sum, c| sum.saturating_add(c.tree.size));
        let height = 1 + children.iter().map(|c| c.tree.height).max().unwrap_or(0);
        if size > MAX_TREE {
            self.problem(CompileProblem::TooLarge(name.clone()));
            return None;
        }
        if height > MAX_DEPTH {
            self.problem(CompileProblem::TooDeep(name.clone()));
            return None;
        }
        let first = self.edges.len() as u32;
        for child in children {
            let leaves = if compares {
                self.leaves_below(child.tree.node)
            } else {
                0..0
            };
            self.edges.push(Edge {
                node: child.tree.node,
                weight: child.weight,
                bias: child.bias,
                key: child.key,
                leaves,
            });
        }
        let node = NodeId::at(self.nodes.len());
        if let NodeKind::Latency { slot }
        | NodeKind::Failover {
            slot: Some(slot), ..
        } = kind
        {
            self.slots[slot as usize].node = node;
        }
        let key = self.node_key(name, pin);
        self.nodes.push(Node {
            kind,
            name: name.clone(),
            key,
            edges: first..self.edges.len() as u32,
        });
        Some(Subtree { node, size, height })
    }

    /// The pools below a node, each once, as a range of the list of leaves.
    fn leaves_below(&mut self, root: NodeId) -> std::ops::Range<u32> {
        let first = self.leaves.len();
        let mut stack = vec![root];
        while let Some(id) = stack.pop() {
            let node = &self.nodes[id.index()];
            if let NodeKind::Pool(pool) = node.kind
                && !self.leaves[first..].contains(&pool)
            {
                self.leaves.push(pool);
            }
            let edges = node.edges.start as usize..node.edges.end as usize;
            stack.extend(self.edges[edges].iter().map(|edge| edge.node));
        }
        first as u32..self.leaves.len() as u32
    }
}

/// For every distinct set of prefixes an address can be in, the children from the longest to the
/// shortest.
fn network_index(prefixes: &[(IpNet, u32)]) -> NetworkIndex {
    let mut sorted: Vec<&(IpNet, u32)> = prefixes.iter().collect();
    // Outer before inner, so that the open prefixes around one are a stack; of equal ones the later
    // written ends on top.
    sorted.sort_by_key(|(net, _)| (net.network(), net.prefix_len()));
    let mut chains: Vec<Vec<u32>> = Vec::new();
    let mut numbers: HashMap<Vec<u32>, u32> = HashMap::new();
    let mut open: Vec<&(IpNet, u32)> = Vec::new();
    let mut networks = Vec::with_capacity(sorted.len());
    for prefix in sorted {
        while open
            .last()
            .is_some_and(|(outer, _)| !outer.contains(&prefix.0))
        {
            open.pop();
        }
        open.push(prefix);
        let mut chain: Vec<u32> = open.iter().rev().map(|(_, child)| *child).collect();
        chain.dedup();
        let number = *numbers.entry(chain).or_insert_with_key(|chain| {
            chains.push(chain.clone());
            chains.len() as u32 - 1
        });
        networks.push((prefix.0, number));
    }
    debug_assert!(
        chains.len() < NONE as usize,
        "chains are numbered below NONE"
    );
    NetworkIndex {
        cut: Partition::new(networks),
        chains,
        default: None,
    }
}
