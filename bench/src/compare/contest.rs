//! What a comparison is made of: a work, the programs that do it, and what each needs to be started.
//! It starts and measures nothing.

use crate::load::{Live, Load, Pace};
use crate::record::Measured;
use std::any::Any;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A work and the programs that are given it, one after the other. The first peer is what the others
/// are compared with.
pub struct Contest {
    /// What is done.
    pub work: Box<dyn Work>,
    /// Who does it. The first is the reference: Rhumb.
    pub peers: Vec<Arc<dyn Peer>>,
}

/// All contests of one plane, and what must live while they go on (origins, certificates, tables).
pub struct Field {
    /// In the order they are run and shown.
    pub contests: Vec<Contest>,
    /// Dropped after the last contest.
    pub keep: Box<dyn Any + Send>,
}

/// What is asked of a server, and when its answers are right.
pub trait Work: Send + Sync {
    /// A short name for the command line and the result: `dns-geo`.
    fn id(&self) -> &str;

    /// A few words for a heading: `Geo by client subnet`.
    fn title(&self) -> &str;

    /// One or two sentences: what is asked, of whom, how.
    fn asked(&self) -> &str;

    /// What is counted: `query` or `request`.
    fn unit(&self) -> &'static str;

    /// How the load is kept up; a closed loop, so that every peer is asked as hard.
    fn pace(&self) -> Pace {
        Pace::Closed { in_flight: 64 }
    }

    /// How often the server reloads while it is asked; `None` for never.
    fn reload_every(&self) -> Option<Duration> {
        None
    }

    /// Whether the server answers at all; asked again and again after its start. Waits no longer than
    /// a tenth of a second or so.
    fn ready(&self, server: &Running) -> bool;

    /// Asks a sample of clients once and judges the answers.
    ///
    /// # Errors
    /// When the server can't be asked.
    fn check(&self, server: &Running) -> Result<Rightness, String>;

    /// The share of right answers without which a peer is not compared.
    fn least_right(&self) -> f64 {
        0.99
    }

    /// What must be there before the load and while it lasts, such as idle connections.
    ///
    /// # Errors
    /// When it can't be set up.
    fn prepare(&self, _server: &Running) -> Result<Box<dyn Any + Send>, String> {
        Ok(Box::new(()))
    }

    /// Puts the server under load and returns when `load` is over.
    ///
    /// # Errors
    /// When the load could not be made; a server's failures are in the [`Measured`].
    fn load(&self, server: &Running, load: &Load, live: &Live) -> Result<Measured, String>;
}

/// A server that runs, as a work sees it.
#[derive(Clone, Debug)]
pub struct Running {
    /// Whose.
    pub peer: &'static str,
    /// Where it answers.
    pub address: SocketAddr,
    /// Its folder, with config and log.
    pub folder: PathBuf,
}

/// What came of asking a sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rightness {
    /// Questions.
    pub asked: u64,
    /// Right answers.
    pub right: u64,
    /// The first few wrong ones, in words.
    pub wrong: Vec<String>,
}

impl Rightness {
    /// How many wrong answers are told.
    const TOLD: usize = 3;

    /// One more answer; `wrong` says what is wrong with it.
    pub fn add(&mut self, wrong: Option<String>) {
        self.asked += 1;
        match wrong {
            None => self.right += 1,
            Some(what) if self.wrong.len() < Self::TOLD => self.wrong.push(what),
            Some(_) => {}
        }
    }

    /// The share of right answers; 0 when nothing was asked.
    pub fn share(&self) -> f64 {
        self.right as f64 / self.asked.max(1) as f64
    }
}

/// A server program that can be given works.
pub trait Peer: Send + Sync {
    /// What it is called in tables and on the command line: `gdnsd`.
    fn name(&self) -> &'static str;

    /// Its program and version.
    ///
    /// # Errors
    /// When it is not here: what is missing, and what brings it.
    fn find(&self, programs: &Programs) -> Result<Program, String>;

    /// Writes its config for the work called `work` into `place` and says how to start it in the
    /// foreground.
    ///
    /// # Errors
    /// When it can't do this work, or the config can't be written.
    fn launch(&self, program: &Program, work: &str, place: &Place) -> Result<Launch, Cannot>;
}

/// Where programs are looked for.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// The `rhumb` that is compared; the current executable for the command line.
    pub rhumb: PathBuf,
    /// Folders that are searched before the PATH: where our own peers are built (`target/dist`), a
    /// Python environment's `bin`.
    pub folders: Vec<PathBuf>,
}

/// A program that is here.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Where.
    pub path: PathBuf,
    /// Its version, in its own words: `3.8.1`.
    pub version: String,
}

/// What a config is written for.
#[derive(Clone, Debug)]
pub struct Place {
    /// An empty folder of its own; gone after the contest.
    pub folder: PathBuf,
    /// Where it must answer. A free port was chosen a moment ago.
    pub address: SocketAddr,
    /// A free port for its control channel, where it needs one.
    pub control: SocketAddr,
}

impl Place {
    /// Writes a file into the folder and returns its path.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, Cannot> {
        let path = self.folder.join(name);
        let broken = |error| Cannot::Start(format!("{}: {error}", path.display()));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(broken)?;
        }
        std::fs::write(&path, text).map_err(broken)?;
        Ok(path)
    }
}

/// Reloads a server: the how-manieth time from 1, and the pid.
pub type Reload = Arc<dyn Fn(u32, u32) -> Result<(), String> + Send + Sync>;

/// How to start a server.
#[derive(Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// More environment.
    pub env: Vec<(OsString, OsString)>,
    /// How it is told to reload, where it can.
    pub reload: Option<Reload>,
    /// What a reader of the result should know of this peer's part, if anything.
    pub note: Option<String>,
}

impl Launch {
    /// A program with arguments, and nothing else.
    pub fn new<A: Into<OsString>>(program: &Path, args: impl IntoIterator<Item = A>) -> Self {
        Self {
            program: program.to_owned(),
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            reload: None,
            note: None,
        }
    }
}

/// Why a peer is not in a contest.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Cannot {
    /// It has no such feature; shown as `-` with this reason.
    #[error("{0}")]
    Do(String),
    /// It should, and did not start.
    #[error("{0}")]
    Start(String),
}

impl Cannot {
    /// It has no such feature.
    pub fn work(reason: impl Into<String>) -> Self {
        Self::Do(reason.into())
    }
}
