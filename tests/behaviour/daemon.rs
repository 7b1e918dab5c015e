//! What `candidate` knows of the daemon: its clock, and where decisions are counted.

#[path = "../../src/daemon/traffic.rs"]
pub mod traffic;

pub fn now() -> steering::Timestamp {
    std::time::SystemTime::now().into()
}
