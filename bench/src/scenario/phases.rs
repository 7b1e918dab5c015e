//! What is promised in each stretch of a scenario: the snapshots that the server would have, made by the
//! same changes as its own. Nothing here chooses a region; every promise is asked of `decide`.

use super::loaded::{Configs, Loaded};
use crate::record::Outcome;
use crate::subject::Subject;
use config::scenario::{Action, Scenario};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use steering::draw::mix;
use steering::health::{Status, TargetHealth, Transition};
use steering::latency::Measured;
use steering::recorder::{Because, Recorder, Step as Seen};
use steering::{
    Change, Client, Decision, Plane, RegionId, ServiceId, Silent, Snapshot, Table, Timestamp,
    Verdict, Want,
};

/// How many draws tell all that chance may give: a child with 1 % of the weight is missed for one client
/// in 170.
const DRAWS: u64 = 512;
/// How many draws tell the longest TTL.
const TTL_DRAWS: u64 = 32;
/// The round trip of the region that is supposed to be the nearest, in milliseconds, and of the others.
const NEAR_AND_FAR: (f32, f32) = (1.0, 500.0);

/// Outcomes that one question may have, as bits by [`Outcome::index`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Outcomes(u128);

impl Outcomes {
    /// With one more.
    fn with(self, outcome: Outcome) -> Self {
        Self(self.0 | 1 << outcome.index())
    }

    /// Those of either.
    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in `other`.
    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Each of them.
    pub(super) fn iter(self) -> impl Iterator<Item = Outcome> {
        let bits = (0..Outcome::COUNT).filter(move |bit| self.0 >> bit & 1 == 1);
        bits.map(Outcome::at)
    }
}

/// A stretch between two steps that change what is promised.
pub(super) struct Phase {
    /// The step that it begins with: a position in the scenario's; `None` for the first stretch.
    pub(super) step: Option<usize>,
    /// When it begins, after the start of the recording.
    pub(super) at: Duration,
    snapshot: Snapshot,
    /// The same, each with another region measured as the nearest: on one machine, which of them is can't
    /// be told beforehand.
    measured: Vec<Snapshot>,
    /// By region of this table: what the first config calls it.
    regions: Vec<Outcome>,
}

/// All stretches of a scenario, in order.
pub(super) fn phases(scenario: &Scenario, configs: &Configs, subject: &Subject) -> Vec<Phase> {
    let mut failed = BTreeSet::new();
    let mut now = configs.first().snapshot();
    now = now.next(health(now.table(), &failed), Timestamp(0));
    let mut phases = vec![Phase::new(None, Duration::ZERO, now.clone(), subject)];
    for (i, step) in scenario.steps.iter().enumerate() {
        let at = Timestamp(0).plus(step.at);
        match &step.action {
            Action::Fail(scopes, _) => failed.extend(configs.endpoints(scopes)),
            Action::Heal(scopes) => {
                let healed = configs.endpoints(scopes);
                failed.retain(|address| !healed.contains(address));
            }
            Action::Reload(path) => {
                if let Some(Loaded { table, geo, .. }) = configs.at(path) {
                    now = now.next(Change::Reload(table.clone(), geo.clone()), at);
                }
            }
            Action::Failback(policy) => now = now.next(Change::Failback(policy.clone()), at),
            Action::Rate { .. } => continue,
        }
        now = now.next(health(now.table(), &failed), at);
        phases.push(Phase::new(Some(i), step.at, now.clone(), subject));
    }
    phases
}

/// Everything is up but what failed. What no check watches stays as it is.
fn health(table: &Table, failed: &BTreeSet<SocketAddr>) -> Change {
    let watched = table.targets().iter().filter(|t| t.check.is_some());
    let transitions = watched.map(|target| Transition {
        target: target.key.clone(),
        health: TargetHealth {
            status: if failed.contains(&target.key.address) {
                Status::Down
            } else {
                Status::Up
            },
            ..TargetHealth::default()
        },
    });
    Change::Health(transitions.collect())
}

impl Phase {
    fn new(step: Option<usize>, at: Duration, snapshot: Snapshot, subject: &Subject) -> Self {
        let regions = snapshot.table().regions().iter();
        Self {
            step,
            at,
            measured: nearest_in_turn(&snapshot, Timestamp(0).plus(at)),
            regions: regions.map(|r| subject.region_named(&r.name)).collect(),
            snapshot,
        }
    }

    /// A service of this stretch's config.
    pub(super) fn service(&self, name: &str) -> Option<ServiceId> {
        self.snapshot.table().service(name)
    }

