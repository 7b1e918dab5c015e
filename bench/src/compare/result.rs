//! What a comparison found: kept as JSON, so that two runs can be compared with each other.

use super::machine::Machine;
use super::ratio::{Spread, ratios};
use serde::{Deserialize, Serialize};

/// A whole comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The day it was made.
    pub date: String,
    /// Where.
    pub machine: Machine,
    /// The command that makes it again.
    pub command: String,
    /// How many rounds, of how many seconds.
    pub rounds: usize,
    /// The length of a round, seconds.
    pub seconds: f64,
    /// How long it all took, seconds.
    pub took: f64,
    /// Peers that are here, with their versions.
    pub versions: Vec<(String, String)>,
    /// Peers that are not here, and what brings them.
    pub missing: Vec<(String, String)>,
    /// Work by work.
    pub works: Vec<WorkResult>,
}

/// What one work came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkResult {
    /// [`super::Work::id`].
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What was asked.
    pub asked: String,
    /// `query` or `request`.
    pub unit: String,
    /// Peer by peer; the first is the reference.
    pub entries: Vec<Entry>,
}

/// What a peer made of a work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Who.
    pub peer: String,
    /// How it went.
    pub fate: Fate,
    /// What a reader should know of this peer's part.
    pub note: Option<String>,
}

/// How a peer came through a work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It was measured.
    Measured(Box<Figures>),
    /// It has no such feature.
    Cannot(String),
    /// It answers wrongly, so it is not compared: the share of right answers and some wrong ones.
    Wrong {
        /// 0 to 1.
        right: f64,
        /// The first few, in words.
        examples: Vec<String>,
    },
    /// It did not start, or broke off.
    Failed(String),
}

/// A peer's figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Share of right answers in the sample asked before the rounds.
    pub right: f64,
    /// Answers a second.
    pub rate: Spread,
    /// Median latency, microseconds.
    pub p50: Spread,
    /// Latency that one in a hundred exceeds, microseconds.
    pub p99: Spread,
    /// Processor time in its own code, microseconds an answer.
    pub user: Spread,
    /// Processor time in the kernel, microseconds an answer.
    pub system: Spread,
    /// Both.
    pub cpu: Spread,
    /// Processor time in units of the reference's of the same round; `None` for the reference itself,
    /// or where it was not measured.
    pub ratio: Option<Spread>,
    /// Resident memory at the end of a round, bytes.
    pub resident: Spread,
    /// Questions without an answer that counts, in all rounds.
    pub failed: u64,
    /// Answers in all rounds.
    pub answered: u64,
    /// Reloads in all rounds.
    pub reloads: u64,
    /// Why the generator may have been what limited the rate.
    pub limited: Option<String>,
    /// Round by round.
    pub rounds: Vec<Option<Round>>,
}

/// One round of one peer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Answers a second.
    pub rate: f64,
    /// Median latency, microseconds.
    pub p50: f64,
    /// Latency that one in a hundred exceeds, microseconds.
    pub p99: f64,
    /// Processor time in its own code, microseconds an answer.
    pub user: f64,
    /// Processor time in the kernel, microseconds an answer.
    pub system: f64,
    /// Resident memory at the end, bytes.
    pub resident: f64,
    /// Answers.
    pub answered: u64,
    /// Questions without an answer that counts.
    pub failed: u64,
    /// Reloads.
    pub reloads: u64,
    /// The share of the machine that others took meanwhile: other processes, and the host.
    pub disturbed: f64,
    /// Why the generator may have been what limited the rate.
    pub limited: Option<String>,
}

