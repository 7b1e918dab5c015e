//! `rhumb status`: what a running PoP is doing.

use super::{DEFAULT_ADMIN, FAILED, Format, OK, UNASKABLE, out};
use crate::admin::client;
use crate::admin::status::Status;
use std::net::SocketAddr;

#[derive(clap::Args)]
#[command(after_help = "Exit codes: 0 it is ready, 1 it is not, 2 it does not answer.")]
pub struct Args {
    /// The PoP's admin address
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_ADMIN)]
    admin: SocketAddr,
    /// How the status is printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub fn run(args: &Args) -> u8 {
    let text = match client::get(args.admin, "/status", &[]) {
        Ok(text) => text,
        Err(error) => {
            out::complaint(error);
            return UNASKABLE;
        }
    };
    let status: Status = match serde_json::from_str(&text) {
        Ok(status) => status,
        Err(error) => {
            out::complaint(format!(
                "{}: not a status: {error}; is another version running?",
                args.admin
            ));
            return UNASKABLE;
        }
    };
    match args.format {
        Format::Json => out::line(text),
        Format::Text => out::line(status.to_string().trim_end()),
    }
    if status.ready { OK } else { FAILED }
}
