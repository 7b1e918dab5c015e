//! One generation of everything a decision looks at, and how the next one is made.
//!
//! A snapshot is immutable. [`Snapshot::next`] is pure: it takes a change and the time, and gives the
//! next generation. What must survive a change of tables (health, latency, failback memory) is carried
//! over by key.

use crate::geo::{Located, LocationTable};
use crate::health::{Status, TargetHealth, Transition};
use crate::ids::{EndpointId, NodeId, PoolId, RegionId, TargetId};
use crate::latency::{Measured, takes_over};
use crate::recorder::Level;
use crate::spec::Failback;
use crate::table::{Node, NodeKind, Pool, Table};
use crate::time::Timestamp;
use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// What can change. Each makes one new generation.
#[derive(Clone, Debug)]
pub enum Change {
    /// A reload.
    Table(Arc<Table>),
    /// Health transitions, as many as came together.
    Health(Vec<Transition>),
    /// Measured round trips.
    Latency(Vec<Measured>),
    /// Another location table.
    Geo(Arc<LocationTable>),
    /// An operator's word: the `failover` policy of this name returns to its first usable child.
    Failback(Arc<str>),
    /// Nothing but time: what waits for [`Snapshot::wake_at`] is looked at again.
    Tick,
}

/// A status laid over what is measured, for what-if questions (`expect … when`, `explain --down`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    /// All endpoints of a pool.
    Pool(PoolId, Status),
    /// All endpoints of a region.
    Region(RegionId, Status),
    /// One endpoint.
    Endpoint(EndpointId, Status),
    /// All endpoints.
    All(Status),
}

/// What a stateful node remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Memory {
    /// The child in use; `None` before the first one was usable.
    child: Option<u32>,
    /// Since when an earlier child has been usable again.
    better_since: Option<Timestamp>,
}

/// Health folded to what a walk asks of a pool or node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    /// The strictest pass in which it is usable.
    pub(crate) level: Level,
    /// Seconds until it may change, when on its way to a change; else `u32::MAX`.
    pub(crate) next_change: u32,
}

/// What follows from table, health and latency, computed once a generation.
#[derive(Clone, Debug, Default)]
struct Derived {
    endpoints: Vec<Status>,
    pools: Vec<State>,
    nodes: Vec<State>,
    /// Where each pool's serving endpoints lie in `serving`, and whether their weights are equal.
    serving_of: Vec<(Range<u32>, bool)>,
    serving: Vec<EndpointId>,
    /// The mean measured round trip of a pool's serving endpoints; NaN when none is known.
    pool_ms: Vec<f32>,
    wake_at: Option<Timestamp>,
}

/// One immutable generation: table, health, location, latency.
#[derive(Clone, Debug)]
pub struct Snapshot {
    generation: u64,
    table: Arc<Table>,
    geo: Arc<LocationTable>,
    health: Vec<TargetHealth>,
    latency: Vec<f32>,
    memory: Vec<Memory>,
    forced: Vec<Option<Status>>,
    derived: Derived,
}

impl Snapshot {
    /// The first generation: health unknown, nothing measured.
    pub fn new(table: Arc<Table>, geo: Arc<LocationTable>, now: Timestamp) -> Self {
        let mut first = Self {
            generation: 1,
            health: vec![
                TargetHealth {
                    since: now,
                    ..TargetHealth::default()
                };
                table.targets.len()
            ],
            latency: vec![f32::NAN; table.targets.len()],
            memory: vec![Memory::default(); table.slots.len()],
            forced: Vec::new(),
            derived: Derived::default(),
            table,
            geo,
        };
        first.derive(now);
        first
    }

    /// The next generation.
    #[must_use]
    pub fn next(&self, change: Change, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.generation += 1;
        match change {
            Change::Table(table) => next.carry_over(table, now),
            Change::Health(transitions) => next.take_transitions(&transitions),
            Change::Latency(measured) => next.take_measured(&measured),
            Change::Geo(geo) => next.geo = geo,
            Change::Failback(policy) => next.fail_back(&policy),
            Change::Tick => {}
        }
        next.derive(now);
        next
    }

