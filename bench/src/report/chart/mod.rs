//! Charts as SVG: each a pure function from numbers to one element with a title and a description, readable
//! on light and dark ground, that needs neither script nor anything from outside. Axes begin at 0.

mod bars;
#[allow(dead_code)] // until all charts are there
mod canvas;
mod ink;
#[allow(dead_code)]
mod scale;

pub use bars::{Bar, bars, sized};
pub use ink::{Ink, style};

/// How wide a chart is, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Beside nothing on a desk.
    Wide,
    /// On a phone.
    Narrow,
}

impl Width {
    /// Pixels.
    pub const fn pixels(self) -> f64 {
        match self {
            Self::Wide => 860.0,
            Self::Narrow => 350.0,
        }
    }
}
