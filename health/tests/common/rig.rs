//! A checker over real origins, and what comes out of it.

use super::{Origin, read_head};
use health::{Checker, Event, Plan, Restored, Settings, TargetReport};
use prometheus::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use steering::health::{Check, TargetKey, Transition};
use steering::{Table, Timestamp};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A running checker and what comes out of it.
pub struct Rig {
    pub checker: Checker,
    pub events: mpsc::Receiver<Event>,
    pub registry: Registry,
}

impl Rig {
    pub fn start(table: &Table) -> Self {
        Self::with(table, &Restored::default(), Settings::default())
    }

    pub fn with(table: &Table, restored: &Restored, settings: Settings) -> Self {
        let (out, events) = mpsc::channel(1024);
        let registry = Registry::new();
        let plan = Plan::new(table).expect("usable checks");
        let checker = Checker::start(plan, restored, settings, out, &registry).expect("it starts");
        Self {
            checker,
            events,
            registry,
        }
    }

    pub fn retarget(&mut self, table: &Table) {
        self.checker
            .retarget(Plan::new(table).expect("usable checks"));
    }

    pub async fn event(&mut self) -> Event {
        let event = timeout(Duration::from_secs(30), self.events.recv()).await;
        event.expect("an event in time").expect("the checker lives")
    }

    /// The next transition; connect times are passed over.
    pub async fn transition(&mut self) -> Transition {
        loop {
            if let Event::Health(transition) = self.event().await {
                return transition;
            }
        }
    }

    pub async fn first_round(&self) {
        let round = timeout(Duration::from_secs(30), self.checker.first_round()).await;
        round.expect("a first outcome of every target");
    }

    pub fn report(&self, key: &TargetKey) -> TargetReport {
        self.checker
            .reports()
            .find(key)
            .expect("a target of the table")
    }

    /// See [`metric`].
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        metric(&self.registry, name, label)
    }
}

pub fn key(check: &Check, address: SocketAddr) -> TargetKey {
    TargetKey {
        address,
        check: check.name.clone(),
    }
}

pub fn now() -> Timestamp {
    SystemTime::now().into()
}

/// An origin that answers 200 while the switch is on, else 503.
pub async fn switched() -> (Origin, Arc<AtomicBool>) {
    let healthy = Arc::new(AtomicBool::new(true));
    let switch = healthy.clone();
    let origin = Origin::start(move |mut stream| {
        let status = if switch.load(Ordering::SeqCst) {
            "200 OK"
        } else {
            "503 No"
        };
        async move {
            read_head(&mut stream).await;
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (origin.await, healthy)
}

/// The sum over all series of a metric whose labels contain `label`.
pub fn metric(registry: &Registry, name: &str, label: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().filter(|family| family.name() == name);
    let series = family.flat_map(|family| family.get_metric());
    let wanted = series.filter(|series| {
        label.is_empty() || series.get_label().iter().any(|pair| pair.value() == label)
    });
    wanted
        .map(|series| series.get_counter().get_value() + series.get_gauge().get_value())
        .sum()
}
