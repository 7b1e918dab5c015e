//! Builds the tree from a YAML parser's events, within bounds; syntax errors, duplicate keys, tags and
//! merge keys are reported here.

use super::{Key, MAX_ALIASED_NODES, MAX_NESTING, MAX_NODES, Node, Value, shorten};
use crate::problem::{Findings, Place};
use granit_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::HashMap;

/// How much of the bounds is used up, over all files of a config.
#[derive(Debug, Default)]
pub(crate) struct Used {
    nodes: usize,
    aliased: usize,
}

/// Parses one file. A syntax error is taken in as a finding, and nothing is returned.
pub(crate) fn parse(
    text: &str,
    file: u32,
    used: &mut Used,
    findings: &mut Findings,
) -> Option<Node> {
    let builder = Builder {
        file,
        used,
        findings,
        open: Vec::new(),
        root: None,
        anchors: HashMap::new(),
    };
    builder.run(text)
}

/// A list or map whose end has not come yet.
enum Open {
    List {
        place: Place,
        items: Vec<Node>,
        anchor: usize,
    },
    Map {
        place: Place,
        entries: Vec<(Key, Node)>,
        seen: HashMap<Box<str>, Place>,
        key: Waiting,
        anchor: usize,
    },
}

/// What a map waits for.
enum Waiting {
    Key,
    Value(Key),
    /// The value of a key that was refused.
    Refused,
}

struct Builder<'a> {
    file: u32,
    used: &'a mut Used,
    findings: &'a mut Findings,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
}

