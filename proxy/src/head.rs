//! Reading the head of an HTTP/1.1 request under one deadline and exact bounds, before Pingora parses
//! it. Nothing is interpreted here but where lines and the head end.
//!
//! Pingora's timeout is for each read, so a client that sends a byte now and then would hold a
//! connection for ever; and its bounds (1 MiB, 256 fields) cannot be set.

use crate::fault::Fault;
use bytes::BytesMut;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// What is read at a time.
const CHUNK: usize = 4096;

/// The bounds of one head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    pub bytes: usize,
    pub fields: usize,
}

/// When a head must have begun and ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadTimes {
    /// Its first byte.
    pub begin: Instant,
    /// The rest, from the first byte; on a new connection the sum may not pass `begin`.
    pub total: Duration,
    /// Whether the connection is new, so that its first head is due at `begin` whole.
    pub fresh: bool,
}

/// Why there is no head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHead {
    /// The client closed, was idle for too long, or the proxy stops: nothing to answer.
    Closed,
    /// The head is at fault; the client is told.
    Fault(Fault),
}

/// Where a head ends, found as its bytes come in: each byte is looked at once.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// Bytes looked at.
    seen: usize,
    /// Where the current line began.
    line: usize,
    lines: usize,
}

/// What is known of a head so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// It goes on.
    Partial,
    /// It ends before this byte.
    Complete(usize),
    /// It cannot become a valid one.
    Bad(Fault),
}

impl Scanner {
    /// Looks at what has come in since the last call. `buffer` holds all of it, from the beginning.
    ///
    /// A line ends with CR LF; a bare LF is refused (RFC 9112 §2.2 lets a server choose, and one reading
    /// is what smuggling needs two of). Empty lines before the request are skipped by the caller.
    pub(crate) fn feed(&mut self, buffer: &[u8], limits: HeadLimits) -> Scan {
        while let Some(fresh) = buffer.get(self.seen..)
            && let Some(at) = fresh.iter().position(|byte| *byte == b'\n')
        {
            let end = self.seen + at;
            let line = buffer.get(self.line..end).unwrap_or_default();
            self.seen = end + 1;
            self.line = end + 1;
            if end >= limits.bytes {
                return Scan::Bad(Fault::HeaderTooLarge);
            }
            match line {
                [b'\r'] => return Scan::Complete(end + 1),
                [.., b'\r'] => self.lines += 1,
                _ => return Scan::Bad(Fault::BadRequest),
            }
            // The first line is the request's.
            if self.lines > limits.fields + 1 {
                return Scan::Bad(Fault::HeaderTooLarge);
            }
        }
        self.seen = buffer.len();
        if buffer.len() > limits.bytes {
            Scan::Bad(Fault::HeaderTooLarge)
        } else {
            Scan::Partial
        }
    }
}

