//! Rhumb and its peers on the same work, in turns: what each costs for an answer, on the machine it is
//! asked on. A server runs on one processor, the load on another, one server at a time; the figure that
//! survives a noisy machine is processor time an answer, and its ratio to Rhumb's of the same round.
//!
//! ```text
//! Options -> dns | http: Field of contests (Work + Peers)
//!              rounds: start -> ready -> check once -> warm-up -> measured window -> end, next peer
//!                        ratio: medians over rounds -> Comparison -> text, JSON, Markdown, charts
//! ```
//!
//! A peer that is missing is named and left out; one that answers wrongly is not compared but reported.
//! What this module never does: it changes nothing outside its temporary folders, talks to nothing but
//! loopback, and leaves no process behind.

mod contest;
pub mod dns;
pub mod document;
mod find;
pub mod http;
mod machine;
pub mod mmdb;
pub mod networks;
mod process;
mod ratio;
mod result;
mod rounds;
mod tables;
mod template;

pub use contest::{
    Cannot, Contest, Field, Launch, Peer, Place, Program, Programs, Reload, Rightness, Running,
    Work,
};
pub use find::{path_of, program, version};
pub use machine::{Machine, allowed_processors};
pub use process::{Server, pin_this_thread};
pub use ratio::{Spread, order, ratios};
pub use result::{Agreement, Comparison, Entry, Fate, Figures, Round, WorkResult, agreement};
pub use template::fill;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Two comparisons agree when no CPU ratio is further apart than this share.
pub const AGREE: f64 = 0.10;

/// Which half is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    /// DNS.
    Dns,
    /// HTTP.
    Http,
    /// Both.
    #[default]
    All,
}

/// What to compare, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which half.
    pub what: What,
    /// Only these peers, besides Rhumb; all where none is named.
    pub peers: Vec<String>,
    /// Only these works; all where none is named.
    pub works: Vec<String>,
    /// How many rounds.
    pub rounds: usize,
    /// How long each peer is measured in a round.
    pub window: Duration,
    /// How long it is asked before that.
    pub warmup: Duration,
    /// Where programs are.
    pub programs: Programs,
    /// Makes the same clients again.
    pub seed: u64,
    /// The day, for the result.
    pub date: String,
    /// The command that makes it again, for the result.
    pub command: String,
    /// Set it to end the comparison.
    pub stop: Arc<AtomicBool>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            what: What::All,
            peers: Vec::new(),
            works: Vec::new(),
            rounds: 8,
            window: Duration::from_millis(1200),
            warmup: Duration::from_millis(250),
            programs: Programs::default(),
            seed: 1,
            date: String::new(),
            command: "rhumb bench compare".to_owned(),
            stop: Arc::default(),
        }
    }
}

/// What goes on.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// A peer is not here, and what brings it.
    Missing {
        /// Who.
        peer: &'static str,
        /// What brings it.
        why: String,
    },
    /// A contest begins.
    Contest {
        /// [`Work::id`].
        work: String,
        /// The how-manieth, from 1.
        number: usize,
        /// Of how many.
        of: usize,
        /// Rounds times peers: how many [`Progress::Round`] there will be at most.
        steps: usize,
    },
    /// A peer's part of a round is over.
    Round {
        /// Who.
        peer: &'static str,
        /// From 1.
        round: usize,
        /// Of how many.
        of: usize,
        /// Answers a second.
        rate: f64,
        /// Processor time, microseconds an answer.
        cpu: f64,
        /// The share of a processor that others took meanwhile.
        disturbed: f64,
    },
    /// A peer's part of a round failed; it is tried once more.
    Failed {
        /// Who.
        peer: &'static str,
        /// Why.
        why: String,
    },
    /// A peer takes no part in the rest of a contest.
    LeftOut {
        /// Who.
        peer: &'static str,
        /// Why.
        why: String,
    },
}

/// Why nothing was compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A work was named that there is not.
    #[error("there is no work `{0}`; there are: {1}")]
    NoSuchWork(String, String),
    /// A peer was named that there is not.
    #[error("there is no peer `{0}`; there are: {1}")]
    NoSuchPeer(String, String),
    /// What the contests need could not be made.
    #[error("{0}")]
    Setup(String),
    /// It was stopped.
    #[error("the comparison was stopped before its end")]
    Stopped,
}

