//! Ports for servers that are started here: free a moment ago, which is all that can be known.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// How often one is looked for.
const TRIES: usize = 100;

/// A port of 127.0.0.1 that is free for TCP and UDP now.
///
/// # Errors
/// When the system gives none.
pub fn free() -> io::Result<SocketAddr> {
    for _ in 0..TRIES {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = held.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}
