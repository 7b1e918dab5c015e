//! `rhumb check`: whether a config would run, and what it would do to the operator's expectations.

use super::{ConfigFile, FAILED, Format, OK, UNASKABLE, out};
use crate::candidate::Candidate;
use config::Severity;
use config::problem::{Problem, render};
use serde::Serialize;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 the config runs (there may be warnings), 1 it does not, 2 it can't be read.\n\
    Nothing is listened on and nothing is probed: a check may run anywhere, at any time."
)]
pub struct Args {
    /// The config file; --config is the same
    file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
    /// How problems are printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    problems: &'a [Problem],
}

pub fn run(args: &Args) -> u8 {
    let file = args.file.as_ref().unwrap_or(&args.config.config);
    if let Err(error) = std::fs::File::open(file) {
        out::complaint(format!(
            "{}: cannot be read: {error}; name a config file: rhumb check FILE",
            file.display()
        ));
        return UNASKABLE;
    }
    let (runs, problems) = match Candidate::load(file, &Default::default()) {
        Ok(candidate) => (true, candidate.warnings),
        Err(refused) => (false, refused.problems),
    };
    let warned = problems
        .iter()
        .any(|problem| problem.severity == Severity::Warning);
    let ok = runs && !(args.strict && warned);
    match args.format {
        Format::Json => out::json(&Report {
            ok,
            problems: &problems,
        }),
        Format::Text if problems.is_empty() => out::line(format!("{}: fine", file.display())),
        Format::Text => out::line(render(&problems).trim_end()),
    }
    if ok { OK } else { FAILED }
}
