//! The search tree: every network with a record, in address order, within a bound.
//!
//! In a tree for IPv6, IPv4 addresses are under `::/96` (MaxMind DB 2.0, "IPv4 addresses in an IPv6
//! tree"). Writers make further places point to that same node: `::ffff:0:0/96`, `2002::/16` and
//! `2001::/32`. Those aliases are passed over, since the location table finds such addresses by the
//! IPv4 address inside.

use super::{Fault, SEPARATOR_BYTES, limits};

/// What addresses the tree is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// The tree of a database whose layout has been checked.
pub(super) struct Tree<'a> {
    pub nodes: &'a [u8],
    pub node_count: usize,
    /// 24, 28 or 32.
    pub record_bits: u16,
    pub family: Family,
    pub data_bytes: usize,
}

/// A network with a record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    /// The family of the tree, not of the network.
    pub family: Family,
    pub first: u128,
    pub last: u128,
    /// Of its record, in the data section.
    pub offset: usize,
}

impl Leaf {
    /// The IPv4 addresses it is for: `::/96` of a tree for IPv6 is all of them.
    pub fn v4(&self) -> Option<(u32, u32)> {
        let last_v4 = u128::from(u32::MAX);
        (self.first <= last_v4).then_some((self.first as u32, self.last.min(last_v4) as u32))
    }

    /// The IPv6 addresses it is for.
    pub fn v6(&self) -> Option<(u128, u128)> {
        (self.family == Family::V6 && self.last > u128::from(u32::MAX))
            .then_some((self.first, self.last))
    }
}

/// A place in the tree still to be visited.
struct Pending {
    value: usize,
    depth: u8,
    first: u128,
}

/// Which nodes the walk has come to: one bit each.
struct Reached {
    bits: Vec<u64>,
    count: usize,
}

impl Reached {
    fn none_of(nodes: usize) -> Self {
        Self {
            bits: vec![0; nodes.div_ceil(64)],
            count: 0,
        }
    }

    fn note(&mut self, node: usize) {
        if let Some(word) = self.bits.get_mut(node / 64) {
            let bit = 1 << (node % 64);
            self.count += usize::from(*word & bit == 0);
            *word |= bit;
        }
    }
}

