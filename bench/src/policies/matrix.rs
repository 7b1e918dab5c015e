//! Which cells are measured: a group for each dimension around a base case, or the cross product.

use super::Matrix;
use crate::tables::{Kind, Shape};
use serde::Serialize;

/// Cells that belong together.
#[derive(Clone, Debug)]
pub struct Group {
    /// What varies, as a heading.
    pub title: String,
    /// What stays the same, and what the reader should know.
    pub about: String,
    /// How it is shown.
    pub layout: Layout,
    /// The cells.
    pub shapes: Vec<Shape>,
}

/// How a group is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// A line for each cell.
    Lines,
    /// A line for each kind, a column for each depth; nanoseconds in the cells.
    ByDepth,
    /// A line for each kind, a column for each width; nanoseconds in the cells.
    ByWidth,
}

/// What the groups vary from.
const BASE: Shape = Shape {
    kind: Kind::Mixed,
    depth: 2,
    width: 3,
    services: 1_000,
    pools: 30,
    residency: true,
};

const DEPTHS: std::ops::RangeInclusive<usize> = 1..=6;
const SERVICES: [usize; 3] = [1, 1_000, 100_000];
const POOLS: [usize; 3] = [3, 30, 300];
const WIDTHS: [usize; 4] = [3, 10, 30, 60];

/// The groups of a matrix, in the order they are measured.
pub fn groups(matrix: Matrix) -> Vec<Group> {
    match matrix {
        Matrix::Grouped => vec![kinds(), depths(), widths(), services(), pools()],
        Matrix::Full => vec![full()],
    }
}

fn kinds() -> Group {
    let shapes = Kind::ALL.into_iter().flat_map(|kind| {
        [true, false].map(|residency| Shape {
            kind,
            residency,
            ..BASE
        })
    });
    Group {
        title: "Kind and residency".to_owned(),
        about: format!(
            "{}. With residency every client is located, and EU clients walk the pinned tree.",
            base("depth {d}, width {w}, {s} services, {p} pools")
        ),
        layout: Layout::Lines,
        shapes: shapes.collect(),
    }
}

fn depths() -> Group {
    let shapes = Kind::ALL.into_iter().flat_map(|kind| {
        DEPTHS.map(move |depth| Shape {
            kind,
            depth,
            ..BASE
        })
    });
    Group {
        title: "Nesting depth".to_owned(),
        about: format!(
            "{}. A policy of depth 6 names 729 pools; those that compare round trips or distances look at all of them.",
            base("Width {w}, {s} services, {p} pools, residency")
        ),
        layout: Layout::ByDepth,
        shapes: shapes.collect(),
    }
}

fn widths() -> Group {
    let shapes = Kind::ALL.into_iter().flat_map(|kind| {
        WIDTHS.map(|width| Shape {
            kind,
            depth: 1,
            width,
            pools: 300,
            ..BASE
        })
    });
    Group {
        title: "Width".to_owned(),
        about: base("Children of the one node. Depth 1, {s} services, 300 pools, residency") + ".",
        layout: Layout::ByWidth,
        shapes: shapes.collect(),
    }
}

fn services() -> Group {
    Group {
        title: "Services".to_owned(),
        about: base("Mixed policies: geo over latency. Depth {d}, width {w}, {p} pools, residency")
            + "; services take turns with twenty policies.",
        layout: Layout::Lines,
        shapes: SERVICES.map(|services| Shape { services, ..BASE }).to_vec(),
    }
}

fn pools() -> Group {
    Group {
        title: "Pools".to_owned(),
        about: base(
            "Mixed policies: geo over latency. Depth {d}, width {w}, {s} services, residency",
        ) + "; three endpoints a pool.",
        layout: Layout::Lines,
        shapes: POOLS.map(|pools| Shape { pools, ..BASE }).to_vec(),
    }
}

fn full() -> Group {
    let mut shapes = Vec::new();
    for kind in Kind::ALL {
        for depth in DEPTHS {
            for services in SERVICES {
                for pools in POOLS {
                    shapes.extend([true, false].map(|residency| Shape {
                        kind,
                        depth,
                        services,
                        pools,
                        residency,
                        ..BASE
                    }));
                }
            }
        }
    }
    Group {
        title: "Everything with everything".to_owned(),
        about: base("Width {w}") + ".",
        layout: Layout::Lines,
        shapes,
    }
}

/// The text with what the base case has.
fn base(text: &str) -> String {
    text.replace("{d}", &BASE.depth.to_string())
        .replace("{w}", &BASE.width.to_string())
        .replace("{s}", "1,000")
        .replace("{p}", &BASE.pools.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dimension_is_covered_and_no_shape_is_cut() {
        let grouped: Vec<Shape> = groups(Matrix::Grouped)
            .into_iter()
            .flat_map(|group| group.shapes)
            .collect();
        let has = |wanted: &dyn Fn(&Shape) -> bool| grouped.iter().any(wanted);
        for kind in Kind::ALL {
            for depth in DEPTHS {
                assert!(has(&|s| s.kind == kind && s.depth == depth));
            }
            assert!(has(&|s| s.kind == kind && !s.residency));
        }
        for (services, pools) in SERVICES.into_iter().zip(POOLS) {
            assert!(has(&|s| s.services == services) && has(&|s| s.pools == pools));
        }
        let full = groups(Matrix::Full);
        assert_eq!(full[0].shapes.len(), 10 * 6 * 3 * 3 * 2);
        for shape in grouped.iter().chain(&full[0].shapes) {
            assert!(shape.leaves().is_some(), "{shape:?}");
        }
    }
}
