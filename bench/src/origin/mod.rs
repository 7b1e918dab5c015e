//! Origins to steer to: fast stand-ins that can be failed in several ways.
