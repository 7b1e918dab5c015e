//! Splits master file text into entries and tokens (RFC 1035 §5.1): comments, quotes, parentheses.
//!
//! What never happens here: nothing is interpreted. Escapes stay as written until the field that reads
//! a token knows what they stand for.

use crate::name::unescape;

/// One token, escapes as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// The text, without the quotes around it.
    pub(crate) text: String,
    /// Whether it began with a quote: then it is never a keyword or a name.
    pub(crate) quoted: bool,
}

impl Token {
    /// The octets of it as a `<character-string>`: escapes resolved. `None` when one is malformed.
    pub(crate) fn octets(&self) -> Option<Vec<u8>> {
        let mut bytes = self.text.bytes();
        let mut octets = Vec::with_capacity(self.text.len());
        while let Some(byte) = bytes.next() {
            octets.push(if byte == b'\\' {
                unescape(&mut bytes).ok()?
            } else {
                byte
            });
        }
        Some(octets)
    }

    /// Whether it is this keyword, in any case.
    pub(crate) fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(keyword)
    }
}

/// One entry: a directive or a record, on one line or within parentheses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The line it begins on, from 1.
    pub(crate) line: u32,
    /// Whether it begins with a blank: its owner is the previous one.
    pub(crate) indented: bool,
    /// Its tokens, at least one.
    pub(crate) tokens: Vec<Token>,
}

/// Text that is not even made of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LexProblem {
    /// The line, from 1.
    pub(crate) line: u32,
    /// What is wrong.
    pub(crate) message: &'static str,
}

/// Splits `text`. After a problem it goes on with the next line.
pub(crate) fn entries(text: &str) -> Vec<Result<Entry, LexProblem>> {
    let mut lexer = Lexer {
        rest: text,
        line: 1,
    };
    std::iter::from_fn(|| lexer.entry()).collect()
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        self.line += u32::from(next == '\n');
        Some(next)
    }

    /// Up to the end of the line, which is left for the caller.
    fn skip_line(&mut self) {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        self.rest = self.rest.get(end..).unwrap_or("");
    }

    /// The next entry that has a token.
    fn entry(&mut self) -> Option<Result<Entry, LexProblem>> {
        loop {
            self.peek()?;
            let (line, indented) = (self.line, self.peek().is_some_and(char::is_whitespace));
            match self.tokens() {
                Ok(tokens) if tokens.is_empty() => {}
                Ok(tokens) => {
                    return Some(Ok(Entry {
                        line,
                        indented,
                        tokens,
                    }));
                }
                Err(message) => {
                    let line = if message == OPEN_PARENTHESIS {
                        line
                    } else {
                        self.line
                    };
                    self.skip_line();
                    return Some(Err(LexProblem { line, message }));
                }
            }
        }
    }

    fn tokens(&mut self) -> Result<Vec<Token>, &'static str> {
        let mut tokens = Vec::new();
        let mut depth = 0_u32;
        loop {
            match self.peek() {
                None if depth > 0 => return Err(OPEN_PARENTHESIS),
                None => return Ok(tokens),
                Some('\n') => {
                    self.next();
                    if depth == 0 {
                        return Ok(tokens);
                    }
                }
                Some(';') => self.skip_line(),
                Some('(') => {
                    self.next();
                    depth += 1;
                }
                Some(')') => {
                    depth = depth
                        .checked_sub(1)
                        .ok_or("a closing parenthesis without an opening one")?;
                    self.next();
                }
                Some(c) if c.is_whitespace() => {
                    self.next();
                }
                Some(_) => tokens.push(self.token()?),
            }
        }
    }

    fn token(&mut self) -> Result<Token, &'static str> {
        let quoted = self.peek() == Some('"');
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                '"' => {
                    self.next();
                    self.quoted(&mut text)?;
                    if quoted {
                        break;
                    }
                }
                '\\' => self.escaped(&mut text),
                ';' | '(' | ')' => break,
                c if c.is_whitespace() => break,
                c => {
                    self.next();
                    text.push(c);
                }
            }
        }
        Ok(Token { text, quoted })
    }

    fn quoted(&mut self, text: &mut String) -> Result<(), &'static str> {
        loop {
            match self.peek() {
                None | Some('\n') => return Err("a quoted string is not closed on its line"),
                Some('\\') => self.escaped(text),
                Some(c) => {
                    self.next();
                    if c == '"' {
                        return Ok(());
                    }
                    text.push(c);
                }
            }
        }
    }

    /// A backslash and what it protects, both kept. A line's end is never protected.
    fn escaped(&mut self, text: &mut String) {
        text.extend(self.next());
        if self.peek().is_some_and(|c| c != '\n') {
            text.extend(self.next());
        }
    }
}

const OPEN_PARENTHESIS: &str = "an opening parenthesis is never closed";

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        entries(text)
            .into_iter()
            .map(|entry| match entry {
                Ok(entry) => {
                    let blank = if entry.indented { "_" } else { "" };
                    let tokens: Vec<&str> = entry.tokens.iter().map(|t| t.text.as_str()).collect();
                    format!("{}:{blank}{}", entry.line, tokens.join("|"))
                }
                Err(problem) => format!("{}!{}", problem.line, problem.message),
            })
            .collect()
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
        let token = |text: &str| Token {
            text: text.to_owned(),
            quoted: true,
        };
        assert_eq!(
            token("a\\\"b\\255\\065").octets(),
            Some(b"a\"b\xffA".to_vec())
        );
        assert_eq!(token("a\\").octets(), None);
        assert_eq!(token("\\300").octets(), None);
    }
}