    /// Everything that one client may be given.
    pub(super) fn possible(&self, service: ServiceId, client: &Client, plane: Plane) -> Outcomes {
        let (mut all, grounds) = self.asked(&self.snapshot, service, client, plane);
        if grounds.measured && plane == Plane::Http {
            for snapshot in &self.measured {
                all = all.union(self.asked(snapshot, service, client, plane).0);
            }
        }
        all
    }

    /// How long an answer to one client may live, with this said of endpoints: TTLs shrink while a failure
    /// is being counted.
    pub(super) fn ttl(
        &self,
        service: ServiceId,
        client: &Client,
        said: &[(SocketAddr, Status, u16)],
    ) -> Duration {
        let targets = self.snapshot.table().targets().iter();
        let transitions = targets.filter_map(|target| {
            let found = said.iter().find(|(a, ..)| *a == target.key.address);
            let (_, status, against) = *found.filter(|_| target.check.is_some())?;
            Some(Transition {
                target: target.key.clone(),
                health: TargetHealth {
                    status,
                    against,
                    ..TargetHealth::default()
                },
            })
        });
        let change = Change::Health(transitions.collect());
        let then = self.snapshot.next(change, Timestamp(0).plus(self.at));
        let ttl = |i| {
            let want = Want::dns(mix(i, 0x5eed));
            then.decide(service, client, want, &mut Silent).ttl
        };
        let longest = (0..TTL_DRAWS).map(ttl).max().unwrap_or(0);
        Duration::from_secs(longest.into())
    }

    fn asked(
        &self,
        snapshot: &Snapshot,
        service: ServiceId,
        client: &Client,
        plane: Plane,
    ) -> (Outcomes, Grounds) {
        let mut grounds = Grounds::default();
        let mut all = Outcomes::default();
        let mut i = 0;
        // Where chance has no part, one draw is as good as another.
        while i == 0 || grounds.chance && i < DRAWS {
            let want = Want {
                plane,
                draw: mix(i, 0x5eed),
                family: None,
            };
            let decision = snapshot.decide(service, client, want, &mut grounds);
            all = all.union(self.outcomes(&decision, plane));
            i += 1;
        }
        (all, grounds)
    }

    /// Over DNS a client takes the first address; over HTTP load chooses among all that are named.
    fn outcomes(&self, decision: &Decision, plane: Plane) -> Outcomes {
        let table = self.snapshot.table();
        let named = decision.endpoints.iter().take(match plane {
            Plane::Dns => 1,
            Plane::Http => usize::MAX,
        });
        let regions = named.filter_map(|id| {
            let endpoint = table.endpoints().get(id.index())?;
            Some(table.pools().get(endpoint.pool.index())?.region)
        });
        let mut all = Outcomes::default();
        for region in regions {
            let known = self.regions.get(region.index()).copied();
            all = all.with(known.unwrap_or(Outcome::Elsewhere));
        }
        match decision.verdict {
            _ if all != Outcomes::default() => all,
            Verdict::Refused => all.with(Outcome::Refused),
            _ => all.with(Outcome::Nothing),
        }
    }
}

/// One snapshot for each region, in which that one has been measured as the nearest.
fn nearest_in_turn(snapshot: &Snapshot, now: Timestamp) -> Vec<Snapshot> {
    let table: &Arc<Table> = snapshot.table();
    let measured = |nearest: RegionId| {
        let endpoints = table.endpoints().iter();
        let samples = endpoints.map(|endpoint| {
            let region = table.pools()[endpoint.pool.index()].region;
            let (near, far) = NEAR_AND_FAR;
            Measured {
                target: table.targets()[endpoint.target.index()].key.clone(),
                ms: if region == nearest { near } else { far },
            }
        });
        snapshot.next(Change::Latency(samples.collect()), now)
    };
    (0..table.regions().len())
        .map(RegionId::at)
        .map(measured)
        .collect()
}

/// What decisions were made by.
#[derive(Default)]
struct Grounds {
    /// A draw was consulted.
    chance: bool,
    /// A round trip was consulted.
    measured: bool,
}

impl Recorder for Grounds {
    const LISTENS: bool = true;

    fn record(&mut self, step: Seen) {
        let Seen::Took(_, because) = step else { return };
        match because {
            Because::Drawn(..) | Because::OneOfSeveral => self.chance = true,
            Because::Fastest(_) | Because::Incumbent(_) | Because::Unmeasured => {
                self.measured = true;
            }
            _ => {}
        }
    }
}
