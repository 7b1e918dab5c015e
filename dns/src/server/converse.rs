//! Queries and answers on a stream of octets (RFC 7766 §8, RFC 7858 §3.3): a length before each message, many
//! queries a connection, answered in order.
//!
//! Bounds: the time from query to query, the time for an answer to be taken, 64 KiB and a read of input, and
//! the answers of one turn. A connection that waits holds no buffer. What never happens here: no query waits
//! for a later one.

use super::Shared;
use super::messages::Messages;
use super::places::Place;
use crate::metrics::Closed;
use crate::query::Transport;
use crate::respond::Rules;
use bytes::{Buf, BytesMut};
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// Once so many octets of answers are ready they are written before more queries are looked at.
const TURN: usize = 64 << 10;
/// How much is read at a time.
const READ: usize = 4 << 10;
/// How long, and how many octets more, a client may still send once its last answer was written: closing with
/// octets unread would take the answer back from it (RFC 1122 §4.2.2.13).
const LINGER: (Duration, usize) = (Duration::from_secs(1), 64 << 10);

/// One connection, from its first query to its end.
pub(super) struct Conversation<'a> {
    pub(super) shared: &'a Shared,
    pub(super) shutdown: &'a CancellationToken,
    pub(super) place: &'a Place,
    pub(super) peer: IpAddr,
    pub(super) transport: Transport,
    input: BytesMut,
    out: Vec<u8>,
    /// How many queries were answered.
    answered: u64,
}

