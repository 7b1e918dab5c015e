//! The colours of all charts: the same region has the same colour everywhere. Told apart by people who do
//! not see red or green, on light and on dark ground.

use plotters::style::RGBColor;
use std::fmt::Write;

/// A colour by what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Writing.
    Text,
    /// Writing and lines that step back.
    Quiet,
    /// Lines of a grid.
    Grid,
    /// What a chart is about, when it is about one thing.
    Main,
    /// What is beside it, for comparison.
    Other,
    /// What went wrong.
    Bad,
    /// A refusal of the policy, or no answer.
    Nowhere,
    /// The ground.
    Ground,
    /// A region, by its place in the config; they repeat after the eighth.
    Region(usize),
}

/// (light, dark), by [`Ink::number`].
const COLOURS: [(&str, &str); 16] = [
    ("#1f2933", "#e6e9ee"),
    ("#616e7c", "#9aa5b1"),
    ("#e1e6eb", "#323a45"),
    ("#33689e", "#7fb0e0"),
    ("#b4bfcb", "#55606e"),
    ("#b3362b", "#ff8a7a"),
    ("#8a93a0", "#7b8594"),
    ("#ffffff", "#161a20"),
    // Regions, in the order they are told apart best; none is red, which is for what went wrong.
    ("#4477aa", "#6d9fd1"),
    ("#d8a72e", "#e3c15f"),
    ("#2f8f5b", "#5dbd88"),
    ("#66c2e5", "#9adcf5"),
    ("#a0559b", "#cf8fca"),
    ("#8c6d4f", "#bf9f80"),
    ("#6b6ecf", "#a3a5f0"),
    ("#b9a7c9", "#d9cde6"),
];

/// Where regions begin in [`COLOURS`].
const REGIONS: usize = 8;

impl Ink {
    fn number(self) -> usize {
        match self {
            Self::Text => 0,
            Self::Quiet => 1,
            Self::Grid => 2,
            Self::Main => 3,
            Self::Other => 4,
            Self::Bad => 5,
            Self::Nowhere => 6,
            Self::Ground => 7,
            Self::Region(at) => REGIONS + at % (COLOURS.len() - REGIONS),
        }
    }

    /// What is drawn with: a mark that [`classed`] finds again.
    pub(super) fn rgb(self) -> RGBColor {
        RGBColor(1, 0, self.number() as u8)
    }

    /// The class of an element of a page that is filled with it.
    pub fn class(self) -> String {
        format!("f{}", self.number())
    }
}

/// The drawing with colours by class instead of fixed ones.
pub(super) fn classed(drawn: &str) -> String {
    let mut text = drawn.to_owned();
    for number in 0..COLOURS.len() {
        text = text
            .replace(
                &format!(" fill=\"#0100{number:02X}\""),
                &format!(" class=\"f{number}\""),
            )
            .replace(
                &format!(" stroke=\"#0100{number:02X}\""),
                &format!(" class=\"s{number}\""),
            );
    }
    text
}

/// The style sheet of every chart, by which it stands alone too.
pub fn style() -> String {
    let rules = |dark: bool| {
        let mut rules = String::new();
        for (number, (light, night)) in COLOURS.iter().enumerate() {
            let colour = if dark { night } else { light };
            // Writing to a string does not fail.
            let _ = write!(
                rules,
                ".f{number}{{fill:{colour}}}.s{number}{{stroke:{colour}}}"
            );
        }
        rules
    };
    format!(
        ".chart text{{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;\
         font-variant-numeric:tabular-nums}}.chart polyline{{stroke-linejoin:round}}{}\
         @media(prefers-color-scheme:dark){{{}}}",
        rules(false),
        rules(true)
    )
}
