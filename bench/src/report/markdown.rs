//! A report as Markdown: the same words and tables, the long ones folded.

use super::page::{Block, Page, Table, Tone};
use std::fmt::Write;

pub(super) fn markdown(page: &Page) -> String {
    // Writing to a string does not fail.
    let mut out = String::new();
    let _ = writeln!(
        out,
        "# {}\n\n{}\n",
        plain(&page.title),
        plain(&page.subtitle)
    );
    if page.failures.is_empty() {
        out.push_str("**Passed.**\n\n");
    } else {
        out.push_str("**Failed:**\n\n");
        for reason in &page.failures {
            let _ = writeln!(out, "- {}", plain(reason));
        }
        out.push('\n');
    }
    let mut figures = Table::new(1, &["", "", ""]);
    for (name, value, remark) in &page.figures {
        figures.row(vec![(*name).to_owned(), value.clone(), remark.clone()]);
    }
    figures.words = 1;
    table(&mut out, &figures);
    let words = |block: &Block| !matches!(block, Block::Heading(_) | Block::Chart(_));
    let told = page.sections.iter();
    for section in told.filter(|section| section.blocks.iter().any(words)) {
        let _ = writeln!(out, "## {}\n", plain(&section.title));
        for block in &section.blocks {
            match block {
                Block::Heading(text) => {
                    let _ = writeln!(out, "### {}\n", plain(text));
                }
                Block::Note(tone, text) => {
                    let text = plain(text);
                    let _ = match tone {
                        Tone::Bad => writeln!(out, "**{text}**\n"),
                        _ => writeln!(out, "{text}\n"),
                    };
                }
                Block::Table(rows) => table(&mut out, rows),
                Block::Folded(title, rows) => {
                    let title = plain(title);
                    let _ = writeln!(out, "<details><summary>{title}</summary>\n");
                    table(&mut out, rows);
                    out.push_str("</details>\n\n");
                }
                Block::Chart(_) => {}
            }
        }
    }
    let end = out.trim_end().len();
    out.truncate(end);
    out.push('\n');
    out
}

fn table(out: &mut String, table: &Table) {
    let head: Vec<String> = table.head.iter().map(|h| plain(h)).collect();
    let _ = writeln!(out, "| {} |", head.join(" | "));
    let rule = (0..head.len()).map(|i| if i < table.words { "---" } else { "---:" });
    let _ = writeln!(out, "|{}|", rule.collect::<Vec<_>>().join("|"));
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out.push('\n');
}

/// Text that Markdown and its HTML take as it is. Names come from configs and answers from servers.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '*' | '_' | '#' | '[' | ']' | '\\' => out.extend(['\\', letter]),
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\n' | '\r' => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}