/// Compares.
///
/// # Errors
/// When a name is unknown, what the contests need can't be made, or it was stopped.
pub fn run(
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Comparison, CompareError> {
    let started = Instant::now();
    let machine = Machine::here();
    let mut fields = Vec::new();
    if options.what != What::Http {
        fields.push(dns::field(options)?);
    }
    if options.what != What::Dns {
        fields.push(http::field(options)?);
    }
    let contests: Vec<&Contest> = fields.iter().flat_map(|field| &field.contests).collect();
    check_names(options, &contests)?;
    let mut found = Found::default();
    let rules = rounds::Rules {
        rounds: options.rounds.max(1),
        window: options.window,
        warmup: options.warmup,
        pinned: machine.pinned,
        stop: &options.stop,
    };
    let contests = contests.into_iter();
    let wanted: Vec<&Contest> = contests
        .filter(|contest| wants(&options.works, contest.work.id()))
        .collect();
    let mut works = Vec::with_capacity(wanted.len());
    for (i, contest) in wanted.iter().enumerate() {
        let peers = found.of(contest, options, progress);
        progress(Progress::Contest {
            work: contest.work.id().to_owned(),
            number: i + 1,
            of: wanted.len(),
            steps: peers.len() * rules.rounds,
        });
        works.push(rounds::run(contest, &peers, &rules, progress)?);
    }
    Ok(Comparison {
        date: options.date.clone(),
        machine,
        command: options.command.clone(),
        rounds: rules.rounds,
        seconds: options.window.as_secs_f64(),
        took: started.elapsed().as_secs_f64(),
        versions: found.versions(),
        missing: found.missing(),
        works,
    })
}

fn wants(list: &[String], name: &str) -> bool {
    list.is_empty() || list.iter().any(|wanted| wanted == name)
}

fn check_names(options: &Options, contests: &[&Contest]) -> Result<(), CompareError> {
    let works: Vec<&str> = contests.iter().map(|contest| contest.work.id()).collect();
    if let Some(wrong) = options.works.iter().find(|name| !works.contains(&&***name)) {
        return Err(CompareError::NoSuchWork(wrong.clone(), works.join(", ")));
    }
    let peers = contests.iter().flat_map(|contest| &contest.peers);
    let mut peers: Vec<&str> = peers.map(|peer| peer.name()).collect();
    peers.sort_unstable();
    peers.dedup();
    if let Some(wrong) = options.peers.iter().find(|name| !peers.contains(&&***name)) {
        return Err(CompareError::NoSuchPeer(wrong.clone(), peers.join(", ")));
    }
    Ok(())
}

/// Which peers were looked for, each once.
#[derive(Default)]
struct Found(BTreeMap<&'static str, Result<Program, String>>);

impl Found {
    /// The peers of a contest that are here, by their position; the reference always first.
    fn of(
        &mut self,
        contest: &Contest,
        options: &Options,
        progress: &mut dyn FnMut(Progress),
    ) -> Vec<(usize, Program)> {
        let mut here = Vec::new();
        for (i, peer) in contest.peers.iter().enumerate() {
            // A reference of its own (Rhumb in three sizes) is never left out.
            if i > 0 && !wants(&options.peers, peer.name()) {
                continue;
            }
            let name = peer.name();
            let found = self.0.entry(name).or_insert_with(|| {
                let found = peer.find(&options.programs);
                if let Err(why) = &found {
                    let why = why.clone();
                    progress(Progress::Missing { peer: name, why });
                }
                found
            });
            if let Ok(program) = found {
                here.push((i, program.clone()));
            }
        }
        here
    }

    fn versions(&self) -> Vec<(String, String)> {
        let here = self.0.iter().filter_map(|(name, found)| {
            let program = found.as_ref().ok()?;
            Some(((*name).to_owned(), program.version.clone()))
        });
        here.collect()
    }

    fn missing(&self) -> Vec<(String, String)> {
        let missing = self.0.iter().filter_map(|(name, found)| {
            let why = found.as_ref().err()?;
            Some(((*name).to_owned(), why.clone()))
        });
        missing.collect()
    }
}
