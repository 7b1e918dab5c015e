//! The command line: what can be asked of the binary, and in which words.
//!
//! Each subcommand is a file of its own; none of them decides anything by itself.

mod bench;
mod check;
mod completions;
mod demo;
pub mod dns;
pub mod explain;
mod geoip;
mod out;
mod run;
mod schema;
mod status;

use crate::candidate::Candidate;
use clap::{Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// All is well.
pub const OK: u8 = 0;
/// The config has errors, or what was asked for is not so.
pub const FAILED: u8 = 1;
/// The question could not be asked: a file that can't be read, a PoP that does not answer, a wrong
/// option.
pub const UNASKABLE: u8 = 2;

/// Where a config is looked for when none is named.
const DEFAULT_CONFIG: &str = "/etc/rhumb/rhumb.yaml";
/// Where a running PoP's admin address is looked for when none is named.
const DEFAULT_ADMIN: &str = "127.0.0.1:9900";

/// Edge traffic steering: an L7 reverse proxy and an authoritative DNS server over one routing table.
#[derive(Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "New here? `rhumb demo` starts a complete PoP on loopback and prints what to try.\n\
    A config of your own: `rhumb check FILE`, then `rhumb explain SERVICE CLIENT --config FILE`, then `rhumb run --config FILE`."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve: DNS, HTTP and health checks from one config file, reloaded when it changes
    Run(run::Args),
    /// Start a complete PoP on loopback, with origins of its own, and print what to try
    Demo(demo::Args),
    /// Check a config: every problem with its line, then the operator's own expectations
    Check(check::Args),
    /// Say why a client gets what it gets, from a config or from a running PoP
    Explain(explain::Args),
    /// Ask the DNS plane
    #[command(subcommand)]
    Dns(Box<dns::Command>),
    /// Ask the location table
    #[command(subcommand)]
    Geoip(geoip::Command),
    /// Print the JSON Schema of the config language
    Schema(schema::Args),
    /// Put policies and servers under load, and see where the traffic goes, how fast and at what cost
    #[command(subcommand)]
    Bench(Box<bench::Command>),
    /// Show what a running PoP is doing
    Status(status::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// How a command prints what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The config file, by option or environment.
#[derive(clap::Args)]
struct ConfigFile {
    /// The config file
    #[arg(short, long, value_name = "FILE", env = "RHUMB_CONFIG", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

/// Reads a config that could serve; else its problems are told and the exit code is given.
fn load(file: &Path) -> Result<Candidate, u8> {
    Candidate::load(file, &Default::default()).map_err(|refused| {
        out::complaint(config::problem::render(&refused.problems).trim_end());
        FAILED
    })
}

/// Runs the command line; the exit code is 0 for yes, 1 for no, 2 for a question that can't be asked.
pub fn main() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Dns(command) => dns::run(&command),
        Command::Geoip(command) => geoip::run(&command),
        Command::Schema(args) => schema::run(&args),
        Command::Bench(command) => bench::run(&command),
        Command::Status(args) => status::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
