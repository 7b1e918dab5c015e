//! What the operator knows of clients: the places of networks, and round trips to regions.

use super::Checker;
use super::places::CountryList;
use crate::checked::Geoip;
use crate::de::given;
use crate::problem::Place;
use crate::spec;
use std::collections::HashSet;
use steering::cidr::Partition;
use steering::geo::{Country, Location};
use steering::latency::LatencyMap;

impl Checker<'_> {
    pub(super) fn geoip(&mut self, config: &spec::Config) {
        let Some((geoip, _)) = given(&config.geoip) else {
            return;
        };
        let database = geoip
            .database
            .as_ref()
            .and_then(|path| self.file(path, "location database"));
        let asn_database = geoip
            .asn_database
            .as_ref()
            .and_then(|path| self.file(path, "AS database"));
        let (mut networks, mut seen) = (Vec::new(), HashSet::new());
        for item in given(&geoip.networks)
            .into_iter()
            .flat_map(|(list, _)| list)
        {
            let Some(written) = item.get() else { continue };
            let country = self
                .country(&written.country)
                .or(given(&written.subdivision).map(|(s, _)| s.0.country));
            let location = Location {
                country,
                continent: given(&written.continent)
                    .map(|(c, _)| c.0)
                    .or_else(|| country.and_then(Country::continent)),
                subdivision: given(&written.subdivision).map(|(s, _)| s.0),
                coordinates: self.coordinates(&written.latitude, &written.longitude, item.place),
                asn: given(&written.asn).map(|(asn, _)| *asn),
            };
            if let (Some(subdivision), Some(country)) = (location.subdivision, country)
                && subdivision.country != country
            {
                self.findings.error(
                    "conflict",
                    item.place,
                    format!("subdivision {subdivision} is not in country {country}"),
                );
            }
            if location == Location::UNKNOWN && written.country.is_none() {
                self.findings
                    .error("empty", item.place, "this network is given no place")
                    .hint("add a country, continent, subdivision, coordinates or asn");
            }
            if let Some(network) = written.cidr.get() {
                if !seen.insert(network.0) {
                    self.findings.error(
                        "duplicate_name",
                        written.cidr.place,
                        format!("{} stands here twice", network.0),
                    );
                }
                networks.push((network.0, location));
            }
        }
        self.geoip = Geoip {
            database,
            asn_database,
            networks,
        };
    }

    pub(super) fn latency_map(&mut self, config: &spec::Config) {
        let mut map = LatencyMap::default();
        let (mut networks, mut seen, mut lists) = (Vec::new(), HashSet::new(), Vec::new());
        for item in given(&config.latency_map)
            .into_iter()
            .flat_map(|(list, _)| list)
        {
            let Some(written) = item.get() else { continue };
            let number = u32::try_from(map.rows.len()).unwrap_or(u32::MAX);
            let mut row = vec![f32::NAN; self.table.regions.len()];
            for (region, rtt) in written.rtt.get().into_iter().flat_map(|names| &names.0) {
                let at = self.known(|c| &mut c.regions, region);
                if let (Some(slot), Some(rtt)) = (at.and_then(|at| row.get_mut(at)), rtt.get()) {
                    *slot = (rtt.0.as_secs_f64() * 1_000.0) as f32;
                }
            }
            map.rows.push(row);
            if written.networks.is_none() && written.asns.is_none() && written.countries.is_none() {
                self.findings
                    .error("empty", item.place, "these round trips are nobody's")
                    .hint("add networks, asns or countries");
            }
            for network in given(&written.networks)
                .into_iter()
                .flat_map(|(list, _)| list)
            {
                let Some(net) = network.get() else { continue };
                if !seen.insert(net.0) {
                    self.twice(network.place, &net.0.to_string());
                }
                networks.push((net.0, number));
            }
            for asn in given(&written.asns).into_iter().flat_map(|(list, _)| list) {
                if asn
                    .get()
                    .is_some_and(|number_of| map.asns.insert(*number_of, number).is_some())
                {
                    self.twice(asn.place, "this AS");
                }
            }
            if let Some(list) = &written.countries {
                lists.push((number, self.countries(list)));
            }
        }
        self.latency_countries(&lists, &mut map);
        map.networks = Partition::new(networks);
        self.table.latency_map = map;
    }

    /// A country by its code wins over one in a set, and the earlier of two sets over the later.
    fn latency_countries(&mut self, lists: &[(u32, CountryList)], map: &mut LatencyMap) {
        for (number, list) in lists {
            for (country, place) in &list.single {
                if map.countries.insert(*country, *number).is_some() {
                    self.twice(*place, country.code());
                }
            }
        }
        for (number, list) in lists {
            for country in list.sets.iter().flat_map(|(_, set, _)| set.iter()) {
                map.countries.entry(country).or_insert(*number);
            }
        }
    }

    fn twice(&mut self, place: Place, what: &str) {
        self.findings
            .error(
                "duplicate_name",
                place,
                format!("{what} already has round trips in an earlier row"),
            )
            .hint("keep one of them");
    }
}
