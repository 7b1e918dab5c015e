//! A bare hickory-server handler.

fn main() {}
