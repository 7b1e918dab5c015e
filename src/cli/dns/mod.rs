//! `rhumb dns`: what the DNS plane answers, asked from outside it.

mod ask;
mod query;
pub mod why;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Ask for a name, and say why the answer is what it is: a dig that knows the policy
    Query(query::Args),
}

pub fn run(command: &Command) -> u8 {
    match command {
        Command::Query(args) => query::run(args),
    }
}
