//! `rhumb schema`: the config language as JSON Schema, made from the types that read it.

use super::{OK, out};

#[derive(clap::Args)]
#[command(
    after_help = "Let your editor check a config as you write it: rhumb schema > rhumb.schema.json, and as the first\n\
    line of the config: # yaml-language-server: $schema=rhumb.schema.json"
)]
pub struct Args {}

pub fn run(_args: &Args) -> u8 {
    out::json(&config::schema());
    OK
}
