//! What is wrong with a config, where, and what to do about it.
//!
//! Problems are collected, sorted and shown; nothing here decides whether a config is good.

use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most problems that are kept of one load; a last one says how many more there were.
pub const MAX_PROBLEMS: usize = 1_000;

/// Whether a problem keeps the config from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The config does not run.
    Error,
    /// The config runs, but perhaps not as meant.
    Warning,
}

impl Severity {
    /// The word shown to the operator.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// A place in a config file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Which file, as a position in [`Sources`].
    pub file: u32,
    /// From 1; 0 when only the file is known.
    pub line: u32,
    /// From 1, in characters; 0 when only the file or line is known.
    pub column: u32,
    /// How many characters the caret underlines.
    pub width: u32,
}

/// The config files that were read, with their text: what places point into.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<(PathBuf, Arc<str>)>,
}

impl Sources {
    /// Adds a file; returns its number.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> u32 {
        self.files.push((path.into(), text.into()));
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    /// The path of a file.
    pub fn path(&self, file: u32) -> Option<&Path> {
        self.files
            .get(file as usize)
            .map(|(path, _)| path.as_path())
    }

    /// The text of a file.
    pub fn text(&self, file: u32) -> Option<&Arc<str>> {
        self.files.get(file as usize).map(|(_, text)| text)
    }

    /// Every file, the first is the one that was asked for.
    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Arc<str>)> {
        self.files.iter().map(|(path, text)| (path.as_path(), text))
    }
}

/// One thing that is wrong, or likely to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Whether the config runs all the same.
    pub severity: Severity,
    /// A stable word for the kind of problem, such as `unknown_key`.
    pub code: &'static str,
    /// The file.
    pub file: PathBuf,
    /// From 1; 0 when no line is to blame.
    pub line: u32,
    /// From 1, in characters; 0 when no column is to blame.
    pub column: u32,
    /// Where in the config, such as `pools.us.endpoints[0]`; empty for the file as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The line in question with its neighbours and a caret, ready to print; empty when no line is to
    /// blame.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub frame: String,
}

impl fmt::Display for Problem {
    /// One line, without the frame: for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position(), self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl Problem {
    /// `file:line:column`, as far as known.
    pub fn position(&self) -> String {
        match (self.line, self.column) {
            (0, _) => self.file.display().to_string(),
            (line, 0) => format!("{}:{line}", self.file.display()),
            (line, column) => format!("{}:{line}:{column}", self.file.display()),
        }
    }

    /// Several lines for a terminal: severity and message, the frame, the hint.
    pub fn render(&self) -> String {
        let mut text = format!(
            "{}: {}\n  --> {}",
            self.severity.name(),
            self.message,
            self.position()
        );
        if !self.path.is_empty() {
            text.push_str(&format!(" ({})", self.path));
        }
        text.push('\n');
        text.push_str(&self.frame);
        if let Some(hint) = &self.hint {
            text.push_str(&format!("  hint: {hint}\n"));
        }
        text
    }
}

/// All problems as text for a terminal, with a closing line that counts them.
pub fn render(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        text.push_str(&problem.render());
        text.push('\n');
    }
    let count = |severity| problems.iter().filter(|p| p.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let plural = |n: usize, word: &str| {
        if n == 1 {
            format!("1 {word}")
        } else {
            format!("{n} {word}s")
        }
    };
    text.push_str(&format!(
        "{}, {}\n",
        plural(errors, "error"),
        plural(warnings, "warning")
    ));
    text
}

/// A problem before its file and frame are looked up.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) code: &'static str,
    pub(crate) place: Place,
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Finding {
    /// With its file, line and frame.
    pub(crate) fn in_sources(self, sources: &Sources) -> Problem {
        let text = sources.text(self.place.file).map_or("", |text| text);
        Problem {
            severity: self.severity,
            code: self.code,
            file: sources
                .path(self.place.file)
                .map(Path::to_owned)
                .unwrap_or_default(),
            line: self.place.line,
            column: self.place.column,
            path: self.path,
            message: self.message,
            hint: self.hint,
            frame: frame(text, self.place),
        }
    }
}

