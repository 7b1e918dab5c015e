//! Round trips: what the operator knows of clients and regions, and what this PoP has measured.

use crate::cidr::{NONE, Partition};
use crate::geo::{Country, Location};
use crate::health::TargetKey;
use crate::ids::RegionId;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;

/// A challenger must be this much better than the incumbent to take over: by a tenth, and by 5 ms.
pub const TAKEOVER_RATIO: f32 = 0.9;
/// See [`TAKEOVER_RATIO`]; milliseconds.
pub const TAKEOVER_MS: f32 = 5.0;

/// Whether `challenger` (ms) is so much better than `incumbent` (ms) that it takes over.
pub fn takes_over(challenger: f32, incumbent: f32) -> bool {
    challenger <= incumbent * TAKEOVER_RATIO && challenger + TAKEOVER_MS <= incumbent
}

/// Round trips from clients to regions, as given by the operator: by network, else by AS, else by
/// country.
#[derive(Clone, Debug, Default)]
pub struct LatencyMap {
    /// One row of milliseconds a region; NaN where a row says nothing of a region.
    pub rows: Vec<Vec<f32>>,
    /// Rows by network (values are row numbers).
    pub networks: Partition,
    /// Rows by autonomous system.
    pub asns: HashMap<u32, u32>,
    /// Rows by country.
    pub countries: HashMap<Country, u32>,
}

impl LatencyMap {
    /// Whether the operator gave none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row that holds for a client, and how many bits of its address that depends on beyond its
    /// location.
    #[inline]
    pub fn row(&self, address: IpAddr, location: &Location) -> (Option<&[f32]>, u8) {
        if self.rows.is_empty() {
            return (None, 0);
        }
        let (network, bits) = self.networks.find(address);
        let by_network = (network != NONE).then_some(network);
        let number = by_network
            .or_else(|| location.asn.and_then(|asn| self.asns.get(&asn).copied()))
            .or_else(|| {
                location
                    .country
                    .and_then(|country| self.countries.get(&country).copied())
            });
        (
            number
                .and_then(|n| self.rows.get(n as usize))
                .map(Vec::as_slice),
            bits,
        )
    }
}

/// The milliseconds a row gives for a region.
#[inline]
pub fn row_ms(row: Option<&[f32]>, region: RegionId) -> Option<f32> {
    row.and_then(|row| row.get(region.index()))
        .copied()
        .filter(|ms| ms.is_finite())
}

/// A measured round trip to one target, as the measurer reports it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Which target.
    pub target: TargetKey,
    /// The smoothed connect time.
    pub ms: f32,
}

/// An exponentially weighted moving average of connect times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ewma {
    ms: Option<f32>,
}

impl Ewma {
    /// The weight of a new sample: three quarters of the average is older than four samples.
    const ALPHA: f32 = 0.25;

    /// Takes in one sample; ignores what is not a time.
    pub fn add(&mut self, sample_ms: f32) {
        if sample_ms.is_finite() && sample_ms >= 0.0 {
            self.ms = Some(match self.ms {
                Some(old) => old + Self::ALPHA * (sample_ms - old),
                None => sample_ms,
            });
        }
    }

    /// The average, once there is a sample.
    pub fn ms(&self) -> Option<f32> {
        self.ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenger_must_be_clearly_better() {
        for (challenger, incumbent, expected) in [
            (89.0, 100.0, true),
            (91.0, 100.0, false),
            (17.0, 20.0, false),
            (15.0, 20.0, true),
            (1.0, 5.0, false),
            (100.0, 100.0, false),
        ] {
            assert_eq!(
                takes_over(challenger, incumbent),
                expected,
                "{challenger} against {incumbent}"
            );
        }
    }

    #[test]
    fn the_average_follows_and_ignores_nonsense() {
        let mut ewma = Ewma::default();
        assert_eq!(ewma.ms(), None);
        ewma.add(f32::NAN);
        ewma.add(-1.0);
        assert_eq!(ewma.ms(), None);
        ewma.add(100.0);
        ewma.add(200.0);
        assert_eq!(ewma.ms(), Some(125.0));
    }
}
