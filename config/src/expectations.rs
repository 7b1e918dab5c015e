//! Runs the operator's own tests against a snapshot: what each client is to be given.
//!
//! Only `Snapshot::decide` is asked, with health laid over the snapshot by `what_if`; nothing here
//! knows how a choice is made.

use crate::checked::{Checked, Expectation, Expected, What};
use crate::problem::{Finding, Problem, Severity, Sources};
use std::collections::BTreeMap;
use std::sync::Arc;
use steering::draw::mix;
use steering::health::Status;
use steering::ids::RegionId;
use steering::{
    Client, Decision, EndpointId, Forced, Plane, PoolId, ServiceId, Silent, Snapshot, Timestamp,
    Verdict, Want,
};

/// How many draws a `share` is held against. At 40 % its standard deviation is then 0.5 percentage
/// points, a quarter of what [`TOLERANCE`] allows.
pub const SHARE_DRAWS: u64 = 10_000;
/// How many draws everything else is held against.
pub const DRAWS: u64 = 1_024;
/// How far a share may be off, in percentage points.
pub const TOLERANCE: f64 = 2.0;

/// Runs every expectation of a config. Each that does not hold is one problem; the snapshot is one
/// of this config's table, its health does not matter.
pub fn run(checked: &Checked, snapshot: &Snapshot) -> Vec<Problem> {
    run_all(&checked.expectations, &checked.sources, snapshot)
}

fn run_all(expectations: &[Expectation], sources: &Sources, snapshot: &Snapshot) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut supposed: Option<(&[What], &[What], Snapshot)> = None;
    for expectation in expectations {
        let (down, up) = (expectation.down.as_slice(), expectation.up.as_slice());
        // Tests with one supposition usually stand together.
        let what_if = match supposed.take() {
            Some(same) if same.0 == down && same.1 == up => same.2,
            _ => suppose(snapshot, down, up),
        };
        for plane in &expectation.planes {
            let misses = misses(expectation, *plane, &what_if);
            problems.extend(
                misses
                    .into_iter()
                    .map(|miss| problem(expectation, *plane, &miss, sources)),
            );
        }
        supposed = Some((down, up, what_if));
    }
    // What misses on both planes in the same way is one problem.
    problems.dedup_by(|b, a| a.path == b.path && a.hint == b.hint && a.message == b.message);
    problems
}

/// The snapshot with all up but what is supposed to be down.
fn suppose(snapshot: &Snapshot, down: &[What], up: &[What]) -> Snapshot {
    let mut forced = vec![Forced::All(Status::Up)];
    for (list, status) in [(down, Status::Down), (up, Status::Up)] {
        for what in list {
            forced_by(snapshot, what, status, &mut forced);
        }
    }
    snapshot.what_if(&forced, Timestamp(0))
}

fn forced_by(snapshot: &Snapshot, what: &What, status: Status, forced: &mut Vec<Forced>) {
    let table = snapshot.table();
    match what {
        What::All => forced.push(Forced::All(status)),
        What::Named(name) => {
            forced.extend(table.pool(name).map(|pool| Forced::Pool(pool, status)));
            forced.extend(
                table
                    .region(name)
                    .map(|region| Forced::Region(region, status)),
            );
        }
        What::Endpoint(address) => {
            let endpoints = table
                .endpoints()
                .iter()
                .enumerate()
                .filter(|(_, e)| e.address == *address);
            forced.extend(endpoints.map(|(i, _)| Forced::Endpoint(EndpointId::at(i), status)));
        }
    }
}

