//! Where the answers went, against what the policy promises: shares by service and country, answers that
//! residency forbids, and scopes that do not hold. What is promised is asked of the policy itself; nothing
//! here decides, sends or draws a picture.

mod leaks;
mod promised;
mod scopes;
mod stats;
mod tally;
#[cfg(test)]
pub(crate) mod tests;

pub use leaks::{Leak, Leaks};
pub use scopes::{Contradiction, Scopes, Witness};

use crate::asks::Asks;
use crate::record::{Measured, OTHER_OUTCOMES, Outcome, RegionSet};
use crate::subject::Subject;
use promised::{Promised, Sampler};
use serde::Serialize;
use std::collections::BTreeMap;
use steering::geo::Country;
use steering::{Family, Plane, ServiceId};
use tally::{Finding, Judgement, Tally};

/// How often a right server may be called wrong: once in a thousand runs, whatever the number of services
/// and countries.
pub const SIGNIFICANCE: f64 = 0.001;
/// The most countries that are told one by one; the rest are judged all the same.
const MAX_COUNTRIES: usize = 300;

/// What a run's answers say of its policies.
#[derive(Clone, Debug, Serialize)]
pub struct Shares {
    /// The chance that a server which is right is called wrong.
    pub significance: f64,
    /// How many tests that chance is divided among.
    pub tests: usize,
    /// Answers that were judged: those before the first step of a scenario that changes what is promised.
    pub answers: u64,
    /// Decisions that were asked of the policy to know what it promises.
    pub decisions: u64,
    /// By service, in the order of the config.
    pub services: Vec<ServiceShares>,
    /// Answers that residency forbids.
    pub leaks: Leaks,
    /// Scopes that do not hold (RFC 7871).
    pub scopes: Scopes,
}

/// What is said of a group of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They went where the policy sends them.
    AsPromised,
    /// They did not.
    NotAsPromised,
    /// It can't be known from outside where the policy sends them, or there are none.
    NotJudged,
}

/// A chi-square test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ChiSquare {
    /// The statistic.
    pub statistic: f64,
    /// Its degrees of freedom.
    pub degrees: usize,
    /// How often chance alone gives as much.
    pub p: f64,
}

/// The answers of one outcome in a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// A region, or `refused`, `no answer` or `elsewhere`.
    pub outcome: String,
    /// Answers that are promised.
    pub expected: f64,
    /// Answers that came.
    pub observed: u64,
    /// Of the group's answers, 0 to 1.
    pub expected_share: f64,
    /// Of the group's answers, 0 to 1.
    pub observed_share: f64,
    /// How far apart they are, in standard deviations; `None` where chance has no part.
    pub deviations: Option<f64>,
}

/// The answers that one service gave to one country.
#[derive(Clone, Debug, Serialize)]
pub struct CountryShares {
    /// ISO 3166-1 alpha-2; `--` for clients of unknown place.
    pub country: String,
    /// How many.
    pub answers: u64,
    /// What is said of them.
    pub verdict: Verdict,
    /// How often chance alone gives as much, before it is corrected for the number of tests.
    pub p: Option<f64>,
    /// Answers that the policy can't give, whatever it draws.
    pub impossible: u64,
    /// By outcome; those that are neither promised nor came are left out.
    pub outcomes: Vec<Share>,
}

/// The cell that is farthest from its promise.
#[derive(Clone, Debug, Serialize)]
pub struct Worst {
    /// Which country; `None` for all together.
    pub country: Option<String>,
    /// All answers to that country.
    pub answers: u64,
    /// Whether the policy can't give these answers at all.
    pub impossible: bool,
    /// The cell.
    #[serde(flatten)]
    pub share: Share,
}

/// The answers that one service gave.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceShares {
    /// Its name.
    pub service: String,
    /// How many.
    pub answers: u64,
    /// What is said of them.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub why: String,
    /// All its answers against chance; `None` where chance has no part.
    pub chi_square: Option<ChiSquare>,
    /// The least p of its tests, corrected for the number of tests: what the verdict is by.
    pub p: Option<f64>,
    /// Answers that the policy can't give, whatever it draws.
    pub impossible: u64,
    /// The cell that is farthest from its promise.
    pub worst: Option<Worst>,
    /// By outcome.
    pub outcomes: Vec<Share>,
    /// By country, the most answers first.
    pub countries: Vec<CountryShares>,
}

impl Shares {
    /// Services that did not keep their promise.
    pub fn broken(&self) -> impl Iterator<Item = &ServiceShares> {
        let services = self.services.iter();
        services.filter(|service| service.verdict == Verdict::NotAsPromised)
    }
}

