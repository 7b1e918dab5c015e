//! `rhumb bench`: routing policies under load, and side by side with other software.
//!
//! The load, the judging and the comparing are the `bench` crate's; here they are only given words.

mod asking;
mod compare;
mod dns;
mod http;
mod policies;
mod progress;
mod reports;
mod scenario;

use clap::Subcommand;

#[derive(Subcommand)]
pub enum Command {
    /// Put a DNS server under load, and judge where its answers sent the clients
    Dns(dns::Args),
    /// Put an HTTP front door under load, and judge where it sent the clients
    Http(http::Args),
    /// Run a load during which regions fail, heal and configs are reloaded, and time what follows
    Scenario(scenario::Args),
    /// Measure decisions alone, without a server: time and memory by policy, depth and size
    Policies(policies::Args),
    /// Measure Rhumb and its peers on the same work, in turns
    Compare(compare::Args),
}

pub fn run(command: &Command) -> u8 {
    match command {
        Command::Dns(args) => dns::run(args),
        Command::Http(args) => http::run(args),
        Command::Scenario(args) => scenario::run(args),
        Command::Policies(args) => policies::run(args),
        Command::Compare(args) => compare::run(args),
    }
}
