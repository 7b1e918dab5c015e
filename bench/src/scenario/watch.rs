//! What the server says of a step while it takes it in: when it noticed, when it decided. Its own words
//! carry its own clock, so asking now and then loses nothing.

use super::ScenarioError;
use super::stage::Stage;
use super::status::{Endpoint, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use steering::health;

/// How often the server is asked while something is awaited.
pub(super) const LOOK: Duration = Duration::from_millis(10);

/// What the server said of the endpoints concerned, from a moment on.
pub(super) struct Said {
    /// From when.
    pub(super) at: Instant,
    /// Each of them, with the outcomes that were counted against its state.
    pub(super) health: Vec<(SocketAddr, health::Status, u16)>,
}

/// What is awaited of the server.
pub(super) enum Awaited {
    /// Endpoints go down or up.
    Health {
        /// Which.
        endpoints: BTreeSet<SocketAddr>,
        /// Whether up.
        up: bool,
    },
    /// A reload that ends after the one that ended then (milliseconds since 1970).
    Reload {
        /// What is put in place.
        what: String,
        /// When the last one before it ended.
        after: u64,
    },
    /// Nothing any more.
    Nothing,
}

/// A step that was carried out, and what has been seen of it.
pub(super) struct Watched {
    /// When it was carried out.
    pub(super) at: Instant,
    wall: u64,
    awaited: Awaited,
    /// When the server had noticed, where no origin saw it.
    pub(super) noticed: Option<Instant>,
    /// When it decided.
    pub(super) decided: Option<Instant>,
    /// Each change of what it said until then.
    pub(super) said: Vec<Said>,
    next_look: Instant,
}

impl Watched {
    /// Carried out now.
    pub(super) fn new(awaited: Awaited) -> Self {
        let at = Instant::now();
        Self {
            at,
            wall: since_epoch(),
            awaited,
            noticed: None,
            decided: None,
            said: Vec::new(),
            next_look: at,
        }
    }

    /// The endpoints whose health is awaited, and whether up.
    pub(super) fn health(&self) -> Option<(&BTreeSet<SocketAddr>, bool)> {
        match &self.awaited {
            Awaited::Health { endpoints, up } => Some((endpoints, *up)),
            _ => None,
        }
    }

    /// Looks, if it is time to and there is something to see.
    ///
    /// # Errors
    /// When the server does not answer, or has refused a reload.
    pub(super) fn look(&mut self, stage: &Stage) -> Result<(), ScenarioError> {
        let done = self.decided.is_some() || matches!(self.awaited, Awaited::Nothing);
        if done || Instant::now() < self.next_look {
            return Ok(());
        }
        if let Some(status) = stage.status()? {
            self.take(&status)?;
        }
        self.next_look = Instant::now() + LOOK;
        Ok(())
    }

    fn take(&mut self, status: &Status) -> Result<(), ScenarioError> {
        match &self.awaited {
            Awaited::Nothing => {}
            Awaited::Reload { what, after } => {
                let reload = &status.reload;
                if reload.at > *after && !reload.applied {
                    let problems = reload.problems.join("\n");
                    return Err(ScenarioError::Refused(what.clone(), problems));
                }
                if reload.at > *after {
                    self.decided = Some(self.instant(reload.at));
                }
            }
            Awaited::Health { endpoints, up } => {
                let seen = status.endpoints.iter();
                let seen: Vec<&Endpoint> =
                    seen.filter(|e| endpoints.contains(&e.address)).collect();
                let noticed = seen.iter().filter(|e| e.against > 0 || is(e, *up));
                let noticed = noticed.filter_map(|e| e.last_probe);
                let noticed = noticed.filter(|at| *at >= self.wall).min();
                let decided = decided(status, &seen, *up, self.wall);
                note(&mut self.said, &seen);
                self.noticed = self.noticed.or(noticed.map(|at| self.instant(at)));
                self.decided = decided.map(|at| self.instant(at));
            }
        }
        Ok(())
    }

    /// A moment of the server's clock, never before the step.
    fn instant(&self, wall: u64) -> Instant {
        self.at + Duration::from_millis(wall.saturating_sub(self.wall))
    }
}

/// Keeps what is said, where it is something new.
fn note(said: &mut Vec<Said>, seen: &[&Endpoint]) {
    let checked = seen.iter().filter(|endpoint| endpoint.since.is_some());
    let health = checked.map(|endpoint| {
        let state = match endpoint.state.as_str() {
            "up" => health::Status::Up,
            "down" => health::Status::Down,
            _ => health::Status::Unknown,
        };
        (endpoint.address, state, endpoint.against)
    });
    let health: Vec<_> = health.collect();
    if said.last().is_none_or(|last| last.health != health) {
        said.push(Said {
            at: Instant::now(),
            health,
        });
    }
}

/// When the first of the regions concerned was as awaited: once it is usable or no more, or once all of
/// its endpoints that are concerned have changed. What was so before (milliseconds since 1970) is no
/// decision.
fn decided(status: &Status, seen: &[&Endpoint], up: bool, from: u64) -> Option<u64> {
    let mut by_region: BTreeMap<&str, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in seen.iter().filter(|e| e.since.is_some()) {
        by_region
            .entry(&endpoint.region)
            .or_default()
            .push(endpoint);
    }
    let regions = by_region.into_iter().filter_map(|(name, endpoints)| {
        let changed = endpoints.iter().filter(|e| is(e, up));
        let last = changed.clone().filter_map(|e| e.since).max()?;
        let region = status.regions.iter().find(|region| region.name == name);
        let flipped = region.is_some_and(|region| region.usable == up);
        (flipped || changed.count() == endpoints.len()).then_some(last)
    });
    regions.filter(|at| *at >= from).min()
}

fn is(endpoint: &Endpoint, up: bool) -> bool {
    endpoint.state == if up { "up" } else { "down" }
}

/// Milliseconds since 1970.
fn since_epoch() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(regions: &[(&str, bool)], endpoints: &[(&str, u16, &str, u64)]) -> Status {
        let regions: Vec<_> = regions
            .iter()
            .map(|(name, usable)| serde_json::json!({ "name": name, "usable": usable }))
            .collect();
        let endpoints: Vec<_> = endpoints
            .iter()
            .map(|(region, port, state, since)| {
                serde_json::json!({
                    "region": region, "address": format!("127.0.0.1:{port}"), "state": state,
                    "since": since, "against": 0, "last_probe": since, "last_error": null,
                })
            })
            .collect();
        let whole = serde_json::json!({
            "version": "0", "reload": { "applied": true, "at": 5, "problems": [] },
            "regions": regions, "endpoints": endpoints,
        });
        serde_json::from_value(whole).expect("a status")
    }

    fn when(status: &Status, up: bool) -> Option<u64> {
        let all: Vec<&Endpoint> = status.endpoints.iter().collect();
        decided(status, &all, up, 5)
    }

    #[test]
    fn a_region_is_decided_upon_when_it_is_out_and_the_first_of_several_counts() {
        let half = status(&[("a", true)], &[("a", 1, "down", 10), ("a", 2, "up", 0)]);
        assert_eq!(when(&half, false), None, "the region serves on");
        let out = status(
            &[("a", false)],
            &[("a", 1, "down", 10), ("a", 2, "down", 30)],
        );
        assert_eq!(
            when(&out, false),
            Some(30),
            "with the last of its endpoints"
        );
        let two = status(
            &[("a", false), ("b", false)],
            &[("a", 1, "down", 40), ("b", 2, "down", 30)],
        );
        assert_eq!(when(&two, false), Some(30));
        let back = status(&[("a", true)], &[("a", 1, "up", 50), ("a", 2, "down", 0)]);
        assert_eq!(when(&back, true), Some(50), "one endpoint is enough here");
    }
}
