//! The compiled location table: any address to a location and the prefix that location holds for.

use super::{Continent, Coordinates, Country, Subdivision, countries};
use crate::cidr::{NONE, Partition};
use ipnet::IpNet;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is known of where an address is. All unknown is [`Location::UNKNOWN`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Location {
    /// The continent, from the database or the country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continent: Option<Continent>,
    /// The country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Country>,
    /// The first-level subdivision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subdivision: Option<Subdivision>,
    /// The coordinates, from the database; see [`Location::place`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<Coordinates>,
    /// The autonomous system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
}

impl Location {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        continent: None,
        country: None,
        subdivision: None,
        coordinates: None,
        asn: None,
    };

    /// A location of which only the country is known.
    pub fn in_country(country: Country) -> Self {
        Self {
            country: Some(country),
            continent: country.continent(),
            ..Self::UNKNOWN
        }
    }

    /// Whether the place is unknown (an AS number alone is no place).
    pub const fn is_unknown(&self) -> bool {
        self.country.is_none() && self.continent.is_none() && self.coordinates.is_none()
    }

    /// The coordinates, else the centre of the country.
    pub fn place(&self) -> Option<Coordinates> {
        self.coordinates
            .or_else(|| self.country.and_then(countries::find).map(|row| row.centre))
    }

    /// Every bit of it, for interning: equal keys are equal locations.
    fn key(&self) -> Key {
        let bits = |c: Coordinates| (c.latitude.to_bits(), c.longitude.to_bits());
        (
            self.continent,
            self.country,
            self.subdivision,
            self.coordinates.map(bits),
            self.asn,
        )
    }
}

/// A [`Location`] with its floats as bits, which can be compared and hashed.
type Key = (
    Option<Continent>,
    Option<Country>,
    Option<Subdivision>,
    Option<(u32, u32)>,
    Option<u32>,
);

/// A location, and how far it holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Located {
    /// What is known.
    pub location: Location,
    /// How many leading bits of the address (in its own family) were needed to know it: every address
    /// that shares them has this location.
    pub prefix_len: u8,
}

/// For people: `DE, continent EU (holds for /24)`.
impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = &self.location;
        let mut parts = Vec::new();
        match (location.subdivision, location.country) {
            (Some(subdivision), _) => parts.push(subdivision.to_string()),
            (None, Some(country)) => parts.push(country.to_string()),
            (None, None) if location.continent.is_none() => parts.push("unknown".to_owned()),
            (None, None) => {}
        }
        if let Some(continent) = location.continent {
            parts.push(format!("continent {continent}"));
        }
        if let Some(at) = location.coordinates {
            parts.push(format!("{:.2} {:.2}", at.latitude, at.longitude));
        }
        if let Some(asn) = location.asn {
            parts.push(format!("AS{asn}"));
        }
        write!(f, "{} (holds for /{})", parts.join(", "), self.prefix_len)
    }
}

/// Where the IPv4 address lies inside an IPv6 address.
struct Embedded {
    address: u32,
    /// How many IPv6 bits lie before it.
    offset: u8,
}

/// The IPv4 address that an IPv6 one stands for: IPv4-mapped (RFC 4291 §2.5.5.2), 6to4 (RFC 3056 §2)
/// or Teredo, where it is the client's, inverted (RFC 4380 §4).
fn embedded_v4(address: Ipv6Addr) -> Option<Embedded> {
    let bits = u128::from(address);
    if bits >> 32 == 0xffff {
        Some(Embedded {
            address: bits as u32,
            offset: 96,
        })
    } else if bits >> 112 == 0x2002 {
        Some(Embedded {
            address: (bits >> 80) as u32,
            offset: 16,
        })
    } else if bits >> 96 == 0x2001_0000 {
        Some(Embedded {
            address: !(bits as u32),
            offset: 96,
        })
    } else {
        None
    }
}

/// Any address to its location. Immutable; one lookup touches a few cache lines and allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct LocationTable {
    cut: Partition,
    locations: Vec<Location>,
    /// Where it came from and when it was built, for logs and `status`.
    pub source: String,
}

impl LocationTable {
    /// The location of `address`, and the prefix it holds for. IPv4-mapped, 6to4 and Teredo addresses
    /// are where the IPv4 address inside them is.
    #[inline]
    pub fn locate(&self, address: IpAddr) -> Located {
        let (value, prefix_len) = match address {
            IpAddr::V4(v4) => self.cut.find_v4(u32::from(v4)),
            IpAddr::V6(v6) => match embedded_v4(v6) {
                Some(inner) => {
                    let (value, prefix) = self.cut.find_v4(inner.address);
                    (value, prefix + inner.offset)
                }
                None => self.native_v6(v6),
            },
        };
        let location = self
            .locations
            .get(value as usize)
            .copied()
            .unwrap_or(Location::UNKNOWN);
        Located {
            location,
            prefix_len,
        }
    }

