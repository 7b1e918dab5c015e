//! The load generators: they send the questions of a run at its pace, read the answers, and record what
//! came. One engine a protocol; neither judges an answer.

use nix::errno::Errno;
use std::io;
use std::net::SocketAddr;

pub mod dns;
pub mod http;
pub mod pace;
pub mod threads;

/// Why a load can't be generated. What goes wrong with single questions is no such error: it is counted.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The questions are for the other plane.
    #[error("the questions are not for {0}; make them for the plane that is asked")]
    WrongPlane(&'static str),
    /// There is no question.
    #[error("there is no question to ask; make at least one")]
    NothingToAsk,
    /// A name can't be put on the wire.
    #[error(
        "`{0}` is no name that can be asked over DNS: at most 63 octets a label and 255 in all"
    )]
    Name(String),
    /// A processor can't be used.
    #[error(
        "processor {processor} can't be used; name some of those in /sys/devices/system/cpu/online that \
         this process may use (taskset -p)"
    )]
    Processor {
        /// Which, from 0.
        processor: usize,
        /// Why.
        source: Errno,
    },
    /// The system gives no thread.
    #[error("no more threads can be started; ask with fewer")]
    Thread(#[source] io::Error),
    /// A thread ended without a word: a fault of this program.
    #[error("a thread of the generator panicked; what it measured is lost")]
    Panicked,
    /// The system gives no socket towards the server.
    #[error("no socket towards {server}; raise `ulimit -n`, or use fewer sockets")]
    Socket {
        /// The server.
        server: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A path can't be put in a request line.
    #[error(
        "`{0}` is no path that can be asked for; begin it with / and write other than plain ASCII as %XX"
    )]
    Path(String),
    /// A name can't be asked for over TLS.
    #[error("`{0}` is no server name that TLS can ask for; give a DNS name or an IP address")]
    ServerName(String),
    /// Certificates can't be verified.
    #[error(
        "there is no authority to verify certificates with: {0}; give a PEM file with CERTIFICATE blocks, or do not verify"
    )]
    Authorities(String),
    /// A connection that is to be held idle can't be had.
    #[error(
        "no idle connection to {server}: {why}; hold fewer, or check that the server keeps connections open"
    )]
    Idle {
        /// The server.
        server: SocketAddr,
        /// Why.
        why: String,
    },
    /// The system does not tell when there is something to read.
    #[error("waiting for answers failed")]
    Wait(#[source] io::Error),
}
