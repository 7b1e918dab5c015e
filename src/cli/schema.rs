//! `rhumb schema`: the languages of config and scenarios as JSON Schema, made from the types that read them.

use super::{OK, out};

#[derive(clap::Args)]
#[command(
    after_help = "Let your editor check a config as you write it: rhumb schema > rhumb.schema.json, and as the first\n\
    line of the config: # yaml-language-server: $schema=rhumb.schema.json"
)]
pub struct Args {
    /// The language of scenarios (`rhumb bench scenario`) in place of the config's
    #[arg(long)]
    scenario: bool,
}

pub fn run(args: &Args) -> u8 {
    let schema = if args.scenario {
        config::scenario::schema()
    } else {
        config::schema()
    };
    out::json(&schema);
    OK
}
