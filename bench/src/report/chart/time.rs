//! What happened by time: lines of one unit, or the parts of a whole, with the steps of a scenario marked.

use super::Width;
use super::canvas::{Anchor, Canvas, QUIET, Words, fitting, width_of};
use super::ink::Ink;
use super::scale::{seconds, steps};

const HEIGHT: f64 = 220.0;
const FOOT: f64 = 26.0;
const BADGE: f64 = 8.5;

/// A line by time.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// What it is of.
    pub name: &'a str,
    /// Its colour.
    pub ink: Ink,
    /// A value for each slice.
    pub values: &'a [f64],
    /// Whether the area below it is tinted.
    pub filled: bool,
}

/// A part of a whole by time.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is of.
    pub name: String,
    /// Its colour.
    pub ink: Ink,
    /// A count for each slice.
    pub counts: Vec<u64>,
}

/// Lines on one axis from 0. `slice` is how long each value stands for, in seconds; `marks` are the moments
/// of steps, in seconds; `written` is how a value is written.
pub fn lines(
    title: &str,
    slice: f64,
    lines: &[Line<'_>],
    marks: &[f64],
    written: fn(f64) -> String,
    width: Width,
) -> String {
    let mut canvas = Canvas::new(width.pixels(), HEIGHT);
    let values = lines.iter().flat_map(|line| line.values);
    let most = values.copied().fold(0.0, f64::max);
    let slices = lines
        .iter()
        .map(|line| line.values.len())
        .max()
        .unwrap_or(0);
    let steps: Vec<(f64, String)> = steps(most, 4)
        .into_iter()
        .map(|s| (s, written(s)))
        .collect();
    let frame = Frame::new(steps, 40.0, 12.0, slice * slices as f64, width);
    frame.axes(&mut canvas);
    for line in lines {
        let points = line.values.iter().enumerate();
        let points = points.map(|(i, value)| frame.place((i as f64 + 0.5) * slice, *value));
        let points: Vec<(f64, f64)> = points.collect();
        if let (true, Some(first), Some(last)) = (line.filled, points.first(), points.last()) {
            let ground = frame.y(0.0);
            let area = [&[(first.0, ground)], &points[..], &[(last.0, ground)]].concat();
            canvas.area(area, line.ink, 0.12);
        }
        canvas.line(points, line.ink, 1.75);
    }
    names(
        &mut canvas,
        lines.iter().map(|line| (line.name, line.ink)),
        width,
    );
    frame.marks(&mut canvas, marks);
    let told = lines.iter().map(|line| {
        let most = line.values.iter().copied().fold(0.0, f64::max);
        let mean = line.values.iter().sum::<f64>() / line.values.len().max(1) as f64;
        format!(
            "{}: {} in the mean, {} at most",
            line.name,
            written(mean),
            written(most)
        )
    });
    canvas.finish(title, &format!("{}.", told.collect::<Vec<_>>().join("; ")))
}

/// Parts of a whole as areas over each other, the first at the bottom.
pub fn parts(title: &str, slice: f64, parts: &[Part], marks: &[f64], width: Width) -> String {
    let mut canvas = Canvas::new(width.pixels(), HEIGHT);
    let slices = parts
        .iter()
        .map(|part| part.counts.len())
        .max()
        .unwrap_or(0);
    let steps = [0.0, 0.25, 0.5, 0.75, 1.0].map(|s| (s, format!("{} %", s * 100.0)));
    let name = parts.iter().map(|part| width_of(&part.name, 12.0) + 24.0);
    let room = name.fold(40.0, f64::max).min(width.pixels() * 0.37);
    let frame = Frame::new(steps.to_vec(), 22.0, room, slice * slices as f64, width);
    frame.axes(&mut canvas);
    let bands = bands(parts, slices);
    for (part, band) in parts.iter().zip(&bands) {
        draw_band(&mut canvas, &frame, slice, part.ink, band);
    }
    label_ends(&mut canvas, &frame, parts, &bands, width);
    frame.marks(&mut canvas, marks);
    let all: u64 = parts.iter().flat_map(|part| &part.counts).sum();
    let told = parts.iter().map(|part| {
        let these: u64 = part.counts.iter().sum();
        format!(
            "{} {:.1} %",
            part.name,
            these as f64 * 100.0 / all.max(1) as f64
        )
    });
    let told = told.collect::<Vec<_>>().join(", ");
    canvas.finish(title, &format!("Over the whole run: {told}."))
}

/// For each part and slice the share where it begins and ends; `None` where nothing came at all.
type Band = Vec<Option<(f64, f64)>>;

fn bands(parts: &[Part], slices: usize) -> Vec<Band> {
    let mut bands: Vec<Band> = vec![Vec::with_capacity(slices); parts.len()];
    for slice in 0..slices {
        let count = |part: &Part| part.counts.get(slice).copied().unwrap_or(0) as f64;
        let all: f64 = parts.iter().map(count).sum();
        let mut from = 0.0;
        for (part, band) in parts.iter().zip(&mut bands) {
            let upto = from + count(part) / all.max(1.0);
            band.push((all > 0.0).then_some((from, upto)));
            from = upto;
        }
    }
    bands
}

/// A band is drawn as columns: what a slice says holds for the whole of it.
fn draw_band(canvas: &mut Canvas, frame: &Frame, slice: f64, ink: Ink, band: &Band) {
    let mut start = 0;
    while start < band.len() {
        let run = band[start..]
            .iter()
            .take_while(|share| share.is_some())
            .count();
        let corners = |i: usize, of: fn((f64, f64)) -> f64| {
            let share = of(band[i].unwrap_or_default());
            let from = frame.place(i as f64 * slice, share);
            [from, frame.place((i + 1) as f64 * slice, share)]
        };
        let run = start..start + run;
        let upper = run.clone().flat_map(|i| corners(i, |share| share.1));
        let mut outline: Vec<(f64, f64)> = upper.collect();
        outline.extend(run.clone().rev().flat_map(|i| {
            let [from, to] = corners(i, |share| share.0);
            [to, from]
        }));
        let visible = run
            .clone()
            .any(|i| band[i].is_some_and(|(from, to)| to > from));
        if visible {
            canvas.area(outline, ink, 0.9);
        }
        start = run.end.max(start) + 1;
    }
}

/// Each part's name beside the end of its band, moved apart where they would touch.
fn label_ends(canvas: &mut Canvas, frame: &Frame, parts: &[Part], bands: &[Band], width: Width) {
    const APART: f64 = 16.0;
    let mut ends: Vec<(f64, &Part)> = Vec::new();
    for (part, band) in parts.iter().zip(bands) {
        // A part that is not there at the end is named where it would be.
        let last = band.iter().rev().flatten().next();
        if let Some((from, upto)) = last {
            ends.push((frame.y(f64::midpoint(*from, *upto)), part));
        }
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (top, ground) = (frame.y(1.0) + 6.0, frame.y(0.0) - 6.0);
    let mut least = top;
    for end in &mut ends {
        end.0 = end.0.max(least);
        least = end.0 + APART;
    }
    let mut most = ground.max(top + APART * ends.len().saturating_sub(1) as f64);
    for end in ends.iter_mut().rev() {
        end.0 = end.0.min(most);
        most = end.0 - APART;
    }
    let x = frame.right + 8.0;
    for (y, part) in ends {
        canvas.bar((x, y - 5.0), (x + 10.0, y + 5.0), part.ink);
        let name = fitting(&part.name, width.pixels() - x - 15.0, 12.0);
        let words = Words {
            size: 12.0,
            ..QUIET
        }
        .ink(Ink::Text);
        canvas.text((x + 15.0, y), name, words);
    }
}

/// The names of lines above them, each beside a sample of its line.
fn names<'a>(canvas: &mut Canvas, lines: impl Iterator<Item = (&'a str, Ink)>, width: Width) {
    let mut x = 0.0;
    for (name, ink) in lines {
        canvas.line(vec![(x, 8.0), (x + 16.0, 8.0)], ink, 2.5);
        let words = Words {
            size: 12.0,
            ..QUIET
        }
        .ink(Ink::Text);
        let name = fitting(name, width.pixels() - x - 22.0, 12.0);
        canvas.text((x + 21.0, 8.0), name.as_str(), words);
        x += 21.0 + width_of(&name, 12.0) + 18.0;
    }
}

