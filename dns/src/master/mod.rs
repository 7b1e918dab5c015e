//! Master files (RFC 1035 §5): from text to records, every problem with its file and line.
//!
//! `$ORIGIN`, `$TTL` (RFC 2308 §4), `$INCLUDE` and `$GENERATE` are followed; classes other than IN are
//! refused. What never happens here: no file is opened (included ones come from [`Files`]), and no record
//! is held against another (that is [`crate::build`]'s).

mod encoding;
mod fields;
mod generate;
mod lex;
pub(crate) mod rdata;
mod show;
mod special;
pub(crate) mod svcb;

use crate::name::Name;
use crate::rtype::RType;
use crate::zone::Files;
use lex::{Lexer, Token};
use std::path::{Component, Path, PathBuf};

pub use show::Rdata;

/// The longest TTL (RFC 2181 §8).
pub(crate) const MAX_TTL: u32 = 0x7fff_ffff;
/// How deep files may include each other.
const MAX_DEPTH: usize = 16;
/// How many times one zone may include a file.
const MAX_INCLUDES: usize = 10_000;

/// Where something was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    /// Which text, as the [`Sink`] numbered it.
    pub(crate) source: u32,
    /// The line, from 1; 0 when only the text is known.
    pub(crate) line: u32,
}

/// One record as read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'r> {
    /// Where it begins.
    pub(crate) at: At,
    /// Its owner.
    pub(crate) owner: &'r Name,
    /// Its type.
    pub(crate) rtype: RType,
    /// Its TTL in seconds; `None` when nothing gives one.
    pub(crate) ttl: Option<u32>,
    /// Its RDATA in wire form, names uncompressed and their case kept.
    pub(crate) data: &'r [u8],
}

/// There is no room for more records: reading ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Takes what is read.
pub(crate) trait Sink {
    /// Begins an included file; gives its number.
    fn file(&mut self, path: &Path) -> u32;
    /// Takes a record.
    fn record(&mut self, record: Record<'_>) -> Result<(), Full>;
    /// Takes a problem.
    fn problem(&mut self, at: At, message: String, hint: Option<&'static str>);
}

/// A text to read.
#[derive(Clone, Copy)]
pub(crate) struct Text<'t> {
    pub(crate) text: &'t str,
    /// Its number.
    pub(crate) source: u32,
    /// Where it is, for what it includes; `None` when it is no file.
    pub(crate) path: Option<&'t Path>,
}

/// Reads a master file of the zone `apex`.
pub(crate) fn parse(text: Text<'_>, apex: &Name, files: &dyn Files, sink: &mut dyn Sink) {
    let mut reader = Reader {
        files,
        sink,
        open: Vec::new(),
        included: 0,
        wire: Vec::new(),
    };
    // That it is full was told by who said so.
    let _ = reader.text(text, State::new(apex.clone()));
}

/// What is wrong with an entry.
struct Bad {
    message: String,
    hint: Option<&'static str>,
}

impl From<String> for Bad {
    fn from(message: String) -> Self {
        Self {
            message,
            hint: None,
        }
    }
}

/// Why an entry was not taken.
enum Stop {
    Bad(Bad),
    Full,
}

impl<T: Into<Bad>> From<T> for Stop {
    fn from(bad: T) -> Self {
        Self::Bad(bad.into())
    }
}

impl From<Full> for Stop {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// What one entry of a file hands on to the next.
#[derive(Clone)]
struct State {
    origin: Name,
    owner: Option<Name>,
    default_ttl: Option<u32>,
    last_ttl: Option<u32>,
}

impl State {
    fn new(origin: Name) -> Self {
        Self {
            origin,
            owner: None,
            default_ttl: None,
            last_ttl: None,
        }
    }
}

struct Reader<'a> {
    files: &'a dyn Files,
    sink: &'a mut dyn Sink,
    /// The files being read, the one that includes before what it includes.
    open: Vec<PathBuf>,
    included: usize,
    /// The RDATA in the making.
    wire: Vec<u8>,
}

impl Reader<'_> {
    fn text(&mut self, text: Text<'_>, mut state: State) -> Result<(), Full> {
        self.open.extend(text.path.map(Path::to_owned));
        let mut lexer = Lexer::new(text.text.trim_start_matches('\u{feff}'));
        while let Some(entry) = lexer.entry() {
            let (line, read) = match entry {
                Ok(head) => {
                    let at = At {
                        source: text.source,
                        line: head.line,
                    };
                    let read = self.entry(at, head.indented, lexer.tokens(), text, &mut state);
                    (head.line, read)
                }
                Err(problem) => (problem.line, Err(Stop::from(problem.message.to_owned()))),
            };
            let at = At {
                source: text.source,
                line,
            };
            match read {
                Ok(()) => {}
                Err(Stop::Bad(bad)) => self.sink.problem(at, bad.message, bad.hint),
                Err(Stop::Full) => return Err(Full),
            }
        }
        if text.path.is_some() {
            self.open.pop();
        }
        Ok(())
    }

