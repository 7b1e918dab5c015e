//! The common queries, read from their packet: one question of class IN, and no EDNS or one OPT record with
//! options that are known here.
//!
//! Everything else, what is malformed too, gives `None`: it is for [`parse`](crate::parse). What never
//! happens here: nothing is answered, and nothing is allocated.

use crate::cookie::Cookie;
use crate::ecs::Ecs;
use crate::edns::{BARE_OPT, Heeds, code};
use crate::name::{MAX_NAME, name_len};
use crate::query::{HEADER, IN, flags};
use crate::rtype::RType;
use std::net::IpAddr;

/// A common query.
pub(super) struct Asked<'p> {
    /// The first four octets of the packet.
    pub(super) head: [u8; 4],
    /// The question as it was asked, case and all.
    pub(super) question: &'p [u8],
    pub(super) rtype: RType,
    /// The OPT record, if there is one.
    pub(super) edns: Option<Edns<'p>>,
    /// The name, lower-cased, and whatever behind it.
    lowered: [u8; MAX_NAME + 1],
    /// How long the name is.
    length: usize,
}

/// What is known of an OPT record of version 0 (RFC 6891 §6.1.2).
#[derive(Default)]
pub(super) struct Edns<'p> {
    pub(super) payload: u16,
    pub(super) dnssec_ok: bool,
    /// Client subnet, and its address as it lies in the packet.
    pub(super) ecs: Option<(Ecs, &'p [u8])>,
    pub(super) cookie: Option<Cookie>,
}

/// The address that the client subnet option of a common query tells, where that is its first option.
/// Nothing else of the query is looked at.
#[inline]
pub(super) fn subnet(packet: &[u8], heeds: Heeds) -> Option<IpAddr> {
    let (header, rest) = packet.split_first_chunk::<HEADER>()?;
    if !heeds.subnet || header.get(10..) != Some(&[0, 1]) {
        return None;
    }
    let options = rest.get(name_len(rest)? + 4 + BARE_OPT..)?;
    let (head, data) = options.split_first_chunk::<4>()?;
    let [code_high, code_low, length @ ..] = *head;
    if u16::from_be_bytes([code_high, code_low]) != code::CLIENT_SUBNET {
        return None;
    }
    let data = data.get(..usize::from(u16::from_be_bytes(length)))?;
    Ecs::parse(data).ok()?.client()
}

impl<'p> Asked<'p> {
    /// Reads a packet; `heeds` says which options are looked at.
    #[inline]
    pub(super) fn read(packet: &'p [u8], heeds: Heeds) -> Option<Self> {
        let (header, rest) = packet.split_first_chunk::<HEADER>()?;
        let [a, b, high, low, counts @ ..] = *header;
        // One question; nothing behind it but perhaps one record, which then must be an OPT.
        let [0, 1, 0, 0, 0, 0, 0, additionals @ 0..=1] = counts else {
            return None;
        };
        if high & (flags::QR | flags::OPCODE) != 0 {
            return None;
        }
        let length = name_len(rest)?;
        let (question, behind) = rest.split_at_checked(length + 4)?;
        let (name, [type_high, type_low, class_high, class_low]) = question.split_last_chunk()?;
        if u16::from_be_bytes([*class_high, *class_low]) != IN {
            return None;
        }
        let edns = match additionals {
            0 if behind.is_empty() => None,
            0 => return None,
            _ => Some(Edns::read(behind, heeds)?),
        };
        let mut lowered = [0; MAX_NAME + 1];
        lowered.get_mut(..length)?.copy_from_slice(name);
        // Whole chunks, since that is quicker; what is behind the name is zero. Length octets are below 64,
        // so they are never mistaken for letters.
        let (chunks, _) = lowered.as_chunks_mut::<16>();
        for chunk in chunks.iter_mut().take(length.div_ceil(16)) {
            chunk.make_ascii_lowercase();
        }
        Some(Self {
            head: [a, b, high, low],
            question,
            rtype: RType(u16::from_be_bytes([*type_high, *type_low])),
            edns,
            lowered,
            length,
        })
    }

    /// The wire name, lower-cased.
    #[inline]
    pub(super) fn name(&self) -> &[u8] {
        self.lowered.get(..self.length).unwrap_or(&[0])
    }
}

impl<'p> Edns<'p> {
    /// Reads a record that must be an OPT and end the packet.
    #[inline]
    fn read(record: &'p [u8], heeds: Heeds) -> Option<Self> {
        let (fixed, mut options) = record.split_first_chunk::<BARE_OPT>()?;
        let [
            0,
            0,
            41,
            payload_high,
            payload_low,
            _,
            0,
            flags,
            _,
            length @ ..,
        ] = *fixed
        else {
            return None;
        };
        if usize::from(u16::from_be_bytes(length)) != options.len() {
            return None;
        }
        let mut edns = Self {
            payload: u16::from_be_bytes([payload_high, payload_low]),
            dnssec_ok: flags & 0x80 != 0,
            ..Self::default()
        };
        while let Some(([code_high, code_low, length @ ..], rest)) =
            options.split_first_chunk::<4>()
        {
            let length = usize::from(u16::from_be_bytes(*length));
            let (data, rest) = rest.split_at_checked(length)?;
            options = rest;
            match u16::from_be_bytes([*code_high, *code_low]) {
                code::CLIENT_SUBNET if heeds.subnet && edns.ecs.is_none() => {
                    edns.ecs = Some((Ecs::parse(data).ok()?, data.get(4..)?));
                }
                code::COOKIE if heeds.cookie && edns.cookie.is_none() => {
                    edns.cookie = Some(Cookie::parse(data).ok()?);
                }
                _ => return None,
            }
        }
        options.is_empty().then_some(edns)
    }
}
