//! What the tests stand on: a PoP without IO under virtual time, a real one on loopback, origins whose health is flipped,
//! clients, and chance that can be had again. No test asserts how long something took.

pub mod chance;
pub mod clients;
pub mod core;
pub mod origins;
pub mod pop;
pub mod seen;
pub mod wire;

/// The config with `old` replaced; a test that replaces nothing would test nothing.
pub fn edited(config: &str, old: &str, new: &str) -> String {
    assert!(config.contains(old), "the config has no {old:?} to replace");
    config.replace(old, new)
}