/// Collects findings while a config is read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    beyond: usize,
    errors: usize,
}

impl Findings {
    /// Takes in an error; the hint is set on what is returned by [`Findings::hint`].
    pub(crate) fn error(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
    ) -> &mut Self {
        self.push(Severity::Error, code, place, message.into())
    }

    /// Takes in a warning.
    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        place: Place,
        message: impl Into<String>,
    ) -> &mut Self {
        self.push(Severity::Warning, code, place, message.into())
    }

    /// Gives the finding taken in last a hint.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        if self.beyond == 0
            && let Some(last) = self.list.last_mut()
        {
            last.hint = Some(hint.into());
        }
    }

    /// As [`Findings::hint`], when there is one to give.
    pub(crate) fn maybe_hint(&mut self, hint: Option<String>) {
        if let Some(hint) = hint {
            self.hint(hint);
        }
    }

    fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        place: Place,
        message: String,
    ) -> &mut Self {
        self.errors += usize::from(severity == Severity::Error);
        if self.list.len() < MAX_PROBLEMS {
            self.list.push(Finding {
                severity,
                code,
                place,
                path: String::new(),
                message,
                hint: None,
            });
        } else {
            self.beyond += 1;
        }
        self
    }

    /// Whether any of them keeps the config from running.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The places that findings point to: what paths are wanted for.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.list.iter().map(|finding| finding.place)
    }

    /// Fills in where in the config each finding is.
    pub(crate) fn fill_paths(&mut self, path: impl Fn(Place) -> Option<String>) {
        for finding in &mut self.list {
            if let Some(path) = path(finding.place) {
                finding.path = path;
            }
        }
    }

    /// All of them as problems, in the order of files and lines.
    pub(crate) fn into_problems(mut self, sources: &Sources) -> Vec<Problem> {
        self.list
            .sort_by_key(|finding| (finding.place.file, finding.place.line, finding.place.column));
        let mut problems: Vec<Problem> = self
            .list
            .into_iter()
            .map(|f| f.in_sources(sources))
            .collect();
        problems.dedup();
        if self.beyond > 0 {
            let more = Finding {
                severity: if self.errors > 0 {
                    Severity::Error
                } else {
                    Severity::Warning
                },
                code: "too_many_problems",
                place: Place::default(),
                path: String::new(),
                message: format!("{} more problems are not shown", self.beyond),
                hint: Some("mend the ones above first".to_owned()),
            };
            problems.push(more.in_sources(sources));
        }
        problems
    }
}

/// The line of a place with one neighbour on each side and a caret under the place.
fn frame(text: &str, place: Place) -> String {
    /// Longer lines are cut around the caret.
    const MAX_WIDTH: usize = 120;
    if place.line == 0 {
        return String::new();
    }
    let line = place.line as usize;
    let first = line.saturating_sub(1).max(1);
    let gutter = (line + 1).to_string().len();
    let column = (place.column as usize).saturating_sub(1);
    let cut = if column > MAX_WIDTH - 20 {
        column - 40
    } else {
        0
    };
    let mut out = String::new();
    for (i, content) in text
        .lines()
        .enumerate()
        .skip(first - 1)
        .take(line + 2 - first)
    {
        let shown: String = content
            .chars()
            .skip(cut)
            .take(MAX_WIDTH)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        out.push_str(format!("{:>gutter$} | {}", i + 1, shown).trim_end());
        out.push('\n');
        if i + 1 == line && place.column > 0 {
            let width = (place.width as usize)
                .clamp(1, shown.chars().count().saturating_sub(column - cut).max(1));
            out.push_str(&format!(
                "{:>gutter$} | {}{}\n",
                "",
                " ".repeat(column - cut),
                "^".repeat(width)
            ));
        }
    }
    out
}

/// `did you mean …`, when a known name is near enough to what was written.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&lower, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| {
            *distance <= (name.chars().count().max(lower.chars().count()) / 3).max(1)
        })
        .min_by_key(|(distance, name)| (*distance, *name))
        .map(|(_, name)| format!("did you mean {name}?"))
}
