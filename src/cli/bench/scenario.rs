//! `rhumb bench scenario`: a load during which regions fail and heal, and what came of each step.

use super::asking::complain;
use super::progress::Display;
use super::reports::{Reports, command_line, today, versions};
use crate::cli::{FAILED, OK, UNASKABLE, out};
use bench::compare::Machine;
use bench::report::{About, Report};
use bench::scenario::{self, Options, PlanePlayed, Played, Progress};
use bench::shares::judge;
use config::problem::render;
use config::scenario::Scenario;
use std::path::{Path, PathBuf};
use std::time::Duration;
use steering::Plane;

#[derive(clap::Args)]
#[command(
    after_help = "A rehearsal: every endpoint of the config gets a stand-in on loopback, and a Rhumb of its own serves the \
    very table. Times are real: a config that checks every 30 s makes a scenario of minutes. docs/scenarios.md has the \
    language.\n\nExample:\n  rhumb bench scenario deploy/examples/scenarios/genai-demo.yaml --output failover.html\n\n\
    Where both planes are under load there are two reports, and the plane is part of the files' names.\n\
    Exit codes: 0 all is as the scenario expects, 1 it is not, 2 it can't be played."
)]
pub struct Args {
    /// The scenario
    file: PathBuf,
    /// Different questions prepared for each plane
    #[arg(long, value_name = "N", default_value_t = 2_048, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    questions: u32,
    /// The seed of clients and draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    reports: Reports,
}

pub fn run(args: &Args) -> u8 {
    let loaded = config::scenario::load(&args.file);
    if !loaded.problems.is_empty() {
        out::complaint(render(&loaded.problems).trim_end());
    }
    let Some(scenario) = loaded.scenario else {
        return UNASKABLE;
    };
    let rhumb = match std::env::current_exe() {
        Ok(rhumb) => rhumb,
        Err(error) => {
            complain(&error);
            return UNASKABLE;
        }
    };
    let options = Options {
        questions: args.questions as usize,
        seed: args.seed,
        ..Options::new(rhumb)
    };
    match watched(&args.file, &scenario, &options) {
        Ok(played) => tell(args, &played),
        Err(error) => {
            complain(&error);
            UNASKABLE
        }
    }
}

/// Plays it, and shows how far it is.
fn watched(
    file: &Path,
    scenario: &Scenario,
    options: &Options,
) -> Result<Played, scenario::ScenarioError> {
    const LINE: Duration = Duration::from_secs(5);
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let display = Display::new(&name, scenario.duration);
    let mut shown = Duration::ZERO;
    let played = scenario::play(scenario, options, &mut |progress: Progress<'_>| {
        if let Some(told) = progress.told {
            display.say(&format!("{:>6.1} s  {told}", progress.at.as_secs_f64()));
        }
        if display.is_bar() || progress.at >= shown + LINE {
            shown = progress.at;
            let (answered, failed) = (progress.answered, progress.failed);
            display.show(progress.at, &format!("{answered} answers, {failed} failed"));
        }
    });
    display.end();
    played
}

/// A report a plane; the exit code says whether all was as it should be.
fn tell(args: &Args, played: &Played) -> u8 {
    let both = played.planes().count() > 1;
    let mut worst = OK;
    for plane in played.planes() {
        let report = report(args, played, plane);
        let reports = args.reports.of_part(both.then_some(&*report.about.plane));
        worst = worst.max(reports.show(&report));
    }
    for missed in &played.missed {
        out::complaint(format!("not as expected: {missed}"));
        worst = worst.max(FAILED);
    }
    worst
}

fn report(args: &Args, played: &Played, of: &PlanePlayed) -> Report {
    let name = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let plane = of.asks.plane;
    let against = &played.scenario.against;
    let server = against.as_ref().and_then(|against| match plane {
        Plane::Dns => against.dns,
        Plane::Http => against.http,
    });
    let about = About {
        title: format!("{name}, over {}", About::plane(plane).to_uppercase()),
        command: command_line(),
        server: server.map_or_else(|| "a rehearsal".to_owned(), |server| server.to_string()),
        config: played.scenario.config.display().to_string(),
        plane: About::plane(plane).to_owned(),
        transport: match plane {
            Plane::Dns => "UDP".to_owned(),
            Plane::Http => "HTTP/1.1".to_owned(),
        },
        machine: Machine::here(),
        versions: versions(),
        date: today(),
    };
    let shares = judge(&played.subject, &of.asks, &of.measured, args.seed);
    let events = played.events_of(plane);
    Report::new(
        about,
        &played.subject,
        &of.asks,
        &of.measured,
        shares,
        &events,
        &of.load,
    )
}
