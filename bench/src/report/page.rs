//! A report as headings, sentences, tables and places for charts: what text, Markdown and HTML have in
//! common, so that they can't tell different things.

use super::chart::whole;

/// All of a report.
pub(super) struct Page {
    pub(super) title: String,
    /// One line on who was asked what.
    pub(super) subtitle: String,
    /// Why the run is a failure; empty when it is none.
    pub(super) failures: Vec<String>,
    /// The few numbers that matter most: (name, value, remark).
    pub(super) figures: Vec<(&'static str, String, String)>,
    pub(super) sections: Vec<Section>,
}

/// A part with a heading.
#[derive(Default)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

/// A piece of a section.
pub(super) enum Block {
    /// A sentence or two.
    Note(Tone, String),
    Table(Table),
    /// A table for those who want to know all: not on a terminal.
    Folded(String, Table),
    /// A chart, where charts can be.
    Chart(Chart),
    /// A heading within the section.
    Heading(String),
}

/// How a sentence is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
}

/// A chart that the HTML page draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chart {
    Latency,
    Rate,
    Delay,
    /// Shares of a service, by its position.
    Shares(usize),
    /// Traffic of a service, by its position in the timeline.
    Traffic(usize),
}

/// Rows of cells.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    pub(super) head: Vec<&'static str>,
    /// Columns of words, from the left; those after them are numbers.
    pub(super) words: usize,
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(words: usize, head: &[&'static str]) -> Self {
        Self {
            head: head.to_vec(),
            words,
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }
}

impl Section {
    pub(super) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            blocks: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, tone: Tone, text: impl Into<String>) {
        self.blocks.push(Block::Note(tone, text.into()));
    }

    /// A table, unless it is empty.
    pub(super) fn table(&mut self, table: Table) {
        if !table.rows.is_empty() {
            self.blocks.push(Block::Table(table));
        }
    }
}

/// `1 answer`, `2,000 answers`.
pub(super) fn counted(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{} {what}{s}", whole(count as f64))
}

/// A share in percent, with as many places as tell it from its neighbours.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".to_owned(),
        p if p.abs() < 0.01 => format!("{p:.4} %"),
        p => format!("{p:.2} %"),
    }
}