    /// This snapshot with statuses laid over it: same generation, never published.
    #[must_use]
    pub fn what_if(&self, forced: &[Forced], now: Timestamp) -> Self {
        let mut other = self.clone();
        other.forced = vec![None; self.table.endpoints.len()];
        for (i, endpoint) in self.table.endpoints.iter().enumerate() {
            let region = self.table.pools[endpoint.pool.index()].region;
            for force in forced {
                let status = match *force {
                    Forced::Pool(pool, status) if pool == endpoint.pool => status,
                    Forced::Region(r, status) if r == region => status,
                    Forced::Endpoint(id, status) if id.index() == i => status,
                    Forced::All(status) => status,
                    _ => continue,
                };
                other.forced[i] = Some(status);
            }
        }
        other.derive(now);
        other
    }

    /// Which generation this is. Only ever grows within one run.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The routing table.
    #[inline]
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// The location table.
    #[inline]
    pub fn geo(&self) -> &Arc<LocationTable> {
        &self.geo
    }

    /// Where an address is.
    #[inline]
    pub fn locate(&self, address: IpAddr) -> Located {
        self.geo.locate(address)
    }

    /// The health of a target.
    pub fn health(&self, target: TargetId) -> TargetHealth {
        self.health.get(target.index()).copied().unwrap_or_default()
    }

    /// Whether an endpoint is believed to serve.
    #[inline]
    pub fn status(&self, endpoint: EndpointId) -> Status {
        self.derived
            .endpoints
            .get(endpoint.index())
            .copied()
            .unwrap_or_default()
    }

    /// Whether a pool is usable: known to be up in a large enough part.
    pub fn is_usable(&self, pool: PoolId) -> bool {
        self.pool_state(pool).level == Level::Up
    }

    /// The measured round trip from this PoP to a target, in milliseconds.
    pub fn measured_ms(&self, target: TargetId) -> Option<f32> {
        self.latency
            .get(target.index())
            .copied()
            .filter(|ms| ms.is_finite())
    }

    /// The mean measured round trip from this PoP to a pool, in milliseconds.
    #[inline]
    pub fn pool_ms(&self, pool: PoolId) -> Option<f32> {
        self.derived
            .pool_ms
            .get(pool.index())
            .copied()
            .filter(|ms| ms.is_finite())
    }

    /// When a [`Change::Tick`] is due: a failback is waiting for its time.
    pub fn wake_at(&self) -> Option<Timestamp> {
        self.derived.wake_at
    }

    pub(crate) fn pool_state(&self, pool: PoolId) -> State {
        self.derived
            .pools
            .get(pool.index())
            .copied()
            .unwrap_or(State::UNUSABLE)
    }

    #[inline]
    pub(crate) fn node_state(&self, node: NodeId) -> State {
        self.derived
            .nodes
            .get(node.index())
            .copied()
            .unwrap_or(State::UNUSABLE)
    }

    /// The endpoints of a pool that serve now, and whether their weights are all equal.
    #[inline]
    pub(crate) fn serving(&self, pool: PoolId) -> (&[EndpointId], bool) {
        match self.derived.serving_of.get(pool.index()) {
            Some((range, even)) => {
                let list = &self.derived.serving;
                (
                    list.get(range.start as usize..range.end as usize)
                        .unwrap_or(&[]),
                    *even,
                )
            }
            None => (&[], true),
        }
    }

    /// The child a stateful node has in use.
    #[inline]
    pub(crate) fn in_use(&self, slot: u32) -> Option<u32> {
        self.memory
            .get(slot as usize)
            .and_then(|memory| memory.child)
    }

    fn carry_over(&mut self, table: Arc<Table>, now: Timestamp) {
        let fresh = TargetHealth {
            since: now,
            ..TargetHealth::default()
        };
        let old = std::mem::replace(&mut self.table, table);
        let carried = |key| old.target(key);
        let targets = &self.table.targets;
        self.health = targets
            .iter()
            .map(|t| carried(&t.key).map_or(fresh, |id| self.health[id.index()]))
            .collect();
        self.latency = targets
            .iter()
            .map(|t| carried(&t.key).map_or(f32::NAN, |id| self.latency[id.index()]))
            .collect();
        let by_key: HashMap<u64, u32> = old
            .slots
            .iter()
            .enumerate()
            .map(|(i, slot)| (slot.key, i as u32))
            .collect();
        self.memory = self
            .table
            .slots
            .iter()
            .map(|slot| {
                let known = by_key
                    .get(&slot.key)
                    .map(|i| (self.memory[*i as usize], old.slots[*i as usize].node));
                known.map_or_else(Memory::default, |(memory, node)| {
                    remember(&old, node, &self.table, slot.node, memory)
                })
            })
            .collect();
        self.forced = Vec::new();
    }

