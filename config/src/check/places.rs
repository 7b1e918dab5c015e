//! Regions, jurisdictions, country sets, this PoP, and what is known of clients' places.

use super::{Checker, nearest_of};
use crate::de::{Written, given};
use crate::problem::Place;
use crate::spec;
use crate::tree::shorten;
use steering::geo::{Coordinates, Country, CountrySet, countries};
use steering::ids::JurisdictionId;
use steering::spec::{Pop, Region};

/// Countries as written: one by one, and in sets.
#[derive(Default)]
pub(super) struct CountryList {
    pub(super) single: Vec<(Country, Place)>,
    pub(super) sets: Vec<(String, CountrySet, Place)>,
}

impl CountryList {
    /// All of them as one set.
    pub(super) fn all(&self) -> CountrySet {
        let mut all: CountrySet = self.single.iter().map(|(country, _)| *country).collect();
        self.sets
            .iter()
            .for_each(|(_, set, _)| all.extend_from(set));
        all
    }
}

impl Checker<'_> {
    pub(super) fn places(&mut self, config: &spec::Config) {
        self.country_sets(config);
        self.jurisdictions(config);
        self.regions(config);
        self.pop(config);
        self.geoip(config);
        self.latency_map(config);
    }

    /// Countries and country sets by name; what is unknown is taken in.
    pub(super) fn countries(&mut self, written: &Written<Vec<Written<String>>>) -> CountryList {
        let mut list = CountryList::default();
        for item in written.get().into_iter().flatten() {
            let Some(text) = item.get() else { continue };
            if let Some(at) = self.country_sets.take(text) {
                list.sets.push((
                    text.clone(),
                    self.sets.get(at).cloned().unwrap_or_default(),
                    item.place,
                ));
            } else if let Some(set) = CountrySet::builtin(text) {
                list.sets.push((text.clone(), set, item.place));
            } else if let Some(country) = self.country_code(text, item.place) {
                list.single.push((country, item.place));
            }
        }
        if written.get().is_some_and(Vec::is_empty) {
            self.findings
                .error("empty", written.place, "no country is named");
        }
        list
    }

    /// A country by its code, which must be assigned.
    fn country_code(&mut self, text: &str, place: Place) -> Option<Country> {
        match text.parse::<Country>() {
            Ok(country) if country.is_assigned() => return Some(country),
            _ if !self.whole => return None,
            _ => {}
        }
        let sets = self
            .country_sets
            .iter()
            .map(|(name, _)| name)
            .chain(["EU", "EEA"]);
        let hint = match text.to_ascii_uppercase().as_str() {
            "UK" => "the United Kingdom is GB".to_owned(),
            "EL" => "Greece is GR".to_owned(),
            _ if text.len() == 2 => "write its ISO 3166-1 alpha-2 code, such as DE".to_owned(),
            _ => nearest_of(text, sets),
        };
        self.findings
            .error(
                "unknown_country",
                place,
                format!("there is no country or country set `{}`", shorten(text)),
            )
            .hint(hint);
        None
    }

    pub(super) fn country(&mut self, written: &Option<Written<String>>) -> Option<Country> {
        let (text, place) = given(written)?;
        self.country_code(text, place)
    }

    fn country_sets(&mut self, config: &spec::Config) {
        self.sets = vec![CountrySet::default(); self.country_sets.iter().count()];
        for (at, (name, place, countries)) in given(&config.country_sets)
            .into_iter()
            .flat_map(|(n, _)| n.iter())
            .enumerate()
        {
            if CountrySet::builtin(name).is_some()
                || name.parse().is_ok_and(|c: Country| c.is_assigned())
            {
                self.findings
                    .error(
                        "ambiguous_name",
                        place,
                        format!("`{name}` already means something else"),
                    )
                    .hint("EU, EEA and country codes are built in; choose another name");
                continue;
            }
            let list = self.countries(countries);
            for (used, _, place) in &list.sets {
                // A set may use those above it: one further down is not known yet.
                if self
                    .country_sets
                    .position(used)
                    .is_some_and(|other| other >= at)
                {
                    self.findings
                        .error(
                            "set_order",
                            *place,
                            format!("country set {used} is not defined yet"),
                        )
                        .hint("define a set above those that use it");
                }
            }
            let set = list.all();
            if let Some(slot) = self.sets.get_mut(at) {
                *slot = set;
            }
        }
    }

    fn jurisdictions(&mut self, config: &spec::Config) {
        for (_, _, jurisdiction) in given(&config.jurisdictions)
            .into_iter()
            .flat_map(|(n, _)| n.iter())
        {
            let countries = jurisdiction
                .get()
                .map(|j| self.countries(&j.countries).all());
            self.jurisdiction_countries
                .push(countries.unwrap_or_default());
        }
    }

    fn regions(&mut self, config: &spec::Config) {
        for (at, (name, place, region)) in given(&config.regions)
            .into_iter()
            .flat_map(|(n, _)| n.iter())
            .enumerate()
        {
            let mut made = Region {
                name: self.regions.name(at),
                place: None,
                country: None,
                jurisdiction: None,
                capacity: None,
            };
            if let Some(region) = region.get() {
                if let Some((location, _)) = given(&region.location) {
                    made.country = self.country(&location.country);
                    made.place = self
                        .coordinates(&location.latitude, &location.longitude, place)
                        .or_else(|| centre(made.country));
                }
                made.capacity = given(&region.capacity).map(|(capacity, _)| *capacity);
                made.jurisdiction = self.jurisdiction_of(name, region, made.country);
            }
            self.table.regions.push(made);
        }
    }

    /// The jurisdiction of a region, which must hold the region's country.
    fn jurisdiction_of(
        &mut self,
        name: &str,
        region: &spec::Region,
        country: Option<Country>,
    ) -> Option<JurisdictionId> {
        let written = region.jurisdiction.as_ref()?;
        let at = self.known(|c| &mut c.jurisdictions, written)?;
        let jurisdiction = self.jurisdictions.name(at);
        let countries = self.jurisdiction_countries.get(at);
        match country {
            Some(country)
                if countries.is_some_and(|set| !set.is_empty() && !set.contains(country)) =>
            {
                self.findings
                    .error("outside_jurisdiction", written.place, format!("region {name} is in {country}, outside jurisdiction {jurisdiction}"))
                    .hint(format!("correct the region's country, or add {country} to jurisdictions.{jurisdiction}.countries"));
            }
            None if given(&region.location).is_none_or(|(l, _)| l.country.is_none()) => {
                self.findings
                    .error(
                        "outside_jurisdiction",
                        written.place,
                        format!("region {name} claims jurisdiction {jurisdiction} but no country"),
                    )
                    .hint("add location: { country: … } so that the claim can be checked");
            }
            _ => {}
        }
        Some(JurisdictionId::at(at))
    }

    /// Coordinates: both or neither, on the globe.
    pub(super) fn coordinates(
        &mut self,
        latitude: &Option<Written<f64>>,
        longitude: &Option<Written<f64>>,
        place: Place,
    ) -> Option<Coordinates> {
        let (latitude, longitude) = match (latitude, longitude) {
            (None, None) => return None,
            (Some(latitude), Some(longitude)) => (latitude, longitude),
            _ => {
                self.findings
                    .error("missing_key", place, "latitude and longitude go together")
                    .hint("give both or neither");
                return None;
            }
        };
        for (degrees, limit, word) in [
            (latitude, 90.0, "latitude"),
            (longitude, 180.0, "longitude"),
        ] {
            if degrees.get().is_some_and(|d| !(-limit..=limit).contains(d)) {
                self.findings.error(
                    "out_of_range",
                    degrees.place,
                    format!("a {word} is -{limit} to {limit} degrees"),
                );
                return None;
            }
        }
        Some(Coordinates {
            latitude: *latitude.get()? as f32,
            longitude: *longitude.get()? as f32,
        })
    }

    fn pop(&mut self, config: &spec::Config) {
        let written = given(&config.pop).map(|(pop, _)| pop);
        let name = written
            .and_then(|pop| given(&pop.name))
            .map_or(spec::defaults::POP_NAME, |(name, _)| name);
        self.table.pop = Pop {
            name: name.into(),
            place: None,
        };
        let Some(pop) = written else { return };
        if let (Some(region), Some(location)) = (&pop.region, &pop.location) {
            self.findings
                .error(
                    "conflict",
                    location.place,
                    "the PoP has a region and a location",
                )
                .hint(format!(
                    "its region {} already says where it is",
                    region.get().map_or("", |r| r)
                ));
        }
        if let Some(region) = &pop.region {
            let at = self.known(|c| &mut c.regions, region);
            self.table.pop.place = at
                .and_then(|at| self.table.regions.get(at))
                .and_then(|r| r.place);
        } else if let Some((location, place)) = given(&pop.location) {
            let country = self.country(&location.country);
            self.table.pop.place = self
                .coordinates(&location.latitude, &location.longitude, place)
                .or_else(|| centre(country));
        }
    }
}

/// The centre of a country.
fn centre(country: Option<Country>) -> Option<Coordinates> {
    country.and_then(countries::find).map(|row| row.centre)
}
