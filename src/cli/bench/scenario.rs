//! `rhumb bench scenario`.

#[derive(clap::Args)]
pub struct Args {}

pub fn run(_: &Args) -> u8 {
    0
}
