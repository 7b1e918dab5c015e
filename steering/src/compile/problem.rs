//! What keeps a spec from becoming a table, in words.
//!
//! Lines and columns are the `config` crate's; here a problem names the policy, pool or service.

use super::{MAX_DEPTH, MAX_MEASURED_CHILDREN, MAX_TREE, MAX_WEIGHTED_CHILDREN};
use std::fmt;
use std::sync::Arc;

/// What keeps a spec from becoming a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CompileProblem {
    /// A policy contains itself; the names along the circle.
    Cycle(Vec<Arc<str>>),
    /// A policy nests deeper than [`MAX_DEPTH`].
    TooDeep(Arc<str>),
    /// A policy is larger than [`MAX_TREE`] when written out.
    TooLarge(Arc<str>),
    /// A `latency` or `proximity` policy has more than [`MAX_MEASURED_CHILDREN`] children, or a
    /// `weighted` one more than [`MAX_WEIGHTED_CHILDREN`].
    TooManyChildren(Arc<str>),
    /// A policy has no children.
    Empty(Arc<str>),
    /// A policy, pool or service names an id that does not exist: a defect of the caller.
    Dangling(Arc<str>),
    /// Two services have one name.
    DuplicateService(Arc<str>),
    /// Nothing in the service's policy may serve the clients its residency pins.
    NothingAllowed {
        /// The service.
        service: Arc<str>,
        /// The residency rule.
        residency: Arc<str>,
    },
}

impl fmt::Display for CompileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cycle(names) => write!(
                f,
                "policies contain each other in a circle: {}",
                names.join(" -> ")
            ),
            Self::TooDeep(name) => write!(f, "policy {name} nests deeper than {MAX_DEPTH} levels"),
            Self::TooLarge(name) => write!(
                f,
                "policy {name} has more than {MAX_TREE} nodes when written out"
            ),
            Self::TooManyChildren(name) => write!(
                f,
                "policy {name} has too many children: at most {MAX_MEASURED_CHILDREN} in latency and \
                 proximity, {MAX_WEIGHTED_CHILDREN} in weighted; group some of them in a policy"
            ),
            Self::Empty(name) => write!(f, "policy {name} has nothing to choose from"),
            Self::Dangling(name) => {
                write!(f, "{name} refers to something that is not in the table")
            }
            Self::DuplicateService(name) => write!(f, "service {name} is defined twice"),
            Self::NothingAllowed { service, residency } => write!(
                f,
                "service {service}: its policy has no pool that residency {residency} allows"
            ),
        }
    }
}

impl std::error::Error for CompileProblem {}
