//! Who listens in on a decision: nobody on the hot path, a [`Trace`] for explain.
//!
//! The walk is the same code for both, so an explanation cannot drift from what is served.

use crate::geo::Located;
use crate::health::Status;
use crate::ids::{EndpointId, NodeId, ResidencyId};
use crate::table::GeoMatch;

/// How sure a pass over the policy wants to be of what it uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Anything, down or not: failing open.
    Any,
    /// What is up, or was never probed.
    NotDown,
    /// What is known to be up.
    Up,
}

/// Why a child was not taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Why {
    /// Nothing below it is usable: it is down, or too little of it is up.
    Down,
    /// Nothing below it is known to be up, and something else is.
    Unknown,
    /// It is usable, but had nothing for this client.
    Exhausted,
    /// An earlier child was taken.
    Later,
    /// It is usable again, but failback has not happened yet.
    HeldBack,
    /// Its weight is 0 and a child with a weight is usable.
    Reserve,
    /// The draw fell on another.
    NotDrawn,
    /// Another is nearer: its estimate in milliseconds.
    Slower(f32),
    /// Another is nearer: its biased distance in kilometres.
    Farther(f32),
    /// A more specific rule was taken.
    LessSpecific,
}

/// Why a child was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Because {
    /// It is the first usable one.
    First,
    /// It is the one in use, and failback has not happened.
    InUse,
    /// The draw fell on it: its weight, of the sum over usable children.
    Drawn(u32, u32),
    /// The client's network hashes to it: its weight.
    Sticky(u32),
    /// It is the best rule that matches.
    Geo(GeoMatch),
    /// It has the least estimate, in milliseconds.
    Fastest(f32),
    /// It is the incumbent (ms), and no challenger is 10 % and 5 ms better.
    Incumbent(f32),
    /// It is the nearest: its biased distance in kilometres.
    Nearest(f32),
    /// Neither distance nor latency is known; it comes first in the policy.
    Unmeasured,
    /// The client is in one of its networks.
    Network,
    /// It is the default.
    Default,
    /// It is one of several.
    OneOfSeveral,
}

/// One step of a decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// The client's location was looked up.
    Located(Located),
    /// The residency rule pins the client.
    Pinned(ResidencyId),
    /// The residency rule does not pin the client.
    Free(ResidencyId),
    /// A pass over the policy begins.
    Pass(Level),
    /// A node is considered.
    Enter(NodeId),
    /// A child of the node entered last was not taken: (child position, reason).
    Rejected(u32, Why),
    /// A child of the node was taken: (child position, reason).
    Took(u32, Because),
    /// The node had nothing to give.
    Exhausted(NodeId),
    /// The node is done with.
    Leave,
    /// An endpoint of the chosen pool is not served.
    EndpointSkipped(EndpointId, Status),
}

/// Takes in the steps of one decision. Implementations never influence it.
pub trait Recorder {
    /// Whether anything is kept: lets the walk skip work that only serves the trace.
    const LISTENS: bool;

    /// Takes in one step.
    fn record(&mut self, step: Step);
}

/// Keeps nothing and costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Recorder for Silent {
    const LISTENS: bool = false;

    #[inline(always)]
    fn record(&mut self, _step: Step) {}
}

/// Keeps every step, in order.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Recorder for Trace {
    const LISTENS: bool = true;

    fn record(&mut self, step: Step) {
        self.steps.push(step);
    }
}
