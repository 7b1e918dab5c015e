//! What follows from table, health and latency: worked out once a generation, in one pass over the
//! endpoints, the pools and the nodes, so that a decision only looks it up.
//!
//! Nothing is decided here: no client is known.

use super::Snapshot;
use super::memory;
use crate::health::Status;
use crate::ids::{EndpointId, PoolId};
use crate::recorder::Level;
use crate::table::{NodeKind, Pool, Table};
use crate::time::Timestamp;
use std::ops::Range;
use std::time::Duration;

/// Health folded to what a walk asks of a pool or node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    /// The strictest pass in which it is usable.
    pub(crate) level: Level,
    /// Seconds until it may change, when on its way to a change; else `u32::MAX`.
    pub(crate) next_change: u32,
}

impl State {
    pub(super) const UNUSABLE: Self = Self {
        level: Level::Any,
        next_change: u32::MAX,
    };

    /// Usable while either is; may change as soon as either may.
    fn or(self, other: Self) -> Self {
        Self {
            level: self.level.max(other.level),
            next_change: self.next_change.min(other.next_change),
        }
    }
}

/// Everything derived.
#[derive(Clone, Debug, Default)]
pub(super) struct Derived {
    pub(super) endpoints: Vec<Status>,
    pub(super) pools: Vec<State>,
    pub(super) nodes: Vec<State>,
    /// Where each pool's serving endpoints lie in `serving`, and whether their weights are equal.
    pub(super) serving_of: Vec<(Range<u32>, bool)>,
    pub(super) serving: Vec<EndpointId>,
    /// The mean measured round trip of a pool's serving endpoints; NaN when none is known.
    pool_ms: Vec<f32>,
    pub(super) wake_at: Option<Timestamp>,
}

impl Derived {
    /// The mean measured round trip of a pool's serving endpoints, in milliseconds.
    pub(super) fn pool_ms(&self, pool: PoolId) -> Option<f32> {
        let ms = self.pool_ms.get(pool.index()).copied();
        ms.filter(|ms| ms.is_finite())
    }
}

impl Snapshot {
    /// Recomputes what follows from the rest. Children come before parents, so one pass is enough.
    pub(super) fn derive(&mut self, now: Timestamp) {
        let table = self.table.clone();
        let mut derived = Derived {
            endpoints: self.statuses(&table),
            ..Derived::default()
        };
        for pool in &table.pools {
            self.derive_pool(pool, &table, &mut derived);
        }
        derived.nodes.reserve(table.nodes.len());
        for node in &table.nodes {
            let state = match node.kind {
                NodeKind::Pool(pool) => derived.pools[pool.index()],
                _ => table
                    .children(node)
                    .iter()
                    .map(|edge| derived.nodes[edge.node.index()])
                    .fold(State::UNUSABLE, State::or),
            };
            derived.nodes.push(state);
            let wake = memory::advance(&mut self.memory, node, &table, &derived, now);
            derived.wake_at = [derived.wake_at, wake].into_iter().flatten().min();
        }
        self.derived = derived;
    }

    /// What is believed of each endpoint: what is forced, else what is measured; up without a check.
    fn statuses(&self, table: &Table) -> Vec<Status> {
        let measured = |endpoint: &crate::table::Endpoint| match table.targets
            [endpoint.target.index()]
        .check
        {
            Some(_) => self.health[endpoint.target.index()].status,
            None => Status::Up,
        };
        let endpoints = table.endpoints.iter().enumerate();
        endpoints
            .map(|(i, endpoint)| self.forced_at(i).unwrap_or_else(|| measured(endpoint)))
            .collect()
    }

    fn forced_at(&self, endpoint: usize) -> Option<Status> {
        self.forced.get(endpoint).copied().flatten()
    }

    fn derive_pool(&self, pool: &Pool, table: &Table, derived: &mut Derived) {
        let endpoint = |id: EndpointId| &table.endpoints[id.index()];
        let mut tally = Tally::default();
        for id in pool.endpoint_ids() {
            tally.add(derived.endpoints[id.index()], endpoint(id).weight);
        }
        derived.pools.push(State {
            level: tally.level(pool.min_healthy),
            next_change: self.pool_next_change(pool, table),
        });

        let first = derived.serving.len();
        let best = tally.best();
        let weighted = tally.has_weight(best);
        let serves = |id: &EndpointId| {
            derived.endpoints[id.index()] == best && (endpoint(*id).weight > 0 || !weighted)
        };
        derived.serving.extend(pool.endpoint_ids().filter(serves));
        let list = &derived.serving[first..];
        let even = list
            .windows(2)
            .all(|pair| endpoint(pair[0]).weight == endpoint(pair[1]).weight);
        let times = list
            .iter()
            .map(|id| self.latency[endpoint(*id).target.index()]);
        derived.pool_ms.push(mean(times));
        let range = first as u32..derived.serving.len() as u32;
        derived.serving_of.push((range, even));
    }

    /// Seconds until any endpoint of a pool may change. What is forced does not.
    fn pool_next_change(&self, pool: &Pool, table: &Table) -> u32 {
        let Some(check) = pool.check.and_then(|check| table.checks.get(check.index())) else {
            return u32::MAX;
        };
        pool.endpoint_ids()
            .filter(|id| self.forced_at(id.index()).is_none())
            .map(|id| &self.health[table.endpoints[id.index()].target.index()])
            .filter_map(|health| health.next_change(&check.rules))
            .map(whole_secs)
            .min()
            .unwrap_or(u32::MAX)
    }
}

/// Weights and counts of a pool's endpoints by status.
#[derive(Default)]
struct Tally {
    counts: [u32; 3],
    weights: [u64; 3],
}

impl Tally {
    fn add(&mut self, status: Status, weight: u16) {
        self.counts[status as usize] += 1;
        self.weights[status as usize] += u64::from(weight);
    }

    /// The strictest pass in which the pool is usable.
    fn level(&self, min_healthy: f32) -> Level {
        let total: u64 = self.weights.iter().sum();
        let (mut weight, mut count) = (0, 0);
        for (status, level) in [(Status::Up, Level::Up), (Status::Unknown, Level::NotDown)] {
            weight += self.weights[status as usize];
            count += self.counts[status as usize];
            // Where all weights are 0 there is no share to speak of, and any endpoint will do.
            // The quotient is rounded like the operator's number, so that 4 of 10 is enough for 0.4.
            let share_is_enough = total == 0 || weight as f32 / total as f32 >= min_healthy;
            if count > 0 && share_is_enough {
                return level;
            }
        }
        Level::Any
    }

    /// The best status any endpoint has: only those serve.
    fn best(&self) -> Status {
        [Status::Up, Status::Unknown]
            .into_iter()
            .find(|status| self.counts[*status as usize] > 0)
            .unwrap_or(Status::Down)
    }

    fn has_weight(&self, status: Status) -> bool {
        self.weights[status as usize] > 0
    }
}

fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, n) = values
        .filter(|v| v.is_finite())
        .fold((0.0, 0_u32), |(sum, n), v| (sum + v, n + 1));
    if n == 0 { f32::NAN } else { sum / n as f32 }
}

fn whole_secs(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