/// What follows on what was answered.
enum Then {
    /// The next query.
    Next,
    /// An answer of many messages.
    Messages(Box<dyn Messages>),
    /// The end: the stream cannot be made sense of.
    Malformed,
    /// The end: enough was asked.
    Enough,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        shutdown: &'a CancellationToken,
        place: &'a Place,
        peer: IpAddr,
        transport: Transport,
    ) -> Self {
        Self {
            shared,
            shutdown,
            place,
            peer,
            transport,
            input: BytesMut::new(),
            out: Vec::new(),
            answered: 0,
        }
    }

    /// Answers until one side has enough. `None`: the client's closing, or the server's stop.
    pub(super) async fn hold<S>(mut self, stream: &mut S) -> Option<Closed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let shutdown = self.shutdown;
        // Counted from the last complete query, so that octets trickling in do not extend it.
        let mut since = Instant::now();
        loop {
            let then = self.answer();
            if !self.out.is_empty() {
                if let Err(closed) = self.write(stream).await {
                    return Some(closed);
                }
                since = Instant::now();
            }
            match then {
                Then::Next if self.complete().is_some() => continue,
                Then::Next => {}
                Then::Messages(messages) => {
                    if let Err(closed) = self.write_all(messages, stream).await {
                        return Some(closed);
                    }
                    since = Instant::now();
                    continue;
                }
                Then::Malformed => return self.end(stream, Some(Closed::Malformed)).await,
                Then::Enough => return self.end(stream, Some(Closed::Queries)).await,
            }
            // Nothing is kept while it waits.
            if self.input.is_empty() {
                self.input = BytesMut::new();
            }
            self.out = Vec::new();
            let read = tokio::select! {
                biased;
                read = self.read(since, stream) => read,
                () = shutdown.cancelled() => return self.end(stream, None).await,
            };
            match read {
                Ok(0) => return None,
                Ok(_) => {}
                Err(closed) => return self.end(stream, Some(closed)).await,
            }
        }
    }

    /// Takes what has come. The idle time is looked up again when it is over: it may have been shortened or
    /// prolonged meanwhile.
    async fn read<S: AsyncRead + Unpin>(
        &mut self,
        since: Instant,
        stream: &mut S,
    ) -> Result<usize, Closed> {
        let place = self.place;
        let shared = self.shared;
        let idle = || place.may_idle(&Rules::of(&shared.reader.load()).connections);
        let mut deadline = since + idle();
        loop {
            match timeout_at(deadline, receive(stream, &mut self.input)).await {
                Ok(Ok(read)) => return Ok(read),
                // Many clients leave TLS without a word.
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Ok(Err(_)) => return Err(Closed::Broken),
                Err(_) if since + idle() > Instant::now() => deadline = since + idle(),
                Err(_) => return Err(Closed::Idle),
            }
        }
    }

    /// The length of the first query, when all of it is there.
    fn complete(&self) -> Option<usize> {
        let length = usize::from(u16::from_be_bytes(*self.input.first_chunk()?));
        (self.input.len() >= 2 + length).then_some(length)
    }

    /// Answers the complete queries, up to a turn's worth, all from one snapshot.
    fn answer(&mut self) -> Then {
        if self.complete().is_none() {
            return Then::Next;
        }
        let shared = self.shared;
        shared.turn(|batch| {
            let most = batch.rules().connections.queries;
            while let Some(length) = self.complete().filter(|_| self.out.len() < TURN) {
                if most.is_some_and(|most| self.answered >= most) {
                    return Then::Enough;
                }
                self.input.advance(2);
                let packet = self.input.split_to(length);
                self.answered += 1;
                let (peer, transport) = (self.peer, self.transport);
                let opened = shared
                    .transfers
                    .open(&shared.reader, &packet, peer, transport);
                if let Some(messages) = opened {
                    return Then::Messages(messages);
                }
                let begin = begin(&mut self.out);
                if !batch.packet(&packet, peer, transport, &mut self.out) {
                    self.out.truncate(begin);
                    return Then::Malformed;
                }
                complete(&mut self.out, begin);
            }
            Then::Next
        })
    }

    /// Writes what is ready, within the idle time.
    async fn write<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> Result<(), Closed> {
        let within = Rules::of(&self.shared.reader.load()).connections.idle;
        let write = async {
            stream.write_all(&self.out).await?;
            stream.flush().await
        };
        match timeout(within, write).await {
            Ok(Ok(())) => {
                self.out.clear();
                self.place.touch();
                Ok(())
            }
            Ok(Err(_)) => Err(Closed::Broken),
            Err(_) => Err(Closed::SlowReader),
        }
    }

    /// Writes an answer of many messages, a turn's worth at a time.
    async fn write_all<S: AsyncWrite + Unpin>(
        &mut self,
        mut messages: Box<dyn Messages>,
        stream: &mut S,
    ) -> Result<(), Closed> {
        let mut more = true;
        while more {
            while more && self.out.len() < TURN {
                let begin = begin(&mut self.out);
                more = messages.next(&mut self.out);
                if more {
                    complete(&mut self.out, begin);
                } else {
                    self.out.truncate(begin);
                }
            }
            self.write(stream).await?;
        }
        Ok(())
    }

    /// Says goodbye, and lets the client take what was written last.
    async fn end<S>(&mut self, stream: &mut S, closed: Option<Closed>) -> Option<Closed>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (time, mut octets) = LINGER;
        let goodbye = async {
            stream.shutdown().await?;
            while octets > 0 {
                self.input.clear();
                let read = receive(stream, &mut self.input).await?;
                if read == 0 {
                    break;
                }
                octets = octets.saturating_sub(read);
            }
            io::Result::Ok(())
        };
        let _ = timeout(time, goodbye).await;
        closed
    }
}

/// Makes room for a length; gives where.
fn begin(out: &mut Vec<u8>) -> usize {
    let begin = out.len();
    out.extend([0, 0]);
    begin
}

/// Writes the length of the message that was appended since `begin`.
fn complete(out: &mut [u8], begin: usize) {
    let length = out.len().saturating_sub(begin + 2) as u16;
    for (to, from) in out.iter_mut().skip(begin).zip(length.to_be_bytes()) {
        *to = from;
    }
}

/// Appends what has come, at most [`READ`] octets. Only what has come takes room: the buffer it is read into
/// lies on the stack for as long as the system copies.
async fn receive<S: AsyncRead + Unpin>(stream: &mut S, into: &mut BytesMut) -> io::Result<usize> {
    poll_fn(|cx| {
        let mut octets = [0; READ];
        let mut buffer = ReadBuf::new(&mut octets);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
        into.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    })
    .await
}
