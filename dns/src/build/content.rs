//! The last of a zone: its fingerprint, its serial, and what negative answers need of its SOA.
//!
//! What never happens here: no clock is read. The time a serial is made from came with the zone.

use crate::fast::Denial;
use crate::master::rdata::SOA_TAIL;
use crate::rtype::RType;
use crate::store::Zone;
use crate::zone::AutoSerial;
use steering::draw::mix;

/// Finishes a zone; `None` when it has no SOA.
pub(super) fn seal(zone: &mut Zone, serial: Option<AutoSerial>) -> Option<()> {
    zone.content = content(zone);
    let soa = zone.at(0)?.set(RType::SOA)?;
    let data = soa.data().next()?;
    let (ttl, length) = (soa.ttl, data.len());
    let numbers = length.checked_sub(SOA_TAIL)?;
    // Where the serial is in the octets of the zone.
    let at = data.as_ptr() as usize - zone.octets.as_ptr() as usize + numbers;
    if let Some(serial) = serial {
        let serial = serial.of(zone.content).to_be_bytes();
        zone.octets.get_mut(at..at + 4)?.copy_from_slice(&serial);
    }
    zone.soa = zone.octets.get(at - numbers..at - numbers + length)?.into();
    let minimum = zone
        .soa
        .last_chunk()
        .map_or(0, |octets| u32::from_be_bytes(*octets));
    (zone.soa_ttl, zone.negative_ttl) = (ttl, ttl.min(minimum));
    zone.denial = Denial::new(zone);
    Some(())
}

/// See [`Zone::content`]. The order of a set's records is no part of it.
fn content(zone: &Zone) -> u64 {
    let mut hash = 0;
    let nodes = (0..zone.entries.len() as u32).filter_map(|i| zone.at(i));
    for node in nodes.filter(|node| node.has_records()) {
        let name = octets(node.name, 0);
        for set in node.sets() {
            let fixed = u64::from(set.rtype.0) << 32 | u64::from(set.ttl);
            let data = set
                .data()
                .map(|data| match data.len().checked_sub(SOA_TAIL) {
                    // All but the serial.
                    Some(at) if set.rtype == RType::SOA => {
                        let (names, numbers) = data.split_at(at);
                        octets(names, octets(numbers.get(4..).unwrap_or(&[]), 0))
                    }
                    _ => octets(data, 0),
                });
            let data = data.fold(0, u64::wrapping_add);
            hash = mix(mix(mix(name, hash), fixed), data);
        }
    }
    hash
}

/// A fixed hash of octets, eight at a time.
fn octets(octets: &[u8], seed: u64) -> u64 {
    let (words, rest) = octets.as_chunks::<8>();
    let mut hash = mix(octets.len() as u64, seed);
    for word in words {
        hash = mix(u64::from_le_bytes(*word), hash);
    }
    let last = rest
        .iter()
        .fold(0_u64, |word, octet| word << 8 | u64::from(*octet));
    mix(last, hash)
}
