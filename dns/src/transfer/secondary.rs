//! When a secondary zone is looked at, transferred and given up (RFC 1034 §4.3.5, RFC 1996 §4.7): a state machine.
//!
//! Time and chance come in, what is to be done goes out. What never happens here: no socket, no clock, no zone.

use super::message::is_later;
use std::time::Duration;
use steering::Timestamp;

/// The least time between two rounds, however often a primary notifies.
const LEAST_GAP: Duration = Duration::from_secs(1);
/// The first wait for a zone that was never there; it doubles up to [`LAST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// The longest wait for a zone that was never there.
const LAST_WAIT: Duration = Duration::from_secs(300);
/// What REFRESH and RETRY of a zone are at least, whatever its SOA says.
const LEAST_TIMER: Duration = Duration::from_secs(1);
/// What REFRESH and RETRY of a zone are at most: four weeks.
const LONGEST_TIMER: Duration = Duration::from_secs(28 * 24 * 3600);

/// The numbers of a zone's SOA that steer its refreshing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its serial.
    pub serial: u32,
    /// How often it is looked for a new version.
    pub refresh: Duration,
    /// How soon it is tried again.
    pub retry: Duration,
    /// How long it serves without the primary having been reached.
    pub expire: Duration,
}

impl Version {
    /// From a SOA's RDATA, names uncompressed; `None` when it is none.
    pub fn of(soa: &[u8]) -> Option<Self> {
        let [serial, refresh, retry, expire, _] = super::message::timers_of(soa)?;
        let timer = |seconds: u32| {
            Duration::from_secs(u64::from(seconds)).clamp(LEAST_TIMER, LONGEST_TIMER)
        };
        Some(Self {
            serial,
            refresh: timer(refresh),
            retry: timer(retry),
            // RFC 1912 §2.2: an expire shorter than refresh and retry would give up a zone that is well.
            expire: Duration::from_secs(u64::from(expire)).max(timer(refresh) + timer(retry)),
        })
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The time of [`Secondary::wake_at`] has come.
    Time,
    /// A primary says that there is a new version, perhaps which.
    Notify {
        /// Which primary.
        primary: usize,
        /// The serial it told, if any.
        serial: Option<u32>,
    },
    /// A primary was asked for its SOA.
    Polled(Result<u32, String>),
    /// A transfer ended: with a version that now serves, or with nothing newer (`None`).
    Transferred(Result<Option<Version>, String>),
}

/// What is to be done; its outcome comes back as an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask this primary for its SOA.
    Poll(usize),
    /// Transfer from this primary: what changed since the version that is there, or all of it.
    Transfer(usize),
    /// The zone is too old: it is not to be answered from any more.
    Expire,
    /// A zone that was too old is the newest there is after all: it is to be answered from again.
    Revive,
}

/// Where a round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// None is under way.
    None,
    /// So many primaries were tried, the present one is this.
    At { primary: usize, tried: usize },
}

/// One secondary zone.
#[derive(Clone, Debug)]
pub struct Secondary {
    primaries: usize,
    version: Option<Version>,
    expired: bool,
    /// When the primary last said that the version is the newest.
    checked: Option<Timestamp>,
    next: Timestamp,
    /// When the last round ended.
    ended: Option<Timestamp>,
    round: Round,
    /// A NOTIFY that came while a round was under way.
    again: Option<usize>,
    /// The primary that answered last.
    preferred: usize,
    failures: u32,
    error: Option<String>,
}

impl Secondary {
    /// A zone of so many primaries. `kept`: the version that was found on disk and when it was last known to be the
    /// newest. It is looked at once, at once.
    pub fn new(primaries: usize, kept: Option<(Version, Timestamp)>, now: Timestamp) -> Self {
        Self {
            primaries,
            version: kept.map(|(version, _)| version),
            expired: false,
            checked: kept.map(|(_, checked)| checked),
            next: now,
            ended: None,
            round: Round::None,
            again: None,
            preferred: 0,
            failures: 0,
            error: None,
        }
    }

    /// The version that is there.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// Whether it is too old to be answered from.
    pub fn is_expired(&self) -> bool {
        self.expired
    }

    /// When a primary last said that the version is the newest.
    pub fn checked(&self) -> Option<Timestamp> {
        self.checked
    }