    fn take_transitions(&mut self, transitions: &[Transition]) {
        for transition in transitions {
            // A transition of a target that a reload has just removed is no longer of interest.
            if let Some(id) = self.table.target(&transition.target) {
                self.health[id.index()] = transition.health;
            }
        }
    }

    fn take_measured(&mut self, measured: &[Measured]) {
        for sample in measured {
            if let Some(id) = self.table.target(&sample.target) {
                self.latency[id.index()] = sample.ms;
            }
        }
    }

    fn fail_back(&mut self, policy: &str) {
        for (slot, memory) in self.table.slots.iter().zip(&mut self.memory) {
            let node = self.table.nodes.get(slot.node.index());
            if node.is_some_and(|node| {
                &*node.name == policy && matches!(node.kind, NodeKind::Failover { .. })
            }) {
                *memory = Memory::default();
            }
        }
    }

    /// Recomputes what follows from the rest. Children come before parents, so one pass is enough.
    fn derive(&mut self, now: Timestamp) {
        let table = self.table.clone();
        let mut derived = Derived::default();
        derived.endpoints.reserve(table.endpoints.len());
        for (i, endpoint) in table.endpoints.iter().enumerate() {
            let checked = table.targets[endpoint.target.index()].check.is_some();
            let measured = if checked {
                self.health[endpoint.target.index()].status
            } else {
                Status::Up
            };
            derived
                .endpoints
                .push(self.forced.get(i).copied().flatten().unwrap_or(measured));
        }
        for pool in &table.pools {
            self.derive_pool(pool, &table, &mut derived);
        }
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
            let wake = self.remember_choice(node, &table, &derived, now);
            derived.wake_at = [derived.wake_at, wake].into_iter().flatten().min();
        }
        self.derived = derived;
    }

    fn derive_pool(&self, pool: &Pool, table: &Table, derived: &mut Derived) {
        let mut tally = Tally::default();
        let mut next_change = u32::MAX;
        for id in pool.endpoint_ids() {
            let endpoint = &table.endpoints[id.index()];
            tally.add(derived.endpoints[id.index()], endpoint.weight);
            let rules = pool.check.and_then(|check| table.checks.get(check.index()));
            let health = &self.health[endpoint.target.index()];
            if let Some(change) = rules.and_then(|check| health.next_change(&check.rules)) {
                next_change = next_change.min(whole_secs(change));
            }
        }
        let level = tally.level(pool.min_healthy);
        derived.pools.push(State { level, next_change });

        let first = derived.serving.len() as u32;
        let best = tally.best();
        let weighted = tally.has_weight(best);
        let serving = pool.endpoint_ids().filter(|id| {
            let weight = table.endpoints[id.index()].weight;
            derived.endpoints[id.index()] == best && (weight > 0 || !weighted)
        });
        derived.serving.extend(serving);
        let list = &derived.serving[first as usize..];
        let weight = |id: &EndpointId| table.endpoints[id.index()].weight;
        let even = list
            .windows(2)
            .all(|pair| weight(&pair[0]) == weight(&pair[1]));
        let times = list
            .iter()
            .map(|id| self.latency[table.endpoints[id.index()].target.index()]);
        derived.pool_ms.push(mean(times));
        derived
            .serving_of
            .push((first..derived.serving.len() as u32, even));
    }

    /// Moves the memory of a stateful node on; returns when it wants to be looked at again.
    fn remember_choice(
        &mut self,
        node: &Node,
        table: &Table,
        derived: &Derived,
        now: Timestamp,
    ) -> Option<Timestamp> {
        match node.kind {
            NodeKind::Failover {
                failback,
                slot: Some(slot),
            } => {
                let usable = |child: u32| {
                    let edge = table.children(node).get(child as usize);
                    edge.is_some_and(|e| derived.nodes[e.node.index()].level == Level::Up)
                };
                let first = (0..node.edges.len() as u32).find(|child| usable(*child));
                let memory = self.memory.get_mut(slot as usize)?;
                hold(memory, first, usable, failback, now)
            }
            NodeKind::Latency { slot } => {
                let best = fastest(node, table, derived);
                let memory = self.memory.get_mut(slot as usize)?;
                let incumbent = memory
                    .child
                    .and_then(|child| Some((child, child_ms(node, table, derived, child)?)));
                match (best, incumbent) {
                    (Some((child, ms)), Some((_, incumbent))) if takes_over(ms, incumbent) => {
                        memory.child = Some(child);
                    }
                    (Some((child, _)), None) => memory.child = Some(child),
                    _ => {}
                }
                None
            }
            _ => None,
        }
    }
}

