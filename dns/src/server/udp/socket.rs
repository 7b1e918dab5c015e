//! UDP sockets: bound, and set up as an authoritative server wants them.
//!
//! What never happens here: nothing is read or sent.

use super::mailbox::ignore_path_mtu;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroUsize;
use std::time::Duration;

/// The receive and send buffers asked of the system for each socket, in octets.
const BUFFER: usize = 4 << 20;
/// How long a worker waits for a datagram before it looks around.
pub(super) const GLANCE: Duration = Duration::from_millis(500);
/// How long an answer may wait for room in the send buffer.
const SEND: Duration = Duration::from_millis(100);

/// The sockets of one address, one for each worker. The system deals what comes in to them by the hash
/// of both ends.
#[derive(Debug)]
pub(in crate::server) struct Group {
    pub(super) sockets: Vec<UdpSocket>,
    pub(super) kind: Kind,
}

/// What the sockets of an address have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Whether they are bound to all addresses of the machine.
    pub(super) wildcard: bool,
    /// Whether every datagram begins with a PROXY header.
    pub(super) proxied: bool,
}

impl Group {
    /// Binds `count` sockets to `address`, whose port is not 0. `proxied` says whether every datagram there
    /// begins with a PROXY header.
    ///
    /// # Errors
    /// The address is not here, not allowed, or somebody has it: another process as well as ourselves.
    pub(in crate::server) fn bind(
        address: SocketAddr,
        proxied: bool,
        count: NonZeroUsize,
    ) -> io::Result<Self> {
        // The first socket is bound without SO_REUSEPORT: so it fails wherever anybody has the port, another
        // Rhumb of the same user too, which would otherwise get half of the packets without a word. Only then
        // is it opened for the others, which the system lets in because they are of the same user.
        let first = socket(address)?;
        first.bind(&address.into())?;
        let mut sockets = vec![first];
        share(address, count, &mut sockets)?;
        let sockets: Vec<UdpSocket> = sockets.into_iter().map(UdpSocket::from).collect();
        for socket in &sockets {
            // Old systems know only some of these; none is needed to answer.
            let _ = ignore_path_mtu(socket, address.is_ipv6());
        }
        Ok(Self {
            sockets,
            kind: Kind {
                wildcard: address.ip().is_unspecified(),
                proxied,
            },
        })
    }
}

#[cfg(target_os = "linux")]
fn share(address: SocketAddr, count: NonZeroUsize, sockets: &mut Vec<Socket>) -> io::Result<()> {
    for first in sockets.iter() {
        first.set_reuse_port(true)?;
    }
    for _ in 1..count.get() {
        let next = socket(address)?;
        next.set_reuse_port(true)?;
        next.bind(&address.into())?;
        sockets.push(next);
    }
    Ok(())
}

/// Elsewhere all workers read one socket: SO_REUSEPORT deals nothing out there.
#[cfg(not(target_os = "linux"))]
fn share(_address: SocketAddr, count: NonZeroUsize, sockets: &mut Vec<Socket>) -> io::Result<()> {
    for _ in 1..count.get() {
        let next = sockets.first().map(Socket::try_clone).transpose()?;
        sockets.extend(next);
    }
    Ok(())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    buffers(&socket);
    socket.set_read_timeout(Some(GLANCE))?;
    socket.set_write_timeout(Some(SEND))?;
    if address.ip().is_unspecified() {
        tell_asked_address(&socket, address.is_ipv6())?;
    }
    Ok(socket)
}

/// As much as the system allows; bursts are what these are for.
fn buffers(socket: &Socket) {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt};
        // Whoever may (CAP_NET_ADMIN) is not held to net.core.rmem_max.
        let received = setsockopt(socket, sockopt::RcvBufForce, &BUFFER);
        let sent = setsockopt(socket, sockopt::SndBufForce, &BUFFER);
        if received.is_ok() && sent.is_ok() {
            return;
        }
    }
    let _ = socket.set_recv_buffer_size(BUFFER);
    let _ = socket.set_send_buffer_size(BUFFER);
}

/// Lets the system tell with each datagram which address it was sent to.
#[cfg(target_os = "linux")]
fn tell_asked_address(socket: &Socket, is_v6: bool) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt};
    if is_v6 {
        setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    } else {
        setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn tell_asked_address(_socket: &Socket, _is_v6: bool) -> io::Result<()> {
    Ok(())
}
