//! `rhumb run`: the daemon.

use super::{ConfigFile, FAILED, OK, UNASKABLE, out};
use crate::daemon::{self, Options};
use config::rehearsal::Plan;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(
    after_help = "Signals: HUP reloads, TERM and INT stop accepting, let requests in flight end (drain_time), and leave.\n\n\
    A rehearsal serves the very same table on this machine only. Its plan is JSON:\n  \
    { \"endpoints\": { \"192.0.2.10:443\": \"127.0.0.1:18443\" },\n    \
    \"listen\": { \"dns\": [\"127.0.0.1:5353\"], \"http\": [\"127.0.0.1:8080\"],\n                \
    \"https\": [{ \"address\": \"127.0.0.1:8443\", \"cert\": \"a.pem\", \"key\": \"a.key\" }],\n                \
    \"admin\": \"127.0.0.1:9900\" },\n    \
    \"ca_file\": \"ca.pem\" }\n\
    Every endpoint of the config needs a stand-in; all addresses are loopback. What DNS publishes, policies,\n\
    checks and their times stay as written. No state is kept, and loopback is believed as a proxy, so that\n\
    X-Forwarded-For can play any client."
)]
pub struct Args {
    #[command(flatten)]
    config: ConfigFile,
    /// Rehearse: serve on this machine, with stand-ins for endpoints, listeners and certificates
    #[arg(long, value_name = "PLAN.json")]
    rehearsal: Option<PathBuf>,
}

pub fn run(args: &Args) -> u8 {
    let plan = match args.rehearsal.as_deref().map(Plan::read).transpose() {
        Ok(plan) => plan,
        Err(error) => {
            out::complaint(format!("rhumb: {error}"));
            return UNASKABLE;
        }
    };
    let options = Options {
        rehearsal: plan,
        ..Options::new(args.config.config.clone())
    };
    match daemon::run(options) {
        Ok(()) => OK,
        Err(error) => {
            out::complaint(format!("rhumb: {error}"));
            FAILED
        }
    }
}
