//! Policies: names resolved, weights and rules checked. Circles and depth are the compiler's to find.

use super::places::CountryList;
use super::{Checker, nearest_of, shared};
use crate::de::{Written, given};
use crate::problem::Place;
use crate::spec::{self, Choice};
use crate::tree::shorten;
use ipnet::IpNet;
use std::collections::{HashMap, HashSet};
use steering::geo::{Country, CountrySet};
use steering::ids::PolicyId;
use steering::spec::{Failback, GeoRule, NamedPolicy, Policy};
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
    fn policy(&mut self, written: &Written<spec::Policy>) -> Option<Policy> {
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

    fn names_nothing(&mut self, place: Place, kind: &str) {
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

    fn geo(&mut self, written: &Written<spec::Geo>) -> Option<Policy> {
        let geo = written.get()?;
        let mut seen = GeoSeen::default();
        let mut rules = Vec::new();
        for item in given(&geo.rules).into_iter().flat_map(|(list, _)| list) {
            let Some(rule) = item.get() else { continue };
            if rule.subdivisions.is_none() && rule.countries.is_none() && rule.continents.is_none()
            {
                self.findings
                    .error("empty", item.place, "this rule matches nobody")
                    .hint("add countries, continents or subdivisions; for everybody else there is `default`");
            }
            let countries = rule
                .countries
                .as_ref()
                .map(|list| self.countries(list))
                .unwrap_or_default();
            self.geo_overlaps(rule, &countries, &mut seen);
            let to = self.policy(&rule.to);
            rules.extend(to.map(|to| {
                GeoRule {
                    subdivisions: given(&rule.subdivisions)
                        .into_iter()
                        .flat_map(|(list, _)| list.iter().filter_map(|s| Some(s.get()?.0)))
                        .collect(),
                    countries: countries
                        .single
                        .iter()
                        .map(|(country, _)| *country)
                        .collect(),
                    sets: countries.sets.into_iter().map(|(_, set, _)| set).collect(),
                    continents: given(&rule.continents)
                        .into_iter()
                        .flat_map(|(list, _)| list.iter().filter_map(|c| Some(c.get()?.0)))
                        .collect(),
                    to,
                }
            }));
        }
        let default = match &geo.default {
            Some(default) => self.policy(default).map(Box::new),
            None => {
                self.findings
                    .warning(
                        "no_default",
                        written.place,
                        "clients that no rule matches, or of unknown place, get no answer",
                    )
                    .hint("add `default`, or expect their NODATA and 503");
                None
            }
        };
        if rules.is_empty()
            && default.is_none()
            && given(&geo.rules).is_none_or(|(rules, _)| rules.is_empty())
        {
            self.names_nothing(written.place, "geo");
        }
        Some(Policy::Geo { rules, default })
    }

    /// Two rules for one place: the first one holds, and the second is likely a slip.
    fn geo_overlaps(&mut self, rule: &spec::GeoRule, countries: &CountryList, seen: &mut GeoSeen) {
        for (country, place) in &countries.single {
            if let Some(first) = seen.countries.insert(*country, *place) {
                self.overlap(country.code(), *place, first);
            }
        }
        for (name, set, place) in &countries.sets {
            let same = seen.sets.iter().find(|(other, _)| {
                other == set
                    || (other.len() == set.len()
                        && set.iter().any(|country| other.contains(country)))
            });
            if let Some((_, first)) = same {
                self.overlap(name, *place, *first);
            }
            seen.sets.push((set.clone(), *place));
        }
        let subdivisions = given(&rule.subdivisions)
            .into_iter()
            .flat_map(|(list, _)| list);
        for (text, place) in subdivisions.filter_map(|s| Some((s.get()?.0.to_string(), s.place))) {
            if let Some(first) = seen.texts.insert(text.clone(), place) {
                self.overlap(&text, place, first);
            }
        }
        let continents = given(&rule.continents)
            .into_iter()
            .flat_map(|(list, _)| list);
        for (continent, place) in continents.filter_map(|c| Some((c.get()?.0, c.place))) {
            // Continents have two letters, subdivisions a hyphen: the texts don't meet.
            if let Some(first) = seen.texts.insert(continent.code().to_owned(), place) {
                self.overlap(continent.code(), place, first);
            }
        }
    }

    fn overlap(&mut self, what: &str, place: Place, first: Place) {
        let file = if first.file == place.file {
            String::new()
        } else {
            self.sources
                .path(first.file)
                .map(|p| format!(" of {}", p.display()))
                .unwrap_or_default()
        };
        self.findings
            .warning("geo_overlap", place, format!("two rules are for {what}"))
            .hint(format!(
                "the one on line {}{file} comes first; make them one, or take this one out",
                first.line
            ));
    }

    fn network(&mut self, written: &Written<spec::ByNetwork>) -> Option<Policy> {
        let by_network = written.get()?;
        let mut seen: HashMap<IpNet, Place> = HashMap::new();
        let mut rules = Vec::new();
        for item in given(&by_network.rules)
            .into_iter()
            .flat_map(|(list, _)| list)
        {
            let Some(rule) = item.get() else { continue };
            let mut networks = Vec::new();
            for network in rule.cidrs.get().into_iter().flatten() {
                let Some(net) = network.get() else { continue };
                if let Some(first) = seen.insert(net.0, network.place) {
                    self.findings
                        .error(
                            "duplicate_name",
                            network.place,
                            format!("{} is in two rules", net.0),
                        )
                        .hint(format!("it is already on line {}", first.line));
                }
                networks.push(net.0);
            }
            if rule.cidrs.get().is_some_and(Vec::is_empty) {
                self.findings
                    .error("empty", rule.cidrs.place, "this rule matches nobody")
                    .hint("name at least one network");
            }
            let to = self.policy(&rule.to);
            rules.extend(to.map(|to| (networks, to)));
        }
        let default = match &by_network.default {
            Some(default) => self.policy(default).map(Box::new),
            None => {
                self.findings
                    .warning(
                        "no_default",
                        written.place,
                        "clients in none of the networks get no answer",
                    )
                    .hint("add `default`, or expect their NODATA and 503");
                None
            }
        };
        if rules.is_empty()
            && default.is_none()
            && given(&by_network.rules).is_none_or(|(rules, _)| rules.is_empty())
        {
            self.names_nothing(written.place, "network");
        }
        Some(Policy::Network { rules, default })
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

/// What earlier rules of one geo policy are for.
#[derive(Default)]
struct GeoSeen {
    countries: HashMap<Country, Place>,
    sets: Vec<(CountrySet, Place)>,
    texts: HashMap<String, Place>,
}