impl Builder<'_> {
    fn run(mut self, text: &str) -> Option<Node> {
        let mut documents = 0;
        for event in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
            let (event, span) = match event {
                Ok(event) => event,
                Err(error) => {
                    let mark = error.marker();
                    let place = self.at(mark.line(), mark.col(), 1);
                    self.findings.error(
                        "syntax",
                        place,
                        format!("this is not YAML: {}", error.info()),
                    );
                    return None;
                }
            };
            if matches!(event, Event::DocumentStart(..)) {
                documents += 1;
                if documents > 1 {
                    let place = self.place(&span);
                    self.findings
                        .error(
                            "syntax",
                            place,
                            "a config file is one YAML document, and here a second one begins",
                        )
                        .hint("put it in a file of its own and `include` that");
                    return None;
                }
            }
            self.event(event, &span)?;
        }
        let place = Place {
            file: self.file,
            line: 1,
            column: 1,
            width: 1,
        };
        Some(self.root.unwrap_or_else(|| Node::empty(place)))
    }

    /// Takes in one event; `None` ends the parse.
    fn event(&mut self, event: Event<'_>, span: &Span) -> Option<()> {
        let place = self.place(span);
        let tag = match &event {
            Event::Scalar(_, _, _, tag)
            | Event::SequenceStart(_, _, tag)
            | Event::MappingStart(_, _, tag) => tag.is_some(),
            _ => false,
        };
        if tag {
            self.findings
                .error("tag", place, "YAML tags mean nothing here")
                .hint("leave the tag out; what a value is follows from its key");
        }
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                self.count(1, 0, place)?;
                self.add(
                    Node {
                        place,
                        value: Value::Scalar {
                            text: text.into(),
                            plain,
                        },
                    },
                    anchor,
                )
            }
            Event::SequenceStart(_, anchor, _) => {
                let place = self.collection_place(place);
                self.begin(
                    Open::List {
                        place,
                        items: Vec::new(),
                        anchor,
                    },
                    place,
                )
            }
            Event::MappingStart(_, anchor, _) => {
                let place = self.collection_place(place);
                let (entries, seen) = (Vec::new(), HashMap::new());
                self.begin(
                    Open::Map {
                        place,
                        entries,
                        seen,
                        key: Waiting::Key,
                        anchor,
                    },
                    place,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop()? {
                Open::List {
                    place,
                    items,
                    anchor,
                } => self.add(
                    Node {
                        place,
                        value: Value::List(items),
                    },
                    anchor,
                ),
                Open::Map {
                    place,
                    entries,
                    anchor,
                    ..
                } => self.add(
                    Node {
                        place,
                        value: Value::Map(entries),
                    },
                    anchor,
                ),
            },
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => Some(()),
        }
    }

    fn begin(&mut self, open: Open, place: Place) -> Option<()> {
        self.count(1, 0, place)?;
        self.open.push(open);
        self.within_nesting(self.open.len(), place)
    }

    /// Writes out an alias.
    fn alias(&mut self, anchor: usize, place: Place) -> Option<()> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            self.findings.error(
                "syntax",
                place,
                "this alias stands inside what it stands for",
            );
            return None;
        };
        let size = node.size();
        self.count(size, size, place)?;
        self.within_nesting(self.open.len() + node.height(), place)?;
        self.add(node, 0)
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Option<()> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map {
                entries, seen, key, ..
            }) => match std::mem::replace(key, Waiting::Key) {
                Waiting::Key => *key = new_key(node, seen, self.findings),
                Waiting::Value(key) => entries.push((key, node)),
                Waiting::Refused => {}
            },
        }
        Some(())
    }

    fn count(&mut self, nodes: usize, aliased: usize, place: Place) -> Option<()> {
        self.used.nodes += nodes;
        self.used.aliased += aliased;
        if self.used.aliased > MAX_ALIASED_NODES {
            self.findings
                .error(
                    "too_large",
                    place,
                    format!("aliases write out to more than {MAX_ALIASED_NODES} nodes"),
                )
                .hint("name a policy or health check and refer to it by its name instead");
            return None;
        }
        if self.used.nodes > MAX_NODES {
            self.findings.error(
                "too_large",
                place,
                format!("the config has more than {MAX_NODES} nodes"),
            );
            return None;
        }
        Some(())
    }

    fn within_nesting(&mut self, depth: usize, place: Place) -> Option<()> {
        if depth > MAX_NESTING {
            self.findings
                .error(
                    "too_deep",
                    place,
                    format!("lists and maps nest deeper than {MAX_NESTING} levels"),
                )
                .hint("give the inner policies names");
            return None;
        }
        Some(())
    }

    /// A list or map below a key is blamed at the key.
    fn collection_place(&self, own: Place) -> Place {
        match self.open.last() {
            Some(Open::Map {
                key: Waiting::Value(key),
                ..
            }) => key.place,
            _ => own,
        }
    }

    fn place(&self, span: &Span) -> Place {
        let same_line = span.start.line() == span.end.line();
        let width = if same_line {
            span.end.col().saturating_sub(span.start.col())
        } else {
            1
        };
        self.at(span.start.line(), span.start.col(), width)
    }

    fn at(&self, line: usize, column: usize, width: usize) -> Place {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place {
            file: self.file,
            line: number(line),
            column: number(column + 1),
            width: number(width.max(1)),
        }
    }
}

/// A key that came: new ones wait for their value, others are refused with it.
fn new_key(node: Node, seen: &mut HashMap<Box<str>, Place>, findings: &mut Findings) -> Waiting {
    let place = node.place;
    let Value::Scalar { text, plain } = node.value else {
        findings.error("wrong_type", place, "a key is a text, not a list or map");
        return Waiting::Refused;
    };
    if plain && &*text == "<<" {
        findings
            .error(
                "merge_key",
                place,
                "merge keys (`<<`) are no part of YAML 1.2",
            )
            .hint("write the keys out, or name the thing and refer to it by its name");
        return Waiting::Refused;
    }
    match seen.get(&text) {
        Some(first) => {
            findings
                .error(
                    "duplicate_key",
                    place,
                    format!("`{}` stands here twice", shorten(&text)),
                )
                .hint(format!("it is already given on line {}", first.line));
            Waiting::Refused
        }
        None => {
            seen.insert(text.clone(), place);
            Waiting::Value(Key { text, place })
        }
    }
}
