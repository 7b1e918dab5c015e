//! Where a service's answers went beside where they should: a bar for what came, a mark for the promise.

use super::Width;
use super::canvas::{Anchor, Canvas, QUIET, Words, fitting, width_of};
use super::ink::Ink;
use super::scale::steps;

/// The share of one outcome.
#[derive(Clone, Debug)]
pub struct ShareBar<'a> {
    /// A region, or a way not to be sent anywhere.
    pub name: &'a str,
    /// Its colour.
    pub ink: Ink,
    /// 0 to 1.
    pub promised: f64,
    /// 0 to 1.
    pub came: f64,
}

const ROW: f64 = 30.0;
const BAR: f64 = 16.0;
const FOOT: f64 = 24.0;

/// Bars of shares on one axis from 0 %.
pub fn shares(title: &str, rows: &[ShareBar<'_>], width: Width) -> String {
    let height = ROW * rows.len() as f64 + FOOT + 2.0;
    let mut canvas = Canvas::new(width.pixels(), height);
    let name = rows.iter().map(|row| width_of(row.name, 12.5));
    let left = name.fold(30.0, f64::max).min(width.pixels() * 0.3) + 10.0;
    let room = if width == Width::Wide { 190.0 } else { 68.0 };
    let right = width.pixels() - room;
    let most = rows
        .iter()
        .map(|row| row.promised.max(row.came))
        .fold(0.0, f64::max);
    let steps = steps(most * 100.0, if width == Width::Wide { 5 } else { 3 });
    let whole = steps.last().copied().unwrap_or(100.0) / 100.0;
    let x = |share: f64| left + (right - left) * (share / whole).clamp(0.0, 1.0);
    let ground = ROW * rows.len() as f64;
    for step in &steps {
        let at = x(step / 100.0);
        canvas.line(vec![(at, 0.0), (at, ground)], Ink::Grid, 1.0);
        canvas.text(
            (at, ground + 12.0),
            format!("{step} %"),
            QUIET.at(Anchor::Middle),
        );
    }
    for (i, row) in rows.iter().enumerate() {
        let middle = ROW * (i as f64 + 0.5);
        let words = Words {
            size: 12.5,
            ..QUIET
        }
        .ink(Ink::Text)
        .at(Anchor::End);
        canvas.text(
            (left - 8.0, middle),
            fitting(row.name, left - 8.0, 12.5),
            words,
        );
        canvas.bar(
            (left, middle - BAR / 2.0),
            (x(row.came), middle + BAR / 2.0),
            row.ink,
        );
        let promised = x(row.promised);
        let reach = BAR / 2.0 + 4.0;
        // The mark stands on a rim of the ground's colour, so that it is seen on any bar.
        let mark = |y: f64| vec![(promised, middle - y), (promised, middle + y)];
        if row.promised > 0.0 {
            canvas.line(mark(reach), Ink::Ground, 5.0);
            canvas.line(mark(reach), Ink::Text, 2.25);
        }
        let came = format!("{:.1} %", row.came * 100.0);
        let after = (right + 10.0).max(x(row.came) + 8.0);
        let words = Words {
            size: 12.0,
            ..QUIET
        }
        .ink(Ink::Text)
        .bold();
        canvas.text((after, middle), came.as_str(), words);
        if width == Width::Wide {
            let beside = after + width_of(&came, 13.5) + 8.0;
            let text = format!("promised {:.1} %", row.promised * 100.0);
            canvas.text((beside, middle), text, QUIET);
        }
    }
    let told = rows.iter().map(|row| {
        let (came, promised) = (row.came * 100.0, row.promised * 100.0);
        format!("{} {came:.1} %, promised {promised:.1} %", row.name)
    });
    let told = told.collect::<Vec<_>>().join("; ");
    canvas.finish(title, &format!("{told}."))
}
