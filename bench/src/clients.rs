//! Who asks: client addresses of the real world, from the country table that steers them. All of it, a
//! given mix of countries, or a file of addresses. It draws; it asks nothing.

use std::net::IpAddr;
use std::path::Path;
use steering::draw::{below, mix};
use steering::geo::Country;
use steering::{Location, LocationTable};

/// The most addresses read from a file.
const MAX_LISTED: usize = 10_000_000;

/// Why there are no clients.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// A mix is not countries with shares.
    #[error("`{0}` is no country with a share; write a mix like DE=20,US=50,SG=30")]
    Mix(String),
    /// A country of the mix has no address in the location table.
    #[error("no address of {0} is in the location table ({1}); leave it out of the mix")]
    Nowhere(Country, String),
    /// A file can't be read.
    #[error("{path}: {source}; give a file with one address a line")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A line of a file is no address.
    #[error("{path}:{line}: `{text}` is no IP address; give one address a line")]
    Line {
        /// Which file.
        path: String,
        /// Which line, from 1.
        line: usize,
        /// What is there.
        text: String,
    },
    /// There is nobody.
    #[error("{0} holds no address")]
    Empty(String),
}

/// Where clients are drawn from.
#[derive(Clone, Debug, PartialEq)]
pub enum Population {
    /// Every range of the location table as often as every other, IPv4 and IPv6 in turn.
    World,
    /// Countries with their shares, in any unit.
    Mix(Vec<(Country, f64)>),
    /// These addresses, in turn.
    Listed(Vec<IpAddr>),
}

impl Population {
    /// A mix as it is written: `DE=20,US=50,SG=30`.
    ///
    /// # Errors
    /// When a part is not a country with a positive share.
    pub fn parse_mix(text: &str) -> Result<Self, ClientsError> {
        let part = |part: &str| {
            let wrong = || ClientsError::Mix(part.trim().to_owned());
            let (country, share) = part.trim().split_once('=').ok_or_else(wrong)?;
            let country: Country = country.trim().parse().map_err(|_| wrong())?;
            let share: f64 = share.trim().parse().map_err(|_| wrong())?;
            let sensible = share.is_finite() && share > 0.0;
            sensible.then_some((country, share)).ok_or_else(wrong)
        };
        text.split(',')
            .map(part)
            .collect::<Result<_, _>>()
            .map(Self::Mix)
    }

    /// The addresses of a file: one a line, with comments after `#`.
    ///
    /// # Errors
    /// When it can't be read, a line is no address, or there is none.
    pub fn from_file(path: &Path) -> Result<Self, ClientsError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ClientsError::File {
            path: name.clone(),
            source,
        })?;
        let mut list = Vec::new();
        for (number, line) in text.lines().enumerate().take(MAX_LISTED) {
            let text = line.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let address = text.parse().map_err(|_| ClientsError::Line {
                path: name.clone(),
                line: number + 1,
                text: text.to_owned(),
            })?;
            list.push(address);
        }
        if list.is_empty() {
            return Err(ClientsError::Empty(name));
        }
        Ok(Self::Listed(list))
    }

    /// `count` clients of this population; the same for the same seed.
    ///
    /// # Errors
    /// When a country of a mix has no address in `geo`.
    pub fn draw(
        &self,
        geo: &LocationTable,
        count: usize,
        seed: u64,
    ) -> Result<Vec<IpAddr>, ClientsError> {
        match self {
            Self::World => Ok(addresses(geo, count, seed)),
            Self::Mix(shares) => mixed(geo, shares, count, seed),
            Self::Listed(list) => Ok(list.iter().copied().cycle().take(count).collect()),
        }
    }
}

/// Ranges of a location table that clients are drawn from.
struct Ranges {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Ranges {
    fn of(geo: &LocationTable, wanted: impl Fn(&Location) -> bool) -> Self {
        let v4 = geo.ranges_v4().filter(|(_, _, l)| wanted(l));
        let v6 = geo.ranges_v6().filter(|(_, _, l)| wanted(l));
        Self {
            v4: v4.map(|(a, b, _)| (a.into(), b.into())).collect(),
            v6: v6.map(|(a, b, _)| (a.into(), b.into())).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// The `i`th client: IPv4 and IPv6 in turn where there are both.
    fn draw(&self, i: u64, seed: u64) -> IpAddr {
        let (which, offset) = (mix(i, seed), mix(i, seed ^ 1));
        if (i.is_multiple_of(2) && !self.v4.is_empty()) || self.v6.is_empty() {
            let (first, last) = self.v4[below(which, self.v4.len() as u64) as usize];
            let size = u64::from(last - first) + 1;
            IpAddr::V4((first + below(offset, size) as u32).into())
        } else {
            let (first, last) = self.v6[below(which, self.v6.len() as u64) as usize];
            let size = u64::try_from(last - first)
                .unwrap_or(u64::MAX)
                .saturating_add(1);
            IpAddr::V6((first + u128::from(below(offset, size))).into())
        }
    }
}

/// `count` addresses, IPv4 and IPv6 in turn, spread over the ranges of `geo`; the same for the same
/// seed.
pub fn addresses(geo: &LocationTable, count: usize, seed: u64) -> Vec<IpAddr> {
    let ranges = Ranges::of(geo, |_| true);
    (0..count as u64).map(|i| ranges.draw(i, seed)).collect()
}

/// Each country gets its share of `count`, to the nearest client, in a mixed order.
fn mixed(
    geo: &LocationTable,
    shares: &[(Country, f64)],
    count: usize,
    seed: u64,
) -> Result<Vec<IpAddr>, ClientsError> {
    let whole: f64 = shares.iter().map(|(_, share)| share).sum();
    let mut clients = Vec::with_capacity(count);
    let mut upto = 0.0;
    for (country, share) in shares {
        let ranges = Ranges::of(geo, |l| l.country == Some(*country));
        if ranges.is_empty() {
            return Err(ClientsError::Nowhere(*country, geo.source.clone()));
        }
        upto += share / whole;
        let until = (upto * count as f64).round() as usize;
        clients.extend((clients.len()..until).map(|i| ranges.draw(i as u64, seed)));
    }
    // A shuffle (Fisher and Yates), so that every stretch of the run has the whole mix.
    for i in (1..clients.len()).rev() {
        clients.swap(i, below(mix(i as u64, seed ^ 2), i as u64 + 1) as usize);
    }
    Ok(clients)
}
