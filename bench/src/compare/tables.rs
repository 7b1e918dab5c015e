//! A comparison for people: text for a terminal, Markdown for the documents, and the charts' figures.

use super::ratio::Spread;
use super::result::{Comparison, Entry, Fate, Figures, WorkResult};
use crate::report::chart::whole;
use std::fmt::Write;

const COLUMNS: [&str; 9] = [
    "peer", "rate /s", "CPU µs", "user", "system", "ratio", "spread", "p99 µs", "memory",
];

impl Comparison {
    /// For a terminal.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}\n", self.machine_in_words());
        for work in &self.works {
            let _ = writeln!(out, "{} ({})\n  {}", work.title, work.id, work.asked);
            let rows: Vec<_> = work.entries.iter().filter_map(row).collect();
            out.push_str(&aligned(&rows));
            for line in notes(work) {
                let _ = writeln!(out, "  {line}");
            }
            out.push('\n');
        }
        for (peer, why) in &self.missing {
            let _ = writeln!(out, "left out: {peer}: {why}");
        }
        out
    }

    /// For docs/performance.md: machine, versions, and a table for each work.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{}\n", self.machine_in_words());
        let _ = writeln!(out, "| peer | version |\n|---|---|");
        for (peer, version) in &self.versions {
            let _ = writeln!(out, "| {peer} | {version} |");
        }
        for (peer, why) in &self.missing {
            let _ = writeln!(out, "| {peer} | left out: {} |", cell(why));
        }
        for work in &self.works {
            let _ = write!(out, "\n{}", work.markdown());
        }
        out
    }

    /// The whole of it, to be read again.
    ///
    /// # Errors
    /// Never in practice: it is plain data.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// Where and how it was made, in one paragraph.
    pub fn machine_in_words(&self) -> String {
        let machine = &self.machine;
        let pinned = match machine.pinned {
            Some((server, load)) => {
                format!("server on processor {server}, load on processor {load}")
            }
            None => "one processor, so server and load share it".to_owned(),
        };
        let governor = machine.governor.as_deref();
        format!(
            "{} of {}{}, {:.1} GB, {}, Linux {}, frequency {}; {pinned}. {} rounds of {} s each in \
             changing order. The ratio is processor time an answer in units of the first row's in the same \
             round: below 1 is cheaper. Made by `{}` in {:.0} s{}.",
            plural(machine.processors, "processor"),
            machine.processor,
            if machine.virtual_machine {
                " (virtual)"
            } else {
                ""
            },
            machine.memory as f64 / 1e9,
            machine.system,
            machine.kernel,
            governor.unwrap_or("governed by the host"),
            self.rounds,
            self.seconds,
            self.command,
            self.took,
            on(&self.date),
        )
    }
}

impl WorkResult {
    /// A heading, what was asked, and the table.
    pub fn markdown(&self) -> String {
        let mut out = format!("### {}\n\n{}\n\n", self.title, self.asked);
        let _ = writeln!(out, "| {} |", COLUMNS.join(" | "));
        let _ = writeln!(out, "|---{}|", "|---:".repeat(COLUMNS.len() - 1));
        for row in self.entries.iter().filter_map(row) {
            let _ = writeln!(out, "| {} |", row.join(" | "));
        }
        let notes = notes(self);
        if !notes.is_empty() {
            out.push('\n');
        }
        for note in notes {
            let _ = writeln!(out, "- {}", cell(&note));
        }
        out
    }

    /// Peers with one figure each, for a chart of bars.
    pub fn bars(&self, figure: fn(&Figures) -> f64) -> Vec<(String, f64)> {
        let measured = self.entries.iter().filter_map(|entry| match &entry.fate {
            Fate::Measured(figures) => Some((entry.peer.clone(), figure(figures))),
            _ => None,
        });
        measured.collect()
    }
}

/// The row of a peer; one that can't do the work has `-` in it.
fn row(entry: &Entry) -> Option<[String; 9]> {
    let dash = || "-".to_owned();
    let figures = match &entry.fate {
        Fate::Measured(figures) => figures,
        _ => {
            let mut row = std::array::from_fn(|_| dash());
            row[0].clone_from(&entry.peer);
            return Some(row);
        }
    };
    let ratio = figures.ratio.as_ref();
    Some([
        entry.peer.clone(),
        whole(figures.rate.median),
        format!("{:.2}", figures.cpu.median),
        format!("{:.2}", figures.user.median),
        format!("{:.2}", figures.system.median),
        ratio.map_or_else(|| "1".to_owned(), |r| format!("{:.2}", r.median)),
        ratio.map_or_else(dash, spread),
        whole(figures.p99.median),
        format!("{:.0} MB", figures.resident.median / 1e6),
    ])
}

