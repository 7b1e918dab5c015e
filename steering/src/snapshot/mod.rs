//! One generation of everything a decision looks at, and how the next one is made.
//!
//! A snapshot is immutable. [`Snapshot::next`] is pure: it takes a change and the time, and gives the
//! next generation. What must survive a change of tables (health, latency, failback memory) is carried
//! over by key (`memory`); what follows from the rest is worked out once a generation (`derive`),
//! so that a decision only reads. No clock is read and nothing is stored here: see
//! [`publish`](crate::publish).

mod derive;
mod memory;

use derive::{Derived, State};
use memory::Memory;

use crate::geo::{Located, LocationTable};
use crate::health::{Status, TargetHealth, Transition};
use crate::ids::{EndpointId, NodeId, PoolId, RegionId, TargetId};
use crate::latency::Measured;
use crate::recorder::Level;
use crate::table::{NodeKind, Table};
use crate::time::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;

/// What can change. Each makes one new generation.
#[derive(Clone, Debug)]
pub enum Change {
    /// A reload.
    Table(Arc<Table>),
    /// A reload that brings another location table with it.
    Reload(Arc<Table>, Arc<LocationTable>),
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
            Change::Reload(table, geo) => {
                next.geo = geo;
                next.carry_over(table, now);
            }
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
        self.derived.pool_ms(pool)
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

    /// Takes over a table; what is known of the targets and nodes that it shares with the old one stays.
    fn carry_over(&mut self, table: Arc<Table>, now: Timestamp) {
        let fresh = TargetHealth {
            since: now,
            ..TargetHealth::default()
        };
        let old = std::mem::replace(&mut self.table, table);
        let (mut health, mut latency) = (Vec::new(), Vec::new());
        for target in &self.table.targets {
            let before = old.target(&target.key).map(TargetId::index);
            let known = before.and_then(|at| self.health.get(at)).copied();
            let measured = before.and_then(|at| self.latency.get(at)).copied();
            health.push(known.unwrap_or(fresh));
            latency.push(measured.unwrap_or(f32::NAN));
        }
        self.health = health;
        self.latency = latency;
        self.memory = memory::carried(&old, &self.memory, &self.table);
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
}
