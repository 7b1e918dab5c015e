//! What one question can come to: where its answer sends the client, or why there is none. Plain values;
//! nothing is counted here.

use serde::Serialize;
use steering::RegionId;

/// The most regions that are told apart.
pub const MAX_REGIONS: usize = 120;
/// Outcomes that are no region.
pub const OTHER_OUTCOMES: usize = 3;

/// Where one answer sends its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// To a region.
    Region(RegionId),
    /// Nowhere, on purpose: 451, 503 of the policy, or an empty answer with the reason.
    Refused,
    /// Nowhere: an empty answer.
    Nothing,
    /// To an address or an origin of no region of the config.
    Elsewhere,
}

impl Outcome {
    /// How many different outcomes there are.
    pub const COUNT: usize = MAX_REGIONS + OTHER_OUTCOMES;

    /// The position in a table of [`Outcome::COUNT`] counters.
    pub fn index(self) -> usize {
        match self {
            Self::Region(region) => region.index().min(MAX_REGIONS - 1),
            Self::Refused => MAX_REGIONS,
            Self::Nothing => MAX_REGIONS + 1,
            Self::Elsewhere => MAX_REGIONS + 2,
        }
    }

    /// The position among the outcomes of a config with this many regions: those first, then the
    /// other three.
    pub fn slot(self, regions: usize) -> usize {
        match self.index() {
            region if region < MAX_REGIONS => region.min(regions),
            other => regions + other - MAX_REGIONS,
        }
    }

    /// The outcome at such a position.
    pub fn at_slot(slot: usize, regions: usize) -> Self {
        match slot.checked_sub(regions) {
            None => Self::at(slot),
            Some(other) => Self::at(MAX_REGIONS + other),
        }
    }

    /// The outcome at a position.
    pub fn at(index: usize) -> Self {
        match index.checked_sub(MAX_REGIONS) {
            None => Self::Region(RegionId::at(index)),
            Some(0) => Self::Refused,
            Some(1) => Self::Nothing,
            Some(_) => Self::Elsewhere,
        }
    }
}

/// A set of regions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegionSet(u128);

impl RegionSet {
    /// None.
    pub const EMPTY: Self = Self(0);
    /// Every region there can be.
    pub const ALL: Self = Self(u128::MAX);

    /// Whether a region is in it.
    pub fn contains(self, region: RegionId) -> bool {
        self.0 >> region.index().min(127) & 1 == 1
    }

    /// With one more region.
    #[must_use]
    pub fn with(self, region: RegionId) -> Self {
        Self(self.0 | 1 << region.index().min(127))
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Every region of either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The regions, in order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = RegionId> {
        (0..MAX_REGIONS)
            .map(RegionId::at)
            .filter(move |region| self.contains(*region))
    }

    /// Whether all of it is in `other`.
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

impl FromIterator<RegionId> for RegionSet {
    fn from_iter<I: IntoIterator<Item = RegionId>>(regions: I) -> Self {
        regions.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// What one answer said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where a client that takes the first address goes.
    pub first: Outcome,
    /// All regions it names.
    pub regions: RegionSet,
    /// For how many leading bits of the client's address it says it holds (RFC 7871 §7.2.1).
    pub scope: Option<u8>,
}

impl Answer {
    /// An answer of one outcome, without a scope.
    pub fn of(outcome: Outcome) -> Self {
        let regions = match outcome {
            Outcome::Region(region) => RegionSet::EMPTY.with(region),
            _ => RegionSet::EMPTY,
        };
        Self {
            first: outcome,
            regions,
            scope: None,
        }
    }
}

/// Why a question got no answer that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// None came in time.
    Timeout,
    /// No connection could be made.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The connection broke before the answer was whole.
    Broken,
    /// What came is no answer to the question.
    Malformed,
    /// A DNS answer was cut off.
    Truncated,
    /// A DNS rcode other than NOERROR and NXDOMAIN.
    Rcode(u16),
    /// An HTTP status of 400 or more that is no refusal of the policy.
    Status(u16),
    /// The system would not send.
    Send,
}

impl std::fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Timeout => f.write_str("timeout"),
            Self::Connect => f.write_str("connect"),
            Self::Tls => f.write_str("tls"),
            Self::Broken => f.write_str("broken"),
            Self::Malformed => f.write_str("malformed"),
            Self::Truncated => f.write_str("truncated"),
            Self::Rcode(code) => write!(f, "rcode {code}"),
            Self::Status(code) => write!(f, "status {code}"),
            Self::Send => f.write_str("send"),
        }
    }
}
