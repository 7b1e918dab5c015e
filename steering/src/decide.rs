//! The one function that chooses an endpoint: a walk down a policy tree.
//!
//! Pure and total: it reads the snapshot and its arguments, allocates nothing, and always returns. The
//! tree's depth and size are bounded by [`compile`](crate::compile), so are the walk's stack and time.
//!
//! The walk makes up to three passes: over what is known to be up, then also over what was never
//! probed, then (failing open) over everything. In each, a node tries its children in its own order
//! and takes the first that has something for this client.

use crate::client::{Client, Plane, Want};
use crate::decision::{Decision, EndpointList, MAX_ENDPOINTS, Reason, Verdict};
use crate::draw::{below, mix, rendezvous_score, sticky_key};
use crate::geo::{Coordinates, Located, Location, distance_km, estimated_rtt_ms};
use crate::ids::{EndpointId, NodeId, PoolId, ResidencyId, ServiceId};
use crate::latency::{row_ms, takes_over};
use crate::recorder::{Because, Level, Recorder, Silent, Step, Why};
use crate::snapshot::Snapshot;
use crate::spec::Residency;
use crate::table::{Edge, GeoIndex, GeoMatch, NetworkIndex, Node, NodeKind, Service, Table};

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
        let table: &Table = self.table();
        let mut walk = Walk {
            snapshot: self,
            table,
            client,
            want,
            recorder,
            need: Level::Up,
            located: client.located,
            scope: 0,
            next_change: u32::MAX,
            endpoints: EndpointList::EMPTY,
        };
        match table.services().get(service.index()) {
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
}

impl<'a, R: Recorder> Walk<'a, R> {
    fn service(&mut self, service: &'a Service) -> Decision {
        let roots = match self.want.plane {
            Plane::Dns => service.dns,
            Plane::Http => service.http,
        };
        let pin = self.pin(service);
        let root = if pin.is_some() {
            roots.pinned
        } else {
            roots.free
        };
        let may_fail_open = service.fail_open && pin.is_none_or(|rule| rule.fail_open_inside);
        let pinned = pin.is_some();
        let failing_ttl = service.ttl_failing;
        let Some(root) = root else {
            let (verdict, reason) = if pinned {
                (Verdict::Refused, Reason::ResidencyExhausted)
            } else {
                (Verdict::NoService, Reason::NoMatch)
            };
            return self.end(verdict, reason, failing_ttl, pinned);
        };
        if let Some(pool) = self.passes(root, may_fail_open) {
            return self.chosen(pool, service, pinned);
        }
        let (verdict, reason) = if pinned {
            (Verdict::Refused, Reason::ResidencyExhausted)
        } else if may_fail_open || self.would_fail_open(root).is_none() {
            (Verdict::NoService, Reason::NoMatch)
        } else {
            (Verdict::Refused, Reason::PolicyExhausted)
        };
        self.end(verdict, reason, failing_ttl, pinned)
    }

