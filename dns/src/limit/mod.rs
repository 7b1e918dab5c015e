//! Response rate limiting: how often one network may be told the same thing over UDP, where a sender's address
//! can be forged and the answer may be an attack on whoever has that address.
//!
//! ```text
//! response octets --classify--> class and name --+
//! client --prefix--------------------------------+--> key --table--> pass, or the n-th beyond the rate
//! ```
//!
//! It looks at finished responses, so that every way of making them is limited alike. What never happens here:
//! no clock is read (the moment comes in), nothing is allocated once the table stands, nothing is locked on the
//! way of a response that is not beyond its rate, and what came over a connection or with a valid cookie is
//! none of its business: there the address is proven.

mod active;
mod classify;
mod cut;
mod table;

use crate::metrics::Limited;
use active::Active;
use classify::Class;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;
use steering::cidr::{NONE, Partition};
use table::{Rate, Sighting, Table};

pub use table::{MAX_RATE, TABLE_BYTES};

/// The most `slip`.
pub const MAX_SLIP: u8 = 10;

/// What is limited, and how. Rates are responses a second for one client network; 0 leaves a class alone.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The same name answered, whatever the type; a wildcard's names count as one.
    pub responses: u32,
    /// Errors: refused, malformed, not implemented.
    pub errors: u32,
    /// Names of one zone that do not exist.
    pub nxdomains: u32,
    /// Referrals to one child zone.
    pub referrals: u32,
    /// Everything together.
    pub all: u32,
    /// Every so many responses beyond the rate one is sent, empty and with TC, so that a real client comes by
    /// TCP; 1: each, 0: none. At most [`MAX_SLIP`].
    pub slip: u8,
    /// How many bits of an IPv4 address make a network; at most 32.
    pub ipv4_prefix: u8,
    /// How many bits of an IPv6 address make a network; at most 128.
    pub ipv6_prefix: u8,
    /// Networks that are never limited, as a [`Partition`] with any value.
    pub exempt: Partition,
    /// Count what would be done, and do nothing.
    pub dry_run: bool,
}

impl Rules {
    fn rate(&self, class: Class) -> u32 {
        match class {
            Class::Answer => self.responses,
            Class::NxDomain => self.nxdomains,
            Class::Referral => self.referrals,
            Class::Error => self.errors,
            Class::All => self.all,
        }
    }
}

/// What is to be done with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Send it.
    Pass,
    /// Send it, though it is beyond its rate: a dry run.
    DryRun,
    /// Send nothing.
    Drop,
    /// Send it cut to so many octets; the cutting is done.
    Slip(usize),
}

impl Ruling {
    /// As what it is counted.
    pub(crate) fn limited(self) -> Option<Limited> {
        match self {
            Self::Pass => None,
            Self::DryRun => Some(Limited::Passed),
            Self::Drop => Some(Limited::Dropped),
            Self::Slip(_) => Some(Limited::Slipped),
        }
    }
}

/// What every worker counts responses in. One a server.
pub struct Limiter {
    /// Made with the first response that is to be counted: without limits there is no table.
    table: OnceLock<Table>,
    /// Random for each process: which keys share a place cannot be known from outside.
    keys: RandomState,
    active: Active,
}

/// One response, and whom it is for.
pub struct Response<'a> {
    /// The client, as the datagram has it.
    pub client: IpAddr,
    /// Its octets.
    pub octets: &'a mut [u8],
    /// How many leading octets of its question's name a wildcard stood for; see [`Answer`](crate::Answer::covered).
    pub covered: u8,
}

impl Limiter {
    /// Counts nothing yet.
    pub fn new() -> Self {
        Self {
            table: OnceLock::new(),
            keys: RandomState::new(),
            active: Active::new(),
        }
    }

    /// Counts one response and rules on it. `now` is the time since any moment that stays the same; that of the
    /// batch will do.
    pub fn rule(&self, rules: &Rules, response: Response<'_>, now: Duration) -> Ruling {
        let client = response.client.to_canonical();
        if rules.exempt.find(client).0 != NONE {
            return Ruling::Pass;
        }
        let network = network(rules, client);
        let (class, name) = classify::classify(response.octets, response.covered);
        let one = self.sight(rules, class, network, &name, now);
        // One that is not sent takes nothing from the rate over all.
        let (class, seen) = match one {
            Sighting::Within => (Class::All, self.sight(rules, Class::All, network, &[], now)),
            beyond => (class, beyond),
        };
        let Sighting::Beyond { nth, first } = seen else {
            return Ruling::Pass;
        };
        self.active
            .beyond(network, class, first, rules.dry_run, now);
        if rules.dry_run {
            return Ruling::DryRun;
        }
        if rules.slip != 0 && nth >= rules.slip {
            return Ruling::Slip(cut::cut(response.octets));
        }
        Ruling::Drop
    }

    /// Says which networks are no longer limited; to be called every few seconds.
    pub fn tidy(&self, now: Duration) {
        self.active.end(now);
    }

    fn sight(
        &self,
        rules: &Rules,
        class: Class,
        (network, bits): (IpAddr, u8),
        name: &[u8],
        now: Duration,
    ) -> Sighting {
        let Some(rate) = Rate::new(rules.rate(class)) else {
            return Sighting::Within;
        };
        let mut hasher = self.keys.build_hasher();
        match network {
            IpAddr::V4(v4) => hasher.write_u32(v4.into()),
            IpAddr::V6(v6) => hasher.write_u128(v6.into()),
        }
        hasher.write_u16(u16::from(bits) << 8 | class as u16);
        hasher.write(name);
        let table = self.table.get_or_init(Table::new);
        table.sight(hasher.finish(), rate, rules.slip, now)
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

/// The network that a client is counted in.
fn network(rules: &Rules, client: IpAddr) -> (IpAddr, u8) {
    match client {
        IpAddr::V4(v4) => {
            let bits = rules.ipv4_prefix.min(32);
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            (IpAddr::V4((u32::from(v4) & mask).into()), bits)
        }
        IpAddr::V6(v6) => {
            let bits = rules.ipv6_prefix.min(128);
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            (IpAddr::V6((u128::from(v6) & mask).into()), bits)
        }
    }
}

#[cfg(test)]
mod tests;
