//! Origins for a real PoP: the demo's own, one for each endpoint of a config, on the endpoint's address and a free port.
//!
//! Their health is flipped by hand; what a PoP makes of it is the PoP's.

use super::clients::{Ask, Http};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

#[path = "../../../src/demo/origin.rs"]
pub mod origin;

/// Running origins; they end with it.
pub struct Origins {
    /// Where each listens, by the address that the config was written with.
    moved: Vec<(SocketAddr, SocketAddr)>,
    running: Vec<AbortHandle>,
    _runtime: Runtime,
}

impl Origins {
    /// Starts one for each (address as written, region).
    pub fn start(endpoints: &[(SocketAddr, String)]) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let mut moved: Vec<(SocketAddr, SocketAddr)> = Vec::new();
        let mut running = Vec::new();
        for (written, region) in endpoints {
            if moved.iter().any(|(known, _)| known == written) {
                continue;
            }
            let listener = runtime
                .block_on(TcpListener::bind((written.ip(), 0)))
                .expect("a port on loopback");
            moved.push((*written, listener.local_addr().expect("its address")));
            let region = std::sync::Arc::<str>::from(region.as_str());
            let server = runtime.spawn(origin::serve(region, listener, std::future::pending()));
            running.push(server.abort_handle());
        }
        Self {
            moved,
            running,
            _runtime: runtime,
        }
    }

    /// The config with the addresses that the origins really have.
    pub fn apply(&self, config: &str) -> String {
        self.moved
            .iter()
            .fold(config.to_owned(), |text, (written, real)| {
                text.replace(&written.to_string(), &real.to_string())
            })
    }

    /// Ends the origin of an endpoint, by its address as written: from then on connections to it are refused.
    pub fn stop(&self, written: SocketAddr) {
        let at = self
            .moved
            .iter()
            .position(|(known, _)| *known == written)
            .expect("an endpoint of the config");
        self.running[at].abort();
        while std::net::TcpStream::connect(self.moved[at].1).is_ok() {
            std::thread::yield_now();
        }
    }

    /// Makes the health of an origin (by its real address) fail, or pass again.
    pub fn set_serving(&self, real: SocketAddr, serving: bool) {
        let path = if serving {
            "/health/up"
        } else {
            "/health/down"
        };
        let ask = Ask {
            method: "PUT",
            host: "origin",
            path,
            client: None,
        };
        let response = Http::new(real).ask(&ask).expect("an origin answers");
        assert_eq!(response.status, 200);
    }
}
