//! The built-in country table: continent (UN M49) and an approximate centre of each country.
//!
//! It serves where a database gives a country only. Centres are rounded to a degree or so: near the
//! population where a country is mostly empty (Canada, Russia, Australia), since they stand in for
//! where clients are. Transcontinental countries are placed as M49 does (Russia in Europe, Turkey,
//! Cyprus and Kazakhstan in Asia, Egypt in Africa).

use super::country::{Continent, Country};
use super::distance::Coordinates;

/// One country.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// ISO 3166-1 alpha-2.
    pub code: &'static str,
    /// Its continent.
    pub continent: Continent,
    /// Its approximate centre.
    pub centre: Coordinates,
}

impl Row {
    /// The code as a [`Country`].
    pub const fn country(&self) -> Country {
        let bytes = self.code.as_bytes();
        match Country::from_bytes([bytes[0], bytes[1]]) {
            Some(country) => country,
            None => panic!("a row of this table has a code that is not two capital letters"),
        }
    }
}

/// The row of a country; `None` for a code that is no country.
#[inline]
pub fn find(country: Country) -> Option<&'static Row> {
    ALL.get(usize::from(*ROWS.get(country.index())?))
}

/// The row of each code by [`Country::index`]; beyond the last row for codes that are no country.
static ROWS: [u8; Country::CODES] = {
    assert!(ALL.len() <= u8::MAX as usize);
    let mut rows = [u8::MAX; Country::CODES];
    let mut i = 0;
    while i < ALL.len() {
        rows[ALL[i].country().index()] = i as u8;
        i += 1;
    }
    rows
};

