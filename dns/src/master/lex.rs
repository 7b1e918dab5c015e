//! Splits master file text into entries and tokens (RFC 1035 §5.1): comments, quotes, parentheses.
//!
//! What never happens here: nothing is interpreted. Escapes stay as written until the field that reads
//! a token knows what they stand for. Nothing is copied but tokens with quotes in their middle.

use crate::name::unescape;
use std::borrow::Cow;

/// One token, escapes as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    /// The text, without the quotes around it.
    pub(crate) text: Cow<'t, str>,
    /// Whether it began with a quote: then it is never a keyword or a name.
    pub(crate) quoted: bool,
}

impl Token<'_> {
    /// The octets of it as a `<character-string>`: escapes resolved. `None` when one is malformed.
    pub(crate) fn octets(&self) -> Option<Vec<u8>> {
        octets(&self.text)
    }

    /// Whether it is this keyword, in any case.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(keyword)
    }
}

/// What a text with escapes stands for; `None` when one is malformed.
pub(crate) fn octets(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut octets = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        octets.push(if byte == b'\\' {
            unescape(&mut bytes).ok()?
        } else {
            byte
        });
    }
    Some(octets)
}

/// Where an entry begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The line it begins on, from 1.
    pub(crate) line: u32,
    /// Whether it begins with a blank: its owner is the previous one.
    pub(crate) indented: bool,
}

/// Text that is not even made of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LexProblem {
    /// The line, from 1.
    pub(crate) line: u32,
    /// What is wrong.
    pub(crate) message: &'static str,
}

/// Reads entries one after the other: a directive or a record each, on one line or within parentheses.
pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: u32,
    tokens: Vec<Token<'t>>,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            line: 1,
            tokens: Vec::new(),
        }
    }

    /// The tokens of the entry that was read last, at least one.
    pub(crate) fn tokens(&self) -> &[Token<'t>] {
        &self.tokens
    }

    /// Reads the next entry that has a token. After a problem it goes on with the next line.
    pub(crate) fn entry(&mut self) -> Option<Result<Head, LexProblem>> {
        loop {
            let head = Head {
                indented: is_blank(self.peek()?),
                line: self.line,
            };
            match self.line_of_tokens() {
                Ok(()) if self.tokens.is_empty() => {}
                Ok(()) => return Some(Ok(head)),
                Err(message) => {
                    let open = message == OPEN_PARENTHESIS;
                    let line = if open { head.line } else { self.line };
                    self.skip_line();
                    return Some(Err(LexProblem { line, message }));
                }
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Up to the end of the line, which is left for the caller.
    fn skip_line(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or(&[]);
        let length = rest.iter().position(|byte| *byte == b'\n');
        self.at += length.unwrap_or(rest.len());
    }

    fn line_of_tokens(&mut self) -> Result<(), &'static str> {
        self.tokens.clear();
        let mut depth = 0_u32;
        loop {
            match self.peek() {
                None if depth > 0 => return Err(OPEN_PARENTHESIS),
                None => return Ok(()),
                Some(b'\n') => {
                    self.at += 1;
                    self.line += 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                Some(b';') => self.skip_line(),
                Some(b'(') => {
                    self.at += 1;
                    depth += 1;
                }
                Some(b')') => {
                    depth = depth
                        .checked_sub(1)
                        .ok_or("a closing parenthesis without an opening one")?;
                    self.at += 1;
                }
                Some(byte) if is_blank(byte) => self.at += 1,
                Some(_) => {
                    let token = self.token()?;
                    self.tokens.push(token);
                }
            }
        }
    }

    fn token(&mut self) -> Result<Token<'t>, &'static str> {
        if self.peek() == Some(b'"') {
            let text = self.quoted()?;
            return Ok(Token {
                text: text.into(),
                quoted: true,
            });
        }
        let begin = self.at;
        let mut joined: Option<String> = None;
        let mut piece = begin;
        loop {
            match self.peek() {
                None | Some(b';' | b'(' | b')' | b'\n') => break,
                Some(b'"') => {
                    let so_far = joined.get_or_insert_default();
                    so_far.push_str(self.text.get(piece..self.at).unwrap_or(""));
                    let inner = self.quoted()?;
                    joined.get_or_insert_default().push_str(inner);
                    piece = self.at;
                }
                Some(b'\\') => self.escaped(),
                Some(byte) if is_blank(byte) => break,
                Some(_) => self.at += 1,
            }
        }
        let rest = self.text.get(piece..self.at).unwrap_or("");
        let text = match joined {
            Some(joined) => Cow::Owned(joined + rest),
            None => Cow::Borrowed(rest),
        };
        Ok(Token {
            text,
            quoted: false,
        })
    }

    /// From a quote to the one that closes it.
    fn quoted(&mut self) -> Result<&'t str, &'static str> {
        self.at += 1;
        let begin = self.at;
        loop {
            match self.peek() {
                None | Some(b'\n') => return Err("a quoted string is not closed on its line"),
                Some(b'\\') => self.escaped(),
                Some(b'"') => {
                    let text = self.text.get(begin..self.at).unwrap_or("");
                    self.at += 1;
                    return Ok(text);
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// A backslash and what it protects. A line's end is never protected.
    fn escaped(&mut self) {
        self.at += 1;
        if self.peek().is_some_and(|byte| byte != b'\n') {
            self.at += 1;
        }
    }
}

/// A blank within a line. Other blanks than ASCII's are part of a token.
fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

const OPEN_PARENTHESIS: &str = "an opening parenthesis is never closed";

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(text);
        let mut shown = Vec::new();
        while let Some(entry) = lexer.entry() {
            shown.push(match entry {
                Ok(head) => {
                    let blank = if head.indented { "_" } else { "" };
                    let tokens: Vec<&str> = lexer.tokens().iter().map(|t| &*t.text).collect();
                    format!("{}:{blank}{}", head.line, tokens.join("|"))
                }
                Err(problem) => format!("{}!{}", problem.line, problem.message),
            });
        }
        shown
    }

    #[test]
    fn rfc1035_5_1_entries() {
        for (text, expected) in [
            ("a IN A 1 ; comment\n\n  b\r\n", &["1:a|IN|A|1", "3:_b"][..]),
            (
                "a SOA x ( 1 ; one\n 2\n 3 ) 4\nb",
                &["1:a|SOA|x|1|2|3|4", "4:b"],
            ),
            ("a TXT \"x ; y\" \"\" z\\;w", &["1:a|TXT|x ; y||z\\;w"]),
            (
                "a HTTPS 1 . alpn=\"h2,h3\" port=1",
                &["1:a|HTTPS|1|.|alpn=h2,h3|port=1"],
            ),
            (
                "a \"open\nb",
                &["1!a quoted string is not closed on its line", "2:b"],
            ),
            ("a \"open", &["1!a quoted string is not closed on its line"]),
            (
                "a )\nb",
                &["1!a closing parenthesis without an opening one", "2:b"],
            ),
            (
                "x\na (\nb",
                &["1:x", "2!an opening parenthesis is never closed"],
            ),
            ("; only a comment", &[]),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }

    #[test]
    fn escapes_are_resolved_to_octets() {
        assert_eq!(octets("a\\\"b\\255\\065"), Some(b"a\"b\xffA".to_vec()));
        assert_eq!(octets("a\\"), None);
        assert_eq!(octets("\\300"), None);
    }
}
