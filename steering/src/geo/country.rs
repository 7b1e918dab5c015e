//! Countries (ISO 3166-1 alpha-2), subdivisions (ISO 3166-2), continents (UN M49) and sets of them.

use super::countries;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A country by its ISO 3166-1 alpha-2 code. Any two letters are a country: databases also use codes
/// that ISO reserves (`XK` for Kosovo) or leaves to users.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// How many codes there are: the size of a table indexed by [`Country::index`].
    pub const CODES: usize = 26 * 26;

    /// The code of two upper-case ASCII letters; `None` for anything else.
    pub const fn from_bytes(code: [u8; 2]) -> Option<Self> {
        if code[0].is_ascii_uppercase() && code[1].is_ascii_uppercase() {
            Some(Self(code))
        } else {
            None
        }
    }

    /// The position of this code in a table of [`Country::CODES`] rows.
    pub const fn index(self) -> usize {
        (self.0[0] - b'A') as usize * 26 + (self.0[1] - b'A') as usize
    }

    /// The two letters.
    pub fn code(&self) -> &str {
        // Both bytes are ASCII letters by construction.
        std::str::from_utf8(&self.0).unwrap_or("??")
    }

    /// The continent by the built-in table (UN M49, transcontinental countries on the side of their
    /// capital); `None` for a code that is no country.
    pub fn continent(self) -> Option<Continent> {
        countries::find(self).map(|row| row.continent)
    }

    /// Whether ISO 3166-1 assigns the code (or, for `XK`, common use does).
    pub fn is_assigned(self) -> bool {
        countries::find(self).is_some()
    }
}

/// Why two letters are not a country code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseCountryError;

impl fmt::Display for ParseCountryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a country is two letters, such as DE (ISO 3166-1 alpha-2)")
    }
}

impl std::error::Error for ParseCountryError {}

impl FromStr for Country {
    type Err = ParseCountryError;

    fn from_str(text: &str) -> Result<Self, ParseCountryError> {
        let code: [u8; 2] = text.as_bytes().try_into().map_err(|_| ParseCountryError)?;
        Self::from_bytes(code.map(|b| b.to_ascii_uppercase())).ok_or(ParseCountryError)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// A subdivision of a country by its ISO 3166-2 code, such as `US-CA`: the part after the hyphen is
/// one to three letters or digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subdivision {
    /// The country it is a part of.
    pub country: Country,
    part: [u8; 3],
}

impl Subdivision {
    /// The subdivision `part` of `country`; `None` when `part` is not one to three ASCII letters or
    /// digits.
    pub fn new(country: Country, part: &str) -> Option<Self> {
        let bytes = part.as_bytes();
        if bytes.is_empty() || bytes.len() > 3 || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let mut padded = [b' '; 3];
        for (slot, byte) in padded.iter_mut().zip(bytes) {
            *slot = byte.to_ascii_uppercase();
        }
        Some(Self {
            country,
            part: padded,
        })
    }

    /// The part after the hyphen.
    pub fn part(&self) -> &str {
        std::str::from_utf8(&self.part).unwrap_or("").trim_end()
    }
}

impl FromStr for Subdivision {
    type Err = ParseCountryError;

    fn from_str(text: &str) -> Result<Self, ParseCountryError> {
        let (country, part) = text.split_once('-').ok_or(ParseCountryError)?;
        Self::new(country.parse()?, part).ok_or(ParseCountryError)
    }
}

impl fmt::Display for Subdivision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.country, self.part())
    }
}

impl fmt::Debug for Subdivision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Subdivision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A continent, by the two-letter codes that location databases use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Continent {
    /// Africa.
    AF,
    /// Antarctica.
    AN,
    /// Asia.
    AS,
    /// Europe.
    EU,
    /// North America, with Central America and the Caribbean.
    NA,
    /// Oceania.
    OC,
    /// South America.
    SA,
}

impl Continent {
    /// All seven, in code order.
    pub const ALL: [Self; 7] = [
        Self::AF,
        Self::AN,
        Self::AS,
        Self::EU,
        Self::NA,
        Self::OC,
        Self::SA,
    ];

