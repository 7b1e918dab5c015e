//! What stateful nodes remember from one generation to the next: the child in use of a `failover`
//! that does not fail back at once, and the incumbent of a `latency`.
//!
//! Moved on once a generation, never by a decision: a decision only reads it. It knows children by
//! position within one table, and finds them again by key in the next.

use super::derive::Derived;
use crate::latency::takes_over;
use crate::recorder::Level;
use crate::spec::Failback;
use crate::table::{Node, NodeKind, Table};
use crate::time::Timestamp;
use std::collections::HashMap;

/// What a stateful node remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Memory {
    /// The child in use; `None` before there was any that might serve.
    pub(super) child: Option<u32>,
    /// The earlier child that is usable again, and since when.
    better: Option<(u32, Timestamp)>,
}

impl Memory {
    fn of(child: u32) -> Self {
        Self {
            child: Some(child),
            better: None,
        }
    }
}

/// The memories of a new table: those of the nodes it shares with the old one, by key.
pub(super) fn carried(old: &Table, memories: &[Memory], new: &Table) -> Vec<Memory> {
    let known: HashMap<u64, (&Memory, &Node)> = old
        .slots
        .iter()
        .zip(memories)
        .filter_map(|(slot, memory)| {
            let node = old.nodes.get(slot.node.index())?;
            Some((slot.key, (memory, node)))
        })
        .collect();
    let carry = |key: u64, node: &Node| {
        let (memory, before) = *known.get(&key)?;
        let child = found_again(old, before, new, node, memory.child?)?;
        let better = memory.better.and_then(|(better, since)| {
            Some((found_again(old, before, new, node, better)?, since))
        });
        Some(Memory {
            child: Some(child),
            better,
        })
    };
    new.slots
        .iter()
        .map(|slot| {
            let node = new.nodes.get(slot.node.index());
            node.and_then(|node| carry(slot.key, node))
                .unwrap_or_default()
        })
        .collect()
}

/// The position in the new table of a child of the old one.
fn found_again(old: &Table, before: &Node, new: &Table, after: &Node, child: u32) -> Option<u32> {
    let key = old.children(before).get(child as usize)?.key;
    let position = new.children(after).iter().position(|edge| edge.key == key);
    position.map(|i| i as u32)
}

/// Moves the memory of a stateful node on; returns when it wants to be looked at again.
pub(super) fn advance(
    memories: &mut [Memory],
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
            let level = |child: u32| {
                let edge = table.children(node).get(child as usize);
                edge.map_or(Level::Any, |e| derived.nodes[e.node.index()].level)
            };
            let memory = memories.get_mut(slot as usize)?;
            hold(memory, node.edges.len() as u32, level, failback, now)
        }
        NodeKind::Latency { slot } => {
            challenge(memories.get_mut(slot as usize)?, node, table, derived);
            None
        }
        _ => None,
    }
}

/// Failback: keeps a failover on the child in use until that child is down, or failback is due.
///
/// A child that was never probed is not down: at start the first child is in use even if another's
/// probe is the first to come back, and manual failback does not hold clients on that other one.
fn hold(
    memory: &mut Memory,
    children: u32,
    level: impl Fn(u32) -> Level,
    failback: Failback,
    now: Timestamp,
) -> Option<Timestamp> {
    let first = |least: Level| (0..children).find(|child| level(*child) >= least);
    let first_up = first(Level::Up);
    let Some(in_use) = memory.child else {
        if let Some(child) = first(Level::NotDown) {
            *memory = Memory::of(child);
        }
        return None;
    };
    if level(in_use) == Level::Any {
        match first_up {
            Some(child) => *memory = Memory::of(child),
            // Nothing is known to be up: what was in use is what to return to.
            None => memory.better = None,
        }
        return None;
    }
    let Some(better) = first_up.filter(|child| *child < in_use) else {
        memory.better = None;
        return None;
    };
    let Failback::After(delay) = failback else {
        return None;
    };
    // Each earlier child has to stay usable for the whole delay by itself.
    let kept = memory
        .better
        .filter(|(child, _)| level(*child) == Level::Up);
    let (child, since) = kept.unwrap_or((better, now));
    memory.better = Some((child, since));
    let due = since.plus(delay);
    if due > now {
        return Some(due);
    }
    *memory = Memory::of(child);
    // An even earlier child may be usable by now: its delay begins.
    (better < child).then(|| {
        memory.better = Some((better, now));
        now.plus(delay)
    })
}

/// Latency: the incumbent stays until it is unusable or a challenger is clearly better.
fn challenge(memory: &mut Memory, node: &Node, table: &Table, derived: &Derived) {
    let estimate = |child: u32| child_ms(node, table, derived, child);
    let best = (0..node.edges.len() as u32)
        .filter_map(|child| Some((child, estimate(child)?)))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    let incumbent = memory.child.and_then(estimate);
    if let Some((child, ms)) = best
        && incumbent.is_none_or(|incumbent| takes_over(ms, incumbent))
    {
        memory.child = Some(child);
    }
}

/// The estimate of a child from this PoP's measurements: its best usable pool.
fn child_ms(node: &Node, table: &Table, derived: &Derived, child: u32) -> Option<f32> {
    let edge = table.children(node).get(child as usize)?;
    table
        .leaves(edge)
        .iter()
        .filter(|pool| derived.pools[pool.index()].level == Level::Up)
        .filter_map(|pool| derived.pool_ms(*pool))
        .min_by(f32::total_cmp)
}
