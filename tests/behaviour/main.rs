//! Black-box tests: what a PoP does, seen from outside it. The same scenarios run against the pure core under virtual
//! time and against the binary's sockets; random configs, random clients and a simulator look for what no scenario
//! thought of.
//!
//! `RHUMB_SEED=n` replays a failure that printed seed n. No test asserts a duration.

mod asking;
mod bench;
mod cli;
mod encrypted;
mod failover;
mod floods;
mod harness;
mod limiting;
mod operating;
mod origins;
mod pages;
mod parity;
mod policies;
mod proxying;
mod rehearsed;
mod reload;
mod scenario;
mod simulator;
mod weighted;

#[path = "../tool/mod.rs"]
mod tool;

// How the binary makes a table from files, taken as it is: a test that wired the planes by itself would test its own wiring.
#[allow(dead_code)]
#[path = "../../src/candidate.rs"]
mod candidate;
#[allow(dead_code)]
#[path = "../../src/wiring.rs"]
mod wiring;

#[allow(dead_code)]
mod daemon;
