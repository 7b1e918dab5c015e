//! Residency rules: whom they pin, and who may serve those.

use super::Checker;
use crate::de::given;
use crate::spec::{self, UnknownClients, WhenExhausted};
use std::sync::Arc;
use steering::geo::{Continent, CountrySet};
use steering::ids::JurisdictionId;
use steering::spec::Residency;

impl Checker<'_> {
    pub(super) fn residencies(&mut self, config: &spec::Config) {
        for (at, (_, _, rule)) in given(&config.residency)
            .into_iter()
            .flat_map(|(n, _)| n.iter())
            .enumerate()
        {
            let name = self.residencies.name(at);
            let rule = self.residency(name, rule.get());
            self.table.residencies.push(rule);
        }
    }

    fn residency(&mut self, name: Arc<str>, written: Option<&spec::Residency>) -> Residency {
        let mut rule = Residency {
            name,
            countries: CountrySet::default(),
            continents: Vec::new(),
            serve_in: Vec::new(),
            pin_unknown: true,
            fail_open_inside: false,
        };
        let Some(written) = written else { return rule };
        if let Some(clients) = written.clients.get() {
            if let Some(list) = &clients.countries {
                rule.countries = self.countries(list).all();
            }
            let continents = given(&clients.continents)
                .into_iter()
                .flat_map(|(list, _)| list);
            rule.continents = continents
                .filter_map(|c| Some(c.get()?.0))
                .collect::<Vec<Continent>>();
            if clients.countries.is_none() && clients.continents.is_none() {
                self.findings
                    .error(
                        "empty",
                        written.clients.place,
                        "this residency rule pins nobody",
                    )
                    .hint("such as clients: { countries: [EU] }");
            }
        }
        for jurisdiction in written.serve_in.get().into_iter().flatten() {
            if let Some(at) = self.known(|c| &mut c.jurisdictions, jurisdiction) {
                rule.serve_in.push(JurisdictionId::at(at));
            }
        }
        if written.serve_in.get().is_some_and(Vec::is_empty) {
            self.findings
                .error(
                    "empty",
                    written.serve_in.place,
                    "this residency rule lets nobody serve its clients",
                )
                .hint("name at least one jurisdiction");
        }
        rule.pin_unknown = !matches!(
            given(&written.unknown_clients),
            Some((UnknownClients::Free, _))
        );
        rule.fail_open_inside = matches!(
            given(&written.when_exhausted),
            Some((WhenExhausted::FailOpen, _))
        );
        rule
    }
}