/// What came of all draws.
#[derive(Default)]
struct Outcomes {
    draws: u64,
    regions: BTreeMap<RegionId, u64>,
    /// One decision of each kind: verdict, region and pool.
    kinds: BTreeMap<(&'static str, Option<RegionId>, Option<PoolId>), Decision>,
}

fn misses(expectation: &Expectation, plane: Plane, snapshot: &Snapshot) -> Vec<String> {
    let Some(service) = snapshot.table().service(&expectation.service) else {
        return vec!["the service is not in the table".to_owned()];
    };
    let outcomes = outcomes(expectation, plane, service, snapshot);
    expectation
        .expected
        .iter()
        .filter_map(|expected| miss(expected, &outcomes, snapshot))
        .collect()
}

fn outcomes(
    expectation: &Expectation,
    plane: Plane,
    service: ServiceId,
    snapshot: &Snapshot,
) -> Outcomes {
    let client = Client {
        address: expectation.client,
        located: Some(snapshot.locate(expectation.client)),
        known_bits: None,
    };
    let shares = expectation
        .expected
        .iter()
        .any(|expected| matches!(expected, Expected::Share(_)));
    let mut outcomes = Outcomes {
        draws: if shares { SHARE_DRAWS } else { DRAWS },
        ..Outcomes::default()
    };
    for i in 0..outcomes.draws {
        // Seeded by nothing but the position, so that a test holds today if it held yesterday.
        let want = Want {
            plane,
            draw: mix(i, 0x5eed),
            family: None,
        };
        let decision = snapshot.decide(service, &client, want, &mut Silent);
        if let Some(region) = decision.region {
            *outcomes.regions.entry(region).or_default() += 1;
        }
        outcomes
            .kinds
            .entry((decision.verdict.name(), decision.region, decision.pool))
            .or_insert(decision);
    }
    outcomes
}

/// What is wrong, when the expected did not come.
fn miss(expected: &Expected, outcomes: &Outcomes, snapshot: &Snapshot) -> Option<String> {
    let table = snapshot.table();
    let region_name = |id: RegionId| {
        table
            .regions()
            .get(id.index())
            .map_or("?", |region| &*region.name)
    };
    let first_other = |fits: &dyn Fn(&Decision) -> bool| {
        outcomes
            .kinds
            .values()
            .find(|d| !fits(d))
            .map(|d| got(d, snapshot))
    };
    match expected {
        Expected::Region(name) => {
            let got = first_other(&|d| d.region.is_some_and(|id| region_name(id) == &**name))?;
            Some(format!("expected region {name}, got {got}"))
        }
        Expected::Regions(names) => {
            let named = |id: RegionId| names.iter().any(|name| &**name == region_name(id));
            if let Some(got) = first_other(&|d| d.region.is_some_and(named)) {
                return Some(format!(
                    "expected one of the regions {}, got {got}",
                    names.join(", ")
                ));
            }
            let never = names.iter().find(|name| {
                !outcomes
                    .regions
                    .keys()
                    .any(|id| region_name(*id) == &***name)
            })?;
            Some(format!(
                "expected region {never} in some of {} draws, got it in none",
                outcomes.draws
            ))
        }
        Expected::Pool(name) => {
            let fits = |d: &Decision| {
                d.pool.is_some_and(|id| {
                    table
                        .pools()
                        .get(id.index())
                        .is_some_and(|p| p.name == *name)
                })
            };
            first_other(&fits).map(|got| format!("expected pool {name}, got {got}"))
        }
        Expected::Endpoint(address) => {
            let is = |id: &EndpointId| {
                table
                    .endpoints()
                    .get(id.index())
                    .is_some_and(|e| e.address == *address)
            };
            let got = first_other(&|d| d.endpoints.iter().any(is))?;
            Some(format!("expected endpoint {address}, got {got}"))
        }
        Expected::Verdict(verdict) => {
            let got = first_other(&|d| d.verdict == *verdict)?;
            Some(format!("expected verdict {}, got {got}", verdict.name()))
        }
        Expected::Share(shares) => shares.iter().find_map(|(name, expected)| {
            let count: u64 = outcomes
                .regions
                .iter()
                .filter(|(id, _)| region_name(**id) == &**name)
                .map(|(_, n)| n)
                .sum();
            let share = count as f64 * 100.0 / outcomes.draws as f64;
            ((share - expected).abs() > TOLERANCE).then(|| {
                format!("expected region {name} in {expected}% of draws, got it in {share:.1}%")
            })
        }),
    }
}

/// A decision in a few words.
fn got(decision: &Decision, snapshot: &Snapshot) -> String {
    let table = snapshot.table();
    let pool = decision.pool.and_then(|id| table.pools().get(id.index()));
    let region = decision
        .region
        .and_then(|id| table.regions().get(id.index()));
    match (decision.verdict, pool, region) {
        (Verdict::Steered, Some(pool), Some(region)) => {
            format!("region {} (pool {})", region.name, pool.name)
        }
        (verdict, Some(pool), Some(region)) => {
            format!(
                "region {} (pool {}) with verdict {}",
                region.name,
                pool.name,
                verdict.name()
            )
        }
        (verdict, ..) => format!("verdict {} ({})", verdict.name(), decision.reason.name()),
    }
}

fn problem(expectation: &Expectation, plane: Plane, miss: &str, sources: &Sources) -> Problem {
    let names = |list: &[What]| -> Vec<String> {
        list.iter()
            .map(|what| match what {
                What::All => "all".to_owned(),
                What::Named(name) => Arc::clone(name).to_string(),
                What::Endpoint(address) => address.to_string(),
            })
            .collect()
    };
    let mut when = String::new();
    if !expectation.down.is_empty() {
        when.push_str(&format!(
            " with {} down",
            names(&expectation.down).join(", ")
        ));
    }
    if !expectation.up.is_empty() {
        when.push_str(&format!(" but {} up", names(&expectation.up).join(", ")));
    }
    let plane = match (expectation.planes.len(), plane) {
        (0 | 1, _) => "",
        (_, Plane::Dns) => " over DNS",
        (_, Plane::Http) => " over HTTP",
    };
    Finding {
        severity: Severity::Error,
        code: "expectation_failed",
        place: expectation.place,
        path: expectation.path.clone(),
        message: format!(
            "{} for {}{when}{plane}: {miss}",
            expectation.service, expectation.client
        ),
        hint: Some(format!(
            "`rhumb explain {} {}` shows why",
            expectation.service, expectation.client
        )),
    }
    .in_sources(sources)
}
