//! Whom a residency rule pins. When a resolver tells only a part of its client's address, the client may
//! be anywhere in that network: it is pinned as soon as any address of the network would be.

use super::Walk;
use crate::geo::Location;
use crate::ids::ResidencyId;
use crate::recorder::{Recorder, Step};
use crate::spec::Residency;
use crate::table::{Service, continent_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many differently located parts of a client's network are looked at; a network of more parts is
/// pinned, whatever the rest of it is.
const MAX_PARTS: usize = 64;

impl<'a, R: Recorder> Walk<'a, R> {
    /// The residency rule that pins this client, if one does.
    pub(super) fn pin(&mut self, service: &'a Service) -> Option<&'a Residency> {
        let id: ResidencyId = service.residency?;
        let rule = self.table.residencies().get(id.index())?;
        let location = self.location();
        let pins = pins(rule, &location) || self.pins_a_part(rule);
        self.recorder.record(if pins {
            Step::Pinned(id)
        } else {
            Step::Free(id)
        });
        pins.then_some(rule)
    }

    /// Whether the rule pins some part of the network that is known of the client.
    fn pins_a_part(&mut self, rule: &Residency) -> bool {
        let Some(bits) = self.client.known_bits else {
            return false;
        };
        if self
            .located
            .is_none_or(|located| located.prefix_len <= bits)
        {
            return false;
        }
        self.scope = self.scope.max(bits);
        let Some((mut at, last)) = network(self.client.address, bits) else {
            return false;
        };
        for _ in 0..MAX_PARTS {
            let part = self.snapshot.locate(at);
            if pins(rule, &part.location) {
                return true;
            }
            match after(at, part.prefix_len) {
                Some(next) if next <= last => at = next,
                _ => return false,
            }
        }
        true
    }
}

/// Whether a residency rule pins a client at this location.
pub fn pins(rule: &Residency, location: &Location) -> bool {
    let by_continent = continent_of(location).is_some_and(|c| rule.continents.contains(&c));
    match location.country {
        Some(country) => rule.countries.contains(country) || by_continent,
        // A continent alone does not say that the client is outside the pinned countries.
        None => by_continent || rule.pin_unknown,
    }
}

/// The first and the last address of a network.
fn network(address: IpAddr, bits: u8) -> Option<(IpAddr, IpAddr)> {
    match address {
        IpAddr::V4(v4) => {
            let rest = u32::MAX.checked_shr(bits.into()).unwrap_or(0);
            let address = u32::from(v4);
            let ends = [address & !rest, address | rest].map(|end| IpAddr::V4(Ipv4Addr::from(end)));
            (bits <= 32).then_some(ends.into())
        }
        IpAddr::V6(v6) => {
            let rest = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
            let address = u128::from(v6);
            let ends = [address & !rest, address | rest].map(|end| IpAddr::V6(Ipv6Addr::from(end)));
            (bits <= 128).then_some(ends.into())
        }
    }
}

/// The first address after the block of `bits` around `address`.
fn after(address: IpAddr, bits: u8) -> Option<IpAddr> {
    let (_, last) = network(address, bits)?;
    match last {
        IpAddr::V4(v4) => u32::from(v4)
            .checked_add(1)
            .map(|next| IpAddr::V4(next.into())),
        IpAddr::V6(v6) => u128::from(v6)
            .checked_add(1)
            .map(|next| IpAddr::V6(next.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_and_what_follows_them() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        for (address, bits, first, last, next) in [
            (
                "192.0.2.77",
                24,
                "192.0.2.0",
                "192.0.2.255",
                Some("192.0.3.0"),
            ),
            (
                "192.0.2.77",
                32,
                "192.0.2.77",
                "192.0.2.77",
                Some("192.0.2.78"),
            ),
            ("255.0.0.1", 8, "255.0.0.0", "255.255.255.255", None),
            ("1.2.3.4", 0, "0.0.0.0", "255.255.255.255", None),
            (
                "2001:db8::1",
                32,
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                Some("2001:db9::"),
            ),
        ] {
            assert_eq!(
                network(ip(address), bits),
                Some((ip(first), ip(last))),
                "{address}/{bits}"
            );
            assert_eq!(
                after(ip(address), bits),
                next.map(ip),
                "after {address}/{bits}"
            );
        }
    }
}
