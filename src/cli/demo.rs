//! `rhumb demo`: a first look.

use super::{FAILED, OK, out};

#[derive(clap::Args)]
#[command(
    after_help = "It listens on loopback only: DNS 127.0.0.1:5353, HTTP 127.0.0.1:8080, HTTPS 127.0.0.1:8443, admin\n\
    127.0.0.1:9900, origins 127.0.{1,2,3}.1:8081; where a port is taken it says so and takes another."
)]
pub struct Args {}

pub fn run(_args: &Args) -> u8 {
    match crate::demo::run(out::line) {
        Ok(()) => OK,
        Err(error) => {
            out::complaint(format!("rhumb demo: {error}"));
            FAILED
        }
    }
}