    /// The position in [`Continent::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The two letters.
    pub const fn code(self) -> &'static str {
        match self {
            Self::AF => "AF",
            Self::AN => "AN",
            Self::AS => "AS",
            Self::EU => "EU",
            Self::NA => "NA",
            Self::OC => "OC",
            Self::SA => "SA",
        }
    }

    /// The continent of a code, upper or lower case.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|c| c.code().eq_ignore_ascii_case(code))
    }
}

impl fmt::Display for Continent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A set of countries: one bit a code.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct CountrySet {
    bits: [u64; Country::CODES.div_ceil(64)],
}

impl CountrySet {
    /// The built-in set of a name: `EU` (the 27 member states), `EEA` (those and IS, LI, NO).
    pub fn builtin(name: &str) -> Option<Self> {
        let list: &[&[&str]] = match name {
            "EU" => &[countries::EU],
            "EEA" => &[countries::EU, countries::EEA_BEYOND_EU],
            _ => return None,
        };
        Some(
            list.iter()
                .flat_map(|codes| codes.iter())
                .filter_map(|c| c.parse().ok())
                .collect(),
        )
    }

    /// Every assigned country of a continent, by the built-in table.
    pub fn of_continent(continent: Continent) -> Self {
        countries::ALL
            .iter()
            .filter(|row| row.continent == continent)
            .map(|row| row.country())
            .collect()
    }

    /// Adds a country.
    pub fn insert(&mut self, country: Country) {
        let i = country.index();
        self.bits[i / 64] |= 1 << (i % 64);
    }

    /// Whether `country` is in the set.
    #[inline]
    pub const fn contains(&self, country: Country) -> bool {
        let i = country.index();
        self.bits[i / 64] >> (i % 64) & 1 == 1
    }

    /// Adds every country of `other`.
    pub fn extend_from(&mut self, other: &Self) {
        for (mine, theirs) in self.bits.iter_mut().zip(&other.bits) {
            *mine |= theirs;
        }
    }

    /// How many countries it has.
    pub fn len(&self) -> usize {
        self.bits
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|word| *word == 0)
    }

    /// The countries, in code order.
    pub fn iter(&self) -> impl Iterator<Item = Country> + '_ {
        (b'A'..=b'Z')
            .flat_map(|a| (b'A'..=b'Z').filter_map(move |b| Country::from_bytes([a, b])))
            .filter(|country| self.contains(*country))
    }
}

impl FromIterator<Country> for CountrySet {
    fn from_iter<I: IntoIterator<Item = Country>>(iter: I) -> Self {
        let mut set = Self::default();
        for country in iter {
            set.insert(country);
        }
        set
    }
}

impl fmt::Debug for CountrySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_sets_have_their_members() {
        let eu = CountrySet::builtin("EU").expect("EU");
        let eea = CountrySet::builtin("EEA").expect("EEA");
        assert_eq!((eu.len(), eea.len()), (27, 30));
        let has = |set: &CountrySet, code: &str| set.contains(code.parse().expect("code"));
        assert!(has(&eu, "DE") && has(&eu, "CY") && !has(&eu, "GB") && !has(&eu, "NO"));
        assert!(has(&eea, "NO") && !has(&eea, "CH"));
        assert!(CountrySet::builtin("MARS").is_none());
    }

    #[test]
    fn codes_parse_and_print() {
        assert_eq!(
            "no".parse::<Country>().map(|c| c.to_string()),
            Ok("NO".to_owned())
        );
        for bad in ["", "D", "DEU", "D1", "ÄÖ"] {
            assert_eq!(bad.parse::<Country>(), Err(ParseCountryError), "{bad}");
        }
        assert_eq!(
            "us-ca".parse::<Subdivision>().map(|s| s.to_string()),
            Ok("US-CA".to_owned())
        );
        assert!("US-".parse::<Subdivision>().is_err());
        assert!("USCA".parse::<Subdivision>().is_err());
    }

    #[test]
    fn every_country_round_trips_and_every_continent_has_some() {
        for row in countries::ALL {
            assert_eq!(countries::find(row.country()), Some(row), "{}", row.code);
        }
        for continent in Continent::ALL {
            assert!(
                !CountrySet::of_continent(continent).is_empty(),
                "{continent}"
            );
        }
    }
}
