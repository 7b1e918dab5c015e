//! The one function that chooses an endpoint: a walk down a policy tree.
//!
//! Pure and total: it reads the snapshot and its arguments, allocates nothing, and always returns. The
//! tree's depth and size are bounded by [`compile`](crate::compile) and no node tries a child twice, so
//! the walk's stack and time are bounded too.
//!
//! The walk makes up to three passes: over what is known to be up, then also over what was never
//! probed, then (failing open) over everything. In each, a node tries its children in its own order
//! and takes the first that has something for this client. `choose` holds the nodes that choose by
//! rule or chance, `measure` those that compare, `serve` the endpoints of the chosen pool.

mod choose;
mod measure;
mod pin;
mod serve;

use crate::client::{Client, Plane, RuleAddress, Want};
use crate::decision::{Decision, EndpointList, MAX_ENDPOINTS, Reason, Verdict};
use crate::geo::{Located, Location};
use crate::ids::{NodeId, PoolId, ServiceId};
use crate::recorder::{Because, Level, Recorder, Silent, Step, Why};
use crate::snapshot::Snapshot;
use crate::table::{Edge, NodeKind, Service, Table};

impl Snapshot {
    /// Chooses for one client: the only code in the tree that does.
    ///
    /// An id that is not in the table gets the verdict [`Verdict::NoService`].
    pub fn decide<R: Recorder>(
        &self,
        service: ServiceId,
        client: &Client,
        want: Want,
        recorder: &mut R,
    ) -> Decision {
        let mut walk = Walk::new(self, client, want, recorder);
        match self.table().services().get(service.index()) {
            Some(service) => walk.service(service),
            None => walk.end(Verdict::NoService, Reason::NoMatch, 0, false),
        }
    }
}

/// The state of one decision.
struct Walk<'a, R> {
    snapshot: &'a Snapshot,
    table: &'a Table,
    client: &'a Client,
    want: Want,
    recorder: &'a mut R,
    /// What this pass requires.
    need: Level,
    located: Option<Located>,
    /// The longest prefix consulted so far.
    scope: u8,
    /// The soonest possible change of anything consulted, in seconds.
    next_change: u32,
    /// Filled by a `multivalue` node; else empty until a pool is chosen.
    endpoints: EndpointList,
    /// The most endpoints the `multivalue` nodes around this place leave room for.
    limit: usize,
}

impl<'a, R: Recorder> Walk<'a, R> {
    fn new(snapshot: &'a Snapshot, client: &'a Client, want: Want, recorder: &'a mut R) -> Self {
        Self {
            snapshot,
            table: snapshot.table(),
            client,
            want,
            recorder,
            need: Level::Up,
            located: client.located,
            scope: 0,
            next_change: u32::MAX,
            endpoints: EndpointList::EMPTY,
            limit: MAX_ENDPOINTS,
        }
    }

    fn service(&mut self, service: &'a Service) -> Decision {
        let roots = match self.want.plane {
            Plane::Dns => service.dns,
            Plane::Http => service.http,
        };
        let pin = self.pin(service);
        let root = match pin {
            Some(_) => roots.pinned,
            None => roots.free,
        };
        let may_fail_open = service.fail_open && pin.is_none_or(|rule| rule.fail_open_inside);
        let found = root.and_then(|root| self.passes(root, may_fail_open));
        if let Some(pool) = found {
            return self.chosen(pool, service, pin.is_some());
        }
        let (verdict, reason) = if pin.is_some() {
            (Verdict::Refused, Reason::ResidencyExhausted)
        } else if !may_fail_open && root.is_some_and(|root| self.would_fail_open(root)) {
            (Verdict::Refused, Reason::PolicyExhausted)
        } else {
            (Verdict::NoService, Reason::NoMatch)
        };
        self.end(verdict, reason, service.ttl_failing, pin.is_some())
    }

    /// The passes, from the strictest that can succeed at all.
    fn passes(&mut self, root: NodeId, may_fail_open: bool) -> Option<PoolId> {
        for need in [Level::Up, Level::NotDown, Level::Any] {
            if need == Level::Any && !may_fail_open {
                return None;
            }
            if !self.at_least(root, need) {
                self.tell_unusable(root, need);
                continue;
            }
            self.need = need;
            self.recorder.record(Step::Pass(need));
            if let Some(pool) = self.node(root) {
                return Some(pool);
            }
        }
        None
    }

    /// For the trace only: a pass that can find nothing is walked aside, so that an explanation names
    /// what is down. Nothing of it enters the decision.
    fn tell_unusable(&mut self, root: NodeId, need: Level) {
        if !R::LISTENS || need != Level::Up {
            return;
        }
        self.recorder.record(Step::Pass(need));
        let mut aside = Walk::new(self.snapshot, self.client, self.want, &mut *self.recorder);
        aside.node(root);
    }

