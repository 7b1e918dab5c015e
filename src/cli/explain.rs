//! `rhumb explain`: one decision in words, walked by the code that serves.

use super::{DEFAULT_ADMIN, DEFAULT_CONFIG, FAILED, Format, OK, UNASKABLE, load, out};
use crate::admin::client;
use crate::candidate::Candidate;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use steering::health::Status;
use steering::{Client, Explanation, Forced, Plane, Snapshot, Want};

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    rhumb explain api 2a01:4f8::1 --config rhumb.yaml             all endpoints up\n  \
    rhumb explain api 8.8.8.8 --config rhumb.yaml --down us       what if pool or region us were down\n  \
    rhumb explain api 8.8.8.8 --admin 127.0.0.1:9900              with the health a running PoP sees now")]
pub struct Args {
    /// The service
    service: String,
    /// The client's address
    client: IpAddr,
    /// Explain from this config, with every endpoint up
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "RHUMB_CONFIG",
        conflicts_with = "admin"
    )]
    config: Option<PathBuf>,
    /// Explain from the PoP that runs with this admin address
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = DEFAULT_ADMIN)]
    admin: Option<SocketAddr>,
    /// Which half of Rhumb is asked
    #[arg(long, default_value = "dns", value_parser = ["dns", "http"])]
    plane: String,
    /// The random number of the decision: try several to see a weighted policy at work
    #[arg(long, default_value_t = 0)]
    draw: u64,
    /// Suppose that this pool or region is down (with --config); may be given several times
    #[arg(long, value_name = "NAME", conflicts_with = "admin")]
    down: Vec<String>,
    /// How the explanation is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub fn run(args: &Args) -> u8 {
    match args.admin {
        Some(admin) => live(args, admin),
        None => offline(args),
    }
}

fn live(args: &Args, admin: SocketAddr) -> u8 {
    let format = if args.format == Format::Json {
        "json"
    } else {
        "text"
    };
    let query = [
        ("service", args.service.as_str()),
        ("client", &args.client.to_string()),
        ("plane", &args.plane),
        ("draw", &args.draw.to_string()),
        ("format", format),
    ];
    match client::get(admin, "/explain", &query) {
        Ok(text) => {
            out::line(text.trim_end());
            OK
        }
        Err(error) => {
            out::complaint(error);
            UNASKABLE
        }
    }
}

fn offline(args: &Args) -> u8 {
    let file = args.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into());
    let candidate = match load(&file) {
        Ok(candidate) => candidate,
        Err(code) => return code,
    };
    let snapshot = match supposed(&candidate, &args.down, &file) {
        Ok(snapshot) => snapshot,
        Err(code) => return code,
    };
    let plane = if args.plane == "http" {
        Plane::Http
    } else {
        Plane::Dns
    };
    match explanation(&snapshot, &args.service, args.client, plane, args.draw) {
        Some(explanation) if args.format == Format::Json => out::json(&explanation),
        Some(explanation) => out::line(explanation),
        None => {
            out::complaint(unknown_service(&snapshot, &args.service));
            return FAILED;
        }
    }
    OK
}

/// The candidate's snapshot with everything up but what is named. A name that means nothing is complained
/// of, and the exit code is the error.
pub fn supposed(candidate: &Candidate, down: &[String], file: &Path) -> Result<Snapshot, u8> {
    let snapshot = candidate.snapshot();
    let table = snapshot.table();
    let mut forced = vec![Forced::All(Status::Up)];
    for name in down {
        let pool = table.pool(name).map(|id| Forced::Pool(id, Status::Down));
        let region = table
            .region(name)
            .map(|id| Forced::Region(id, Status::Down));
        if pool.is_none() && region.is_none() {
            let file = file.display();
            out::complaint(format!(
                "--down {name}: no pool or region of this name in {file}"
            ));
            return Err(FAILED);
        }
        forced.extend(pool.into_iter().chain(region));
    }
    Ok(snapshot.what_if(&forced, crate::daemon::now()))
}

/// Explains one decision; `None` when there is no such service.
pub fn explanation(
    snapshot: &Snapshot,
    service: &str,
    client: IpAddr,
    plane: Plane,
    draw: u64,
) -> Option<Explanation> {
    let id = snapshot.table().service(service)?;
    Explanation::new(
        snapshot,
        id,
        &Client::from(client),
        Want {
            plane,
            draw,
            family: None,
        },
    )
}

/// What to say of a service that is not there.
pub fn unknown_service(snapshot: &Snapshot, service: &str) -> String {
    const SHOWN: usize = 10;
    let services = snapshot.table().services();
    let mut names: Vec<&str> = services.iter().take(SHOWN).map(|s| &*s.name).collect();
    if services.len() > SHOWN {
        names.push("...");
    }
    format!("no service {service}; there are: {}", names.join(", "))
}
