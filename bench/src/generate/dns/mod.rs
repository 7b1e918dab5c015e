//! Load over DNS: the questions of a run, over UDP in batches or over TCP, at the pace of the load; every
//! answer is matched with its question, read, and recorded. It resolves nothing and judges no answer.
//!
//! ```text
//! asks --query--> wire templates --udp | tcp--> server
//! Recorder <--tally-- answer (regions, scope) <--flight (ID: which question, when)--+
//! ```

use super::{GenerateError, threads};
use crate::asks::Asks;
use crate::load::{Live, Load};
use crate::record::{Answer, ErrorKind, Measured};
use crate::subject::Subject;
use flight::Asked;
use query::Questions;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use steering::Plane;

pub mod answer;
mod flight;
mod link;
mod places;
mod post;
mod query;
mod rest;
mod tally;
mod tcp;
mod udp;
mod wire;

#[cfg(test)]
mod tests;

pub use answer::{Read, read};
pub use places::Places;
pub use wire::dot;

/// The UDP payload that is told where there is an OPT record and no other size was asked for: what fits
/// everywhere without fragments (DNS flag day 2020).
pub const PAYLOAD: u16 = 1232;

/// How a server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The server.
    pub server: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// Whether the client is told as client subnet (RFC 7871), as many bits as the ask knows.
    pub ecs: bool,
    /// The UDP payload told in an OPT record (RFC 6891); `None` for no OPT, unless `ecs` needs one, which
    /// then tells [`PAYLOAD`].
    pub edns: Option<u16>,
    /// What is asked for.
    pub types: Types,
    /// Ask for names that are not there: a fresh label below each name, so that nothing caches the "no".
    /// Where a wildcard covers the name, there is an answer after all.
    pub missing: bool,
    /// Sockets a thread over UDP, each with a source port of its own: servers whose sockets share a port
    /// are spread over their threads by it. At least 1, at most [`MAX_SOCKETS`].
    pub sockets: usize,
}

/// The most sockets a thread uses over UDP.
pub const MAX_SOCKETS: usize = 256;

impl Options {
    /// Over UDP, with client subnets, for addresses of both families.
    pub fn new(server: SocketAddr) -> Self {
        Self {
            server,
            transport: Transport::Udp,
            ecs: true,
            edns: Some(PAYLOAD),
            types: Types::Both,
            missing: false,
            sockets: 4,
        }
    }
}

/// Over what a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram a question.
    Udp,
    /// Connections, with questions one after the other before their answers (RFC 7766 §6.2.1.1).
    Tcp {
        /// Connections at a time, all threads together; at least one a thread.
        connections: usize,
        /// Questions before a connection is closed and made anew; `None` for as long as the server likes.
        queries: Option<NonZeroU32>,
    },
    /// The same within TLS (RFC 7858). Any certificate is believed, and each connection has a whole handshake.
    Dot {
        /// Connections at a time, all threads together; at least one a thread.
        connections: usize,
        /// Questions before a connection is closed and made anew; `None` for as long as the server likes.
        queries: Option<NonZeroU32>,
    },
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    /// A.
    A,
    /// AAAA.
    Aaaa,
    /// Each question for A, then for AAAA, as a client with both families does.
    Both,
}

impl Types {
    fn numbers(self) -> &'static [u16] {
        match self {
            Self::A => &[answer::A],
            Self::Aaaa => &[answer::AAAA],
            Self::Both => &[answer::A, answer::AAAA],
        }
    }
}

/// What all threads of a run share.
#[derive(Clone, Copy)]
struct Plan<'a> {
    asks: &'a Asks,
    questions: &'a Questions,
    places: &'a Places,
    options: &'a Options,
    load: &'a Load,
    live: &'a Live,
}

impl Plan<'_> {
    /// Whether the answer to a question says where its policy sends the client.
    #[inline]
    fn telling(&self, asked: &flight::Asked) -> bool {
        let ask = &self.asks.list[asked.question.ask as usize];
        let family = self.questions.family(asked.question);
        self.places.telling(self.asks.target(ask).service, family)
    }
}

/// Asks as the load says, and blocks until it is over: the warm-up, the duration, and at most the timeout
/// for the last answers. [`Live::stop`] ends it early.
///
/// # Errors
/// When there is nothing to ask on this plane, or the system gives no threads or sockets. Whatever
/// happens to single questions is counted in what was measured.
pub fn run(
    subject: &Subject,
    asks: &Asks,
    options: &Options,
    load: &Load,
    live: &Live,
) -> Result<Measured, GenerateError> {
    ask(&Places::of(subject), asks, options, load, live)
}

/// As [`run`], with the places told.
fn ask(
    places: &Places,
    asks: &Asks,
    options: &Options,
    load: &Load,
    live: &Live,
) -> Result<Measured, GenerateError> {
    if asks.plane != Plane::Dns {
        return Err(GenerateError::WrongPlane("DNS"));
    }
    let questions = Questions::new(asks, options)?;
    let plan = Plan {
        asks,
        questions: &questions,
        places,
        options,
        load,
        live,
    };
    let tls = match options.transport {
        Transport::Dot { .. } => Some(dot()?),
        Transport::Udp | Transport::Tcp { .. } => None,
    };
    let measured = threads::run(load, live, |seat| match options.transport {
        Transport::Udp => udp::work(plan, seat),
        Transport::Tcp {
            connections,
            queries,
        }
        | Transport::Dot {
            connections,
            queries,
        } => tcp::work(plan, connections, queries, tls.clone(), seat),
    })?;
    let measured = Measured {
        answers_a_draw: options.types.numbers().len() as u32,
        ..measured
    };
    match options.ecs && !options.missing {
        true => Ok(measured),
        false => Ok(measured.of_nobody()),
    }
}

/// What a message says to a question that has its ID.
fn judge(plan: &Plan<'_>, asked: &Asked, message: &[u8]) -> Result<Answer, ErrorKind> {
    let read = answer::read(message, plan.places).ok_or(ErrorKind::Malformed)?;
    if plan.questions.is_of(asked.question, message) {
        return read.counted();
    }
    // A server that could not read the question may leave it out, with an error (RFC 1035 §4.1.1).
    match (read.counted(), message.get(4..6)) {
        (Err(error @ ErrorKind::Rcode(_)), Some([0, 0])) => Err(error),
        _ => Err(ErrorKind::Malformed),
    }
}