fn spread(spread: &Spread) -> String {
    format!("{:.2} to {:.2}", spread.low, spread.high)
}

/// What the table has no column for.
fn notes(work: &WorkResult) -> Vec<String> {
    work.entries.iter().flat_map(notes_of).collect()
}

fn notes_of(entry: &Entry) -> Vec<String> {
    let peer = &entry.peer;
    let mut notes: Vec<String> = entry.note.iter().map(|n| format!("{peer}: {n}")).collect();
    match &entry.fate {
        Fate::Measured(figures) => {
            if figures.right < 1.0 {
                notes.push(format!(
                    "{peer}: {:.2} % of a sample of answers were right",
                    figures.right * 100.0
                ));
            }
            if figures.reloads > 0 {
                notes.push(format!(
                    "{peer}: {} reloads, {} of {} answers lost",
                    figures.reloads, figures.failed, figures.answered
                ));
            } else if figures.failed > 0 {
                notes.push(format!(
                    "{peer}: {} of {} answers failed",
                    figures.failed, figures.answered
                ));
            }
            if let Some(limited) = &figures.limited {
                notes.push(format!("{peer}: the rate may be the load's: {limited}"));
            }
        }
        Fate::Cannot(why) => notes.push(format!("{peer}: {why}")),
        Fate::Wrong { right, examples } => notes.push(format!(
            "{peer}: not compared, {:.2} % of its answers were right: {}",
            right * 100.0,
            examples.join("; ")
        )),
        Fate::Failed(why) => notes.push(format!("{peer}: not measured: {why}")),
    }
    notes
}

/// Text that may not end a table's cell or a list's line.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn aligned(rows: &[[String; 9]]) -> String {
    let header = COLUMNS.map(str::to_owned);
    let all: Vec<&[String; 9]> = std::iter::once(&header).chain(rows).collect();
    let width = |i: usize| {
        let cells = all.iter().map(|row| row[i].chars().count());
        cells.max().unwrap_or(0)
    };
    let mut out = String::new();
    for row in &all {
        let _ = write!(out, "  {:<w$}", row[0], w = width(0));
        for (i, cell) in row.iter().enumerate().skip(1) {
            let _ = write!(out, "  {cell:>w$}", w = width(i));
        }
        out.push('\n');
    }
    out
}

/// ` on 2026-01-31`, where the day is known.
fn on(date: &str) -> String {
    if date.is_empty() {
        String::new()
    } else {
        format!(" on {date}")
    }
}

fn plural(count: usize, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Round;

    fn measured(peer: &str, cpu: f64, reference: Option<f64>) -> Entry {
        let rounds = |cpu| {
            let round = Round {
                rate: 123_456.4,
                user: cpu,
                ..Round::default()
            };
            vec![Some(round); 3]
        };
        let reference = reference.map(rounds);
        let figures = Figures::of(rounds(cpu), reference.as_deref(), 1.0);
        Entry {
            peer: peer.to_owned(),
            fate: Fate::Measured(Box::new(figures.expect("there are rounds"))),
            note: None,
        }
    }

    #[test]
    fn every_peer_has_a_row_and_every_dash_a_reason() {
        let work = WorkResult {
            id: "dns-geo".to_owned(),
            title: "Geo".to_owned(),
            entries: vec![
                measured("rhumb", 2.0, None),
                measured("gdnsd", 1.5, Some(2.0)),
                Entry {
                    peer: "nsd".to_owned(),
                    fate: Fate::Cannot("NSD knows no clients".to_owned()),
                    note: None,
                },
            ],
            ..WorkResult::default()
        };
        let markdown = work.markdown();
        assert!(
            markdown.contains("| rhumb | 123,456 | 2.00 |"),
            "{markdown}"
        );
        assert!(markdown.contains("| 0.75 | 0.75 to 0.75 |"), "{markdown}");
        assert!(markdown.contains("| nsd | - | - |"), "{markdown}");
        assert!(
            markdown.contains("- nsd: NSD knows no clients"),
            "{markdown}"
        );
        let comparison = Comparison {
            works: vec![work],
            ..Comparison::default()
        };
        let text = comparison.text();
        assert!(text.contains("gdnsd  123,456"), "{text}");
    }
}
