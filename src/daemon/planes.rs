//! The planes: DNS, HTTP and the admin side, bound, then serving, then stopped, in that order.
//!
//! DNS and admin addresses are bound before the first round of checks, so that a taken one is told at
//! once; clients are answered after it.

use super::query_log::QueryLog;
use super::{Observer, RunError, State};
use crate::admin;
use crate::candidate::Candidate;
use crate::wiring::Certificates;
use config::checked::{AccessLog, Checked, Listen, SecureListener};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long scrapers that keep their connection open, or a DNS client half-way through a query, are
/// waited for at stop.
const GOODBYE: Duration = Duration::from_secs(1);

/// The planes, not yet taking clients.
pub struct Planes {
    state: Arc<State>,
    observer: Arc<Observer>,
    dns: Option<dns::Server>,
    certificates: Certificates<Arc<proxy::Certificates>>,
    admin: Option<(SocketAddr, JoinHandle<std::io::Result<()>>)>,
    stop: CancellationToken,
}

/// The planes, taking clients.
pub struct Running {
    /// Where, by plane.
    pub listening: HashMap<String, Vec<SocketAddr>>,
    /// The certificates of all listeners, in the order of [`Certificates`].
    pub certificates: Vec<Arc<proxy::Certificates>>,
    dns: Option<JoinHandle<()>>,
    queries: Arc<QueryLog>,
    proxy: proxy::Handle,
    admin: Option<JoinHandle<std::io::Result<()>>>,
    stop: CancellationToken,
}

/// Binds DNS, and serves the admin side, which says that the PoP is not ready.
pub async fn bind(
    candidate: &mut Candidate,
    state: &Arc<State>,
    observer: Arc<Observer>,
    transfers: Arc<dns::transfer::Metrics>,
) -> Result<Planes, RunError> {
    let listen = &candidate.checked.listen;
    let stop = CancellationToken::new();
    let admin = match listen.admin {
        Some(address) => {
            let failed = |error| RunError::Admin(address, error);
            let listener = TcpListener::bind(address).await.map_err(failed)?;
            let bound = listener.local_addr().map_err(failed)?;
            let serving = admin::serve(listener, state.clone(), stop.clone().cancelled_owned());
            Some((bound, tokio::spawn(serving)))
        }
        None => None,
    };
    let certificates = std::mem::take(&mut candidate.certificates)
        .map(|store| Arc::new(proxy::Certificates::new(store)));
    let listeners = dns_listeners(listen, &certificates);
    let dns = if listeners.is_empty() {
        None
    } else {
        let metrics = Arc::new(dns::Metrics::new(&state.registry)?);
        let settings = dns_settings(&candidate.checked);
        let server = dns::Server::bind(
            listeners,
            state.reader.clone(),
            settings,
            metrics,
            observer.clone(),
        )?;
        Some(server.with_transfers(Arc::new(dns::transfer::Service::new(transfers))))
    };
    Ok(Planes {
        state: state.clone(),
        observer,
        dns,
        certificates,
        admin,
        stop,
    })
}

impl Planes {
    /// Takes clients.
    pub async fn serve(self, candidate: &Candidate) -> Result<Running, RunError> {
        let settings = proxy_settings(&candidate.checked, &self.certificates.https);
        let queries = self.observer.queries.clone();
        let proxy = proxy::Server::start(
            settings,
            self.state.reader.clone(),
            &self.state.registry,
            self.observer,
        )
        .await?;
        let mut listening = HashMap::from([
            ("http".to_owned(), proxy.http().to_vec()),
            ("https".to_owned(), proxy.https().to_vec()),
        ]);
        if let Some(dns) = &self.dns {
            listening.insert("dns".to_owned(), dns.addresses().to_vec());
            for transport in dns::Transport::ALL {
                let addresses = dns.encrypted(transport).to_vec();
                listening
                    .entry(transport.name().to_owned())
                    .or_insert(addresses);
            }
        }
        if let Some((address, _)) = &self.admin {
            listening.insert("admin".to_owned(), vec![*address]);
        }
        listening.retain(|_, addresses| !addresses.is_empty());
        Ok(Running {
            listening,
            certificates: self.certificates.into_iter().collect(),
            dns: self.dns.map(|dns| tokio::spawn(dns.run(self.stop.clone()))),
            queries,
            proxy,
            admin: self.admin.map(|(_, task)| task),
            stop: self.stop,
        })
    }
}

impl Running {
    /// Opens the logs' files again, after they were moved away.
    pub fn reopen_logs(&self) {
        self.proxy.reopen_access_log();
        self.queries.reopen();
    }

    /// Takes no more clients, and lets those that are there end within the drain time. The admin side
    /// goes last, so that a stop can be watched.
    pub async fn stop(self) {
        self.proxy.stop().await;
        self.stop.cancel();
        if let Some(dns) = self.dns {
            let _ = timeout(GOODBYE, dns).await;
        }
        if let Some(admin) = self.admin {
            let _ = timeout(GOODBYE, admin).await;
        }
    }
}

fn dns_listeners(
    listen: &Listen,
    certificates: &Certificates<Arc<proxy::Certificates>>,
) -> dns::Listeners {
    let secure =
        |(listener, certificates): (&SecureListener, &Arc<proxy::Certificates>)| dns::Secure {
            address: listener.address,
            certificates: certificates.clone(),
            proxied: listener.proxy_protocol,
        };
    let plain = listen.dns.iter().map(|listener| dns::Plain {
        address: listener.address,
        proxied: listener.proxy_protocol,
    });
    let doh = listen.doh.iter().zip(&certificates.doh);
    dns::Listeners {
        plain: plain.collect(),
        dot: listen
            .dot
            .iter()
            .zip(&certificates.dot)
            .map(secure)
            .collect(),
        doh: doh
            .map(|((listener, path), certificates)| {
                (secure((listener, certificates)), path.clone())
            })
            .collect(),
        doq: listen
            .doq
            .iter()
            .zip(&certificates.doq)
            .map(secure)
            .collect(),
    }
}

fn dns_settings(checked: &Checked) -> dns::Settings {
    let defaults = dns::Settings::default();
    let udp_workers = checked
        .workers
        .and_then(NonZeroUsize::new)
        .unwrap_or(defaults.udp_workers);
    dns::Settings { udp_workers }
}

fn proxy_settings(checked: &Checked, certificates: &[Arc<proxy::Certificates>]) -> proxy::Settings {
    let https = checked.listen.https.iter().zip(certificates);
    proxy::Settings {
        http: checked.listen.http.clone(),
        https: https
            .map(|(listener, certificates)| proxy::HttpsListener {
                address: listener.address,
                certificates: certificates.clone(),
            })
            .collect(),
        header_timeout: checked.http.header_timeout,
        max_header_bytes: checked.http.max_header_bytes,
        max_headers: checked.http.max_headers,
        drain_time: checked.drain_time,
        access_log: match &checked.access_log {
            AccessLog::Off => proxy::AccessLogTarget::Off,
            AccessLog::Stdout => proxy::AccessLogTarget::Stdout,
            AccessLog::File(path) => proxy::AccessLogTarget::File(path.clone()),
        },
        ..proxy::Settings::default()
    }
}
