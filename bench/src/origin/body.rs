//! The body of a request, read to its end and kept nowhere: of a stated length, or in chunks
//! (RFC 9112 §7.1).

use super::head::{MAX_BODY, Refusal};

/// The longest line of a chunk's size with its extensions, and of one trailer.
const MAX_LINE: u16 = 4 * 1024;
/// The most trailers.
const MAX_TRAILERS: u16 = 64;

/// What of a body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Body {
    place: Place,
    /// Bytes of content so far.
    seen: u64,
    /// Bytes of the line that is being read.
    line: u16,
    trailers: u16,
}

/// Where in a body the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Within so many bytes of content, the last ones.
    Content(u64),
    /// Within the digits of a chunk's size.
    Size { so_far: u64, digits: u8 },
    /// Behind the digits, before the end of the line.
    Extension(u64),
    /// Within so many bytes of a chunk.
    Chunk(u64),
    /// In the line end behind a chunk.
    ChunkEnd,
    /// In the lines behind the last chunk.
    Trailers,
}

impl Body {
    /// One of `bytes`.
    pub(super) const fn of_length(bytes: u64) -> Self {
        Self::at(Place::Content(bytes))
    }

    /// One in chunks.
    pub(super) const fn chunked() -> Self {
        Self::at(Place::Size {
            so_far: 0,
            digits: 0,
        })
    }

    const fn at(place: Place) -> Self {
        Self {
            place,
            seen: 0,
            line: 0,
            trailers: 0,
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.place == Place::Content(0)
    }

    /// Reads on. Gives how many bytes of `input` were the body's, and whether it ended.
    pub(super) fn discard(&mut self, input: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            match &mut self.place {
                Place::Content(left) => {
                    let take = (rest.len() as u64).min(*left);
                    *left -= take;
                    return Ok((used + take as usize, *left == 0));
                }
                Place::Chunk(left) if *left > 0 => {
                    let take = (rest.len() as u64).min(*left);
                    *left -= take;
                    used += take as usize;
                    if *left > 0 {
                        return Ok((used, false));
                    }
                    self.go(Place::ChunkEnd);
                }
                _ => {
                    let Some(byte) = rest.first() else {
                        return Ok((used, false));
                    };
                    used += 1;
                    if self.step(*byte)? {
                        return Ok((used, true));
                    }
                }
            }
        }
    }

    /// Takes in one byte of what frames the chunks; whether it was the last of the body.
    fn step(&mut self, byte: u8) -> Result<bool, Refusal> {
        self.line += 1;
        if self.line > MAX_LINE {
            return Err(Refusal::Malformed);
        }
        match self.place {
            Place::Size { so_far, digits } => self.size(byte, so_far, digits)?,
            Place::Extension(size) if byte == b'\n' => self.begin_chunk(size)?,
            Place::Extension(_) => {}
            Place::Content(_) | Place::Chunk(_) | Place::ChunkEnd => match (byte, self.line) {
                (b'\r', 1) => {}
                (b'\n', 2) => self.go(Place::Size {
                    so_far: 0,
                    digits: 0,
                }),
                _ => return Err(Refusal::Malformed),
            },
            Place::Trailers if byte == b'\n' => {
                // An empty line, of CR LF alone, is the end.
                if self.line <= 2 {
                    return Ok(true);
                }
                self.trailers += 1;
                if self.trailers > MAX_TRAILERS {
                    return Err(Refusal::Malformed);
                }
                self.line = 0;
            }
            Place::Trailers => {}
        }
        Ok(false)
    }

    fn size(&mut self, byte: u8, so_far: u64, digits: u8) -> Result<(), Refusal> {
        if let Some(digit) = (byte as char).to_digit(16) {
            let so_far = (so_far << 4) | u64::from(digit);
            if digits >= 16 || so_far > MAX_BODY {
                return Err(Refusal::BodyTooLarge);
            }
            let digits = digits + 1;
            self.place = Place::Size { so_far, digits };
            return Ok(());
        }
        if digits == 0 {
            return Err(Refusal::Malformed);
        }
        match byte {
            b'\n' => self.begin_chunk(so_far),
            b'\r' | b';' | b' ' | b'\t' => {
                self.place = Place::Extension(so_far);
                Ok(())
            }
            _ => Err(Refusal::Malformed),
        }
    }

    fn begin_chunk(&mut self, size: u64) -> Result<(), Refusal> {
        self.seen += size;
        if self.seen > MAX_BODY {
            return Err(Refusal::BodyTooLarge);
        }
        self.go(match size {
            0 => Place::Trailers,
            size => Place::Chunk(size),
        });
        Ok(())
    }

    fn go(&mut self, place: Place) {
        self.place = place;
        self.line = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Discards `text` in pieces of `step` bytes; gives what was used, and how it ended.
    fn run(mut body: Body, text: &[u8], step: usize) -> (usize, Result<bool, Refusal>) {
        let mut used = 0;
        for piece in text.chunks(step) {
            match body.discard(piece) {
                Ok((took, true)) => return (used + took, Ok(true)),
                Ok((took, false)) => used += took,
                Err(refusal) => return (used, Err(refusal)),
            }
        }
        (used, Ok(false))
    }

    #[test]
    fn a_body_ends_where_it_ends_in_whatever_pieces_it_comes() {
        let chunked = b"5\r\nhello\r\n0A;name=value\r\n0123456789\r\n0\r\nafter: that\r\n\r\n";
        for step in 1..chunked.len() + 1 {
            let mut text = chunked.to_vec();
            text.extend(b"GET /");
            let (used, ended) = run(Body::chunked(), &text, step);
            assert_eq!((used, ended), (chunked.len(), Ok(true)), "pieces of {step}");
            assert_eq!(run(Body::of_length(12), &text, step), (12, Ok(true)));
        }
        assert_eq!(run(Body::of_length(50), b"short", 2), (5, Ok(false)));
        assert_eq!(run(Body::chunked(), b"5\r\nhel", 4), (6, Ok(false)));
    }

    #[test]
    fn chunks_that_are_none_are_refused() {
        for (text, expected) in [
            (&b"\r\n"[..], Refusal::Malformed),
            (b"xyz\r\n", Refusal::Malformed),
            (b"-1\r\n", Refusal::Malformed),
            (b"1\r\nab\r\n", Refusal::Malformed),
            (b"FFFFFFFFFFFFFFFFF\r\n", Refusal::BodyTooLarge),
            (b"7FFFFFFF\r\n", Refusal::BodyTooLarge),
        ] {
            let (_, ended) = run(Body::chunked(), text, text.len());
            assert_eq!(
                ended,
                Err(expected),
                "{:?}",
                text.escape_ascii().to_string()
            );
        }
        let mut endless = b"1;".to_vec();
        endless.resize(10_000, b'x');
        assert_eq!(
            run(Body::chunked(), &endless, 100).1,
            Err(Refusal::Malformed)
        );
        let trailers = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(100)].concat();
        assert_eq!(
            run(Body::chunked(), &trailers, 7).1,
            Err(Refusal::Malformed)
        );
    }
}
