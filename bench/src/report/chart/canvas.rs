//! A sheet to draw a chart on: lines, areas, bars and words in pixels, in colours that follow the reader's
//! light or dark mode. What comes out is one SVG element that needs nothing from outside.

use super::ink::{self, Ink};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Drawn so many times larger than shown: the backend knows whole numbers only.
const FINE: f64 = 4.0;
/// The width of a letter, about, as a part of the size of the writing.
const LETTER: f64 = 0.6;

/// Which point of a text is placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// Its left end.
    Start,
    /// Its middle.
    Middle,
    /// Its right end.
    End,
}

/// How a text is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) ink: Ink,
    /// Pixels.
    pub(super) size: f64,
    pub(super) anchor: Anchor,
    pub(super) bold: bool,
}

/// Small, quiet writing: for axes.
pub(super) const QUIET: Words = Words {
    ink: Ink::Quiet,
    size: 11.5,
    anchor: Anchor::Start,
    bold: false,
};

impl Words {
    pub(super) const fn at(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(super) const fn ink(self, ink: Ink) -> Self {
        Self { ink, ..self }
    }

    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }
}

/// A sheet. Drawing into memory can't fail, so that no method tells an error.
pub(super) struct Canvas {
    width: f64,
    height: f64,
    marks: Vec<Mark>,
}

/// Something drawn; coordinates in pixels.
enum Mark {
    Line(Vec<(f64, f64)>, Ink, f64),
    Area(Vec<(f64, f64)>, Ink, f64),
    Bar((f64, f64), (f64, f64), Ink),
    Dot((f64, f64), f64, Ink),
    Text((f64, f64), String, Words),
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            marks: Vec::new(),
        }
    }

    /// A line through these points.
    pub(super) fn line(&mut self, points: Vec<(f64, f64)>, ink: Ink, width: f64) {
        self.marks.push(Mark::Line(points, ink, width));
    }

    /// The area within these points.
    pub(super) fn area(&mut self, points: Vec<(f64, f64)>, ink: Ink, opacity: f64) {
        self.marks.push(Mark::Area(points, ink, opacity));
    }

    /// A filled box between two corners.
    pub(super) fn bar(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink) {
        self.marks.push(Mark::Bar(from, to, ink));
    }

    pub(super) fn dot(&mut self, at: (f64, f64), radius: f64, ink: Ink) {
        self.marks.push(Mark::Dot(at, radius, ink));
    }

    /// A text, centred on the height of its point.
    pub(super) fn text(&mut self, at: (f64, f64), text: impl Into<String>, words: Words) {
        self.marks.push(Mark::Text(at, text.into(), words));
    }

    /// The SVG, told to those who can't see it by `title` and `description`.
    pub(super) fn finish(self, title: &str, description: &str) -> String {
        let size = ((self.width * FINE) as u32, (self.height * FINE) as u32);
        let mut drawn = String::new();
        {
            let area = SVGBackend::with_string(&mut drawn, size).into_drawing_area();
            for mark in &self.marks {
                // Writing to a string does not fail.
                let _ = mark.draw(&area);
            }
            let _ = area.present();
        }
        let inside = drawn.split_once('>').map_or("", |(_, inside)| inside);
        format!(
            "<svg class=\"chart\" role=\"img\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" xmlns=\"http://www.w3.org/2000/svg\">\
             <title>{}</title><desc>{}</desc><style>{}</style>{}",
            size.0,
            size.1,
            self.width,
            self.height,
            escaped(title),
            escaped(description),
            ink::style(),
            ink::classed(inside.trim())
        )
    }
}

impl Mark {
    fn draw(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        match self {
            Self::Line(points, ink, width) => {
                let style = ink.rgb().stroke_width(fine(*width) as u32);
                let points: Vec<(i32, i32)> = points.iter().copied().map(fine_point).collect();
                area.draw(&PathElement::new(points, style))
            }
            Self::Area(points, ink, opacity) => {
                let points: Vec<(i32, i32)> = points.iter().copied().map(fine_point).collect();
                area.draw(&Polygon::new(points, ink.rgb().mix(*opacity).filled()))
            }
            Self::Bar(from, to, ink) => area.draw(&Rectangle::new(
                [fine_point(*from), fine_point(*to)],
                ink.rgb().filled(),
            )),
            Self::Dot(at, radius, ink) => {
                let radius = fine(*radius);
                area.draw(&Circle::new(fine_point(*at), radius, ink.rgb().filled()))
            }
            Self::Text(at, text, words) => {
                let anchor = match words.anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                // The backend takes a size that is larger than what it writes, by this much.
                let font = ("sans-serif", words.size * FINE * 1.24);
                let font = font.into_font().style(match words.bold {
                    true => FontStyle::Bold,
                    false => FontStyle::Normal,
                });
                let colour = words.ink.rgb();
                let style = TextStyle::from(font)
                    .color(&colour)
                    .pos(Pos::new(anchor, VPos::Center));
                area.draw(&Text::new(text.as_str(), fine_point(*at), style))
            }
        }
    }
}

fn fine(pixels: f64) -> i32 {
    (pixels * FINE).round() as i32
}

fn fine_point((x, y): (f64, f64)) -> (i32, i32) {
    (fine(x), fine(y))
}

/// How wide a text is in about, pixels.
pub(super) fn width_of(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}

/// The text, or as much of its beginning as fits `width` pixels.
pub(super) fn fitting(text: &str, width: f64, size: f64) -> String {
    let room = (width / (size * LETTER)).max(1.0) as usize;
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(room.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}
