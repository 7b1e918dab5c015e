//! `rhumb run`: the daemon.

use super::{ConfigFile, FAILED, OK, out};
use crate::daemon::{self, Options};

#[derive(clap::Args)]
#[command(
    after_help = "Signals: HUP reloads, TERM and INT stop accepting, let requests in flight end (drain_time), and leave."
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
}

pub fn run(args: &Args) -> u8 {
    match daemon::run(Options::new(args.config.config.clone())) {
        Ok(()) => OK,
        Err(error) => {
            out::complaint(format!("rhumb: {error}"));
            FAILED
        }
    }
}
