//! What a step did to each service over one plane, from the slices of the timeline: wrong is what was
//! right only before it, right is what is right only since. It asks nobody.

use super::classes::{Class, Classes};
use super::event::Failover;
use super::phases::{Outcomes, Phase};
use super::watch::Said;
use crate::record::{Measured, Slice};
use crate::subject::Subject;
use config::scenario::Action;
use std::time::{Duration, Instant};
use steering::{Plane, ServiceId};

/// What is wrong for so long before a stretch ends may well have gone on.
const UNSETTLED: Duration = Duration::from_secs(1);

/// One stretch, as it was played.
pub(super) struct Stretch<'a> {
    /// Which of them begins here; not the first.
    pub(super) phase: usize,
    /// What began it.
    pub(super) action: &'a Action,
    /// When it was carried out, after the recording began.
    pub(super) at: Duration,
    /// When the next one was, or the end.
    pub(super) until: Duration,
    /// When an origin saw it, after `at`.
    pub(super) first_probe: Option<Duration>,
    /// When the server decided, after `at`.
    pub(super) decided: Option<Duration>,
    /// The stretch before, and what the server said of the endpoints concerned in this one.
    pub(super) before: Option<(&'a Phase, &'a [Said])>,
    /// When this one began.
    pub(super) began: Instant,
}

impl Stretch<'_> {
    /// What it did to each service that it concerns.
    pub(super) fn failovers(
        &self,
        subject: &Subject,
        classes: &Classes,
        measured: &Measured,
    ) -> Vec<Failover> {
        let services = (0..subject.services.len()).map(ServiceId::at);
        services
            .filter_map(|service| self.failover(subject, classes, measured, service))
            .collect()
    }

    fn failover(
        &self,
        subject: &Subject,
        classes: &Classes,
        measured: &Measured,
        service: ServiceId,
    ) -> Option<Failover> {
        let plane = classes.plain.plane;
        let kinds = classes.kinds.iter().enumerate();
        let kinds: Vec<(usize, &Class)> = kinds.filter(|(_, k)| k.service == service).collect();
        let concerned = |kind: &Class| self.before(kind) != self.after(kind);
        if !kinds.iter().any(|(_, kind)| concerned(kind)) {
            return None;
        }
        let info = subject.services.get(service.index())?;
        let is_failure = matches!(self.action, Action::Fail(..));
        let mut failover = Failover {
            service: info.name.to_string(),
            plane: Failover::plane_name(plane),
            first_probe: self.first_probe,
            decided: self.decided,
            first_right: None,
            last_wrong: Some(Duration::ZERO),
            last_failed: Some(Duration::ZERO),
            wrong: 0,
            failed: 0,
            ttl: (plane == Plane::Dns).then_some(info.ttl),
            rto: info.rto.filter(|_| is_failure),
            within_rto: None,
        };
        for (end, slice) in self.slices(measured) {
            for (i, kind) in &kinds {
                self.take(&mut failover, end, slice, *i, kind);
            }
        }
        if is_failure && plane == Plane::Dns {
            let kinds: Vec<&Class> = kinds.into_iter().map(|(_, kind)| kind).collect();
            failover.ttl = self.left(&failover, &kinds).or(failover.ttl);
        }
        self.conclude(&mut failover);
        Some(failover)
    }

    /// How long wrong answers live on after the last one: of each that was given before the server had
    /// counted so far, its own TTL.
    fn left(&self, failover: &Failover, kinds: &[&Class]) -> Option<Duration> {
        let (phase, said) = self.before?;
        let last = failover.last_wrong?;
        let service = phase.service(&failover.service)?;
        let mut longest = None;
        for (i, one) in said.iter().enumerate() {
            let from = one.at.saturating_duration_since(self.began);
            let next = said.get(i + 1).map(|next| next.at);
            let until = next.map_or(last, |next| next.saturating_duration_since(self.began));
            if i > 0 && from >= last {
                break;
            }
            let wrong = kinds
                .iter()
                .filter(|kind| self.before(kind).without(self.after(kind)) != Outcomes::default());
            let ttls = wrong.map(|kind| phase.ttl(service, &kind.client, &one.health));
            longest = longest.max(ttls.max().map(|ttl| until.min(last) + ttl));
        }
        longest.map(|longest| longest.saturating_sub(last))
    }

    fn before(&self, kind: &Class) -> Outcomes {
        kind.promised(self.phase - 1)
    }

    fn after(&self, kind: &Class) -> Outcomes {
        kind.promised(self.phase)
    }

    /// Slices that lie wholly between this step and the next, with their ends after this step.
    fn slices<'m>(
        &self,
        measured: &'m Measured,
    ) -> impl Iterator<Item = (Duration, &'m Slice)> + use<'m> {
        let (at, until) = (self.at, self.until);
        let timeline = measured.timeline.iter();
        timeline.flat_map(move |timeline| {
            let width = timeline.width;
            let slices = timeline.slices.iter().enumerate();
            slices
                .map(move |(i, slice)| (width * i as u32, width * (i as u32 + 1), slice))
                .filter(move |(start, end, _)| *start >= at && *end <= until)
                .map(move |(_, end, slice)| (end - at, slice))
        })
    }

    fn take(&self, to: &mut Failover, end: Duration, slice: &Slice, i: usize, kind: &Class) {
        let (before, after) = (self.before(kind), self.after(kind));
        let failed = slice.failed.get(i).copied().unwrap_or(0);
        to.failed += u64::from(failed);
        if before == after {
            return;
        }
        let sum = |outcomes: Outcomes| -> u32 {
            outcomes
                .iter()
                .map(|outcome| slice.outcome(i, outcome))
                .sum()
        };
        let wrong = sum(before.without(after));
        to.wrong += u64::from(wrong);
        if wrong > 0 {
            to.last_wrong = Some(end);
        }
        if failed > 0 {
            to.last_failed = Some(end);
        }
        if to.first_right.is_none() && sum(after.without(before)) > 0 {
            to.first_right = Some(end);
        }
    }

    /// What went on until the stretch was over has no end that could be told.
    fn conclude(&self, failover: &mut Failover) {
        let length = self.until.saturating_sub(self.at);
        let settled = length.saturating_sub(UNSETTLED.min(length / 4));
        for last in [&mut failover.last_wrong, &mut failover.last_failed] {
            *last = last.filter(|last| *last <= settled);
        }
        let Some(rto) = failover.rto else { return };
        let ttl = failover.ttl.unwrap_or_default();
        failover.within_rto = match (failover.last_wrong, failover.last_failed) {
            (Some(wrong), Some(failed)) => Some(wrong.max(failed) + ttl <= rto),
            // It had not ended when this did: too late for certain only if this was as long.
            _ => (length + ttl > rto).then_some(false),
        };
    }
}
