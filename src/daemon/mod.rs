//! The daemon: starts the planes over one swap, reloads, and stops in order.
//!
//! ```text
//! candidate -> first snapshot -> conductor (the one writer)
//!                                  ^ health, latency   ^ reload       readers: dns, proxy, admin
//!               checker -----------'    reloader ------'
//! ```

pub mod conductor;
mod descriptors;
mod logging;
mod planes;
mod query_log;
pub mod reload;
pub mod traffic;
pub mod transfers;
mod watch;

use crate::candidate::{Candidate, Context, Refused};
use crate::wiring::held::Held;
use conductor::{Conductor, Message};
use config::problem::render;
use config::rehearsal::Plan;
use health::{Checker, Event, Reports, Restored, Sampler, TargetReport};
use parking_lot::Mutex;
use prometheus::Registry;
use query_log::QueryLog;
use reload::{LastReload, Reloader};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steering::{Change, Decision, EndpointId, Reader, RegionId, Snapshot, Timestamp};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch as told};
use tokio::time::timeout;
use traffic::Traffic;
use transfers::{Arrived, Transfers, ZoneStatus};
use watch::Watcher;

pub use conductor::now;

/// How many health events may wait for the conductor.
const EVENTS: usize = 1024;

/// How a PoP is started.
pub struct Options {
    /// The config file.
    pub config: PathBuf,
    /// What stands in for what, at the start and in every reload; `None` for the real thing.
    pub rehearsal: Option<Plan>,
    /// Called once clients are taken.
    pub on_ready: Option<Box<dyn FnOnce() + Send>>,
}

impl Options {
    /// From this file, telling nobody.
    pub fn new(config: PathBuf) -> Self {
        Self {
            config,
            rehearsal: None,
            on_ready: None,
        }
    }
}

