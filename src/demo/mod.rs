//! `rhumb demo`: a complete PoP on loopback with nothing to set up, for a first look.
//!
//! It is the daemon that `rhumb run` starts, with origins beside it; nothing is special about how it
//! steers. Its config is a file to open and edit while it runs.

mod certificate;
mod origin;
mod ports;
mod tour;

use crate::daemon::{self, Options};
use ports::{Ports, TEMPLATE};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;

/// Where the config is in a checkout of the repository.
const IN_CHECKOUT: &str = "deploy/examples/demo.yaml";

/// The regions, in the order of their origins' addresses.
const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "ap-southeast-1"];

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A file can't be written.
    #[error("{}: {source}; the demo needs a folder it can write to", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No certificate.
    #[error(transparent)]
    Certificate(#[from] certificate::Problem),
    /// No port is free.
    #[error("no free port near {wanted}: {source}; free it and try again")]
    Ports {
        /// The port wanted.
        wanted: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// An origin does not start.
    #[error(
        "the origin server on {address} does not start: {source}; on systems other than Linux, addresses like 127.0.1.1 must be set up first"
    )]
    Origin {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The daemon does not start.
    #[error(transparent)]
    Daemon(#[from] daemon::RunError),
}

/// Runs the demo until it is interrupted; `say` prints.
///
/// # Errors
/// When it can't start.
pub fn run(say: fn(String)) -> Result<(), DemoError> {
    let ports = Ports::find()?;
    for moved in &ports.moved {
        say(format!(
            "{} is taken by another program; using port {} instead",
            moved.wanted, moved.port
        ));
    }
    let config = config_file(&ports)?;
    let folder = config.parent().unwrap_or(Path::new("."));
    certificate::ensure(&folder.join("demo"))?;
    let origins = origins(&ports)?;
    let tour = tour::Tour::new(&config, &ports);
    let options = Options {
        on_ready: Some(Box::new(move || say(tour.to_string()))),
        ..Options::new(config)
    };
    let ended = daemon::run(options);
    drop(origins);
    Ok(ended?)
}

/// The file that runs: the one in the checkout, or a copy where there is none or ports had to move.
fn config_file(ports: &Ports) -> Result<PathBuf, DemoError> {
    let in_checkout = PathBuf::from(IN_CHECKOUT);
    if ports.moved.is_empty() && in_checkout.is_file() {
        return Ok(in_checkout);
    }
    let text = fs::read_to_string(&in_checkout).unwrap_or_else(|_| TEMPLATE.to_owned());
    let folder = std::env::temp_dir().join(format!("rhumb-demo-{}", std::process::id()));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| DemoError::File { path, source }
    };
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    let file = folder.join("demo.yaml");
    fs::write(&file, ports.apply(&text)).map_err(failed(&file))?;
    Ok(file)
}

/// Starts the three origins on a runtime of their own, so that they compete with the PoP for nothing
/// but the processor. They end when the runtime is dropped.
fn origins(ports: &Ports) -> Result<tokio::runtime::Runtime, DemoError> {
    let failed = |address| move |source| DemoError::Origin { address, source };
    let first = ports.origins[0];
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder
        .worker_threads(2)
        .enable_all()
        .thread_name("origin")
        .build();
    let runtime = runtime.map_err(failed(first))?;
    for (region, address) in REGIONS.into_iter().zip(ports.origins) {
        let listener = runtime
            .block_on(TcpListener::bind(address))
            .map_err(failed(address))?;
        runtime.spawn(origin::serve(region, listener, std::future::pending()));
    }
    Ok(runtime)
}
