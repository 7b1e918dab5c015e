//! The questions of one socket or connection that wait for their answers: by ID, and in the order they
//! were sent, so that the overdue ones are found without looking at the others. Its size is fixed.

use super::query::Question;
use crate::generate::pace::Nanos;

/// The most questions in flight: as many as there are IDs.
pub const IDS: usize = 1 << 16;

/// A question that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which.
    pub question: Question,
    /// When it was to be sent; latency counts from here.
    pub intended: Nanos,
    /// When it was sent; the timeout counts from here.
    pub sent: Nanos,
}

/// Questions in flight.
pub struct Flight {
    slots: Box<[Slot]>,
    /// Where to look for a free ID. IDs come in turn, so that a late or second answer to an old question
    /// does not meet a new one.
    next: usize,
    /// The first and the last sent of those in flight, if there are any.
    oldest: u16,
    newest: u16,
    count: usize,
}

#[derive(Clone, Copy)]
struct Slot {
    asked: Asked,
    used: bool,
    /// The one sent before, while in flight; itself for the first.
    before: u16,
    /// The one sent after; itself for the last.
    after: u16,
}

impl Flight {
    /// With room for at least `room` questions, and for at most [`IDS`].
    pub fn new(room: usize) -> Self {
        let empty = Slot {
            asked: Asked {
                question: Question {
                    ask: 0,
                    form: 0,
                    thread: 0,
                },
                intended: 0,
                sent: 0,
            },
            used: false,
            before: 0,
            after: 0,
        };
        let size = room.clamp(1, IDS).next_power_of_two();
        Self {
            slots: vec![empty; size].into_boxed_slice(),
            next: 0,
            oldest: 0,
            newest: 0,
            count: 0,
        }
    }

    /// How many are in flight.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether no more fit.
    pub fn is_full(&self) -> bool {
        self.count == self.slots.len()
    }

    /// Takes a question up and gives it an ID; `None` when it is full. Questions come in the order of
    /// their sending.
    #[inline]
    pub fn depart(&mut self, asked: Asked) -> Option<u16> {
        if self.is_full() {
            return None;
        }
        let mask = self.slots.len() - 1;
        while self.slots[self.next].used {
            self.next = (self.next + 1) & mask;
        }
        let id = self.next as u16;
        self.next = (self.next + 1) & mask;
        if self.count == 0 {
            self.oldest = id;
            self.newest = id;
        }
        self.slots[usize::from(id)] = Slot {
            asked,
            used: true,
            before: self.newest,
            after: id,
        };
        self.slots[usize::from(self.newest)].after = id;
        self.newest = id;
        self.count += 1;
        Some(id)
    }

    /// Takes a question out.
    #[inline]
    pub fn land(&mut self, id: u16) -> Option<Asked> {
        let slot = self.slots.get_mut(usize::from(id))?;
        if !slot.used {
            return None;
        }
        slot.used = false;
        let Slot {
            asked,
            before,
            after,
            ..
        } = *slot;
        self.count -= 1;
        match (id == self.oldest, id == self.newest) {
            (true, true) => {}
            (true, false) => {
                self.oldest = after;
                self.slots[usize::from(after)].before = after;
            }
            (false, true) => {
                self.newest = before;
                self.slots[usize::from(before)].after = before;
            }
            (false, false) => {
                self.slots[usize::from(before)].after = after;
                self.slots[usize::from(after)].before = before;
            }
        }
        Some(asked)
    }

    /// When the oldest one in flight was sent.
    pub fn oldest(&self) -> Option<Nanos> {
        (self.count > 0).then(|| self.slots[usize::from(self.oldest)].asked.sent)
    }

    /// Takes out the oldest one if it was sent at `latest` or before.
    pub fn overdue(&mut self, latest: Nanos) -> Option<Asked> {
        (self.oldest()? <= latest)
            .then(|| self.land(self.oldest))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn asked(n: u64) -> Asked {
        Asked {
            question: Question {
                ask: n as u32,
                form: 0,
                thread: 0,
            },
            intended: n,
            sent: n,
        }
    }

    #[test]
    fn ids_come_in_turn_and_run_out() {
        let mut flight = Flight::new(3);
        let ids: Vec<_> = (0..5).map(|n| flight.depart(asked(n))).collect();
        assert_eq!(ids, [Some(0), Some(1), Some(2), Some(3), None]);
        assert_eq!(flight.land(2), Some(asked(2)));
        assert_eq!(flight.land(2), None, "an answer counts once");
        assert_eq!(flight.land(900), None, "an ID that was never given");
        assert_eq!(flight.depart(asked(5)), Some(2));
        assert!(flight.is_full());
    }

    #[test]
    fn a_freed_id_is_the_last_to_be_used_again() {
        let mut flight = Flight::new(1 << 16);
        for n in 0..200_000 {
            let id = flight.depart(asked(n)).expect("there is room");
            assert_eq!(u64::from(id), n % (1 << 16));
            assert_eq!(flight.land(id), Some(asked(n)));
        }
    }

    proptest! {
        /// Against the plain way to do it: a queue that is searched.
        #[test]
        fn it_is_a_queue_with_ids(steps in prop::collection::vec((0..4u8, 0..16usize), 0..200)) {
            let mut flight = Flight::new(16);
            let mut model: VecDeque<(u16, u64)> = VecDeque::new();
            for (now, (step, pick)) in (0u64..).zip(steps) {
                match step {
                    0 | 1 => match flight.depart(asked(now)) {
                        Some(id) => {
                            prop_assert!(model.iter().all(|(other, _)| *other != id));
                            model.push_back((id, now));
                        }
                        None => prop_assert_eq!(model.len(), 16),
                    },
                    2 if !model.is_empty() => {
                        let (id, sent) = model.remove(pick % model.len()).expect("it is in there");
                        prop_assert_eq!(flight.land(id), Some(asked(sent)));
                    }
                    _ => {
                        let latest = now.saturating_sub(pick as u64);
                        let expected = model.front().filter(|(_, sent)| *sent <= latest).copied();
                        let overdue = flight.overdue(latest);
                        prop_assert_eq!(overdue, expected.map(|(_, sent)| asked(sent)));
                        if expected.is_some() {
                            model.pop_front();
                        }
                    }
                }
                prop_assert_eq!(flight.count(), model.len());
                prop_assert_eq!(flight.oldest(), model.front().map(|(_, sent)| *sent));
            }
        }
    }
}
