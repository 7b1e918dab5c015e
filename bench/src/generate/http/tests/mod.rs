//! The generator against real sockets. No test asserts a time or a rate.

mod reading;
mod secure;
mod server;
mod sockets;

use super::{Options, run};
use crate::asks::Asks;
use crate::clients::Population;
use crate::load::{Live, Load, Pace};
use crate::record::{Measured, Outcome};
use crate::subject::Subject;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use steering::{Plane, Snapshot, Table, Timestamp};

const CONFIG: &str = r#"version: 1
pop: { name: here, location: { country: DE, latitude: 50.1, longitude: 8.7 } }
regions:
  us-east: { location: { country: US, latitude: 38.9, longitude: -77.5 } }
  eu-west: { location: { country: IE, latitude: 53.3, longitude: -6.3 } }
pools:
  us: { region: us-east, endpoints: [{ address: "192.0.2.10:443" }] }
  eu: { region: eu-west, endpoints: [{ address: "192.0.2.20:443" }] }
policies:
  split: { weighted: { us: 50, eu: 50 } }
services:
  api: { policy: split, http: { hosts: [api.test] } }
"#;

pub static SUBJECT: LazyLock<Subject> = LazyLock::new(|| {
    let loaded = config::load_str("bench.yaml", CONFIG);
    let checked = loaded
        .checked
        .unwrap_or_else(|| panic!("{:?}", loaded.problems));
    let table = Table::compile(checked.table.clone()).expect("the config compiles");
    let snapshot = Snapshot::new(table.into(), geoip::embedded(), Timestamp(1));
    Subject::new(&checked, &snapshot).expect("few regions")
});

/// Requests after which a closed loop ends.
const ENOUGH: u64 = 60;

pub fn asks(count: usize) -> Asks {
    Asks::new(&SUBJECT, Plane::Http, &Population::World, count, 7).expect("there is a host")
}

pub fn load(pace: Pace) -> Load {
    Load {
        pace,
        duration: Duration::from_millis(150),
        warmup: Duration::ZERO,
        timeout: Duration::from_secs(5),
        ..Load::default()
    }
}

/// A closed loop with two requests in flight.
pub fn closed() -> Load {
    closed_with(2)
}

/// A closed loop; [`measure`] ends it.
pub fn closed_with(in_flight: usize) -> Load {
    Load {
        duration: Duration::from_secs(20),
        ..load(Pace::Closed { in_flight })
    }
}

/// What came of a load. A closed loop ends after some requests, however long they take.
pub fn measure(options: &Options, load: &Load, asks: &Asks) -> Measured {
    let live = Live::new(load);
    let done = || live.answered.load(Relaxed) + live.failed.load(Relaxed);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        if matches!(load.pace, Pace::Closed { .. }) {
            scope.spawn(|| {
                while done() < ENOUGH && !over.load(Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                live.stop();
            });
        }
        let measured = run(&SUBJECT, asks, options, load, &live);
        over.store(true, Relaxed);
        measured.expect("the options can be carried out")
    })
}

/// The region of an answer by its name.
pub fn region(name: &str) -> Outcome {
    let region = SUBJECT.region_named(name);
    assert_ne!(region, Outcome::Elsewhere, "{name} is a region");
    region
}

/// Everything was answered, and by this outcome.
pub fn assert_all(measured: &Measured, outcome: Outcome) {
    assert_eq!(measured.errors, Default::default());
    assert!(measured.answered > 0);
    assert_eq!(measured.sent, measured.answered);
    assert_eq!(measured.outcome(0, outcome), measured.answered);
}
