//! Listeners: bind, accept within the cap, and stop gracefully. Runs on the caller's tokio runtime.

use crate::access_log::AccessLog;
use crate::client_address::canonical;
use crate::connection::Shared;
use crate::draws::Draws;
use crate::load::Load;
use crate::metrics::Metrics;
use crate::observe::Observe;
use crate::service::Service;
use crate::settings::Settings;
use crate::tls;
use pingora_core::apps::HttpServerApp;
use pingora_core::apps::HttpServerOptions;
use pingora_core::protocols::http::v2::server::default_h2_options;
use pingora_core::server::configuration::ServerConf;
use pingora_core::tls::load_platform_certs_incl_env_into_store;
use pingora_proxy::{HttpProxy, http_proxy};
use prometheus::{IntCounter, IntGauge, Registry};
use rustls::RootCertStore;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use steering::Reader;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections the kernel holds for us to accept.
const BACKLOG: u32 = 4096;

/// The most tries of one request: every endpoint of a decision, and kept connections that were closed.
const MAX_TRIES: usize = 16;

/// How long to wait when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the proxy could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address could not be bound.
    #[error("cannot listen on {address}: {source}; free the port, or set another in `listen`")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The access log could not be opened.
    #[error("cannot open the access log: {0}")]
    AccessLog(#[source] io::Error),
    /// The metrics are registered already.
    #[error("cannot register the proxy's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The system's certificate authorities cannot be read, which TLS to endpoints begins with.
    #[error(
        "cannot read the system's certificate authorities: {0}; mend them or point SSL_CERT_FILE elsewhere"
    )]
    Authorities(String),
    /// TLS could not be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Starts proxies.
#[derive(Debug)]
pub struct Server;

/// A running proxy.
pub struct Handle {
    http: Vec<SocketAddr>,
    https: Vec<SocketAddr>,
    load: Arc<Load>,
    log: Arc<AccessLog>,
    metrics: Arc<Metrics>,
    proxy: Arc<HttpProxy<Service>>,
    stop: CancellationToken,
    cut: CancellationToken,
    shutdown: watch::Sender<bool>,
    tasks: TaskTracker,
    drain_time: Duration,
}

impl Server {
    /// Binds every listener and begins to accept, on the tokio runtime this is called in.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing keeps running then.
    pub async fn start(
        settings: Settings,
        reader: Reader,
        registry: &Registry,
        observer: Arc<dyn Observe>,
    ) -> Result<Handle, StartError> {
        let plain: Vec<TcpListener> = settings
            .http
            .iter()
            .map(|address| bind(*address))
            .collect::<Result<_, _>>()?;
        let mut secure = Vec::new();
        for listener in &settings.https {
            let config = tls::server_config(listener.certificates.clone())?;
            secure.push((bind(listener.address)?, TlsAcceptor::from(config)));
        }
        let metrics = Arc::new(Metrics::new(registry)?);
        let dropped = metrics.log_dropped.clone();
        let log = AccessLog::start(&settings.access_log, settings.access_log_queue, dropped);
        let log = Arc::new(log.map_err(StartError::AccessLog)?);
        let settings = Arc::new(settings);
        let load = Arc::new(Load::default());
        let service = Service {
            reader,
            settings: settings.clone(),
            metrics: metrics.clone(),
            log: log.clone(),
            load: load.clone(),
            observer,
            draws: Draws::new(),
        };
        // Pingora reads them too, but panics where it cannot.
        load_platform_certs_incl_env_into_store(&mut RootCertStore::empty())
            .map_err(|error| StartError::Authorities(error.to_string()))?;
        let proxy = Arc::new(pingora(&settings, service));
        let (shutdown, watching) = watch::channel(false);
        let stop = CancellationToken::new();
        let mut handle = Handle {
            http: Vec::new(),
            https: Vec::new(),
            load,
            log: log.clone(),
            metrics: metrics.clone(),
            proxy: proxy.clone(),
            stop: stop.clone(),
            cut: CancellationToken::new(),
            shutdown,
            tasks: TaskTracker::new(),
            drain_time: settings.drain_time,
        };
        let slots = Arc::new(Semaphore::new(settings.max_connections));
        let shared = Arc::new(Shared {
            proxy,
            settings,
            metrics,
            log,
            stop,
            shutdown: watching,
        });
        for listener in plain {
            handle.http.extend(listener.local_addr().ok());
            handle.accept_on(listener, None, &shared, &slots);
        }
        for (listener, acceptor) in secure {
            handle.https.extend(listener.local_addr().ok());
            handle.accept_on(listener, Some(acceptor), &shared, &slots);
        }
        Ok(handle)
    }
}