/// Holds what was measured against what the policy promises. The same `seed` gives the same judgement.
pub fn judge(subject: &Subject, asks: &Asks, measured: &Measured, seed: u64) -> Shares {
    let mut sampler = Sampler::new(subject, asks, measured, seed);
    let mut fixed: Vec<Option<RegionSet>> = vec![None; asks.list.len()];
    let mut found = Vec::new();
    for (service, questions) in by_service(asks) {
        let tallies = tallies(
            asks,
            measured,
            &mut sampler,
            service,
            &questions,
            &mut fixed,
        );
        found.push((service, Groups::new(tallies, &sampler, service)));
    }
    let tests = found.iter().map(|(_, groups)| groups.tests()).sum();
    let services = found.iter().map(|(service, groups)| {
        let name = &subject.services[service.index()].name;
        groups.told(subject, name, asks.regions, tests)
    });
    Shares {
        significance: SIGNIFICANCE,
        tests,
        answers: measured.records.iter().map(|r| u64::from(r.settled)).sum(),
        decisions: sampler.decisions,
        services: services.collect(),
        leaks: leaks::count(subject, asks, measured),
        scopes: scopes::check(subject, asks, measured, &fixed),
    }
}

/// The questions of each service, which may be asked by several names.
fn by_service(asks: &Asks) -> BTreeMap<ServiceId, Vec<usize>> {
    let mut services: BTreeMap<ServiceId, Vec<usize>> = BTreeMap::new();
    for target in &asks.targets {
        services.entry(target.service).or_default();
    }
    for (i, ask) in asks.list.iter().enumerate() {
        let service = asks.target(ask).service;
        services.entry(service).or_default().push(i);
    }
    services
}

fn tallies(
    asks: &Asks,
    measured: &Measured,
    sampler: &mut Sampler<'_>,
    service: ServiceId,
    questions: &[usize],
    fixed: &mut [Option<RegionSet>],
) -> BTreeMap<Option<Country>, Tally> {
    let slots = asks.regions + OTHER_OUTCOMES;
    let mut tallies: BTreeMap<Option<Country>, Tally> = BTreeMap::new();
    for question in questions {
        let ask = &asks.list[*question];
        let Some(record) = measured.records.get(*question).filter(|r| r.settled > 0) else {
            continue;
        };
        let promised = sampler.promised(service, &ask.client, record.settled);
        if let Promised::Fixed { regions, .. } = promised {
            fixed[*question] = Some(regions);
        }
        let country = asks.cells[ask.cell as usize].country;
        let alike = answers_a_draw(sampler.subject, asks, measured, service);
        let tally = tallies.entry(country);
        let tally = tally.or_insert_with(|| Tally::new(slots, alike));
        tally.expect(record, &promised, asks.regions);
    }
    for (cell, counts) in asks.cells.iter().zip(measured.cells.chunks(slots)) {
        if asks.targets[usize::from(cell.target)].service != service {
            continue;
        }
        if let Some(tally) = tallies.get_mut(&cell.country) {
            tally.observe(counts);
        }
    }
    tallies
}

/// How many answers of a service may be one draw of its policy.
fn answers_a_draw(subject: &Subject, asks: &Asks, measured: &Measured, service: ServiceId) -> f64 {
    let families = [Family::V4, Family::V6].into_iter();
    let told = families.filter(|family| subject.publishes(service, *family));
    match asks.plane {
        Plane::Dns => f64::from(measured.answers_a_draw)
            .min(told.count() as f64)
            .max(1.0),
        Plane::Http => 1.0,
    }
}

/// One service's answers, by country and together.
struct Groups {
    countries: Vec<(Option<Country>, Tally, Judgement)>,
    whole: Tally,
    judgement: Judgement,
}

impl Groups {
    fn new(
        tallies: BTreeMap<Option<Country>, Tally>,
        sampler: &Sampler<'_>,
        service: ServiceId,
    ) -> Self {
        let possible = sampler.possible(service);
        let mut whole = Tally::new(sampler.slots(), 1.0);
        let mut countries = Vec::with_capacity(tallies.len());
        for (country, tally) in tallies {
            if !tally.unknowable {
                whole.add(&tally);
            }
            let judgement = tally.judge(&possible);
            countries.push((country, tally, judgement));
        }
        countries.sort_by_key(|(_, tally, _)| std::cmp::Reverse(tally.answers()));
        let mut judgement = whole.judge(&possible);
        let impossible = countries.iter().map(|(_, _, j)| j.impossible).sum();
        judgement.impossible = judgement.impossible.max(impossible);
        Self {
            countries,
            whole,
            judgement,
        }
    }

    fn judgements(&self) -> impl Iterator<Item = &Judgement> {
        let countries = self.countries.iter().map(|(_, _, judgement)| judgement);
        countries.chain([&self.judgement])
    }

