//! The nodes of the trees: children before parents, pools as shared leaves, names as keys.

use super::{
    CompileProblem, Compiler, MAX_DEPTH, MAX_MEASURED_CHILDREN, MAX_TREE, MAX_WEIGHTED_CHILDREN,
};
use crate::MAX_ENDPOINTS;
use crate::draw::{mix, name_hash};
use crate::ids::{NodeId, PoolId, ResidencyId};
use crate::spec::{Failback, Policy};
use crate::table::{Edge, Node, NodeKind, Slot};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// A compiled subtree: its root, its written-out size and its height.
#[derive(Clone, Copy)]
pub(super) struct Subtree {
    pub(super) node: NodeId,
    size: u64,
    height: usize,
}

/// A child before it becomes an [`Edge`].
pub(super) struct Child {
    pub(super) tree: Subtree,
    pub(super) weight: u32,
    pub(super) bias: i8,
    pub(super) key: u64,
}

impl Compiler<'_> {
    /// One policy node; `name` says where it stands.
    pub(super) fn policy(
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
    pub(super) fn child_name(
        &self,
        policy: &Policy,
        parent: &Arc<str>,
        position: usize,
    ) -> (Arc<str>, u64) {
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
    pub(super) fn finish(
        &mut self,
        kind: NodeKind,
        name: &Arc<str>,
        pin: Option<ResidencyId>,
        children: Vec<Child>,
    ) -> Option<Subtree> {
        if children.is_empty() {
            // Pruned empty is as it should be; one problem below is told once, not at every level.
            if pin.is_none() && self.problems.is_empty() {
                self.problem(CompileProblem::Empty(name.clone()));
            }
            return None;
        }
        let compares = matches!(kind, NodeKind::Latency { .. } | NodeKind::Proximity);
        let most = match kind {
            _ if compares => MAX_MEASURED_CHILDREN,
            NodeKind::Weighted { .. } => MAX_WEIGHTED_CHILDREN,
            _ => usize::MAX,
        };
        if children.len() > most {
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
        let edges = self.edges_to(children, compares);
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
            edges,
        });
        Some(Subtree { node, size, height })
    }

    /// The edges to `children`, as a range of the list of edges.
    fn edges_to(&mut self, children: Vec<Child>, compares: bool) -> Range<u32> {
        let first = self.edges.len() as u32;
        let mut seen: HashMap<u64, u64> = HashMap::new();
        for child in children {
            // A child named twice has two keys: else a sticky choice could not tell them apart.
            let again = seen.entry(child.key).and_modify(|n| *n += 1).or_insert(0);
            let key = match *again {
                0 => child.key,
                nth => mix(child.key, nth),
            };
            let leaves = if compares {
                self.leaves_below(child.tree.node)
            } else {
                0..0
            };
            self.edges.push(Edge {
                node: child.tree.node,
                weight: child.weight,
                bias: child.bias,
                key,
                leaves,
            });
        }
        first..self.edges.len() as u32
    }

    /// The pools below a node, each once, as a range of the list of leaves.
    fn leaves_below(&mut self, root: NodeId) -> Range<u32> {
        let first = self.leaves.len();
        let mut seen = HashSet::from([root]);
        let mut stack = vec![root];
        while let Some(id) = stack.pop() {
            let node = &self.nodes[id.index()];
            if let NodeKind::Pool(pool) = node.kind {
                self.leaves.push(pool);
            }
            let edges = node.edges.start as usize..node.edges.end as usize;
            let below = self.edges[edges].iter().map(|edge| edge.node);
            stack.extend(below.filter(|node| seen.insert(*node)));
        }
        first as u32..self.leaves.len() as u32
    }
}
