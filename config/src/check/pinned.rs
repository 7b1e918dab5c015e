//! Whether the clients that residency rules pin are served at all: a rule of a policy may send them
//! where they must not be served.

use super::Checker;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use steering::geo::{CountrySet, Located, Location, LocationTable};
use steering::health::Status;
use steering::ids::PolicyId;
use steering::spec::Residency;
use steering::{
    Client, Forced, ResidencyId, ServiceId, Silent, Snapshot, Table, TableSpec, Timestamp, Verdict,
    Want,
};

/// How many clients a message names.
const SHOWN: usize = 5;

impl Checker<'_> {
    /// With everything up, each client that a rule pins is given an endpoint. What is nobody's, pinned
    /// or not (a geo policy without default), is warned of elsewhere.
    pub(super) fn pinned_clients_are_served(&mut self, table: Table) {
        let pinned = all_up(table);
        let mut free: Option<Option<Snapshot>> = None;
        let mut seen: HashSet<(PolicyId, PolicyId, ResidencyId)> = HashSet::new();
        for (at, (service, info)) in self.table.services.iter().zip(&self.services).enumerate() {
            let Some(residency) = service.residency else {
                continue;
            };
            let rule = self.table.residencies.get(residency.index());
            let Some(rule) =
                rule.filter(|_| seen.insert((service.dns_policy, service.http_policy, residency)))
            else {
                continue;
            };
            let id = ServiceId::at(at);
            let mut unserved = clients(rule);
            unserved.retain(|(_, location)| !is_served(&pinned, id, *location));
            if !unserved.is_empty()
                && let Some(free) = free
                    .get_or_insert_with(|| without_residency(&self.table))
                    .as_ref()
            {
                unserved.retain(|(_, location)| is_served(free, id, *location));
            }
            if unserved.is_empty() {
                continue;
            }
            let shown: Vec<&str> = unserved
                .iter()
                .take(SHOWN)
                .map(|(client, _)| client.as_str())
                .collect();
            let more = match unserved.len().saturating_sub(SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let (name, shown, rule) = (&info.name, shown.join(", "), &rule.name);
            let message =
                format!("{name} has nothing for clients {shown}{more}, whom residency {rule} pins");
            self.findings
                .error("pinned_unserved", info.place, message)
                .hint(
                    "give the rule that matches them, or its default, a pool in their jurisdiction",
                );
        }
    }
}

/// One client of each kind that a rule pins.
fn clients(rule: &Residency) -> Vec<(String, Location)> {
    let mut countries = rule.countries.clone();
    rule.continents
        .iter()
        .for_each(|continent| countries.extend_from(&CountrySet::of_continent(*continent)));
    let mut clients: Vec<(String, Location)> = countries
        .iter()
        .map(|country| (format!("from {country}"), Location::in_country(country)))
        .collect();
    if rule.pin_unknown {
        clients.push(("of unknown place".to_owned(), Location::UNKNOWN));
    }
    clients
}

/// The table with nobody pinned.
fn without_residency(table: &TableSpec) -> Option<Snapshot> {
    let mut table = table.clone();
    table
        .services
        .iter_mut()
        .for_each(|service| service.residency = None);
    Table::compile(table).ok().map(all_up)
}

fn all_up(table: Table) -> Snapshot {
    Snapshot::new(
        Arc::new(table),
        Arc::new(LocationTable::default()),
        Timestamp(0),
    )
    .what_if(&[Forced::All(Status::Up)], Timestamp(0))
}

fn is_served(snapshot: &Snapshot, service: ServiceId, location: Location) -> bool {
    let located = Some(Located {
        location,
        prefix_len: 0,
    });
    let client = Client {
        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        located,
        known_bits: None,
    };
    let served =
        |want| snapshot.decide(service, &client, want, &mut Silent).verdict == Verdict::Steered;
    served(Want::dns(0)) && served(Want::http(0))
}
