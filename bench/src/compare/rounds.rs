//! Runs one contest: every peer is checked once, then measured in rounds of changing order, one server
//! at a time on one processor and the load from the other. It knows neither DNS nor HTTP.

use super::contest::{Cannot, Contest, Launch, Peer, Place, Program, Running};
use super::machine::Busy;
use super::process::Server;
use super::ratio::order;
use super::result::{Entry, Fate, Figures, Round, WorkResult};
use super::{CompareError, Progress};
use crate::load::{Live, Load};
use crate::{ports, procfs};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(60);
/// A round in which others took more of a processor than this is measured again.
const DISTURBED: f64 = 0.08;
/// How often one peer's round is measured again at most.
const AGAIN: usize = 2;
/// And how many rounds of a contest: one in so many. A machine that is never quiet is measured as it is.
const AGAIN_ONE_IN: usize = 3;
/// A round in which a server ran for less than so many seconds does not count: five of the ticks that the
/// kernel counts in.
const LEAST_RAN: f64 = 0.05;
/// How often a server that reloads does so in a round.
const RELOADS: u32 = 3;

/// What holds for every contest.
pub struct Rules<'a> {
    /// How many rounds.
    pub rounds: usize,
    /// How long a round is measured.
    pub window: Duration,
    /// How long it is asked before that.
    pub warmup: Duration,
    /// The processors of the server and of the load.
    pub pinned: Option<(usize, usize)>,
    /// Ends it all.
    pub stop: &'a AtomicBool,
}

/// A peer that takes part.
struct Runner<'a> {
    peer: &'a dyn Peer,
    program: Program,
    rounds: Vec<Option<Round>>,
    right: f64,
    note: Option<String>,
    /// Why it takes part no longer.
    out: Option<Fate>,
}

/// Runs a contest.
///
/// # Errors
/// When it was stopped, or the reference can't do the work.
pub fn run(
    contest: &Contest,
    peers: &[(usize, Program)],
    rules: &Rules<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<WorkResult, CompareError> {
    let mut runners: Vec<Runner<'_>> = peers
        .iter()
        .map(|(i, program)| Runner {
            peer: &*contest.peers[*i],
            program: program.clone(),
            rounds: Vec::new(),
            right: 0.0,
            note: None,
            out: None,
        })
        .collect();
    let mut again = runners.len() * rules.rounds / AGAIN_ONE_IN;
    for round in 0..rules.rounds {
        for i in order(runners.len(), round) {
            if rules.stop.load(Ordering::Relaxed) {
                return Err(CompareError::Stopped);
            }
            one_round(contest, &mut runners[i], round, rules, &mut again, progress);
        }
    }
    Ok(result(contest, runners))
}

/// One peer's part of a round, measured again while others disturb it; the quietest counts.
fn one_round(
    contest: &Contest,
    runner: &mut Runner<'_>,
    round: usize,
    rules: &Rules<'_>,
    again: &mut usize,
    progress: &mut dyn FnMut(Progress),
) {
    if runner.out.is_some() {
        return;
    }
    let peer = runner.peer.name();
    let mut measured = with_server(contest, runner, rules, again);
    if let Err(Fate::Failed(why)) = &measured {
        // Somebody else may have taken its port; what is broken fails again.
        progress(Progress::Failed {
            peer,
            why: why.clone(),
        });
        measured = with_server(contest, runner, rules, again);
    }
    let measured = match measured {
        Ok(measured) => measured,
        Err(fate) => {
            let why = match &fate {
                Fate::Cannot(why) | Fate::Failed(why) => why.clone(),
                Fate::Wrong { examples, .. } => examples.join("; "),
                Fate::Measured(_) => String::new(),
            };
            progress(Progress::LeftOut { peer, why });
            // A server that ran before and then broke off is out with all its rounds.
            runner.out = Some(fate);
            return;
        }
    };
    progress(Progress::Round {
        peer,
        round: round + 1,
        of: rules.rounds,
        rate: measured.rate,
        cpu: measured.cpu(),
        disturbed: measured.disturbed,
    });
    // A server that hardly ran, because others had its processor, tells nothing of its cost.
    let ran = measured.cpu() * measured.answered as f64 / 1e6;
    runner.rounds.push((ran >= LEAST_RAN).then_some(measured));
}

/// Starts the peer's server and measures a round of it.
fn with_server(
    contest: &Contest,
    runner: &mut Runner<'_>,
    rules: &Rules<'_>,
    again: &mut usize,
) -> Result<Round, Fate> {
    let folder = tempfile::Builder::new().prefix("rhumb-compare-").tempdir();
    let folder = folder.map_err(|e| Fate::Failed(format!("no temporary folder: {e}")))?;
    let place = Place {
        folder: folder.path().to_owned(),
        address: free_port()?,
        control: free_port()?,
    };
    let launch = runner
        .peer
        .launch(&runner.program, contest.work.id(), &place)
        .map_err(fate)?;
    runner.note.clone_from(&launch.note);
    let server = Running {
        peer: runner.peer.name(),
        address: place.address,
        folder: place.folder.clone(),
    };
    let processor = rules.pinned.map(|(server, _)| server);
    let mut process = Server::start(&launch, &place.folder, processor).map_err(fate)?;
    process
        .wait_ready(START, || contest.work.ready(&server))
        .map_err(fate)?;
    if runner.rounds.is_empty() {
        check(contest, runner, &server)?;
    }
    let kept = contest.work.prepare(&server).map_err(Fate::Failed)?;
    let mut best = window(contest, &server, &launch, &mut process, rules)?;
    for _ in 0..AGAIN {
        let stopped = rules.stop.load(Ordering::Relaxed);
        let quiet = best.answered > 0 && best.disturbed <= DISTURBED;
        if quiet || *again == 0 || stopped {
            break;
        }
        *again -= 1;
        let next = window(contest, &server, &launch, &mut process, rules)?;
        // A machine that stood still (a virtual one may be paused) looks like the quietest of all.
        let better = next.answered > 0 && next.disturbed < best.disturbed;
        if best.answered == 0 || better {
            best = next;
        }
    }
    drop(kept);
    if best.answered == 0 {
        return Err(Fate::Failed("not one answer in a round".into()));
    }
    Ok(best)
}

fn fate(cannot: Cannot) -> Fate {
    match cannot {
        Cannot::Do(why) => Fate::Cannot(why),
        Cannot::Start(why) => Fate::Failed(why),
    }
}

fn check(contest: &Contest, runner: &mut Runner<'_>, server: &Running) -> Result<(), Fate> {
    let found = contest.work.check(server).map_err(Fate::Failed)?;
    runner.right = found.share();
    if runner.right < contest.work.least_right() {
        return Err(Fate::Wrong {
            right: runner.right,
            examples: found.wrong,
        });
    }
    Ok(())
}

/// One measured load: the server's processor time between the end of the warm-up and the end.
fn window(
    contest: &Contest,
    server: &Running,
    launch: &Launch,
    process: &mut Server,
    rules: &Rules<'_>,
) -> Result<Round, Fate> {
    // A few reloads in each round.
    let reloads = contest.work.reload_every().unwrap_or_default() * RELOADS;
    let length = rules.window.max(reloads);
    let load = Load {
        pace: contest.work.pace(),
        duration: length,
        warmup: rules.warmup,
        timeout: Duration::from_secs(1),
        threads: 1,
        processors: rules.pinned.iter().map(|(_, load)| *load).collect(),
        slice: None,
    };
    let pid = process.pid();
    let live = Live::new(&load);
    std::thread::scope(|scope| {
        let work = scope.spawn(|| contest.work.load(server, &load, &live));
        let reloads = Reloads::new(contest, launch, pid);
        sleep_until(live.started() + rules.warmup);
        let before = Sample::take(pid);
        let reloads = reloads.until(live.started() + rules.warmup + length)?;
        let after = Sample::take(pid);
        let measured = work
            .join()
            .map_err(|_| Fate::Failed("the load broke off".into()))?;
        let measured = measured.map_err(Fate::Failed)?;
        if process.has_ended().is_some() {
            return Err(fate(process.failure("it ended under load")));
        }
        let elapsed = (after.at - before.at).as_secs_f64();
        // The load records on its own clock, which ends a little before or after ours.
        let answers = measured.rate() * elapsed;
        let each = 1e6 / answers.max(1.0);
        let cpu = after.server - before.server;
        let own = after.own - before.own;
        let micros = |quantile| measured.latency.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Round {
            rate: measured.rate(),
            p50: micros(0.5),
            p99: micros(0.99),
            user: cpu.user * each,
            system: cpu.system * each,
            resident: procfs::tree_resident_bytes(pid) as f64,
            answered: measured.answered,
            failed: measured.failed(),
            reloads,
            disturbed: after
                .busy
                .disturbed_since(&before.busy, cpu.total() + own.total()),
            limited: measured.limited,
        })
    })
}

