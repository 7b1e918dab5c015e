//! A report for a terminal: plain lines, no colours, nothing wider than it.

use super::page::{Block, Page, Section, Table, Tone};
use std::fmt::Write;

/// The least width that is written for.
const LEAST: usize = 40;
/// What stands before a section's lines.
const INDENT: usize = 2;

pub(super) fn text(page: &Page, width: usize) -> String {
    let width = width.max(LEAST);
    let mut out = String::new();
    wrapped(&mut out, &page.title, width, 0);
    wrapped(&mut out, &page.subtitle, width, 0);
    out.push('\n');
    let name = page.figures.iter().map(|f| f.0.len()).max().unwrap_or(0);
    let value = page.figures.iter().map(|f| count(&f.1)).max().unwrap_or(0);
    for (title, figure, remark) in &page.figures {
        let line = format!("{title:name$}  {}  {remark}", padded(figure, value, true));
        wrapped(&mut out, &line, width, INDENT);
    }
    let words = |block: &Block| matches!(block, Block::Note(..) | Block::Table(_));
    let told = page.sections.iter();
    for section in told.filter(|section| section.blocks.iter().any(words)) {
        one_section(&mut out, section, width);
    }
    out.push('\n');
    match page.failures.is_empty() {
        true => out.push_str("PASSED\n"),
        false => out.push_str("FAILED\n"),
    }
    for reason in &page.failures {
        wrapped(&mut out, &format!("- {reason}"), width, INDENT);
    }
    out
}

fn one_section(out: &mut String, section: &Section, width: usize) {
    let _ = write!(out, "\n{}\n", section.title);
    let mut heading = None;
    for block in &section.blocks {
        match block {
            // A heading is written before what follows it, if anything does.
            Block::Heading(text) => heading = Some(text),
            Block::Note(tone, text) => {
                let mark = match tone {
                    Tone::Plain => "",
                    Tone::Good => "ok  ",
                    Tone::Bad => "!!  ",
                };
                let text = match heading.take() {
                    Some(heading) => format!("{mark}{heading}: {}", uncapitalised(text)),
                    None => format!("{mark}{text}"),
                };
                wrapped(out, &text, width, INDENT);
            }
            Block::Table(rows) => {
                if let Some(heading) = heading.take() {
                    wrapped(out, heading, width, INDENT);
                }
                table(out, rows, width);
            }
            Block::Folded(..) | Block::Chart(_) => {}
        }
    }
}

/// Aligned columns; a table that is too wide loses from its widest column of words.
fn table(out: &mut String, table: &Table, width: usize) {
    if table.head.iter().all(|head| head.is_empty()) {
        return facts(out, table, width);
    }
    let mut widths: Vec<usize> = table.head.iter().map(|head| count(head)).collect();
    for row in &table.rows {
        for (column, cell) in widths.iter_mut().zip(row) {
            *column = (*column).max(count(cell));
        }
    }
    loop {
        let whole = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1) + INDENT;
        let Some(widest) = widths.iter_mut().max_by_key(|w| **w) else {
            return;
        };
        if whole <= width || *widest <= 6 {
            break;
        }
        *widest -= (whole - width).min(*widest - 6).clamp(1, 3);
    }
    let mut line = |cells: &[String]| {
        let mut text = " ".repeat(INDENT);
        for (i, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let gap = if i == 0 { "" } else { "  " };
            text.push_str(gap);
            text.push_str(&padded(&cut(cell, *width), *width, i >= table.words));
        }
        let _ = writeln!(out, "{}", text.trim_end());
    };
    let head: Vec<String> = table.head.iter().map(|head| (*head).to_owned()).collect();
    line(&head);
    table.rows.iter().for_each(|row| line(row));
}

/// Names with what is to be said of them, whole.
fn facts(out: &mut String, table: &Table, width: usize) {
    let names = table.rows.iter().filter_map(|row| row.first());
    let name = names.map(|name| count(name)).max().unwrap_or(0);
    for row in &table.rows {
        let cells = row.iter().enumerate();
        let cells = cells.map(|(i, cell)| match i {
            0 => padded(cell, name, false),
            _ => cell.clone(),
        });
        wrapped(out, &cells.collect::<Vec<_>>().join("  "), width, INDENT);
    }
}

fn padded(text: &str, width: usize, right: bool) -> String {
    let space = " ".repeat(width.saturating_sub(count(text)));
    if right {
        format!("{space}{text}")
    } else {
        format!("{text}{space}")
    }
}

fn cut(text: &str, width: usize) -> String {
    if count(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn count(text: &str) -> usize {
    text.chars().count()
}

fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase);
    first.chain(letters).collect()
}

/// Lines of whole words; those after the first stand a little further in.
fn wrapped(out: &mut String, text: &str, width: usize, indent: usize) {
    let mut line = " ".repeat(indent);
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && count(&line) + 1 + count(word) > width {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(indent + 4);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}
