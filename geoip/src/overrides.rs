//! The operator's own word on where networks are. It wins over any database.
//!
//! The most specific override wins. What it leaves open it takes from the override around it, else
//! from the database: an AS number alone leaves the place as it is, and a place replaces the whole
//! place, so that an address moved to Germany doesn't keep its coordinates in California.

use crate::error::LoadError;
use crate::mmdb::limits;
use ipnet::{IpNet, Ipv4Net};
use std::net::Ipv6Addr;
use steering::geo::{Location, LocationTableBuilder};

/// One network and what is said of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Override {
    /// The network; bits beyond its length are ignored. IPv4-mapped networks are taken as IPv4.
    pub cidr: IpNet,
    /// What is known of it. At least one field is set; without a continent, that of the country is
    /// taken, and without a country, that of the subdivision.
    pub location: Location,
}

/// The networks whose addresses are found by the IPv4 address inside them.
const EMBEDDING: [(&str, u128, u8); 2] = [
    (
        "6to4 addresses are located by the IPv4 address inside them; write the IPv4 network",
        0x2002 << 112,
        16,
    ),
    (
        "Teredo addresses are located by the IPv4 address inside them; write the IPv4 network",
        0x2001_0000 << 96,
        32,
    ),
];

/// Adds the overrides to the current layer of `builder`.
pub(crate) fn insert(
    overrides: &[Override],
    builder: &mut LocationTableBuilder,
) -> Result<(), LoadError> {
    if overrides.len() > limits::MAX_OVERRIDES {
        return Err(LoadError::TooManyOverrides {
            count: overrides.len(),
            limit: limits::MAX_OVERRIDES,
        });
    }
    let mut checked = overrides.iter().map(check).collect::<Result<Vec<_>, _>>()?;
    // Outer before inner; of equal networks the later one is taken as the inner.
    checked.sort_by_key(|one| (one.cidr.network(), one.cidr.prefix_len()));
    let mut around: Vec<Override> = Vec::new();
    for mut one in checked {
        while around
            .last()
            .is_some_and(|outer| !outer.cidr.contains(&one.cidr))
        {
            around.pop();
        }
        if let Some(outer) = around.last() {
            one.location = laid_over(outer.location, one.location);
        }
        builder.insert(one.cidr, one.location);
        around.push(one);
    }
    Ok(())
}

/// What an address is known for when `above` was said over `below`.
pub(crate) fn laid_over(below: Location, above: Location) -> Location {
    let place = if above.is_unknown() { below } else { above };
    Location {
        asn: above.asn.or(below.asn),
        ..place
    }
}

/// The override in the form the table takes, or why it can't be honoured.
fn check(written: &Override) -> Result<Override, LoadError> {
    let refuse = |reason| {
        Err(LoadError::Override {
            cidr: written.cidr,
            reason,
        })
    };
    let mut location = written.location;
    location.country = location.country.or(location.subdivision.map(|s| s.country));
    location.continent = location
        .continent
        .or(location.country.and_then(|c| c.continent()));
    if location == Location::UNKNOWN {
        return refuse("says nothing; give a country, a continent, coordinates or an AS number");
    }
    if location
        .subdivision
        .is_some_and(|s| Some(s.country) != location.country)
    {
        return refuse(
            "its subdivision lies in another country than it names; correct one of them",
        );
    }
    if location
        .coordinates
        .is_some_and(|c| !(c.latitude.abs() <= 90.0 && c.longitude.abs() <= 180.0))
    {
        return refuse(
            "its coordinates are not on the globe; latitude is -90 to 90, longitude -180 to 180",
        );
    }
    let cidr = written.cidr.trunc();
    if let IpNet::V6(v6) = cidr {
        let within = |network: u128, len: u8| {
            v6.prefix_len() >= len
                && u128::from(v6.network()) >> (128 - len) == network >> (128 - len)
        };
        if let Some((reason, ..)) = EMBEDDING
            .iter()
            .find(|(_, network, len)| within(*network, *len))
        {
            return refuse(reason);
        }
        if within(0xffff << 32, 96) {
            return Ok(Override {
                cidr: unmapped(v6.network(), v6.prefix_len()).unwrap_or(cidr),
                location,
            });
        }
    }
    Ok(Override { cidr, location })
}

