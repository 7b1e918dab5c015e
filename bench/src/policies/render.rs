//! Results as text for a terminal, as Markdown and as JSON. It computes nothing.

use super::measure::BATCH;
use super::{Layout, Measured, Results, Row};
use crate::report::chart::whole;
use std::fmt::Write;

/// Plain text, columns aligned.
pub fn text(results: &Results) -> String {
    let mut out = format!("{}\n", about(results));
    for group in &results.groups {
        let _ = write!(out, "\n{}\n{}\n\n", group.title, group.about);
        let table = table(group, results.counted);
        let widths: Vec<usize> = (0..table[0].len())
            .map(|column| {
                table
                    .iter()
                    .map(|line| line[column].len())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for line in &table {
            let mut cells = line.iter().zip(&widths);
            if let Some((first, width)) = cells.next() {
                let _ = write!(out, "  {first:<width$}");
            }
            for (cell, width) in cells {
                let _ = write!(out, "  {cell:>width$}");
            }
            out.push('\n');
        }
    }
    out
}

/// Markdown, a table for each group.
pub fn markdown(results: &Results) -> String {
    let mut out = format!("{}\n", about(results));
    for group in &results.groups {
        let _ = write!(out, "\n### {}\n\n{}\n\n", group.title, group.about);
        for (i, line) in table(group, results.counted).iter().enumerate() {
            let _ = writeln!(out, "| {} |", line.join(" | "));
            if i == 0 {
                let _ = writeln!(out, "|---{}|", "|---:".repeat(line.len() - 1));
            }
        }
    }
    out
}

/// JSON, every figure unrounded.
///
/// # Errors
/// Never for results that were measured; the serializer's error is passed on.
pub fn json(results: &Results) -> serde_json::Result<String> {
    serde_json::to_string_pretty(results)
}

fn about(results: &Results) -> String {
    let (v4, v6) = results.ranges;
    let bytes = if results.counted {
        "Bytes are those allocated by the deciding thread."
    } else {
        "Bytes allocated were not counted: this program's allocator does not tell. \
         `cargo run --release -p rhumb-bench --example policies` counts them."
    };
    format!(
        "The core without a server: one thread decides for {} clients from {} ({} IPv4 and {} IPv6 ranges), \
         the location lookup included, {} s a cell.\n\
         ns is the median of batches of {BATCH} decisions; a tenth of them took less than p10, a tenth more than p90. {bytes}",
        whole(results.clients as f64),
        results.locations,
        whole(v4 as f64),
        whole(v6 as f64),
        results.seconds,
    )
}

/// The lines of a group, headings first.
fn table(group: &Measured, counted: bool) -> Vec<Vec<String>> {
    match group.layout {
        Layout::Lines => lines(group, counted),
        Layout::ByDepth => pivot(group, "depth", |row| row.shape.depth),
        Layout::ByWidth => pivot(group, "width", |row| row.shape.width),
    }
}

fn lines(group: &Measured, counted: bool) -> Vec<Vec<String>> {
    let headings = [
        "policy",
        "depth",
        "width",
        "services",
        "pools",
        "residency",
        "ns",
        "p10",
        "p90",
        "decisions/s",
        "bytes",
        "steered",
        "pinned",
        "nodes",
        "compile ms",
    ];
    let mut table = vec![headings.map(str::to_owned).to_vec()];
    table.extend(group.rows.iter().map(|row| {
        let shape = &row.shape;
        vec![
            shape.kind.name().to_owned(),
            shape.depth.to_string(),
            shape.width.to_string(),
            whole(shape.services as f64),
            whole(shape.pools as f64),
            if shape.residency { "yes" } else { "no" }.to_owned(),
            whole(row.nanoseconds),
            whole(row.low),
            whole(row.high),
            whole(row.per_second),
            row.bytes.map_or("?".to_owned(), bytes),
            percent(row.steered),
            percent(row.pinned),
            whole(row.nodes as f64),
            format!("{:.1}", row.compile_ms),
        ]
    }));
    if !counted {
        let column = headings.iter().position(|heading| *heading == "bytes");
        for line in &mut table {
            column.map(|column| line.remove(column));
        }
    }
    table
}

/// A line for each kind, a column for each value, nanoseconds in the cells.
fn pivot(group: &Measured, what: &str, value: impl Fn(&Row) -> usize) -> Vec<Vec<String>> {
    let mut values: Vec<usize> = group.rows.iter().map(&value).collect();
    values.sort_unstable();
    values.dedup();
    let mut headings = vec![format!("ns by {what}")];
    headings.extend(values.iter().map(usize::to_string));
    let mut table = vec![headings];
    for row in &group.rows {
        let kind = row.shape.kind.name();
        if table.iter().any(|line| line[0] == kind) {
            continue;
        }
        let mut line = vec![kind.to_owned()];
        line.extend(values.iter().map(|wanted| {
            let found = group
                .rows
                .iter()
                .find(|other| other.shape.kind == row.shape.kind && value(other) == *wanted);
            found.map_or("–".to_owned(), |found| whole(found.nanoseconds))
        }));
        table.push(line);
    }
    table
}

fn bytes(bytes: f64) -> String {
    if bytes == 0.0 {
        "0".to_owned()
    } else {
        format!("{bytes:.2}")
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        for (number, expected) in [
            (0.0, "0"),
            (999.4, "999"),
            (1_000.0, "1,000"),
            (12_345_678.0, "12,345,678"),
        ] {
            assert_eq!(whole(number), expected);
        }
        assert_eq!((bytes(0.0), bytes(0.125)), ("0".into(), "0.12".into()));
    }
}
