//! The nodes that choose by rule or by chance: failover, weighted, geo, network, multivalue.
//!
//! None of them measures anything, and none tries a child twice.

use super::Walk;
use crate::draw::{below, mix, rendezvous_score, sticky_key};
use crate::ids::PoolId;
use crate::recorder::{Because, Recorder, Step, Why};
use crate::table::{Edge, GeoIndex, GeoMatch, NetworkIndex, Node};

impl<R: Recorder> Walk<'_, R> {
    /// The child in use while failback waits, else the first usable one.
    pub(super) fn failover(&mut self, edges: &[Edge], slot: Option<u32>) -> Option<PoolId> {
        let in_use = slot
            .and_then(|slot| self.snapshot.in_use(slot))
            .map(|child| child as usize)
            .filter(|child| *child > 0);
        if let Some(held) = in_use
            && let Some(pool) = self.take(edges, held, Because::InUse)
        {
            self.reject_others(edges, held, |i| {
                if i < held { Why::HeldBack } else { Why::Later }
            });
            return Some(pool);
        }
        for position in (0..edges.len()).filter(|i| Some(*i) != in_use) {
            if let Some(pool) = self.take(edges, position, Because::First) {
                if R::LISTENS {
                    for later in (position + 1..edges.len()).filter(|i| Some(*i) != in_use) {
                        self.recorder
                            .record(Step::Rejected(later as u32, Why::Later));
                    }
                }
                return Some(pool);
            }
        }
        None
    }

    /// A usable child by weight. Reserves (weight 0) share equally, once nothing with a weight is
    /// usable or has anything for this client.
    pub(super) fn weighted(&mut self, node: &Node, edges: &[Edge], sticky: bool) -> Option<PoolId> {
        let key = self.chance(node, sticky);
        let (total, usable) = self.weigh(edges);
        let reserves_only = total == 0;
        let shared_by = if reserves_only { usable } else { total };
        let mut drawn = None;
        if !sticky {
            let at = self.drawn(edges, below(key, shared_by), reserves_only)?;
            if let Some(pool) = self.take_weighted(edges, at, shared_by, sticky) {
                return Some(pool);
            }
            drawn = Some(at);
        }
        // The sticky choice; for a drawn one, where to go when what was drawn has nothing for this
        // client.
        for reserve in [false, true] {
            let mut last = f64::NEG_INFINITY;
            while let Some((at, score)) = self.next_by_score(edges, key, reserve, last) {
                last = score;
                if Some(at) != drawn
                    && let Some(pool) = self.take_weighted(edges, at, shared_by, sticky)
                {
                    return Some(pool);
                }
            }
        }
        None
    }

    /// What a weighted choice turns on: the client's network, or the draw.
    fn chance(&mut self, node: &Node, sticky: bool) -> u64 {
        if !sticky {
            return mix(self.want.draw, node.key);
        }
        let address = self.client.rule_address();
        let (key, bits) = sticky_key(address.ip);
        self.depends_on(address, bits);
        mix(key, node.key)
    }

    /// The sum of weights of the usable children, and how many there are.
    fn weigh(&mut self, edges: &[Edge]) -> (u64, u64) {
        let (mut total, mut usable) = (0, 0);
        for edge in edges {
            if self.usable(edge.node) {
                total += u64::from(edge.weight);
                usable += 1;
            }
        }
        (total, usable)
    }

    fn take_weighted(
        &mut self,
        edges: &[Edge],
        at: usize,
        of: u64,
        sticky: bool,
    ) -> Option<PoolId> {
        let weight = edges.get(at)?.weight;
        let because = match sticky {
            true => Because::Sticky(weight),
            false => Because::Drawn(weight, of as u32),
        };
        let pool = self.take(edges, at, because)?;
        self.reject_others(edges, at, |i| {
            let is_reserve = edges.get(i).is_some_and(|edge| edge.weight == 0);
            match is_reserve && weight > 0 {
                true => Why::Reserve,
                false => Why::NotDrawn,
            }
        });
        Some(pool)
    }

    /// The usable child that `ticket` (below the sum of weights, or the count of reserves) falls on.
    fn drawn(&mut self, edges: &[Edge], mut ticket: u64, reserves_only: bool) -> Option<usize> {
        for (i, edge) in edges.iter().enumerate() {
            if self.usable(edge.node) {
                let weight = if reserves_only {
                    1
                } else {
                    u64::from(edge.weight)
                };
                if ticket < weight {
                    return Some(i);
                }
                ticket -= weight;
            }
        }
        None
    }

    /// The usable child with the least rendezvous score above `last`, among reserves or the others.
    fn next_by_score(
        &mut self,
        edges: &[Edge],
        key: u64,
        reserve: bool,
        last: f64,
    ) -> Option<(usize, f64)> {
        let mut best: Option<(usize, f64)> = None;
        for (i, edge) in edges.iter().enumerate() {
            if (edge.weight == 0) != reserve || !self.usable(edge.node) {
                continue;
            }
            let score = rendezvous_score(key, edge.key, edge.weight);
            if score > last && best.is_none_or(|(_, least)| score < least) {
                best = Some((i, score));
            }
        }
        best
    }

    /// The most specific rule that matches the client's location; on to less specific ones while what
    /// they name has nothing.
    pub(super) fn geo(&mut self, index: &GeoIndex, edges: &[Edge]) -> Option<PoolId> {
        let location = self.location();
        let mut taken = None;
        for (nth, (matched, child)) in index.matches(&location).enumerate() {
            let earlier = || index.matches(&location).take(nth);
            if taken.is_some() && !R::LISTENS {
                break;
            }
            // One rule may match by more than one of its matchers.
            if earlier().any(|(_, other)| other == child) {
                continue;
            }
            if taken.is_some() {
                self.recorder
                    .record(Step::Rejected(child, Why::LessSpecific));
                continue;
            }
            let because = match matched {
                GeoMatch::Default => Because::Default,
                matched => Because::Geo(matched),
            };
            taken = self.take(edges, child as usize, because);
        }
        taken
    }

    /// The longest prefix around the client; on to shorter ones while what they name has nothing.
    pub(super) fn network(&mut self, index: &NetworkIndex, edges: &[Edge]) -> Option<PoolId> {
        let address = self.client.rule_address();
        let (value, bits) = index.cut.find(address.ip);
        self.depends_on(address, bits);
        for child in index.chains.get(value as usize).into_iter().flatten() {
            if let Some(pool) = self.take(edges, *child as usize, Because::Network) {
                return Some(pool);
            }
        }
        self.take(edges, index.default? as usize, Because::Default)
    }

    /// Gathers endpoints of several children, `max` in all; the draw says which comes first.
    pub(super) fn multivalue(&mut self, node: &Node, edges: &[Edge], max: usize) -> Option<PoolId> {
        let count = edges.len();
        let start = below(mix(self.want.draw, node.key), count as u64) as usize;
        let around = self.limit;
        self.limit = around.min(self.endpoints.len() + max);
        let mut first = None;
        for i in 0..count {
            // Whether there is room never decides whether the node has something: only how much.
            if first.is_some() && self.endpoints.len() >= self.limit {
                break;
            }
            let before = self.endpoints.len();
            let Some(pool) = self.take(edges, (start + i) % count, Because::OneOfSeveral) else {
                continue;
            };
            // A child that is itself a multivalue has already added its own.
            if self.endpoints.len() == before {
                self.serve(pool);
            }
            first = first.or(Some(pool));
        }
        self.limit = around;
        first
    }
}
