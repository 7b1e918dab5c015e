//! The statistics of a judgement: how strange a difference is when part of it is chance. It knows nothing
//! of services or regions.

use super::ChiSquare;
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Counts below this are too few for the chi-square distribution to hold.
const FEW: f64 = 5.0;

/// The strangeness of `difference` (observed less expected, by outcome) when it should be chance of this
/// covariance: the quadratic form that is Pearson's chi-square where everyone is promised the same shares,
/// and stays true where each is promised their own. Outcomes with few expected counts are taken together.
/// `None` where less than two outcomes are left.
pub(super) fn chi_square(
    difference: &[f64],
    covariance: &[Vec<f64>],
    expected: &[f64],
) -> Option<ChiSquare> {
    let bins = bins(expected)?;
    let folded: Vec<f64> = bins
        .iter()
        .map(|bin| bin.iter().map(|i| difference[*i]).sum())
        .collect();
    let sum = |a: &[usize], b: &[usize]| -> f64 {
        let pairs = a.iter().flat_map(|i| b.iter().map(move |j| (*i, *j)));
        pairs.map(|(i, j)| covariance[i][j]).sum()
    };
    // The differences add up to nothing, so the last bin follows from the others.
    let last = bins.len() - 1;
    let matrix = bins[..last].iter().map(|a| {
        let row = bins[..last].iter().map(|b| sum(a, b));
        row.collect::<Vec<f64>>()
    });
    let (statistic, degrees) = quadratic_form(matrix.collect(), &folded[..last]);
    let distribution = ChiSquared::new(degrees as f64).ok()?;
    Some(ChiSquare {
        statistic,
        degrees,
        p: distribution.sf(statistic),
    })
}

/// Outcomes with enough expected counts, each for itself, and the others together; where even those are
/// few, they go with the smallest of the first.
fn bins(expected: &[f64]) -> Option<Vec<Vec<usize>>> {
    let (many, few): (Vec<usize>, Vec<usize>) =
        (0..expected.len()).partition(|i| expected[*i] >= FEW);
    let mut bins: Vec<Vec<usize>> = many.into_iter().map(|i| vec![i]).collect();
    bins.sort_by(|a, b| expected[b[0]].total_cmp(&expected[a[0]]));
    if few.iter().map(|i| expected[*i]).sum::<f64>() >= FEW {
        bins.push(few);
    } else if let Some(smallest) = bins.last_mut() {
        smallest.extend(few);
    }
    (bins.len() > 1).then_some(bins)
}

/// `dᵀ M⁻¹ d` and the rank of `M`, by Cholesky's decomposition; a direction without variance counts for
/// nothing (it is judged exactly elsewhere).
fn quadratic_form(mut m: Vec<Vec<f64>>, d: &[f64]) -> (f64, usize) {
    let (mut form, mut rank) = (0.0, 0);
    let mut solved: Vec<f64> = vec![0.0; d.len()];
    for i in 0..d.len() {
        let whole = m[i][i];
        let explained: f64 = (0..i).map(|k| m[i][k] * m[i][k]).sum();
        let pivot = whole - explained;
        if pivot <= 1e-9 * whole.max(1e-9) {
            m.iter_mut().skip(i).for_each(|row| row[i] = 0.0);
            continue;
        }
        let root = pivot.sqrt();
        let known: f64 = (0..i).map(|k| m[i][k] * solved[k]).sum();
        solved[i] = (d[i] - known) / root;
        for j in i + 1..d.len() {
            let shared: f64 = (0..i).map(|k| m[j][k] * m[i][k]).sum();
            m[j][i] = (m[j][i] - shared) / root;
        }
        m[i][i] = root;
        form += solved[i] * solved[i];
        rank += 1;
    }
    (form, rank)
}

/// A bound on how often chance gives `observed` answers of an outcome that was drawn `drawn` times, when
/// between `least` and `most` decisions were drawn for every answer.
///
/// Given both counts together, the observed ones are a binomial part of them, or narrower; Chernoff's bound
/// on its tail (of so many independent events as there are, when `alike` answers come of one draw) holds for the rarest outcome and the farthest tail alike, where chi-square is too eager.
pub(super) fn tail(observed: u64, drawn: u64, (least, most): (f64, f64), alike: f64) -> f64 {
    let (observed, all) = (observed as f64, (observed + drawn) as f64);
    if all == 0.0 {
        return 1.0;
    }
    let share = observed / all;
    let above = share > 1.0 / (1.0 + least);
    let below = share < 1.0 / (1.0 + most);
    let promised = match (above, below) {
        (true, _) => 1.0 / (1.0 + least),
        (_, true) => 1.0 / (1.0 + most),
        _ => return 1.0,
    };
    let part = |x: f64, y: f64| if x > 0.0 { x * (x / y).ln() } else { 0.0 };
    let divergence = part(share, promised) + part(1.0 - share, 1.0 - promised);
    (2.0 * (-all * divergence / alike).exp()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pearsons_statistic_where_all_are_promised_the_same() {
        // 1,000 answers promised 0.5, 0.3, 0.2, without noise of an estimate.
        let p = [0.5, 0.3, 0.2];
        let observed = [530.0, 290.0, 180.0];
        let expected = p.map(|p| 1000.0 * p);
        let difference: Vec<f64> = (0..3).map(|i| observed[i] - expected[i]).collect();
        let covariance: Vec<Vec<f64>> = (0..3)
            .map(|i| {
                let of = |j: usize| 1000.0 * (if i == j { p[i] } else { 0.0 } - p[i] * p[j]);
                (0..3).map(of).collect()
            })
            .collect();
        let found = chi_square(&difference, &covariance, &expected).expect("three outcomes");
        let pearson: f64 = (0..3).map(|i| difference[i].powi(2) / expected[i]).sum();
        assert!((found.statistic - pearson).abs() < 1e-9, "{found:?}");
        assert_eq!(found.degrees, 2);
        // Of two degrees it is exp(-x/2).
        assert!((found.p - (-pearson / 2.0).exp()).abs() < 1e-9);
    }

    #[test]
    fn tails() {
        // observed, drawn, at most
        let strange = [(9, 0, 1e-5), (2_000, 4_000, 1e-100), (100, 4_000, 1e-90)];
        for (observed, drawn, most) in strange {
            assert!(
                tail(observed, drawn, (4.0, 4.0), 1.0) < most,
                "{observed} of {drawn}"
            );
        }
        for (observed, drawn) in [(0, 0), (1, 0), (0, 4), (1_000, 4_000), (1_030, 4_000)] {
            assert!(
                tail(observed, drawn, (4.0, 4.0), 1.0) > 0.1,
                "{observed} of {drawn}"
            );
        }
    }

    #[test]
    fn few_are_taken_together() {
        assert_eq!(bins(&[100.0, 1.0, 2.0]), None);
        assert_eq!(
            bins(&[100.0, 4.0, 3.0, 9.0]),
            Some(vec![vec![0], vec![3], vec![1, 2]])
        );
        assert_eq!(bins(&[100.0, 1.0, 9.0]), Some(vec![vec![0], vec![2, 1]]));
    }
}