    fn tests(&self) -> usize {
        self.judgements().filter(|j| j.p.is_some()).count()
    }

    fn told(&self, subject: &Subject, name: &str, regions: usize, tests: usize) -> ServiceShares {
        let corrected = |p: f64| (p * tests.max(1) as f64).min(1.0);
        let least = self.judgements().filter_map(|j| j.p).reduce(f64::min);
        let p = least.map(corrected);
        let verdict = verdict(&self.whole, self.judgement.impossible, p);
        let countries = self.countries.iter().take(MAX_COUNTRIES);
        let worst = self.worst(subject, regions);
        ServiceShares {
            service: name.to_owned(),
            answers: self.countries.iter().map(|(_, t, _)| t.answers()).sum(),
            verdict,
            why: self.why(verdict),
            chi_square: self.judgement.chi_square,
            p,
            impossible: self.judgement.impossible,
            worst,
            outcomes: shares(subject, &self.whole, regions),
            countries: countries
                .map(|(country, tally, judgement)| CountryShares {
                    country: code(*country),
                    answers: tally.answers(),
                    verdict: verdict_of(tally, judgement, corrected),
                    p: judgement.p,
                    impossible: judgement.impossible,
                    outcomes: shares(subject, tally, regions),
                })
                .collect(),
        }
    }

    /// The finding that chance explains least, of the service as a whole and of its countries.
    fn worst(&self, subject: &Subject, regions: usize) -> Option<Worst> {
        let whole = self.judgement.worst.as_ref();
        let whole = whole.map(|finding| (None, &self.whole, finding));
        let countries = self.countries.iter().filter_map(|(country, tally, j)| {
            Some((Some(code(*country)), tally, j.worst.as_ref()?))
        });
        // An impossible answer is best told with its country.
        let rank =
            |found: &(Option<String>, _, &Finding)| found.0.is_some() && found.2.impossible > 0;
        let (country, tally, finding) = countries.chain(whole).reduce(|a, b| {
            let worse = (rank(&a) == rank(&b) && b.2.is_worse_than(a.2)) || rank(&b) && !rank(&a);
            if worse { b } else { a }
        })?;
        Some(Worst {
            country,
            answers: tally.answers(),
            impossible: finding.impossible > 0,
            share: share(subject, tally, finding.slot, regions),
        })
    }

    fn why(&self, verdict: Verdict) -> String {
        let unknowable = self.countries.iter().any(|(_, tally, _)| tally.unknowable);
        match verdict {
            Verdict::NotJudged if unknowable => {
                "the policy decides by what the server measures, which can't be known from outside"
            }
            Verdict::NotJudged => "no answer came that could be judged",
            Verdict::NotAsPromised if self.judgement.impossible > 0 => {
                "some answers are none that the policy can give"
            }
            Verdict::NotAsPromised => {
                "the shares are farther from the promise than chance takes them"
            }
            Verdict::AsPromised if self.judgement.p.is_none() => {
                "chance has no part in it, and every answer was the promised one"
            }
            Verdict::AsPromised => "the shares are as near to the promise as chance lets them be",
        }
        .to_owned()
    }
}

fn verdict_of(tally: &Tally, judgement: &Judgement, corrected: impl Fn(f64) -> f64) -> Verdict {
    if tally.unknowable {
        return Verdict::NotJudged;
    }
    verdict(tally, judgement.impossible, judgement.p.map(corrected))
}

fn verdict(tally: &Tally, impossible: u64, corrected: Option<f64>) -> Verdict {
    if tally.answers() == 0 {
        Verdict::NotJudged
    } else if impossible > 0 || corrected.is_some_and(|p| p < SIGNIFICANCE) {
        Verdict::NotAsPromised
    } else {
        Verdict::AsPromised
    }
}

fn shares(subject: &Subject, tally: &Tally, regions: usize) -> Vec<Share> {
    let slots = 0..regions + OTHER_OUTCOMES;
    slots
        .filter(|slot| tally.observed(*slot) > 0 || tally.expected(*slot) > 0.0)
        .map(|slot| share(subject, tally, slot, regions))
        .collect()
}

fn share(subject: &Subject, tally: &Tally, slot: usize, regions: usize) -> Share {
    let of = tally.answers().max(1) as f64;
    let (expected, observed) = (tally.expected(slot), tally.observed(slot));
    Share {
        outcome: subject
            .outcome_name(Outcome::at_slot(slot, regions))
            .to_owned(),
        expected,
        observed,
        expected_share: expected / of,
        observed_share: observed as f64 / of,
        deviations: tally.deviations(slot),
    }
}

/// A country as reports write it.
fn code(country: Option<Country>) -> String {
    country.map_or_else(|| "--".to_owned(), |country| country.code().to_owned())
}