    /// [`LocationTable::locate`] for several addresses, each told to `found` with its position. Most of a
    /// lookup is waiting for memory: here the lookups wait together.
    #[inline]
    pub fn locate_all(&self, addresses: &[IpAddr], mut found: impl FnMut(usize, Located)) {
        const TOGETHER: usize = 64;
        for (chunk, several) in addresses.chunks(TOGETHER).enumerate() {
            let (mut v4, mut v6) = ([0; TOGETHER], [0; TOGETHER]);
            let (mut v4s, mut v6s) = (0, 0);
            for address in several {
                let (inner, native) = match address {
                    IpAddr::V4(v4) => (Some(u32::from(*v4)), 0),
                    IpAddr::V6(v6) => (embedded_v4(*v6).map(|v4| v4.address), u128::from(*v6)),
                };
                match inner {
                    Some(inner) => {
                        v4[v4s] = inner;
                        v4s += 1;
                    }
                    None => {
                        v6[v6s] = native;
                        v6s += 1;
                    }
                }
            }
            self.cut.fetch(&v4[..v4s], &v6[..v6s]);
            for (i, address) in several.iter().enumerate() {
                found(chunk * TOGETHER + i, self.locate(*address));
            }
        }
    }

    /// A native IPv6 address; its prefix must not reach over the ranges whose inside is looked up, or
    /// an embedded address in it would have another location.
    #[inline]
    fn native_v6(&self, address: Ipv6Addr) -> (u32, u8) {
        const EMBEDDING: [u128; 3] = [0xffff << 32, 0x2002 << 112, 0x2001_0000 << 96];
        let bits = u128::from(address);
        let (value, mut prefix) = self.cut.find_v6(bits);
        for network in EMBEDDING {
            let shared = (bits ^ network).leading_zeros() as u8;
            prefix = prefix.max(shared + 1);
        }
        (value, prefix)
    }

    /// How many ranges the table has: (IPv4, IPv6).
    pub fn len(&self) -> (usize, usize) {
        self.cut.len()
    }

    /// Whether it knows no location at all.
    pub fn is_empty(&self) -> bool {
        self.cut.is_empty()
    }

    /// How many different locations it knows.
    pub fn distinct(&self) -> usize {
        self.locations.len()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.cut.heap_bytes() + self.locations.capacity() * size_of::<Location>()
    }

    /// Every IPv4 range with a location, as (first, last, location): what load generators and
    /// simulators draw client populations from.
    pub fn ranges_v4(&self) -> impl Iterator<Item = (Ipv4Addr, Ipv4Addr, &Location)> + '_ {
        self.cut.ranges_v4().filter_map(|(first, last, value)| {
            Some((
                first.into(),
                last.into(),
                self.locations.get(value as usize)?,
            ))
        })
    }

    /// Every IPv6 range with a location, as (first, last, location).
    pub fn ranges_v6(&self) -> impl Iterator<Item = (Ipv6Addr, Ipv6Addr, &Location)> + '_ {
        self.cut.ranges_v6().filter_map(|(first, last, value)| {
            Some((
                first.into(),
                last.into(),
                self.locations.get(value as usize)?,
            ))
        })
    }
}

/// Builds a [`LocationTable`] layer by layer.
#[derive(Debug, Default)]
pub struct LocationTableBuilder {
    networks: Vec<(IpNet, u32)>,
    below: Partition,
    interned: Interner,
}

impl LocationTableBuilder {
    /// Begins with all that `table` knows as the lowest layer.
    pub fn over(table: &LocationTable) -> Self {
        let mut interned = Interner::default();
        let numbers: Vec<u32> = table
            .locations
            .iter()
            .map(|l| interned.intern(*l))
            .collect();
        let below = table
            .cut
            .map(|value| numbers.get(value as usize).copied().unwrap_or(NONE));
        Self {
            networks: Vec::new(),
            below,
            interned,
        }
    }

    /// The number that stands for `location` in a cut given to [`LocationTableBuilder::lay`].
    pub fn number(&mut self, location: Location) -> u32 {
        self.interned.intern(location)
    }

    /// Lays a cut whose values are [`number`](LocationTableBuilder::number)s over the layers so far:
    /// the way in for whole databases, which come in order and with few different locations. Where
    /// both say something, `combine(below, above)` decides.
    pub fn lay(
        &mut self,
        above: Partition,
        mut combine: impl FnMut(Location, Location) -> Location,
    ) {
        if self.below.is_empty() {
            self.below = above;
            return;
        }
        let interned = &mut self.interned;
        let mut known: HashMap<(u32, u32), u32> = HashMap::new();
        self.below = self
            .below
            .overlay(&above, |below, above| match (below, above) {
                (below, NONE) => below,
                (NONE, above) => above,
                pair => *known.entry(pair).or_insert_with(|| {
                    let location = combine(interned.get(pair.0), interned.get(pair.1));
                    interned.intern(location)
                }),
            });
    }

    /// Adds a network to the current layer; within a layer the longest prefix wins.
    pub fn insert(&mut self, network: IpNet, location: Location) {
        let value = self.interned.intern(location);
        self.networks.push((network, value));
    }

