//! Load over HTTP: requests of the run's clients at its pace, over HTTP/1.1 or HTTP/2, plain or TLS, and
//! where each of them went by what the origin says of itself. It judges no answer.
//!
//! ```text
//! asks --request--> bytes, made before the start
//!                     |
//! pace --h1 (mio)-----+--> connection (socket, TLS) --> body, reply (bytes in any pieces) --+--> tally
//!      --h2 (tokio)---+--> h2_link (connection, streams) --> reply (what a head says) ------+
//! ```

mod alarm;
mod body;
mod connection;
mod h1;
mod h2;
mod h2_link;
mod idle;
mod reply;
mod request;
mod tally;
mod tls;

pub(in crate::generate) use tls::client_config;
pub use tls::{Tls, Verify};

use super::GenerateError;
use super::threads;
use crate::asks::Asks;
use crate::load::{Live, Load};
use crate::record::Measured;
use crate::subject::Subject;
use h2_link::Spoken;
use reply::Rules;
use request::Requests;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use steering::Plane;

/// The response field by which an origin says its region, where nothing else is said.
pub const REGION_HEADER: &str = "x-region";

/// How the server is asked.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub server: SocketAddr,
    /// TLS; `None` for plain text.
    pub tls: Option<Tls>,
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// How long connections live.
    pub connection: Connections,
    /// How the server is told who the client is.
    pub told: Told,
    /// The path of all requests; `None` for the path of each target.
    pub path: Option<String>,
    /// The response field by which an origin says its region, in any case.
    pub region_header: String,
    /// Whether the member `region` of a JSON body of up to 64 KiB is believed where that field is
    /// missing. It costs a parse an answer.
    pub region_in_body: bool,
    /// Connections that are opened before the load, used once, and then held idle.
    pub idle_connections: usize,
}

impl Options {
    /// Plain HTTP/1.1 over `connections` kept connections, clients by X-Forwarded-For.
    pub fn new(server: SocketAddr, connections: usize) -> Self {
        Self {
            server,
            tls: None,
            version: Version::H1,
            connection: Connections::KeepAlive { connections },
            told: Told::XForwardedFor,
            path: None,
            region_header: REGION_HEADER.to_owned(),
            region_in_body: false,
            idle_connections: 0,
        }
    }
}

/// The version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1 (RFC 9112), one request at a time on a connection.
    H1,
    /// HTTP/2 (RFC 9113): by ALPN over TLS, by prior knowledge without.
    H2 {
        /// The most requests at a time on a connection.
        streams: usize,
    },
}

/// How long connections live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Until the server closes them. So many over all threads, at least one a thread; an open loop opens up to as many more
    /// when all of them wait for an answer, and then lets requests queue.
    KeepAlive {
        /// How many.
        connections: usize,
    },
    /// For one request. With TLS and without resumption: a full handshake each.
    PerRequest,
}

/// How the server is told who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// By `X-Forwarded-For`.
    XForwardedFor,
    /// By `Forwarded` (RFC 7239).
    Forwarded,
    /// By the PROXY protocol, version 1. A connection then belongs to one client, whose question is
    /// asked over it again and again: many clients need many connections, or one for each request.
    ProxyV1,
    /// By the PROXY protocol, version 2; else as version 1.
    ProxyV2,
    /// Not at all: it sees the address of the generator.
    Nothing,
}

/// What does not change from run to run.
struct Setup<'a> {
    asks: &'a Asks,
    options: &'a Options,
    rules: Rules,
    tls: Option<Secure>,
}

/// TLS of a run.
struct Secure {
    config: Arc<ClientConfig>,
    /// By target: the name that a connection begun with it asks for.
    names: Vec<ServerName<'static>>,
}

/// What all threads of a run share.
struct Run<'r, 'a> {
    setup: &'r Setup<'a>,
    load: &'r Load,
    live: &'r Live,
}

