//! The pure core under load, without a server.
