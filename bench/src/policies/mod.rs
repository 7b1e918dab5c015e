//! The pure core under load, without a server: what one decision costs for each kind of policy, by
//! nesting depth, width, services, pools and residency, over real client addresses.
//!
//! One thread calls [`steering::Snapshot::decide`] with clients drawn from the embedded country table.
//! What is measured is the decision with the location lookup it needs: no packet is parsed, nothing is
//! sent. Results are figures of the machine they were measured on; nothing is asserted.

mod matrix;
mod measure;
mod render;

pub use matrix::{Group, Layout, groups};
pub use render::{json, markdown, text};

use crate::tables::{Shape, all_up, compiled};
use measure::questions;
use serde::Serialize;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use steering::LocationTable;

/// Runs the work and says how many bytes its thread allocated meanwhile.
pub type Allocated = fn(work: &mut dyn FnMut()) -> u64;

/// Which cells are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Matrix {
    /// One dimension after the other, around a base case.
    #[default]
    Grouped,
    /// Every kind with every depth, number of services and pools, with and without residency.
    Full,
}

/// What is measured, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Which cells.
    pub matrix: Matrix,
    /// How long each is measured, at most [`MAX_TIME`]; a thousand decisions are timed in any case.
    pub time: Duration,
    /// Which clients are drawn, and in which order they ask.
    pub seed: u64,
    /// Counts allocations, in a program that has an allocator that does.
    pub allocated: Option<Allocated>,
}

/// The longest one cell is measured.
pub const MAX_TIME: Duration = Duration::from_secs(60);

impl Default for Options {
    fn default() -> Self {
        Self {
            matrix: Matrix::default(),
            time: Duration::from_millis(200),
            seed: 1,
            allocated: None,
        }
    }
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// Which cells.
    pub matrix: Matrix,
    /// How long each was measured, seconds.
    pub seconds: f64,
    /// Of the draw of clients.
    pub seed: u64,
    /// How many different clients asked.
    pub clients: usize,
    /// Where the locations come from.
    pub locations: String,
    /// Ranges of the location table, IPv4 and IPv6.
    pub ranges: (usize, usize),
    /// Whether allocations were counted.
    pub counted: bool,
    /// The measurements.
    pub groups: Vec<Measured>,
}

/// The measurements of one group.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// What varies, as a heading.
    pub title: String,
    /// What stays the same, and what the reader should know.
    pub about: String,
    /// How it is shown.
    pub layout: Layout,
    /// One for each cell.
    pub rows: Vec<Row>,
}

/// One cell.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was decided upon.
    #[serde(flatten)]
    pub shape: Shape,
    /// Nodes of the compiled table, pinned variants included.
    pub nodes: usize,
    /// How long the table took to compile, milliseconds; once.
    pub compile_ms: f64,
    /// Decisions that were timed.
    pub decisions: u64,
    /// Nanoseconds a decision, the median of batches.
    pub nanoseconds: f64,
    /// A tenth of the batches took less, nanoseconds a decision.
    pub low: f64,
    /// A tenth of the batches took more, nanoseconds a decision.
    pub high: f64,
    /// Decisions a second on one thread, by the median.
    pub per_second: f64,
    /// Bytes allocated a decision; `None` when nobody counted.
    pub bytes: Option<f64>,
    /// The share of decisions that named an endpoint, 0 to 1. The rest were refused: pinned clients for
    /// whom the policy has nothing.
    pub steered: f64,
    /// The share of clients that a residency rule pinned, 0 to 1.
    pub pinned: f64,
}

/// Measures, over the embedded country table. `progress` is told each cell before it is measured.
pub fn run(options: &Options, progress: &mut dyn FnMut(&str)) -> Results {
    let geo = geoip::embedded();
    let groups = groups(options.matrix);
    let all: usize = groups.iter().map(|group| group.shapes.len()).sum();
    let clients = measure::clients(&geo, options.seed);
    let mut done = 0;
    let mut measured = Vec::with_capacity(groups.len());
    for group in groups {
        let mut rows = Vec::with_capacity(group.shapes.len());
        for shape in &group.shapes {
            done += 1;
            progress(&format!("{done} of {all}: {}", in_words(shape)));
            rows.push(row(*shape, &geo, &clients, options));
        }
        measured.push(Measured {
            title: group.title,
            about: group.about,
            layout: group.layout,
            rows,
        });
    }
    Results {
        matrix: options.matrix,
        seconds: options.time.min(MAX_TIME).as_secs_f64(),
        seed: options.seed,
        clients: clients.len(),
        locations: geo.source.clone(),
        ranges: geo.len(),
        counted: options.allocated.is_some(),
        groups: measured,
    }
}

fn row(shape: Shape, geo: &Arc<LocationTable>, clients: &[IpAddr], options: &Options) -> Row {
    let spec = shape.spec();
    let started = Instant::now();
    let table = compiled(spec);
    let compile = started.elapsed();
    let nodes = table.nodes().len();
    let snapshot = all_up(table, geo.clone());
    let questions = questions(clients, shape.services, options.seed);
    let tally = measure::tally(&snapshot, &questions);
    let time = options.time.min(MAX_TIME);
    let pace = measure::timed(&snapshot, &questions, time);
    let bytes = options
        .allocated
        .map(|allocated| measure::allocated(&snapshot, &questions, allocated));
    Row {
        shape,
        nodes,
        compile_ms: compile.as_secs_f64() * 1e3,
        decisions: pace.decisions,
        nanoseconds: pace.median,
        low: pace.low,
        high: pace.high,
        per_second: if pace.median > 0.0 {
            1e9 / pace.median
        } else {
            0.0
        },
        bytes,
        steered: tally.steered,
        pinned: tally.pinned,
    }
}

fn in_words(shape: &Shape) -> String {
    let residency = if shape.residency {
        "residency"
    } else {
        "no residency"
    };
    format!(
        "{}, depth {}, width {}, {} services, {} pools, {residency}",
        shape.kind.name(),
        shape.depth,
        shape.width,
        shape.services,
        shape.pools,
    )
}