    /// Ends the current layer and begins one that lies over it. Where both say something,
    /// `combine(below, above)` decides.
    pub fn layer(&mut self, combine: impl FnMut(Location, Location) -> Location) {
        if !self.networks.is_empty() {
            let above = Partition::new(std::mem::take(&mut self.networks));
            self.lay(above, combine);
        }
    }

    /// Ends the current layer, which wins over those below, and makes the table.
    pub fn build(mut self, source: impl Into<String>) -> LocationTable {
        self.layer(|_, above| above);
        self.interned.locations.shrink_to_fit();
        LocationTable {
            cut: self.below,
            locations: self.interned.locations,
            source: source.into(),
        }
    }
}

/// Equal locations get equal numbers, so that equal neighbours merge.
#[derive(Debug, Default)]
struct Interner {
    locations: Vec<Location>,
    numbers: HashMap<Key, u32>,
}

impl Interner {
    fn intern(&mut self, location: Location) -> u32 {
        *self.numbers.entry(location.key()).or_insert_with(|| {
            self.locations.push(location);
            self.locations.len() as u32 - 1
        })
    }

    fn get(&self, number: u32) -> Location {
        self.locations
            .get(number as usize)
            .copied()
            .unwrap_or(Location::UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(networks: &[(&str, &str)]) -> LocationTable {
        let mut builder = LocationTableBuilder::default();
        for (network, country) in networks {
            let country = country.parse().expect("a country");
            builder.insert(
                network.parse().expect("a network"),
                Location::in_country(country),
            );
        }
        builder.build("test")
    }

    fn found(table: &LocationTable, address: &str) -> (String, u8) {
        let located = table.locate(address.parse().expect("an address"));
        let country = located
            .location
            .country
            .map_or("-".to_owned(), |c| c.to_string());
        (country, located.prefix_len)
    }

    #[test]
    fn embedded_addresses_are_where_the_inner_one_is() {
        let table = table(&[("192.0.2.0/24", "DE"), ("2001:db8::/32", "SG")]);
        for (address, country, prefix) in [
            ("192.0.2.7", "DE", 24),
            ("::ffff:192.0.2.7", "DE", 120),
            ("2002:c000:207::1", "DE", 40),
            ("2001:0:4136:e378:8000:63bf:3fff:fdf8", "DE", 120),
            ("2001:db8::1", "SG", 32),
        ] {
            assert_eq!(
                found(&table, address),
                (country.to_owned(), prefix),
                "{address}"
            );
        }
    }

    #[test]
    fn a_native_prefix_never_reaches_over_embedded_ranges() {
        let table = table(&[("2000::/3", "US"), ("192.0.2.0/24", "DE")]);
        let (_, prefix) = found(&table, "2003::1");
        assert_eq!(prefix, 16, "2002::/16 is looked up by the address inside");
        let (_, prefix) = found(&table, "2001:db8::1");
        assert_eq!(prefix, 21, "2001::/32 is Teredo");
    }

    #[test]
    fn a_table_can_be_built_over_another() {
        let below = table(&[("10.0.0.0/8", "US"), ("2001:db8::/32", "SG")]);
        let mut builder = LocationTableBuilder::over(&below);
        let number = builder.number(Location::in_country("DE".parse().expect("a country")));
        let network = "10.1.0.0/16".parse().expect("a network");
        builder.lay(Partition::new([(network, number)]), |_, above| above);
        let both = builder.build("test");
        assert_eq!(found(&both, "10.1.0.1"), ("DE".to_owned(), 16));
        assert_eq!(found(&both, "10.128.0.1"), ("US".to_owned(), 9));
        assert_eq!(found(&both, "2001:db8::1"), ("SG".to_owned(), 32));
    }

    #[test]
    fn several_are_located_as_one_by_one() {
        let table = table(&[("192.0.2.0/24", "DE"), ("2001:db8::/32", "SG")]);
        let addresses: Vec<IpAddr> = (0..200_u32)
            .map(|i| match i % 3 {
                0 => IpAddr::from([192, 0, (i % 4) as u8, i as u8]),
                1 => Ipv6Addr::from((0x2001_0db8_u128 + u128::from(i % 2)) << 96).into(),
                _ => Ipv4Addr::from(0xc000_0200 + i).to_ipv6_mapped().into(),
            })
            .collect();
        let mut all = vec![None; addresses.len()];
        table.locate_all(&addresses, |i, located| all[i] = Some(located));
        let single: Vec<_> = addresses.iter().map(|a| Some(table.locate(*a))).collect();
        assert_eq!(all, single);
    }

    #[test]
    fn layers_lie_over_each_other() {
        let mut builder = LocationTableBuilder::default();
        let country = |code: &str| Location::in_country(code.parse().expect("a country"));
        builder.insert("10.0.0.0/24".parse().expect("net"), country("US"));
        builder.layer(|_, above| above);
        builder.insert("10.0.0.0/8".parse().expect("net"), country("DE"));
        let table = builder.build("test");
        assert_eq!(
            found(&table, "10.0.0.1"),
            ("DE".to_owned(), 8),
            "the layer above wins even where it is wider"
        );
        assert_eq!(
            table.locate(IpAddr::from([11, 0, 0, 1])).location,
            Location::UNKNOWN
        );
    }
}
