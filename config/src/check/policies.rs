//! Policies: names resolved, weights and rules checked. Circles and depth are the compiler's to find.

use super::{Checker, nearest_of, shared};
use crate::de::{Written, given};
use crate::problem::Place;
use crate::spec::{self, Choice};
use crate::tree::shorten;
use std::collections::HashSet;
use steering::ids::PolicyId;
use steering::spec::{Failback, NamedPolicy, Policy};
use steering::{MAX_ENDPOINTS, PoolId};

/// The seven kinds.
const KINDS: [&str; 7] = [
    "failover",
    "weighted",
    "geo",
    "latency",
    "proximity",
    "network",
    "multivalue",
];

/// What stands for a policy that could not be read: nothing, so that nothing follows from it.
fn nothing() -> Policy {
    Policy::Failover {
        children: Vec::new(),
        failback: Failback::Automatic,
    }
}

impl Checker<'_> {
    pub(super) fn policies(&mut self, config: &spec::Config) {
        for (at, (_, place, policy)) in given(&config.policies)
            .into_iter()
            .flat_map(|(n, _)| n.iter())
            .enumerate()
        {
            let name = self.policies.name(at);
            let made = self.policy(policy).unwrap_or_else(nothing);
            self.table.policies.push(NamedPolicy { name, policy: made });
            self.policy_places.push(place);
        }
    }

    /// The policy of a service: a name is that policy or pool, a choice becomes a policy named `name`.
    pub(super) fn service_policy(
        &mut self,
        written: &Written<spec::Policy>,
        name: impl FnOnce() -> String,
    ) -> PolicyId {
        let made = self.policy(written).unwrap_or_else(nothing);
        match made {
            Policy::Named(id) => id,
            Policy::Pool(pool) => {
                if let Some(id) = self.leaf_policies.get(&pool) {
                    return *id;
                }
                let id = self.add_policy(self.pools.name(pool.index()), made, written.place);
                self.leaf_policies.insert(pool, id);
                id
            }
            made => self.add_policy(name().into(), made, written.place),
        }
    }

    fn add_policy(&mut self, name: std::sync::Arc<str>, policy: Policy, place: Place) -> PolicyId {
        let id = PolicyId::at(self.table.policies.len());
        self.table.policies.push(NamedPolicy { name, policy });
        self.policy_places.push(place);
        id
    }

    /// One policy; `None` when it has been taken in as wrong.
    pub(super) fn policy(&mut self, written: &Written<spec::Policy>) -> Option<Policy> {
        match written.get()? {
            spec::Policy::Name(name) => self.named(name),
            spec::Policy::Choice(choice) => self.choice(choice, written.place),
        }
    }

    /// A pool or policy by its name.
    fn named(&mut self, name: &Written<String>) -> Option<Policy> {
        let text = name.get()?;
        if let Some(at) = self.pools.take(text) {
            return Some(Policy::Pool(PoolId::at(at)));
        }
        if let Some(at) = self.policies.take(text) {
            return Some(Policy::Named(PolicyId::at(at)));
        }
        if self.whole {
            let names = self
                .pools
                .iter()
                .chain(self.policies.iter())
                .map(|(name, _)| name);
            let hint = nearest_of(text, names);
            self.findings
                .error(
                    "unknown_policy",
                    name.place,
                    format!("there is no pool or policy `{}`", shorten(text)),
                )
                .hint(hint);
        }
        None
    }

    fn choice(&mut self, choice: &Choice, place: Place) -> Option<Policy> {
        let places = [
            choice.failover.as_ref().map(|w| w.place),
            choice.weighted.as_ref().map(|w| w.place),
            choice.geo.as_ref().map(|w| w.place),
            choice.latency.as_ref().map(|w| w.place),
            choice.proximity.as_ref().map(|w| w.place),
            choice.network.as_ref().map(|w| w.place),
            choice.multivalue.as_ref().map(|w| w.place),
        ];
        let mut kinds = KINDS
            .iter()
            .zip(places)
            .filter_map(|(kind, place)| Some((*kind, place?)));
        let Some((kind, _)) = kinds.next() else {
            self.findings
                .error("empty", place, "this policy does not say how it chooses")
                .hint(format!("add one of {}", KINDS.join(", ")));
            return None;
        };
        if let Some((second, place)) = kinds.next() {
            self.findings
                .error(
                    "conflict",
                    place,
                    format!("a policy is {kind} or {second}, not both"),
                )
                .hint("nest the one in the other");
        }
        self.no_idle_options(choice, kind);
        self.read_choice(choice)
    }

    /// Options that mean nothing for this kind.
    fn no_idle_options(&mut self, choice: &Choice, kind: &str) {
        let options = [
            (
                "failback",
                choice.failback.as_ref().map(|w| w.place),
                "failover",
            ),
            (
                "sticky",
                choice.sticky.as_ref().map(|w| w.place),
                "weighted",
            ),
            ("max", choice.max.as_ref().map(|w| w.place), "multivalue"),
        ];
        for (option, place, meant) in options {
            if let Some(place) = place.filter(|_| kind != meant) {
                self.findings
                    .error(
                        "idle_key",
                        place,
                        format!("`{option}` means nothing to {kind}"),
                    )
                    .hint(format!("it belongs to {meant}"));
            }
        }
    }

    fn read_choice(&mut self, choice: &Choice) -> Option<Policy> {
        if let Some(list) = &choice.failover {
            let failback = match given(&choice.failback) {
                Some((spec::Failback::Manual, _)) => Failback::Manual,
                Some((spec::Failback::After(after), _)) => Failback::After(after.after.get()?.0),
                _ => Failback::Automatic,
            };
            return Some(Policy::Failover {
                children: self.children(list, "failover")?,
                failback,
            });
        }
        if let Some(weighted) = &choice.weighted {
            let children = self.weighted(weighted)?;
            return Some(Policy::Weighted {
                children,
                sticky: choice.sticky.is_some(),
            });
        }
        if let Some(geo) = &choice.geo {
            return self.geo(geo);
        }
        if let Some(list) = &choice.latency {
            return Some(Policy::Latency {
                children: self.children(list, "latency")?,
            });
        }
        if let Some(proximity) = &choice.proximity {
            return Some(Policy::Proximity {
                children: self.proximity(proximity)?,
            });
        }
        if let Some(network) = &choice.network {
            return self.network(network);
        }
        let list = choice.multivalue.as_ref()?;
        let children = self.children(list, "multivalue")?;
        let max = match given(&choice.max) {
            Some((max, place)) if !(1..=MAX_ENDPOINTS as u8).contains(max) => {
                self.findings.error(
                    "out_of_range",
                    place,
                    format!("`max` is 1 to {MAX_ENDPOINTS}"),
                );
                MAX_ENDPOINTS as u8
            }
            Some((max, _)) => *max,
            None => MAX_ENDPOINTS as u8,
        };
        Some(Policy::Multivalue { children, max })
    }

    fn children(
        &mut self,
        list: &Written<Vec<Written<spec::Policy>>>,
        kind: &str,
    ) -> Option<Vec<Policy>> {
        let written = list.get()?;
        if written.is_empty() {
            self.names_nothing(list.place, kind);
        }
        let mut seen = HashSet::new();
        for child in written {
            if let Some(spec::Policy::Name(name)) = child.get()
                && let Some(text) = name.get()
                && !seen.insert(text)
            {
                self.findings
                    .warning(
                        "duplicate_child",
                        name.place,
                        format!("`{}` stands in this {kind} twice", shorten(text)),
                    )
                    .hint("the second one changes nothing");
            }
        }
        Some(
            written
                .iter()
                .filter_map(|child| self.policy(child))
                .collect(),
        )
    }

    pub(super) fn names_nothing(&mut self, place: Place, kind: &str) {
        self.findings
            .error(
                "empty",
                place,
                format!("this {kind} has nothing to choose from"),
            )
            .hint("name at least one pool or policy");
    }

    fn weighted(&mut self, written: &Written<spec::Weighted>) -> Option<Vec<(Policy, u16)>> {
        // Each child with its weight; `None` where one of them could not be read.
        let children: Vec<(Option<Policy>, Option<u16>)> = match written.get()? {
            spec::Weighted::Names(names) => names
                .0
                .iter()
                .map(|(name, weight)| (self.named(name), weight.get().copied()))
                .collect(),
            spec::Weighted::List(list) => list
                .iter()
                .map(|item| match item.get() {
                    Some(item) => (self.policy(&item.to), item.weight.get().copied()),
                    None => (None, None),
                })
                .collect(),
        };
        if children.is_empty() {
            self.names_nothing(written.place, "weighted");
        } else if children.iter().all(|(_, weight)| *weight == Some(0)) {
            self.findings
                .error("weight_sum", written.place, "the weights add up to 0: nobody would ever be sent anywhere")
                .hint("weight 0 is a reserve for when all others are down; give at least one child a weight");
        }
        Some(
            children
                .into_iter()
                .filter_map(|(child, weight)| child.zip(weight))
                .collect(),
        )
    }

    fn proximity(&mut self, written: &Written<spec::Proximity>) -> Option<Vec<(Policy, i8)>> {
        let names = match written.get()? {
            spec::Proximity::List(list) => {
                if list.is_empty() {
                    self.names_nothing(written.place, "proximity");
                }
                return Some(
                    list.iter()
                        .filter_map(|child| Some((self.policy(child)?, 0)))
                        .collect(),
                );
            }
            spec::Proximity::Names(names) => names,
        };
        if names.0.is_empty() {
            self.names_nothing(written.place, "proximity");
        }
        let mut children = Vec::new();
        for (name, bias) in &names.0 {
            let child = self.named(name);
            let bias = match bias.get().and_then(|bias| given(&bias.bias)) {
                Some((bias, place)) if !(-99..=99).contains(bias) => {
                    self.findings
                        .error("out_of_range", place, "a bias is -99 to 99 percent");
                    0
                }
                Some((bias, _)) => *bias,
                None => 0,
            };
            children.extend(child.map(|child| (child, bias)));
        }
        Some(children)
    }

    /// The place of the policy that a compiled node's name belongs to: `split[2][0]` is in `split`.
    pub(super) fn place_of_policy(&self, name: &str) -> Option<Place> {
        let name = shared(name);
        let mut end = name.len();
        loop {
            let part = name.get(..end)?;
            let at = self
                .table
                .policies
                .iter()
                .position(|policy| &*policy.name == part);
            if let Some(place) = at.and_then(|at| self.policy_places.get(at)) {
                return Some(*place);
            }
            end = part.rfind('[')?;
        }
    }
}