    /// When it is too old, unless a primary is reached.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let (version, checked) = (self.version?, self.checked?);
        Some(checked.plus(version.expire))
    }

    /// When the next round begins.
    pub fn next(&self) -> Timestamp {
        self.next
    }

    /// Why the last round failed; `None` when it did not.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// When [`Event::Time`] is due.
    pub fn wake_at(&self) -> Timestamp {
        match self.expires_at().filter(|_| !self.expired) {
            Some(expires) => expires.min(self.next),
            None => self.next,
        }
    }

    /// Takes an event in. `draw` is where the jitter comes from.
    pub fn handle(&mut self, now: Timestamp, event: Event, draw: u64) -> Option<Action> {
        match event {
            Event::Time => self.time(now),
            Event::Notify { primary, serial } => self.notify(now, primary, serial),
            Event::Polled(Ok(serial)) => self.polled(now, serial, draw),
            Event::Transferred(Ok(version)) => self.transferred(now, version, draw),
            Event::Polled(Err(why)) | Event::Transferred(Err(why)) => self.failed(now, why, draw),
        }
    }

    fn time(&mut self, now: Timestamp) -> Option<Action> {
        if !self.expired && self.expires_at().is_some_and(|expires| expires <= now) {
            self.expired = true;
            return Some(Action::Expire);
        }
        if self.next > now || self.round != Round::None {
            return None;
        }
        Some(self.begin(self.preferred, 0))
    }

    fn begin(&mut self, primary: usize, tried: usize) -> Action {
        self.round = Round::At { primary, tried };
        match self.version {
            // A zone that is not there has no version to compare.
            None => Action::Transfer(primary),
            Some(_) => Action::Poll(primary),
        }
    }

    fn notify(&mut self, now: Timestamp, primary: usize, serial: Option<u32>) -> Option<Action> {
        if primary >= self.primaries {
            // Told by another generation of the config, which had more of them.
            return None;
        }
        let known = self.version.filter(|_| !self.expired);
        if let (Some(known), Some(told)) = (known, serial)
            && !is_later(told, known.serial)
        {
            return None;
        }
        if self.round != Round::None {
            self.again = Some(primary);
            return None;
        }
        self.preferred = primary;
        let soonest = self.ended.map_or(now, |ended| ended.plus(LEAST_GAP));
        if soonest > now {
            self.next = self.next.min(soonest);
            return None;
        }
        self.next = now;
        Some(self.begin(primary, 0))
    }

    fn polled(&mut self, now: Timestamp, serial: u32, draw: u64) -> Option<Action> {
        let Round::At { primary, .. } = self.round else {
            return None;
        };
        match self.version {
            Some(version) if serial == version.serial => {
                let revived = self.fresh(now, draw);
                self.follow(now);
                revived
            }
            // One that has expired is given up (RFC 1034 §4.3.5): whatever the primary has takes its place.
            Some(version) if !self.expired && !is_later(serial, version.serial) => {
                let have = version.serial;
                let why = format!("it has version {serial}, which is older than ours ({have})");
                self.failed(now, why, draw)
            }
            _ => Some(Action::Transfer(primary)),
        }
    }

    fn transferred(
        &mut self,
        now: Timestamp,
        version: Option<Version>,
        draw: u64,
    ) -> Option<Action> {
        let unchanged = version.is_none();
        if version.is_some() {
            self.version = version;
        }
        let revived = self.fresh(now, draw);
        self.follow(now);
        revived.filter(|_| unchanged)
    }

    /// The version that is there is the newest. Gives what is to be done if it was thought too old.
    fn fresh(&mut self, now: Timestamp, draw: u64) -> Option<Action> {
        if let Round::At { primary, .. } = self.round {
            self.preferred = primary;
        }
        self.round = Round::None;
        self.ended = Some(now);
        self.checked = Some(now);
        let was_expired = std::mem::replace(&mut self.expired, false);
        (self.failures, self.error) = (0, None);
        let refresh = self.version.map_or(LAST_WAIT, |version| version.refresh);
        self.next = now.plus(jittered(refresh, draw));
        was_expired.then_some(Action::Revive)
    }

    /// A NOTIFY that came meanwhile may have told of something newer still.
    fn follow(&mut self, now: Timestamp) {
        if let Some(primary) = self.again.take() {
            self.preferred = primary;
            self.next = self.next.min(now.plus(LEAST_GAP));
        }
    }

    fn failed(&mut self, now: Timestamp, why: String, draw: u64) -> Option<Action> {
        let Round::At { primary, tried } = self.round else {
            return None;
        };
        self.error = Some(why);
        let tried = tried + 1;
        if tried < self.primaries {
            return Some(self.begin((primary + 1) % self.primaries, tried));
        }
        self.round = Round::None;
        self.ended = Some(now);
        self.failures = self.failures.saturating_add(1);
        let wait = match self.version {
            Some(version) => version.retry,
            None => {
                let doubled =
                    FIRST_WAIT.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
                doubled.min(LAST_WAIT)
            }
        };
        self.next = now.plus(jittered(wait, draw));
        self.follow(now);
        None
    }
}

/// Up to a tenth sooner, so that many zones do not come at once.
fn jittered(wait: Duration, draw: u64) -> Duration {
    wait - wait.mul_f64((draw >> 11) as f64 / (1_u64 << 53) as f64 / 10.0)
}
