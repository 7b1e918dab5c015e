//! Timed steps during a load: regions fail and heal, configs are reloaded, the rate changes; and what
//! came of each.
//!
//! ```text
//! config::scenario --stage--> stand-ins + a Rhumb of its own, or servers that run already
//!                  --phases--> what each stretch promises (the server's own changes, asked of `decide`)
//!                  --classes-> who asks, sorted by what is promised
//!                  --play----> load on both planes, steps on time, what the server says meanwhile
//!                  --judge---> events: probe, decision, first right answer, last wrong one
//! ```
//!
//! Times are real: nothing is shortened, and no interval of the config is touched. It ends only what it
//! started.

mod call;
mod classes;
mod event;
mod judge;
mod loaded;
mod phases;
mod planes;
mod play;
mod run;
mod stage;
mod standins;
mod status;
#[cfg(test)]
mod tests;
mod watch;

pub use event::{Event, Failover};
pub use play::{Options, PlanePlayed, Played, Progress, play};

use crate::asks::AsksError;
use crate::generate::GenerateError;
use crate::origin::tls::TlsError;
use crate::subject::SubjectError;
use config::Problem;
use config::problem::render;
use config::rehearsal::PlanError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a scenario can't be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// A config does not run.
    #[error("a config of the scenario does not run\n\n{}", render(.0).trim_end())]
    Config(Vec<Problem>),
    /// A table does not compile, although its config was accepted: a defect.
    #[error("the table of {0} does not compile: {1}")]
    Table(PathBuf, String),
    /// Clients can't be located.
    #[error("{0}; a rehearsal locates clients as the config says, so the database must be here")]
    Locations(String),
    /// The stand-ins can't be laid over the config.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A certificate can't be made.
    #[error(transparent)]
    Tls(TlsError),
    /// An origin does not start or obey.
    #[error("a stand-in fails: {0}; it needs free ports on 127.0.0.1")]
    Origins(#[source] io::Error),
    /// The files of a rehearsal can't be written, or no port is free.
    #[error("the rehearsal can't be prepared: {0}; it needs a temporary folder and free ports")]
    Folder(#[source] io::Error),
    /// The server does not start, or has ended.
    #[error("the rehearsed server fails: {0}")]
    Server(String),
    /// The admin address does not answer as Rhumb's does.
    #[error(
        "no Rhumb answers for admin at {0}: {1}; is it running, and is this its admin address?"
    )]
    Admin(SocketAddr, String),
    /// Not everything is up at the start.
    #[error(
        "{0} is not up before the first step: {1}; a scenario begins with all endpoints serving"
    )]
    NotUp(SocketAddr, String),
    /// A call to an origin or the admin address failed.
    #[error("{0}: {1}")]
    Call(String, String),
    /// The server refused a reload.
    #[error("{0} was refused: {1}")]
    Refused(String, String),
    /// The config can't be put under load.
    #[error(transparent)]
    Subject(#[from] SubjectError),
    /// Nobody asks, or for nothing.
    #[error(transparent)]
    Asks(#[from] AsksError),
    /// The load can't be generated.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// There is no load: no plane has a rate, an address and something to ask for.
    #[error(
        "there is nothing to ask: give a rate above 0 to a plane that the services have, and an address in `against`"
    )]
    NoLoad,
}
