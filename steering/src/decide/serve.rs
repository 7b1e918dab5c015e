//! Which endpoints of the chosen pool are served, and in which order.
//!
//! Never looks at the client: within a pool all clients are alike. What serves at all is worked out
//! once a generation, in the snapshot.

use super::Walk;
use crate::decision::MAX_ENDPOINTS;
use crate::draw::{below, mix, rendezvous_score};
use crate::ids::{EndpointId, PoolId};
use crate::recorder::{Recorder, Step};

impl<R: Recorder> Walk<'_, R> {
    /// Adds the serving endpoints of a pool to the list, up to the limit, in the draw's order.
    pub(super) fn serve(&mut self, pool: PoolId) {
        let (serving, even) = self.snapshot.serving(pool);
        let key = self.table.pools().get(pool.index()).map_or(0, |p| p.key);
        let draw = mix(self.want.draw, key);
        if R::LISTENS {
            self.skipped(pool, serving);
        }
        if even {
            self.rotated(serving, draw)
        } else {
            self.by_weight(serving, draw)
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
    fn rotated(&mut self, serving: &[EndpointId], draw: u64) {
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
            if place >= start + count || self.endpoints.len() >= self.limit {
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
    fn by_weight(&mut self, serving: &[EndpointId], draw: u64) {
        let room = self
            .limit
            .saturating_sub(self.endpoints.len())
            .min(MAX_ENDPOINTS);
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