impl State {
    const UNUSABLE: Self = Self {
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

/// The memory of a node in the next table: the child in use, found again by its key.
fn remember(
    old: &Table,
    old_node: NodeId,
    new: &Table,
    new_node: NodeId,
    memory: Memory,
) -> Memory {
    let found = || {
        let before = old.children(old.nodes.get(old_node.index())?);
        let after = new.children(new.nodes.get(new_node.index())?);
        let key = before.get(memory.child? as usize)?.key;
        after
            .iter()
            .position(|edge| edge.key == key)
            .map(|i| i as u32)
    };
    found().map_or_else(Memory::default, |child| Memory {
        child: Some(child),
        ..memory
    })
}

/// Failback: which child a failover uses, given the first usable one.
fn hold(
    memory: &mut Memory,
    first: Option<u32>,
    usable: impl Fn(u32) -> bool,
    failback: Failback,
    now: Timestamp,
) -> Option<Timestamp> {
    let Some(first) = first else {
        // Nothing is known to be up: keep what was in use, to return to it.
        memory.better_since = None;
        return None;
    };
    let held = memory
        .child
        .filter(|child| usable(*child) && first < *child);
    if held.is_none() {
        *memory = Memory {
            child: Some(first),
            better_since: None,
        };
        return None;
    }
    let Failback::After(delay) = failback else {
        return None;
    };
    let due = memory.better_since.get_or_insert(now).plus(delay);
    if due <= now {
        *memory = Memory {
            child: Some(first),
            better_since: None,
        };
        return None;
    }
    Some(due)
}

/// The estimate of a child from this PoP's measurements: its best usable pool.
fn child_ms(node: &Node, table: &Table, derived: &Derived, child: u32) -> Option<f32> {
    let edge = table.children(node).get(child as usize)?;
    let usable = table
        .leaves(edge)
        .iter()
        .filter(|pool| derived.pools[pool.index()].level == Level::Up);
    usable
        .map(|pool| derived.pool_ms[pool.index()])
        .filter(|ms| ms.is_finite())
        .min_by(f32::total_cmp)
}

fn fastest(node: &Node, table: &Table, derived: &Derived) -> Option<(u32, f32)> {
    (0..node.edges.len() as u32)
        .filter_map(|child| Some((child, child_ms(node, table, derived, child)?)))
        .min_by(|a, b| a.1.total_cmp(&b.1))
}

/// Weights and counts of a pool's endpoints by status.
#[derive(Default)]
struct Tally {
    counts: [u32; 3],
    weights: [u32; 3],
}

impl Tally {
    fn add(&mut self, status: Status, weight: u16) {
        self.counts[status as usize] += 1;
        self.weights[status as usize] += u32::from(weight);
    }

    /// The strictest pass in which the pool is usable.
    fn level(&self, min_healthy: f32) -> Level {
        let total: u32 = self.weights.iter().sum();
        let enough = |weight: u32, count: u32| {
            // Where all weights are 0 there is no share to speak of, and any endpoint will do.
            count > 0
                && (total == 0 || f64::from(weight) >= f64::from(min_healthy) * f64::from(total))
        };
        let up = Status::Up as usize;
        let unknown = Status::Unknown as usize;
        if enough(self.weights[up], self.counts[up]) {
            Level::Up
        } else if enough(
            self.weights[up] + self.weights[unknown],
            self.counts[up] + self.counts[unknown],
        ) {
            Level::NotDown
        } else {
            Level::Any
        }
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