/// The 27 member states of the European Union.
pub const EU: &[&str] = &[
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT",
    "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// The members of the European Economic Area that are not in the EU.
pub const EEA_BEYOND_EU: &[&str] = &["IS", "LI", "NO"];

macro_rules! rows {
    ($($code:literal $continent:ident $latitude:literal $longitude:literal;)*) => {
        &[$(Row {
            code: $code,
            continent: Continent::$continent,
            centre: Coordinates { latitude: $latitude, longitude: $longitude },
        }),*]
    };
}

/// Every country, sorted by code.
#[rustfmt::skip]
pub const ALL: &[Row] = rows! {
    "AD" EU 42.5 1.5; "AE" AS 24.4 54.4; "AF" AS 34.0 66.0; "AG" NA 17.1 -61.8; "AI" NA 18.2 -63.1;
    "AL" EU 41.0 20.0; "AM" AS 40.2 44.6; "AO" AF -11.5 15.0; "AQ" AN -80.0 0.0; "AR" SA -34.0 -61.0;
    "AS" OC -14.3 -170.7; "AT" EU 47.7 14.5; "AU" OC -33.0 148.0; "AW" NA 12.5 -70.0; "AX" EU 60.2 20.0;
    "AZ" AS 40.4 48.5; "BA" EU 44.0 18.0; "BB" NA 13.2 -59.5; "BD" AS 23.8 90.3; "BE" EU 50.8 4.5;
    "BF" AF 12.5 -1.5; "BG" EU 42.7 25.0; "BH" AS 26.1 50.6; "BI" AF -3.4 29.9; "BJ" AF 7.5 2.3;
    "BL" NA 17.9 -62.8; "BM" NA 32.3 -64.8; "BN" AS 4.6 114.7; "BO" SA -17.0 -66.0; "BQ" NA 12.2 -68.3;
    "BR" SA -18.0 -47.0; "BS" NA 25.0 -77.4; "BT" AS 27.5 90.0; "BV" SA -54.4 3.4; "BW" AF -23.5 25.5;
    "BY" EU 53.5 28.0; "BZ" NA 17.3 -88.6; "CA" NA 46.0 -79.0; "CC" OC -12.2 96.8; "CD" AF -4.0 22.0;
    "CF" AF 5.5 19.0; "CG" AF -3.0 14.5; "CH" EU 47.0 8.0; "CI" AF 6.5 -5.0; "CK" OC -21.2 -159.8;
    "CL" SA -33.5 -70.8; "CM" AF 5.0 11.5; "CN" AS 32.0 114.0; "CO" SA 5.5 -74.5; "CR" NA 9.9 -84.1;
    "CU" NA 22.5 -80.5; "CV" AF 15.0 -23.6; "CW" NA 12.2 -69.0; "CX" OC -10.5 105.7; "CY" AS 35.0 33.2;
    "CZ" EU 49.8 15.3; "DE" EU 51.0 10.0; "DJ" AF 11.6 43.0; "DK" EU 55.8 10.6; "DM" NA 15.4 -61.3;
    "DO" NA 18.7 -70.2; "DZ" AF 36.0 3.5; "EC" SA -1.3 -79.0; "EE" EU 59.0 25.5; "EG" AF 29.5 31.2;
    "EH" AF 25.0 -13.5; "ER" AF 15.3 38.9; "ES" EU 40.2 -3.5; "ET" AF 9.0 39.0; "FI" EU 61.5 25.0;
    "FJ" OC -18.0 178.2; "FK" SA -51.7 -59.0; "FM" OC 6.9 158.2; "FO" EU 62.0 -7.0; "FR" EU 47.0 2.5;
    "GA" AF 0.0 10.5; "GB" EU 52.5 -1.5; "GD" NA 12.1 -61.7; "GE" AS 41.9 44.2; "GF" SA 4.9 -52.5;
    "GG" EU 49.5 -2.6; "GH" AF 6.5 -1.2; "GI" EU 36.1 -5.3; "GL" NA 64.2 -51.7; "GM" AF 13.4 -16.4;
    "GN" AF 10.0 -12.0; "GP" NA 16.2 -61.5; "GQ" AF 2.5 10.0; "GR" EU 38.5 23.5; "GS" SA -54.4 -36.6;
    "GT" NA 14.8 -90.6; "GU" OC 13.5 144.8; "GW" AF 12.0 -15.2; "GY" SA 6.5 -58.3; "HK" AS 22.3 114.2;
    "HM" OC -53.1 73.5; "HN" NA 14.5 -87.0; "HR" EU 45.5 16.0; "HT" NA 18.8 -72.4; "HU" EU 47.3 19.2;
    "ID" AS -6.8 109.0; "IE" EU 53.2 -7.0; "IL" AS 32.0 34.9; "IM" EU 54.2 -4.5; "IN" AS 21.0 78.0;
    "IO" AF -7.3 72.4; "IQ" AS 33.0 44.2; "IR" AS 34.5 51.5; "IS" EU 64.2 -21.5; "IT" EU 42.8 12.0;
    "JE" EU 49.2 -2.1; "JM" NA 18.0 -77.0; "JO" AS 31.8 36.2; "JP" AS 35.7 138.5; "KE" AF -0.8 37.0;
    "KG" AS 42.0 74.0; "KH" AS 11.9 105.0; "KI" OC 1.4 173.0; "KM" AF -11.8 43.5; "KN" NA 17.3 -62.7;
    "KP" AS 39.5 126.0; "KR" AS 36.8 127.5; "KW" AS 29.3 47.9; "KY" NA 19.3 -81.3; "KZ" AS 46.5 73.0;
    "LA" AS 18.0 102.8; "LB" AS 33.8 35.7; "LC" NA 13.9 -61.0; "LI" EU 47.2 9.5; "LK" AS 7.0 80.3;
    "LR" AF 6.4 -10.3; "LS" AF -29.4 27.9; "LT" EU 55.2 24.0; "LU" EU 49.7 6.1; "LV" EU 56.9 24.5;
    "LY" AF 32.0 15.0; "MA" AF 33.2 -7.0; "MC" EU 43.7 7.4; "MD" EU 47.1 28.8; "ME" EU 42.6 19.2;
    "MF" NA 18.1 -63.1; "MG" AF -19.0 47.2; "MH" OC 7.1 171.2; "MK" EU 41.8 21.6; "ML" AF 13.5 -6.5;
    "MM" AS 19.0 96.2; "MN" AS 47.5 106.0; "MO" AS 22.2 113.5; "MP" OC 15.2 145.7; "MQ" NA 14.6 -61.0;
    "MR" AF 18.2 -15.0; "MS" NA 16.7 -62.2; "MT" EU 35.9 14.4; "MU" AF -20.2 57.6; "MV" AS 4.2 73.5;
    "MW" AF -14.0 34.0; "MX" NA 20.5 -100.0; "MY" AS 3.5 102.0; "MZ" AF -19.5 34.5; "NA" AF -21.5 17.0;
    "NC" OC -21.8 166.0; "NE" AF 13.7 5.5; "NF" OC -29.0 168.0; "NG" AF 8.5 6.5; "NI" NA 12.4 -86.2;
    "NL" EU 52.2 5.2; "NO" EU 60.5 9.5; "NP" AS 27.8 85.0; "NR" OC -0.5 166.9; "NU" OC -19.1 -169.9;
    "NZ" OC -39.5 175.5; "OM" AS 23.0 57.8; "PA" NA 8.8 -79.8; "PE" SA -10.5 -76.5; "PF" OC -17.6 -149.5;
    "PG" OC -6.5 145.5; "PH" AS 13.5 121.5; "PK" AS 31.0 71.5; "PL" EU 52.0 19.3; "PM" NA 46.8 -56.2;
    "PN" OC -25.1 -130.1; "PR" NA 18.3 -66.2; "PS" AS 31.9 35.2; "PT" EU 39.6 -8.6; "PW" OC 7.4 134.5;
    "PY" SA -25.3 -57.0; "QA" AS 25.3 51.4; "RE" AF -21.1 55.5; "RO" EU 45.5 25.5; "RS" EU 44.4 20.8;
    "RU" EU 55.8 44.0; "RW" AF -2.0 30.0; "SA" AS 24.0 45.0; "SB" OC -9.4 160.0; "SC" AF -4.6 55.5;
    "SD" AF 15.0 32.0; "SE" EU 59.0 16.0; "SG" AS 1.4 103.8; "SH" AF -15.9 -5.7; "SI" EU 46.1 14.8;
    "SJ" EU 78.2 15.6; "SK" EU 48.6 19.0; "SL" AF 8.4 -12.5; "SM" EU 43.9 12.5; "SN" AF 14.6 -16.5;
    "SO" AF 3.5 45.0; "SR" SA 5.6 -55.3; "SS" AF 7.0 30.5; "ST" AF 0.3 6.6; "SV" NA 13.7 -89.1;
    "SX" NA 18.0 -63.1; "SY" AS 34.8 37.0; "SZ" AF -26.5 31.5; "TC" NA 21.8 -72.2; "TD" AF 11.5 16.5;
    "TF" AF -49.3 69.5; "TG" AF 7.5 1.1; "TH" AS 14.5 100.8; "TJ" AS 38.5 69.5; "TK" OC -9.2 -171.8;
    "TL" AS -8.7 125.9; "TM" AS 38.2 59.5; "TN" AF 35.8 10.0; "TO" OC -21.2 -175.2; "TR" AS 39.8 33.0;
    "TT" NA 10.5 -61.3; "TV" OC -8.5 179.2; "TW" AS 24.2 121.0; "TZ" AF -6.0 36.5; "UA" EU 49.0 31.5;
    "UG" AF 0.8 32.3; "UM" OC 19.3 166.6; "US" NA 39.0 -95.0; "UY" SA -34.0 -56.0; "UZ" AS 40.5 67.5;
    "VA" EU 41.9 12.5; "VC" NA 13.2 -61.2; "VE" SA 9.5 -67.5; "VG" NA 18.4 -64.6; "VI" NA 18.0 -64.8;
    "VN" AS 16.0 106.5; "VU" OC -16.5 168.0; "WF" OC -13.3 -176.2; "WS" OC -13.8 -171.9; "XK" EU 42.6 20.9;
    "YE" AS 15.0 45.0; "YT" AF -12.8 45.2; "ZA" AF -27.5 28.0; "ZM" AF -13.8 28.3; "ZW" AF -18.5 30.5;
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_on_the_globe() {
        assert!(
            ALL.windows(2)
                .all(|pair| pair[0].country() < pair[1].country())
        );
        assert_eq!(ALL.len(), 250, "249 assigned codes and XK");
        for row in ALL {
            assert!(
                row.centre.latitude.abs() <= 90.0 && row.centre.longitude.abs() <= 180.0,
                "{}",
                row.code
            );
        }
    }

    #[test]
    fn unions_name_countries() {
        for code in EU.iter().chain(EEA_BEYOND_EU) {
            assert!(ALL.iter().any(|row| row.code == *code), "{code}");
        }
    }
}