impl Tree<'_> {
    /// Calls `visit` for every network with a record, in ascending order.
    pub fn walk(&self, visit: &mut impl FnMut(Leaf) -> Result<(), Fault>) -> Result<(), Fault> {
        let bits = self.family.bits();
        let v4_root = self.v4_root()?;
        let mut passes_left = self.node_count.saturating_mul(limits::MAX_PASSES_PER_NODE);
        let mut reached = Reached::none_of(self.node_count);
        // Depth first with the left side on top: never more than one entry a bit, and the root.
        let mut pending = vec![Pending {
            value: 0,
            depth: 0,
            first: 0,
        }];
        while let Some(Pending {
            value,
            depth,
            first,
        }) = pending.pop()
        {
            if value > self.node_count {
                let host = (!0_u128)
                    .checked_shl(u32::from(bits - depth))
                    .map_or(!0, |mask| !mask);
                visit(Leaf {
                    family: self.family,
                    first,
                    last: first | host,
                    offset: self.offset(value)?,
                })?;
            }
            if value >= self.node_count || (Some(value) == v4_root && (depth, first) != (96, 0)) {
                continue;
            }
            if depth == bits {
                return Err(format!(
                    "node {value} of the search tree is deeper than an address is long"
                ));
            }
            passes_left = passes_left.checked_sub(1).ok_or_else(|| {
                format!("the search tree comes back to node {value} again and again")
            })?;
            reached.note(value);
            let (left, right) = self.children(value)?;
            let bit = 1_u128 << (bits - 1 - depth);
            pending.push(Pending {
                value: right,
                depth: depth + 1,
                first: first | bit,
            });
            pending.push(Pending {
                value: left,
                depth: depth + 1,
                first,
            });
        }
        // A node that was overwritten cuts off what was below it, which would just be unknown then.
        match self.node_count - reached.count {
            0 => Ok(()),
            lost => Err(format!(
                "no way leads to {lost} of the {} nodes of the search tree",
                self.node_count
            )),
        }
    }

    /// The node at `::/96` of a tree for IPv6, which aliases point to.
    fn v4_root(&self) -> Result<Option<usize>, Fault> {
        if self.family == Family::V4 {
            return Ok(None);
        }
        let mut value = 0;
        for _ in 0..96 {
            if value >= self.node_count {
                return Ok(None);
            }
            value = self.children(value)?.0;
        }
        Ok((value < self.node_count).then_some(value))
    }

    /// Where in the data section a value of the tree points to.
    fn offset(&self, value: usize) -> Result<usize, Fault> {
        match value.checked_sub(self.node_count + SEPARATOR_BYTES) {
            Some(offset) if offset < self.data_bytes => Ok(offset),
            Some(offset) => Err(format!(
                "the search tree points to byte {offset} of a data section of {} bytes",
                self.data_bytes
            )),
            None => Err(format!(
                "the search tree points to {value}, between tree and data"
            )),
        }
    }

    /// The two values of a node, left and right.
    fn children(&self, node: usize) -> Result<(usize, usize), Fault> {
        let size = usize::from(self.record_bits) / 4;
        let at = node.saturating_mul(size);
        let bytes = self.nodes.get(at..at.saturating_add(size));
        let (left, right) = match bytes {
            Some(&[a, b, c, d, e, f]) => ([0, a, b, c], [0, d, e, f]),
            // 28 bits: the middle byte holds the upper four bits of both.
            Some(&[a, b, c, both, d, e, f]) => ([both >> 4, a, b, c], [both & 15, d, e, f]),
            Some(&[a, b, c, d, e, f, g, h]) => ([a, b, c, d], [e, f, g, h]),
            _ => return Err(format!("node {node} of the search tree is beyond its end")),
        };
        Ok((
            u32::from_be_bytes(left) as usize,
            u32::from_be_bytes(right) as usize,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of 24-bit records from (left, right) pairs; `n` nodes, so that `n` is "no record" and
    /// `n + 16 + x` is the record at offset x.
    fn walked(family: Family, pairs: &[(u32, u32)]) -> Result<Vec<(u128, u128, usize)>, Fault> {
        let nodes: Vec<u8> = pairs
            .iter()
            .flat_map(|(l, r)| [&l.to_be_bytes()[1..], &r.to_be_bytes()[1..]].concat())
            .collect();
        let tree = Tree {
            nodes: &nodes,
            node_count: pairs.len(),
            record_bits: 24,
            family,
            data_bytes: 100,
        };
        let mut leaves = Vec::new();
        tree.walk(&mut |leaf| {
            leaves.push((leaf.first, leaf.last, leaf.offset));
            Ok(())
        })?;
        Ok(leaves)
    }

    #[test]
    fn leaves_come_in_order_with_their_addresses() {
        let leaves = walked(Family::V4, &[(1, 2 + 16 + 7), (2, 2 + 16)]);
        let quarter = 1 << 30;
        assert_eq!(
            leaves,
            Ok(vec![
                (quarter, 2 * quarter - 1, 0),
                (2 * quarter, (1 << 32) - 1, 7)
            ])
        );
    }

    #[test]
    fn a_cycle_is_refused() {
        assert!(walked(Family::V4, &[(0, 0)]).is_err_and(|fault| fault.contains("node 0")));
        assert!(
            walked(Family::V6, &[(0, 0)]).is_err(),
            "the root as an alias of itself"
        );
        assert!(walked(Family::V4, &[(1, 1), (0, 2)]).is_err());
    }

    #[test]
    fn nodes_that_were_cut_off_are_noticed() {
        // The root points to a record where node 1 was.
        let fault = walked(Family::V4, &[(2 + 16, 2 + 16), (2 + 16, 2)]).expect_err("refused");
        assert!(fault.contains("1 of the 2 nodes"), "{fault}");
    }

    #[test]
    fn shared_subtrees_do_not_explode() {
        // Each node points twice to the next: 2^31 paths to one record.
        let last = 31_u32;
        let pairs: Vec<_> = (0..=last).map(|i| (i + 1, i + 1)).collect();
        let fault = walked(Family::V4, &pairs).expect_err("refused");
        assert!(fault.contains("again and again"), "{fault}");
    }

    #[test]
    fn many_ways_to_the_v4_root_do_not_explode() {
        // Each of the first 96 levels points twice to the next, so every /96 is an alias of ::/96.
        let mut pairs: Vec<_> = (0..96).map(|i| (i + 1, i + 1)).collect();
        pairs.push((97 + 16, 97 + 16));
        assert!(walked(Family::V6, &pairs).is_err());
    }

    #[test]
    fn values_between_tree_and_data_or_beyond_it_are_refused() {
        for (value, says) in [
            (2, "between"),
            (16, "between"),
            (1 + 16 + 100, "100 bytes"),
            (0xff_ffff, "data section"),
        ] {
            let fault = walked(Family::V4, &[(1, value)]).expect_err("refused");
            assert!(fault.contains(says), "{value}: {fault}");
        }
    }

    #[test]
    fn a_leaf_over_all_of_v4_is_for_both_families() {
        let leaf = Leaf {
            family: Family::V6,
            first: 0,
            last: (1 << 64) - 1,
            offset: 0,
        };
        assert_eq!(leaf.v4(), Some((0, u32::MAX)));
        assert_eq!(leaf.v6(), Some((0, (1 << 64) - 1)));
        let leaf = Leaf {
            family: Family::V6,
            first: 256,
            last: 511,
            offset: 0,
        };
        assert_eq!((leaf.v4(), leaf.v6()), (Some((256, 511)), None));
        let leaf = Leaf {
            family: Family::V6,
            first: 1 << 32,
            last: (1 << 33) - 1,
            offset: 0,
        };
        assert_eq!(
            (leaf.v4(), leaf.v6()),
            (None, Some((1 << 32, (1 << 33) - 1)))
        );
        let leaf = Leaf {
            family: Family::V4,
            first: 0,
            last: u128::from(u32::MAX),
            offset: 0,
        };
        assert_eq!((leaf.v4(), leaf.v6()), (Some((0, u32::MAX)), None));
    }
}