impl Round {
    /// Processor time, microseconds an answer.
    pub fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

impl Figures {
    /// The figures of a peer's rounds, with the reference's for the ratio. `None` when it has no round.
    pub fn of(
        rounds: Vec<Option<Round>>,
        reference: Option<&[Option<Round>]>,
        right: f64,
    ) -> Option<Self> {
        let spread = |what: fn(&Round) -> f64| Spread::of(rounds.iter().flatten().map(what));
        let sum = |what: fn(&Round) -> u64| rounds.iter().flatten().map(what).sum();
        let limited = rounds.iter().flatten().find_map(|r| r.limited.clone());
        Some(Self {
            right,
            rate: spread(|r| r.rate)?,
            p50: spread(|r| r.p50)?,
            p99: spread(|r| r.p99)?,
            user: spread(|r| r.user)?,
            system: spread(|r| r.system)?,
            cpu: spread(Round::cpu)?,
            ratio: reference
                .and_then(|reference| Spread::of(ratios(&cpus(&rounds), &cpus(reference)))),
            resident: spread(|r| r.resident)?,
            failed: sum(|r| r.failed),
            answered: sum(|r| r.answered),
            reloads: sum(|r| r.reloads),
            limited,
            rounds,
        })
    }
}

fn cpus(rounds: &[Option<Round>]) -> Vec<Option<f64>> {
    let cpus = rounds.iter().map(|round| round.as_ref().map(Round::cpu));
    cpus.collect()
}

/// A CPU ratio in two comparisons.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The work.
    pub work: String,
    /// The peer.
    pub peer: String,
    /// The ratio in the first and the second comparison.
    pub ratios: (f64, f64),
    /// How far the second is from the first, as a share of their mean.
    pub apart: f64,
}

/// How two comparisons agree: every CPU ratio that both have, the worst agreement first.
pub fn agreement(a: &Comparison, b: &Comparison) -> Vec<Agreement> {
    let mut all: Vec<Agreement> = ratios_of(a)
        .filter_map(|(work, peer, first)| {
            let mut others = ratios_of(b);
            let (.., second) = others.find(|(w, p, _)| *w == work && *p == peer)?;
            let mean = (first + second) / 2.0;
            Some(Agreement {
                work: work.to_owned(),
                peer: peer.to_owned(),
                ratios: (first, second),
                apart: (second - first).abs() / mean.max(f64::MIN_POSITIVE),
            })
        })
        .collect();
    all.sort_by(|x, y| y.apart.total_cmp(&x.apart));
    all
}

fn ratios_of(comparison: &Comparison) -> impl Iterator<Item = (&str, &str, f64)> {
    comparison.works.iter().flat_map(|work| {
        work.entries.iter().filter_map(|entry| match &entry.fate {
            Fate::Measured(figures) => {
                Some((&*work.id, &*entry.peer, figures.ratio.as_ref()?.median))
            }
            _ => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(cpu: f64) -> Option<Round> {
        Some(Round {
            user: cpu / 2.0,
            system: cpu / 2.0,
            answered: 10,
            ..Round::default()
        })
    }

    fn comparison(ratios: &[(&str, &str, f64)]) -> Comparison {
        let mut comparison = Comparison::default();
        for (work, peer, ratio) in ratios {
            let reference = vec![round(1.0); 3];
            let figures = Figures::of(vec![round(*ratio); 3], Some(&reference), 1.0);
            comparison.works.push(WorkResult {
                id: (*work).to_owned(),
                entries: vec![Entry {
                    peer: (*peer).to_owned(),
                    fate: Fate::Measured(Box::new(figures.expect("there are rounds"))),
                    note: None,
                }],
                ..WorkResult::default()
            });
        }
        comparison
    }

    #[test]
    fn figures_come_of_the_rounds_there_are() {
        let reference = vec![round(1.0), round(2.0), round(1.0)];
        let figures = Figures::of(vec![round(3.0), None, round(4.0)], Some(&reference), 1.0);
        let figures = figures.expect("there are rounds");
        assert_eq!(figures.cpu.median, 3.5);
        assert_eq!(figures.ratio.map(|r| (r.low, r.high)), Some((3.0, 4.0)));
        assert_eq!(figures.answered, 20);
        assert_eq!(Figures::of(vec![None, None], None, 1.0), None);
    }

    #[test]
    fn two_comparisons_agree_or_not() {
        let a = comparison(&[
            ("geo", "gdnsd", 0.8),
            ("geo", "pdns", 9.0),
            ("a", "nsd", 1.0),
        ]);
        let b = comparison(&[("geo", "gdnsd", 0.84), ("geo", "pdns", 11.0)]);
        let found = agreement(&a, &b);
        let told: Vec<(&str, bool)> = found.iter().map(|a| (&*a.peer, a.apart > 0.1)).collect();
        assert_eq!(told, [("pdns", true), ("gdnsd", false)]);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let a = comparison(&[("geo", "gdnsd", 0.8)]);
        let text = serde_json::to_string(&a).expect("it is plain data");
        let b: Comparison = serde_json::from_str(&text).expect("it reads its own");
        assert_eq!(a, b);
    }
}
