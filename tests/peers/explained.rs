//! The differences that are meant, each with the reason. One that nothing differs by any more fails the test.

use crate::ask::Question;
use crate::message::Message;
use crate::servers::Who;

/// A difference that is meant.
pub struct Explained {
    pub why: &'static str,
    pub whose: &'static [Who],
    /// Takes out of both answers what it explains (ours, theirs); true when there was something.
    pub bend: fn(&Question, &mut Message, &mut Message) -> bool,
}

pub const EXPLAINED: &[Explained] = &[Explained {
    why: "RFC 8482 §4.2: ANY is answered with HINFO; the others answer it in full, or with one set",
    whose: &[Who::Knot, Who::Nsd, Who::Bind],
    bend: |question, ours, theirs| {
        let minimal = ours.answer.iter().find(|one| one.data == b"\x07RFC8482\0").cloned();
        let Some(minimal) = minimal.filter(|_| question.rtype == 255) else {
            return false;
        };
        ours.answer.remove(&minimal);
        let all = theirs.answer.len();
        theirs.answer.retain(|one| one.owner != minimal.owner);
        theirs.additional.clear();
        theirs.answer.len() < all
    },
}];