    fn entry(
        &mut self,
        at: At,
        indented: bool,
        tokens: &[Token<'_>],
        text: Text<'_>,
        state: &mut State,
    ) -> Result<(), Stop> {
        let Some((first, rest)) = tokens.split_first() else {
            return Ok(());
        };
        if !indented && !first.quoted && first.text.starts_with('$') {
            return self.directive(at, &first.text, rest, text, state);
        }
        if indented {
            return self.record(at, tokens, state);
        }
        state.owner = None;
        state.owner = Some(name(&first.text, &state.origin)?);
        self.record(at, rest, state)
    }

    fn directive(
        &mut self,
        at: At,
        directive: &str,
        rest: &[Token<'_>],
        text: Text<'_>,
        state: &mut State,
    ) -> Result<(), Stop> {
        let needs = || format!("{directive} needs an argument");
        let argument = rest.first().ok_or_else(needs)?;
        let most = match directive.to_ascii_uppercase().as_str() {
            "$ORIGIN" => {
                state.origin = name(&argument.text, &state.origin)?;
                1
            }
            "$TTL" => {
                let ttl = encoding::seconds(&argument.text).filter(|ttl| *ttl <= MAX_TTL);
                let bad = || format!("`{}` is not a TTL", argument.text);
                state.default_ttl = Some(ttl.ok_or_else(bad)?);
                1
            }
            "$INCLUDE" => {
                self.include(argument, rest.get(1), text, state)?;
                2
            }
            "$GENERATE" => return self.generate(at, rest, state),
            _ => {
                return Err(Bad {
                    message: format!("{directive} is not a directive known here"),
                    hint: Some("$ORIGIN, $TTL, $INCLUDE and $GENERATE are followed"),
                }
                .into());
            }
        };
        match rest.get(most) {
            Some(extra) => {
                Err(format!("`{}` is one argument too many for {directive}", extra.text).into())
            }
            None => Ok(()),
        }
    }

    /// RFC 1035 §5.1: the file is read as if it stood here, from its own origin where one is given.
    /// Origin, owner and default TTL are afterwards what they were.
    fn include(
        &mut self,
        file: &Token<'_>,
        origin: Option<&Token<'_>>,
        text: Text<'_>,
        state: &State,
    ) -> Result<(), Stop> {
        let Some(including) = text.path else {
            return Err(Bad {
                message: "$INCLUDE is only followed in files".to_owned(),
                hint: Some("give the zone a `file` that includes it"),
            }
            .into());
        };
        let octets = file
            .octets()
            .and_then(|octets| String::from_utf8(octets).ok());
        let written = octets.ok_or_else(|| format!("`{}` is not a file name", file.text))?;
        let path = beside(including, Path::new(&written));
        if self.open.contains(&path) {
            return Err(format!("{} includes itself", path.display()).into());
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("files include each other more than {MAX_DEPTH} deep").into());
        }
        self.included += 1;
        if self.included > MAX_INCLUDES {
            return Err(format!("more than {MAX_INCLUDES} files are included").into());
        }
        let state = State {
            origin: match origin {
                Some(origin) => name(&origin.text, &state.origin)?,
                None => state.origin.clone(),
            },
            ..state.clone()
        };
        let read = self.files.read(&path);
        let content = read.map_err(|error| format!("{} can't be read: {error}", path.display()))?;
        let included = Text {
            text: &content,
            source: self.sink.file(&path),
            path: Some(&path),
        };
        Ok(self.text(included, state)?)
    }

    /// `[TTL] [class] type rdata`, TTL and class in either order.
    fn record(&mut self, at: At, mut tokens: &[Token<'_>], state: &mut State) -> Result<(), Stop> {
        let (mut ttl, mut class) = (None, false);
        let rtype = loop {
            let Some((token, rest)) = tokens.split_first() else {
                return Err("a record needs a type and data".to_owned().into());
            };
            tokens = rest;
            match field_before_type(token, ttl.is_some(), class)? {
                Before::Class => class = true,
                Before::Ttl(seconds) => ttl = Some(seconds),
                Before::Type(rtype) => break rtype,
            }
        };
        if rtype.is_meta() {
            return Err(format!("{rtype} is a type for questions, not for records").into());
        }
        if ttl.is_some_and(|ttl| ttl > MAX_TTL) {
            return Err(format!("the TTL is longer than {MAX_TTL} seconds (RFC 2181)").into());
        }
        self.wire.clear();
        rdata::parse(rtype, tokens, &state.origin, &mut self.wire)?;
        state.last_ttl = ttl.or(state.last_ttl);
        let owner = state.owner.as_ref().ok_or_else(|| {
            "the line begins with a blank, but no owner name came before it".to_owned()
        })?;
        // RFC 2308 §4: $TTL for records without one; before it there was only RFC 1035's last stated one.
        Ok(self.sink.record(Record {
            at,
            owner,
            rtype,
            ttl: ttl.or(state.default_ttl).or(state.last_ttl),
            data: &self.wire,
        })?)
    }
}

/// What may stand between owner and data.
enum Before {
    Ttl(u32),
    Class,
    Type(RType),
}

fn field_before_type(token: &Token<'_>, has_ttl: bool, has_class: bool) -> Result<Before, String> {
    let starts_with_digit = token.text.starts_with(|c: char| c.is_ascii_digit());
    if starts_with_digit
        && !has_ttl
        && let Some(seconds) = encoding::seconds(&token.text)
    {
        return Ok(Before::Ttl(seconds));
    }
    if !has_class && (token.is("IN") || token.is("CLASS1")) {
        return Ok(Before::Class);
    }
    if let Ok(rtype) = token.text.parse() {
        return Ok(Before::Type(rtype));
    }
    // RFC 3597 §5 writes a class without a mnemonic as CLASS4711.
    let number = token
        .text
        .get(5..)
        .and_then(|digits| digits.parse::<u16>().ok());
    let numbered = number.is_some() && token.text.to_ascii_uppercase().starts_with("CLASS");
    if numbered
        || ["CH", "HS", "CS", "NONE", "ANY"]
            .iter()
            .any(|other| token.is(other))
    {
        return Err(format!("class {} is not served, only IN", token.text));
    }
    let text = &token.text;
    Err(format!(
        "`{text}` is neither a TTL, a class nor a record type"
    ))
}

fn name(text: &str, origin: &Name) -> Result<Name, String> {
    Name::parse_in(text, origin).map_err(|problem| format!("`{text}` is not a name: {problem}"))
}

/// `path` as seen from the folder of the file it is written in, so that one file has one name.
fn beside(including: &Path, path: &Path) -> PathBuf {
    let folder = including.parent().unwrap_or(Path::new(""));
    let mut clean = PathBuf::new();
    for part in folder.join(path).components() {
        let below = matches!(clean.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if below => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}