impl<'a> Setup<'a> {
    fn new(subject: &Subject, asks: &'a Asks, options: &'a Options) -> Result<Self, GenerateError> {
        let secure = |tls: &Tls| {
            let names = asks.targets.iter();
            let names = names.map(|target| tls::server_name(tls, &target.name));
            Ok::<_, GenerateError>(Secure {
                config: tls::client_config(tls, options.version)?,
                names: names.collect::<Result<_, _>>()?,
            })
        };
        Ok(Self {
            asks,
            options,
            rules: Rules::new(subject, &options.region_header, options.region_in_body),
            tls: options.tls.as_ref().map(secure).transpose()?,
        })
    }

    /// How a connection that begins with this question is secured.
    fn secured(&self, ask: usize) -> Option<connection::Secured> {
        let secure = self.tls.as_ref()?;
        let target = usize::from(self.asks.list[ask].target);
        Some(connection::Secured {
            config: secure.config.clone(),
            name: secure.names[target].clone(),
        })
    }

    /// Whether connections begin with a header of the PROXY protocol.
    fn tells_by_header(&self) -> bool {
        matches!(self.options.told, Told::ProxyV1 | Told::ProxyV2)
    }
}

/// A load that is ready to start: the requests are made and the idle connections are open.
pub struct Prepared<'a> {
    setup: Setup<'a>,
    requests: Made,
    _held: idle::Held,
}

/// Requests as the version of HTTP has them.
enum Made {
    H1(Requests),
    H2(Spoken),
}

impl<'a> Prepared<'a> {
    /// Makes the requests and opens the idle connections, for each of which it waits `timeout` at most.
    ///
    /// # Errors
    /// When the options can't be carried out.
    pub fn new(
        subject: &Subject,
        asks: &'a Asks,
        options: &'a Options,
        timeout: Duration,
    ) -> Result<Self, GenerateError> {
        if asks.plane != Plane::Http {
            return Err(GenerateError::WrongPlane("HTTP"));
        }
        if asks.list.is_empty() {
            return Err(GenerateError::NothingToAsk);
        }
        raise_file_limit();
        let setup = Setup::new(subject, asks, options)?;
        let path = options.path.as_deref();
        let (requests, held) = match options.version {
            Version::H1 => {
                // Clients that stay do not ask for the end of their connections.
                let staying = Requests::new(asks, options.told, path, false)?;
                let held = idle::hold_h1(&setup, &staying, timeout)?;
                let requests = match options.connection {
                    Connections::PerRequest => Requests::new(asks, options.told, path, true)?,
                    Connections::KeepAlive { .. } => staying,
                };
                (Made::H1(requests), held)
            }
            Version::H2 { .. } => {
                let spoken = Spoken::new(asks, options)?;
                let held = idle::hold_h2(&setup, &spoken, timeout)?;
                (Made::H2(spoken), held)
            }
        };
        Ok(Self {
            setup,
            requests,
            _held: held,
        })
    }

    /// Puts `load` on the server and returns what was measured, when it is over or `live` says stop.
    ///
    /// In a closed loop over HTTP/1.1 no more requests are in flight than there are connections.
    ///
    /// # Errors
    /// When the system gives no threads or event queues; what goes wrong with single requests is counted
    /// instead.
    pub fn run(&self, load: &Load, live: &Live) -> Result<Measured, GenerateError> {
        let run = Run {
            setup: &self.setup,
            load,
            live,
        };
        let measured = threads::run(load, live, |seat| match &self.requests {
            Made::H1(requests) => h1::work(&run, requests, seat),
            Made::H2(spoken) => h2::work(&run, spoken, seat),
        })?;
        match self.setup.options.told {
            Told::Nothing => Ok(measured.of_nobody()),
            _ => Ok(measured),
        }
    }
}

/// Prepares and runs at once. The run began when `live` was made: with many idle connections, [`Prepared`]
/// keeps their making out of it.
///
/// # Errors
/// As [`Prepared::new`] and [`Prepared::run`].
pub fn run(
    subject: &Subject,
    asks: &Asks,
    options: &Options,
    load: &Load,
    live: &Live,
) -> Result<Measured, GenerateError> {
    Prepared::new(subject, asks, options, load.timeout)?.run(load, live)
}

/// As many connections as the system allows this process: the soft limit is for programs that use
/// select(2).
pub(crate) fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // Without it there are fewer connections; the first that fails says so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

#[cfg(test)]
mod tests;