    /// Whether failing open would have found something: tells "all down" from "no rule matches". What
    /// that depends on, the verdict depends on, so it counts for the scope.
    fn would_fail_open(&mut self, root: NodeId) -> bool {
        let mut silent = Silent;
        let mut other = Walk::new(self.snapshot, self.client, self.want, &mut silent);
        other.need = Level::Any;
        let found = other.node(root).is_some();
        self.scope = self.scope.max(other.scope);
        self.located = self.located.or(other.located);
        found
    }

    fn chosen(&mut self, pool: PoolId, service: &Service, pinned: bool) -> Decision {
        if self.endpoints.is_empty() {
            self.serve(pool);
        }
        let (verdict, ttl) = match self.need {
            Level::Any => (Verdict::FailOpen, service.ttl_failing),
            _ => (
                Verdict::Steered,
                self.next_change.max(service.ttl_failing).min(service.ttl),
            ),
        };
        let mut decision = self.end(verdict, Reason::None, ttl, pinned);
        decision.pool = Some(pool);
        decision.region = self.table.pools().get(pool.index()).map(|p| p.region);
        decision
    }

    fn end(&self, verdict: Verdict, reason: Reason, ttl: u32, pinned: bool) -> Decision {
        Decision {
            verdict,
            reason,
            pool: None,
            region: None,
            endpoints: self.endpoints,
            ttl,
            scope: self.scope,
            pinned,
            located: self.located,
        }
    }

    /// The client's location; from here on the decision depends on it.
    fn location(&mut self) -> Location {
        let address = self.client.address;
        let snapshot = self.snapshot;
        let located = *self.located.get_or_insert_with(|| snapshot.locate(address));
        if R::LISTENS {
            self.recorder.record(Step::Located(located));
        }
        self.scope = self.scope.max(located.prefix_len);
        located.location
    }

    /// Notes that the decision depends on the first `bits` of the address that rules are held against.
    fn depends_on(&mut self, address: RuleAddress, bits: u8) {
        self.scope = self.scope.max(address.scope(bits));
    }

    /// Whether a node is usable in this pass.
    #[inline]
    fn usable(&mut self, id: NodeId) -> bool {
        self.at_least(id, self.need)
    }

    /// Whether a node is usable in the pass that needs `need`. Consulting it is what shortens TTLs.
    #[inline]
    fn at_least(&mut self, id: NodeId, need: Level) -> bool {
        let state = self.snapshot.node_state(id);
        let usable = state.level >= need;
        let is_leaf = || {
            let node = self.table.nodes().get(id.index());
            node.is_some_and(|n| n.edges.is_empty())
        };
        // What is entered is asked again child by child; what is turned down is turned down whole.
        if !usable || is_leaf() {
            self.next_change = self.next_change.min(state.next_change);
        }
        usable
    }

    fn node(&mut self, id: NodeId) -> Option<PoolId> {
        let table = self.table;
        let node = table.nodes().get(id.index())?;
        self.recorder.record(Step::Enter(id));
        let edges = table.children(node);
        let found = match &node.kind {
            NodeKind::Pool(pool) => Some(*pool),
            NodeKind::Failover { slot, .. } => self.failover(edges, *slot),
            NodeKind::Weighted { sticky } => self.weighted(node, edges, *sticky),
            NodeKind::Geo(index) => self.geo(index, edges),
            NodeKind::Latency { slot } => self.latency(edges, *slot),
            NodeKind::Proximity => self.proximity(edges),
            NodeKind::Network(index) => self.network(index, edges),
            NodeKind::Multivalue { max } => self.multivalue(node, edges, usize::from(*max)),
        };
        self.recorder.record(if found.is_some() {
            Step::Leave
        } else {
            Step::Exhausted(id)
        });
        found
    }

    /// Takes the child at `position`, if it is usable and has something for this client.
    fn take(&mut self, edges: &[Edge], position: usize, because: Because) -> Option<PoolId> {
        let child = edges.get(position)?.node;
        if !self.usable(child) {
            self.reject_unusable(child, position);
            return None;
        }
        self.recorder.record(Step::Took(position as u32, because));
        let found = self.node(child);
        if found.is_none() {
            self.recorder
                .record(Step::Rejected(position as u32, Why::Exhausted));
        }
        found
    }

    fn reject_unusable(&mut self, child: NodeId, position: usize) {
        if R::LISTENS {
            let why = match self.snapshot.node_state(child).level {
                Level::NotDown => Why::Unknown,
                _ => Why::Down,
            };
            self.recorder.record(Step::Rejected(position as u32, why));
        }
    }

    /// For the trace only: says of every child but `taken` why it was not taken.
    fn reject_others(&mut self, edges: &[Edge], taken: usize, why: impl Fn(usize) -> Why) {
        if !R::LISTENS {
            return;
        }
        for (i, edge) in edges.iter().enumerate().filter(|(i, _)| *i != taken) {
            if self.snapshot.node_state(edge.node).level >= self.need {
                self.recorder.record(Step::Rejected(i as u32, why(i)));
            } else {
                self.reject_unusable(edge.node, i);
            }
        }
    }
}
