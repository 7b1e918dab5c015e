//! From what is written to what runs: resolves names, checks ranges, fills in defaults.
//!
//! It never stops at the first problem: what is wrong is taken in and left out, and what is right is
//! looked at all the same. No client is decided for here except by `Snapshot::decide`.

mod checks;
mod clients;
mod compiled;
mod dns;
mod expect;
mod listen;
mod names;
mod node;
mod pinned;
mod places;
mod policies;
mod pools;
mod recovery;
mod residency;
mod rules;
mod services;
mod transfers;
mod upstreams;
mod zones;

use crate::checked::{Checked, Geoip, Route, ServiceInfo, SteeredName, Upstream};
use crate::de::{Names, Written, given};
use crate::files::{Files, beside};
use crate::problem::{Findings, Place, Sources, nearest};
use crate::spec::{self, defaults};
use crate::tree::shorten;
use names::Known;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use steering::geo::CountrySet;
use steering::ids::PolicyId;
use steering::{PoolId, TableSpec};

/// Checks a config. `whole` is whether every file could be read: if not, unknown names are not
/// reported, since they may stand in what is missing.
pub(crate) fn check(
    config: &spec::Config,
    whole: bool,
    sources: &Sources,
    files: &dyn Files,
    findings: &mut Findings,
    watch: &mut BTreeSet<PathBuf>,
) -> Option<Checked> {
    debug_assert!(config.include.is_none(), "what is included has been merged");
    let mut checker = Checker::new(whole, sources, files, findings, watch);
    checker.version(config);
    checker.learn_names(config);
    checker.places(config);
    checker.pools(config);
    checker.policies(config);
    checker.residencies(config);
    checker.services(config);
    let keys = checker.transfer_keys(config);
    let zones = checker.zones(config);
    checker.steered_names_lie_in(&zones);
    let expectations = checker.expectations(config);
    let node = checker.node(config);
    let dns = checker.dns(config);
    checker.compiled();
    if checker.findings.has_errors() {
        return None;
    }
    checker.unused();
    let Checker {
        table,
        services,
        geoip,
        steered,
        routes,
        upstreams,
        ..
    } = checker;
    Some(Checked {
        table,
        services,
        geoip,
        keys,
        zones,
        steered,
        routes,
        upstreams,
        listen: node.listen,
        trusted_proxies: node.trusted_proxies,
        dns,
        http: node.http,
        workers: node.workers,
        state_dir: node.state_dir,
        startup_grace: node.startup_grace,
        drain_time: node.drain_time,
        log: node.log,
        access_log: node.access_log,
        region_prefix: node.region_prefix,
        edns_client_subnet: node.edns_client_subnet,
        expectations,
        sources: sources.clone(),
    })
}

/// What is known so far, and what is being made.
struct Checker<'a> {
    whole: bool,
    sources: &'a Sources,
    files: &'a dyn Files,
    findings: &'a mut Findings,
    watch: &'a mut BTreeSet<PathBuf>,

    regions: Known,
    jurisdictions: Known,
    country_sets: Known,
    checks: Known,
    pools: Known,
    policies: Known,
    residencies: Known,
    service_names: Known,
    transfer_keys: Known,

    /// The countries of each set, by its position.
    sets: Vec<CountrySet>,
    /// The countries of each jurisdiction, by its position.
    jurisdiction_countries: Vec<CountrySet>,
    /// The policy that is this pool and nothing else, once a service uses one.
    leaf_policies: HashMap<PoolId, PolicyId>,
    /// Where each policy is written.
    policy_places: Vec<Place>,

    table: TableSpec,
    services: Vec<ServiceInfo>,
    geoip: Geoip,
    steered: Vec<SteeredName>,
    routes: Vec<Route>,
    upstreams: Vec<Upstream>,
}

impl<'a> Checker<'a> {
    fn new(
        whole: bool,
        sources: &'a Sources,
        files: &'a dyn Files,
        findings: &'a mut Findings,
        watch: &'a mut BTreeSet<PathBuf>,
    ) -> Self {
        Self {
            whole,
            sources,
            files,
            findings,
            watch,
            regions: Known::new("region", "regions"),
            jurisdictions: Known::new("jurisdiction", "jurisdictions"),
            country_sets: Known::new("country set", "country_sets"),
            checks: Known::new("health check", "health_checks"),
            pools: Known::new("pool", "pools"),
            policies: Known::new("policy", "policies"),
            residencies: Known::new("residency rule", "residency"),
            service_names: Known::new("service", "services"),
            transfer_keys: Known::new("key", "keys"),
            sets: Vec::new(),
            jurisdiction_countries: Vec::new(),
            leaf_policies: HashMap::new(),
            policy_places: Vec::new(),
            table: TableSpec::default(),
            services: Vec::new(),
            geoip: Geoip::default(),
            steered: Vec::new(),
            routes: Vec::new(),
            upstreams: Vec::new(),
        }
    }

