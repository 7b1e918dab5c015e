//! `rhumb completions`: a script that teaches a shell the words.

use super::{Cli, OK};
use clap::CommandFactory;
use clap_complete::Shell;

#[derive(clap::Args)]
#[command(after_help = "For bash: rhumb completions bash > /etc/bash_completion.d/rhumb")]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub fn run(args: &Args) -> u8 {
    let mut command = Cli::command();
    clap_complete::generate(args.shell, &mut command, "rhumb", &mut std::io::stdout());
    OK
}