/// Why a PoP does not start, or does not stop well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The config does not run.
    #[error("the config does not run\n\n{}", render(.0).trim_end())]
    Config(Vec<config::Problem>),
    /// The admin address can't be listened on.
    #[error("cannot listen for admin on {0}: {1}; free it, or change listen.admin in the config")]
    Admin(SocketAddr, std::io::Error),
    /// The DNS address can't be listened on.
    #[error("{0}")]
    Dns(#[from] dns::BindError),
    /// The proxy does not start.
    #[error("{0}")]
    Proxy(#[from] proxy::StartError),
    /// The query log can't be opened.
    #[error("{0}; change dns.query_log in the config")]
    QueryLog(#[from] query_log::OpenError),
    /// The health checks do not start.
    #[error("{0}")]
    Health(#[from] health::StartError),
    /// The runtime or a signal handler can't be had.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
    /// Two parts of Rhumb use one metric name: a defect.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What the admin side sees of a running PoP.
pub struct State {
    /// The snapshot that serves.
    pub reader: Reader,
    /// Where decisions are counted.
    pub traffic: Arc<Traffic>,
    /// All metrics but the region series.
    pub registry: Registry,
    /// The one writer.
    pub conductor: mpsc::Sender<Message>,
    /// When the process started.
    pub started: Timestamp,
    /// What the region series are called before the underscore.
    pub region_prefix: String,
    listening: Mutex<HashMap<String, Vec<SocketAddr>>>,
    ready: AtomicBool,
    reports: Reports,
    last: told::Receiver<LastReload>,
    transfers: Arc<Transfers>,
}

impl State {
    /// Whether clients are taken.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// What is known of every target.
    pub fn reports(&self) -> Vec<TargetReport> {
        self.reports.all()
    }

    /// How the last reload ended.
    pub fn last_reload(&self) -> LastReload {
        self.last.borrow().clone()
    }

    /// The zones that other servers keep.
    pub fn secondary_zones(&self) -> Vec<ZoneStatus> {
        self.transfers.status()
    }

    /// Completes when the snapshot that serves has every health that the checks know: what they find
    /// passes through the conductor, which gathers.
    async fn caught_up(&self) {
        const LOOK: Duration = Duration::from_millis(5);
        let is_behind = |snapshot: &Snapshot| {
            self.reports().iter().any(|report| {
                let target = snapshot.table().target(&report.key);
                target.is_some_and(|id| snapshot.health(id).status != report.health.status)
            })
        };
        while is_behind(&self.reader.snapshot()) {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Where it listens, by plane; complete once it is ready.
    pub fn listening(&self) -> HashMap<String, Vec<SocketAddr>> {
        self.listening.lock().clone()
    }
}

/// Tells the planes' decisions and connections to those who count them.
struct Observer {
    sampler: Sampler,
    queries: Arc<QueryLog>,
    transfers: Arc<Transfers>,
}

impl dns::Observe for Observer {
    fn on_decisions(&self, snapshot: &Snapshot, region: Option<RegionId>, count: u64) {
        Traffic::count(snapshot, region, count);
    }

    fn on_query(&self, logged: &dns::Logged<'_>) {
        self.queries.write(logged);
    }

    fn on_notify(&self, snapshot: &Snapshot, notified: dns::Notified) {
        self.transfers.notified(snapshot, notified);
    }
}

impl proxy::Observe for Observer {
    fn on_decision(&self, snapshot: &Snapshot, decision: &Decision) {
        Traffic::count(snapshot, decision.region, 1);
    }

    fn on_connect(&self, snapshot: &Snapshot, endpoint: EndpointId, took: Duration) {
        let table = snapshot.table();
        let target = table.endpoints().get(endpoint.index()).map(|e| e.target);
        if let Some(target) = target.and_then(|id| table.targets().get(id.index())) {
            self.sampler
                .sample(&target.key, took.as_secs_f32() * 1000.0);
        }
    }
}

/// Runs a PoP until it is told to stop.
///
/// # Errors
/// When it can't start: the config, an address, the system.
pub fn run(options: Options) -> Result<(), RunError> {
    let traffic = Arc::new(Traffic::default());
    let held = Arc::new(Held::default());
    let context = Context {
        traffic: Some(&traffic),
        rehearsal: options.rehearsal.as_ref(),
        held: Some(&held),
        ..Context::default()
    };
    let candidate = Candidate::load(&options.config, &context)
        .map_err(|Refused { problems, .. }| RunError::Config(problems))?;
    logging::init(&candidate.checked.log);
    descriptors::raise(&candidate.checked);
    for warning in &candidate.warnings {
        tracing::warn!("{warning}");
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = candidate.checked.workers {
        runtime.worker_threads(workers);
    }
    let runtime = runtime.enable_all().thread_name("rhumb").build()?;
    runtime.block_on(serve(options, candidate, traffic, held))
}

async fn serve(
    mut options: Options,
    mut candidate: Candidate,
    traffic: Arc<Traffic>,
    held: Arc<Held>,
) -> Result<(), RunError> {
    let registry = Registry::new();
    let signals = Signals::new()?;
    // From here on, so that what changes during the start is not missed.
    let mut watcher = Watcher::new();
    watcher.set(candidate.files.clone());
    let restored = restored(&candidate);
    let (publisher, reader) = steering::channel(first(&candidate, &restored));
    let (conductor, inbox) = Conductor::new(publisher, &registry)?;
    tokio::spawn(conductor.run());
    tokio::spawn(traffic.clone().run());
    let checker = checks(&mut candidate, &restored, &inbox, &registry)?;
    let queries = QueryLog::start(candidate.checked.dns.query_log.as_ref(), &registry)?;
    let counted = Arc::new(dns::transfer::Metrics::new(&registry)?);
    let (transfers, arrivals) = Transfers::new(held, counted.clone());
    let observer = Arc::new(Observer {
        sampler: checker.sampler(),
        queries: queries.clone(),
        transfers: transfers.clone(),
    });
    let start = LastReload::start(reader.load().generation(), &candidate.warnings);
    let (last, last_told) = told::channel(start);
    let state = Arc::new(State {
        reader: reader.clone(),
        traffic: traffic.clone(),
        registry: registry.clone(),
        conductor: inbox.clone(),
        started: now(),
        region_prefix: candidate.checked.region_prefix.clone(),
        listening: Mutex::default(),
        ready: AtomicBool::new(false),
        reports: checker.reports(),
        last: last_told,
        transfers: transfers.clone(),
    });

    let planes = planes::bind(&mut candidate, &state, observer, counted).await?;
    let grace = candidate.checked.startup_grace;
    let first_round = checker.first_round();
    let known = async {
        first_round.await;
        state.caught_up().await;
    };
    if timeout(grace, known).await.is_err() {
        tracing::warn!(
            "not every endpoint has been probed within startup_grace ({grace:?}); serving with what is known"
        );
    }
    let running = planes.serve(&candidate).await?;
    state.listening.lock().clone_from(&running.listening);
    state.ready.store(true, Ordering::Release);
    tracing::info!(pop = %reader.load().table().pop().name, listening = ?running.listening, "serving");
    if let Some(on_ready) = options.on_ready.take() {
        on_ready();
    }
    let certificates = running.certificates.clone();
    let parts = reload::Parts {
        config: options.config,
        rehearsal: options.rehearsal,
        serving: candidate,
        traffic,
        conductor: inbox,
        checker,
        certificates,
        queries,
        transfers,
        last,
    };
    let mut reloader = Reloader::new(parts, &registry)?;
    reloader.begin_transfers(&reader.snapshot());
    let mut sources = Sources {
        watcher,
        signals,
        arrivals,
    };
    until_stopped(&mut reloader, &running, &mut sources).await;
    tracing::info!("stopping: no new clients; requests in flight may end");
    state.ready.store(false, Ordering::Release);
    running.stop().await;
    reloader.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// The first generation: with what a former run knew.
fn first(candidate: &Candidate, restored: &Restored) -> Snapshot {
    let known = restored.transitions(&candidate.table);
    let measured = restored.measured(&candidate.table);
    let mut first = candidate.snapshot();
    if !known.is_empty() {
        first = first.next(Change::Health(known), now());
    }
    if !measured.is_empty() {
        first = first.next(Change::Latency(measured), now());
    }
    first
}

/// Reloads as files change and on SIGHUP, until SIGTERM or SIGINT.
async fn until_stopped(reloader: &mut Reloader, running: &planes::Running, sources: &mut Sources) {
    let Sources {
        watcher,
        signals,
        arrivals,
    } = sources;
    loop {
        let why = tokio::select! {
            changed = watcher.changed() => {
                let names: Vec<String> = changed.iter().map(|path| path.display().to_string()).collect();
                format!("changed: {}", names.join(", "))
            }
            _ = signals.reload.recv() => {
                // Log rotation moves the file away and sends the same signal.
                running.reopen_logs();
                "SIGHUP".to_owned()
            }
            Some(arrived) = arrivals.recv() => {
                reloader.adopt(arrived).await;
                continue;
            }
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
        };
        watcher.set(reloader.reload(&why).await);
    }
}

/// Where changes of what serves come from, health aside.
struct Sources {
    watcher: Watcher,
    signals: Signals,
    /// Zones that other servers keep.
    arrivals: mpsc::Receiver<Arrived>,
}

struct Signals {
    reload: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// What a former run knew of the endpoints.
fn restored(candidate: &Candidate) -> Restored {
    match &candidate.checked.state_dir {
        Some(dir) => Restored::load(dir, now()),
        None => Restored::default(),
    }
}

/// Starts the health checks, and passes what they find on to the conductor.
fn checks(
    candidate: &mut Candidate,
    restored: &Restored,
    inbox: &mpsc::Sender<Message>,
    registry: &Registry,
) -> Result<Checker, RunError> {
    let (sender, mut events) = mpsc::channel(EVENTS);
    let settings = health::Settings {
        // Only spreads probes; no choice depends on it.
        seed: RandomState::new().hash_one(std::process::id()),
        state_dir: candidate.checked.state_dir.clone(),
        ..health::Settings::default()
    };
    // A candidate without a plan was refused with its problems.
    let plan = candidate
        .plan
        .take()
        .ok_or_else(|| RunError::Config(Vec::new()))?;
    let checker = Checker::start(plan, restored, settings, sender, registry)?;
    let inbox = inbox.clone();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            let message = match event {
                Event::Health(transition) => {
                    let (key, health) = (&transition.target, &transition.health);
                    tracing::debug!(address = %key.address, check = %key.check, state = health.status.name(), against = health.against, "health");
                    Message::Health(vec![transition])
                }
                Event::Latency(measured) => Message::Latency(measured),
            };
            if inbox.send(message).await.is_err() {
                return;
            }
        }
    });
    Ok(checker)
}
