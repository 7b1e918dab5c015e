//! The configs of a scenario, read and compiled as a server would have them: with stand-ins in a
//! rehearsal, as written otherwise. Zones, routes and certificates are the server's own business.

use super::ScenarioError;
use config::rehearsal::{self, Plan};
use config::{Checked, Problem, Severity};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steering::{LocationTable, Snapshot, Table, Timestamp};

use config::scenario::{Scenario, Scope};

/// One config.
pub(super) struct Loaded {
    /// What was written, checked.
    pub(super) checked: Checked,
    /// Its table.
    pub(super) table: Arc<Table>,
    /// Where clients are.
    pub(super) geo: Arc<LocationTable>,
}

impl Loaded {
    /// Reads and compiles.
    fn new(path: &Path, plan: Option<&Plan>) -> Result<Self, ScenarioError> {
        let loaded = plan.map_or_else(|| rehearsal::load(path), |plan| plan.load(path));
        let Some(mut checked) = loaded.checked else {
            let problems = loaded.problems.into_iter();
            let errors: Vec<Problem> = problems.filter(|p| p.severity == Severity::Error).collect();
            return Err(ScenarioError::Config(errors));
        };
        let networks = checked.geoip.networks.iter();
        let sources = geoip::Sources {
            database: checked.geoip.database.clone(),
            asn_database: checked.geoip.asn_database.clone(),
            networks: networks
                .map(|(cidr, location)| geoip::Override {
                    cidr: *cidr,
                    location: *location,
                })
                .collect(),
        };
        let geo = geoip::open(&sources).map_err(|e| ScenarioError::Locations(e.to_string()))?;
        let table = Table::compile(std::mem::take(&mut checked.table)).map_err(|found| {
            let first = found.first().map(ToString::to_string);
            ScenarioError::Table(path.to_owned(), first.unwrap_or_default())
        })?;
        Ok(Self {
            checked,
            table: Arc::new(table),
            geo: geo.table,
        })
    }

    /// Nothing probed yet.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.table.clone(), self.geo.clone(), Timestamp(0))
    }
}

/// All configs of a scenario, by their paths.
pub(super) struct Configs {
    by_path: BTreeMap<PathBuf, Loaded>,
    first: PathBuf,
    /// By the address in the config: where its stand-in listens.
    stand_ins: BTreeMap<SocketAddr, SocketAddr>,
}

impl Configs {
    /// Reads them.
    ///
    /// # Errors
    /// When one of them does not run.
    pub(super) fn load(scenario: &Scenario, plan: Option<&Plan>) -> Result<Self, ScenarioError> {
        let paths = scenario.configs().into_iter();
        let by_path = paths.map(|path| Ok((path.to_owned(), Loaded::new(path, plan)?)));
        Ok(Self {
            by_path: by_path.collect::<Result<_, ScenarioError>>()?,
            first: scenario.config.clone(),
            stand_ins: plan.map(|plan| plan.endpoints.clone()).unwrap_or_default(),
        })
    }

    /// The one at the start.
    pub(super) fn first(&self) -> &Loaded {
        &self.by_path[&self.first]
    }

    /// The one that is read from a path.
    pub(super) fn at(&self, path: &Path) -> Option<&Loaded> {
        self.by_path.get(path)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Loaded> {
        self.by_path.values()
    }

    /// The endpoints that a scope names in any of the configs: where they are connected to.
    pub(super) fn endpoints(&self, scopes: &[Scope]) -> BTreeSet<SocketAddr> {
        let mut found = BTreeSet::new();
        for loaded in self.all() {
            let table = &loaded.table;
            for endpoint in table.endpoints() {
                let pool = &table.pools()[endpoint.pool.index()];
                let region = &table.regions()[pool.region.index()];
                let is_meant = scopes.iter().any(|scope| match scope {
                    Scope::Region(name) => region.name == *name,
                    Scope::Pool(name) => pool.name == *name,
                    Scope::Endpoint(written) => {
                        *self.stand_ins.get(written).unwrap_or(written) == endpoint.address
                    }
                    Scope::All => true,
                });
                if is_meant {
                    found.insert(endpoint.address);
                }
            }
        }
        found
    }
}
