//! `$GENERATE`: a range of numbers, and a record made of each (BIND's, as its handbook describes it).
//!
//! ```text
//! $GENERATE 1-254      host-$      A    192.0.2.$
//! $GENERATE 0-510/2    ${0,3,d}    PTR  host-${1,4,x}.example.
//! ```
//!
//! What never happens here: nothing is read that a line written out would not be read by.

use super::lex::{Lexer, Token};
use super::{At, Bad, Reader, State, Stop, name};
use crate::rtype::RType;
use std::borrow::Cow;
use std::fmt::Write;

/// The most records of one directive.
const MAX_GENERATED: u64 = 1 << 20;
/// The longest that one number is padded to: a label has no more octets.
const MAX_WIDTH: usize = 63;

/// `start-stop[/step]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: i64,
    stop: i64,
    step: i64,
}

impl Reader<'_> {
    pub(super) fn generate(
        &mut self,
        at: At,
        rest: &[Token<'_>],
        state: &mut State,
    ) -> Result<(), Stop> {
        let (range, left, right) = match rest {
            [range, left, right @ ..] if !right.is_empty() => (range, left, right),
            _ => {
                return Err(Bad {
                    message: "$GENERATE needs a range, a name, a type and data".to_owned(),
                    hint: Some("such as `$GENERATE 1-254 host-$ A 192.0.2.$`"),
                }
                .into());
            }
        };
        let range = Range::parse(&range.text)?;
        for number in range.numbers() {
            let owner = expand(&left.text, number)?;
            let owner = name(&owner, &state.origin)?;
            let line: Result<Vec<Token<'_>>, String> = right
                .iter()
                .map(|token| {
                    Ok(Token {
                        text: Cow::Owned(expand(&token.text, number)?),
                        quoted: token.quoted,
                    })
                })
                .collect();
            state.owner = Some(owner);
            self.generated(at, line?, state)?;
        }
        Ok(())
    }

    fn generated(&mut self, at: At, line: Vec<Token<'_>>, state: &mut State) -> Result<(), Stop> {
        // Data of several fields is one quoted text, which is taken apart; but a TXT is a quoted text.
        let whole = match line.split_last() {
            Some((last, before)) if last.quoted => {
                let rtype = before.last().and_then(|token| token.text.parse().ok());
                let is_text = matches!(rtype, Some(RType::TXT | RType::SPF));
                let quotes = last.text.contains("\\\"");
                let apart = rtype.is_some() && (!is_text || quotes);
                apart.then(|| last.text.replace("\\\"", "\""))
            }
            _ => None,
        };
        let Some(whole) = whole else {
            return self.record(at, &line, state);
        };
        let mut line: Vec<Token<'_>> = line;
        line.pop();
        let mut lexer = Lexer::new(&whole);
        match lexer.entry() {
            Some(Ok(_)) => line.extend_from_slice(lexer.tokens()),
            Some(Err(problem)) => return Err(problem.message.to_owned().into()),
            None => {}
        }
        self.record(at, &line, state)
    }
}

impl Range {
    fn parse(text: &str) -> Result<Self, Bad> {
        let bad = || Bad {
            message: format!("`{text}` is not a range"),
            hint: Some("it is start-stop or start-stop/step, such as 1-254 or 0-510/2"),
        };
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (start, stop) = range.split_once('-').ok_or_else(bad)?;
        let number = |text: &str| -> Result<i64, Bad> {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse::<i32>().ok().filter(|_| digits);
            number.map(i64::from).ok_or_else(bad)
        };
        let range = Self {
            start: number(start)?,
            stop: number(stop)?,
            step: step.map_or(Ok(1), number)?,
        };
        if range.step == 0 || range.start > range.stop {
            return Err(bad());
        }
        let count = (range.stop - range.start) / range.step + 1;
        if count.unsigned_abs() > MAX_GENERATED {
            return Err(Bad {
                message: format!(
                    "$GENERATE makes {count} records, and at most {MAX_GENERATED} are allowed"
                ),
                hint: Some("use several directives, or a wildcard"),
            });
        }
        Ok(range)
    }

    fn numbers(self) -> impl Iterator<Item = i64> {
        (self.start..=self.stop).step_by(usize::try_from(self.step).unwrap_or(1))
    }
}

