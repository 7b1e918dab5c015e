//! What the tests of this crate share: origins on loopback, tables by hand, and waiting with a bound.
#![allow(dead_code)] // each test binary uses its own part of this

pub mod rig;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use steering::health::{Check, Probe, ProbeHttp, Rules};
use steering::spec::{EndpointSpec, PoolSpec, Publish, Region};
use steering::{RegionId, Table, TableSpec};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A server of its own on a loopback port. Ends when dropped.
pub struct Origin {
    pub address: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
    peak: AtomicUsize,
}

impl Origin {
    /// Serves each connection with `serve`, all at the same time.
    pub async fn start<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::on(listener, serve)
    }

    pub fn on<F, Fut>(listener: TcpListener, serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().expect("a bound listener");
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.accepted.fetch_add(1, Ordering::SeqCst);
                let open = counted.open.fetch_add(1, Ordering::SeqCst) + 1;
                counted.peak.fetch_max(open, Ordering::SeqCst);
                let counted = counted.clone();
                let served = serve(stream);
                connections.spawn(async move {
                    served.await;
                    counted.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self {
            address,
            counts,
            task,
        }
    }

    /// Answers every request with these bytes and closes.
    pub async fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Arc<[u8]> = bytes.into().into();
        Self::start(move |mut stream| {
            let bytes = bytes.clone();
            async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                drain(&mut stream).await;
            }
        })
        .await
    }

    /// Accepts, and says nothing until the other side leaves.
    pub async fn silent() -> Self {
        Self::start(|mut stream| async move { drain(&mut stream).await }).await
    }

    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// The most connections that were open at once.
    pub fn peak(&self) -> usize {
        self.counts.peak.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads up to the end of a request's headers.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Reads until the other side leaves.
pub async fn drain(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut sink = [0; 1024];
    while matches!(stream.read(&mut sink).await, Ok(n) if n > 0) {}
}

/// An address where nothing listens: bound once, and let go.
pub async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("a bound listener")
}

/// Quick rules: tests wait for outcomes, never for a time.
pub const RULES: Rules = Rules {
    interval: Duration::from_millis(20),
    timeout: Duration::from_secs(10),
    rise: 2,
    fall: 3,
};

pub fn check(name: &str, probe: Probe, rules: Rules) -> Check {
    Check {
        name: name.into(),
        probe,
        rules,
    }
}

pub fn tcp(name: &str) -> Check {
    check(name, Probe::Tcp, RULES)
}

pub fn http() -> ProbeHttp {
    ProbeHttp {
        method: "GET".into(),
        path: "/health".into(),
        host: None,
        statuses: vec![(200, 299)],
        body: None,
        tls: None,
    }
}

/// A table with one pool for each check; a pool without one is not checked.
pub fn table(pools: &[(Option<&Check>, &[SocketAddr])]) -> Arc<Table> {
    let mut spec = TableSpec {
        regions: vec![Region {
            name: "here".into(),
            place: None,
            country: None,
            jurisdiction: None,
            capacity: None,
        }],
        ..TableSpec::default()
    };
    for (i, (check, addresses)) in pools.iter().enumerate() {
        let id = check.map(|check| {
            spec.checks.push(check.clone());
            steering::ids::CheckId::at(spec.checks.len() - 1)
        });
        let endpoint = |address: &SocketAddr| EndpointSpec {
            address: *address,
            weight: 1,
            publish: Publish::address(*address),
        };
        spec.pools.push(PoolSpec {
            name: format!("pool-{i}").into(),
            region: RegionId::at(0),
            check: id,
            min_healthy: 0.0,
            endpoints: addresses.iter().map(endpoint).collect(),
        });
    }
    Arc::new(Table::compile(spec).expect("a table that compiles"))
}

/// Waits until it is so; fails the test when it never is.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}
