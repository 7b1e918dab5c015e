//! The figures of a comparison out of the figures of its rounds. Pure: numbers in, numbers out.

use serde::{Deserialize, Serialize};

/// A figure over the rounds: the middle one, and how far they were apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The median: half of the rounds are below, half above.
    pub median: f64,
    /// The least.
    pub low: f64,
    /// The greatest.
    pub high: f64,
}

impl Spread {
    /// Of these figures; `None` when there are none. Figures that are no numbers are left out.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().filter(|f| f.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        Some(Self {
            median: median(&sorted),
            low,
            high,
        })
    }

    /// How far apart the rounds were, as a share of the median.
    pub fn width(&self) -> f64 {
        if self.median == 0.0 {
            return 0.0;
        }
        (self.high - self.low) / self.median
    }
}

/// Of a sorted list that is not empty.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    } else {
        sorted[middle]
    }
}

/// A peer's cost in units of the reference's, by rounds: each round's own quotient, because what slows
/// the machine slows both of the same round. Rounds that one of the two lacks are left out.
pub fn ratios(peer: &[Option<f64>], reference: &[Option<f64>]) -> Vec<f64> {
    let pairs = peer.iter().zip(reference);
    pairs
        .filter_map(|(peer, reference)| match (peer, reference) {
            (Some(peer), Some(reference)) if *reference > 0.0 => Some(peer / reference),
            _ => None,
        })
        .collect()
}

/// The order of `count` peers in a round: each round begins one further, and every other round goes
/// backwards, so that nobody always comes after the same neighbour.
pub fn order(count: usize, round: usize) -> Vec<usize> {
    let turned = (0..count).map(|i| (i + round) % count.max(1));
    if round.is_multiple_of(2) {
        turned.collect()
    } else {
        turned.rev().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends() {
        let rows: [(&[f64], Option<[f64; 3]>); 6] = [
            (&[], None),
            (&[f64::NAN], None),
            (&[3.0], Some([3.0, 3.0, 3.0])),
            (&[3.0, 1.0], Some([2.0, 1.0, 3.0])),
            (&[5.0, 1.0, 2.0], Some([2.0, 1.0, 5.0])),
            (&[9.0, f64::INFINITY, 1.0, 2.0, 4.0], Some([3.0, 1.0, 9.0])),
        ];
        for (figures, expected) in rows {
            let spread = Spread::of(figures.iter().copied());
            let told = spread.map(|s| [s.median, s.low, s.high]);
            assert_eq!(told, expected, "{figures:?}");
        }
    }

    #[test]
    fn one_bad_round_does_not_move_the_ratio() {
        // The machine ran at half its speed in the third round: both cost twice as much.
        let peer = [Some(4.0), Some(4.2), Some(8.1), None, Some(4.0)];
        let rhumb = [Some(2.0), Some(2.1), Some(4.0), Some(2.0), Some(0.0)];
        assert_eq!(ratios(&peer, &rhumb), vec![2.0, 2.0, 8.1 / 4.0]);
        let spread = Spread::of(ratios(&peer, &rhumb)).expect("there are rounds");
        assert_eq!(spread.median, 2.0);
    }

    #[test]
    fn the_order_turns_and_everybody_comes_once() {
        assert_eq!(order(3, 0), [0, 1, 2]);
        assert_eq!(order(3, 1), [0, 2, 1]);
        assert_eq!(order(3, 2), [2, 0, 1]);
        assert_eq!(order(0, 5), Vec::<usize>::new());
        for round in 0..7 {
            let mut all = order(5, round);
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2, 3, 4], "round {round}");
        }
    }
}