/// Puts the number in for each `$`; `$$` and `\$` stand for the sign itself.
fn expand(template: &str, number: i64) -> Result<String, String> {
    let mut made = String::with_capacity(template.len() + 8);
    let mut rest = template;
    while let Some(at) = rest.find(['$', '\\']) {
        let (before, from) = rest.split_at(at);
        made.push_str(before);
        if let Some(escaped) = from.strip_prefix('\\') {
            // What it protects is resolved by the field that reads the text.
            let length = escaped.chars().next().map_or(0, char::len_utf8);
            let (kept, after) = from.split_at(1 + length);
            made.push_str(kept);
            rest = after;
        } else if let Some(after) = from.strip_prefix("$$") {
            made.push('$');
            rest = after;
        } else if let Some(modifier) = from.strip_prefix("${") {
            let bad = || format!("`{from}`: a `}}` is missing");
            let (modifier, after) = modifier.split_once('}').ok_or_else(bad)?;
            modified(modifier, number, &mut made)?;
            rest = after;
        } else {
            let _ = write!(made, "{number}");
            rest = from.get(1..).unwrap_or("");
        }
    }
    made.push_str(rest);
    Ok(made)
}

/// `offset[,width[,base]]`: base d, o, x, X, or n, N for the hexadecimal digits as labels, the last first.
fn modified(modifier: &str, number: i64, made: &mut String) -> Result<(), String> {
    let bad = || {
        format!("`${{{modifier}}}` is not ${{offset}}, ${{offset,width}} or ${{offset,width,base}}")
    };
    let mut parts = modifier.split(',');
    let offset: i32 = parts.next().unwrap_or("").parse().map_err(|_| bad())?;
    let width = parts.next().map_or(Ok(0), str::parse::<usize>);
    let width = width
        .ok()
        .filter(|width| *width <= MAX_WIDTH)
        .ok_or_else(bad)?;
    let base = parts.next().unwrap_or("d");
    if parts.next().is_some() {
        return Err(bad());
    }
    let value = number + i64::from(offset);
    let value = u32::try_from(value)
        .map_err(|_| format!("`${{{modifier}}}` is {value} for {number}, which is out of range"))?;
    let _ = match base {
        "d" => write!(made, "{value:0width$}"),
        "o" => write!(made, "{value:0width$o}"),
        "x" => write!(made, "{value:0width$x}"),
        "X" => write!(made, "{value:0width$X}"),
        "n" => nibbles(value, width, false, made),
        "N" => nibbles(value, width, true, made),
        _ => return Err(bad()),
    };
    Ok(())
}

/// The digits from the last to the first with dots between; `width` counts the dots too.
fn nibbles(mut value: u32, mut width: usize, upper: bool, made: &mut String) -> std::fmt::Result {
    loop {
        let digit = value & 0xf;
        if upper {
            write!(made, "{digit:X}")?;
        } else {
            write!(made, "{digit:x}")?;
        }
        value >>= 4;
        width = width.saturating_sub(1);
        if width == 0 && value == 0 {
            return Ok(());
        }
        made.push('.');
        width = width.saturating_sub(1);
        if width == 0 && value == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_as_bind_fills_them_in() {
        for (template, number, made) in [
            ("host-$", 7, "host-7"),
            ("$.$", 7, "7.7"),
            ("a$$b", 7, "a$b"),
            ("a\\$b", 7, "a\\$b"),
            ("a\\\\$", 7, "a\\\\7"),
            ("${0,3}", 7, "007"),
            ("${-5,3,d}x", 7, "002x"),
            ("${1,0,o}", 7, "10"),
            ("${0,4,x}-${0,4,X}", 171, "00ab-00AB"),
            ("${0,0,n}", 0xab, "b.a"),
            ("${0,7,N}", 0xab, "B.A.0.0"),
        ] {
            assert_eq!(expand(template, number).as_deref(), Ok(made), "{template}");
        }
        for template in ["${", "${x}", "${0,1,q}", "${0,1,d,e}", "${0,64}", "${-8}"] {
            assert!(expand(template, 7).is_err(), "{template}");
        }
    }

    #[test]
    fn ranges_have_a_beginning_an_end_and_a_step() {
        let numbers = |text| Range::parse(text).map(|range| range.numbers().collect::<Vec<_>>());
        assert_eq!(numbers("1-3").ok(), Some(vec![1, 2, 3]));
        assert_eq!(numbers("0-5/2").ok(), Some(vec![0, 2, 4]));
        assert_eq!(numbers("5-5").ok(), Some(vec![5]));
        for text in [
            "",
            "1",
            "3-1",
            "1-3/0",
            "-1-3",
            "1-+3",
            "1-3/",
            "0-9999999999",
            "0-1048576",
        ] {
            assert!(numbers(text).is_err(), "{text}");
        }
    }
}
