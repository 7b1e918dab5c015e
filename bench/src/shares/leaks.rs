//! Answers that name a region which residency forbids its client. There must be none. What is forbidden
//! was worked out from the rule and the client's place, not from the policy.

use super::code;
use crate::asks::Asks;
use crate::record::{Measured, RegionSet};
use crate::subject::Subject;
use serde::Serialize;
use std::collections::BTreeMap;

/// The most leaks that are told one by one.
const MAX_TOLD: usize = 50;

/// Answers that residency forbids.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Leaks {
    /// Questions of clients with a residency, of which an answer names a region: what was checked.
    pub checked: u64,
    /// How many answers.
    pub answers: u64,
    /// How many different questions they answered.
    pub questions: u64,
    /// Which service told which country's clients which region; the most clients first.
    pub told: Vec<Leak>,
}

/// Clients of one country that were told a region they may not be served by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leak {
    /// The service.
    pub service: String,
    /// The clients' country; `--` where it is unknown.
    pub country: String,
    /// The region they were told.
    pub region: String,
    /// The regions that may serve them.
    pub allowed: Vec<String>,
    /// How many questions.
    pub questions: u64,
    /// One of the clients.
    pub client: String,
}

pub(super) fn count(subject: &Subject, asks: &Asks, measured: &Measured) -> Leaks {
    let mut leaks = Leaks {
        answers: measured.leaks,
        ..Leaks::default()
    };
    let mut found: BTreeMap<_, Leak> = BTreeMap::new();
    for (ask, record) in asks.list.iter().zip(&measured.records) {
        let pinned = ask.allowed != RegionSet::ALL && !record.regions.is_empty();
        leaks.checked += u64::from(pinned);
        let forbidden = record.regions.without(ask.allowed);
        if forbidden.is_empty() {
            continue;
        }
        leaks.questions += 1;
        let service = asks.target(ask).service;
        let country = asks.cells[ask.cell as usize].country;
        for region in forbidden.iter() {
            let leak = found
                .entry((service, country, region))
                .or_insert_with(|| Leak {
                    service: subject.services[service.index()].name.to_string(),
                    country: code(country),
                    region: subject.region_name(region).to_owned(),
                    allowed: names(subject, ask.allowed.iter()),
                    questions: 0,
                    client: super::scopes::network(&ask.client),
                });
            leak.questions += 1;
        }
    }
    leaks.told = found.into_values().collect();
    leaks
        .told
        .sort_by_key(|leak| std::cmp::Reverse(leak.questions));
    leaks.told.truncate(MAX_TOLD);
    leaks
}

/// Names of regions, as they are told.
pub(super) fn names(
    subject: &Subject,
    regions: impl Iterator<Item = steering::RegionId>,
) -> Vec<String> {
    regions.map(|r| subject.region_name(r).to_owned()).collect()
}
