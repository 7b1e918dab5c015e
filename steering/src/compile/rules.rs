//! The two nodes that choose by rule: `geo` and `network`.

use super::Compiler;
use super::tree::{Child, Subtree};
use crate::cidr::{NONE, Partition};
use crate::ids::ResidencyId;
use crate::spec::{GeoRule, Policy};
use crate::table::{GeoIndex, NetworkIndex, NodeKind};
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

impl Compiler<'_> {
    pub(super) fn geo(
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

    pub(super) fn network(
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
        // A rule may have a network and one around it: the longer says all there is to say.
        let mut seen = HashSet::new();
        let children = open.iter().rev().map(|(_, child)| *child);
        let chain: Vec<u32> = children.filter(|child| seen.insert(*child)).collect();
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