/// Pingora's part, with its bounds set.
fn pingora(settings: &Settings, service: Service) -> HttpProxy<Service> {
    let conf = ServerConf {
        max_retries: MAX_TRIES,
        upstream_keepalive_pool_size: settings.upstream_keepalive,
        // It multiplies the pool size, which here is for all threads.
        threads: 1,
        ..ServerConf::default()
    };
    let mut options = HttpServerOptions::default();
    options.h2_idle_timeout = Some(settings.keep_alive);
    // Refused by the service, with a document like everything else.
    options.allow_connect_method_proxying = true;
    let mut h2 = default_h2_options();
    h2.max_header_list_size(u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX));
    let mut proxy = http_proxy(&Arc::new(conf), service);
    proxy.server_options = Some(options);
    proxy.h2_options = Some(h2);
    proxy
}

fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // A restart must not wait for the last connections' TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| StartError::Bind { address, source })
}

impl Handle {
    /// Where plain HTTP listens, in the order of the settings.
    pub fn http(&self) -> &[SocketAddr] {
        &self.http
    }

    /// Where HTTPS listens, in the order of the settings.
    pub fn https(&self) -> &[SocketAddr] {
        &self.https
    }

    /// Requests in flight by endpoint.
    pub fn load(&self) -> &Arc<Load> {
        &self.load
    }

    /// Opens the access log's file again, after it was moved away.
    pub fn reopen_access_log(&self) {
        self.log.reopen();
    }

    /// Stops accepting, lets requests in flight end within the drain time, then cuts what is left.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.shutdown.send(true);
        self.proxy.http_cleanup().await;
        self.tasks.close();
        if tokio::time::timeout(self.drain_time, self.tasks.wait())
            .await
            .is_err()
        {
            let left = self.metrics.connections.get();
            self.metrics
                .drained
                .inc_by(u64::try_from(left).unwrap_or(0));
            tracing::warn!(
                connections = left,
                "the drain time is over; busy connections are cut"
            );
            self.cut.cancel();
            self.tasks.wait().await;
        }
    }

    fn accept_on(
        &self,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
        shared: &Arc<Shared>,
        slots: &Arc<Semaphore>,
    ) {
        let kind = if tls.is_some() { "https" } else { "http" };
        let door = Door {
            listener,
            tls,
            shared: shared.clone(),
            slots: slots.clone(),
            accepted: self.metrics.accepted.with_label_values(&[kind]),
            cut: self.cut.clone(),
            tasks: self.tasks.clone(),
        };
        self.tasks.spawn(door.accept());
    }
}

impl Drop for Handle {
    /// A proxy nobody holds stops at once.
    fn drop(&mut self) {
        self.stop.cancel();
        self.cut.cancel();
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("http", &self.http)
            .field("https", &self.https)
            .finish()
    }
}

/// One listener.
struct Door {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    slots: Arc<Semaphore>,
    accepted: IntCounter,
    cut: CancellationToken,
    tasks: TaskTracker,
}

/// One connection's place under the cap.
struct Place {
    _slot: OwnedSemaphorePermit,
    gauge: IntGauge,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

impl Door {
    async fn accept(self) {
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = self.shared.stop.cancelled() => return,
            };
            match accepted {
                Ok((tcp, peer)) => self.admit(tcp, canonical(peer)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept; raise the limit of open files if it is one");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves the connection, or closes it at once when the cap is reached: its client can go elsewhere
    /// sooner than it would from a queue.
    fn admit(&self, tcp: TcpStream, peer: SocketAddr) {
        self.accepted.inc();
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            self.shared.metrics.over_cap.inc();
            return;
        };
        let gauge = self.shared.metrics.connections.clone();
        gauge.inc();
        let place = Place { _slot: slot, gauge };
        let (shared, tls, cut) = (self.shared.clone(), self.tls.clone(), self.cut.clone());
        self.tasks.spawn(async move {
            let _place = place;
            tokio::select! {
                () = shared.serve(tcp, peer, tls) => {}
                () = cut.cancelled() => {}
            }
        });
    }
}
