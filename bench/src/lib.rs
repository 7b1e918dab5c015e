//! Load generators and micro-benchmarks against routing policies.
