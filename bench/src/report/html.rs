//! A report as one HTML page: the same words and tables with charts between them. No script, nothing from
//! outside; light or dark as the reader's system is, on a phone as on a desk, and on paper.

use super::chart::{self, Ink, Line, Part, ShareBar, Width};
use super::page::{Block, Chart, Page, Section, Table, Tone};
use super::{Report, TimelineTold};
use crate::shares::ServiceShares;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");

pub(super) fn html(report: &Report, page: &Page) -> String {
    let failed = !page.failures.is_empty();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (page.title) }
                style { (PreEscaped(STYLE)) (PreEscaped(chart::style())) }
            }
            body {
                main {
                    header {
                        p.verdict.failed[failed] { @if failed { "Failed" } @else { "Passed" } }
                        h1 { (page.title) }
                        p.quiet { (page.subtitle) }
                        @if failed {
                            ul.reasons { @for reason in &page.failures { li { (reason) } } }
                        }
                        dl.figures {
                            @for (name, value, remark) in &page.figures {
                                div { dt { (name) } dd { strong { (value) } span { (remark) } } }
                            }
                        }
                    }
                    @for section in &page.sections { (one_section(report, section)) }
                }
            }
        }
    };
    markup.into_string()
}

fn one_section(report: &Report, section: &Section) -> Markup {
    html! {
        section {
            h2 { (section.title) }
            @for block in &section.blocks {
                @match block {
                    Block::Heading(text) => h3 { (text) },
                    Block::Note(tone, text) => p class=[class(*tone)] { (text) },
                    Block::Table(rows) => (table(rows)),
                    Block::Folded(title, rows) => details { summary { (title) } (table(rows)) },
                    Block::Chart(chart) => (figure(report, *chart)),
                }
            }
        }
    }
}

fn class(tone: Tone) -> Option<&'static str> {
    match tone {
        Tone::Plain => None,
        Tone::Good => Some("good"),
        Tone::Bad => Some("bad"),
    }
}

fn table(table: &Table) -> Markup {
    let number = |i: usize| (i >= table.words).then_some("number");
    html! {
        div.wide tabindex="0" {
            table {
                @if table.head.iter().any(|head| !head.is_empty()) {
                    thead { tr {
                        @for (i, head) in table.head.iter().enumerate() {
                            th scope="col" class=[number(i)] { (head) }
                        }
                    } }
                }
                tbody {
                    @for row in &table.rows {
                        tr class=[row.first().filter(|cell| !cell.is_empty()).map(|_| "first")] {
                            @for (i, cell) in row.iter().enumerate() {
                                td class=[number(i)] { (cell) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A chart in both widths, of which the page shows the one that fits.
fn figure(report: &Report, chart: Chart) -> Markup {
    let Some((caption, draw)) = drawing(report, chart) else {
        return html! {};
    };
    html! {
        figure {
            figcaption { (caption) }
            div.desk { (PreEscaped(draw(Width::Wide))) }
            div.phone { (PreEscaped(draw(Width::Narrow))) }
        }
    }
}

type Draw<'a> = Box<dyn Fn(Width) -> String + 'a>;

fn drawing(report: &Report, chart: Chart) -> Option<(String, Draw<'_>)> {
    let marks: Vec<f64> = report.events.iter().map(|step| step.at).collect();
    let numbered = match marks.is_empty() {
        true => "",
        false => " The numbered lines are the steps under “What happened”.",
    };
    match chart {
        Chart::Latency => {
            let latency = &report.latency;
            (!latency.curve.is_empty()).then(|| {
                let caption = "Latency: how long all but the slowest took".to_owned();
                let draw = |width| chart::latency(&latency.curve, &latency.percentiles, width);
                (caption, Box::new(draw) as Draw<'_>)
            })
        }
        Chart::Rate => {
            let timeline = report.timeline.as_ref()?;
            let caption = format!("Answers and failures a second.{numbered}");
            let draw = move |width| rate(timeline, &marks, width);
            Some((caption, Box::new(draw)))
        }
        Chart::Delay => {
            let timeline = report.timeline.as_ref()?;
            let caption = format!("Mean latency of each {}.", chart::seconds(timeline.slice));
            let draw = move |width| delay(timeline, &marks, width);
            Some((caption, Box::new(draw)))
        }
        Chart::Shares(position) => {
            let service = report.shares.services.get(position)?;
            let caption = "What came (bars) and what is promised (marks)".to_owned();
            let draw = move |width| shares(report, service, width);
            Some((caption, Box::new(draw)))
        }
        Chart::Traffic(position) => {
            let timeline = report.timeline.as_ref()?;
            let caption = format!("Share of traffic.{numbered}");
            timeline.services.get(position)?;
            let draw = move |width| traffic(report, timeline, position, &marks, width);
            Some((caption, Box::new(draw)))
        }
    }
}

fn rate(timeline: &TimelineTold, marks: &[f64], width: Width) -> String {
    let answers = Line {
        name: "answers a second",
        ink: Ink::Main,
        values: &timeline.answered,
        filled: true,
    };
    let failures = Line {
        name: "failures a second",
        ink: Ink::Bad,
        values: &timeline.failed,
        filled: true,
    };
    let any = timeline.failed.iter().any(|failed| *failed > 0.0);
    let lines: Vec<Line<'_>> = [Some(answers), any.then_some(failures)]
        .into_iter()
        .flatten()
        .collect();
    chart::lines(
        "Answers and failures a second",
        timeline.slice,
        &lines,
        marks,
        chart::short,
        width,
    )
}

fn delay(timeline: &TimelineTold, marks: &[f64], width: Width) -> String {
    let mean = Line {
        name: "mean latency",
        ink: Ink::Main,
        values: &timeline.mean,
        filled: true,
    };
    chart::lines(
        "Mean latency by time",
        timeline.slice,
        &[mean],
        marks,
        chart::micros,
        width,
    )
}

fn shares(report: &Report, service: &ServiceShares, width: Width) -> String {
    let rows = service.outcomes.iter().map(|share| ShareBar {
        name: &share.outcome,
        ink: ink(report, &share.outcome),
        promised: share.expected_share,
        came: share.observed_share,
    });
    let rows: Vec<ShareBar<'_>> = rows.collect();
    let title = format!("Shares of {}, promised and observed", service.service);
    chart::shares(&title, &rows, width)
}

fn traffic(
    report: &Report,
    timeline: &TimelineTold,
    position: usize,
    marks: &[f64],
    width: Width,
) -> String {
    let Some(line) = timeline.services.get(position) else {
        return String::new();
    };
    let outcomes = line.outcomes.iter().map(|outcome| Part {
        name: outcome.outcome.clone(),
        ink: ink(report, &outcome.outcome),
        counts: outcome.answers.clone(),
    });
    let mut parts: Vec<Part> = outcomes.collect();
    if line.failed.iter().any(|failed| *failed > 0) {
        parts.push(Part {
            name: "failed".to_owned(),
            ink: Ink::Text,
            counts: line.failed.clone(),
        });
    }
    let title = format!("Traffic of {} by time", line.service);
    chart::parts(&title, timeline.slice, &parts, marks, width)
}

/// The colour of an outcome: that of its region, by its place in the config.
fn ink(report: &Report, outcome: &str) -> Ink {
    match report.regions.iter().position(|region| region == outcome) {
        Some(position) => Ink::Region(position),
        None if outcome == "elsewhere" => Ink::Bad,
        None => Ink::Nowhere,
    }
}
