//! Where a report goes: to the terminal, and to files whose names say the format.

use super::asking::{Asking, Prepared};
use crate::cli::{FAILED, OK, UNASKABLE, out};
use bench::compare::Machine;
use bench::record::Measured;
use bench::report::{About, Report};
use bench::shares::judge;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

/// How wide a report is where the terminal does not say.
const WIDTH: usize = 100;

#[derive(clap::Args)]
pub struct Reports {
    /// Keep the report in this file: .html, .md, .json or .txt; may be given several times
    #[arg(short, long, value_name = "FILE", value_parser = kept(&["html", "md", "json", "txt"]))]
    pub output: Vec<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Parses the name of a file whose ending is one of these.
pub fn kept(
    endings: &'static [&'static str],
) -> impl Fn(&str) -> Result<PathBuf, String> + Clone + Send + Sync + 'static {
    move |name| {
        let file = PathBuf::from(name);
        let ending = file.extension().and_then(|ending| ending.to_str());
        if ending.is_some_and(|ending| endings.contains(&ending)) {
            return Ok(file);
        }
        let (last, others) = endings.split_last().unwrap_or((&"", &[]));
        let others = others.join(", .");
        Err(format!("its ending says the format: .{others} or .{last}"))
    }
}

/// Who was asked, and over what.
pub struct Asked {
    pub server: String,
    pub transport: String,
}

/// Judges what was measured, tells and keeps the report; the exit code says whether all was as promised.
pub fn tell(asking: &Asking, asked: Asked, prepared: &Prepared, measured: &Measured) -> u8 {
    let Prepared {
        subject,
        asks,
        load,
        seed,
    } = prepared;
    let about = About {
        title: format!("{} under load", asked.server),
        command: command_line(),
        server: asked.server,
        config: asking.config.config.display().to_string(),
        plane: About::plane(asks.plane).to_owned(),
        transport: asked.transport,
        machine: Machine::here(),
        versions: versions(),
        date: today(),
    };
    let shares = judge(subject, asks, measured, *seed);
    let report = Report::new(about, subject, asks, measured, shares, &[], load);
    asking.reports.show(&report)
}

impl Reports {
    /// The same, for one of several reports: its name goes into the files' names, `x.html` to
    /// `x-dns.html`.
    pub fn of_part(&self, part: Option<&str>) -> Self {
        let named = |file: &PathBuf| match part {
            Some(part) => {
                let stem = file.file_stem().unwrap_or_default().to_string_lossy();
                let ending = file.extension().unwrap_or_default().to_string_lossy();
                file.with_file_name(format!("{stem}-{part}.{ending}"))
            }
            None => file.clone(),
        };
        Self {
            output: self.output.iter().map(named).collect(),
            json: self.json,
        }
    }

    /// Prints and keeps a report.
    pub fn show(&self, report: &Report) -> u8 {
        if self.json {
            out::json(report);
        } else {
            out::line(report.text(width()).trim_end());
        }
        for file in &self.output {
            if let Err(error) = keep(report, file) {
                out::complaint(format!("{}: {error}", file.display()));
                return UNASKABLE;
            }
        }
        if report.failed() { FAILED } else { OK }
    }
}

fn keep(report: &Report, file: &Path) -> io::Result<()> {
    let text = match file.extension().and_then(|ending| ending.to_str()) {
        Some("html") => report.html(),
        Some("md") => report.markdown(),
        Some("json") => report.json()?,
        _ => report.text(WIDTH),
    };
    fs::write(file, text)
}

/// How wide a text is: what COLUMNS says, as shells set it.
fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok();
    let columns = columns.and_then(|columns| columns.parse().ok());
    columns.unwrap_or(WIDTH).clamp(60, 200)
}

/// The arguments as they were given.
pub fn command_line() -> String {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    format!("rhumb {}", arguments.join(" "))
}

/// What is told of the programs of a run.
pub fn versions() -> Vec<(String, String)> {
    vec![("rhumb".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]
}

/// The day, in UTC: `2026-01-31`.
pub fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}
