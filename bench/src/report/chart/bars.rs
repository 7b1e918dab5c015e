//! Bars that lie on their sides, in groups, with the spread of each and its value written at its end.

use super::Width;
use super::canvas::{Anchor, Canvas, QUIET, Words, fitting, width_of};
use super::ink::Ink;
use super::scale::{short, steps};

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it is of.
    pub label: String,
    /// How long it is; not below 0.
    pub value: f64,
    /// The least that was measured; the value itself where there is no spread.
    pub low: f64,
    /// The most that was measured.
    pub high: f64,
    /// What is written after the value, such as a ratio; may be empty.
    pub note: String,
    /// The group it belongs to: bars of one group follow each other under its name, which may be empty.
    pub group: String,
    /// Whether it is the one that the others are compared with.
    pub ours: bool,
}

const ROW: f64 = 24.0;
const BAR: f64 = 15.0;
const HEAD: f64 = 30.0;
const FOOT: f64 = 30.0;

/// A chart of `rows` on one axis from 0, in `unit`. It stands alone: it carries its own title.
pub fn bars(title: &str, unit: &str, rows: &[Bar]) -> String {
    sized(title, unit, rows, Width::Wide)
}

/// The same in one of two widths.
pub fn sized(title: &str, unit: &str, rows: &[Bar], width: Width) -> String {
    let layout = Layout::new(rows, width);
    let mut canvas = Canvas::new(width.pixels(), layout.height(rows));
    let heading = Words {
        size: 14.0,
        ..QUIET
    }
    .ink(Ink::Text)
    .bold();
    canvas.text((0.0, 12.0), fitting(title, width.pixels(), 15.0), heading);
    layout.axis(&mut canvas, unit, layout.height(rows));
    let mut top = HEAD;
    let mut group = "";
    for row in rows {
        if row.group != group {
            group = &row.group;
            let words = QUIET.ink(Ink::Text).bold();
            canvas.text(
                (0.0, top + ROW / 2.0 + 2.0),
                fitting(group, width.pixels(), 12.0),
                words,
            );
            top += ROW;
        }
        layout.row(&mut canvas, row, top);
        top += ROW;
    }
    canvas.finish(title, &description(unit, rows))
}

/// Where things are, in pixels.
struct Layout {
    left: f64,
    right: f64,
    steps: Vec<f64>,
}

impl Layout {
    fn new(rows: &[Bar], width: Width) -> Self {
        let label = rows.iter().map(|row| width_of(&row.label, 12.5));
        let left = label.fold(40.0, f64::max).min(width.pixels() * 0.34) + 10.0;
        let note = rows.iter().map(|row| width_of(&written(row), 11.5));
        let right = width.pixels() - note.fold(40.0, f64::max).min(width.pixels() * 0.3) - 10.0;
        let most = rows
            .iter()
            .map(|row| row.high.max(row.value))
            .fold(0.0, f64::max);
        let count = if width == Width::Wide { 6 } else { 3 };
        Self {
            left,
            right,
            steps: steps(most, count),
        }
    }

    fn height(&self, rows: &[Bar]) -> f64 {
        let mut groups: Vec<&str> = rows.iter().map(|row| row.group.as_str()).collect();
        groups.dedup();
        let named = groups.iter().filter(|group| !group.is_empty()).count();
        HEAD + FOOT + ROW * (rows.len() + named) as f64
    }

    fn x(&self, value: f64) -> f64 {
        let whole = self.steps.last().copied().unwrap_or(1.0);
        self.left + (self.right - self.left) * (value / whole).clamp(0.0, 1.0)
    }

    fn axis(&self, canvas: &mut Canvas, unit: &str, height: f64) {
        let foot = height - FOOT;
        for step in &self.steps {
            let x = self.x(*step);
            canvas.line(vec![(x, HEAD), (x, foot)], Ink::Grid, 1.0);
            canvas.text((x, foot + 9.0), short(*step), QUIET.at(Anchor::Middle));
        }
        let middle = f64::midpoint(self.left, self.right);
        canvas.text((middle, foot + 23.0), unit, QUIET.at(Anchor::Middle));
    }

    fn row(&self, canvas: &mut Canvas, row: &Bar, top: f64) {
        let middle = top + ROW / 2.0;
        let ink = if row.ours { Ink::Main } else { Ink::Other };
        let mut words = Words {
            size: 12.5,
            ..QUIET
        }
        .ink(Ink::Text)
        .at(Anchor::End);
        words.bold = row.ours;
        let label = fitting(&row.label, self.left - 8.0, 12.5);
        canvas.text((self.left - 8.0, middle), label, words);
        let end = self.x(row.value);
        canvas.bar(
            (self.left, middle - BAR / 2.0),
            (end, middle + BAR / 2.0),
            ink,
        );
        let (low, high) = (self.x(row.low), self.x(row.high));
        if high - low > 1.0 {
            canvas.line(vec![(low, middle), (high, middle)], Ink::Text, 1.25);
            for x in [low, high] {
                canvas.line(vec![(x, middle - 3.5), (x, middle + 3.5)], Ink::Text, 1.25);
            }
        }
        let after = end.max(high) + 6.0;
        canvas.text((after, middle), written(row), QUIET.ink(Ink::Text));
    }
}

fn written(row: &Bar) -> String {
    match row.note.is_empty() {
        true => short(row.value),
        false => format!("{} · {}", short(row.value), row.note),
    }
}

fn description(unit: &str, rows: &[Bar]) -> String {
    let told = rows.iter().map(|row| {
        let group = match row.group.is_empty() {
            true => String::new(),
            false => format!("{}, ", row.group),
        };
        format!("{group}{}: {}", row.label, written(row))
    });
    format!("Bars in {unit}. {}.", told.collect::<Vec<_>>().join("; "))
}
