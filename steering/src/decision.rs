//! What a decision says: the pool, the endpoints in the order to try them, TTL, scope and verdict.

use crate::geo::Located;
use crate::ids::{EndpointId, PoolId, RegionId};
use serde::Serialize;

/// The most endpoints one decision names, and so the most addresses in one DNS answer.
pub const MAX_ENDPOINTS: usize = 8;

/// How a decision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The policy chose a usable pool.
    Steered,
    /// Everything the client may use is down; the policy was walked as if all were up.
    FailOpen,
    /// Nothing may be given: the residency pin or the policy is exhausted.
    Refused,
    /// The policy has nothing for this client: no rule matches and there is no default.
    NoService,
}

impl Verdict {
    /// The name in logs, metrics, `expect` blocks and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steered => "steered",
            Self::FailOpen => "fail_open",
            Self::Refused => "refused",
            Self::NoService => "no_service",
        }
    }
}

/// Why a decision was refused or had no service: the machine-readable word in `Rhumb-Reason`, in the
/// Extended DNS Error text and in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A pool was chosen.
    None,
    /// The client is pinned to a jurisdiction, and none of its endpoints is usable.
    ResidencyExhausted,
    /// Every endpoint the policy could choose is down and the service says `on_exhausted: refuse`.
    PolicyExhausted,
    /// No rule of the policy matches this client and there is no default.
    NoMatch,
}

impl Reason {
    /// The word used on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ResidencyExhausted => "residency_exhausted",
            Self::PolicyExhausted => "policy_exhausted",
            Self::NoMatch => "no_match",
        }
    }
}

/// Up to [`MAX_ENDPOINTS`] endpoints, in the order to try or answer them. Lives on the stack.
#[derive(Clone, Copy)]
pub struct EndpointList {
    ids: [EndpointId; MAX_ENDPOINTS],
    len: u8,
}

impl EndpointList {
    /// No endpoint.
    pub const EMPTY: Self = Self {
        ids: [EndpointId(u32::MAX); MAX_ENDPOINTS],
        len: 0,
    };

    /// The endpoints, first choice first.
    #[inline]
    pub fn as_slice(&self) -> &[EndpointId] {
        &self.ids[..usize::from(self.len)]
    }

    /// Whether there is room for one more.
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.len as usize == MAX_ENDPOINTS
    }

    /// Appends `id`; a full list stays as it is.
    #[inline]
    pub fn push(&mut self, id: EndpointId) {
        if let Some(slot) = self.ids.get_mut(usize::from(self.len)) {
            *slot = id;
            self.len += 1;
        }
    }

    /// Moves the endpoint at `index` to the front, keeping the order of the others.
    #[inline]
    pub fn promote(&mut self, index: usize) {
        if index < usize::from(self.len) {
            self.ids[..=index].rotate_right(1);
        }
    }
}

impl std::ops::Deref for EndpointList {
    type Target = [EndpointId];

    fn deref(&self) -> &[EndpointId] {
        self.as_slice()
    }
}

impl PartialEq for EndpointList {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for EndpointList {}

impl std::fmt::Debug for EndpointList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// The answer of [`Snapshot::decide`](crate::Snapshot::decide).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    /// How it ended.
    pub verdict: Verdict,
    /// Why, when no pool was chosen.
    pub reason: Reason,
    /// The chosen pool; `None` unless the verdict is `Steered` or `FailOpen`.
    pub pool: Option<PoolId>,
    /// The region of that pool.
    pub region: Option<RegionId>,
    /// The endpoints to answer or to try, in order. Empty when the pool has none of the wanted family.
    pub endpoints: EndpointList,
    /// How long the answer may be cached, in seconds.
    pub ttl: u32,
    /// How many leading bits of the client address the decision depended on (RFC 7871 §7.2.1), in
    /// the address family of the client; 0 when the address was not consulted.
    pub scope: u8,
    /// Whether a residency rule pinned this client.
    pub pinned: bool,
    /// The client's location, when it was consulted or given.
    pub located: Option<Located>,
}

impl Decision {
    /// Puts the less loaded of two endpoints first ("power of two choices"): the second candidate is
    /// drawn from the rest of the list, `load` gives requests in flight, and the other endpoints keep
    /// their order for retries. The draw is the request's own, so that this stays pure.
    pub fn prefer_less_loaded(&mut self, draw: u64, load: impl Fn(EndpointId) -> u64) {
        let n = self.endpoints.len();
        if n < 2 {
            return;
        }
        let other = 1 + crate::draw::below(crate::draw::mix(draw, 0x9d2c), n as u64 - 1) as usize;
        if load(self.endpoints[other]) < load(self.endpoints[0]) {
            self.endpoints.promote(other);
        }
    }
}
