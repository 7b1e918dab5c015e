//! One probe: connect, perhaps shake hands, perhaps ask, and say how it went. It knows no schedule and
//! keeps no state; nothing of one probe (connection, TLS session) is reused by the next.

mod body;
mod request;
mod tls;

use crate::authorities::SystemAuthorities;
use crate::failure::Failure;
use crate::plan::{Fault, PlanProblem};
use request::HttpProbe;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use steering::health::{Check, Probe};
use tls::TlsProbe;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

pub use body::MAX_BODY;
pub use request::MAX_HEAD;

/// How one probe went.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// How long the TCP connection took, when there was one.
    pub connect: Option<Duration>,
    /// How long all of it took.
    pub took: Duration,
    /// Whether the target serves.
    pub result: Result<(), Failure>,
}

/// One check made ready to run against any address.
#[derive(Debug)]
pub struct Prober {
    timeout: Duration,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Tcp,
    Tls(TlsProbe),
    Http(Box<HttpProbe>),
}

impl Prober {
    /// Makes a check ready.
    ///
    /// # Errors
    /// Everything about the check that could not be carried out.
    pub fn new(
        check: &Check,
        authorities: &mut SystemAuthorities,
    ) -> Result<Self, Vec<PlanProblem>> {
        let mut faults: Vec<Fault> = Vec::new();
        let kind = match &check.probe {
            Probe::Tcp => Some(Kind::Tcp),
            Probe::Tls(spec) => {
                TlsProbe::new(spec, None, &[], authorities, &mut faults).map(Kind::Tls)
            }
            Probe::Http(spec) => HttpProbe::new(spec, authorities, &mut faults)
                .map(|http| Kind::Http(Box::new(http))),
        };
        match kind {
            Some(kind) if faults.is_empty() => Ok(Self {
                timeout: check.rules.timeout,
                kind,
            }),
            _ => Err(faults
                .into_iter()
                .map(|fault| PlanProblem {
                    check: check.name.clone(),
                    fault,
                })
                .collect()),
        }
    }

    /// Probes an address once. Ends within the check's timeout, counted over everything.
    pub async fn probe(&self, address: SocketAddr) -> Outcome {
        let started = Instant::now();
        let mut connect = None;
        let attempt = self.attempt(address, started, &mut connect);
        let result = timeout(self.timeout, attempt).await;
        let result = result.unwrap_or(Err(match connect {
            None => Failure::ConnectTimeout(self.timeout),
            Some(_) => Failure::Timeout(self.timeout),
        }));
        Outcome {
            connect,
            took: started.elapsed(),
            result,
        }
    }

    async fn attempt(
        &self,
        address: SocketAddr,
        started: Instant,
        connect: &mut Option<Duration>,
    ) -> Result<(), Failure> {
        let mut stream = TcpStream::connect(address)
            .await
            .map_err(|e| Failure::connecting(&e))?;
        *connect = Some(started.elapsed());
        // A request is one small write; without this it may wait for nothing.
        let _ = stream.set_nodelay(true);
        match &self.kind {
            Kind::Tcp => Ok(()),
            Kind::Tls(tls) => {
                let mut stream = tls.handshake(stream, address).await?;
                say_goodbye(&mut stream).await;
                Ok(())
            }
            Kind::Http(http) => match http.tls() {
                None => http.exchange(&mut stream, address).await,
                Some(tls) => {
                    let mut stream = tls.handshake(stream, address).await?;
                    let result = http.exchange(&mut stream, address).await;
                    say_goodbye(&mut stream).await;
                    result
                }
            },
        }
    }
}

/// The value, or its fault added to the others.
fn note<T>(result: Result<T, Fault>, faults: &mut Vec<Fault>) -> Option<T> {
    result.map_err(|fault| faults.push(fault)).ok()
}

/// Ends a TLS stream with its alert (RFC 8446, 6.1), so that servers do not log a truncation for every
/// probe. Tried once and never waited for: the outcome is already known.
async fn say_goodbye(stream: &mut (impl AsyncWrite + Unpin)) {
    poll_fn(|context| {
        let _ = Pin::new(&mut *stream).poll_shutdown(context);
        Poll::Ready(())
    })
    .await;
}
