//! One connection's conversation without its socket: bytes in, bytes out. Requests may be pipelined and
//! come in any pieces; answers keep their order.

use super::answer::Answers;
use super::body::Body;
use super::head::{MAX_HEAD, Refusal, Request, end};
use super::{Condition, Probes};

/// Past this much unsent output no further request is answered.
const MAX_UNSENT: usize = 64 * 1024;

/// What one origin brings to each of its conversations.
pub(super) struct Side<'a> {
    pub(super) answers: &'a Answers,
    pub(super) condition: Condition,
    pub(super) probes: &'a Probes,
}

/// What became of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It goes on.
    More,
    /// It ends once everything is sent.
    End,
    /// It ends at once, with a reset.
    Reset,
}

/// Where a conversation is.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// What came in and is not read yet: the beginning of a head, or requests behind an answer that is
    /// not sent yet.
    held: Vec<u8>,
    /// How much of `held` is known to hold no end of a head.
    searched: usize,
    /// The request whose body is being read: its answer lies in `waiting`.
    body: Option<Body>,
    /// The answer that follows the body being read.
    waiting: Vec<u8>,
    waiting_bytes: u64,
    waiting_end: Option<Next>,
    /// What is to be sent.
    pub(super) out: Vec<u8>,
    /// How much of `out` is sent.
    pub(super) sent: usize,
    /// How many bytes of content follow `out`.
    pub(super) content: u64,
    /// Requests answered.
    pub(super) answered: u64,
    /// A request was left without an answer: none can be answered behind it.
    pub(super) owes: bool,
    /// Whether anything ever came in.
    pub(super) spoken: bool,
    next: Option<Next>,
}

impl Exchange {
    /// Takes in what was read.
    pub(super) fn take(&mut self, input: &[u8], side: &Side) -> Next {
        self.spoken |= !input.is_empty();
        if self.held.is_empty() {
            let used = self.read(input, side);
            self.held
                .extend_from_slice(input.get(used..).unwrap_or_default());
        } else {
            self.held.extend_from_slice(input);
            self.resume(side);
        }
        self.outcome()
    }

    /// Goes on with what is held, after output was sent.
    pub(super) fn resume(&mut self, side: &Side) -> Next {
        if !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            let used = self.read(&held, side);
            self.held = held;
            self.held.drain(..used.min(self.held.len()));
        }
        self.outcome()
    }

    /// Whether something waits to be sent.
    pub(super) fn has_output(&self) -> bool {
        self.sent < self.out.len() || self.content > 0
    }

    fn outcome(&self) -> Next {
        self.next.unwrap_or(Next::More)
    }

    /// Reads as many requests as there are; gives how many bytes were used.
    fn read(&mut self, input: &[u8], side: &Side) -> usize {
        let mut used = 0;
        while self.next.is_none() {
            let rest = input.get(used..).unwrap_or_default();
            if let Some(body) = &mut self.body {
                match body.discard(rest) {
                    Ok((took, ended)) => {
                        used += took;
                        if !ended {
                            break;
                        }
                        self.body = None;
                        self.answer_waiting();
                    }
                    Err(refusal) => self.refuse(refusal, side),
                }
                continue;
            }
            if rest.is_empty() || self.content > 0 || self.out.len() - self.sent > MAX_UNSENT {
                break;
            }
            match end(rest, self.searched) {
                Some(length) if length <= MAX_HEAD => {
                    self.searched = 0;
                    used += length;
                    match Request::parse(&rest[..length]) {
                        Ok(request) => self.begin(&request, side),
                        Err(refusal) => self.refuse(refusal, side),
                    }
                }
                None if rest.len() <= MAX_HEAD => {
                    self.searched = rest.len();
                    break;
                }
                _ => self.refuse(Refusal::HeadTooLarge, side),
            }
        }
        // Behind the end nothing is read.
        if self.next.is_some() {
            input.len()
        } else {
            used
        }
    }

    fn begin(&mut self, request: &Request, side: &Side) {
        let health = side.answers.health_path(request);
        if health.is_some() {
            side.probes.record(side.condition == Condition::Up);
        }
        match side.condition {
            Condition::Resetting | Condition::Refusing => {
                self.next = Some(Next::Reset);
                return;
            }
            Condition::Silent => self.owes = true,
            Condition::Up | Condition::Failing => {}
        }
        if !self.owes && request.expects_continue && !request.body.is_empty() {
            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        // The answer is made now, in the condition that the request found, and sent behind the body.
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.waiting_end = request.close.then_some(Next::End);
        if self.owes {
            self.waiting_end = None;
        } else if side.condition == Condition::Failing {
            side.answers.failing(request, &mut self.waiting);
        } else if let Some(path) = health {
            side.answers.healthy(path, request, &mut self.waiting);
        } else {
            self.waiting_bytes = side.answers.usual(request, &mut self.waiting);
        }
        if request.body.is_empty() {
            self.answer_waiting();
        } else {
            self.body = Some(request.body);
        }
    }

    fn answer_waiting(&mut self) {
        if self.owes {
            return;
        }
        self.out.extend_from_slice(&self.waiting);
        self.content = self.waiting_bytes;
        self.answered += 1;
        self.next = self.waiting_end;
    }

    fn refuse(&mut self, refusal: Refusal, side: &Side) {
        if !self.owes {
            side.answers.refusal(refusal, &mut self.out);
        }
        self.next = Some(Next::End);
    }
}
