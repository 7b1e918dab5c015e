//! A bare Pingora proxy.

fn main() {}
