//! Which region an answer names: the published addresses and host names of a subject, laid out for one
//! look a record. It is built once and never changes.

use crate::record::Outcome;
use crate::subject::Subject;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use steering::{Family, RegionId, ServiceId};

/// Addresses and host names with their regions.
#[derive(Clone, Debug)]
pub struct Places {
    /// An open table of a power of two, at most a quarter full: an address is at its hash or in one of
    /// the places after it, before the first empty one.
    slots: Box<[Option<(u128, RegionId)>]>,
    names: HashMap<Box<[u8]>, RegionId>,
    /// Whether the answers of a service for A and for AAAA say where its policy sends a client, by
    /// [`ServiceId`]; those beyond the end do.
    telling: Vec<[bool; 2]>,
}

impl Places {
    /// What a subject publishes.
    pub fn of(subject: &Subject) -> Self {
        let services = (0..subject.services.len()).map(ServiceId::at);
        let telling = services
            .map(|service| [Family::V4, Family::V6].map(|f| subject.publishes(service, f)))
            .collect();
        Self {
            telling,
            ..Self::new(subject.published_addresses(), subject.published_hostnames())
        }
    }

    /// Whether a service's answers of a family say where its policy sends a client.
    #[inline]
    pub fn telling(&self, service: ServiceId, family: Family) -> bool {
        let of = usize::from(family == Family::V6);
        self.telling
            .get(service.index())
            .is_none_or(|told| told[of])
    }

    /// From addresses and from host names in lower case without the last dot.
    pub fn new<'a>(
        addresses: impl Iterator<Item = (IpAddr, RegionId)>,
        names: impl Iterator<Item = (&'a str, RegionId)>,
    ) -> Self {
        let addresses: Vec<_> = addresses.collect();
        let size = (4 * addresses.len()).next_power_of_two().max(16);
        let mut slots = vec![None; size].into_boxed_slice();
        for (address, region) in addresses {
            let key = match address {
                IpAddr::V4(v4) => v4_key(v4),
                IpAddr::V6(v6) => v6.into(),
            };
            let mut at = hash(key, size);
            while slots[at].is_some_and(|(other, _)| other != key) {
                at = (at + 1) % size;
            }
            slots[at] = Some((key, region));
        }
        let names = names.map(|(name, region)| (name.as_bytes().into(), region));
        Self {
            slots,
            names: names.collect(),
            telling: Vec::new(),
        }
    }

    /// The region behind an IPv4 address.
    #[inline]
    pub fn v4(&self, address: Ipv4Addr) -> Outcome {
        self.find(v4_key(address))
    }

    /// The region behind an IPv6 address.
    #[inline]
    pub fn v6(&self, address: Ipv6Addr) -> Outcome {
        self.find(address.into())
    }

    /// The region behind a host name, in lower case without the last dot.
    pub fn name(&self, name: &[u8]) -> Option<RegionId> {
        self.names.get(name).copied()
    }

    #[inline]
    fn find(&self, key: u128) -> Outcome {
        let mut at = hash(key, self.slots.len());
        while let Some((other, region)) = self.slots[at] {
            if other == key {
                return Outcome::Region(region);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        Outcome::Elsewhere
    }
}

/// An IPv4 address apart from all IPv6 addresses that may be published: below ::/96.
fn v4_key(address: Ipv4Addr) -> u128 {
    u128::from(u32::from(address))
}

/// The upper bits of a product (Knuth's multiplicative hashing); the keys are the operator's own.
#[inline]
fn hash(key: u128, size: usize) -> usize {
    let folded = key as u64 ^ (key >> 64) as u64;
    let product = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (product >> 32) as usize & (size - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_found_and_no_other() {
        let listed = |i: u32| {
            let address = if i.is_multiple_of(2) {
                IpAddr::V4((0xc000_0200 + i).into())
            } else {
                IpAddr::V6((0x2001_0db8_u128 << 96 | u128::from(i)).into())
            };
            (address, RegionId::at(i as usize % 7))
        };
        let names = [("eu.example.net", RegionId::at(3))];
        let places = Places::new((0..1000).map(listed), names.into_iter());
        for i in 0..2000 {
            let (address, region) = listed(i);
            let found = match address {
                IpAddr::V4(v4) => places.v4(v4),
                IpAddr::V6(v6) => places.v6(v6),
            };
            let expected = if i < 1000 {
                Outcome::Region(region)
            } else {
                Outcome::Elsewhere
            };
            assert_eq!(found, expected, "{address}");
        }
        assert_eq!(places.name(b"eu.example.net"), Some(RegionId::at(3)));
        assert_eq!(places.name(b"us.example.net"), None);
        let none = Places::new(std::iter::empty(), std::iter::empty());
        assert_eq!(none.v4(Ipv4Addr::LOCALHOST), Outcome::Elsewhere);
    }
}
