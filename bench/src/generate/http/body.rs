//! Reads HTTP/1.1 responses from bytes in whatever pieces they come: the head, then the body, which is
//! skipped and never kept (unless the region is to be read from it). It gives the same result however
//! the bytes are cut. It touches no socket, and allocates only when a head comes in pieces.

use super::reply::{Framing, Head, Rules, parse, region_in_body};
use crate::record::{ErrorKind, Outcome};

/// The longest head, bytes.
const MAX_HEAD: usize = 64 * 1024;
/// The most interim responses (1xx) before the final one.
const MAX_INTERIM: u8 = 32;
/// The longest line of a chunk's size with its extension, bytes.
const MAX_SIZE_LINE: u16 = 4096;
/// The most bytes of trailers.
const MAX_TRAILERS: u32 = 16 * 1024;
/// The most bytes of a body that are kept to read the region from.
const MAX_KEPT: usize = 64 * 1024;

/// What came of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All are used up, and the response goes on.
    More,
    /// The response is whole.
    Done(Reply),
}

/// A whole response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Where the request went, or why this is no answer that counts.
    pub outcome: Result<Outcome, ErrorKind>,
    /// Whether the connection can be used again.
    pub keep_alive: bool,
    /// How many of the bytes given last belong to it.
    pub used: usize,
}

/// Where in a response the next byte is.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Head,
    Length(u64),
    Chunked(Chunk),
    UntilClose,
}

/// Where in a chunked body (RFC 9112 §7.1) the next byte is.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    /// In the size, after so many bytes of the line.
    Size { size: u64, line: u16 },
    /// In the rest of the line after the size.
    Extension { size: u64, line: u16 },
    /// In the data.
    Data(u64),
    /// After the data: CR, then LF.
    DataEnd { cr: bool },
    /// In the trailers: bytes of this line and of all.
    Trailers { line: u32, all: u32 },
}

const FIRST_CHUNK: Chunk = Chunk::Size { size: 0, line: 0 };

/// Reads one response after the other.
#[derive(Debug)]
pub struct Reader {
    stage: Stage,
    head: Head,
    /// The beginning of a head that has not ended yet.
    held: Vec<u8>,
    /// The beginning of a body that the region is read from.
    kept: Vec<u8>,
    interim: u8,
    begun: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            stage: Stage::Head,
            head: Head::of_status(0),
            held: Vec::new(),
            kept: Vec::new(),
            interim: 0,
            begun: false,
        }
    }
}

impl Reader {
    /// Whether any byte of the current response came.
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// Forgets what it read, for a new connection. The buffers stay.
    pub fn reset(&mut self) {
        self.stage = Stage::Head;
        self.held.clear();
        self.kept.clear();
        self.interim = 0;
        self.begun = false;
    }

    /// Takes in the next bytes of the connection.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`]; the connection is of no more use then.
    #[inline]
    pub fn read(&mut self, bytes: &[u8], rules: &Rules) -> Result<Step, ErrorKind> {
        let mut used = 0;
        self.begun |= !bytes.is_empty();
        if matches!(self.stage, Stage::Head) {
            match self.read_head(bytes, rules)? {
                None => return Ok(Step::More),
                Some(length) => used = length,
            }
        }
        let rest = &bytes[used..];
        let end = match self.stage {
            Stage::Head => None,
            Stage::Length(left) => self.read_length(left, rest, rules),
            Stage::Chunked(chunk) => self.read_chunks(chunk, rest, rules)?,
            Stage::UntilClose => {
                self.keep(rest, rules);
                None
            }
        };
        match end {
            None => Ok(Step::More),
            Some(end) => Ok(Step::Done(self.done(used + end, rules))),
        }
    }

    /// The connection was closed by the server.
    ///
    /// # Errors
    /// [`ErrorKind::Broken`] when the response was not whole.
    pub fn end(&mut self, rules: &Rules) -> Result<Reply, ErrorKind> {
        match self.stage {
            Stage::UntilClose => Ok(self.done(0, rules)),
            _ => Err(ErrorKind::Broken),
        }
    }

    fn done(&mut self, used: usize, rules: &Rules) -> Reply {
        if !self.kept.is_empty() && self.head.region.is_none() {
            self.head.region = region_in_body(&self.kept, rules);
        }
        let reply = Reply {
            outcome: self.head.outcome(),
            keep_alive: self.head.keep_alive,
            used,
        };
        self.reset();
        reply
    }

    /// Reads heads until a final one ends: how many of `bytes` belong to them.
    fn read_head(&mut self, bytes: &[u8], rules: &Rules) -> Result<Option<usize>, ErrorKind> {
        let mut used = 0;
        loop {
            let Some((head, length)) = self.next_head(&bytes[used..], rules)? else {
                return Ok(None);
            };
            used += length;
            match head.status {
                // Nobody asked for another protocol.
                101 => return Err(ErrorKind::Malformed),
                100..200 => {
                    self.interim += 1;
                    if self.interim > MAX_INTERIM {
                        return Err(ErrorKind::Malformed);
                    }
                }
                _ => {
                    self.head = head;
                    self.stage = match head.framing {
                        Framing::Length(length) => Stage::Length(length),
                        Framing::Chunked => Stage::Chunked(FIRST_CHUNK),
                        Framing::UntilClose => Stage::UntilClose,
                    };
                    return Ok(Some(used));
                }
            }
        }
    }

