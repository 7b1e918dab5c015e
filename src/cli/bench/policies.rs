//! `rhumb bench policies`: what decisions cost, without a server.

use super::asking::duration;
use super::progress::Display;
use super::reports::kept;
use crate::cli::{OK, UNASKABLE, out};
use bench::policies::{self, Matrix, Options, Results};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(clap::Args)]
pub struct Args {
    /// Every kind with every depth, number of services and pools, with and without residency, in place of
    /// one dimension after the other
    #[arg(long)]
    full: bool,
    /// How long each cell is measured
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = duration)]
    time: Duration,
    /// The seed of clients and draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the result in this file: .md, .json or .txt; may be given several times
    #[arg(short, long, value_name = "FILE", value_parser = kept(&["md", "json", "txt"]))]
    output: Vec<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> u8 {
    let options = Options {
        matrix: if args.full {
            Matrix::Full
        } else {
            Matrix::Grouped
        },
        time: args.time,
        seed: args.seed,
        allocated: allocated(),
    };
    let display = Display::unmeasured("policies");
    let results = policies::run(&options, &mut |cell| display.note(cell));
    display.end();
    if args.json {
        out::json(&results);
    } else {
        out::line(policies::text(&results).trim_end());
    }
    for file in &args.output {
        if let Err(error) = keep(&results, file) {
            out::complaint(format!("{}: {error}", file.display()));
            return UNASKABLE;
        }
    }
    OK
}

/// What counts allocations: only in a build with the feature `count-allocations`, whose allocator costs every
/// allocation a look at a counter.
fn allocated() -> Option<policies::Allocated> {
    #[cfg(feature = "count-allocations")]
    return Some(|work| allocation_counter::measure(work).bytes_total);
    #[cfg(not(feature = "count-allocations"))]
    None
}

fn keep(results: &Results, file: &Path) -> std::io::Result<()> {
    let text = match file.extension().and_then(|ending| ending.to_str()) {
        Some("md") => policies::markdown(results),
        Some("json") => policies::json(results)?,
        _ => policies::text(results),
    };
    std::fs::write(file, text)
}