/// The IPv4 network that an IPv4-mapped one stands for.
fn unmapped(network: Ipv6Addr, prefix_len: u8) -> Option<IpNet> {
    let inner = network.to_ipv4_mapped()?;
    Ipv4Net::new(inner, prefix_len.checked_sub(96)?)
        .ok()
        .map(IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use steering::geo::Coordinates;

    fn at(cidr: &str, country: &str) -> Override {
        let location = Location::in_country(country.parse().expect("a country"));
        Override {
            cidr: cidr.parse().expect("a network"),
            location,
        }
    }

    fn with_asn(cidr: &str, asn: u32) -> Override {
        let location = Location {
            asn: Some(asn),
            ..Location::UNKNOWN
        };
        Override {
            cidr: cidr.parse().expect("a network"),
            location,
        }
    }

    fn found(overrides: &[Override], address: &str) -> (String, Option<u32>) {
        let mut builder = LocationTableBuilder::default();
        insert(overrides, &mut builder).expect("overrides that can be honoured");
        let location = builder
            .build("test")
            .locate(address.parse().expect("an address"))
            .location;
        (
            location
                .country
                .map_or_else(|| "-".to_owned(), |c| c.to_string()),
            location.asn,
        )
    }

    #[test]
    fn the_most_specific_wins_and_inherits_what_it_leaves_open() {
        let overrides = [
            with_asn("10.1.0.0/16", 65001),
            at("10.0.0.0/8", "DE"),
            at("10.1.2.0/24", "FR"),
            at("10.1.2.0/24", "IT"),
            at("::ffff:192.0.2.0/120", "SE"),
            at("2001:db8:1::/48", "JP"),
        ];
        for (address, country, asn) in [
            ("10.9.9.9", "DE", None),
            ("10.1.9.9", "DE", Some(65001)),
            ("10.1.2.9", "IT", Some(65001)),
            ("11.0.0.0", "-", None),
            ("192.0.2.1", "SE", None),
            ("::ffff:192.0.2.1", "SE", None),
            ("2001:db8:1::1", "JP", None),
        ] {
            assert_eq!(
                found(&overrides, address),
                (country.to_owned(), asn),
                "{address}"
            );
        }
    }

    #[test]
    fn a_place_replaces_the_whole_place() {
        let us = Location {
            subdivision: "US-CA".parse().ok(),
            coordinates: Some(Coordinates {
                latitude: 37.0,
                longitude: -122.0,
            }),
            asn: Some(7),
            ..Location::in_country("US".parse().expect("a country"))
        };
        let de = Location::in_country("DE".parse().expect("a country"));
        assert_eq!(laid_over(us, de), Location { asn: Some(7), ..de });
        let asn_only = Location {
            asn: Some(9),
            ..Location::UNKNOWN
        };
        assert_eq!(laid_over(us, asn_only), Location { asn: Some(9), ..us });
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_with_a_remedy() {
        let located = |cidr: &str, location| Override {
            cidr: cidr.parse().expect("a network"),
            location,
        };
        let de = Location::in_country("DE".parse().expect("a country"));
        let nowhere = Coordinates {
            latitude: f32::NAN,
            longitude: 0.0,
        };
        for (one, says) in [
            (located("10.0.0.0/8", Location::UNKNOWN), "says nothing"),
            (located("2002:a00::/24", de), "6to4"),
            (located("2001::/32", de), "Teredo"),
            (
                located(
                    "10.0.0.0/8",
                    Location {
                        coordinates: Some(nowhere),
                        ..de
                    },
                ),
                "globe",
            ),
            (
                located(
                    "10.0.0.0/8",
                    Location {
                        subdivision: "US-CA".parse().ok(),
                        ..de
                    },
                ),
                "another country",
            ),
        ] {
            let error = insert(&[one], &mut LocationTableBuilder::default())
                .expect_err("refused")
                .to_string();
            assert!(
                error.contains(says) && error.contains(&one.cidr.to_string()),
                "{error}"
            );
        }
    }
}
