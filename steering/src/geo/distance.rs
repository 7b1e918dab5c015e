//! Great-circle distance, and the round trip it lets one expect.

use serde::Serialize;

/// A place on the globe, in degrees: north and east are positive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Coordinates {
    /// -90 to 90.
    pub latitude: f32,
    /// -180 to 180.
    pub longitude: f32,
}

/// The great-circle distance in kilometres (haversine, on a sphere of the mean Earth radius).
pub fn distance_km(a: Coordinates, b: Coordinates) -> f32 {
    const EARTH_RADIUS_KM: f32 = 6371.0;
    let (lat_a, lat_b) = (a.latitude.to_radians(), b.latitude.to_radians());
    let half_lat = (lat_b - lat_a) / 2.0;
    let half_lon = (b.longitude - a.longitude).to_radians() / 2.0;
    let h = half_lat.sin().powi(2) + lat_a.cos() * lat_b.cos() * half_lon.sin().powi(2);
    2.0 * EARTH_RADIUS_KM * h.sqrt().min(1.0).asin()
}

/// The round trip in milliseconds to expect over `km` where nothing was measured: light in fibre
/// covers about 200 km a millisecond, so 100 km a millisecond there and back.
pub fn estimated_rtt_ms(km: f32) -> f32 {
    km / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_distances() {
        let at = |latitude, longitude| Coordinates {
            latitude,
            longitude,
        };
        let (dublin, ashburn, singapore) = (at(53.3, -6.3), at(38.9, -77.5), at(1.35, 103.8));
        for (a, b, km) in [
            (dublin, ashburn, 5_470.0),
            (ashburn, singapore, 15_540.0),
            (dublin, dublin, 0.0),
        ] {
            let got = distance_km(a, b);
            assert!((got - km).abs() <= km * 0.01, "{a:?} to {b:?}: {got} km");
        }
        // Across the date line it is the short way.
        assert!(distance_km(at(0.0, 179.0), at(0.0, -179.0)) < 250.0);
    }
}
