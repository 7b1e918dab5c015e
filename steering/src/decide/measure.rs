//! The nodes that compare: latency and proximity.
//!
//! Estimates are read from the snapshot and the table; nothing is measured here.

use super::Walk;
use crate::client::Plane;
use crate::geo::{Coordinates, distance_km, estimated_rtt_ms};
use crate::ids::PoolId;
use crate::latency::{row_ms, takes_over};
use crate::recorder::{Because, Level, Recorder, Step, Why};
use crate::table::{Edge, Table};

/// How a comparison speaks of itself in the trace.
#[derive(Clone, Copy)]
struct Words {
    taken: fn(f32) -> Because,
    not_taken: fn(f32) -> Why,
}

const BY_LATENCY: Words = Words {
    taken: Because::Fastest,
    not_taken: Why::Slower,
};
const BY_DISTANCE: Words = Words {
    taken: Because::Nearest,
    not_taken: Why::Farther,
};

impl<R: Recorder> Walk<'_, R> {
    /// The least round trip: from this PoP as measured (HTTP), from the client as mapped (DNS); by
    /// distance where neither is known.
    pub(super) fn latency(&mut self, edges: &[Edge], slot: u32) -> Option<PoolId> {
        match self.want.plane {
            Plane::Http => self.latency_from_here(edges, slot),
            Plane::Dns => self.latency_from_client(edges),
        }
    }

    fn latency_from_here(&mut self, edges: &[Edge], slot: u32) -> Option<PoolId> {
        let (table, snapshot) = (self.table, self.snapshot);
        let here = table.pop().place;
        let estimate = |pool: PoolId, _: i8| {
            let by_distance = || Some(estimated_rtt_ms(km_to(table, pool, here)?));
            snapshot.pool_ms(pool).or_else(by_distance)
        };
        let incumbent = snapshot.in_use(slot).map(|child| child as usize);
        self.least(edges, incumbent, estimate, BY_LATENCY)
    }

    fn latency_from_client(&mut self, edges: &[Edge]) -> Option<PoolId> {
        let table = self.table;
        let location = self.location();
        let map = table.latency_map();
        let address = self.client.rule_address();
        let (row, bits) = map.row(address.ip, &location);
        if !map.is_empty() {
            self.depends_on(address, bits);
        }
        let place = location.place().or(table.pop().place);
        let estimate = |pool: PoolId, _: i8| {
            let region = table.pools().get(pool.index())?.region;
            row_ms(row, region).or_else(|| Some(estimated_rtt_ms(km_to(table, pool, place)?)))
        };
        self.least(edges, None, estimate, BY_LATENCY)
    }

    /// The least distance from the client, each child's stretched or shrunk by its bias.
    pub(super) fn proximity(&mut self, edges: &[Edge]) -> Option<PoolId> {
        let table = self.table;
        let place = self.location().place().or(table.pop().place);
        let estimate = |pool: PoolId, bias: i8| Some(biased(km_to(table, pool, place)?, bias));
        self.least(edges, None, estimate, BY_DISTANCE)
    }

    /// Takes the usable child with the least estimate, an incumbent first unless a challenger is
    /// clearly better; on from there in rising order. Children without an estimate come last, as
    /// written.
    fn least(
        &mut self,
        edges: &[Edge],
        incumbent: Option<usize>,
        estimate: impl Fn(PoolId, i8) -> Option<f32> + Copy,
        words: Words,
    ) -> Option<PoolId> {
        let best = self.next_least(edges, None, estimate)?;
        let held = incumbent.and_then(|held| self.holds(edges, held, best, estimate));
        if let Some((ms, at)) = held
            && let Some(pool) = self.take(edges, at, Because::Incumbent(ms))
        {
            self.reject_measured(edges, at, estimate, words);
            return Some(pool);
        }
        let mut next = Some(best);
        while let Some((value, at)) = next {
            let reason = if value.is_finite() {
                (words.taken)(value)
            } else {
                Because::Unmeasured
            };
            let tried = held.is_some_and(|(_, held)| held == at);
            if !tried && let Some(pool) = self.take(edges, at, reason) {
                self.reject_measured(edges, at, estimate, words);
                return Some(pool);
            }
            next = self.next_least(edges, next, estimate);
        }
        None
    }

    /// The incumbent and its estimate, while it is usable and `best` is another that is not clearly
    /// better.
    fn holds(
        &mut self,
        edges: &[Edge],
        held: usize,
        best: (f32, usize),
        estimate: impl Fn(PoolId, i8) -> Option<f32>,
    ) -> Option<(f32, usize)> {
        let edge = edges.get(held)?;
        if held == best.1 || !self.usable(edge.node) {
            return None;
        }
        let ms = self.child_estimate(edge, estimate);
        (ms.is_finite() && !takes_over(best.0, ms)).then_some((ms, held))
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
        let usable = |pool: &PoolId| {
            self.need == Level::Any || self.snapshot.pool_state(*pool).level >= self.need
        };
        let pools = self.table.leaves(edge).iter().copied().filter(usable);
        pools
            .filter_map(|pool| estimate(pool, edge.bias))
            .filter(|value| value.is_finite())
            .fold(f32::INFINITY, f32::min)
    }

    fn reject_measured(
        &mut self,
        edges: &[Edge],
        taken: usize,
        estimate: impl Fn(PoolId, i8) -> Option<f32> + Copy,
        words: Words,
    ) {
        if !R::LISTENS {
            return;
        }
        for (i, edge) in edges.iter().enumerate().filter(|(i, _)| *i != taken) {
            if self.snapshot.node_state(edge.node).level >= self.need {
                let value = self.child_estimate(edge, estimate);
                let why = (words.not_taken)(value);
                self.recorder.record(Step::Rejected(i as u32, why));
            } else {
                self.reject_unusable(edge.node, i);
            }
        }
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

#[cfg(test)]
mod tests {
    use super::biased;

    #[test]
    fn a_bias_draws_clients_in_or_pushes_them_off() {
        for (bias, km) in [(0, 1000.0), (50, 500.0), (-50, 2000.0), (99, 10.0)] {
            let got = biased(1000.0, bias);
            assert!((got - km).abs() < 0.1, "bias {bias}: {got} km");
        }
        assert!(biased(1000.0, i8::MIN).is_finite() && biased(1000.0, i8::MAX) > 0.0);
    }
}
