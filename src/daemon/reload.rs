//! Reloading: a changed file or SIGHUP makes a new candidate; a good one is swapped in, a bad one is
//! reported and the old table serves on.

use super::conductor::Message;
use super::now;
use super::query_log::{Prepared, QueryLog};
use super::traffic::Traffic;
use super::transfers::{Arrived, Transfers};
use crate::admin::status::ago;
use crate::candidate::{Candidate, Context, Refused, keep_differences, problem};
use crate::wiring::held::{self, HeldZone};
use crate::wiring::serials;
use crate::wiring::zones::written_records;
use config::rehearsal::Plan;
use config::{Problem, Severity};
use dns::transfer::Moved;
use health::Checker;
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use steering::{Snapshot, Table, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

/// How many changes of a reload are told one by one.
const SHOWN: usize = 20;

/// How the last reload ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastReload {
    /// Whether it was swapped in. The start counts as one.
    pub applied: bool,
    /// When.
    pub at: Timestamp,
    /// The generation that it made, when applied.
    pub generation: Option<u64>,
    /// What changed, when applied.
    pub changes: Vec<String>,
    /// Errors that refused it; warnings when applied.
    pub problems: Vec<String>,
}

impl LastReload {
    /// The start, as the first reload.
    pub fn start(generation: u64, warnings: &[Problem]) -> Self {
        Self {
            applied: true,
            at: now(),
            generation: Some(generation),
            changes: Vec::new(),
            problems: warnings.iter().map(ToString::to_string).collect(),
        }
    }

    /// One line for people.
    pub fn summary(&self, now: Timestamp) -> String {
        let when = ago(now.since(self.at).as_secs());
        match self.generation {
            Some(generation) => format!("applied {when} ago as generation {generation}"),
            None => format!("REFUSED {when} ago; the table before it serves on:"),
        }
    }
}

/// What reloads are counted by.
struct Metrics {
    reloads: IntCounterVec,
    good: IntGauge,
}

impl Metrics {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let options = Opts::new(
            "rhumb_reloads_total",
            "Reloads by outcome: applied or refused",
        );
        let metrics = Self {
            reloads: IntCounterVec::new(options, &["outcome"])?,
            good: IntGauge::new(
                "rhumb_config_good",
                "1 while the files on disk are what serves, 0 after a refused reload",
            )?,
        };
        registry.register(Box::new(metrics.reloads.clone()))?;
        registry.register(Box::new(metrics.good.clone()))?;
        metrics.good.set(1);
        Ok(metrics)
    }

    fn count(&self, applied: bool) {
        let outcome = if applied { "applied" } else { "refused" };
        self.reloads.with_label_values(&[outcome]).inc();
        self.good.set(i64::from(applied));
    }
}

/// Everything a reload touches.
pub struct Parts {
    /// Which config.
    pub config: PathBuf,
    /// What stands in for what, when this is a rehearsal.
    pub rehearsal: Option<Plan>,
    /// What serves now.
    pub serving: Candidate,
    /// Where decisions are counted.
    pub traffic: Arc<Traffic>,
    /// The one writer.
    pub conductor: mpsc::Sender<Message>,
    /// The health checks.
    pub checker: Checker,
    /// The certificates of all listeners, in the order of [`Certificates`](crate::wiring::Certificates).
    pub certificates: Vec<Arc<proxy::Certificates>>,
    /// The query log.
    pub queries: Arc<QueryLog>,
    /// Zones that move between servers.
    pub transfers: Arc<Transfers>,
    /// Where the outcome is told.
    pub last: watch::Sender<LastReload>,
}

/// Makes candidates, and swaps the good ones in.
pub struct Reloader {
    parts: Parts,
    metrics: Metrics,
}

impl Reloader {
    /// A reloader over what serves now.
    ///
    /// # Errors
    /// When its metrics are registered already.
    pub fn new(parts: Parts, registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::new(registry)?;
        Ok(Self { parts, metrics })
    }

