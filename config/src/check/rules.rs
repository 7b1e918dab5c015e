//! The rules of geo and network policies: matchers, and two rules for one place.

use super::Checker;
use super::places::CountryList;
use crate::de::{Written, given};
use crate::problem::Place;
use crate::spec;
use ipnet::IpNet;
use std::collections::HashMap;
use steering::geo::{Country, CountrySet};
use steering::spec::{GeoRule, Policy};

impl Checker<'_> {
    pub(super) fn geo(&mut self, written: &Written<spec::Geo>) -> Option<Policy> {
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
        let without = "clients that no rule matches, or of unknown place, get no answer";
        let default = self.default(&geo.default, written.place, without);
        if rules.is_empty()
            && default.is_none()
            && given(&geo.rules).is_none_or(|(rules, _)| rules.is_empty())
        {
            self.names_nothing(written.place, "geo");
        }
        Some(Policy::Geo { rules, default })
    }

    /// Where clients go that no rule is for; `without` says what a policy means that has no such place.
    fn default(
        &mut self,
        written: &Option<Written<spec::Policy>>,
        place: Place,
        without: &str,
    ) -> Option<Box<Policy>> {
        if let Some(default) = written {
            return self.policy(default).map(Box::new);
        }
        self.findings
            .warning("no_default", place, without)
            .hint("add `default`, or expect their NODATA and 503");
        None
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

    pub(super) fn network(&mut self, written: &Written<spec::ByNetwork>) -> Option<Policy> {
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
        let without = "clients in none of the networks get no answer";
        let default = self.default(&by_network.default, written.place, without);
        if rules.is_empty()
            && default.is_none()
            && given(&by_network.rules).is_none_or(|(rules, _)| rules.is_empty())
        {
            self.names_nothing(written.place, "network");
        }
        Some(Policy::Network { rules, default })
    }
}

/// What earlier rules of one geo policy are for.
#[derive(Default)]
struct GeoSeen {
    countries: HashMap<Country, Place>,
    sets: Vec<(CountrySet, Place)>,
    texts: HashMap<String, Place>,
}