    /// One head: it, and how many of `bytes` belong to it. Holds back what has not ended.
    fn next_head(
        &mut self,
        bytes: &[u8],
        rules: &Rules,
    ) -> Result<Option<(Head, usize)>, ErrorKind> {
        let before = self.held.len();
        if before == 0 {
            // A whole head is a whole head, whatever follows it; all else is seen line by line below.
            if let Ok(Some((head, length))) = parse(bytes, rules) {
                return bounded(head, length, length);
            }
        }
        self.held.extend_from_slice(bytes);
        // Only whole lines are judged, so that the cut of the bytes makes no difference; and a head that
        // comes byte by byte is parsed once a line.
        if bytes.contains(&b'\n') {
            let lines = self.held.iter().rposition(|b| *b == b'\n').unwrap_or(0) + 1;
            if let Some((head, length)) = parse(&self.held[..lines], rules)? {
                self.held.clear();
                return bounded(head, length, length - before);
            }
        }
        if self.held.len() > MAX_HEAD {
            return Err(ErrorKind::Malformed);
        }
        Ok(None)
    }

    fn read_length(&mut self, left: u64, bytes: &[u8], rules: &Rules) -> Option<usize> {
        let take = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        self.keep(&bytes[..take], rules);
        let left = left - take as u64;
        self.stage = Stage::Length(left);
        (left == 0).then_some(take)
    }

    /// Reads chunks until the last one ends: how many of `bytes` belong to the body then.
    fn read_chunks(
        &mut self,
        mut chunk: Chunk,
        bytes: &[u8],
        rules: &Rules,
    ) -> Result<Option<usize>, ErrorKind> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if let Chunk::Data(left) = chunk {
                let rest = &bytes[at..];
                let take = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                self.keep(&rest[..take], rules);
                at += take;
                chunk = match left - take as u64 {
                    0 => Chunk::DataEnd { cr: false },
                    left => Chunk::Data(left),
                };
                continue;
            }
            at += 1;
            match chunk.next(*byte)? {
                None => return Ok(Some(at)),
                Some(next) => chunk = next,
            }
        }
        self.stage = Stage::Chunked(chunk);
        Ok(None)
    }

    fn keep(&mut self, bytes: &[u8], rules: &Rules) {
        if rules.region_in_body && self.head.region.is_none() && self.head.status < 400 {
            let room = MAX_KEPT.saturating_sub(self.kept.len());
            self.kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
        }
    }
}

/// A head of `length` bytes, the last `used` of which are new, unless it is too long.
fn bounded(head: Head, length: usize, used: usize) -> Result<Option<(Head, usize)>, ErrorKind> {
    if length > MAX_HEAD {
        return Err(ErrorKind::Malformed);
    }
    Ok(Some((head, used)))
}

impl Chunk {
    /// The place after one more byte that is not data; `None` when the body ends with it.
    fn next(self, byte: u8) -> Result<Option<Self>, ErrorKind> {
        Ok(Some(match (self, byte) {
            (Self::Size { line: 1.., size }, b'\n') => Self::after_size(size),
            (Self::Extension { size, .. }, b'\n') => Self::after_size(size),
            (Self::Size { line, size }, digit) if digit.is_ascii_hexdigit() => {
                let value = char::from(digit).to_digit(16).unwrap_or(0);
                // 15 digits are more than any body has.
                if line >= 15 {
                    return Err(ErrorKind::Malformed);
                }
                Self::Size {
                    size: size << 4 | u64::from(value),
                    line: line + 1,
                }
            }
            (Self::Size { line, size }, b';' | b' ' | b'\t' | b'\r') if line > 0 => {
                Self::Extension { size, line }
            }
            (Self::Extension { size, line }, _) if line < MAX_SIZE_LINE => Self::Extension {
                size,
                line: line + 1,
            },
            (Self::DataEnd { cr: false }, b'\r') => Self::DataEnd { cr: true },
            (Self::DataEnd { cr: true }, b'\n') => FIRST_CHUNK,
            (Self::Trailers { line: 0, .. }, b'\n') => return Ok(None),
            (Self::Trailers { all, .. }, b'\n') => Self::Trailers { line: 0, all },
            (trailers @ Self::Trailers { line: 0, .. }, b'\r') => trailers,
            (Self::Trailers { line, all }, _) if all < MAX_TRAILERS => Self::Trailers {
                line: line + 1,
                all: all + 1,
            },
            _ => return Err(ErrorKind::Malformed),
        }))
    }

    fn after_size(size: u64) -> Self {
        match size {
            0 => Self::Trailers { line: 0, all: 0 },
            size => Self::Data(size),
        }
    }
}