/// What was spent up to a moment.
struct Sample {
    at: Instant,
    server: procfs::Cpu,
    own: procfs::Cpu,
    busy: Busy,
}

impl Sample {
    fn take(pid: u32) -> Self {
        Self {
            at: Instant::now(),
            server: procfs::tree_cpu(pid),
            own: procfs::own_cpu(),
            busy: Busy::now(),
        }
    }
}

/// Reloads that come round while the load goes on.
struct Reloads<'a> {
    every: Option<Duration>,
    launch: &'a Launch,
    pid: u32,
}

impl<'a> Reloads<'a> {
    fn new(contest: &Contest, launch: &'a Launch, pid: u32) -> Self {
        Self {
            every: contest.work.reload_every(),
            launch,
            pid,
        }
    }

    /// Reloads until `end`, the first time after half a period, and says how often.
    fn until(&self, end: Instant) -> Result<u64, Fate> {
        let (Some(every), Some(reload)) = (self.every, &self.launch.reload) else {
            sleep_until(end);
            return Ok(0);
        };
        let mut next = Instant::now() + every / 2;
        let mut count = 0;
        while next < end {
            sleep_until(next);
            count += 1;
            reload(count, self.pid).map_err(Fate::Failed)?;
            next += every;
        }
        sleep_until(end);
        Ok(count.into())
    }
}

fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

fn free_port() -> Result<SocketAddr, Fate> {
    ports::free().map_err(|error| Fate::Failed(format!("no free port on 127.0.0.1: {error}")))
}

fn result(contest: &Contest, runners: Vec<Runner<'_>>) -> WorkResult {
    let reference = runners.first().map(|runner| runner.rounds.clone());
    let entries = runners.into_iter().enumerate().map(|(i, runner)| {
        let against = reference.as_deref().filter(|_| i > 0);
        let figures = || {
            let figures = Figures::of(runner.rounds, against, runner.right);
            figures.map_or_else(
                || Fate::Failed("others had its processor in every round".into()),
                |f| Fate::Measured(Box::new(f)),
            )
        };
        Entry {
            peer: runner.peer.name().to_owned(),
            fate: runner.out.unwrap_or_else(figures),
            note: runner.note,
        }
    });
    WorkResult {
        id: contest.work.id().to_owned(),
        title: contest.work.title().to_owned(),
        asked: contest.work.asked().to_owned(),
        unit: contest.work.unit().to_owned(),
        entries: entries.collect(),
    }
}
