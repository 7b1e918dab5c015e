//! What a record says of a place, in the layouts that are known, and how it becomes a [`Location`].
//!
//! | layout | country | subdivision | coordinates | AS |
//! |---|---|---|---|---|
//! | GeoIP2, GeoLite2, DB-IP | `country.iso_code`, else `registered_country.iso_code` | `subdivisions[0].iso_code` | `location.latitude`, `.longitude` | `autonomous_system_number`, else `traits.…` |
//! | ip-location-db | `country_code` | `state1` where it is a code | `latitude`, `longitude` | `autonomous_system_number` |

use super::Fault;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use steering::geo::{Continent, Coordinates, Country, Location, Subdivision};

/// The part of a GeoIP2 record that is used. The ASN and ISP layouts are the last field alone.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Nested<'a> {
    #[serde(borrow)]
    continent: Option<ContinentPart<'a>>,
    #[serde(borrow)]
    country: Option<Named<'a>>,
    #[serde(borrow)]
    registered_country: Option<Named<'a>>,
    #[serde(borrow)]
    subdivisions: Option<Vec<Named<'a>>>,
    location: Option<Position>,
    traits: Option<Traits>,
    autonomous_system_number: Option<u32>,
}

#[derive(Debug, serde::Deserialize)]
struct ContinentPart<'a> {
    code: Option<&'a str>,
}

#[derive(Debug, serde::Deserialize)]
struct Named<'a> {
    iso_code: Option<&'a str>,
}

#[derive(Debug, serde::Deserialize)]
struct Position {
    latitude: Option<Degrees>,
    longitude: Option<Degrees>,
}

#[derive(Debug, serde::Deserialize)]
struct Traits {
    autonomous_system_number: Option<u32>,
}

/// The part of an ip-location-db record that is used.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Flat<'a> {
    country_code: Option<&'a str>,
    state1: Option<&'a str>,
    latitude: Option<Degrees>,
    longitude: Option<Degrees>,
    autonomous_system_number: Option<u32>,
}

impl Nested<'_> {
    pub fn location(&self) -> Result<Location, Fault> {
        let code =
            |part: &Option<Named<'_>>| Place::of_code(part.as_ref().and_then(|c| c.iso_code));
        let here = code(&self.country)?;
        let place = if here.country.is_some() {
            here
        } else {
            code(&self.registered_country)?.or(here)
        };
        let stated = self
            .continent
            .as_ref()
            .and_then(|c| c.code)
            .and_then(Continent::from_code);
        // A subdivision is one of the country the address is in, never of the one it is registered in.
        let part = self
            .subdivisions
            .as_deref()
            .and_then(|s| s.first())
            .and_then(|s| s.iso_code);
        let subdivision = here
            .country
            .zip(part)
            .and_then(|(country, part)| Subdivision::new(country, part));
        let position = self.location.as_ref();
        Ok(Location {
            continent: stated.or(place.continent),
            country: place.country,
            subdivision,
            coordinates: coordinates(
                position.and_then(|p| p.latitude),
                position.and_then(|p| p.longitude),
            )?,
            asn: asn(self.autonomous_system_number).or_else(|| {
                asn(self
                    .traits
                    .as_ref()
                    .and_then(|t| t.autonomous_system_number))
            }),
        })
    }
}

impl Flat<'_> {
    pub fn location(&self) -> Result<Location, Fault> {
        let place = Place::of_code(self.country_code)?;
        // Most of these databases name states in words; "Goa" is not IN-GA. Codes are in capitals.
        let is_code = |text: &&str| {
            text.bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        let part = self.state1.filter(is_code);
        Ok(Location {
            continent: place.continent,
            country: place.country,
            subdivision: place
                .country
                .zip(part)
                .and_then(|(country, part)| Subdivision::new(country, part)),
            coordinates: coordinates(self.latitude, self.longitude)?,
            asn: asn(self.autonomous_system_number),
        })
    }
}

/// GeoIP2 has doubles here, ip-location-db floats.
#[derive(Clone, Copy, Debug)]
struct Degrees(f64);

