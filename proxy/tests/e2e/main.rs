//! The proxy over real sockets on loopback: clients and origins written here, Pingora between them.

mod client;
mod faults;
mod http1;
mod http2;
mod origin;
mod setup;
mod smuggling;
mod tls;
