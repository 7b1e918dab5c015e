//! Master files (RFC 1035 §5): from text to records, every problem with its line.
//!
//! `$ORIGIN` and `$TTL` (RFC 2308 §4) are followed; `$INCLUDE` and `$GENERATE` are refused. Classes other
//! than IN are refused. What never happens here: no file is read, and no record is held against
//! another (that is [`crate::build`]'s).

mod lex;
pub(crate) mod rdata;
pub(crate) mod svcb;

use crate::name::Name;
use crate::rtype::RType;
use lex::{Entry, Token};

/// One record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The line it begins on, from 1.
    pub(crate) line: u32,
    /// Its owner.
    pub(crate) owner: Name,
    /// Its type.
    pub(crate) rtype: RType,
    /// Its TTL in seconds; `None` when nothing gives one.
    pub(crate) ttl: Option<u32>,
    /// Its RDATA in wire form, names uncompressed and their case kept.
    pub(crate) data: Vec<u8>,
}

/// What is wrong with one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The line, from 1.
    pub(crate) line: u32,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<&'static str>,
}

/// The longest TTL (RFC 2181 §8).
pub(crate) const MAX_TTL: u32 = 0x7fff_ffff;

/// Reads a master file of the zone `apex`.
pub(crate) fn parse(text: &str, apex: &Name) -> (Vec<Record>, Vec<Problem>) {
    let mut file = File {
        origin: apex.clone(),
        owner: None,
        default_ttl: None,
        last_ttl: None,
    };
    let (mut records, mut problems) = (Vec::new(), Vec::new());
    for entry in lex::entries(text.trim_start_matches('\u{feff}')) {
        let read = match entry {
            Ok(entry) => file.entry(&entry),
            Err(problem) => Err(Problem {
                line: problem.line,
                message: problem.message.to_owned(),
                hint: None,
            }),
        };
        match read {
            Ok(record) => records.extend(record),
            Err(problem) => problems.push(problem),
        }
    }
    (records, problems)
}

/// What one entry hands on to the next.
struct File {
    origin: Name,
    owner: Option<Name>,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
}

impl File {
    fn entry(&mut self, entry: &Entry) -> Result<Option<Record>, Problem> {
        let (first, rest) = match entry.tokens.split_first() {
            Some(split) => split,
            None => return Ok(None),
        };
        if !entry.indented && !first.quoted && first.text.starts_with('$') {
            return self.directive(entry.line, &first.text, rest).map(|()| None);
        }
        let rest = if entry.indented {
            &entry.tokens
        } else {
            self.owner = None;
            let owner = Name::parse_in(&first.text, &self.origin);
            self.owner = Some(owner.map_err(|problem| {
                at(
                    entry.line,
                    format!("`{}` is not a name: {problem}", first.text),
                )
            })?);
            rest
        };
        self.record(entry.line, rest).map(Some)
    }

    fn directive(&mut self, line: u32, name: &str, rest: &[Token]) -> Result<(), Problem> {
        let argument = rest
            .first()
            .ok_or_else(|| at(line, format!("{name} needs an argument")));
        match name.to_ascii_uppercase().as_str() {
            "$ORIGIN" => {
                let text = &argument?.text;
                self.origin = Name::parse_in(text, &self.origin)
                    .map_err(|problem| at(line, format!("`{text}` is not a name: {problem}")))?;
            }
            "$TTL" => {
                let text = &argument?.text;
                let ttl = rdata::seconds(text).filter(|ttl| *ttl <= MAX_TTL);
                self.default_ttl =
                    Some(ttl.ok_or_else(|| at(line, format!("`{text}` is not a TTL")))?);
            }
            _ => {
                return Err(Problem {
                    line,
                    message: format!("{name} is not supported"),
                    hint: Some(
                        "write the records out in this file; only $ORIGIN and $TTL are followed",
                    ),
                });
            }
        }
        match rest.get(1) {
            Some(extra) => Err(at(
                line,
                format!("`{}` is one argument too many for {name}", extra.text),
            )),
            None => Ok(()),
        }
    }

    /// `[TTL] [class] type rdata`, TTL and class in either order.
    fn record(&mut self, line: u32, mut tokens: &[Token]) -> Result<Record, Problem> {
        let (mut ttl, mut class) = (None, false);
        let rtype = loop {
            let Some((token, rest)) = tokens.split_first() else {
                return Err(at(line, "a record needs a type and data".to_owned()));
            };
            tokens = rest;
            if !class && token.is("IN") {
                class = true;
            } else if ["CH", "HS", "CS", "NONE", "ANY"]
                .iter()
                .any(|other| token.is(other))
            {
                return Err(at(
                    line,
                    format!("class {} is not served, only IN", token.text),
                ));
            } else if let (None, Some(seconds)) = (ttl, rdata::seconds(&token.text)) {
                ttl = Some(seconds);
            } else {
                break token.text.parse::<RType>().map_err(|_| {
                    at(
                        line,
                        format!(
                            "`{}` is neither a TTL, a class nor a record type",
                            token.text
                        ),
                    )
                })?;
            }
        };
        if rtype.is_meta() {
            return Err(at(
                line,
                format!("{rtype} is a type for questions, not for records"),
            ));
        }
        if ttl.is_some_and(|ttl| ttl > MAX_TTL) {
            return Err(at(
                line,
                format!("the TTL is longer than {MAX_TTL} seconds (RFC 2181)"),
            ));
        }
        let data =
            rdata::parse(rtype, tokens, &self.origin).map_err(|message| at(line, message))?;
        self.last_ttl = ttl.or(self.last_ttl);
        let owner = self.owner.clone().ok_or_else(|| {
            at(
                line,
                "the line begins with a blank, but no owner name came before it".to_owned(),
            )
        })?;
        // RFC 2308 §4: $TTL for records without one; before it there was only RFC 1035's last stated one.
        Ok(Record {
            line,
            owner,
            rtype,
            ttl: ttl.or(self.default_ttl).or(self.last_ttl),
            data,
        })
    }
}

fn at(line: u32, message: String) -> Problem {
    Problem {
        line,
        message,
        hint: None,
    }
}
