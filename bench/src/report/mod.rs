//! What a run found, for people and programs: text for a terminal, JSON, Markdown, and one HTML page that
//! needs nothing from outside. It shows; it neither measures nor judges.
//!
//! ```text
//! Measured + Shares + events --Report::new--> Report --> json
//!                                               |
//!                                               +--sections--> Page --> text, markdown, html (+ charts)
//! ```

pub mod chart;
mod found;
mod html;
mod markdown;
mod page;
mod sections;
mod steps;
#[cfg(test)]
mod tests;
mod text;
mod timeline;

pub use found::{ErrorCount, Generator, LatencyFound, LoadTold, Percentile};
pub use steps::{FailoverTold, Step};
pub use timeline::{OutcomeLine, ServiceLine, TimelineTold};

use crate::asks::Asks;
use crate::compare::Machine;
use crate::load::Load;
use crate::record::Measured;
use crate::scenario::Event;
use crate::shares::Shares;
use crate::subject::Subject;
use serde::Serialize;
use steering::Plane;

/// The version of the JSON: it grows when a field changes its meaning or goes.
pub const VERSION: u32 = 1;

/// Where a report comes from.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// What the run was, in a few words.
    pub title: String,
    /// The command line that repeats it.
    pub command: String,
    /// Who was asked.
    pub server: String,
    /// The config whose policies were put under load.
    pub config: String,
    /// `dns` or `http`.
    pub plane: String,
    /// How: `UDP`, `TCP`, `HTTP/1.1 over TLS` and so on; may be empty.
    pub transport: String,
    /// The machine that the load came from.
    pub machine: Machine,
    /// Programs and their versions.
    pub versions: Vec<(String, String)>,
    /// When, as it is written.
    pub date: String,
}

impl About {
    /// Where a plane's name is wanted.
    pub fn plane(plane: Plane) -> &'static str {
        match plane {
            Plane::Dns => "dns",
            Plane::Http => "http",
        }
    }
}

/// All that a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version of this format: [`VERSION`].
    pub report: u32,
    /// Where it comes from.
    pub about: About,
    /// How hard the server was pushed.
    pub load: LoadTold,
    /// How long it was recorded for, seconds.
    pub elapsed: f64,
    /// Questions sent.
    pub sent: u64,
    /// Answers that count.
    pub answered: u64,
    /// Answers a second.
    pub rate: f64,
    /// Questions without an answer that counts.
    pub failed: u64,
    /// How long answers took.
    pub latency: LatencyFound,
    /// Failures by kind, the most first.
    pub errors: Vec<ErrorCount>,
    /// What the generator spent.
    pub generator: Generator,
    /// The regions, in the order of the config.
    pub regions: Vec<String>,
    /// Where the answers went.
    pub shares: Shares,
    /// What was done meanwhile.
    pub events: Vec<Step>,
    /// What was seen by time.
    pub timeline: Option<TimelineTold>,
}

impl Report {
    /// Of one run.
    pub fn new(
        about: About,
        subject: &Subject,
        asks: &Asks,
        measured: &Measured,
        shares: Shares,
        events: &[Event],
        load: &Load,
    ) -> Self {
        let regions = subject.snapshot.table().regions().iter();
        Self {
            report: VERSION,
            about,
            load: LoadTold::new(load),
            elapsed: measured.elapsed.as_secs_f64(),
            sent: measured.sent,
            answered: measured.answered,
            rate: measured.rate(),
            failed: measured.failed(),
            latency: LatencyFound::new(&measured.latency, load.pace),
            errors: found::errors(measured),
            generator: Generator::new(measured),
            regions: regions.map(|region| region.name.to_string()).collect(),
            shares,
            events: events.iter().map(Step::new).collect(),
            timeline: TimelineTold::new(subject, asks, measured),
        }
    }

    /// Why the run is a failure, a sentence each; empty when it is none. Slowness is none: how fast is
    /// fast enough is for the reader to say.
    pub fn failures(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.answered == 0 {
            reasons.push(format!("no answer came from {}", self.about.server));
        }
        for service in self.shares.broken() {
            reasons.push(format!("service {}: {}", service.service, service.why));
        }
        let leaks = &self.shares.leaks;
        if leaks.answers > 0 {
            let answers = page::counted(leaks.answers, "answer");
            reasons.push(format!(
                "{answers} sent a client where its residency forbids"
            ));
        }
        let violations = self.shares.scopes.violations;
        if violations > 0 {
            let scopes = page::counted(violations, "scope");
            reasons.push(format!("{scopes} told a resolver more than is true"));
        }
        for step in &self.events {
            reasons.extend(step.missed());
        }
        reasons
    }

    /// Whether the run is a failure.
    pub fn failed(&self) -> bool {
        !self.failures().is_empty()
    }

    /// For programs.
    ///
    /// # Errors
    /// Never in practice: it is plain data.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// For a terminal that is `width` columns wide.
    pub fn text(&self, width: usize) -> String {
        text::text(&sections::page(self), width)
    }

    /// For a document.
    pub fn markdown(&self) -> String {
        markdown::markdown(&sections::page(self))
    }

    /// One page with charts, that needs nothing from outside and no script.
    pub fn html(&self) -> String {
        html::html(self, &sections::page(self))
    }
}