impl<'de> Deserialize<'de> for Degrees {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyFloat;
        impl Visitor<'_> for AnyFloat {
            type Value = Degrees;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("degrees as a double or a float")
            }

            fn visit_f64<E: Error>(self, degrees: f64) -> Result<Degrees, E> {
                Ok(Degrees(degrees))
            }
        }
        deserializer.deserialize_any(AnyFloat)
    }
}

/// What a country code says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Place {
    country: Option<Country>,
    continent: Option<Continent>,
}

impl Place {
    /// `ZZ`, `XX`, `-`, an empty text and the legacy `A1`, `A2`, `O1` and `AP` say no country. `EU` says
    /// "somewhere in Europe": a continent, and no member of the set of countries called EU.
    fn of_code(code: Option<&str>) -> Result<Self, Fault> {
        match code.unwrap_or_default() {
            "" | "-" | "ZZ" | "XX" | "A1" | "A2" | "O1" | "AP" => Ok(Self::default()),
            "EU" => Ok(Self {
                country: None,
                continent: Some(Continent::EU),
            }),
            code => {
                let country: Country = code
                    .parse()
                    .map_err(|error| format!("country code {code:?}: {error}"))?;
                Ok(Self {
                    country: Some(country),
                    continent: country.continent(),
                })
            }
        }
    }

    fn or(self, other: Self) -> Self {
        if self == Self::default() { other } else { self }
    }
}

/// Both or none; a place that is not on the globe means that the database is damaged.
fn coordinates(
    latitude: Option<Degrees>,
    longitude: Option<Degrees>,
) -> Result<Option<Coordinates>, Fault> {
    let Some((Degrees(latitude), Degrees(longitude))) = latitude.zip(longitude) else {
        return Ok(None);
    };
    // NaN is in no range.
    if (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude) {
        return Ok(Some(Coordinates {
            latitude: latitude as f32,
            longitude: longitude as f32,
        }));
    }
    Err(format!(
        "latitude {latitude}, longitude {longitude} is not on the globe"
    ))
}

/// AS 0 is reserved (RFC 7607): it says that there is none.
fn asn(number: Option<u32>) -> Option<u32> {
    number.filter(|n| *n != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_name_no_country_are_no_country() {
        for code in ["", "-", "ZZ", "XX", "A1", "AP"] {
            assert_eq!(Place::of_code(Some(code)), Ok(Place::default()), "{code}");
        }
        let europe = Place {
            country: None,
            continent: Some(Continent::EU),
        };
        assert_eq!(Place::of_code(Some("EU")), Ok(europe));
        for code in ["USA", "U", "4X", "日本"] {
            assert!(Place::of_code(Some(code)).is_err(), "{code}");
        }
    }

    #[test]
    fn places_off_the_globe_are_refused() {
        for (latitude, longitude) in [
            (f64::NAN, 0.0),
            (0.0, f64::INFINITY),
            (90.1, 0.0),
            (0.0, -180.5),
        ] {
            let found = coordinates(Some(Degrees(latitude)), Some(Degrees(longitude)));
            assert!(found.is_err(), "{latitude} {longitude}");
        }
        assert_eq!(coordinates(Some(Degrees(1.0)), None), Ok(None));
        assert!(coordinates(Some(Degrees(-90.0)), Some(Degrees(180.0))).is_ok_and(|c| c.is_some()));
    }

    #[test]
    fn a_flat_state_counts_only_as_a_code() {
        let record = |state1| Flat {
            country_code: Some("IN"),
            state1: Some(state1),
            latitude: None,
            longitude: None,
            autonomous_system_number: Some(0),
        };
        let subdivision = |state| {
            record(state)
                .location()
                .expect("sound")
                .subdivision
                .map(|s| s.to_string())
        };
        assert_eq!(subdivision("GA"), Some("IN-GA".to_owned()));
        assert_eq!(subdivision("Goa"), None);
        assert_eq!(subdivision(""), None);
        assert_eq!(
            record("GA").location().expect("sound").asn,
            None,
            "AS 0 is none"
        );
    }
}
