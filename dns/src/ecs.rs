//! Client Subnet in DNS Queries (RFC 7871): the option, its checks, its echo.
//!
//! What never happens here: no location is looked up, and no access is decided by what a client says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use steering::Client;

/// FAMILY for IPv4 (RFC 7871 §6, IANA address family numbers).
const IPV4: u16 = 1;
/// FAMILY for IPv6.
const IPV6: u16 = 2;

/// A well-formed client subnet option of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecs {
    /// The address, bits beyond the source prefix zero; `None` for FAMILY 0, which says "no address".
    address: Option<IpAddr>,
    /// SOURCE PREFIX-LENGTH: how many leading bits the resolver was willing to tell.
    source: u8,
}

/// Whose place an answer is steered by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SteerBy {
    /// The address: that of the option when it tells anything, else the sender's (RFC 7871 §7.2.1).
    pub(crate) address: IpAddr,
    /// How many leading bits of it the resolver told, where it is that of the option.
    pub(crate) told: Option<u8>,
}

impl SteerBy {
    /// As the core takes it.
    #[inline]
    pub(crate) fn client(self) -> Client {
        Client {
            known_bits: self.told,
            ..Client::from(self.address)
        }
    }
}

/// Whose place to steer by for a query with this option from `peer`.
#[inline]
pub(crate) fn steer_by(ecs: Option<Ecs>, peer: IpAddr) -> SteerBy {
    match ecs.and_then(|ecs| Some((ecs.client()?, ecs.source))) {
        Some((address, source)) => SteerBy {
            address,
            told: Some(source),
        },
        None => SteerBy {
            address: peer.to_canonical(),
            told: None,
        },
    }
}

/// The option is malformed: FORMERR (RFC 7871 §6, §7.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Ecs {
    /// What a resolver would send for a client: the address cut to its first `source` bits.
    pub fn new(address: IpAddr, source: u8) -> Self {
        let (address, source) = match address {
            IpAddr::V4(v4) => {
                let source = source.min(32);
                let mask = u32::MAX.checked_shl(32 - u32::from(source)).unwrap_or(0);
                (IpAddr::V4((u32::from(v4) & mask).into()), source)
            }
            IpAddr::V6(v6) => {
                let source = source.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(source)).unwrap_or(0);
                (IpAddr::V6((u128::from(v6) & mask).into()), source)
            }
        };
        Self {
            address: Some(address),
            source,
        }
    }

    /// Reads the option's data.
    ///
    /// # Errors
    /// [`Malformed`] for anything that RFC 7871 §6 does not allow in a query: an unknown FAMILY, a
    /// prefix longer than the address, more or fewer octets than the prefix needs, bits set beyond the
    /// prefix, a SCOPE PREFIX-LENGTH other than 0.
    pub(crate) fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let ([family_high, family_low, source, scope], octets) =
            data.split_first_chunk().ok_or(Malformed)?;
        if *scope != 0 || octets.len() != usize::from(*source).div_ceil(8) {
            return Err(Malformed);
        }
        let address = match u16::from_be_bytes([*family_high, *family_low]) {
            // FAMILY 0 has no address to speak of; clients send it to say "none" (dig +subnet=0).
            0 if *source == 0 => None,
            IPV4 => Some(IpAddr::V4(Ipv4Addr::from(padded::<4>(octets)?))),
            IPV6 => Some(IpAddr::V6(Ipv6Addr::from(padded::<16>(octets)?))),
            _ => return Err(Malformed),
        };
        let said = Self {
            address,
            source: *source,
        };
        match address {
            Some(address) if Self::new(address, *source) != said => Err(Malformed),
            _ => Ok(said),
        }
    }

    /// The address to steer by; `None` when the resolver told nothing of its client.
    pub fn client(&self) -> Option<IpAddr> {
        self.address.filter(|_| self.source > 0)
    }

    /// FAMILY; 0 where there is no address.
    pub(crate) fn family(&self) -> u16 {
        match self.address {
            None => 0,
            Some(IpAddr::V4(_)) => IPV4,
            Some(IpAddr::V6(_)) => IPV6,
        }
    }

    /// SOURCE PREFIX-LENGTH.
    pub fn source(&self) -> u8 {
        self.source
    }

    /// How many octets the option's data has.
    pub(crate) fn len(&self) -> usize {
        4 + usize::from(self.source).div_ceil(8)
    }

    /// Writes the option's data as an answer has it: FAMILY, SOURCE PREFIX-LENGTH and ADDRESS exactly as
    /// they came (RFC 7871 §7.2.1), with `scope`.
    pub(crate) fn write(&self, scope: u8, out: &mut Vec<u8>) {
        let mut octets = [0; 16];
        let family = match self.address {
            None => 0,
            Some(IpAddr::V4(v4)) => {
                for (to, from) in octets.iter_mut().zip(v4.octets()) {
                    *to = from;
                }
                IPV4
            }
            Some(IpAddr::V6(v6)) => {
                octets = v6.octets();
                IPV6
            }
        };
        out.extend(family.to_be_bytes());
        out.extend([self.source, scope]);
        out.extend_from_slice(
            octets
                .get(..usize::from(self.source).div_ceil(8))
                .unwrap_or(&octets),
        );
    }
}

fn padded<const N: usize>(octets: &[u8]) -> Result<[u8; N], Malformed> {
    let mut address = [0; N];
    let part = address.get_mut(..octets.len()).ok_or(Malformed)?;
    part.copy_from_slice(octets);
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7871_6_wellformed_options_come_back_as_they_came() {
        for (data, client) in [
            (&[0, 1, 24, 0, 192, 0, 2][..], Some("192.0.2.0")),
            (&[0, 1, 32, 0, 192, 0, 2, 1], Some("192.0.2.1")),
            (&[0, 1, 17, 0, 192, 0, 128], Some("192.0.128.0")),
            (&[0, 1, 0, 0], None),
            (&[0, 2, 0, 0], None),
            (&[0, 0, 0, 0], None),
            (&[0, 2, 32, 0, 0x20, 1, 0xd, 0xb8], Some("2001:db8::")),
        ] {
            let ecs = Ecs::parse(data).expect("well-formed");
            assert_eq!(
                ecs.client(),
                client.map(|c| c.parse().expect("an address")),
                "{data:?}"
            );
            let mut echoed = Vec::new();
            ecs.write(7, &mut echoed);
            let mut expected = data.to_vec();
            expected[3] = 7;
            assert_eq!(echoed, expected);
            assert_eq!(echoed.len(), ecs.len());
        }
    }

    #[test]
    fn rfc7871_malformed_option_is_refused() {
        for (data, why) in [
            (&[][..], "empty"),
            (&[0, 1, 24], "cut short"),
            (&[0, 1, 24, 0, 192, 0], "too few octets"),
            (&[0, 1, 24, 0, 192, 0, 2, 0], "too many octets"),
            (&[0, 1, 23, 0, 192, 0, 3], "a bit beyond the prefix"),
            (&[0, 1, 33, 0, 192, 0, 2, 1, 0], "a prefix longer than IPv4"),
            (
                &[
                    0, 2, 129, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                ],
                "a prefix longer than IPv6",
            ),
            (&[0, 1, 24, 24, 192, 0, 2], "a scope in a query"),
            (&[0, 3, 8, 0, 1], "an unknown family"),
            (&[0, 0, 8, 0, 1], "no family, but an address"),
        ] {
            assert_eq!(Ecs::parse(data), Err(Malformed), "{why}");
        }
    }
}