    /// Ends the health checks, and saves what they know.
    pub async fn stop(self) {
        self.parts.checker.stop().await;
    }

    /// Reads everything again; gives the files to watch from now on.
    pub async fn reload(&mut self, why: &str) -> Vec<PathBuf> {
        tracing::info!(why, "reloading");
        let loaded = tokio::task::block_in_place(|| {
            let context = Context {
                traffic: Some(&self.parts.traffic),
                geo: Some((&self.parts.serving.geo_key, &self.parts.serving.geo)),
                rehearsal: self.parts.rehearsal.as_ref(),
                held: Some(self.parts.transfers.held()),
                serving: Some(&self.parts.serving.table),
            };
            Candidate::load(&self.parts.config, &context)
        });
        let outcome = loaded
            .and_then(|candidate| self.permitted(candidate))
            .and_then(|candidate| self.prepared(candidate));
        let files = match outcome {
            Ok((candidate, queries)) => self.apply(candidate, queries).await,
            Err(refused) => self.refuse(refused),
        };
        self.metrics.count(self.parts.last.borrow().applied);
        files
    }

    /// Refuses what only a restart can change.
    fn permitted(&self, candidate: Candidate) -> Result<Candidate, Refused> {
        let diff = config::diff(&self.parts.serving.checked, &candidate.checked);
        if diff.restart.is_empty() {
            return Ok(candidate);
        }
        let message = format!("{} changed, which needs a restart", diff.restart.join(", "));
        let problem = Problem {
            hint: Some(
                "restart, or change it back to have the rest of the file take effect".to_owned(),
            ),
            ..problem(&self.parts.config, "needs_restart", "", message)
        };
        Err(Refused {
            problems: vec![problem],
            files: candidate.files,
        })
    }

    /// Opens what the candidate wants opened; what can't be refuses it.
    fn prepared(&self, candidate: Candidate) -> Result<(Candidate, Prepared), Refused> {
        let wanted = candidate.checked.dns.query_log.as_ref();
        match self.parts.queries.prepare(wanted) {
            Ok(queries) => Ok((candidate, queries)),
            Err(error) => Err(Refused {
                problems: vec![problem(
                    &self.parts.config,
                    "query_log",
                    "dns.query_log",
                    error,
                )],
                files: candidate.files,
            }),
        }
    }

    async fn apply(&mut self, mut candidate: Candidate, queries: Prepared) -> Vec<PathBuf> {
        let diff = config::diff(&self.parts.serving.checked, &candidate.checked);
        let same_geo = Arc::ptr_eq(&candidate.geo.table, &self.parts.serving.geo.table);
        let geo = (!same_geo).then(|| candidate.geo.table.clone());
        let (done, applied) = oneshot::channel();
        let message = Message::Reload(candidate.table.clone(), geo, done);
        if self.parts.conductor.send(message).await.is_err() {
            return candidate.files;
        }
        let Ok(snapshot) = applied.await else {
            return candidate.files;
        };
        if let Some(plan) = candidate.plan.take() {
            self.parts.checker.retarget(plan);
        }
        for (listener, store) in self
            .parts
            .certificates
            .iter()
            .zip(std::mem::take(&mut candidate.certificates).into_iter())
        {
            listener.replace(store);
        }
        self.parts.queries.change(queries);
        for warning in &candidate.warnings {
            tracing::warn!("{warning}");
        }
        let mut changes: Vec<String> = diff
            .changes
            .iter()
            .take(SHOWN)
            .map(ToString::to_string)
            .collect();
        let beyond = diff.beyond + diff.changes.len().saturating_sub(SHOWN);
        if beyond > 0 {
            changes.push(format!("and {beyond} more"));
        }
        for change in &changes {
            tracing::info!("reload: {change}");
        }
        tracing::info!(generation = snapshot.generation(), "reloaded");
        self.parts.last.send_replace(LastReload {
            changes,
            ..LastReload::start(snapshot.generation(), &candidate.warnings)
        });
        let files = candidate.files.clone();
        self.parts.serving = candidate;
        self.begin_transfers(&snapshot);
        files
    }