    fn version(&mut self, config: &spec::Config) {
        let here = Place {
            file: 0,
            line: 1,
            column: 1,
            width: 1,
        };
        match &config.version {
            None if !self.whole => {}
            None => {
                self.findings
                    .error("version", here, "the config does not say its version")
                    .hint(format!(
                        "begin the first file with `version: {}`",
                        defaults::VERSION
                    ));
            }
            Some(Written {
                value: Some(version),
                place,
            }) if *version != defaults::VERSION => {
                self.findings
                    .error(
                        "version",
                        *place,
                        format!("version {version} of the config language is not known"),
                    )
                    .hint(format!("this Rhumb reads version {}", defaults::VERSION));
            }
            Some(_) => {}
        }
    }

    /// Learns every name before any is looked up, so that the order of keys means nothing.
    fn learn_names(&mut self, config: &spec::Config) {
        let findings = &mut *self.findings;
        learn(&mut self.regions, &config.regions, findings);
        learn(&mut self.jurisdictions, &config.jurisdictions, findings);
        learn(&mut self.country_sets, &config.country_sets, findings);
        learn(&mut self.checks, &config.health_checks, findings);
        learn(&mut self.pools, &config.pools, findings);
        learn(&mut self.policies, &config.policies, findings);
        learn(&mut self.residencies, &config.residency, findings);
        learn(&mut self.service_names, &config.services, findings);
        learn(&mut self.transfer_keys, &config.keys, findings);
        for (name, place) in self.policies.iter() {
            if self.pools.position(name).is_some() {
                self.findings
                    .error(
                        "ambiguous_name",
                        place,
                        format!("`{name}` is a pool and a policy"),
                    )
                    .hint("give one of them another name: policies name either");
            }
        }
    }

    /// Looks a name up; an unknown one is taken in.
    fn known(
        &mut self,
        kind: fn(&mut Self) -> &mut Known,
        name: &Written<String>,
    ) -> Option<usize> {
        let text = name.get()?;
        let known = kind(self);
        if let Some(at) = known.take(text) {
            return Some(at);
        }
        if !self.whole {
            return None;
        }
        let known = kind(self);
        let (word, hint) = (known.word, known.hint(text));
        self.findings
            .error(
                known_code(word),
                name.place,
                format!("there is no {word} `{}`", shorten(text)),
            )
            .hint(hint);
        None
    }

    /// The path of a file beside the one it is written in. It is watched, and must exist.
    fn file(&mut self, path: &Written<String>, what: &str) -> Option<PathBuf> {
        let full = self.path(path)?;
        self.watch.insert(full.clone());
        if !self.files.exists(&full) {
            self.findings
                .error(
                    "missing_file",
                    path.place,
                    format!("there is no {what} {}", full.display()),
                )
                .hint("the path is relative to the config file it is written in");
            return None;
        }
        Some(full)
    }

    /// The path of a file beside the one it is written in.
    fn path(&mut self, path: &Written<String>) -> Option<PathBuf> {
        Some(beside(self.sources.path(path.place.file), path.get()?))
    }

    /// Warns of what is defined and used by nothing.
    fn unused(&mut self) {
        for known in [
            &self.jurisdictions,
            &self.country_sets,
            &self.checks,
            &self.pools,
            &self.policies,
            &self.residencies,
            &self.transfer_keys,
        ] {
            for (name, place) in known.unused() {
                self.findings
                    .warning(
                        "unused",
                        place,
                        format!("nothing uses the {} `{}`", known.word, shorten(name)),
                    )
                    .hint("use it or take it out");
            }
        }
    }
}

fn learn<T>(known: &mut Known, names: &Option<Written<Names<T>>>, findings: &mut Findings) {
    for (name, place, _) in given(names).into_iter().flat_map(|(names, _)| names.iter()) {
        known.add(name, place);
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        // Zones and hosts have rules of their own; these are the names that logs and metrics carry.
        if name.is_empty() || name.len() > defaults::MAX_NAME || !name.chars().all(good) {
            findings
                .error(
                    "bad_name",
                    place,
                    format!("`{}` is no name for a {}", shorten(name), known.word),
                )
                .hint(format!(
                    "1 to {} letters, digits, dots, hyphens and underscores",
                    defaults::MAX_NAME
                ));
        }
    }
}

/// The code of an unknown name.
fn known_code(word: &str) -> &'static str {
    match word {
        "region" => "unknown_region",
        "jurisdiction" => "unknown_jurisdiction",
        "health check" => "unknown_health_check",
        "pool" => "unknown_pool",
        "policy" => "unknown_policy",
        "residency rule" => "unknown_residency",
        "service" => "unknown_service",
        "key" => "unknown_key_name",
        _ => "unknown_name",
    }
}

/// The nearest of the names that may be meant, else the first few of them.
fn nearest_of<'n>(written: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    /// How many names are compared: a config may have 100,000.
    const COMPARED: usize = 5_000;
    const SHOWN: usize = 8;
    nearest(written, names.clone().take(COMPARED)).unwrap_or_else(|| {
        let mut shown: Vec<&str> = names.clone().take(SHOWN).collect();
        let more = names.skip(SHOWN).count() > 0;
        if shown.is_empty() {
            return "none is defined".to_owned();
        }
        shown.sort_unstable();
        format!(
            "there is {}{}",
            shown.join(", "),
            if more { ", …" } else { "" }
        )
    })
}

/// A shared text.
fn shared(text: &str) -> Arc<str> {
    Arc::from(text)
}
