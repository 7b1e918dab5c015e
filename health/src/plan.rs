//! What is to be probed, checked before any of it runs: every target of a table with its check made
//! ready (TLS configuration, request). It probes nothing, so a reload can be refused for what it says.

use crate::authorities::SystemAuthorities;
use crate::probe::Prober;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use steering::Table;
use steering::health::{Check, TargetKey};
use thiserror::Error;

/// A health check that cannot be carried out as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanProblem {
    /// The check's name.
    pub check: Arc<str>,
    /// What is wrong with it.
    pub fault: Fault,
}

impl fmt::Display for PlanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "health check {}: {}", self.check, self.fault)
    }
}

impl std::error::Error for PlanProblem {}

/// What is wrong with a health check, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// Not an HTTP method that can be sent as a probe.
    #[error("method {0:?} cannot be sent; use GET, HEAD or another method without a tunnel")]
    Method(Arc<str>),
    /// Not an origin-form request target (RFC 9112, 3.2.1).
    #[error("path {0:?} is not a request path; it begins with / and has no spaces and no #")]
    Path(Arc<str>),
    /// Not a Host header value.
    #[error("host {0:?} is not a host name, or a host name and a port")]
    Host(Arc<str>),
    /// No status would ever be right.
    #[error(
        "no status is expected, so no answer could ever be right; expect at least one in 100 to 999"
    )]
    Statuses,
    /// Neither a DNS name nor an address.
    #[error("server_name {0:?} is not a host name")]
    ServerName(Arc<str>),
    /// The operator's authorities cannot be used.
    #[error(
        "the ca file has no usable certificate ({0}); it must be PEM text with CERTIFICATE blocks"
    )]
    Authorities(String),
    /// Certificates are to be verified, but there is nothing to verify them with.
    #[error(
        "it verifies certificates, but this system trusts no authority; install the ca-certificates \
         package, or give the check a ca file"
    )]
    NoSystemAuthorities,
    /// The TLS library refuses its own defaults: a defect of this build.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Every target of one table, with its check made ready.
#[derive(Debug)]
pub struct Plan {
    pub(crate) targets: Vec<PlannedTarget>,
}

#[derive(Clone, Debug)]
pub(crate) struct PlannedTarget {
    pub(crate) key: TargetKey,
    /// `None`: never probed, only measured by the connections of the proxy.
    pub(crate) check: Option<Arc<PlannedCheck>>,
}

#[derive(Debug)]
pub(crate) struct PlannedCheck {
    pub(crate) check: Check,
    pub(crate) prober: Prober,
}

impl Plan {
    /// Makes every check of the table ready. Reads the system's certificate authorities when a check
    /// needs them: disk, up to some tens of milliseconds.
    ///
    /// # Errors
    /// Every problem of every check, not only the first. Nothing has been changed then: a reload refuses
    /// the table and the old plan keeps running.
    pub fn new(table: &Table) -> Result<Self, Vec<PlanProblem>> {
        let mut authorities = SystemAuthorities::default();
        let mut problems = Vec::new();
        let mut checks = Vec::with_capacity(table.checks().len());
        for check in table.checks() {
            match Prober::new(check, &mut authorities) {
                Ok(prober) => checks.push(Arc::new(PlannedCheck {
                    check: check.clone(),
                    prober,
                })),
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let targets = table.targets().iter().map(|target| PlannedTarget {
            key: target.key.clone(),
            check: target.check.and_then(|id| checks.get(id.index()).cloned()),
        });
        Ok(Self {
            targets: targets.collect(),
        })
    }

    /// How many targets it has.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The names of all checks that have a target.
    pub(crate) fn check_names(&self) -> HashSet<Arc<str>> {
        let checks = self
            .targets
            .iter()
            .filter_map(|target| target.check.as_ref());
        checks.map(|planned| planned.check.name.clone()).collect()
    }
}
