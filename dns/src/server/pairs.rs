//! One draw for the questions of one client: A and AAAA (and HTTPS) of a name name the same region.
//!
//! A client that can use both families asks twice, in two packets. Where chance decides (`weighted`),
//! both must have the same draw, or its connection attempts would race between two regions. So the draw
//! of a question is kept for a moment, and taken again by a question of the same client for the same
//! name and *another* type. Two questions of one type always have draws of their own, so shares stay
//! what the weights say.
//!
//! The memory is a fixed table of words, without locks; a question that finds its place taken by
//! another client's draws anew.

use crate::rtype::RType;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use steering::draw::mix;

/// How many draws are kept: 512 KiB.
const SLOTS: usize = 1 << 16;
/// How long a draw waits for the client's other question.
const KEPT: Duration = Duration::from_secs(2);
/// Ticks are quarters of a second, so that they fit the word; they wrap after 68 minutes.
const TICKS_A_SECOND: u32 = 4;
const TICK_BITS: u32 = 14;

/// The draws of the last moments.
pub(super) struct Pairs {
    slots: Box<[AtomicU64]>,
    /// Random for each process: who asks must not choose which place it gets.
    secret: u64,
}

/// What a slot holds: 32 bits of draw, 15 of the client and name, 14 of time, 3 of types that had it.
struct Word {
    seed: u32,
    tag: u16,
    tick: u16,
    types: u8,
}

impl Word {
    const fn pack(&self) -> u64 {
        (self.seed as u64) << 32
            | ((self.tag & 0x7fff) as u64) << 17
            | ((self.tick & 0x3fff) as u64) << 3
            | (self.types & 7) as u64
    }

    const fn unpack(word: u64) -> Self {
        Self {
            seed: (word >> 32) as u32,
            tag: (word >> 17 & 0x7fff) as u16,
            tick: (word >> 3 & 0x3fff) as u16,
            types: (word & 7) as u8,
        }
    }
}

impl Pairs {
    pub(super) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            secret: RandomState::new().hash_one(1_u64),
        }
    }

    /// The draw of a question for the lower-cased wire `name`, asked `now` (since whenever, but always since
    /// the same): `fresh`, or the one that the client's other question had.
    pub(super) fn draw(
        &self,
        client: IpAddr,
        name: &[u8],
        rtype: RType,
        fresh: u64,
        now: Duration,
    ) -> u64 {
        let Some(this) = address_type(rtype) else {
            return fresh;
        };
        let (key, tick) = (self.key(client, name), tick(now));
        let Some(slot) = self.slots.get(key as usize % SLOTS) else {
            return fresh;
        };
        let tag = (key >> 49) as u16;
        let old = Word::unpack(slot.load(Ordering::Relaxed));
        let age = tick.wrapping_sub(old.tick) & ((1 << TICK_BITS) - 1);
        let young = u32::from(age) <= KEPT.as_secs() as u32 * TICKS_A_SECOND;
        let word = if old.types != 0 && old.types & this == 0 && old.tag == tag && young {
            Word {
                types: old.types | this,
                ..old
            }
        } else {
            Word {
                seed: (fresh >> 32) as u32,
                tag,
                tick,
                types: this,
            }
        };
        // Two questions at the same moment may both draw: no worse than without a memory.
        slot.store(word.pack(), Ordering::Relaxed);
        mix(u64::from(word.seed), key)
    }

    /// Who asks for what, in a word that cannot be worked out without the secret.
    fn key(&self, client: IpAddr, name: &[u8]) -> u64 {
        let address = match client {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let key = mix(mix(address as u64, self.secret), (address >> 64) as u64);
        let mut chunks = name.chunks_exact(8);
        let key = chunks.by_ref().fold(key, |key, chunk| {
            let word = chunk.first_chunk().copied().unwrap_or_default();
            mix(u64::from_le_bytes(word), key)
        });
        let rest = chunks.remainder().iter();
        let rest = rest.fold(0, |rest, octet| rest << 8 | u64::from(*octet));
        mix(rest, key)
    }
}

/// A moment, as coarse as it is kept.
fn tick(now: Duration) -> u16 {
    let quarters = now.as_millis() / u128::from(1000 / TICKS_A_SECOND);
    (quarters & ((1 << TICK_BITS) - 1)) as u16
}

/// The bit of a type that says where to connect.
fn address_type(rtype: RType) -> Option<u8> {
    match rtype {
        RType::A => Some(1),
        RType::AAAA => Some(2),
        RType::HTTPS => Some(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &[u8] = b"\x03api\x04test\0";

    fn at(tick: u64) -> Duration {
        Duration::from_millis(tick * 250)
    }

    #[test]
    fn other_types_of_one_client_share_a_draw_once() {
        let pairs = Pairs::new();
        let ask = |rtype, client: [u8; 4], fresh: u64, tick| {
            pairs.draw(client.into(), NAME, rtype, fresh << 32, at(tick))
        };
        let one = [192, 0, 2, 1];
        let first = ask(RType::A, one, 1, 10);
        assert_eq!(
            ask(RType::AAAA, one, 2, 11),
            first,
            "the same draw for the other family"
        );
        assert_eq!(ask(RType::HTTPS, one, 3, 12), first);
        let second = ask(RType::A, one, 4, 12);
        assert_ne!(second, first, "the same type again draws anew");
        assert_ne!(
            ask(RType::AAAA, one, 5, 12 + 9),
            second,
            "too late: it draws anew"
        );
        assert_ne!(
            ask(RType::AAAA, [192, 0, 2, 2], 6, 12),
            second,
            "another client"
        );
    }

    #[test]
    fn time_may_wrap() {
        let pairs = Pairs::new();
        let last = (1 << TICK_BITS) - 1;
        let ask = |rtype, fresh: u64, tick| {
            pairs.draw(
                IpAddr::from([1, 2, 3, 4]),
                NAME,
                rtype,
                fresh << 32,
                at(tick),
            )
        };
        let first = ask(RType::A, 7, last);
        assert_eq!(ask(RType::AAAA, 8, 1), first);
    }

    #[test]
    fn names_and_clients_of_any_length_have_keys_of_their_own() {
        let pairs = Pairs::new();
        let mut keys = std::collections::HashSet::new();
        for client in ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db9::1"] {
            let client: IpAddr = client.parse().expect("an address");
            for length in 1..40 {
                assert!(
                    keys.insert(pairs.key(client, &vec![b'a'; length])),
                    "{client} {length}"
                );
            }
        }
    }
}
