//! Zones that move between servers: Rhumb as it is built beside NSD, Knot and dig as they are installed. What one has,
//! the other comes to have; who may not, does not.
//!
//! All of them run on loopback, on ports and in folders of their own, and end with the test that started them. No test
//! asserts a duration.

mod configs;
mod given_out;
mod servers;
mod taken_in;

#[path = "../tool/mod.rs"]
mod tool;