/// Reads one head; what came with it (a body's beginning) stays behind it in the buffer.
pub(crate) async fn read_head<S: AsyncRead + Unpin>(
    stream: &mut S,
    limits: HeadLimits,
    times: HeadTimes,
    stop: &CancellationToken,
) -> Result<BytesMut, NoHead> {
    let mut buffer = BytesMut::with_capacity(CHUNK);
    let mut scanner = Scanner::default();
    let mut deadline = times.begin;
    let mut begun = false;
    loop {
        let read = tokio::select! {
            biased;
            read = timeout_at(deadline, stream.read_buf(&mut buffer)) => read,
            () = stop.cancelled(), if !begun => return Err(NoHead::Closed),
        };
        match read {
            Err(_) if begun => return Err(NoHead::Fault(Fault::HeaderTimeout)),
            Err(_) | Ok(Err(_) | Ok(0)) => return Err(NoHead::Closed),
            Ok(Ok(_)) => {}
        }
        if !begun {
            begun = true;
            if !times.fresh {
                deadline = Instant::now() + times.total;
            }
        }
        // RFC 9112 §2.2: empty lines before a request are ignored (within the same deadline).
        while scanner.seen == 0 && buffer.starts_with(b"\r\n") {
            let _ = buffer.split_to(2);
        }
        match scanner.feed(&buffer, limits) {
            Scan::Complete(_) => return Ok(buffer),
            Scan::Bad(fault) => return Err(NoHead::Fault(fault)),
            Scan::Partial => buffer.reserve(CHUNK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: HeadLimits = HeadLimits {
        bytes: 64,
        fields: 3,
    };

    #[test]
    fn a_head_ends_where_its_empty_line_does() {
        for (bytes, expected) in [
            (
                &b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody"[..],
                Scan::Complete(27),
            ),
            (b"GET / HTTP/1.0\r\n\r\n", Scan::Complete(18)),
            (b"GET / HTTP/1.1\r\nHost: a\r\n", Scan::Partial),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r", Scan::Partial),
            (b"", Scan::Partial),
            (b"GET / HTTP/1.1\nHost: a\n\n", Scan::Bad(Fault::BadRequest)),
            (
                b"GET / HTTP/1.1\r\nHost: a\n\r\n",
                Scan::Bad(Fault::BadRequest),
            ),
            (
                b"G / HTTP/1.1\r\na:1\r\nb:1\r\nc:1\r\n\r\n",
                Scan::Complete(31),
            ),
            (
                b"G / HTTP/1.1\r\na:1\r\nb:1\r\nc:1\r\nd:1\r\n\r\n",
                Scan::Bad(Fault::HeaderTooLarge),
            ),
            (&[b'x'; 65], Scan::Bad(Fault::HeaderTooLarge)),
            (&[b'x'; 64], Scan::Partial),
        ] {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(Scanner::default().feed(bytes, LIMITS), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn the_answer_does_not_depend_on_how_bytes_arrive(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a'), any::<u8>()], 0..80),
            cut in 0_usize..80,
        ) {
            let whole = Scanner::default().feed(&bytes, LIMITS);
            let mut scanner = Scanner::default();
            let first = scanner.feed(&bytes[..cut.min(bytes.len())], LIMITS);
            let split = if first == Scan::Partial { scanner.feed(&bytes, LIMITS) } else { first };
            prop_assert_eq!(whole, split);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_cut_at_the_total_deadline() {
        let (mut client, mut server) = tokio::io::duplex(64);
        let trickle = tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(900)).await;
            }
        });
        let begin = Instant::now() + Duration::from_secs(60);
        let times = HeadTimes {
            begin,
            total: Duration::from_secs(10),
            fresh: false,
        };
        let stop = CancellationToken::new();
        let limits = HeadLimits {
            bytes: 65_536,
            fields: 100,
        };
        let head = read_head(&mut server, limits, times, &stop).await;
        assert_eq!(head, Err(NoHead::Fault(Fault::HeaderTimeout)));
        trickle.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_or_stopped_connection_is_closed_without_a_word() {
        let limits = HeadLimits {
            bytes: 65_536,
            fields: 100,
        };
        let (_client, mut server) = tokio::io::duplex(64);
        let begin = Instant::now() + Duration::from_secs(60);
        let times = HeadTimes {
            begin,
            total: Duration::from_secs(10),
            fresh: false,
        };
        let stop = CancellationToken::new();
        assert_eq!(
            read_head(&mut server, limits, times, &stop).await,
            Err(NoHead::Closed)
        );
        stop.cancel();
        assert_eq!(
            read_head(&mut server, limits, times, &stop).await,
            Err(NoHead::Closed)
        );
    }

    #[tokio::test]
    async fn empty_lines_before_a_request_are_skipped() {
        let begin = Instant::now() + Duration::from_secs(60);
        let times = HeadTimes {
            begin,
            total: Duration::from_secs(10),
            fresh: true,
        };
        let mut bytes = &b"\r\n\r\nGET / HTTP/1.1\r\n\r\nrest"[..];
        let limits = HeadLimits {
            bytes: 65_536,
            fields: 100,
        };
        let head = read_head(&mut bytes, limits, times, &CancellationToken::new()).await;
        assert_eq!(head.as_deref(), Ok(&b"GET / HTTP/1.1\r\n\r\nrest"[..]));
    }
}