    /// After a new table: what moved is told, and the secondary zones are those of the config. Not in a rehearsal:
    /// other servers are no part of it.
    pub fn begin_transfers(&self, snapshot: &Snapshot) {
        if self.parts.rehearsal.is_none() {
            let serving = &self.parts.serving;
            self.parts.transfers.retarget(&serving.checked, snapshot);
            self.parts.transfers.moved(snapshot, &serving.moved);
            let kept = serials::keep(&serving.checked, &serving.table);
            if let Err(error) = kept {
                tracing::warn!(%error, "the serials of zones can't be kept for the next start");
            }
        }
    }

    /// Takes a transferred zone in: it is checked and then swapped in like a reload, and nothing else of what serves
    /// changes with it.
    pub async fn adopt(&mut self, arrived: Arrived) {
        let Arrived { apex, zone, done } = arrived;
        let taken = self.take_in(&apex, zone).await;
        if let Err(why) = &taken {
            tracing::error!(zone = apex, "a transferred zone is not taken: {why}");
        }
        // Its task may have been ended by a reload meanwhile; what was taken holds all the same.
        let _ = done.send(taken);
    }

    async fn take_in(&mut self, apex: &str, zone: Arc<HeldZone>) -> Result<(), String> {
        let (table, moved) =
            tokio::task::block_in_place(|| with_zone(&self.parts.serving, apex, &zone))?;
        let (done, applied) = oneshot::channel();
        let message = Message::Reload(table.clone(), None, done);
        let gone = || "Rhumb is stopping".to_owned();
        let sent = self.parts.conductor.send(message).await;
        sent.map_err(|_| gone())?;
        let snapshot = applied.await.map_err(|_| gone())?;
        self.parts.serving.table = table;
        self.parts.transfers.held().put(apex, zone);
        self.parts.transfers.moved(&snapshot, &moved);
        Ok(())
    }

    /// Says why; the old table serves on. What was looked at is watched, since a change of it may be
    /// the remedy.
    fn refuse(&mut self, refused: Refused) -> Vec<PathBuf> {
        let errors = refused
            .problems
            .iter()
            .filter(|p| p.severity == Severity::Error);
        for problem in errors.clone() {
            tracing::error!(code = problem.code, "reload refused: {problem}");
        }
        self.parts.last.send_replace(LastReload {
            applied: false,
            at: now(),
            generation: None,
            changes: Vec::new(),
            problems: errors.map(ToString::to_string).collect(),
        });
        let mut files = self.parts.serving.files.clone();
        files.extend(refused.files);
        files
    }
}

/// The table that serves with this zone in it, and what moved with that.
fn with_zone(
    serving: &Candidate,
    apex: &str,
    zone: &HeldZone,
) -> Result<(Arc<Table>, Vec<Moved>), String> {
    let mut zones = serving.checked.zones.iter();
    let written = zones.find(|zone| zone.apex == apex && !zone.primaries.is_empty());
    let written = written.ok_or("the config has no such secondary zone any more")?;
    let spec = held::spec(written, written_records(written), Some(zone));
    let mut planes = serving.table.planes().clone();
    let zones = planes.find::<dns::Zones>().ok_or("there are no zones")?;
    let built = zones
        .with(&spec, serving.steered.clone(), &dns::NoFiles)
        .map_err(|problems| told(&problems))?;
    for warning in &built.warnings {
        tracing::warn!(zone = apex, "{warning}");
    }
    planes.insert(Arc::new(built.zones));
    let moved = keep_differences(&mut planes, Some(&serving.table));
    Ok((Arc::new(serving.table.with_planes(planes)), moved))
}

/// The errors of a zone, the first few of them.
fn told(problems: &[dns::ZoneProblem]) -> String {
    const FEW: usize = 3;
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == dns::Severity::Error);
    let shown: Vec<String> = errors.clone().take(FEW).map(ToString::to_string).collect();
    match errors.count().saturating_sub(FEW) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}
