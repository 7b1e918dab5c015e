//! Charts as SVG: each a pure function from numbers to one element with a title and a description, readable
//! on light and dark ground, that needs neither script nor anything from outside. Axes begin at 0.

mod bars;
mod canvas;
mod ink;
mod latency;
mod scale;
mod shares;
mod time;

pub use bars::{Bar, bars, sized};
pub use ink::{Ink, style};
pub use latency::latency;
pub use scale::{figures, micros, seconds, short, whole};
pub use shares::{ShareBar, shares};
pub use time::{Line, Part, lines, parts};

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
