//! What the benches measure against: tables of any size, clients of the real world, and counters of
//! time and memory. It generates; it judges nothing, and no test asserts a time.

pub mod clients;
pub mod memory;
pub mod tables;
