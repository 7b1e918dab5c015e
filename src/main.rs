//! `rhumb`: the binary. Knows every crate; nobody knows it. What it does is in `cli`.

mod admin;
mod candidate;
mod cli;
mod daemon;
mod demo;
mod wiring;

fn main() -> std::process::ExitCode {
    cli::main()
}