/// Where things are, in pixels.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    length: f64,
    steps: Vec<(f64, String)>,
    ticks: usize,
}

impl Frame {
    fn new(steps: Vec<(f64, String)>, top: f64, room: f64, length: f64, width: Width) -> Self {
        let label = steps.iter().map(|(_, text)| width_of(text, 11.5));
        Self {
            left: label.fold(0.0, f64::max) + 10.0,
            right: width.pixels() - room,
            top,
            length: length.max(1e-9),
            steps,
            ticks: if width == Width::Wide { 8 } else { 3 },
        }
    }

    fn x(&self, time: f64) -> f64 {
        self.left + (self.right - self.left) * (time / self.length).clamp(0.0, 1.0)
    }

    fn y(&self, value: f64) -> f64 {
        let whole = self.steps.last().map_or(1.0, |step| step.0);
        HEIGHT - FOOT - (HEIGHT - FOOT - self.top) * (value / whole).clamp(0.0, 1.0)
    }

    fn place(&self, time: f64, value: f64) -> (f64, f64) {
        (self.x(time), self.y(value))
    }

    fn axes(&self, canvas: &mut Canvas) {
        for (step, text) in &self.steps {
            let y = self.y(*step);
            canvas.line(vec![(self.left, y), (self.right, y)], Ink::Grid, 1.0);
            canvas.text((self.left - 6.0, y), text.as_str(), QUIET.at(Anchor::End));
        }
        let ground = HEIGHT - FOOT;
        for time in steps(self.length, self.ticks) {
            if time > self.length * 1.001 {
                break;
            }
            let x = self.x(time);
            canvas.line(vec![(x, ground), (x, ground + 4.0)], Ink::Quiet, 1.0);
            canvas.text((x, ground + 14.0), seconds(time), QUIET.at(Anchor::Middle));
        }
    }

    /// The steps of a scenario: a line with its number, moved aside where two would touch.
    fn marks(&self, canvas: &mut Canvas, marks: &[f64]) {
        let y = self.top - 12.0;
        let mut free = self.left;
        for (i, mark) in marks.iter().enumerate() {
            let x = self.x(*mark);
            canvas.line(
                vec![(x, self.top - 3.0), (x, HEIGHT - FOOT)],
                Ink::Text,
                1.25,
            );
            let badge = x.max(free);
            free = badge + 2.0 * BADGE + 1.0;
            canvas.dot((badge, y), BADGE, Ink::Text);
            let words = Words {
                size: 10.5,
                ..QUIET
            }
            .ink(Ink::Ground)
            .bold();
            canvas.text((badge, y), format!("{}", i + 1), words.at(Anchor::Middle));
        }
    }
}
