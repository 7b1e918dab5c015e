//! Origins for a real PoP: the demo's own, one for each endpoint of a config, on the endpoint's address and a free port.
//!
//! Their health is flipped by hand; what a PoP makes of it is the PoP's.

use super::clients::{Ask, Http};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

#[path = "../../../src/demo/origin.rs"]
pub mod origin;

/// Running origins; they end with it.
pub struct Origins {
    /// Where each listens, by the address that the config was written with.
    moved: Vec<(SocketAddr, SocketAddr)>,
    _runtime: Runtime,
}

impl Origins {
    /// Starts one for each (address as written, region).
    pub fn start(endpoints: &[(SocketAddr, String)]) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let mut moved: Vec<(SocketAddr, SocketAddr)> = Vec::new();
        for (written, region) in endpoints {
            if moved.iter().any(|(known, _)| known == written) {
                continue;
            }
            let listener = runtime.block_on(TcpListener::bind((written.ip(), 0))).expect("a port on loopback");
            moved.push((*written, listener.local_addr().expect("its address")));
            runtime.spawn(origin::serve(region.as_str(), listener, std::future::pending()));
        }
        Self { moved, _runtime: runtime }
    }

    /// The config with the addresses that the origins really have.
    pub fn apply(&self, config: &str) -> String {
        self.moved.iter().fold(config.to_owned(), |text, (written, real)| {
            text.replace(&written.to_string(), &real.to_string())
        })
    }

    /// Where the origin of an endpoint listens.
    pub fn real(&self, written: SocketAddr) -> SocketAddr {
        self.moved.iter().find(|(known, _)| *known == written).expect("an endpoint of the config").1
    }

    /// Makes the health of an origin (by its real address) fail, or pass again.
    pub fn set_serving(&self, real: SocketAddr, serving: bool) {
        let path = if serving { "/health/up" } else { "/health/down" };
        let ask = Ask { method: "PUT", host: "origin", path, client: None };
        let response = Http::new(real).ask(&ask).expect("an origin answers");
        assert_eq!(response.status, 200);
    }
}
