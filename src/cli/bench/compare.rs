//! `rhumb bench compare`: Rhumb and its peers on the same work, in turns.

use super::asking::duration;
use super::progress::Display;
use super::reports::{command_line, today};
use crate::cli::{FAILED, OK, UNASKABLE, out};
use bench::compare::{self, AGREE, Comparison, Options, Programs, Progress, What, document};
use clap::ValueEnum;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(clap::Args)]
#[command(
    after_help = "Peers come from `bench/peers/install`; one that is missing is named and left out. One server runs at a \
    time, on a processor of its own where there are two.\n\nExamples:\n  \
    rhumb bench compare                                        everything, in under 20 minutes\n  \
    rhumb bench compare dns --work dns-geo --peer gdnsd        one work, one peer\n  \
    rhumb bench compare --output a.json --against b.json       and whether it agrees with an earlier run"
)]
pub struct Args {
    /// Which half
    #[arg(value_enum, default_value = "all")]
    what: Half,
    /// Only this peer, besides Rhumb; may be given several times
    #[arg(long, value_name = "NAME")]
    peer: Vec<String>,
    /// Only this work; may be given several times
    #[arg(long, value_name = "NAME")]
    work: Vec<String>,
    /// How many rounds; the peers take turns within each
    #[arg(long, value_name = "N", default_value_t = Options::default().rounds as u16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// How long each peer is measured in a round
    #[arg(long, value_name = "TIME", value_parser = duration)]
    window: Option<Duration>,
    /// A folder with programs of peers, searched before the PATH; may be given several times
    #[arg(long, value_name = "FOLDER")]
    programs: Vec<PathBuf>,
    /// The seed of the clients
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the whole result here, as JSON
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Bring the measured parts of this Markdown page up to date, with charts in a folder of its name
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// Hold the CPU ratios against those of an earlier result; exit with 1 when one is more than a tenth off
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Measure nothing: take this earlier result
    #[arg(long, value_name = "FILE", conflicts_with_all = ["peer", "work", "rounds", "window", "programs"])]
    from: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Half {
    Dns,
    Http,
    All,
}

/// Where `bench/peers/install` puts programs, from the root of the repository.
const INSTALLED: [&str; 2] = ["target/dist", "bench/peers/.programs/bin"];

pub fn run(args: &Args) -> u8 {
    let earlier = match args.against.as_deref().map(read).transpose() {
        Ok(earlier) => earlier,
        Err(code) => return code,
    };
    let comparison = match &args.from {
        Some(file) => read(file),
        None => measure(args),
    };
    let comparison = match comparison {
        Ok(comparison) => comparison,
        Err(code) => return code,
    };
    out::line(comparison.text().trim_end());
    if let Err((file, error)) = keep(args, &comparison) {
        out::complaint(format!("{}: {error}; the result is above", file.display()));
        return UNASKABLE;
    }
    match earlier {
        Some(earlier) => agreement(&comparison, &earlier),
        None => OK,
    }
}

fn measure(args: &Args) -> Result<Comparison, u8> {
    let complain = |error: &dyn std::fmt::Display| {
        out::complaint(error);
        UNASKABLE
    };
    let rhumb = std::env::current_exe().map_err(|error| complain(&error))?;
    // Absolute, since peers are started in folders of their own; what is not there has nothing to find.
    let folders = args.programs.iter().cloned();
    let folders = folders.chain(INSTALLED.map(PathBuf::from));
    let folders = folders.filter_map(|folder| folder.canonicalize().ok());
    let folders = folders.collect();
    let defaults = Options::default();
    let options = Options {
        what: match args.what {
            Half::Dns => What::Dns,
            Half::Http => What::Http,
            Half::All => What::All,
        },
        peers: args.peer.clone(),
        works: args.work.clone(),
        rounds: args.rounds.into(),
        window: args.window.unwrap_or(defaults.window),
        programs: Programs { rhumb, folders },
        seed: args.seed,
        date: today(),
        command: command_line(),
        ..defaults
    };
    let mut shown = Shown::default();
    let compared = compare::run(&options, &mut |progress| shown.show(&progress));
    shown.end();
    compared.map_err(|error| complain(&error))
}

fn read(file: &Path) -> Result<Comparison, u8> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string());
    let read = text.and_then(|text| {
        serde_json::from_str(&text)
            .map_err(|error| format!("is no result of `rhumb bench compare --output`: {error}"))
    });
    read.map_err(|error| {
        out::complaint(format!("{}: {error}", file.display()));
        UNASKABLE
    })
}

fn keep(args: &Args, comparison: &Comparison) -> Result<(), (PathBuf, io::Error)> {
    let write =
        |file: &Path, text: &str| fs::write(file, text).map_err(|error| (file.to_owned(), error));
    if let Some(file) = &args.output {
        let json = comparison.json().map_err(io::Error::other);
        write(file, &json.map_err(|error| (file.clone(), error))?)?;
    }
    let Some(page) = &args.document else {
        return Ok(());
    };
    let text = match fs::read_to_string(page) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    };
    let text = text.map_err(|error| (page.clone(), error))?;
    let folder = page.with_extension("");
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    fs::create_dir_all(&folder).map_err(|error| (folder.clone(), error))?;
    for chart in document::charts(comparison) {
        write(&folder.join(chart.name), &chart.svg)?;
    }
    write(page, &document::update(&text, comparison, &name))
}

/// Says which CPU ratios differ from an earlier result's.
fn agreement(comparison: &Comparison, earlier: &Comparison) -> u8 {
    let all = compare::agreement(earlier, comparison);
    let apart: Vec<_> = all.iter().filter(|ratio| ratio.apart > AGREE).collect();
    out::line(format!(
        "\n{} of {} CPU ratios are within {:.0} % of the earlier result's",
        all.len() - apart.len(),
        all.len(),
        AGREE * 100.0
    ));
    for ratio in all.iter().take(apart.len().max(1)) {
        out::line(format!(
            "  {} {}: {:.2} then, {:.2} now ({:.1} % apart)",
            ratio.work,
            ratio.peer,
            ratio.ratios.0,
            ratio.ratios.1,
            ratio.apart * 100.0
        ));
    }
    if apart.is_empty() { OK } else { FAILED }
}

/// One bar a work.
#[derive(Default)]
struct Shown {
    display: Option<Display>,
    done: u64,
}

impl Shown {
    fn show(&mut self, progress: &Progress) {
        match progress {
            Progress::Missing { peer, why } => self.say(&format!("{peer} is left out: {why}")),
            Progress::Failed { peer, why } => self.say(&format!("{peer}, once more: {why}")),
            Progress::LeftOut { peer, why } => self.say(&format!("{peer}: {why}")),
            Progress::Contest {
                work,
                number,
                of,
                steps,
            } => {
                self.end();
                self.done = 0;
                let what = format!("[{number}/{of}] {work}");
                self.display = Some(Display::steps(&what, *steps as u64));
            }
            Progress::Round {
                peer,
                round,
                of,
                rate,
                cpu,
                disturbed,
            } => {
                self.done += 1;
                let message = format!(
                    "{peer}, round {round} of {of}: {rate:.0}/s, {cpu:.2} µs, {:.0} % disturbed",
                    disturbed * 100.0
                );
                if let Some(display) = &self.display {
                    display.step(self.done, &message);
                }
            }
        }
    }

    fn say(&self, line: &str) {
        match &self.display {
            Some(display) => display.say(line),
            None => out::complaint(line),
        }
    }

    fn end(&mut self) {
        if let Some(display) = self.display.take() {
            display.end();
        }
    }
}
