//! `rhumb geoip`: what the location table says, and how far it holds.

use super::{FAILED, Format, OK, out};
use crate::candidate::locations;
use serde::Serialize;
use std::net::IpAddr;
use std::path::PathBuf;
use steering::geo::Located;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Say where addresses are, and for which prefix that holds
    Lookup(Lookup),
}

#[derive(clap::Args)]
#[command(after_help = "Without --config or --database the embedded country table is asked.")]
pub struct Lookup {
    /// Addresses
    #[arg(required = true)]
    addresses: Vec<IpAddr>,
    /// Ask the table of this config: its databases and its own networks
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Ask this mmdb file
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    database: Option<PathBuf>,
    /// Ask this mmdb file for autonomous systems
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    asn_database: Option<PathBuf>,
    /// How answers are printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// One answer.
#[derive(Serialize)]
struct Answer {
    address: IpAddr,
    #[serde(flatten)]
    located: Located,
}

pub fn run(command: &Command) -> u8 {
    let Command::Lookup(args) = command;
    let sources = match &args.config {
        Some(file) => match config::load(file).checked {
            Some(checked) => locations(&checked),
            None => {
                out::complaint(format!(
                    "{}: has errors; see rhumb check {0}",
                    file.display()
                ));
                return FAILED;
            }
        },
        None => geoip::Sources {
            database: args.database.clone(),
            asn_database: args.asn_database.clone(),
            networks: Vec::new(),
        },
    };
    let table = match geoip::open(&sources) {
        Ok(loaded) => loaded.table,
        Err(error) => {
            out::complaint(error);
            return FAILED;
        }
    };
    let answers: Vec<Answer> = args
        .addresses
        .iter()
        .map(|address| Answer {
            address: *address,
            located: table.locate(*address),
        })
        .collect();
    match args.format {
        Format::Json => out::json(&answers),
        Format::Text => {
            for answer in &answers {
                out::line(format!("{}  {}", answer.address, answer.located));
            }
        }
    }
    OK
}