    /// The residency rule that pins this client, if one does.
    fn pin(&mut self, service: &'a Service) -> Option<&'a Residency> {
        let id: ResidencyId = service.residency?;
        let rule = self.table.residencies().get(id.index())?;
        let pins = pins(rule, &self.location());
        self.recorder.record(if pins {
            Step::Pinned(id)
        } else {
            Step::Free(id)
        });
        pins.then_some(rule)
    }

    /// The passes, from the strictest that can succeed at all.
    fn passes(&mut self, root: NodeId, may_fail_open: bool) -> Option<PoolId> {
        for need in [Level::Up, Level::NotDown, Level::Any] {
            if need == Level::Any && !may_fail_open {
                return None;
            }
            if !self.at_least(root, need) {
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

    /// Whether failing open would have found something: tells "all down" from "no rule matches".
    fn would_fail_open(&self, root: NodeId) -> Option<PoolId> {
        let mut silent = Silent;
        let mut other = Walk {
            snapshot: self.snapshot,
            table: self.table,
            client: self.client,
            want: self.want,
            recorder: &mut silent,
            need: Level::Any,
            located: self.located,
            scope: 0,
            next_change: u32::MAX,
            endpoints: EndpointList::EMPTY,
        };
        other.node(root)
    }

    fn chosen(&mut self, pool: PoolId, service: &Service, pinned: bool) -> Decision {
        if self.endpoints.is_empty() {
            self.serve(pool, MAX_ENDPOINTS);
        }
        let open = self.need == Level::Any;
        let verdict = if open {
            Verdict::FailOpen
        } else {
            Verdict::Steered
        };
        let ttl = if open {
            service.ttl_failing
        } else {
            self.next_change.max(service.ttl_failing).min(service.ttl)
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
        let located = match self.located {
            Some(located) => located,
            None => {
                let located = self.snapshot.locate(self.client.address);
                self.located = Some(located);
                located
            }
        };
        if R::LISTENS {
            self.recorder.record(Step::Located(located));
        }
        self.scope = self.scope.max(located.prefix_len);
        located.location
    }

    /// Whether a node is usable in this pass. Consulting it is what shortens TTLs.
    #[inline]
    fn usable(&mut self, id: NodeId) -> bool {
        self.at_least(id, self.need)
    }

    #[inline]
    fn at_least(&mut self, id: NodeId, need: Level) -> bool {
        let state = self.snapshot.node_state(id);
        let usable = state.level >= need;
        // What is entered is asked again child by child; what is turned down is turned down whole.
        if !usable
            || self
                .table
                .nodes()
                .get(id.index())
                .is_some_and(|n| n.edges.is_empty())
        {
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
            let level = self.snapshot.node_state(child).level;
            let why = if level == Level::NotDown {
                Why::Unknown
            } else {
                Why::Down
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

    fn failover(&mut self, edges: &[Edge], slot: Option<u32>) -> Option<PoolId> {
        let in_use = slot
            .and_then(|slot| self.snapshot.in_use(slot))
            .map(|child| child as usize);
        if let Some(held) = in_use.filter(|child| *child > 0)
            && let Some(pool) = self.take(edges, held, Because::InUse)
        {
            self.reject_others(edges, held, |i| {
                if i < held { Why::HeldBack } else { Why::Later }
            });
            return Some(pool);
        }
        for position in 0..edges.len() {
            if let Some(pool) = self.take(edges, position, Because::First) {
                if R::LISTENS {
                    for later in position + 1..edges.len() {
                        self.recorder
                            .record(Step::Rejected(later as u32, Why::Later));
                    }
                }
                return Some(pool);
            }
        }
        None
    }

    fn weighted(&mut self, node: &Node, edges: &[Edge], sticky: bool) -> Option<PoolId> {
        let key = if sticky {
            let (key, bits) = sticky_key(self.client.address);
            self.scope = self.scope.max(bits);
            mix(key, node.key)
        } else {
            mix(self.want.draw, node.key)
        };
        let (mut total, mut usable) = (0_u64, 0_usize);
        for edge in edges {
            if self.usable(edge.node) {
                total += u64::from(edge.weight);
                usable += 1;
            }
        }
        // Reserves share equally once nothing with a weight is left.
        let reserve = total == 0;
        let shared_by = if reserve { usable as u64 } else { total };
        let first = if sticky {
            self.next_by_score(edges, key, reserve, f64::NEG_INFINITY)
                .map(|(i, _)| i)
        } else {
            self.drawn(edges, below(key, shared_by), reserve)
        };
        let because = |weight: u32| match sticky {
            true => Because::Sticky(weight),
            false => Because::Drawn(weight, shared_by as u32),
        };
        let mut at = first?;
        let mut last = f64::NEG_INFINITY;
        // Only a child that is usable but has nothing for this client makes a second round; the bound
        // is the number of children.
        for _ in 0..=edges.len() {
            let weight = edges.get(at).map_or(0, |edge| edge.weight);
            if let Some(pool) = self.take(edges, at, because(weight)) {
                self.reject_others(edges, at, |i| {
                    let is_reserve = !reserve && edges.get(i).is_some_and(|e| e.weight == 0);
                    if is_reserve {
                        Why::Reserve
                    } else {
                        Why::NotDrawn
                    }
                });
                return Some(pool);
            }
            (at, last) = self.next_by_score(edges, key, reserve, last)?;
        }
        None
    }

    /// The usable child that `ticket` (below the sum of weights) falls on.
    fn drawn(&mut self, edges: &[Edge], mut ticket: u64, reserve: bool) -> Option<usize> {
        for (i, edge) in edges.iter().enumerate() {
            if self.usable(edge.node) {
                let weight = if reserve { 1 } else { u64::from(edge.weight) };
                if ticket < weight {
                    return Some(i);
                }
                ticket -= weight;
            }
        }
        None
    }

    /// The usable child with the least rendezvous score above `last`.
    fn next_by_score(
        &mut self,
        edges: &[Edge],
        key: u64,
        reserve: bool,
        last: f64,
    ) -> Option<(usize, f64)> {
        let mut best: Option<(usize, f64)> = None;
        for (i, edge) in edges.iter().enumerate() {
            if (edge.weight == 0) == reserve {
                if !self.usable(edge.node) {
                    continue;
                }
                let score = rendezvous_score(key, edge.key, edge.weight);
                if score > last && best.is_none_or(|(_, least)| score < least) {
                    best = Some((i, score));
                }
            }
        }
        best
    }

    fn geo(&mut self, index: &GeoIndex, edges: &[Edge]) -> Option<PoolId> {
        let location = self.location();
        let mut taken = None;
        for (matched, child) in index.matches(&location) {
            if taken.is_some() {
                if R::LISTENS {
                    self.recorder
                        .record(Step::Rejected(child, Why::LessSpecific));
                    continue;
                }
                break;
            }
            let because = match matched {
                GeoMatch::Default => Because::Default,
                matched => Because::Geo(matched),
            };
            taken = self.take(edges, child as usize, because);
        }
        taken
    }

    fn network(&mut self, index: &NetworkIndex, edges: &[Edge]) -> Option<PoolId> {
        let (value, bits) = index.cut.find(self.client.address);
        self.scope = self.scope.max(bits);
        for child in index.chains.get(value as usize).into_iter().flatten() {
            if let Some(pool) = self.take(edges, *child as usize, Because::Network) {
                return Some(pool);
            }
        }
        self.take(edges, index.default? as usize, Because::Default)
    }

    fn latency(&mut self, edges: &[Edge], slot: u32) -> Option<PoolId> {
        let table = self.table;
        let snapshot = self.snapshot;
        if self.want.plane == Plane::Http {
            let pop = table.pop().place;
            let estimate = |pool: PoolId| {
                snapshot
                    .pool_ms(pool)
                    .or_else(|| Some(estimated_rtt_ms(km_to(table, pool, pop)?)))
            };
            let incumbent = snapshot.in_use(slot).map(|child| child as usize);
            return self.least(
                edges,
                incumbent,
                |pool, _| estimate(pool),
                Because::Fastest,
                Why::Slower,
            );
        }
        let location = self.location();
        let address = self.client.address;
        let (row, bits) = table.latency_map().row(address, &location);
        self.scope = self.scope.max(bits);
        let place = location.place().or(table.pop().place);
        let estimate = |pool: PoolId, _: i8| {
            let region = table.pools().get(pool.index())?.region;
            row_ms(row, region).or_else(|| Some(estimated_rtt_ms(km_to(table, pool, place)?)))
        };
        self.least(edges, None, estimate, Because::Fastest, Why::Slower)
    }

    fn proximity(&mut self, edges: &[Edge]) -> Option<PoolId> {
        let table = self.table;
        let place = self.location().place().or(table.pop().place);
        let estimate = |pool: PoolId, bias: i8| Some(biased(km_to(table, pool, place)?, bias));
        self.least(edges, None, estimate, Because::Nearest, Why::Farther)
    }

    /// Takes the usable child with the least estimate, an incumbent first unless a challenger is
    /// clearly better; on from there in rising order. Children without an estimate come last, as
    /// written.
    fn least(
        &mut self,
        edges: &[Edge],
        incumbent: Option<usize>,
        estimate: impl Fn(PoolId, i8) -> Option<f32> + Copy,
        because: fn(f32) -> Because,
        why: fn(f32) -> Why,
    ) -> Option<PoolId> {
        let best = self.next_least(edges, None, estimate)?;
        if let Some(held) = incumbent.filter(|child| *child != best.1)
            && let Some(edge) = edges.get(held)
            && self.usable(edge.node)
        {
            let ms = self.child_estimate(edge, estimate);
            if ms.is_finite() && !takes_over(best.0, ms) {
                if let Some(pool) = self.take(edges, held, Because::Incumbent(ms)) {
                    self.reject_measured(edges, held, estimate, why);
                    return Some(pool);
                }
            }
        }
        let mut next = Some(best);
        while let Some((value, position)) = next {
            let reason = if value.is_finite() {
                because(value)
            } else {
                Because::Unmeasured
            };
            if let Some(pool) = self.take(edges, position, reason) {
                self.reject_measured(edges, position, estimate, why);
                return Some(pool);
            }
            next = self.next_least(edges, next, estimate);
        }
        None
    }

    /// The usable child that comes after `last` in order of (estimate, position).
    fn next_least(
        &mut self,
        edges: &[Edge],
        last: Option<(f32, usize)>,
        estimate: impl Fn(PoolId, i8) -> Option<f32> + Copy,
    ) -> Option<(f32, usize)> {
        let mut best: Option<(f32, usize)> = None;
        for (i, edge) in edges.iter().enumerate() {
            if !self.usable(edge.node) {
                continue;
            }
            let candidate = (self.child_estimate(edge, estimate), i);
            let after = last.is_none_or(|last| candidate > last);
            if after && best.is_none_or(|best| candidate < best) {
                best = Some(candidate);
            }
        }
        best
    }

    /// A child's estimate: that of its best pool usable in this pass; infinite when none is known.
    fn child_estimate(&self, edge: &Edge, estimate: impl Fn(PoolId, i8) -> Option<f32>) -> f32 {
        self.table
            .leaves(edge)
            .iter()
            .filter(|pool| self.snapshot.pool_state(**pool).level >= self.need)
            .filter_map(|pool| estimate(*pool, edge.bias))
            .filter(|value| value.is_finite())
            .fold(f32::INFINITY, f32::min)
    }

    fn reject_measured(
        &mut self,
        edges: &[Edge],
        taken: usize,
        estimate: impl Fn(PoolId, i8) -> Option<f32> + Copy,
        why: fn(f32) -> Why,
    ) {
        if !R::LISTENS {
            return;
        }
        for (i, edge) in edges.iter().enumerate().filter(|(i, _)| *i != taken) {
            if self.usable(edge.node) {
                let value = self.child_estimate(edge, estimate);
                self.recorder.record(Step::Rejected(i as u32, why(value)));
            } else {
                self.reject_unusable(edge.node, i);
            }
        }
    }

    /// Gathers endpoints of several children; the draw says which comes first.
    fn multivalue(&mut self, node: &Node, edges: &[Edge], max: usize) -> Option<PoolId> {
        let count = edges.len();
        let start = below(mix(self.want.draw, node.key), count as u64) as usize;
        let mut first = None;
        for i in 0..count {
            if self.endpoints.len() >= max {
                break;
            }
            let before = self.endpoints.len();
            let Some(pool) = self.take(edges, (start + i) % count, Because::OneOfSeveral) else {
                continue;
            };
            // A child that is itself a multivalue has already added its own.
            if self.endpoints.len() == before {
                self.serve(pool, max);
            }
            first = first.or(Some(pool));
        }
        first
    }

    /// Adds the serving endpoints of a pool to the list, up to `max` in all, in the draw's order.
    fn serve(&mut self, pool: PoolId, max: usize) {
        let (serving, even) = self.snapshot.serving(pool);
        let key = self.table.pools().get(pool.index()).map_or(0, |p| p.key);
        let draw = mix(self.want.draw, key);
        if R::LISTENS {
            self.skipped(pool, serving);
        }
        if even {
            self.rotated(serving, draw, max)
        } else {
            self.by_weight(serving, draw, max)
        }
    }

    fn skipped(&mut self, pool: PoolId, serving: &[EndpointId]) {
        let Some(pool) = self.table.pools().get(pool.index()) else {
            return;
        };
        for id in pool.endpoint_ids().filter(|id| !serving.contains(id)) {
            self.recorder
                .record(Step::EndpointSkipped(id, self.snapshot.status(id)));
        }
    }

    fn wanted(&self, id: EndpointId) -> bool {
        match (self.want.family, self.table.endpoints().get(id.index())) {
            (Some(family), Some(endpoint)) => endpoint.publishes(family),
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }

    fn add(&mut self, id: EndpointId) {
        if !self.endpoints.contains(&id) {
            self.endpoints.push(id);
        }
    }

    /// Equal weights: the list, begun at a drawn place.
    fn rotated(&mut self, serving: &[EndpointId], draw: u64, max: usize) {
        let count = match self.want.family {
            Some(_) => serving.iter().filter(|id| self.wanted(**id)).count(),
            None => serving.len(),
        };
        let start = below(draw, count as u64) as usize;
        let mut place = 0;
        // Twice around, taking `count` in a row from `start`.
        for id in serving.iter().chain(serving) {
            if !self.wanted(*id) {
                continue;
            }
            if place >= start + count || self.endpoints.len() >= max {
                return;
            }
            if place >= start {
                self.add(*id);
            }
            place += 1;
        }
    }

    /// Different weights: drawn one after the other without replacement, which is what ordering by
    /// the rendezvous score of the draw amounts to (Efraimidis & Spirakis 2006).
    fn by_weight(&mut self, serving: &[EndpointId], draw: u64, max: usize) {
        let room = max.saturating_sub(self.endpoints.len()).min(MAX_ENDPOINTS);
        let mut best = [(f64::INFINITY, EndpointId(u32::MAX)); MAX_ENDPOINTS];
        let mut len = 0;
        for id in serving.iter().copied().filter(|id| self.wanted(*id)) {
            let Some(endpoint) = self.table.endpoints().get(id.index()) else {
                continue;
            };
            let score = rendezvous_score(draw, endpoint.key, u32::from(endpoint.weight));
            let at = best[..len].partition_point(|(s, _)| *s <= score);
            if at >= room {
                continue;
            }
            len = (len + 1).min(room);
            best[at..len].rotate_right(1);
            best[at] = (score, id);
        }
        for (_, id) in &best[..len] {
            self.add(*id);
        }
    }
}

/// Whether a residency rule pins a client at this location.
pub fn pins(rule: &Residency, location: &Location) -> bool {
    let by_continent = location
        .continent
        .is_some_and(|c| rule.continents.contains(&c));
    match location.country {
        Some(country) => rule.countries.contains(country) || by_continent,
        // A continent alone does not say that the client is outside the pinned countries.
        None => by_continent || rule.pin_unknown,
    }
}

fn km_to(table: &Table, pool: PoolId, from: Option<Coordinates>) -> Option<f32> {
    let region = table.pools().get(pool.index())?.region;
    let place = table.regions().get(region.index())?.place?;
    Some(distance_km(from?, place))
}

/// Route 53's geoproximity bias: a positive one shrinks distances, a negative one stretches them.
fn biased(km: f32, bias: i8) -> f32 {
    let share = f32::from(bias.clamp(-99, 99)) / 100.0;
    if share >= 0.0 {
        km * (1.0 - share)
    } else {
        km / (1.0 + share)
    }
}
