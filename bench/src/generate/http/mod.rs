//! Load over HTTP: requests of the run's clients at its pace, over HTTP/1.1 or HTTP/2, plain or TLS, and
//! where each of them went by what the origin says of itself. It judges no answer.
//!
//! ```text
//! asks -> request (bytes, made before the start)
//!           |
//!           v                        +--> reply (what a head says) --> Recorder
//! pace -> h1 (mio, one loop a thread)|
//!      -> h2 (tokio, one loop a thread)
//!           h1: connection (socket, TLS) -> body (heads and bodies in any pieces)
//! ```

mod body;
mod connection;
mod h1;
mod h2;
mod h2_link;
mod idle;
mod reply;
mod request;
mod tls;

pub use tls::{Tls, Verify};

use super::GenerateError;
use super::threads;
use crate::asks::Asks;
use crate::load::{Live, Load};
use crate::record::Measured;
use crate::subject::Subject;
use reply::Rules;
use request::Requests;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
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
    /// Until the server closes them. So many over all threads; an open loop opens up to as many more
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

/// What all threads of a run share.
struct Run<'a> {
    asks: &'a Asks,
    options: &'a Options,
    load: &'a Load,
    live: &'a Live,
    rules: Rules,
    tls: Option<Secure>,
}

/// TLS of a run.
struct Secure {
    config: Arc<ClientConfig>,
    /// By target: the name that a connection begun with it asks for.
    names: Vec<ServerName<'static>>,
}

impl Run<'_> {
    /// How a connection that begins with this question is secured.
    fn secured(&self, ask: usize) -> Option<connection::Secured> {
        let secure = self.tls.as_ref()?;
        let target = usize::from(self.asks.list[ask].target);
        Some(connection::Secured {
            config: secure.config.clone(),
            name: secure.names[target].clone(),
        })
    }
}

/// Puts `load` on a server and returns what was measured, when it is over or `live` says stop.
///
/// In a closed loop over HTTP/1.1 no more requests are in flight than there are connections.
///
/// # Errors
/// When the options can't be carried out; what goes wrong with single requests is counted instead.
pub fn run(
    subject: &Subject,
    asks: &Asks,
    options: &Options,
    load: &Load,
    live: &Live,
) -> Result<Measured, GenerateError> {
    if asks.plane != Plane::Http {
        return Err(GenerateError::WrongPlane("HTTP"));
    }
    if asks.list.is_empty() {
        return Err(GenerateError::NothingToAsk);
    }
    let secure = |tls: &Tls| {
        let names = asks.targets.iter();
        let names = names.map(|target| tls::server_name(tls, &target.name));
        Ok::<_, GenerateError>(Secure {
            config: tls::client_config(tls, options.version)?,
            names: names.collect::<Result<_, _>>()?,
        })
    };
    let run = Run {
        asks,
        options,
        load,
        live,
        rules: Rules::new(subject, &options.region_header, options.region_in_body),
        tls: options.tls.as_ref().map(secure).transpose()?,
    };
    raise_file_limit();
    let close = options.connection == Connections::PerRequest;
    let requests = Requests::new(asks, options.told, options.path.as_deref(), close)?;
    let idle = idle::hold(&run, &requests)?;
    let measured = match options.version {
        Version::H1 => threads::run(load, live, |seat| h1::work(&run, &requests, seat)),
        Version::H2 { .. } => {
            let spoken = h2_link::Spoken::new(asks, options)?;
            threads::run(load, live, |seat| h2::work(&run, &spoken, seat))
        }
    };
    drop(idle);
    measured
}

/// As many connections as the system allows this process: the soft limit is for programs that use
/// select(2).
fn raise_file_limit() {
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
