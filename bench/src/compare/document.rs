//! Keeps a page of measurements true: what was measured stands between markers and is replaced whole;
//! what a person wrote about it stays as it is.
//!
//! ```text
//! <!-- measured: dns-geo -->      a table and a chart, made here
//! <!-- end of measured -->
//! Prose about them, made by hand.
//! ```
//!
//! It makes text; it reads and writes no file.

use super::result::{Comparison, Fate, WorkResult};
use crate::report::chart::{Bar, bars};

/// The block that describes the machine, the versions and how to repeat.
const CIRCUMSTANCES: &str = "circumstances";
const END: &str = "<!-- end of measured -->";

/// A chart that belongs to a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Its file name.
    pub name: String,
    /// The drawing.
    pub svg: String,
}

/// The page with every measured block replaced by what `comparison` says; blocks that the page does not
/// have are added at its end, and blocks that the comparison does not have are left alone. Charts are
/// referred to as lying in `folder`, a path as the page sees it.
pub fn update(page: &str, comparison: &Comparison, folder: &str) -> String {
    let mut page = replaced(page, CIRCUMSTANCES, &circumstances(comparison));
    for work in &comparison.works {
        let chart = format!(
            "\n![{}: processor time for each {}]({folder}/{})\n",
            work.title,
            work.unit,
            chart_name(work)
        );
        page = replaced(&page, &work.id, &format!("{}{chart}", work.markdown()));
    }
    page
}

/// The charts that the page refers to.
pub fn charts(comparison: &Comparison) -> Vec<Chart> {
    let works = comparison.works.iter();
    works
        .map(|work| Chart {
            name: chart_name(work),
            svg: chart(work),
        })
        .collect()
}

fn chart_name(work: &WorkResult) -> String {
    format!("{}.svg", work.id)
}

/// Processor time by peer, the reference first.
fn chart(work: &WorkResult) -> String {
    let mut rows = Vec::new();
    for (i, entry) in work.entries.iter().enumerate() {
        if let Fate::Measured(figures) = &entry.fate {
            let ratio = figures.ratio.as_ref();
            rows.push(Bar {
                label: entry.peer.clone(),
                value: figures.cpu.median,
                low: figures.cpu.low,
                high: figures.cpu.high,
                note: ratio.map_or_else(String::new, |ratio| format!("× {:.2}", ratio.median)),
                group: String::new(),
                ours: i == 0,
            });
        }
    }
    let unit = format!("µs of processor time a {}", work.unit);
    bars(&work.title, &unit, &rows)
}

fn circumstances(comparison: &Comparison) -> String {
    let mut text = format!(
        "{}\n\n| | version |\n|---|---|\n",
        comparison.machine_in_words()
    );
    let here = comparison.versions.iter();
    let here = here.map(|(peer, version)| (peer, version.clone()));
    let missing = comparison.missing.iter();
    let missing = missing.map(|(peer, why)| (peer, format!("left out: {why}")));
    for (peer, words) in here.chain(missing) {
        text.push_str(&format!(
            "| {peer} | {} |\n",
            words.replace(['|', '\n'], " ")
        ));
    }
    text
}

fn replaced(page: &str, name: &str, content: &str) -> String {
    let begin = format!("<!-- measured: {name} -->");
    let block = format!("{begin}\n{}\n{END}", content.trim_end());
    if let Some((before, rest)) = page.split_once(&begin)
        && let Some((_, after)) = rest.split_once(END)
    {
        return format!("{before}{block}{after}");
    }
    format!("{}\n\n{block}\n", page.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(date: &str) -> Comparison {
        Comparison {
            date: date.to_owned(),
            works: vec![WorkResult {
                id: "dns-geo".to_owned(),
                title: "Geo".to_owned(),
                unit: "query".to_owned(),
                ..WorkResult::default()
            }],
            ..Comparison::default()
        }
    }

    #[test]
    fn what_was_measured_is_replaced_and_prose_stays() {
        let page = update("# Performance\n", &comparison("one day"), "performance");
        assert!(page.contains("one day"), "{page}");
        assert!(page.contains("(performance/dns-geo.svg)"), "{page}");
        let page = format!("{}\nSaid by hand.\n", page.trim_end());
        let again = update(&page, &comparison("another day"), "performance");
        assert!(again.contains("another day") && !again.contains("one day"));
        assert!(again.ends_with("Said by hand.\n"), "{again}");
        assert_eq!(again.matches("measured: dns-geo").count(), 1);
    }

    #[test]
    fn what_was_not_measured_this_time_is_left_alone() {
        let page = "<!-- measured: http-h2 -->\nold\n<!-- end of measured -->\n";
        let again = update(page, &comparison("today"), "performance");
        assert!(again.starts_with(page), "{again}");
    }

    #[test]
    fn every_work_has_its_chart() {
        let charts = charts(&comparison("today"));
        assert_eq!(charts[0].name, "dns-geo.svg");
        assert!(charts[0].svg.contains("<svg"));
    }
}
