//! The distribution of latency: how long all but the slowest few took, each further 9 as wide as the last.

use super::Width;
use super::canvas::{Anchor, Canvas, QUIET, Words, width_of};
use super::ink::Ink;
use super::scale::{micros, steps};
use crate::report::found::Percentile;

const HEIGHT: f64 = 270.0;
const TOP: f64 = 22.0;
const FOOT: f64 = 44.0;

/// The curve with the percentages in `told` marked on it.
pub fn latency(curve: &[Percentile], told: &[Percentile], width: Width) -> String {
    let mut canvas = Canvas::new(width.pixels(), HEIGHT);
    let frame = Frame::new(curve, width);
    frame.axes(&mut canvas);
    let line: Vec<(f64, f64)> = curve.iter().map(|point| frame.place(point)).collect();
    if let (Some(first), Some(last)) = (line.first(), line.last()) {
        let ground = HEIGHT - FOOT;
        let area = [&[(first.0, ground)], &line[..], &[(last.0, ground)]].concat();
        canvas.area(area, Ink::Main, 0.12);
    }
    canvas.line(line, Ink::Main, 2.25);
    let mut last = (f64::NEG_INFINITY, 0.0);
    for point in told {
        let (x, y) = frame.place(point);
        canvas.dot((x, y), 3.5, Ink::Main);
        let text = micros(point.micros);
        // The curve only rises, so there is always room above it on the left.
        let wide = width_of(&text, 12.5) + 2.0;
        let right = (x + 3.0).max(frame.left + wide);
        let touches = right - wide < last.0 && f64::abs(y - 12.0 - last.1) < 14.0;
        last = (right, if touches { last.1 - 15.0 } else { y - 12.0 });
        let words = Words {
            size: 12.0,
            ..QUIET
        }
        .ink(Ink::Text)
        .bold();
        canvas.text(last, text, words.at(Anchor::End));
    }
    let told = told
        .iter()
        .map(|p| format!("{} % within {}", p.percent, micros(p.micros)));
    let told: Vec<String> = told.collect();
    canvas.finish("Latency", &format!("Answers: {}.", told.join(", ")))
}

/// Where things are.
struct Frame {
    left: f64,
    right: f64,
    nines: f64,
    steps: Vec<f64>,
}

impl Frame {
    fn new(curve: &[Percentile], width: Width) -> Self {
        let most = curve.iter().map(|point| point.micros).fold(0.0, f64::max);
        let steps = steps(most, 5);
        let label = steps.iter().map(|step| width_of(&micros(*step), 11.5));
        Self {
            left: label.fold(0.0, f64::max) + 10.0,
            right: width.pixels() - 14.0,
            nines: curve.last().map_or(1.0, nines).max(0.5),
            steps,
        }
    }

    fn x(&self, nines: f64) -> f64 {
        self.left + (self.right - self.left) * (nines / self.nines).clamp(0.0, 1.0)
    }

    fn y(&self, micros: f64) -> f64 {
        let whole = self.steps.last().copied().unwrap_or(1.0);
        HEIGHT - FOOT - (HEIGHT - FOOT - TOP) * (micros / whole).clamp(0.0, 1.0)
    }

    fn place(&self, point: &Percentile) -> (f64, f64) {
        (self.x(nines(point)), self.y(point.micros))
    }

    fn axes(&self, canvas: &mut Canvas) {
        for step in &self.steps {
            let y = self.y(*step);
            canvas.line(vec![(self.left, y), (self.right, y)], Ink::Grid, 1.0);
            let words = QUIET.at(Anchor::End);
            canvas.text((self.left - 6.0, y), micros(*step), words);
        }
        let mut free = f64::NEG_INFINITY;
        for percent in [0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999] {
            let at = nines(&Percentile {
                percent,
                micros: 0.0,
            });
            let (x, label) = (self.x(at), format!("{percent} %"));
            let half = width_of(&label, 11.5) / 2.0;
            if at > self.nines + 0.01 || x - half < free {
                continue;
            }
            free = x + half + 4.0;
            let ground = HEIGHT - FOOT;
            canvas.line(vec![(x, ground), (x, ground + 4.0)], Ink::Quiet, 1.0);
            let words = if percent == 0.0 {
                Anchor::Start
            } else {
                Anchor::Middle
            };
            let x = x.min(self.right - 12.0);
            canvas.text((x, ground + 13.0), label, QUIET.at(words));
        }
        let middle = f64::midpoint(self.left, self.right);
        let words = QUIET.at(Anchor::Middle);
        canvas.text(
            (middle, HEIGHT - 9.0),
            "of answers took at most this long",
            words,
        );
    }
}

/// 1 for 90 %, 2 for 99 %.
fn nines(point: &Percentile) -> f64 {
    -(1.0 - point.percent / 100.0).max(1e-9).log10()
}
